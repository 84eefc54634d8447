"""Lives of orders as the stages publish them, for the read side's tests: per stage, in that stage's order.

`LIVES` maps a life's name to a function that builds it for an order id; between them they contain every event
type of the catalogue that belongs to an order, so that a new type without a place in the read model shows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from libs.events.contract import Event
from libs.events.fulfillment import (
    CancellationDeclined,
    CarrierEventRecorded,
    FulfillmentCancelled,
    FulfillmentCompleted,
    FulfillmentReleased,
    Package,
    PackConfirmed,
    PickConfirmed,
    PickShorted,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
    ShippedPackage,
    ShortLine,
)
from libs.events.intake import (
    Hold,
    HoldReleased,
    OrderAccepted,
    OrderCancellationRequested,
    OrderClosed,
    OrderHeld,
    OrderRejected,
)
from libs.events.inventory import (
    AllocationFailed,
    Availability,
    Claim,
    Movement,
    ReservationBroken,
    Shortage,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockIssued,
    StockPegged,
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShorted,
)
from libs.events.notifications import Fact, MessageFailed, MessageRequested, MessageSent, MessageSkipped
from libs.events.order import Charge, LineQuantity, NodeLines, OrderLine, Reason
from libs.events.promise import PromiseConfirmed, PromiseMissed
from libs.events.refusal import CommandRefused
from libs.events.returns import (
    AuthorisedLine,
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnedUnits,
    ReturnReceived,
    ReturnWindowOpened,
)
from libs.events.routing import Candidate, OrderRouted, OrderUnroutable
from tests.console_parts import CONTACT, GB, T0, at, move, units

_IDS = UUID("5a0e7a54-6c0c-5d5e-9f0b-0a4a3f5b9d11")

Life = Mapping[str, Sequence[Event]]
"""Stage → its events of one order, in order."""


def terms(order_id: str) -> dict[str, Any]:
    """Ten of A at 2.50 and two of B at 10.00, and postage."""
    return {
        "order_id": order_id,
        "channel": "web",
        "external_id": f"X-{order_id}",
        "placed_at": T0,
        "currency": "GBP",
        "lines": (
            OrderLine(line=1, sku="A", quantity=10, unit_price_minor=250, description="Lantern"),
            OrderLine(line=2, sku="B", quantity=2, unit_price_minor=1000),
        ),
        "charges": (Charge(kind="postage", amount_minor=395),),
        "customer_id": "17850",
        "destination": GB,
        "contact": CONTACT,
    }


BOTH = (units(1, 10), units(2, 2))


def _promised(order_id: str) -> list[Event]:
    """Inventory: reserved, then allocated at one node."""
    return [
        StockReserved(
            order_id=order_id,
            round=1,
            lines=BOTH,
            availability=(Availability(node="LON", sku="A", quantity=10),),
            since=T0,
            destination=GB,
            contact=CONTACT,
            movements=(
                move("A", "*", "unreserved", "reserved", 10),
                move("B", "*", "unreserved", "reserved", 2),
            ),
        ),
        StockAllocated(
            order_id=order_id,
            round=1,
            nodes=(NodeLines(node="LON", lines=BOTH),),
            destination=GB,
            movements=(
                move("A", "*", "reserved", "unreserved", 10),
                move("B", "*", "reserved", "unreserved", 2),
                move("A", "LON", "on_hand", "allocated", 10),
                move("B", "LON", "on_hand", "allocated", 2),
            ),
        ),
    ]


def _routed(order_id: str, round_: int, lines: tuple[LineQuantity, ...], node: str) -> OrderRouted:
    return OrderRouted(
        order_id=order_id,
        round=round_,
        nodes=(NodeLines(node=node, lines=lines),),
        candidates=(
            Candidate(nodes=(node,), chosen=True, distance_km=12.5, units=12, reason="nearest that has all"),
            Candidate(nodes=("MAN",), chosen=False, units=3, reason="has 3 of 12"),
        ),
        rule_version=1,
        nodes_version=3,
    )


def _delivery(order_id: str, shipment: str, work: dict[str, Any]) -> list[Event]:
    """Fulfillment: one parcel, released, picked, packed, dispatched, delivered."""
    return [
        FulfillmentReleased(**work, round=1, lines=BOTH, destination=GB, contact=CONTACT),
        PickConfirmed(**work, lines=BOTH),
        PackConfirmed(**work, packages=(Package(package_id="P1", weight_grams=1200),)),
        ShipmentDispatched(
            **work,
            shipment_id=shipment,
            carrier="royal",
            packages=(ShippedPackage(package_id="P1", tracking_number="RM1"),),
            lines=BOTH,
        ),
        _scan(order_id, shipment, "picked_up", 60),
        _scan(order_id, shipment, "in_transit", 90),
        ShipmentDelivered(order_id=order_id, shipment_id=shipment, occurred_at=at(200), lines=BOTH),
        FulfillmentCompleted(order_id=order_id, outcome="delivered", delivered=BOTH),
    ]


def delivered(order_id: str) -> Life:
    """Everything at once: one node, one parcel, told at each step, and half of it sent back."""
    fo, shipment, rma = f"{order_id}-F1", f"{order_id}-S1", f"{order_id}-R1"
    work: dict[str, Any] = {"order_id": order_id, "fulfillment_order_id": fo, "node": "LON"}
    issued = (move("A", "LON", "allocated", "issued", 10), move("B", "LON", "allocated", "issued", 2))
    back = (move("A", "LON", "issued", "on_hand", 4), move("A", "LON", "issued", "scrapped", 1))
    return {
        "intake": [
            OrderAccepted(**terms(order_id)),
            OrderClosed(order_id=order_id, outcome="delivered"),
        ],
        "inventory": [
            PromiseConfirmed(order_id=order_id, promise_id="b1", position=2, movements=()),
            *_promised(order_id),
            StockIssued(order_id=order_id, shipment_id=shipment, movements=issued),
            StockReturned(order_id=order_id, rma_id=rma, movements=back),
        ],
        "routing": [_routed(order_id, 1, BOTH, "LON")],
        "fulfillment": _delivery(order_id, shipment, work),
        "notifications": [
            MessageRequested(
                order_id=order_id,
                message_id=f"{order_id}-M1",
                milestone="confirmed",
                facts=(Fact(name="total", value="48.95 GBP"),),
                contact=CONTACT,
            ),
            MessageSent(order_id=order_id, message_id=f"{order_id}-M1", milestone="confirmed"),
            MessageRequested(order_id=order_id, message_id=f"{order_id}-M2", milestone="shipped"),
            MessageFailed(
                order_id=order_id, message_id=f"{order_id}-M2", milestone="shipped", detail="550\x00"
            ),
        ],
        "returns": [
            ReturnWindowOpened(order_id=order_id, shipment_id=shipment, lines=BOTH),
            ReturnAuthorised(
                order_id=order_id, rma_id=rma, lines=(AuthorisedLine(line=1, sku="A", quantity=5),)
            ),
            ReturnReceived(
                order_id=order_id,
                rma_id=rma,
                node="LON",
                units=(
                    ReturnedUnits(line=1, sku="A", quantity=4, disposition="restock"),
                    ReturnedUnits(line=1, sku="A", quantity=1, disposition="scrap"),
                ),
            ),
            RefundRequested(
                order_id=order_id,
                refund_id=f"{rma}-1",
                rma_id=rma,
                amount_minor=1250,
                currency="GBP",
                cause="returned",
                lines=(units(1, 5),),
            ),
            ReturnClosed(order_id=order_id, rma_id=rma),
        ],
    }


def _two_parcels(order_id: str) -> list[Event]:
    """Fulfillment: a short pick at the first node, the missing units lost on their way from the second."""
    first_work: dict[str, Any] = {
        "order_id": order_id,
        "fulfillment_order_id": f"{order_id}-F1",
        "node": "LON",
    }
    second_work: dict[str, Any] = {
        "order_id": order_id,
        "fulfillment_order_id": f"{order_id}-F2",
        "node": "MAN",
    }
    short, rest = (units(1, 3),), (units(1, 7), units(2, 2))
    return [
        FulfillmentReleased(**first_work, round=1, lines=BOTH, destination=GB),
        PickConfirmed(**first_work, lines=rest),
        PickShorted(**first_work, lines=(ShortLine(line=1, sku="A", quantity=3, reason="not_found"),)),
        _dispatched(first_work, f"{order_id}-S1", rest),
        FulfillmentReleased(**second_work, round=4, lines=short, destination=GB),
        PickConfirmed(**second_work, lines=short),
        PackConfirmed(**second_work, packages=(Package(package_id="P1", weight_grams=300),)),
        _dispatched(second_work, f"{order_id}-S2", short),
        CancellationDeclined(order_id=order_id, reason="Everything has been dispatched."),
        ShipmentDelivered(order_id=order_id, shipment_id=f"{order_id}-S1", occurred_at=at(300), lines=rest),
        ShipmentLost(order_id=order_id, shipment_id=f"{order_id}-S2", occurred_at=at(400), lines=short),
        FulfillmentCompleted(order_id=order_id, outcome="partly_delivered", delivered=rest, lost=short),
    ]


def troubled(order_id: str) -> Life:
    """Held, then short at the pick; the next round loses a race, waits for stock, and one parcel is lost."""
    fo, short = f"{order_id}-F1", (units(1, 3),)
    waits: dict[str, Any] = {"order_id": order_id, "since": T0, "destination": GB, "lines": short}
    return {
        "intake": [
            OrderHeld(**terms(order_id), holds=(Hold(name="fraud_review", message="Score 91 of 100."),)),
            HoldReleased(order_id=order_id, hold="fraud_review", note="Customer called"),
            OrderAccepted(**terms(order_id)),
            OrderCancellationRequested(order_id=order_id, reason="changed my mind", lines=BOTH),
            OrderClosed(order_id=order_id, outcome="partly_delivered"),
        ],
        "inventory": [
            *_promised(order_id),
            StockShorted(
                order_id=order_id,
                fulfillment_order_id=fo,
                lines=short,
                movements=(move("A", "LON", "allocated", "missing", 3),),
            ),
            StockReserved(**waits, round=2, availability=(), movements=_held(3)),
            AllocationFailed(
                order_id=order_id,
                round=3,
                short=(Shortage(sku="A", quantity=1, node="MAN"),),
                lines=short,
                availability=(),
                destination=GB,
            ),
            StockBackordered(**waits, round=4, short=(Shortage(sku="A", quantity=1),), movements=()),
            StockReserved(**waits, round=4, availability=(), movements=()),
            StockAllocated(
                order_id=order_id,
                round=4,
                nodes=(NodeLines(node="MAN", lines=short),),
                destination=GB,
                movements=(
                    move("A", "*", "reserved", "unreserved", 3),
                    move("A", "MAN", "on_hand", "allocated", 3),
                ),
            ),
            StockIssued(
                order_id=order_id,
                shipment_id=f"{order_id}-S1",
                movements=(
                    move("A", "LON", "allocated", "issued", 7),
                    move("B", "LON", "allocated", "issued", 2),
                ),
            ),
            StockIssued(
                order_id=order_id,
                shipment_id=f"{order_id}-S2",
                movements=(move("A", "MAN", "allocated", "issued", 3),),
            ),
        ],
        "routing": [
            _routed(order_id, 1, BOTH, "LON"),
            _routed(order_id, 2, short, "MAN"),
            _routed(order_id, 4, short, "MAN"),
        ],
        "fulfillment": _two_parcels(order_id),
        "notifications": [],
        "returns": [],
    }


def cancelled(order_id: str) -> Life:
    """Allocated and at work when the customer cancels; no contact to tell, and a refusal on the way."""
    fo = f"{order_id}-F1"
    return {
        "intake": [
            OrderAccepted(**{**terms(order_id), "contact": None, "payment": "pending"}),
            refused(order_id),
            OrderCancellationRequested(order_id=order_id, lines=BOTH),
            OrderClosed(order_id=order_id, outcome="cancelled"),
        ],
        "inventory": [
            PromiseMissed(order_id=order_id, promise_id="b2", cause="expired"),
            *_promised(order_id),
            StockReleased(
                order_id=order_id,
                movements=(
                    move("A", "LON", "allocated", "on_hand", 10),
                    move("B", "LON", "allocated", "on_hand", 2),
                ),
            ),
        ],
        "routing": [_routed(order_id, 1, BOTH, "LON")],
        "fulfillment": [
            FulfillmentReleased(
                order_id=order_id, fulfillment_order_id=fo, node="LON", round=1, lines=BOTH, destination=GB
            ),
            FulfillmentCancelled(order_id=order_id, fulfillment_order_ids=(fo,), lines=BOTH),
            FulfillmentCompleted(order_id=order_id, outcome="cancelled", cancelled=BOTH),
        ],
        "notifications": [
            MessageSkipped(
                order_id=order_id, message_id=f"{order_id}-M1", milestone="confirmed", reason="No contact."
            )
        ],
        "returns": [],
    }


def unroutable(order_id: str) -> Life:
    """Reserved, and then no node may ship it there."""
    reserved, _ = _promised(order_id)
    return {
        "intake": [
            OrderAccepted(**terms(order_id)),
            OrderClosed(order_id=order_id, outcome="unroutable"),
        ],
        "inventory": [
            reserved,
            StockReleased(
                order_id=order_id,
                cause="unroutable",
                lines=BOTH,
                movements=(
                    move("A", "*", "reserved", "unreserved", 10),
                    move("B", "*", "reserved", "unreserved", 2),
                ),
            ),
        ],
        "routing": [
            OrderUnroutable(
                order_id=order_id,
                round=1,
                lines=BOTH,
                reasons=(Reason(code="no_node_serves", message="No node ships to GB."),),
                candidates=(),
                rule_version=1,
                nodes_version=3,
            )
        ],
        "fulfillment": [
            FulfillmentCancelled(order_id=order_id, lines=BOTH, cause="unroutable"),
            FulfillmentCompleted(order_id=order_id, outcome="unroutable", unroutable=BOTH),
        ],
        "notifications": [],
        "returns": [],
    }


def rejected(order_id: str) -> Life:
    """Refused at the door."""
    reason = Reason(code="unknown_currency", message="Currency XXX is not known.")
    event = OrderRejected(order_id=order_id, channel="web", external_id=f"X-{order_id}", reasons=(reason,))
    return {"intake": [event]}


LIVES: Mapping[str, Callable[[str], Life]] = {
    "delivered": delivered,
    "partly_delivered": troubled,
    "cancelled": cancelled,
    "unroutable": unroutable,
    "rejected": rejected,
}
"""Life by the status that it ends in."""


def receipts(order_id: str) -> list[Event]:
    """Inventory's events of the SKUs' own streams: what the lives' movements take is received before."""
    return [
        StockReceived(
            sku="A", node="LON", quantity=10, movements=(move("A", "LON", "supplier", "on_hand", 10),)
        ),
        StockReceived(
            sku="B", node="LON", quantity=2, movements=(move("B", "LON", "supplier", "on_hand", 2),)
        ),
        StockPegged(sku="A", claims=(Claim(order_id=order_id, quantity=2),), movements=_held(2)),
        ReservationBroken(
            sku="A",
            claims=(Claim(order_id=order_id, quantity=2),),
            movements=(move("A", "*", "reserved", "unreserved", 2),),
        ),
        StockAdjusted(
            sku="A",
            node="LON",
            delta=-1,
            reason_code="damaged",
            movements=(move("A", "LON", "on_hand", "written_off", 1),),
        ),
    ]


def refused(stream: str) -> CommandRefused:
    """Somebody asked for what cannot be."""
    return CommandRefused(
        refused_stream=stream,
        command_id=uuid5(_IDS, stream),
        command_type="oms.intake.release_hold",
        code="no_such_hold",
        message="The order has no hold credit_limit.",
        next_step="Look at its holds.",
    )


def received(sku: str, quantity: int) -> StockReceived:
    """Units of a SKU arrived in London."""
    movements = (move(sku, "LON", "supplier", "on_hand", quantity),)
    return StockReceived(sku=sku, node="LON", quantity=quantity, movements=movements)


def _held(quantity: int) -> tuple[Movement, ...]:
    return (move("A", "*", "unreserved", "reserved", quantity),)


def _scan(order_id: str, shipment: str, status: str, minutes: float) -> CarrierEventRecorded:
    return CarrierEventRecorded.model_validate(
        {"order_id": order_id, "shipment_id": shipment, "status": status, "occurred_at": at(minutes)}
    )


def _dispatched(work: dict[str, Any], shipment: str, lines: tuple[LineQuantity, ...]) -> ShipmentDispatched:
    parcels = (ShippedPackage(package_id="P1", tracking_number=f"T-{shipment}"),)
    return ShipmentDispatched(**work, shipment_id=shipment, carrier="royal", packages=parcels, lines=lines)
