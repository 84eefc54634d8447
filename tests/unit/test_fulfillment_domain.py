"""Fulfillment: what a node may report, what a cancellation still stops, when an order is through."""

from datetime import datetime, timedelta

import pytest

from libs.events.contract import Event
from libs.events.fulfillment import (
    CancellationDeclined,
    CarrierCharge,
    CarrierEventRecorded,
    CarrierStatus,
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentCancelled,
    FulfillmentCompleted,
    FulfillmentReleased,
    Package,
    PackConfirmed,
    Pick,
    PickConfirmed,
    PickShorted,
    RecordCarrierEvent,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
    ShippedPackage,
    ShortLine,
)
from libs.events.intake import OrderCancellationRequested
from libs.events.inventory import StockAllocated
from libs.events.order import Destination, LineQuantity, NodeLines, Reason
from libs.events.policy import BackorderLapsed
from libs.events.refusal import CommandRefused
from libs.events.routing import OrderUnroutable
from services.fulfillment import domain
from services.fulfillment.state import INITIAL, evolve
from tests.spec import NOON, Spec, given

ORDER = "order-1"
F1, F2 = f"{ORDER}-F1", f"{ORDER}-F2"
S1, S2 = f"{ORDER}-S1", f"{ORDER}-S2"
TO = Destination(country="GB")


def units(line: int, quantity: int) -> LineQuantity:
    return LineQuantity(line=line, sku=f"sku-{line}", quantity=quantity)


def allocated(*nodes: NodeLines, round_: int = 1) -> StockAllocated:
    return StockAllocated(order_id=ORDER, round=round_, nodes=nodes, destination=TO, movements=())


def at_node(node: str, *lines: LineQuantity) -> NodeLines:
    return NodeLines(node=node, lines=lines)


def pick(*found: tuple[int, int, int], of: str = F1) -> ConfirmPick:
    """(line, picked, short) each."""
    picks = tuple(Pick(line=line, picked=picked, short=short) for line, picked, short in found)
    return ConfirmPick(order_id=ORDER, fulfillment_order_id=of, picks=picks)


def pack(*ids: str, of: str = F1, weight_grams: int = 500) -> ConfirmPack:
    packages = tuple(Package(package_id=id_, weight_grams=weight_grams) for id_ in ids or ("P1",))
    return ConfirmPack(order_id=ORDER, fulfillment_order_id=of, packages=packages)


def dispatch(*ids: str, of: str = F1, carrier: str = "royal-mail") -> DispatchShipment:
    parcels = tuple(ShippedPackage(package_id=id_, tracking_number=f"T-{id_}") for id_ in ids or ("P1",))
    return DispatchShipment(order_id=ORDER, fulfillment_order_id=of, carrier=carrier, packages=parcels)


def scan(status: CarrierStatus, shipment: str = S1, *, hours: int = 0) -> RecordCarrierEvent:
    return RecordCarrierEvent(
        order_id=ORDER, shipment_id=shipment, status=status, occurred_at=NOON + timedelta(hours=hours)
    )


def cancel(*lines: LineQuantity) -> OrderCancellationRequested:
    return OrderCancellationRequested(order_id=ORDER, reason="changed my mind", lines=lines)


def unroutable(*lines: LineQuantity, round_: int = 2) -> OrderUnroutable:
    reason = Reason(code="no_node", message="no node has it")
    return OrderUnroutable(
        order_id=ORDER,
        round=round_,
        lines=lines,
        reasons=(reason,),
        candidates=(),
        rule_version=1,
        nodes_version=1,
    )


def released(*, two_nodes: bool = False) -> Spec:
    """Line 1 (3 units) and line 2 (2 units), at one node or at one each."""
    nodes: tuple[NodeLines, ...]
    if two_nodes:
        nodes = (at_node("north", units(1, 3)), at_node("south", units(2, 2)))
    else:
        nodes = (at_node("north", units(1, 3), units(2, 2)),)
    return given(domain).heard(allocated(*nodes))


def dispatched() -> Spec:
    return released().heard(pick((1, 3, 0), (2, 2, 0)), pack(), dispatch())


def completed(outcome: str, **lines: tuple[LineQuantity, ...]) -> FulfillmentCompleted:
    return FulfillmentCompleted.model_validate({"order_id": ORDER, "outcome": outcome, **lines})


# Release


def test_each_node_gets_its_own_fulfillment_order() -> None:
    nodes = (at_node("north", units(1, 3)), at_node("south", units(2, 2)))
    given(domain).when(allocated(*nodes)).then(
        FulfillmentReleased(
            order_id=ORDER,
            fulfillment_order_id=F1,
            node="north",
            round=1,
            lines=(units(1, 3),),
            destination=TO,
        ),
        FulfillmentReleased(
            order_id=ORDER,
            fulfillment_order_id=F2,
            node="south",
            round=1,
            lines=(units(2, 2),),
            destination=TO,
        ),
    )


def test_a_line_split_over_two_nodes_counts_once() -> None:
    split = allocated(at_node("north", units(1, 2)), at_node("south", units(1, 1)))
    life = given(domain).heard(split, cancel(units(1, 3)))
    assert life.parts[ORDER].accounts[1].ordered == 3
    assert life.parts[ORDER].accounts[1].cancelled == 3


def test_the_same_allocation_again_releases_nothing() -> None:
    again = allocated(at_node("north", units(1, 3), units(2, 2)))
    released().when(again).then_nothing()


def test_a_round_is_released_once_even_if_its_units_are_short_again() -> None:
    second = allocated(at_node("south", units(1, 2)), round_=2)
    life = released().heard(pick((1, 1, 2), (2, 2, 0)), second, pick((1, 0, 2), of=F2))
    life.when(second).then_nothing()
    life.when(allocated(at_node("west", units(1, 2)), round_=3)).then_types(FulfillmentReleased)


# A life


def test_pick_pack_dispatch_deliver() -> None:
    whole = (units(1, 3), units(2, 2))
    names = {"order_id": ORDER, "fulfillment_order_id": F1, "node": "north"}
    life = released().when(pick((1, 3, 0), (2, 2, 0))).then(PickConfirmed(**names, lines=whole))
    life = life.when(pack("B", "A")).then(
        PackConfirmed(
            **names,
            packages=(Package(package_id="A", weight_grams=500), Package(package_id="B", weight_grams=500)),
        )
    )
    life = life.when(dispatch("A", "B")).then(
        ShipmentDispatched(
            **names,
            shipment_id=S1,
            carrier="royal-mail",
            packages=(
                ShippedPackage(package_id="A", tracking_number="T-A"),
                ShippedPackage(package_id="B", tracking_number="T-B"),
            ),
            lines=whole,
        )
    )
    life = life.when(scan("picked_up")).then_types(CarrierEventRecorded)
    life.when(scan("delivered", hours=24)).then(
        CarrierEventRecorded(
            order_id=ORDER, shipment_id=S1, status="delivered", occurred_at=NOON + timedelta(hours=24)
        ),
        ShipmentDelivered(
            order_id=ORDER, shipment_id=S1, occurred_at=NOON + timedelta(hours=24), lines=whole
        ),
        completed("delivered", delivered=whole),
    )


def test_an_order_is_through_with_its_last_shipment() -> None:
    life = released(two_nodes=True).heard(pick((1, 3, 0)), pack(), dispatch())
    life.heard(pick((2, 2, 0), of=F2), pack(of=F2), dispatch(of=F2))
    life.when(scan("delivered")).then_types(CarrierEventRecorded, ShipmentDelivered)
    life.when(scan("lost", S2)).then_types(CarrierEventRecorded, ShipmentLost, FulfillmentCompleted)
    assert life.answer is not None
    assert life.answer.events[-1] == completed(
        "partly_delivered", delivered=(units(1, 3),), lost=(units(2, 2),)
    )


def test_a_dispatch_says_what_the_carrier_asks_where_the_node_said_so() -> None:
    life = released().heard(pick((1, 3, 0), (2, 2, 0)), pack())
    life.when(dispatch()).then_one(ShipmentDispatched, charge=None)
    charge = CarrierCharge(amount_minor=420, currency="GBP")
    life = released().heard(pick((1, 3, 0), (2, 2, 0)), pack())
    stated = dispatch().model_copy(update={"charge": charge})
    spec = life.when(stated).then_one(ShipmentDispatched, charge=charge)
    spec.when(stated).then_nothing()
    spec.when(dispatch()).then_nothing()
    other = dispatch().model_copy(update={"charge": CarrierCharge(amount_minor=421, currency="GBP")})
    spec.when(other).then_refused("dispatch_already_recorded")


# Pick


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (pick((1, 3, 0)), "line 2 (sku-2) is not reported"),
        (pick((1, 3, 0), (1, 3, 0), (2, 2, 0)), "line 1 is reported twice"),
        (pick((1, 3, 0), (2, 2, 0), (9, 1, 0)), "line 9 was not asked"),
        (pick((1, 2, 0), (2, 2, 0)), "line 1 (sku-1) asks for 3 units; 2 picked and 0 short are 2"),
        (pick((1, 4, 0), (2, 2, 0)), "4 picked and 0 short are 4"),
    ],
)
def test_a_pick_that_does_not_match_names_the_line(command: ConfirmPick, words: str) -> None:
    life = released().when(command).then_refused("pick_does_not_match")
    assert life.answer is not None
    refused = life.answer.events[0]
    assert isinstance(refused, CommandRefused)
    assert words in refused.message
    life.when(pick((1, 3, 0), (2, 2, 0))).then_types(PickConfirmed)


def test_a_short_pick_goes_on_with_what_was_found() -> None:
    names = {"order_id": ORDER, "fulfillment_order_id": F1, "node": "north"}
    life = (
        released()
        .when(pick((1, 1, 2), (2, 2, 0)))
        .then(
            PickConfirmed(**names, lines=(units(1, 1), units(2, 2))),
            PickShorted(**names, lines=(ShortLine(line=1, sku="sku-1", quantity=2, reason="not_found"),)),
        )
    )
    life = life.heard(pack()).when(dispatch()).then_one(ShipmentDispatched, lines=(units(1, 1), units(2, 2)))
    life = life.when(scan("delivered")).then_types(CarrierEventRecorded, ShipmentDelivered)
    life = life.when(allocated(at_node("south", units(1, 2)), round_=2)).then_one(
        FulfillmentReleased, fulfillment_order_id=F2, round=2, lines=(units(1, 2),)
    )
    life.heard(pick((1, 2, 0), of=F2), pack(of=F2), dispatch(of=F2))
    life.when(scan("delivered", S2)).then_types(CarrierEventRecorded, ShipmentDelivered, FulfillmentCompleted)
    assert life.answer is not None
    assert life.answer.events[-1] == completed("delivered", delivered=(units(1, 3), units(2, 2)))


def test_nothing_picked_ends_the_fulfillment_order() -> None:
    life = released().when(pick((1, 0, 3), (2, 0, 2))).then_types(PickShorted)
    life.when(pick((1, 0, 3), (2, 0, 2))).then_nothing()
    life.when(pack()).then_refused("nothing_picked")
    life.when(dispatch()).then_refused("nothing_picked")


# Order of steps, and repeats


def test_steps_come_in_order() -> None:
    life = released()
    life.when(pack()).then_refused("pick_missing")
    life.when(dispatch()).then_refused("pick_missing")
    life.when(scan("picked_up")).then_refused("unknown_shipment")
    life.heard(pick((1, 3, 0), (2, 2, 0))).when(dispatch()).then_refused("pack_missing")
    life.heard(pack()).when(scan("delivered")).then_refused("unknown_shipment")


def test_a_report_for_an_unknown_fulfillment_order_is_refused() -> None:
    given(domain).when(pick((1, 3, 0))).then_refused("unknown_fulfillment_order")
    released().when(pack(of=F2)).then_refused("unknown_fulfillment_order")


def test_the_same_report_again_is_nothing_and_another_one_is_refused() -> None:
    life = dispatched()
    life.when(pick((2, 2, 0), (1, 3, 0))).then_nothing()
    life.when(pick((1, 2, 1), (2, 2, 0))).then_refused("pick_already_recorded")
    life.when(pack()).then_nothing()
    life.when(pack(weight_grams=501)).then_refused("pack_already_recorded")
    life.when(dispatch()).then_nothing()
    life.when(dispatch(carrier="dpd")).then_refused("dispatch_already_recorded")


@pytest.mark.parametrize("named", [("A",), ("A", "B", "C"), ("A", "A"), ("A", "B", "B")])
def test_exactly_the_packed_parcels_are_dispatched(named: tuple[str, ...]) -> None:
    life = released().heard(pick((1, 3, 0), (2, 2, 0)), pack("A", "B"))
    life.when(dispatch(*named)).then_refused("packages_do_not_match")
    life.when(dispatch("B", "A")).then_types(ShipmentDispatched)


def test_a_package_is_packed_once() -> None:
    life = released().heard(pick((1, 3, 0), (2, 2, 0)))
    life.when(pack("A", "A")).then_refused("package_twice")


# Carrier


def test_a_scan_again_is_nothing_but_a_later_one_is_a_fact() -> None:
    life = dispatched().heard(scan("picked_up"), scan("in_transit", hours=1))
    life.when(scan("picked_up", hours=2)).then_nothing()
    life.when(scan("in_transit", hours=1)).then_nothing()
    life.when(scan("in_transit", hours=3)).then_types(CarrierEventRecorded)
    life.heard(scan("delivered", hours=4)).when(scan("delivered", hours=5)).then_nothing()
    life.when(scan("out_for_delivery", hours=3)).then_types(CarrierEventRecorded)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_scan_at_no_time_of_a_parcel_is_refused(text: str) -> None:
    """Such a time is beyond the calendar in UTC, where every reader looks at it."""
    never = scan("delivered").model_copy(update={"occurred_at": datetime.fromisoformat(text)})
    dispatched().when(never).then_refused("impossible_time")


def test_delivered_and_lost_exclude_each_other() -> None:
    life = dispatched().heard(scan("delivered"))
    life.when(scan("lost", hours=1)).then_refused("already_delivered")
    life = dispatched().heard(scan("lost"))
    life.when(scan("delivered", hours=1)).then_refused("already_lost")


# Cancellation


def test_cancelling_stops_what_has_not_been_dispatched() -> None:
    life = released(two_nodes=True).heard(pick((1, 3, 0)), pack(), dispatch(), pick((2, 2, 0), of=F2))
    life.when(cancel(units(1, 3), units(2, 2))).then(
        FulfillmentCancelled(
            order_id=ORDER, fulfillment_order_ids=(F2,), lines=(units(2, 2),), reason="changed my mind"
        )
    )
    life.when(pack(of=F2)).then_refused("fulfillment_order_cancelled")
    life.when(pick((2, 2, 0), of=F2)).then_nothing()
    life.when(cancel(units(1, 3), units(2, 2))).then_nothing()
    life.when(scan("delivered")).then_types(CarrierEventRecorded, ShipmentDelivered, FulfillmentCompleted)
    assert life.answer is not None
    expected = completed("partly_delivered", delivered=(units(1, 3),), cancelled=(units(2, 2),))
    assert life.answer.events[-1] == expected


def test_cancelling_before_anything_was_dispatched_completes_the_order() -> None:
    lines = (units(1, 3), units(2, 2))
    released().when(cancel(*lines)).then(
        FulfillmentCancelled(
            order_id=ORDER, fulfillment_order_ids=(F1,), lines=lines, reason="changed my mind"
        ),
        completed("cancelled", cancelled=lines),
    )


def test_cancelling_after_everything_was_dispatched_is_declined() -> None:
    life = dispatched()
    life.when(cancel(units(1, 3), units(2, 2))).then_types(CancellationDeclined)
    life.heard(scan("delivered")).when(cancel(units(1, 3))).then_types(CancellationDeclined)


def test_cancelling_an_order_that_is_not_known_yet() -> None:
    lines = (units(1, 3), units(2, 2))
    life = (
        given(domain)
        .when(cancel(*lines))
        .then(
            FulfillmentCancelled(order_id=ORDER, lines=lines, reason="changed my mind"),
            completed("cancelled", cancelled=lines),
        )
    )
    life.when(allocated(at_node("north", *lines))).then_nothing()
    life.when(unroutable(*lines)).then_nothing()
    life.when(cancel(*lines)).then_nothing()


def test_cancelling_takes_units_that_are_being_sourced_again() -> None:
    life = released(two_nodes=True).heard(pick((1, 1, 2)), pack(), dispatch())
    life.when(cancel(units(1, 3), units(2, 2))).then_one(
        FulfillmentCancelled, fulfillment_order_ids=(F2,), lines=(units(2, 2), units(1, 2))
    )
    life.when(allocated(at_node("south", units(1, 2)), round_=2)).then_nothing()
    life.when(scan("lost")).then_types(CarrierEventRecorded, ShipmentLost, FulfillmentCompleted)
    assert life.answer is not None
    expected = completed("lost", lost=(units(1, 1),), cancelled=(units(1, 2), units(2, 2)))
    assert life.answer.events[-1] == expected


# Unroutable


def test_an_order_that_nobody_may_ship_is_through() -> None:
    lines = (units(1, 3), units(2, 2))
    life = (
        given(domain)
        .when(unroutable(*lines, round_=1))
        .then(
            FulfillmentCancelled(order_id=ORDER, lines=lines, cause="unroutable", reason="no node has it"),
            completed("unroutable", unroutable=lines),
        )
    )
    life.when(unroutable(*lines, round_=1)).then_nothing()
    life.when(cancel(*lines)).then_types(CancellationDeclined)


def test_unroutable_shorts_leave_the_rest_going() -> None:
    life = released(two_nodes=True).heard(pick((1, 1, 2)), pack(), dispatch(), scan("delivered"))
    life.when(unroutable(units(1, 2))).then_one(
        FulfillmentCancelled, fulfillment_order_ids=(), lines=(units(1, 2),), cause="unroutable"
    )
    life.heard(pick((2, 2, 0), of=F2), pack(of=F2), dispatch(of=F2))
    life.when(scan("delivered", S2)).then_types(CarrierEventRecorded, ShipmentDelivered, FulfillmentCompleted)
    assert life.answer is not None
    delivered = (units(1, 1), units(2, 2))
    expected = completed("partly_delivered", delivered=delivered, unroutable=(units(1, 2),))
    assert life.answer.events[-1] == expected


def test_what_it_does_not_know_leaves_the_state_alone() -> None:
    foreign: Event = allocated(at_node("north", units(1, 1)))
    assert evolve(INITIAL, foreign) is INITIAL


# What waits for stock


def later(*lines: LineQuantity, round_: int = 1) -> StockAllocated:
    """Two of line 1 at a node; these wait."""
    return allocated(at_node("LON", units(1, 2)), round_=round_).model_copy(update={"later": lines})


def lapsed(*lines: LineQuantity, rest: tuple[LineQuantity, ...] = ()) -> BackorderLapsed:
    return BackorderLapsed(order_id=ORDER, lines=lines, rest=rest, since=NOON, wait_days=14)


def test_an_order_is_not_through_while_a_part_of_it_waits_for_stock() -> None:
    spec = given(domain).when(later(units(1, 1), units(2, 1))).then_types(FulfillmentReleased)
    assert spec.answer is not None
    [released] = spec.answer.events
    assert isinstance(released, FulfillmentReleased)
    assert released.awaiting == (units(1, 1), units(2, 1))
    spec = spec.when(OrderCancellationRequested(order_id=ORDER, lines=(units(1, 3), units(2, 1)))).spec
    assert spec.answer is not None
    stopped, completed = spec.answer.events
    assert isinstance(stopped, FulfillmentCancelled)
    assert stopped.lines == (units(1, 3), units(2, 1))
    assert isinstance(completed, FulfillmentCompleted)


def test_what_waited_is_released_when_it_comes() -> None:
    spec = given(domain).heard(later(units(1, 1), units(2, 1)))
    second = allocated(at_node("MAN", units(1, 1)), round_=2)
    spec.when(second).then_one(FulfillmentReleased, lines=(units(1, 1),), awaiting=None)


def test_a_wait_that_ends_before_anything_was_allocated_leaves_the_rest_awaited() -> None:
    spec = (
        given(domain)
        .when(lapsed(units(2, 1), rest=(units(1, 2),)))
        .then_one(FulfillmentCancelled, cause="unroutable", lines=(units(2, 1),), awaiting=(units(1, 2),))
    )
    spec.when(allocated(at_node("LON", units(1, 2)), round_=2)).then_one(
        FulfillmentReleased, lines=(units(1, 2),)
    )


def test_a_wait_that_ends_for_all_of_it_ends_the_order() -> None:
    spec = given(domain).when(lapsed(units(1, 2)))
    spec.then_types(FulfillmentCancelled, FulfillmentCompleted)
    spec.spec.when(lapsed(units(1, 2))).then_nothing()


def test_a_wait_that_ends_for_what_was_cancelled_meanwhile_changes_nothing() -> None:
    cancel = OrderCancellationRequested(order_id=ORDER, lines=(units(1, 2),))
    given(domain).heard(cancel).when(lapsed(units(1, 2))).then_nothing()
