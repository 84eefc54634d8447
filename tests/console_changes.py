"""The life of an order that support changes: held by hand, lines cancelled, too late for others, a note."""

from libs.events.changes import (
    AllocationDeclined,
    HoldDeclined,
    HoldPlaced,
    KeptUnits,
    LineCancellationDeclined,
    LineCancellationRequested,
    LinesCancelled,
    LinesReleased,
    NoteAdded,
    OrderResumed,
    StoppedUnits,
)
from libs.events.contract import Event
from libs.events.fulfillment import (
    FulfillmentCompleted,
    FulfillmentReleased,
    Package,
    PackConfirmed,
    PickConfirmed,
    ShipmentDelivered,
    ShipmentDispatched,
    ShippedPackage,
)
from libs.events.intake import HoldReleased, OrderAccepted, OrderClosed
from libs.events.inventory import StockAllocated, StockReserved
from libs.events.order import NodeLines
from tests.console_lives import BOTH, Life, terms
from tests.console_parts import CONTACT, GB, T0, at, move, units

A2, A3, A5, A10, B2 = units(1, 2), units(1, 3), units(1, 5), units(1, 10), units(2, 2)


def _stock(order_id: str) -> list[Event]:
    """Inventory: promised and allocated whole, then given back as lines are cancelled."""
    return [
        StockReserved(
            order_id=order_id,
            round=1,
            lines=BOTH,
            availability=(),
            since=T0,
            destination=GB,
            movements=(move("A", "*", "unreserved", "reserved", 10),),
        ),
        StockAllocated(
            order_id=order_id,
            round=1,
            nodes=(NodeLines(node="LON", lines=BOTH),),
            destination=GB,
            movements=(move("A", "LON", "on_hand", "allocated", 10),),
        ),
        LinesReleased(order_id=order_id, movements=(move("A", "LON", "allocated", "on_hand", 3),)),
        LinesReleased(order_id=order_id, movements=(move("A", "LON", "allocated", "on_hand", 2),)),
    ]


def changed_by_support(order_id: str) -> Life:
    """10 of A and 2 of B: B and 3 of A are cancelled while it is held, 2 of A at the node; 5 of A arrive.

    One cancellation came too late, as did a hold."""
    fo, shipment = f"{order_id}-F1", f"{order_id}-S1"
    work = {"order_id": order_id, "fulfillment_order_id": fo, "node": "LON"}
    first, second, third = (f"{order_id}-C{n}" for n in (1, 2, 3))
    return {
        "intake": [
            OrderAccepted(**terms(order_id)),
            HoldPlaced(order_id=order_id, hold="fraud_review", message="Ask the bank."),
            NoteAdded(order_id=order_id, note=CONTACT),
            LineCancellationRequested(
                order_id=order_id, cancellation_id=first, lines=(A3, B2), ordered=BOTH, reason="too many"
            ),
            HoldReleased(order_id=order_id, hold="fraud_review"),
            OrderResumed(order_id=order_id),
            HoldPlaced(order_id=order_id, hold="wait", message="Wait for a call."),
            LineCancellationRequested(order_id=order_id, cancellation_id=second, lines=(A2,), ordered=BOTH),
            LineCancellationRequested(order_id=order_id, cancellation_id=third, lines=(A2,), ordered=BOTH),
            OrderClosed(order_id=order_id, outcome="partly_delivered"),
        ],
        "inventory": _stock(order_id),
        "routing": [],
        "fulfillment": [
            LinesCancelled(order_id=order_id, cancellation_id=first, lines=(A3, B2), reason="too many"),
            AllocationDeclined(order_id=order_id, round=1, nodes=(NodeLines(node="LON", lines=(A3, B2)),)),
            FulfillmentReleased(**work, round=1, lines=(units(1, 7),), destination=GB),
            LinesCancelled(
                order_id=order_id,
                cancellation_id=second,
                lines=(A2,),
                work=(StoppedUnits(fulfillment_order_id=fo, node="LON", lines=(A2,)),),
            ),
            PickConfirmed(**work, lines=(A5,)),
            LineCancellationDeclined(
                order_id=order_id,
                cancellation_id=third,
                lines=(KeptUnits(line=1, sku="A", quantity=2, code="picked"),),
                reason="Too late: 2 of A are picked already.",
            ),
            HoldDeclined(order_id=order_id, hold="wait", reason="Too late to hold: LON has it."),
            PackConfirmed(**work, packages=(Package(package_id="P1", weight_grams=900),)),
            ShipmentDispatched(
                **work,
                shipment_id=shipment,
                carrier="royal",
                packages=(ShippedPackage(package_id="P1", tracking_number="RM9"),),
                lines=(A5,),
            ),
            ShipmentDelivered(order_id=order_id, shipment_id=shipment, occurred_at=at(200), lines=(A5,)),
            FulfillmentCompleted(
                order_id=order_id, outcome="partly_delivered", delivered=(A5,), cancelled=(A5, B2)
            ),
        ],
        "notifications": [],
        "returns": [],
    }
