"""What inventory knows of one order: what it still has to find units for, and which units it has given it.

What of `pending` is promised stands in the claims of the SKU parts alone, because deliveries of a SKU
change it without meeting the order.
"""

from collections.abc import Iterable
from dataclasses import field, replace
from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter

from libs.events.amendments import AmendedTerms, StockDeallocated
from libs.events.backorders import BackorderRefused
from libs.events.bundles import BundlesUnpacked
from libs.events.changes import LinesReleased
from libs.events.dates import BackorderDated
from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    AllocationFailed,
    Movement,
    StockAllocated,
    StockBackordered,
    StockIssued,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShorted,
)
from libs.events.order import Destination, LineQuantity, Sealed, Unpacked, in_parts
from libs.events.policy import BackorderLapsed, KeptPlace, OrderPolicy
from libs.events.record import record
from libs.events.returns import ReturnReceived
from libs.events.set_aside import ReturnMovement, ReturnQuarantined
from services.inventory.balances import added
from services.inventory.loads import Booked, rebooked, shipped
from services.inventory.lots import LotUnits, lots_of_order
from services.inventory.serials import unbelieved_after

Status = Literal[
    "new",  # not met yet
    "unpacked",  # names bundles: pending are their parts, which are promised next
    "waiting",  # backordered: some pending units are not promised
    "reserved",  # all pending units but `later` were promised, and routing was told so
    "lapsing",  # it has waited as long as it may: what lacks is about to be given up
    "settled",  # nothing pending
    "closed",  # cancelled: never holds stock again
]
ByNode = dict[str, dict[str, int]]
"""Units by node, then by SKU."""
Moving = (
    StockReserved
    | StockBackordered
    | StockAllocated
    | StockReleased
    | LinesReleased
    | StockIssued
    | StockShorted
    | StockReturned
    | ReturnQuarantined
    | StockDeallocated
)
"""Inventory's events of an order's stream that move units."""
StockEvent = Moving | AllocationFailed | BackorderRefused | BackorderLapsed | BundlesUnpacked | BackorderDated
"""Inventory's events of an order's stream."""


@record
class OrderPart:
    """State of an order's stream."""

    status: Status = "new"
    round: int = 0
    """The sourcing round that routing was last asked about, or will be when the wait is over."""
    since: datetime | None = None
    skus: tuple[str, ...] = ()
    """Every SKU that it ordered."""
    pending: tuple[LineQuantity, ...] = ()
    """Units without a node, by line."""
    allocated: ByNode = field(default_factory=dict)
    issued: ByNode = field(default_factory=dict)
    """Units that left, by the node that shipped them and SKU, and did not come back."""
    destination: Destination | None = None
    contact: Sealed | None = None
    shipments: tuple[str, ...] = ()
    """Whose stock was issued."""
    shorted: tuple[str, ...] = ()
    """Fulfillment orders whose short pick was answered."""
    channel: str | None = None
    """Where its SKUs have terms."""
    policy: OrderPolicy | None = None
    """What it goes by, where the tenant has a policy for it."""
    later: tuple[LineQuantity, ...] = ()
    """Of the pending units, those that routing was not asked about: they wait, while the others ship."""
    early_returns: tuple[ReturnReceived, ...] = ()
    """Came from returns before the shipment did from fulfillment; answered in this order."""
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts."""
    service: str | None = None
    """Of the carriers, where it names one."""
    promise_id: str | None = None
    """A held promise that it names, until something is promised to it: only of an order with bundles."""
    cut: tuple[LineQuantity, ...] = ()
    """Cancelled before the order was heard of."""
    dated: datetime | None = None
    """Until when it was last told that it has to wait."""
    booked: Booked | None = None
    """Of the days of nodes that state a capacity, for what has not left."""
    lots: LotUnits | None = None
    """Units that it has, and was sent, of SKUs that have lots: by bucket/node/SKU, then by lot."""
    unbelieved: tuple[str, ...] | None = None
    """Serial numbers, as node/SKU/number, that were told of units that left, and were not on the shelf."""
    amended: AmendedTerms | None = None
    """What of its terms is other than it was: it may be heard of before the order, or any of its promises."""
    places: tuple[KeptPlace, ...] | None = None
    """Where it waits since another moment: it took the place of a basket over."""

    @property
    def country(self) -> str:
        """Where it goes. It must have been accepted."""
        destination = self.destination_now
        assert destination is not None, "an order that nobody accepted has no destination"
        return destination.country

    @property
    def asked(self) -> tuple[LineQuantity, ...]:
        """The pending units that routing is asked about."""
        return minus(self.pending, self.later) if self.later else self.pending

    # As they are by now; what it was promised last may be for the terms of before.

    @property
    def destination_now(self) -> Destination | None:
        amended = self.amended
        return self.destination if amended is None else amended.destination or self.destination

    @property
    def contact_now(self) -> Sealed | None:
        return self.contact if self.amended is None else self.amended.contact or self.contact

    @property
    def service_now(self) -> str | None:
        return self.service if self.amended is None else self.amended.service or self.service


NEW_ORDER = OrderPart()
_LINES = TypeAdapter(tuple[LineQuantity, ...])


def as_ordered(accepted: OrderAccepted, cut: tuple[LineQuantity, ...] = ()) -> tuple[LineQuantity, ...]:
    """An order's lines, without what inventory has no use for, and without what was cancelled before."""
    lines = _LINES.validate_python(
        [{"line": x.line, "sku": x.sku, "quantity": x.quantity} for x in accepted.lines]
    )
    return minus(lines, cut) if cut else lines


def as_quantities(lines: Iterable[LineQuantity]) -> tuple[LineQuantity, ...]:
    """The same lines, by number, SKU and units alone."""
    return tuple([LineQuantity(line=x.line, sku=x.sku, quantity=x.quantity) for x in lines])


def units(lines: Iterable[LineQuantity]) -> dict[str, int]:
    """Units by SKU; several lines may share one."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.sku] = sums.get(line.sku, 0) + line.quantity
    return sums


def plus(lines: Iterable[LineQuantity], more: Iterable[LineQuantity]) -> tuple[LineQuantity, ...]:
    """Lines with the units of both, by line number."""
    sums = {line.line: line for line in lines}
    for line in more:
        before = sums.get(line.line)
        if before is not None:
            line = LineQuantity(line=line.line, sku=line.sku, quantity=before.quantity + line.quantity)
        sums[line.line] = line
    return tuple(sums[number] for number in sorted(sums))


def minus(lines: Iterable[LineQuantity], less: Iterable[LineQuantity]) -> tuple[LineQuantity, ...]:
    """Lines without the units of `less`, which must be among them."""
    gone = {line.line: line.quantity for line in less}
    rest: list[LineQuantity] = []
    for line in lines:
        quantity = line.quantity - gone.pop(line.line, 0)
        assert quantity >= 0, f"line {line.line} gives up {-quantity} units more than it waits for"
        if quantity:
            rest.append(LineQuantity(line=line.line, sku=line.sku, quantity=quantity))
    assert not gone, f"lines {sorted(gone)} give up units and wait for none"
    return tuple(rest)


def evolve_order(order: OrderPart, event: StockEvent) -> OrderPart:
    """The order after an event of its own stream."""
    match event:
        case BundlesUnpacked():
            return _unpacked(event, order)
        case StockReserved():
            return _promised(order, event, "reserved")
        case StockAllocated():
            return _allocated(order, event)
        case StockBackordered():
            return _promised(order, event, "waiting")
        case AllocationFailed():
            return replace(order, round=event.round)
        case BackorderRefused():
            return replace(order, status="settled", pending=event.rest, promise_id=None)
        case BackorderLapsed():
            return replace(order, status="lapsing")
        case BackorderDated():
            return replace(order, dated=event.usable_at)
        case StockReleased():
            return _released(order, event)
        case LinesReleased():
            if order.status == "new":
                return replace(order, cut=plus(order.cut, event.lines))
            return _released(order, event)
        case StockDeallocated():
            return replace(
                order,
                pending=plus(order.pending, event.lines),
                allocated=_after(order.allocated, "allocated", event.movements),
                booked=rebooked(order.booked, event.loads),
                lots=lots_of_order(order.lots, event.movements),
            )
        case StockShorted():
            return replace(
                order,
                pending=plus(order.pending, event.lines),
                allocated=_after(order.allocated, "allocated", event.movements),
                lots=lots_of_order(order.lots, event.movements),
                shorted=(*order.shorted, event.fulfillment_order_id),
            )
        case StockIssued():
            return replace(
                order,
                allocated=_after(order.allocated, "allocated", event.movements),
                issued=_after(order.issued, "issued", event.movements),
                lots=lots_of_order(order.lots, event.movements),
                booked=shipped(order.booked, event.movements),
                shipments=(*order.shipments, event.shipment_id),
                unbelieved=unbelieved_after(order.unbelieved, event),
            )
        case StockReturned() | ReturnQuarantined():
            answered = 1 if isinstance(event, StockReturned) else 0  # what is set aside comes with that
            return replace(
                order,
                issued=_after(order.issued, "issued", event.movements),
                lots=lots_of_order(order.lots, event.movements),
                early_returns=order.early_returns[answered:],
                unbelieved=unbelieved_after(order.unbelieved, event),
            )


def _unpacked(event: BundlesUnpacked, known: OrderPart) -> OrderPart:
    pending = (*event.others, *[part for line in event.bundles for part in as_quantities(line.parts)])
    if known.cut:
        pending = minus(pending, in_parts(event.bundles, known.cut))
    return OrderPart(
        status="unpacked",
        since=event.since,
        skus=tuple(dict.fromkeys([line.sku for line in pending])),
        pending=pending,
        destination=event.destination,
        contact=event.contact,
        channel=event.channel,
        bundles=event.bundles,
        service=event.service,
        promise_id=event.promise_id,
        policy=event.policy,
        amended=known.amended,
    )


# The two events that every order has spell all fields out: `replace` takes four times as long.


def _promised(order: OrderPart, event: StockReserved | StockBackordered, status: Status) -> OrderPart:
    later = event.later if isinstance(event, StockReserved) else None
    return OrderPart(
        status=status,
        round=event.round,
        since=event.since,
        skus=order.skus or tuple(dict.fromkeys([line.sku for line in (*event.lines, *(later or ()))])),
        pending=event.lines if later is None else plus(event.lines, later),
        allocated=order.allocated,
        issued=order.issued,
        destination=event.destination,
        contact=event.contact,
        shipments=order.shipments,
        shorted=order.shorted,
        channel=event.channel or order.channel,
        policy=event.policy or order.policy,
        later=later or (),
        early_returns=order.early_returns,
        bundles=order.bundles,
        service=event.service or order.service,
        booked=order.booked,
        dated=order.dated,
        lots=order.lots,
        unbelieved=order.unbelieved,
        amended=order.amended,
        places=order.places or event.places,
    )


def _allocated(order: OrderPart, event: StockAllocated) -> OrderPart:
    return OrderPart(
        status="waiting" if event.later else "settled",
        round=order.round,
        since=order.since,
        skus=order.skus,
        pending=event.later or (),
        allocated=_after(order.allocated, "allocated", event.movements),
        issued=order.issued,
        destination=order.destination,
        contact=order.contact,
        shipments=order.shipments,
        shorted=order.shorted,
        channel=order.channel,
        policy=order.policy,
        later=(),
        early_returns=order.early_returns,
        bundles=order.bundles,
        service=order.service,
        booked=rebooked(order.booked, event.loads),
        dated=order.dated,
        lots=lots_of_order(order.lots, event.movements),
        unbelieved=order.unbelieved,
        amended=order.amended,
        places=order.places,
    )


def _released(order: OrderPart, event: StockReleased | LinesReleased) -> OrderPart:
    pending = minus(order.pending, event.lines)
    status: Status = order.status
    if isinstance(event, StockReleased) and event.cause == "cancelled":
        assert not pending, "a cancelled order still waits for units"
        status = "closed"
    elif not pending:
        status = "settled"
    return replace(
        order,
        status=status,
        pending=pending,
        later=(),
        allocated=_after(order.allocated, "allocated", event.movements),
        booked=rebooked(order.booked, event.loads),
        lots=lots_of_order(order.lots, event.movements),
    )


def _after(sums: ByNode, bucket: str, movements: Iterable[Movement | ReturnMovement]) -> ByNode:
    """What is in a bucket, by node and SKU, after the movements."""
    after = dict(sums)
    for movement in movements:
        if movement.target == bucket:
            delta = movement.quantity
        elif movement.source == bucket:
            delta = -movement.quantity
        else:
            continue
        skus = added(after.pop(movement.node, {}), movement.sku, delta)
        if skus:
            after[movement.node] = skus
    return after
