"""Examples of what happens to an order before work is released: intake, inventory, routing."""

from typing import Any
from uuid import UUID

from libs.events import intake as i
from libs.events import inventory as v
from libs.events import routing as s
from libs.events.contract import Contract
from libs.events.measure import Unnamed
from libs.events.order import Reason
from libs.events.places import ShipDay
from libs.events.refusal import CommandRefused
from libs.events.set_aside import ReturnMovement, ReturnQuarantined
from tests.contract.example_dates import DELIVERY
from tests.contract.example_parts import (
    AT_LONDON,
    BOTH,
    CONTACT,
    DESTINATION,
    FO,
    FULL_TERMS,
    GB,
    HEART,
    LANTERN,
    MINIMAL_TERMS,
    ONE,
    ORDER,
    PLACED_AT,
    RMA,
    SHIPMENT,
    WHY,
    Pairs,
    move,
)

HELD = (i.Hold(name="address_incomplete", message="The address has no postcode; ask the customer."),)
FINGERPRINT = "9f2c1f6d0b7e4a55"
SOFT = move("unreserved", "reserved", node=v.NETWORK, position=2)
HARD = (
    *move("reserved", "unreserved", node=v.NETWORK, position=3),
    *move("on_hand", "allocated", position=4),
)
AVAILABLE = (
    v.Availability(node="LON", sku=HEART, quantity=144),
    v.Availability(node="LEE", sku=LANTERN, quantity=12),
)
SHORT = (v.Shortage(sku=LANTERN, quantity=2, node="LON"),)


def _same(contract: Contract) -> tuple[Contract, Contract]:
    """One that has no optional fields: full and minimal are the same."""
    return contract, contract


_ASIDE = ReturnMovement(sku=HEART, node="LON", source="issued", target="quarantine", quantity=1, position=9)
_NAMED = _ASIDE.model_copy(update={"lot": "L-1", "serials": ("SN-1",)})
_UNNAMED = (Unnamed(sku=HEART, quantity=1, serials=("SN-7",)),)


INTAKE: Pairs = (
    (i.SubmitOrder(**FULL_TERMS), i.SubmitOrder(**MINIMAL_TERMS)),
    (i.CancelOrder(order_id=ORDER, reason="Ordered by mistake."), i.CancelOrder(order_id=ORDER)),
    (
        i.ReleaseHold(order_id=ORDER, hold="address_incomplete", note="Postcode confirmed by phone."),
        i.ReleaseHold(order_id=ORDER, hold="address_incomplete"),
    ),
    (i.OrderAccepted(**FULL_TERMS, fingerprint=FINGERPRINT), i.OrderAccepted(**MINIMAL_TERMS)),
    (
        i.OrderHeld(**FULL_TERMS, holds=HELD, fingerprint=FINGERPRINT),
        i.OrderHeld(**MINIMAL_TERMS, holds=HELD),
    ),
    (
        i.OrderRejected(
            order_id=ORDER,
            channel="web",
            external_id="536365",
            reasons=(Reason(code="unknown_currency", message="XXQ is no ISO 4217 currency."),),
            fingerprint=FINGERPRINT,
        ),
        i.OrderRejected(order_id=ORDER, channel="web", external_id="536365", reasons=WHY),
    ),
    (
        i.HoldReleased(
            order_id=ORDER,
            hold="address_incomplete",
            note="Confirmed by phone.",
            remaining=("payment_pending",),
        ),
        i.HoldReleased(order_id=ORDER, hold="address_incomplete"),
    ),
    (
        i.OrderCancellationRequested(order_id=ORDER, reason="Ordered by mistake.", lines=BOTH),
        i.OrderCancellationRequested(order_id=ORDER, lines=ONE),
    ),
    (
        i.HeldOrderCancelled(
            order_id=ORDER,
            currency="GBP",
            lines=FULL_TERMS["lines"],
            charges=FULL_TERMS["charges"],
            total_minor=FULL_TERMS["total_minor"],
            payment="pending",
        ),
        i.HeldOrderCancelled(order_id=ORDER, currency="GBP", lines=MINIMAL_TERMS["lines"], payment="paid"),
    ),
    (
        i.OrderClosed(order_id=ORDER, outcome="partly_delivered", reason="One parcel was lost."),
        i.OrderClosed(order_id=ORDER, outcome="delivered"),
    ),
    *[
        (
            assign(order_id=ORDER, item=f"short_picked/{FO}", assignee="ann@example"),
            assign(order_id=ORDER, item="backordered"),
        )
        for assign in (i.AssignException, i.ExceptionAssigned)
    ],
    *[
        _same(snooze(order_id=ORDER, item="backordered", until=PLACED_AT, why="Due on Friday."))
        for snooze in (i.SnoozeException, i.ExceptionSnoozed)
    ],
    *[
        _same(resolve(order_id=ORDER, item=f"short_picked/{FO}", note="Found in the next bay."))
        for resolve in (i.ResolveException, i.ExceptionResolved)
    ],
)

STOCK: Pairs = (
    (
        v.ReceiveStock(sku=HEART, node="LON", quantity=144, reference="PO-2010-118"),
        v.ReceiveStock(sku=HEART, node="LON", quantity=144),
    ),
    (
        v.AdjustStock(sku=HEART, node="LON", delta=-3, reason_code="broken", reference="CC-77"),
        v.AdjustStock(sku=HEART, node="LON", delta=5, reason_code="found"),
    ),
    (
        v.StockReceived(
            sku=HEART,
            node="LON",
            quantity=144,
            reference="PO-2010-118",
            movements=move("supplier", "on_hand", quantity=144),
        ),
        v.StockReceived(sku=HEART, node="LON", quantity=9, movements=move("supplier", "on_hand", quantity=9)),
    ),
    (
        v.StockAdjusted(
            sku=HEART,
            node="LON",
            delta=-3,
            reason_code="broken",
            reference="CC-77",
            movements=move("on_hand", "written_off", quantity=3),
        ),
        v.StockAdjusted(
            sku=HEART,
            node="LON",
            delta=5,
            reason_code="found",
            movements=move("adjustment", "on_hand", quantity=5),
        ),
    ),
    (
        v.StockPegged(sku=HEART, claims=(v.Claim(order_id=ORDER, quantity=6),), movements=SOFT),
        v.StockPegged(sku=HEART, claims=(v.Claim(order_id=ORDER, quantity=6),), movements=SOFT),
    ),
    (
        v.ReservationBroken(
            sku=HEART,
            claims=(v.Claim(order_id=ORDER, quantity=6),),
            movements=move("reserved", "unreserved", node=v.NETWORK),
        ),
        v.ReservationBroken(sku=HEART, claims=(v.Claim(order_id=ORDER, quantity=1),), movements=()),
    ),
)

PROMISES: Pairs = (
    (
        v.StockReserved(
            order_id=ORDER,
            round=2,
            lines=BOTH,
            availability=AVAILABLE,
            since=PLACED_AT,
            destination=DESTINATION,
            contact=CONTACT,
            movements=SOFT,
        ),
        v.StockReserved(
            order_id=ORDER,
            round=1,
            lines=ONE,
            availability=(),
            since=PLACED_AT,
            destination=GB,
            movements=(),
        ),
    ),
    (
        v.StockBackordered(
            order_id=ORDER,
            round=1,
            lines=BOTH,
            short=SHORT,
            since=PLACED_AT,
            destination=DESTINATION,
            contact=CONTACT,
            movements=SOFT,
        ),
        v.StockBackordered(
            order_id=ORDER,
            round=1,
            lines=ONE,
            short=(v.Shortage(sku=HEART, quantity=6),),
            since=PLACED_AT,
            destination=GB,
            movements=(),
        ),
    ),
    (
        v.StockAllocated(
            order_id=ORDER,
            round=1,
            nodes=AT_LONDON,
            destination=DESTINATION,
            contact=CONTACT,
            movements=HARD,
        ),
        v.StockAllocated(order_id=ORDER, round=1, nodes=AT_LONDON, destination=GB, movements=HARD),
    ),
    (
        v.AllocationFailed(
            order_id=ORDER,
            round=2,
            short=SHORT,
            lines=BOTH,
            availability=AVAILABLE,
            destination=DESTINATION,
        ),
        v.AllocationFailed(order_id=ORDER, round=2, short=SHORT, lines=BOTH, availability=(), destination=GB),
    ),
    (
        v.StockReleased(
            order_id=ORDER,
            cause="unroutable",
            reason="No node ships there.",
            lines=ONE,
            movements=move("reserved", "unreserved", node=v.NETWORK),
        ),
        v.StockReleased(order_id=ORDER, movements=()),
    ),
    (
        v.StockIssued(order_id=ORDER, shipment_id=SHIPMENT, movements=move("allocated", "issued")),
        v.StockIssued(order_id=ORDER, shipment_id=SHIPMENT, movements=()),
    ),
    (
        v.StockShorted(
            order_id=ORDER,
            fulfillment_order_id=FO,
            lines=ONE,
            movements=move("allocated", "missing"),
        ),
        v.StockShorted(order_id=ORDER, fulfillment_order_id=FO, lines=(), movements=()),
    ),
    (
        v.StockReturned(order_id=ORDER, rma_id=RMA, movements=move("issued", "on_hand")),
        v.StockReturned(order_id=ORDER, rma_id=RMA, movements=()),
    ),
    (
        ReturnQuarantined(order_id=ORDER, rma_id=RMA, movements=(_NAMED,), unnamed=_UNNAMED),
        ReturnQuarantined(order_id=ORDER, rma_id=RMA, movements=(_ASIDE,)),
    ),
)

LEEDS = {"node": "LEE", "name": "Leeds", "country": "GB", "latitude": 53.8, "longitude": -1.55}
WEIGHED = (
    s.Candidate(nodes=("LON",), chosen=True, distance_km=3.2, units=8, reason="has all, and is nearest"),
    s.Candidate(nodes=("LEE",), chosen=False, distance_km=271.5, units=8, reason="has all, but is farther"),
)
LIMITS = {"nodes_max": 2, "distance_km_max": 800, "farther_km_max": 200}
PLAN_HELD: dict[str, Any] = {
    "order_id": ORDER,
    "round": 1,
    "nodes": AT_LONDON,
    "reasons": (Reason(code="too_far", message="LON: 912.0 km in all; more than 800 km are reviewed."),),
    "candidates": WEIGHED,
    "rule_version": 1,
    "nodes_version": 5,
    "lines": BOTH,
    "availability": (v.Availability(node="LON", sku=HEART, quantity=8),),
    "destination": DESTINATION,
}
SHIPS = ShipDay(node="LON", ship_on=DELIVERY.ship_by, units_a_day=2000)
ROUTING: Pairs = (
    (
        s.DefineNode(**LEEDS, ships_to=("GB", "IE"), active=False),
        s.DefineNode(**LEEDS),
    ),
    (
        s.NodeDefined(**LEEDS, ships_to=("GB", "IE"), active=False, nodes_version=4),
        s.NodeDefined(**LEEDS, nodes_version=4),
    ),
    (
        s.OrderRouted(
            order_id=ORDER, round=1, nodes=AT_LONDON, candidates=WEIGHED, rule_version=1, nodes_version=3
        ),
        s.OrderRouted(
            order_id=ORDER, round=1, nodes=AT_LONDON, candidates=(), rule_version=1, nodes_version=0
        ),
    ),
    (
        s.OrderUnroutable(
            order_id=ORDER,
            round=1,
            lines=BOTH,
            reasons=WHY,
            candidates=(
                s.Candidate(nodes=("LON",), chosen=False, distance_km=18_800.0, units=8, reason="NZ: no"),
            ),
            rule_version=1,
            nodes_version=3,
        ),
        s.OrderUnroutable(
            order_id=ORDER, round=1, lines=(), reasons=WHY, candidates=(), rule_version=1, nodes_version=0
        ),
    ),
    (s.DefineReview(**LIMITS), s.DefineReview()),
    (s.ReviewDefined(**LIMITS, nodes_version=5), s.ReviewDefined(nodes_version=6)),
    (
        s.RoutingHeld(**PLAN_HELD, promised=DELIVERY, capacity=(SHIPS,), service="express"),
        s.RoutingHeld(**PLAN_HELD | {"candidates": (), "availability": ()}),
    ),
    (
        s.ApproveRouting(order_id=ORDER, round=1, nodes=("LEE",), reason="It is for a shop window."),
        s.ApproveRouting(order_id=ORDER, round=1),
    ),
)

_REFUSED = CommandRefused(
    refused_stream=ORDER,
    command_id=UUID("0e67af92-6480-5ae4-a3fd-f088c735a90f"),
    command_type="oms.intake.cancel_order",
    code="already_closed",
    message="The order is closed: delivered.",
    next_step="Authorise a return of what was delivered instead.",
)
REFUSAL: Pairs = ((_REFUSED, _REFUSED),)
