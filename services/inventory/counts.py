"""Counts, differences with other systems, and stock that picks did not find.

A count says what was there at its time, so its variance is what was counted minus what the ledger had then,
and the variance alone is booked: whatever moved since stands. What is suspect was counted with the rest, so
it comes back on hand first. Units that lack and are allocated to orders cannot be taken from those; their
picks will come up short, which is told.
"""

from libs.events.contract import Event
from libs.events.stocktaking import (
    AdjustmentProposed,
    CountRecorded,
    DifferenceSettled,
    ProposeAdjustment,
    RecordCount,
    SettleDifference,
    StockSuspected,
    SuspectStock,
)
from services.inventory.desk import Desk, SupplyPosting, after, not_yet, served, spared, too_many, unknown
from services.inventory.desk import gone as gone_from_shelf
from services.inventory.lot_control import counted as found_in_lot
from services.inventory.lot_control import without_lots
from services.inventory.serial_control import arriving, leaving, without_serials


def record_count(desk: Desk, command: RecordCount) -> list[Event]:
    """Book what a count found, or hold it for a person."""
    node, variance = command.node, command.counted - command.book
    refusal = (
        unknown(desk, node)
        or _not_to_count(desk, command)
        or too_many(desk, variance)
        or found_in_lot(desk, command, variance)
    )
    if refusal:
        return refusal
    most = desk.rules.rules.count_approval_units
    held = most is not None and abs(variance) > most
    booked = 0 if held else variance
    if refusal := _misnamed(desk, command, booked):
        return refusal
    broken, spare, posting, short = _booked(desk, node, booked, not held, command.lot, command.serials)
    counted = CountRecorded(
        sku=desk.sku,
        count_id=command.count_id,
        node=node,
        counted=command.counted,
        effective_at=command.counted_at,
        book=command.book,
        variance=variance,
        outcome="held" if held else "booked" if variance else "matched",
        allocated_short=short,
        reason_code=command.reason_code,
        up_to=spare.stock.position,
        movements=posting.booked(),
    )
    return [*broken, *served(spare, counted)]


def propose(desk: Desk, command: ProposeAdjustment) -> list[Event]:
    """Ask a person about a difference with another system."""
    id_ = command.proposal_id
    if refusal := unknown(desk, command.node) or not_yet(desk, command.as_of):
        return refusal
    if not command.variance:
        return desk.refuse("no_change", f"Proposal {id_} changes nothing.", "Propose only differences.")
    if id_ in desk.supply.differences or id_ in desk.supply.counts:
        return desk.refuse(
            "already_proposed",
            f"Proposal {id_} of {desk.sku} was made before.",
            "Nothing: it waits for a person, or was settled. Another one has an id of its own.",
        )
    return [
        AdjustmentProposed(
            sku=desk.sku,
            proposal_id=id_,
            node=command.node,
            variance=command.variance,
            as_of=command.as_of,
            system=command.system,
            explanation=command.explanation,
        )
    ]


def settle(desk: Desk, command: SettleDifference) -> list[Event]:
    """A person decided about a held count or a proposal."""
    id_ = command.proposal_id
    found = desk.supply.differences.get(id_)
    if found is None:
        settled = id_ in desk.supply.counts
        return desk.refuse(
            "already_settled" if settled else "unknown_proposal",
            f"{id_} of {desk.sku} {'is settled' if settled else 'asks nothing: nobody has proposed it'}.",
            "List what waits: `orderlog stock differences`.",
        )
    variance = found.variance if command.approve else 0
    refusal = too_many(desk, variance)
    if variance > 0:
        refusal = refusal or without_lots(
            desk,
            f"the difference {id_}",
            "Book the units to their lot: `orderlog stock adjust`, and reject the difference.",
        )
    if variance:
        refusal = refusal or without_serials(
            desk,
            f"the difference {id_}",
            "Book the units with their numbers: `orderlog stock adjust`, and reject the difference.",
        )
    if refusal:
        return refusal
    broken, spare, posting, short = _booked(desk, found.node, variance, found.source == "count")
    settled_ = DifferenceSettled(
        sku=desk.sku,
        proposal_id=id_,
        node=found.node,
        source=found.source,
        approved=command.approve,
        variance=found.variance,
        allocated_short=short,
        note=command.note,
        effective_at=found.as_of,
        movements=posting.booked(),
    )
    return [*broken, *served(spare, settled_)]


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


def _booked(
    desk: Desk,
    node: str,
    variance: int,
    looked: bool,
    lot: str | None = None,
    serials: tuple[str, ...] | None = None,
) -> tuple[list[Event], Desk, SupplyPosting, int]:
    """What a variance moves at a node, once what is suspect is back when somebody `looked`: the promises that
    break, the desk after that, the movements, and the units that lack and are allocated."""
    doubted = desk.supply.units("suspect", node) if looked else 0
    there = desk.stock.on_hand.get(node, 0) + doubted
    gone = min(max(0, -variance), there)
    broken, spare = spared(desk, gone - doubted)
    posting = SupplyPosting(spare)
    posting.move(node, "suspect", "on_hand", doubted)
    posting.move(node, "adjustment", "on_hand", max(0, variance), lot, serials or None)
    posting.move(node, "on_hand", "written_off", gone, serials=serials or None)
    return broken, spare, posting, max(0, -variance) - gone


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
