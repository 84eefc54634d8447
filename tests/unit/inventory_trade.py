"""Words for inventory's tests: orders, plans, shipments and returns in one line each."""

from libs.events.fulfillment import (
    FulfillmentCancelled,
    PickShorted,
    ShipmentDispatched,
    ShippedPackage,
    ShortLine,
    ShortReason,
)
from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    NETWORK,
    AdjustStock,
    Availability,
    Bucket,
    Movement,
    QueueChange,
    ReceiveStock,
    Shortage,
)
from libs.events.order import Destination, LineQuantity, NodeLines, OrderLine
from libs.events.promise import HoldStock, Wanted
from libs.events.returns import Disposition, ReturnedUnits, ReturnReceived
from libs.events.routing import OrderRouted
from libs.events.timer import TimerDue
from tests.spec import NOON

FRANCE = Destination(country="FR")
Units = tuple[str, int]
"""A SKU and how many of it; a line's number is its place in the order."""


def lines(*ordered: Units, first: int = 1) -> tuple[LineQuantity, ...]:
    return tuple(
        LineQuantity(line=number, sku=sku, quantity=quantity)
        for number, (sku, quantity) in enumerate(ordered, first)
    )


def line(number: int, sku: str, quantity: int) -> LineQuantity:
    return LineQuantity(line=number, sku=sku, quantity=quantity)


def accepted(order_id: str, *ordered: Units) -> OrderAccepted:
    return OrderAccepted(
        order_id=order_id,
        channel="web",
        external_id=order_id,
        placed_at=NOON,
        currency="EUR",
        lines=tuple(
            OrderLine(line=number, sku=sku, quantity=quantity, unit_price_minor=100)
            for number, (sku, quantity) in enumerate(ordered, 1)
        ),
        destination=FRANCE,
    )


def hold(promise_id: str, *wanted: Units, ttl_seconds: int = 900) -> HoldStock:
    basket = tuple(Wanted(sku=sku, quantity=quantity) for sku, quantity in wanted)
    return HoldStock(promise_id=promise_id, lines=basket, ttl_seconds=ttl_seconds)


def of_basket(promise_id: str, order: OrderAccepted) -> OrderAccepted:
    """The order of a basket that was held."""
    return order.model_copy(update={"promise_id": promise_id})


def routed(order_id: str, round_: int, **by_node: tuple[LineQuantity, ...]) -> OrderRouted:
    return OrderRouted(
        order_id=order_id,
        round=round_,
        nodes=tuple(NodeLines(node=node, lines=planned) for node, planned in by_node.items()),
        candidates=(),
        rule_version=1,
        nodes_version=1,
    )


def receive(sku: str, quantity: int, node: str = "N1") -> ReceiveStock:
    return ReceiveStock(sku=sku, node=node, quantity=quantity)


def adjust(sku: str, delta: int, node: str = "N1") -> AdjustStock:
    return AdjustStock(sku=sku, node=node, delta=delta, reason_code="count")


def cancelled(order_id: str, *stopped: LineQuantity) -> FulfillmentCancelled:
    return FulfillmentCancelled(order_id=order_id, lines=stopped, reason="changed their mind")


def unroutable(order_id: str, *given_up: LineQuantity) -> FulfillmentCancelled:
    return FulfillmentCancelled(order_id=order_id, lines=given_up, cause="unroutable")


def dispatched(order_id: str, number: int, node: str, *shipped: LineQuantity) -> ShipmentDispatched:
    return ShipmentDispatched(
        order_id=order_id,
        fulfillment_order_id=f"{order_id}-F{number}",
        node=node,
        shipment_id=f"{order_id}-S{number}",
        carrier="post",
        packages=(ShippedPackage(package_id="p", tracking_number="t"),),
        lines=shipped,
    )


def shorted(
    order_id: str, number: int, node: str, *short: LineQuantity, reason: ShortReason = "not_found"
) -> PickShorted:
    return PickShorted(
        order_id=order_id,
        fulfillment_order_id=f"{order_id}-F{number}",
        node=node,
        lines=tuple(ShortLine(line=x.line, sku=x.sku, quantity=x.quantity, reason=reason) for x in short),
    )


def returned(
    order_id: str, node: str, *came: LineQuantity, disposition: Disposition = "restock", rma: int = 1
) -> ReturnReceived:
    return ReturnReceived(
        order_id=order_id,
        rma_id=f"{order_id}-R{rma}",
        node=node,
        units=tuple(
            ReturnedUnits(line=x.line, sku=x.sku, quantity=x.quantity, disposition=disposition) for x in came
        ),
    )


def due(stream: str, name: str) -> TimerDue:
    return TimerDue(timer_stream=stream, name=name)


def moves(sku: str, position: int, quantity: int, source: Bucket, target: Bucket, node: str) -> Movement:
    return Movement(sku=sku, node=node, source=source, target=target, quantity=quantity, position=position)


def promised(sku: str, position: int, quantity: int) -> Movement:
    return moves(sku, position, quantity, "unreserved", "reserved", NETWORK)


def unpromised(sku: str, position: int, quantity: int) -> Movement:
    return moves(sku, position, quantity, "reserved", "unreserved", NETWORK)


def changes(sku: str, number: int, up_to: int | None = None) -> tuple[QueueChange, ...]:
    """The nth change of a SKU's queue, which moves none of its units where `up_to` is given."""
    return (QueueChange(sku=sku, number=number, up_to=up_to),)


def there(sku: str, quantity: int, node: str = "N1") -> Availability:
    return Availability(node=node, sku=sku, quantity=quantity)


def lacks(sku: str, quantity: int, node: str | None = None) -> Shortage:
    return Shortage(sku=sku, quantity=quantity, node=node)
