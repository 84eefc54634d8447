"""What inventory knows of a SKU beside what it sells: units not on hand, and the documents about them.

It is kept in a stream of its own, `supply/<sku>`, so that an order, which needs the SKU alone, does not carry
it. Its facts are told in the SKU's stream, but for a short pick, an order's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import TypeVar

from libs.events.contract import Event
from libs.events.dates import SupplyPegged
from libs.events.feeds import FeedStale, StockReported
from libs.events.inventory import StockShorted
from libs.events.items import ItemDefined
from libs.events.record import changed, record
from libs.events.stocktaking import (
    AdjustmentProposed,
    CountRecorded,
    DifferenceSettled,
    DifferenceSuperseded,
)
from libs.events.supply import (
    SupplyCancelled,
    SupplyExpected,
    SupplyReceived,
    TransferClosed,
    TransferDispatched,
    TransferOverdue,
    TransferReceiptHeld,
    TransferReceived,
)
from services.inventory.balances import added
from services.inventory.differences import Difference, corrected
from services.inventory.feed_skus import TheirStock
from services.inventory.lot_states import evolve_lots
from services.inventory.lots import NO_LOT
from services.inventory.queue import waiter
from services.inventory.stock import EMPTY_SKU, AnyMovement, Arrival, SkuPart, Skus, moved
from services.inventory.trust import trust_after
from services.inventory.units import Units, units_of

SUPPLY_STREAM = "supply/"
KEPT_BUCKETS = frozenset({"inbound", "in_transit", "quarantine", "damaged", "suspect", "vendor"})
"""Buckets whose units a decision here may need."""
REMEMBERED_MAX = 100
"""Documents of a kind that are known for a while after they are done with, so that a repeat is told."""

Named = TypeVar("Named")


@record
class Expected:
    """Units that are to come under one document of a supplier."""

    node: str
    quantity: int = 0
    """All of it; 0 while a receipt is all that is known."""
    received: int = 0
    open: int = 0
    expected_at: datetime | None = None
    stated_at: datetime | None = None
    closed: bool = False
    """Nothing more is to come."""
    receipts: tuple[str, ...] = ()


@record
class Transfer:
    """Units on their way from a node to another."""

    source_node: str = ""
    """Empty while nobody has dispatched it."""
    target_node: str = ""
    open: int = 0
    due_at: datetime | None = None
    overdue: bool = False
    """It was told."""
    closed: bool = False
    receipts: tuple[str, ...] = ()
    early: tuple[TransferReceiptHeld, ...] = ()
    """Receipts that came before the dispatch."""
    lots: dict[str, int] = field(default_factory=dict)
    """Units by lot that are on their way, where the SKU has lots."""


@record
class CountMark:
    """The last count of a node, or snapshot that a person approved."""

    counted_at: datetime
    position: int
    """The SKU's, once it was booked."""


@record
class Told:
    """What a feed told last."""

    node: str
    units: int
    stated_at: datetime
    stale_at: datetime
    stale: bool = False
    rows: int | None = None
    """Of a feed that is mapped: the numbers of what of `their_stock` is in it, summed."""


@record
class Peg:
    """The supply that brings the last of what an order lacks."""

    supply_id: str
    node: str
    usable_at: datetime


@record
class SupplyPart:
    """State of a stream `supply/…`."""

    held: dict[str, dict[str, int]] = field(default_factory=dict)
    """Units by bucket, then by node."""
    expected: dict[str, Expected] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    """Those that wait for a person: at most one of a node."""
    superseded: dict[str, str] = field(default_factory=dict)
    """The last that something newer took the place of, and its name; the latest last."""
    counts: tuple[str, ...] = ()
    """Ids of the last counts and proposals, the latest last."""
    counted: dict[str, CountMark] = field(default_factory=dict)
    """By node."""
    short_picks: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By node: the SKU's positions of picks that found nothing since the last count."""
    feeds: dict[str, Told] = field(default_factory=dict)
    pegged: dict[str, Peg] = field(default_factory=dict)
    """By order, or `waiter` of a basket, of those that wait and were told a date."""
    units_of_measure: Units | None = None
    their_stock: dict[str, dict[str, TheirStock]] = field(default_factory=dict)
    """By feed and their SKU, of feeds that are mapped."""

    def units(self, bucket: str, node: str) -> int:
        """Units in a bucket of a node."""
        return self.held.get(bucket, {}).get(node, 0)

    @property
    def to_come(self) -> int:
        """Units that are expected, or on their way."""
        return sum(sum(self.held.get(bucket, {}).values()) for bucket in ("inbound", "in_transit"))

    def arrivals(self) -> tuple[Arrival, ...] | None:
        """What of it is to arrive on a day, by day; None where there is nothing."""
        if not (self.expected or self.transfers):
            return None
        found = [(by.isoformat(), node, units) for node, units, by in self.awaited() if by is not None]
        return tuple(sorted(found)) or None

    def awaited(self) -> Iterator[tuple[str, int, datetime | None]]:
        """Node, units and day of each document of which some are expected, or on their way."""
        for expected in self.expected.values():
            if expected.open and not expected.closed:
                yield expected.node, expected.open, expected.expected_at
        for sent in self.transfers.values():
            if sent.open and not sent.closed:
                yield sent.target_node, sent.open, sent.due_at

    @property
    def all_units(self) -> int:
        """Units in every bucket kept here."""
        return sum(sum(nodes.values()) for nodes in self.held.values())


NO_SUPPLY = SupplyPart()


def evolve_told(
    skus: Skus, supplies: Mapping[str, SupplyPart], event: Event
) -> tuple[dict[str, SkuPart], dict[str, SupplyPart]]:
    """SKUs and their supply after an event about one SKU's supply."""
    sku = event.stream.removeprefix("sku/")
    part = evolve_lots(moved(skus.get(sku, EMPTY_SKU), getattr(event, "movements", ())), event)
    part = trust_after(part, event)
    supply = evolve_supply(supplies.get(sku, NO_SUPPLY), sku, event)
    arrivals = supply.arrivals()
    if part.supplied != supply.to_come or part.arrivals != arrivals:
        part = replace(part, supplied=supply.to_come, arrivals=arrivals)
    return {**skus, sku: part}, {**supplies, sku: supply}


def evolve_supply(part: SupplyPart, sku: str, event: Event) -> SupplyPart:
    """The part after an event of its SKU, or a short pick of an order."""
    moves: Iterable[AnyMovement] = getattr(event, "movements", ())
    after = _held(part, [move for move in moves if move.sku == sku])
    if after.differences and (differences := corrected(after.differences, event)) is not after.differences:
        after = changed(after, differences=differences)
    match event:
        case StockShorted():
            return _shorted(after, sku, event)
        case SupplyExpected() | SupplyReceived() | SupplyCancelled():
            known = part.expected.get(event.supply_id, Expected(event.node))
            return changed(after, expected=_put(part.expected, event.supply_id, _supplied(known, event)))
        case (
            TransferDispatched()
            | TransferReceiptHeld()
            | TransferReceived()
            | TransferOverdue()
            | TransferClosed()
        ):
            moved = _transferred(part.transfers.get(event.transfer_id, Transfer()), event)
            return changed(after, transfers=_put(part.transfers, event.transfer_id, moved))
        case CountRecorded():
            return _counted(after, event)
        case AdjustmentProposed():
            asked = Difference(event.node, event.variance, "snapshot", event.as_of, event.up_to or 0)
            return changed(after, differences={**after.differences, event.proposal_id: asked})
        case DifferenceSettled() | DifferenceSuperseded():
            return _closed(after, event)
        case SupplyPegged():
            return _pegged(after, event)
        case StockReported():
            told = Told(event.node, event.told, event.stated_at, event.stale_at, rows=event.rows)
            return changed(after, feeds={**part.feeds, event.feed: told})
        case ItemDefined():
            return changed(after, units_of_measure=units_of(event))
        case FeedStale():
            stale = changed(part.feeds[event.feed], stale=True)
            return changed(after, feeds={**part.feeds, event.feed: stale})
    return after


def _held(part: SupplyPart, movements: Iterable[AnyMovement]) -> SupplyPart:
    held = part.held
    for move in movements:
        for bucket, delta in ((move.source, -move.quantity), (move.target, move.quantity)):
            if bucket in KEPT_BUCKETS:
                nodes = added(held.get(bucket, {}), move.node, delta)
                held = {**held, bucket: nodes} if nodes else {b: n for b, n in held.items() if b != bucket}
    return part if held is part.held else changed(part, held=held)


def _supplied(known: Expected, event: SupplyExpected | SupplyReceived | SupplyCancelled) -> Expected:
    match event:
        case SupplyExpected():
            return changed(
                known,
                node=event.node,
                quantity=event.quantity,
                open=event.open,
                expected_at=event.expected_at,
                stated_at=event.stated_at,
            )
        case SupplyReceived():
            return changed(
                known,
                received=known.received + event.quantity + event.damaged,
                open=event.open,
                closed=known.closed or event.outcome == "short",
                receipts=(*known.receipts, event.receipt_id),
            )
        case SupplyCancelled():
            return changed(known, open=0, closed=True)


def _transferred(
    known: Transfer,
    event: TransferDispatched | TransferReceiptHeld | TransferReceived | TransferOverdue | TransferClosed,
) -> Transfer:
    match event:
        case TransferDispatched():
            return changed(
                known,
                source_node=event.source_node,
                target_node=event.target_node,
                open=event.quantity,
                due_at=event.due_at,
                early=(),
                lots={one.lot: one.quantity for one in event.lots or ()},
            )
        case TransferReceiptHeld():
            return changed(known, early=(*known.early, event), receipts=(*known.receipts, event.receipt_id))
        case TransferReceived():
            receipts = known.receipts
            if event.receipt_id not in receipts:
                receipts = (*receipts, event.receipt_id)
            return changed(
                known,
                open=event.open,
                closed=known.closed or not event.open,
                receipts=receipts,
                lots=_left(known.lots, event),
            )
        case TransferOverdue():
            return changed(known, overdue=True)
        case TransferClosed():
            return changed(known, open=0, closed=True, lots={})


def _left(lots: dict[str, int], event: TransferReceived) -> dict[str, int]:
    """The lots of a transfer that are still on their way."""
    for move in event.movements if lots else ():
        if move.source == "in_transit":
            lots = added(lots, move.lot or NO_LOT, -move.quantity)
    return {lot: units for lot, units in lots.items() if units > 0}


def _counted(part: SupplyPart, event: CountRecorded) -> SupplyPart:
    mark = CountMark(event.effective_at, event.up_to + len(event.movements))
    differences = part.differences
    if event.outcome == "held":
        lots = {one.lot: one.counted - one.book for one in event.lots or () if one.counted != one.book}
        asked = Difference(event.node, event.variance, "count", event.effective_at, event.up_to, lots=lots)
        differences = {**differences, event.count_id: asked}
    return changed(
        part,
        counts=_last(part.counts, event.count_id),
        counted={**part.counted, event.node: mark},
        short_picks=_unanswered(part, event.node, event.up_to),
        differences=differences,
    )


def _unanswered(part: SupplyPart, node: str, up_to: int) -> dict[str, tuple[int, ...]]:
    """Picks that found nothing, but for those at the node which a count has answered, up to that position."""
    later = tuple(at for at in part.short_picks.get(node, ()) if at > up_to)
    others = {of: at for of, at in part.short_picks.items() if of != node}
    return {**others, node: later} if later else others


def _closed(part: SupplyPart, event: DifferenceSettled | DifferenceSuperseded) -> SupplyPart:
    """A difference waits no more. One that was approved speaks of its node as a count does."""
    id_, node = event.proposal_id, event.node
    differences = dict(part.differences)
    found = differences.pop(id_)
    after = changed(part, differences=differences, counts=_last(part.counts, id_))
    if isinstance(event, DifferenceSuperseded):
        names = {**part.superseded, id_: event.by}
        forgotten = [*names][:-REMEMBERED_MAX]
        return changed(after, superseded={one: by for one, by in names.items() if one not in forgotten})
    if not event.approved:
        return after
    last = part.counted.get(node, CountMark(found.as_of, found.position))
    position = max((move.position for move in event.movements), default=last.position)
    mark = CountMark(max(last.counted_at, found.as_of), position)
    picks = _unanswered(part, node, position)
    return changed(after, counted={**part.counted, node: mark}, short_picks=picks)


def _shorted(part: SupplyPart, sku: str, event: StockShorted) -> SupplyPart:
    """Remember a pick that found nothing, unless a count after it was folded already."""
    picks = part.short_picks
    for move in event.movements:
        if move.sku == sku and move.target == "missing":
            mark = part.counted.get(move.node)
            if mark is None or move.position > mark.position:
                picks = {**picks, move.node: (*picks.get(move.node, ()), move.position)}
    return part if picks is part.short_picks else changed(part, short_picks=picks)


def _pegged(part: SupplyPart, event: SupplyPegged) -> SupplyPart:
    gone = (*(event.baskets_lost or ()), *(event.baskets_done or ()))
    without = {*event.lost, *event.done, *map(waiter, gone)}
    pegged = {holder: peg for holder, peg in part.pegged.items() if holder not in without}
    for one in event.pegs:
        pegged[one.order_id] = Peg(one.supply_id, one.node, one.usable_at)
    for basket in event.baskets or ():
        pegged[waiter(basket.promise_id)] = Peg(basket.supply_id, basket.node, basket.usable_at)
    return changed(part, pegged=pegged)


def _put(documents: Mapping[str, Named], id_: str, one: Named) -> dict[str, Named]:
    """The documents with this one; of those that are done with, the last are kept."""
    known = {**documents, id_: one}
    if len(known) <= REMEMBERED_MAX:
        return known
    done = [key for key, found in known.items() if _done(found)]
    for key in done[: len(known) - REMEMBERED_MAX]:
        del known[key]
    return known


def _done(document: object) -> bool:
    """Nothing of it is to come."""
    match document:
        case Expected():
            return document.closed or not document.open
        case Transfer():
            return document.closed
    raise AssertionError(f"{type(document).__name__} is no document")


def _last(ids: tuple[str, ...], id_: str) -> tuple[str, ...]:
    return (*(one for one in ids if one != id_), id_)[-REMEMBERED_MAX:]
