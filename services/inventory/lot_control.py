"""Lots as people tell of them: what arrives names one, and one can be taken out of promise, and put back.

What of a lot may not be sold leaves the shelf at the desk (`desk.served`), whatever brought it there: its
time is up, somebody quarantined it, or units of it came back from an order or another node.
"""

from collections.abc import Callable
from datetime import date
from typing import TypeVar

from libs.events.conditions import MoveStock
from libs.events.contract import Event
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.lots import LotDefined, LotReleased, QuarantineLot, ReleaseLot
from libs.events.record import changed
from libs.events.stocktaking import RecordCount
from libs.events.supply import ReceiveSupply
from services.inventory.desk import (
    Desk,
    SupplyPosting,
    after,
    check_lots_at,
    gone,
    quarantine,
    refusal_of,
    served,
)
from services.inventory.lots import NO_LOT, Lot, leaves_at

Arrival = TypeVar("Arrival", ReceiveStock, ReceiveSupply)
YEAR_MAX = 2199


def arrived(desk: Desk, command: Arrival, decide: Callable[[Desk, Arrival], list[Event]]) -> list[Event]:
    """`decide` on units that arrive; a lot that is new with them is defined first."""
    if isinstance(command, ReceiveSupply) and not command.quantity + command.damaged:
        return decide(desk, command)  # nothing more is to come, and nothing came
    if refusal := _not_to_arrive(desk, command.lot, command.expires_on):
        return refusal
    lots = desk.stock.lots
    if lots is None or command.lot is None or command.expires_on is None or command.lot in lots.named:
        return decide(desk, command)
    named = {**lots.named, command.lot: Lot(command.expires_on.isoformat())}
    check_at = changed(lots, named=named).next_check()
    defined = LotDefined(sku=desk.sku, lot=command.lot, expires_on=command.expires_on, check_at=check_at)
    events: list[Event] = decide(after(desk, defined), command)
    return events if refusal_of(events) else [defined, *events]


def miscorrected(desk: Desk, command: AdjustStock) -> list[Event]:
    """A refusal of a correction that names no lot or a wrong one, or takes more than is there of it."""
    lots, lot = desk.stock.lots, command.lot
    if lots is None:
        return [] if lot is None else no_lots(desk, lot)
    if lot is None:
        return _lot_required(desk, "the lot whose units they are")
    if lot not in lots.named:
        return unknown_lot(desk, lot)
    if command.delta > 0:
        return _stopped(desk, lot) if lots.stopped(lot, desk.at) else []
    return too_few(desk, lot, "on_hand", command.node, -command.delta)


def mismoved(desk: Desk, command: MoveStock) -> list[Event]:
    """A refusal of a move that names no lot or a wrong one, takes more than is there of it, or would sell
    what may not be sold. Units that came without a lot may be moved without one, and never on hand."""
    lots, lot, shelf = desk.stock.lots, command.lot, command.target == "on_hand"
    if lots is None:
        return [] if lot is None else no_lots(desk, lot)
    if lot is None and (shelf or NO_LOT not in lots.there(command.source, command.node)):
        return _lot_required(desk, "the lot whose units they are")
    if lot is not None and lot not in lots.named:
        return unknown_lot(desk, lot)
    if lot is not None and shelf and lots.stopped(lot, desk.at):
        return _stopped(desk, lot)
    return too_few(desk, lot or NO_LOT, command.source, command.node, command.quantity)


def counted(desk: Desk, command: RecordCount, variance: int) -> list[Event]:
    """A refusal of a count that found more units, and does not say of which lot."""
    lots = desk.stock.lots
    if lots is None:
        return [] if command.lot is None else no_lots(desk, command.lot)
    if variance <= 0 or command.lots is not None:
        return []
    if command.lot is None:
        return _lot_required(desk, f"the lot of the {variance} units that were found more")
    return [] if command.lot in lots.named else unknown_lot(desk, command.lot)


def without_lots(desk: Desk, what: str, next_step: str) -> list[Event]:
    """A refusal of what cannot be told of a SKU that has lots."""
    if desk.stock.lots is None:
        return []
    return desk.refuse("lot_required", f"{desk.sku} has lots, and {what} names none.", next_step)


def stop(desk: Desk, command: QuarantineLot) -> list[Event]:
    """Sell nothing more of a lot."""
    lots = desk.stock.lots
    if lots is None:
        return no_lots(desk, command.lot)
    if command.lot not in lots.named:
        return unknown_lot(desk, command.lot)
    if lots.named[command.lot].state == "quarantined":
        return []
    events, stopped = quarantine(desk, command.lot, "quarantined", command.reason)
    return [*events, *gone(stopped)]


def put_back(desk: Desk, command: ReleaseLot) -> list[Event]:
    """A lot is good after all."""
    lots, lot = desk.stock.lots, command.lot
    if lots is None:
        return no_lots(desk, lot)
    if lot not in lots.named:
        return unknown_lot(desk, lot)
    if lots.named[lot].state == "good":
        return []
    if (due := lots.leaves_at(lot)) <= desk.at:
        return desk.refuse(
            "lot_expired",
            f"Lot {lot} of {desk.sku} is sold no more since {due.isoformat()}.",
            "Scrap it: `orderlog stock move`, from quarantine to scrapped.",
        )
    posting = SupplyPosting(desk)
    for node, units in lots.nodes("quarantine", lot):
        posting.move(node, "quarantine", "on_hand", units, lot)
    return served(
        desk,
        LotReleased(
            sku=desk.sku,
            lot=lot,
            up_to=desk.stock.position,
            reason=command.reason,
            check_at=check_lots_at(lots, lot, good=True),
            movements=posting.booked(),
        ),
    )


def _not_to_arrive(desk: Desk, lot: str | None, expires_on: date | None) -> list[Event]:
    """A refusal of units that come without the lot that they need, or with one that cannot be."""
    lots = desk.stock.lots
    if lots is None:
        return [] if lot is None and expires_on is None else no_lots(desk, lot or "")
    if lot is None or expires_on is None:
        return _lot_required(desk, "the lot, and the last day on which it may be sold (expires_on)")
    known = lots.named.get(lot)
    if known is not None and known.expires_on != expires_on.isoformat():
        return desk.refuse(
            "wrong_expiry",
            f"Lot {lot} of {desk.sku} expires on {known.expires_on}; this delivery says {expires_on}.",
            "Read the label again; if another lot has the same number, give it one of its own.",
        )
    if expires_on.year > YEAR_MAX:
        return desk.refuse(
            "expiry_too_far",
            f"Lot {lot} of {desk.sku} would expire on {expires_on}, after the year {YEAR_MAX}.",
            "Check the date.",
        )
    if (due := leaves_at(expires_on, lots.days_min)) <= desk.at:
        return desk.refuse(
            "lot_expired",
            f"Lot {lot} of {desk.sku} expires on {expires_on} and is sold no more since {due.isoformat()}.",
            "Send it back, or scrap it; it cannot be sold. Check the date if the label says another.",
        )
    if known is not None and known.state != "good":
        return _stopped(desk, lot)
    return []


def too_few(desk: Desk, lot: str, bucket: str, node: str, wanted: int) -> list[Event]:
    """A refusal when fewer units of the lot are there than are wanted."""
    assert desk.stock.lots is not None, f"{desk.sku} has no lots"
    there = desk.stock.lots.there(bucket, node).get(lot, 0)
    if wanted <= there:
        return []
    of = f"of lot {lot}" if lot else "without a lot"
    return desk.refuse(
        "not_in_lot",
        f"{wanted} units of {desk.sku} {of} cannot leave {bucket} at {node}: {there} are there.",
        f"Take out at most {there}, or name the lot whose units they are: GET /v1/stock/{{sku}}/lots.",
    )


def _stopped(desk: Desk, lot: str) -> list[Event]:
    return desk.refuse(
        "lot_stopped",
        f"Lot {lot} of {desk.sku} is sold no more: it was quarantined, or its time is up.",
        "Keep its units apart; if the lot is good after all, `orderlog stock release-lot`.",
    )


def unknown_lot(desk: Desk, lot: str) -> list[Event]:
    """A refusal of a lot that nobody has received."""
    return desk.refuse(
        "unknown_lot",
        f"No unit of lot {lot} of {desk.sku} ever arrived.",
        "Check its number (case matters): GET /v1/stock/{sku}/lots. A new lot comes with a receipt.",
    )


def no_lots(desk: Desk, lot: str) -> list[Event]:
    """A refusal of a lot of a SKU that has none."""
    return desk.refuse(
        "no_lots",
        f"{desk.sku} has no lots, and a lot {lot} is named.",
        "Leave the lot out, or make the SKU lot controlled before its first unit: `orderlog stock item`.",
    )


def _lot_required(desk: Desk, what: str) -> list[Event]:
    return desk.refuse(
        "lot_required", f"{desk.sku} has lots: {what} must be named.", "Name it, and send it again."
    )
