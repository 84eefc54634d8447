"""Inventory's contracts: the double-entry stock ledger and the promises made on it.

A movement takes whole units from one bucket to another of a SKU at a node. Physical buckets belong to a
node; the soft reservation belongs to the network (`NETWORK`), paired with the contra bucket `unreserved`.
After every event: no bucket but a source is below zero, `reserved` is at most the sum of `on_hand`, and
`transfer` is zero over the nodes of a SKU.
"""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from libs.events.contract import (
    Name,
    NodeId,
    Note,
    OrderEvent,
    OrderId,
    Quantity,
    Sku,
    SkuCommand,
    SkuEvent,
    Value,
)
from libs.events.measure import LotId, SerialNumber, SerialNumbers, Stated, UnitName, Unnamed
from libs.events.order import Destination, LineQuantity, NodeLines, PickFrom, Sealed, Unpacked
from libs.events.places import DayLoad
from libs.events.policy import KeptPlace, OrderPolicy, TermsUsed
from libs.events.serving import Served

NETWORK = "*"
"""The node of soft reservations: a promise that no place has been chosen for."""

Bucket = Literal[
    "supplier",  # source: where receipts come from; may be negative
    "adjustment",  # source: found or corrected units; may be negative
    "transfer",  # contra between nodes, where units came in by another node than they go on from
    "unreserved",  # contra of reserved, at NETWORK; may be negative
    "reserved",  # soft claims, at NETWORK
    "on_hand",  # sellable units at a node that no order has been given
    "allocated",  # hard claims at a node
    "issued",  # left the building with a shipment
    "missing",  # not found at the pick
    "damaged",  # found broken at the pick
    "written_off",  # taken out by an adjustment
    "scrapped",  # came back and was disposed of
]
SOURCES: frozenset[str] = frozenset({"supplier", "adjustment", "transfer", "unreserved", "kitted"})
"""Buckets that may be below zero: the other side of what entered the ledger, or a node."""

Units = Annotated[int, Field(strict=True, ge=1, le=10**15)]
"""Whole units of a SKU, summed over lines or deliveries: more than one line or delivery may have."""


class Movement(Value):
    """Units from one bucket to another. `position` counts the SKU's movements from 1, without a gap."""

    sku: Sku
    node: Annotated[str, StringConstraints(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,31})$")]
    source: Bucket
    target: Bucket
    quantity: Units
    position: Annotated[int, Field(strict=True, ge=1)]
    lot: LotId | None = None
    """Whose units they are, where the SKU has lots."""
    serials: tuple[SerialNumber, ...] | None = None
    """Of each unit that comes, leaves or changes its place, where the SKU has serial numbers."""


class QueueChange(Value):
    """What an event does to who waits for a SKU, and who is served before whom: somebody joins its queue or
    leaves it, is given units while others wait, loses some, or the terms are new."""

    sku: Sku
    number: Annotated[int, Field(strict=True, ge=1)]
    """Counts such changes of the SKU from 1, without a gap."""
    up_to: Annotated[int, Field(strict=True, ge=0)] | None = None
    """The last movement of the SKU before it, where the event moves none of its units itself."""


class ReceiveStock(SkuCommand):
    """Units arrived at a node and are sellable."""

    TYPE: ClassVar[str] = "oms.inventory.receive_stock"

    node: NodeId
    quantity: Quantity
    reference: Name | None = None
    """The supplier's or the warehouse's document."""
    effective_at: AwareDatetime | None = None
    """When it was true, where that is not when it is told; never later than that."""
    unit: UnitName | None = None
    """What the quantity is stated in; None, base units."""
    lot: LotId | None = None
    """Where the SKU has lots: which one, and the last day on which it may be sold."""
    expires_on: date | None = None
    serials: SerialNumbers | None = None
    """Of each unit, where the SKU has serial numbers."""


class AdjustStock(SkuCommand):
    """Correct what is on hand at a node: found units (+), damaged or lost ones (−)."""

    TYPE: ClassVar[str] = "oms.inventory.adjust_stock"

    node: NodeId
    delta: Annotated[int, Field(strict=True, ge=-1_000_000, le=1_000_000)]
    reason_code: Name
    reference: Name | None = None
    effective_at: AwareDatetime | None = None
    """When it was true, where that is not when it is told; never later than that."""
    unit: UnitName | None = None
    """What the quantity is stated in; None, base units."""
    lot: LotId | None = None
    """Which one, where the SKU has lots."""
    serials: SerialNumbers | None = None
    """Of each unit, where the SKU has serial numbers."""


class StockReceived(SkuEvent):
    """Units entered the ledger at a node."""

    TYPE: ClassVar[str] = "oms.inventory.stock_received"

    node: NodeId
    quantity: Quantity
    reference: Name | None = None
    movements: tuple[Movement, ...]
    effective_at: AwareDatetime | None = None
    """When it was true, where that is not when it is told; never later than that."""
    stated: Stated | None = None
    """The quantity as it was stated, where that was in a unit."""


class StockAdjusted(SkuEvent):
    """What is on hand was corrected by a person or a count."""

    TYPE: ClassVar[str] = "oms.inventory.stock_adjusted"

    node: NodeId
    delta: int
    reason_code: Name
    reference: Name | None = None
    movements: tuple[Movement, ...]
    effective_at: AwareDatetime | None = None
    """When it was true, where that is not when it is told; never later than that."""
    stated: Stated | None = None
    """The quantity as it was stated, where that was in a unit."""


class Claim(Value):
    """Units of one SKU that an order's soft reservation won or lost."""

    order_id: OrderId
    quantity: Units


class StockPegged(SkuEvent):
    """Arrived units were claimed by orders that wait for this SKU: by class, then by age."""

    TYPE: ClassVar[str] = "oms.inventory.stock_pegged"

    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]
    terms_version: Annotated[int, Field(ge=1)] | None = None
    """The terms of the SKU that it was decided by, if it has any."""
    cause: Literal["reallocated"] | None = None
    """`reallocated`: the units are those that orders behind these have just lost."""
    supplied: Literal[True] | None = None
    """More of it is to come, so that the date of who still waits may change."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    movements: tuple[Movement, ...]


class ReservationBroken(SkuEvent):
    """Units promised but not yet allocated turned out not to exist; the youngest claims lose them.

    It stands before the adjustment that makes it necessary, so that no promise is ever without its units.
    With the cause `reallocated` the units exist, and go to orders of a higher class or an earlier promise,
    which the policy of these allows: the `StockPegged` that follows names them. With the cause `shelf_life`
    they exist, and too few of them have as many days left as the channel of these orders asks for; with
    `not_served`, others do, at nodes that do not ship to where these orders go.
    """

    TYPE: ClassVar[str] = "oms.inventory.reservation_broken"

    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]
    cause: Literal["reallocated", "shelf_life", "not_served"] | None = None
    supplied: Literal[True] | None = None
    """More of it is to come, so that who lost units can be told a date."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    movements: tuple[Movement, ...]


class Availability(Value):
    """Unallocated units on hand of a SKU at a node, as the decision saw them."""

    node: NodeId
    sku: Sku
    quantity: Units


class Shortage(Value):
    """Units of a SKU that a decision wanted and did not find."""

    sku: Sku
    quantity: Units
    node: NodeId | None = None
    reason: Literal["below_reorder_point", "shelf_life", "switched_off", "not_served"] | None = None
    """`below_reorder_point`: units are free, and kept for orders of a higher class. `shelf_life`: lots have
    too few days left for the order's channel. `switched_off`: units are free at nodes that ship nothing.
    `not_served`: units are free at nodes that do not ship to where the order goes; or those at `node` are
    needed for orders that no other node serves."""


class StockReserved(OrderEvent):
    """Every unit of `lines`, all that is not allocated yet, is promised to the order. Carries what routing
    needs to decide.

    `round` counts the order's sourcing rounds from 1: a short pick, a broken reservation or a lost race at a
    node starts the next, and a plan for an earlier round is void.
    """

    TYPE: ClassVar[str] = "oms.inventory.stock_reserved"

    round: Annotated[int, Field(ge=1)]
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    availability: tuple[Availability, ...]
    since: AwareDatetime
    """When the order was accepted: its place in the queue of each SKU."""
    destination: Destination
    contact: Sealed | None = None
    channel: Name | None = None
    """Of the order, where its SKUs have terms."""
    terms: tuple[TermsUsed, ...] | None = None
    """By which terms, where its SKUs have any."""
    policy: OrderPolicy | None = None
    """Of the order, where the tenant has one for it."""
    later: Annotated[tuple[LineQuantity, ...], Field(min_length=1)] | None = None
    """Units that wait, and are not shipped with these: where the policy is `partial`."""
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""
    service: Name | None = None
    """By which service of the carriers, where the order names one."""
    served: Served | None = None
    """Where units of which SKUs go, where not all of their nodes ship everywhere."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    places: tuple[KeptPlace, ...] | None = None
    """Its place in these queues, where that is another: it took it over from a basket that waited."""
    movements: tuple[Movement, ...]


class StockBackordered(OrderEvent):
    """Not all of `lines` can be promised. What exists is held for the order; `short` is waited for."""

    TYPE: ClassVar[str] = "oms.inventory.stock_backordered"

    round: Annotated[int, Field(ge=1)]
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    short: Annotated[tuple[Shortage, ...], Field(min_length=1)]
    since: AwareDatetime
    """When the order was accepted: its place in the queue of each SKU."""
    destination: Destination
    contact: Sealed | None = None
    channel: Name | None = None
    """Of the order, where its SKUs have terms."""
    terms: tuple[TermsUsed, ...] | None = None
    """By which terms, where its SKUs have any."""
    policy: OrderPolicy | None = None
    """Of the order, where the tenant has one for it."""
    supplied: tuple[Sku, ...] | None = None
    """Those of `short` of which units are to come, so that the order can be told a date."""
    service: Name | None = None
    """By which service of the carriers, where the order names one."""
    served: Served | None = None
    """Where units of which SKUs go, where not all of their nodes ship everywhere."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    places: tuple[KeptPlace, ...] | None = None
    """Its place in these queues, where that is another: it took it over from a basket that waited."""
    movements: tuple[Movement, ...]


class StockAllocated(OrderEvent):
    """The plan became hard claims at nodes; fulfillment may release the work."""

    TYPE: ClassVar[str] = "oms.inventory.stock_allocated"

    round: Annotated[int, Field(ge=1)]
    nodes: Annotated[tuple[NodeLines, ...], Field(min_length=1)]
    destination: Destination
    contact: Sealed | None = None
    later: Annotated[tuple[LineQuantity, ...], Field(min_length=1)] | None = None
    """Units of the order that still wait for stock: work on them comes with a later round."""
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""
    picks: tuple[PickFrom, ...] | None = None
    """Of which lots and bins, for SKUs that have some."""
    service: Name | None = None
    """By which service of the carriers, where the order names one."""
    loads: tuple[DayLoad, ...] | None = None
    """What it books of the days of nodes that state a capacity."""
    frees: Annotated[tuple[Sku, ...], Field(min_length=1)] | None = None
    """SKUs of which who waits may be promised units of other nodes now: a node of theirs has gone silent."""
    movements: tuple[Movement, ...]


class AllocationFailed(OrderEvent):
    """Another order was first at a node. The promise stands; routing decides again, from fresh figures."""

    TYPE: ClassVar[str] = "oms.inventory.allocation_failed"

    round: Annotated[int, Field(ge=2)]
    """The new round that this opens."""
    short: Annotated[tuple[Shortage, ...], Field(min_length=1)]
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    availability: tuple[Availability, ...]
    destination: Destination
    later: Annotated[tuple[LineQuantity, ...], Field(min_length=1)] | None = None
    """As in the `StockReserved` that was planned."""
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""
    service: Name | None = None
    """By which service of the carriers, where the order names one."""


class StockReleased(OrderEvent):
    """What the order still held is free again.

    After `cancelled` the order never holds stock again; it may come before any other event of the order.
    After `unroutable` only `lines` are given up, and what else is allocated goes its way.
    """

    TYPE: ClassVar[str] = "oms.inventory.stock_released"

    cause: Literal["cancelled", "unroutable"] = "cancelled"
    reason: Note = ""
    lines: tuple[LineQuantity, ...] = ()
    """Units that had no node yet, promised or waited for, and are given up."""
    waited: tuple[Sku, ...] | None = None
    """SKUs of which units may have been kept for it while it waited for all or nothing."""
    loads: tuple[DayLoad, ...] | None = None
    """What it gives back of the days of nodes that state a capacity."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    movements: tuple[Movement, ...]


class StockIssued(OrderEvent):
    """Allocated units left with a shipment."""

    TYPE: ClassVar[str] = "oms.inventory.stock_issued"

    shipment_id: Name
    movements: tuple[Movement, ...]
    unnamed: tuple[Unnamed, ...] | None = None
    """Units that left without a serial number that is on the node's shelf: somebody should look."""


class StockShorted(OrderEvent):
    """Allocated units were not found, or found broken, at the pick; they are sourced again."""

    TYPE: ClassVar[str] = "oms.inventory.stock_shorted"

    fulfillment_order_id: Name
    lines: tuple[LineQuantity, ...]
    movements: tuple[Movement, ...]


class StockReturned(OrderEvent):
    """Returned units were put back on hand or scrapped, as the inspection disposed."""

    TYPE: ClassVar[str] = "oms.inventory.stock_returned"

    rma_id: Name
    movements: tuple[Movement, ...]
    unnamed: tuple[Unnamed, ...] | None = None
    """Units that came back without a serial number that the order was sent: somebody should look."""


INVENTORY_COMMANDS = (ReceiveStock, AdjustStock)
INVENTORY_EVENTS = (
    StockReceived,
    StockAdjusted,
    StockPegged,
    ReservationBroken,
    StockReserved,
    StockBackordered,
    StockAllocated,
    AllocationFailed,
    StockReleased,
    StockIssued,
    StockShorted,
    StockReturned,
)
