"""Counts, and stock that picks did not find.

A count says what was there at its time, so its variance is what was counted minus what the ledger had then,
and the variance alone is booked: whatever moved since stands. What is suspect was counted with the rest, so
it comes back on hand first. Units that lack and are allocated to orders cannot be taken from those; their
picks will come up short, which is told.
"""

from libs.events.contract import Event
from libs.events.stocktaking import (
    CountRecorded,
    RecordCount,
    StockSuspected,
    SuspectStock,
)
from services.inventory.desk import Desk, SupplyPosting, after, served, too_many, unknown
from services.inventory.desk import gone as gone_from_shelf
from services.inventory.lot_control import counted as found_in_lot
from services.inventory.lot_counts import book_lots, miscounted, size, variances
from services.inventory.serial_control import arriving, leaving
from services.inventory.settling import book, older, outrun, superseded


def record_count(desk: Desk, command: RecordCount) -> list[Event]:
    """Book what a count found, or hold it for a person."""
    node, variance = command.node, command.counted - command.book
    refusal = (
        unknown(desk, node)
        or _not_to_count(desk, command)
        or too_many(desk, variance)
        or found_in_lot(desk, command, variance)
        or miscounted(desk, command)
    )
    if refusal:
        return refusal
    most = desk.rules.rules.count_approval_units
    lots = variances(command.lots)
    held = most is not None and size(lots, variance) > most
    booked = 0 if held else variance
    if refusal := _misnamed(desk, command, booked):
        return refusal
    if held and (refusal := outrun(desk, command.count_id, node, command.counted_at)):
        return refusal
    closed = superseded(desk, older(desk, node, command.counted_at), "count", command.count_id)
    if lots and not held:
        broken, spare, posting, short = book_lots(desk, node, lots, looked=True)
    else:
        broken, spare, posting, short = book(desk, node, booked, not held, command.lot, command.serials)
    counted = CountRecorded(
        sku=desk.sku,
        count_id=command.count_id,
        node=node,
        counted=command.counted,
        effective_at=command.counted_at,
        book=command.book,
        variance=variance,
        outcome="held" if held else "booked" if variance or lots else "matched",
        allocated_short=short,
        reason_code=command.reason_code,
        up_to=spare.stock.position,
        movements=posting.booked(),
        lots=command.lots,
    )
    return [*closed, *broken, *served(spare, counted)]


def suspect(desk: Desk) -> list[Event]:
    """After so many picks in vain, take what their nodes have on hand out of promise until it is counted.

    Units that are promised stay: taking them would break a promise for a suspicion.
    """
    most = desk.rules.rules.phantom_short_picks
    events: list[Event] = []
    for node, picks in sorted(desk.supply.short_picks.items()):
        doubted = min(desk.stock.on_hand.get(node, 0), max(0, desk.stock.free))
        if most is None or len(picks) < most or not doubted:
            continue
        posting = SupplyPosting(desk)
        posting.move(node, "on_hand", "suspect", doubted)
        found = StockSuspected(
            sku=desk.sku, node=node, quantity=doubted, short_picks=len(picks), movements=posting.booked()
        )
        events.append(found)
        desk = after(desk, found)
    return [*events, *gone_from_shelf(desk)]


def doubt(desk: Desk, command: SuspectStock) -> list[Event]:
    """Somebody doubts what a node has on hand. Units that are promised stay."""
    node = command.node
    if refusal := unknown(desk, node):
        return refusal
    there = desk.stock.on_hand.get(node, 0)
    doubted = min(there, max(0, desk.stock.free))
    if not doubted:
        return desk.refuse(
            "nothing_to_suspect",
            f"{there} units of {desk.sku} are on hand at {node} without an order, and none of them is free.",
            "Count the shelf: what is not there is written off, and promises that it breaks are told.",
        )
    posting = SupplyPosting(desk)
    posting.move(node, "on_hand", "suspect", doubted)
    found = StockSuspected(
        sku=desk.sku,
        node=node,
        quantity=doubted,
        short_picks=0,
        reason=command.reason,
        movements=posting.booked(),
    )
    return gone_from_shelf(desk, found)


def _misnamed(desk: Desk, command: RecordCount, variance: int) -> list[Event]:
    """A refusal of a count that does not say which units were found more, or lack. Those that lack and are
    allocated are told by their picks."""
    node = command.node
    if variance >= 0:
        return arriving(desk, command.serials, variance)
    there = desk.stock.on_hand.get(node, 0) + desk.supply.units("suspect", node)
    return leaving(desk, command.serials, min(-variance, there), "on_hand", node)


def _not_to_count(desk: Desk, command: RecordCount) -> list[Event]:
    """A refusal of a count that cannot be taken as it is."""
    id_, node = command.count_id, command.node
    if command.counted_at > desk.at:
        return desk.refuse(
            "counted_in_the_future",
            f"Count {id_} is said to be of {command.counted_at.isoformat()}, after it was told.",
            "Check the device's clock and time zone.",
        )
    if id_ in desk.supply.counts:
        return desk.refuse(
            "already_counted",
            f"Count {id_} of {desk.sku} was taken before.",
            "Nothing: it is booked once. Another count has a count_id of its own.",
        )
    if command.position > desk.stock.position:
        return desk.refuse(
            "unknown_position",
            f"Count {id_} was held against position {command.position} of {desk.sku}, which stands at "
            f"{desk.stock.position}.",
            "Read book and position at GET /v1/stock/{sku}/book, or send the count to POST /v1/stock/counts.",
        )
    mark = desk.supply.counted.get(node)
    if mark is not None and command.counted_at <= mark.counted_at:
        return desk.refuse(
            "superseded",
            f"{desk.sku} at {node} was counted at {mark.counted_at.isoformat()}, after count {id_}.",
            "Nothing: the later count has spoken.",
        )
    if mark is not None and command.position < mark.position:
        return desk.refuse(
            "book_changed",
            f"Another count of {desk.sku} at {node} was booked since the book of count {id_} was read.",
            "Send the count again without book and position to POST /v1/stock/counts.",
        )
    return []
