"""Inventory's contracts for what is counted, differs from what another system says, or is doubted."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from libs.events.contract import Count, Name, NodeId, Note, Quantity, SkuCommand, SkuEvent, Value
from libs.events.measure import LOTS_MAX, LotId, SerialNumbers, Stated, UnitName
from libs.events.supply import Movements

Variance = Annotated[int, Field(strict=True, ge=-(10**9), le=10**9)]
"""Counted minus recorded."""


class LotCount(Value):
    """What was counted of one lot of a shelf, and what the ledger had of it then."""

    lot: LotId
    counted: Count
    book: Count


LotCounts = Annotated[tuple[LotCount, ...], Field(min_length=1, max_length=LOTS_MAX)]
"""Of every lot that was found, or that the ledger had; each once."""


class RecordCount(SkuCommand):
    """Somebody counted the sellable units of a SKU at a node: on the shelf, and set aside for orders.

    `book` is what the ledger had there at `counted_at` (on hand, allocated and suspect), read when the SKU
    stood at `position`. The edge fills both in; who publishes the command himself reads them at
    GET /v1/stock/{sku}/book.
    """

    TYPE: ClassVar[str] = "oms.inventory.record_count"

    count_id: Name
    node: NodeId
    counted: Count
    counted_at: AwareDatetime
    book: Count
    position: Annotated[int, Field(strict=True, ge=0)]
    reason_code: Name = "count"
    unit: UnitName | None = None
    """What `counted` is stated in; None, base units."""
    lot: LotId | None = None
    """Where the SKU has lots: whose units those are that were found more."""
    serials: SerialNumbers | None = None
    """Where the SKU has serial numbers: of the units that were found more, or that lack."""
    lots: LotCounts | None = None
    """Where the SKU has lots: the whole shelf by lot, each in base units. `counted` and `book` are sums."""


DifferenceSource = Literal["count", "snapshot"]


class ProposeAdjustment(SkuCommand):
    """A snapshot of another system differs from the ledger, and nothing explains it: ask a person. A variance
    of 0 says that they agree, which closes what an older count or snapshot of the shelf left open."""

    TYPE: ClassVar[str] = "oms.inventory.propose_adjustment"

    proposal_id: Name
    node: NodeId
    variance: Variance
    """What the other system has minus what the ledger had, at `as_of`."""
    as_of: AwareDatetime
    system: Name
    explanation: Note = ""
    position: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Where the SKU stood when the ledger was read for it, as for a count."""


class SettleDifference(SkuCommand):
    """Approve a difference, so that the ledger follows it, or reject it."""

    TYPE: ClassVar[str] = "oms.inventory.settle_difference"

    proposal_id: Name
    """The count's id, or the proposal's."""
    approve: bool
    note: Note = ""


class SuspectStock(SkuCommand):
    """Doubt what a node has on hand, because nothing has moved there for long, say: promise none of it until
    it is counted."""

    TYPE: ClassVar[str] = "oms.inventory.suspect_stock"

    node: NodeId
    reason: Note = ""


class CountRecorded(SkuEvent):
    """A count, and what it changed. Movements since then stand: the variance alone is booked."""

    TYPE: ClassVar[str] = "oms.inventory.count_recorded"

    count_id: Name
    node: NodeId
    counted: Count
    effective_at: AwareDatetime
    """When it was counted."""
    book: Count
    variance: Variance
    outcome: Literal["matched", "booked", "held"]
    """`held`: it waits for a person (SettleDifference)."""
    allocated_short: Count = 0
    """Units that lack and are allocated to orders: their picks will come up short."""
    reason_code: Name = "count"
    up_to: Annotated[int, Field(ge=0)]
    """The SKU's position that it stands behind: picks in vain before it are answered."""
    movements: Movements
    stated: Stated | None = None
    """The quantity as it was stated, where that was in a unit."""
    lots: LotCounts | None = None
    """By lot, where it was counted so: each variance is booked to its lot."""


class AdjustmentProposed(SkuEvent):
    """A difference with another system waits for a person (SettleDifference)."""

    TYPE: ClassVar[str] = "oms.inventory.adjustment_proposed"

    proposal_id: Name
    node: NodeId
    variance: Variance
    as_of: AwareDatetime
    system: Name
    explanation: Note = ""
    up_to: Annotated[int, Field(ge=0)] | None = None
    """The SKU's position that it stands behind."""


class DifferenceSettled(SkuEvent):
    """A person approved a difference, and it was booked, or rejected it, and nothing was."""

    TYPE: ClassVar[str] = "oms.inventory.difference_settled"

    proposal_id: Name
    node: NodeId
    source: DifferenceSource
    approved: bool
    variance: Variance
    allocated_short: Count = 0
    note: Note = ""
    effective_at: AwareDatetime
    """When it was counted, or the snapshot was made."""
    movements: Movements


class DifferenceSuperseded(SkuEvent):
    """A difference asks nobody any more: something newer was told of its shelf. Nothing is booked for it."""

    TYPE: ClassVar[str] = "oms.inventory.difference_superseded"

    proposal_id: Name
    """The count's id, or the proposal's."""
    node: NodeId
    source: DifferenceSource
    variance: Variance
    as_of: AwareDatetime
    """When it was counted, or the snapshot was made."""
    cause: Literal["count", "snapshot", "feed"]
    """What is newer."""
    by: Name
    """The id of that count or proposal, or the feed's name."""


class StockSuspected(SkuEvent):
    """What a node has on hand is doubted, for picks found nothing or somebody said so: it is not promised
    until it is counted."""

    TYPE: ClassVar[str] = "oms.inventory.stock_suspected"

    node: NodeId
    quantity: Quantity
    short_picks: Annotated[int, Field(ge=0)]
    """Picks that found nothing since the last count; 0 where somebody said so."""
    reason: Note = ""
    movements: Movements


STOCKTAKING_COMMANDS = (
    RecordCount,
    ProposeAdjustment,
    SettleDifference,
    SuspectStock,
)
STOCKTAKING_EVENTS = (
    CountRecorded,
    AdjustmentProposed,
    DifferenceSettled,
    DifferenceSuperseded,
    StockSuspected,
)
