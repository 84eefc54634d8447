"""Which lots a transfer moves: those that somebody names, else those of it that expire first.

A dispatch says which lots are on their way under it, and the transfer keeps them, so that each unit arrives,
is lost or comes back as what it was. What is received of a lot beyond that waits in quarantine, under its lot
where one is named.
"""

from collections.abc import Iterator, Mapping

from libs.events.contract import Event
from libs.events.measure import LOTS_MAX, LotQuantities, LotQuantity
from libs.events.supply import (
    DispatchTransfer,
    Movements,
    ReceiveTransfer,
    SupplyBucket,
    TransferDispatched,
    TransferReceiptHeld,
)
from services.inventory.desk import Desk, SupplyPosting
from services.inventory.lot_control import no_lots, too_few, unknown_lot
from services.inventory.lots import Lots

ByLot = dict[str, int]


def by_lot(lots: LotQuantities | None) -> ByLot:
    """Units by lot; empty where none is named."""
    return {one.lot: one.quantity for one in lots or ()}


def unsendable(desk: Desk, command: DispatchTransfer) -> list[Event]:
    """A refusal of a dispatch whose lots do not add up, or are not there."""
    if refusal := _misnamed(desk, command.lots, command.quantity, "quantity"):
        return refusal
    for lot, units in by_lot(command.lots).items():
        if refusal := too_few(desk, lot, "on_hand", command.source_node, units):
            return refusal
    lots = desk.stock.lots
    if lots is None or command.lots or len(lots.there("on_hand", command.source_node)) <= LOTS_MAX:
        return []
    return desk.refuse(
        "too_many_lots",
        f"{command.source_node} has more than {LOTS_MAX} lots of {desk.sku}, and none is named.",
        f"Name the lots that left, at most {LOTS_MAX} in a transfer.",
    )


def unreceivable(desk: Desk, command: ReceiveTransfer) -> list[Event]:
    """A refusal of a receipt whose lots do not add up, or never arrived here."""
    return _misnamed(desk, command.lots, command.quantity, "quantity") or _misnamed(
        desk, command.damaged_lots, command.damaged, "damaged"
    )


def parts(lots: LotQuantities | None, quantity: int) -> list[tuple[str | None, int]]:
    """(lot, units) of each part of a quantity: of the lots that are named, else all of it of whichever."""
    return [*by_lot(lots).items()] if lots else [(None, quantity)]


def sent(dispatched: TransferDispatched, target_node: str) -> TransferDispatched:
    """The dispatch with the lots that are on their way by it, where its SKU has some."""
    found = _arriving(dispatched.movements, target_node)
    if not found:
        return dispatched
    named = tuple(LotQuantity(lot=lot, quantity=units) for lot, units in found.items())
    return dispatched.model_copy(update={"lots": named})


def open_lots(desk: Desk, id_: str) -> ByLot:
    """Units by lot that are on their way under a transfer, those that expire first in front. A transfer that
    does not know its lots has what expires first of those that no other one has."""
    lots, known = desk.stock.lots, desk.supply.transfers[id_]
    assert lots is not None, f"{desk.sku} has no lots"
    there = dict(lots.there("in_transit", known.target_node))
    own = {lot: min(units, there.get(lot, 0)) for lot, units in known.lots.items()}
    lacking = known.open - sum(own.values())
    if lacking:
        for lot, units in _others(desk, id_, known.target_node):
            there[lot] = there.get(lot, 0) - units
        for lot in lots.first_expired(there):
            more = max(0, min(lacking, there[lot] - own.get(lot, 0)))
            own[lot] = own.get(lot, 0) + more
            lacking -= more
    return {lot: own[lot] for lot in lots.first_expired(own) if own[lot]}


def land(
    desk: Desk, posting: SupplyPosting, id_: str, receipt: ReceiveTransfer | TransferReceiptHeld
) -> tuple[int, int]:
    """Post what arrived of a transfer of a SKU that has lots; the units beyond what is on its way, and those
    of it that are still to come, which are missing if the receipt is final."""
    node, left = desk.supply.transfers[id_].target_node, open_lots(desk, id_)
    good, broken = by_lot(receipt.lots), by_lot(receipt.damaged_lots)
    arrived: list[tuple[SupplyBucket, str, int]] = []
    over: list[tuple[str | None, int]] = []
    came: tuple[tuple[SupplyBucket, ByLot, int], ...] = (
        ("on_hand", good, receipt.quantity),
        ("damaged", broken, receipt.damaged),
    )
    # Those that are named first: what is not takes of the rest.
    for bucket, named, units in sorted(came, key=lambda one: not one[1]):
        taken: Mapping[str, int] = named or _first(left, units)
        for lot, wanted in taken.items():
            there = min(wanted, left.get(lot, 0))
            left[lot] = left.get(lot, 0) - there
            arrived.append((bucket, lot, there))
            over.append((lot, wanted - there))
        over.append((None, units - sum(taken.values())))
    for bucket, lot, units in sorted(arrived, key=lambda one: one[0] != "on_hand"):
        posting.move(node, "in_transit", bucket, units, lot)
    for named_lot, units in over:
        posting.move(node, "adjustment", "quarantine", units, named_lot)
    if receipt.final:
        for lot, units in left.items():
            posting.move(node, "in_transit", "missing", units, lot)
    return sum(units for _, units in over), sum(left.values())


def _first(left: ByLot, units: int) -> ByLot:
    """Of what is left, those in front, so many units of it."""
    found = ByLot()
    for lot, there in left.items():
        found[lot] = min(there, units)
        units -= found[lot]
    return found


def _others(desk: Desk, id_: str, node: str) -> Iterator[tuple[str, int]]:
    for other, known in desk.supply.transfers.items():
        if other != id_ and known.target_node == node and not known.closed:
            yield from known.lots.items()


def _arriving(movements: Movements, node: str) -> ByLot:
    found = ByLot()
    for move in movements:
        if move.target == "in_transit" and move.node == node and move.lot is not None:
            found[move.lot] = found.get(move.lot, 0) + move.quantity
    return found


def _misnamed(desk: Desk, lots: LotQuantities | None, quantity: int, name: str) -> list[Event]:
    if lots is None:
        return []
    known = desk.stock.lots
    if known is None:
        return no_lots(desk, lots[0].lot)
    return lot_twice(desk, [one.lot for one in lots]) or _unknown(desk, known, lots, quantity, name)


def _unknown(desk: Desk, known: Lots, lots: LotQuantities, quantity: int, name: str) -> list[Event]:
    if strange := next((one.lot for one in lots if one.lot not in known.named), None):
        return unknown_lot(desk, strange)
    return not_the_sum(desk, sum(one.quantity for one in lots), quantity, name)


def lot_twice(desk: Desk, lots: list[str]) -> list[Event]:
    """A refusal of a lot that is named twice."""
    twice = next((lot for lot in lots if lots.count(lot) > 1), None)
    if twice is None:
        return []
    return desk.refuse(
        "lot_twice", f"Lot {twice} of {desk.sku} is named twice.", "Name each lot once, with all its units."
    )


def not_the_sum(desk: Desk, lots: int, quantity: int, name: str) -> list[Event]:
    """A refusal of lots that do not add up to what was told."""
    if lots == quantity:
        return []
    return desk.refuse(
        "lots_do_not_add_up",
        f"The lots of {desk.sku} come to {lots} units, and {name} is {quantity}.",
        f"Name the lot of each unit, or correct {name}.",
    )
