"""Fulfillment as sentences: lines cancelled, and orders held by hand, at each step of their work."""

import pytest

from libs.events.changes import (
    AllocationDeclined,
    HoldDeclined,
    HoldPlaced,
    KeptUnits,
    LineCancellationDeclined,
    LineCancellationRequested,
    LinesCancelled,
    OrderResumed,
    StoppedUnits,
)
from libs.events.contract import Event
from libs.events.fulfillment import (
    CarrierEventRecorded,
    FulfillmentCancelled,
    FulfillmentCompleted,
    FulfillmentReleased,
    PackConfirmed,
    PickShorted,
    ShipmentDelivered,
)
from libs.events.order import LineQuantity, PartLine, UnpackedLine
from libs.events.policy import BackorderLapsed
from services.fulfillment import domain
from tests.spec import NOON, given
from tests.unit.test_fulfillment_domain import (
    F1,
    F2,
    ORDER,
    allocated,
    at_node,
    cancel,
    dispatch,
    dispatched,
    pack,
    pick,
    released,
    scan,
    units,
    unroutable,
)

ALL = (units(1, 3), units(2, 2))


def fewer(*lines: LineQuantity, n: int = 1) -> LineCancellationRequested:
    return LineCancellationRequested(
        order_id=ORDER, cancellation_id=f"{ORDER}-C{n}", lines=lines, ordered=ALL, reason="too many"
    )


def stopped(*lines: LineQuantity, of: str = F1, node: str = "north") -> StoppedUnits:
    return StoppedUnits(fulfillment_order_id=of, node=node, lines=lines)


def cancelled(*lines: LineQuantity, work: tuple[StoppedUnits, ...] = (), n: int = 1) -> LinesCancelled:
    return LinesCancelled(
        order_id=ORDER, cancellation_id=f"{ORDER}-C{n}", lines=lines, work=work, reason="too many"
    )


def test_a_line_that_has_no_node_yet_is_cancelled_and_not_released() -> None:
    spec = given(domain).when(fewer(units(1, 2))).then(cancelled(units(1, 2)))
    spec.when(fewer(units(1, 2))).then_nothing()
    spec.when(allocated(at_node("north", *ALL))).then_types(FulfillmentReleased, AllocationDeclined)
    spec.when(cancel(*ALL)).then_types(FulfillmentCancelled, FulfillmentCompleted)


def test_units_at_a_node_are_taken_off_its_work_the_last_node_first() -> None:
    split = allocated(at_node("north", units(1, 2)), at_node("south", units(1, 1), units(2, 2)))
    spec = given(domain).heard(split)
    off = (stopped(units(1, 1), of=F2, node="south"), stopped(units(1, 1)))
    spec.when(fewer(units(1, 2))).then(cancelled(units(1, 2), work=off))
    spec.when(pick((1, 2, 0))).then_refused("lines_cancelled")
    spec.when(pick((1, 0, 1))).then_types(PickShorted)


def test_work_that_is_left_with_nothing_is_at_its_end() -> None:
    spec = released(two_nodes=True)
    spec.when(fewer(units(2, 2))).then(
        cancelled(units(2, 2), work=(stopped(units(2, 2), of=F2, node="south"),))
    )
    spec.when(pick((2, 2, 0), of=F2)).then_refused("fulfillment_order_cancelled")


def test_what_is_picked_or_gone_stays_and_says_so_by_code() -> None:
    picked = released().heard(pick((1, 3, 0), (2, 2, 0)))
    kept = KeptUnits(line=1, sku=units(1, 1).sku, quantity=2, code="picked")
    spec = picked.when(fewer(units(1, 2))).then_one(LineCancellationDeclined, lines=(kept,))
    spec.when(pack()).then_types(PackConfirmed)
    gone = kept.model_copy(update={"code": "dispatched"})
    dispatched().when(fewer(units(1, 2))).then_one(LineCancellationDeclined, lines=(gone,))


def test_a_plan_that_counted_cancelled_units_and_found_no_node_is_void() -> None:
    spec = given(domain).heard(fewer(units(2, 2)))
    spec.when(unroutable(*ALL, round_=1)).then_nothing()
    spec.when(unroutable(units(1, 3), round_=2)).then_types(FulfillmentCancelled, FulfillmentCompleted)


def test_cancelled_to_the_last_unit_the_order_is_through() -> None:
    spec = released().heard(fewer(units(1, 3)))
    spec.when(fewer(units(2, 2), n=2)).then(
        cancelled(units(2, 2), work=(stopped(units(2, 2)),), n=2),
        FulfillmentCompleted(order_id=ORDER, outcome="cancelled", cancelled=ALL),
    )


def test_a_held_order_keeps_its_allocation_for_the_end_of_the_hold() -> None:
    hold = HoldPlaced(order_id=ORDER, hold="fraud", message="Ask.")
    spec = given(domain).when(hold).then_nothing()
    spec.when(allocated(at_node("north", *ALL))).then_nothing()
    spec.when(fewer(units(1, 3))).then_types(LinesCancelled, AllocationDeclined)
    spec.when(OrderResumed(order_id=ORDER)).then_one(FulfillmentReleased, lines=(units(2, 2),))
    spec.when(hold).then_one(HoldDeclined, hold="fraud")
    spec.when(OrderResumed(order_id=ORDER)).then_nothing()


@pytest.mark.parametrize(
    "ends",
    [
        BackorderLapsed(order_id=ORDER, lines=(units(2, 2),), since=NOON, wait_days=14),
        unroutable(units(2, 2), round_=2),
    ],
)
def test_a_held_order_whose_rest_never_comes_ships_what_was_allocated_to_it(ends: Event) -> None:
    """Partial: three have a node and wait for the end of the hold, two waited for stock in vain."""
    some = allocated(at_node("north", units(1, 3))).model_copy(update={"later": (units(2, 2),)})
    spec = given(domain).heard(HoldPlaced(order_id=ORDER, hold="fraud", message="Ask."), some)
    spec.when(ends).then_one(
        FulfillmentCancelled, cause="unroutable", lines=(units(2, 2),), awaiting=(units(1, 3),)
    )
    spec.when(OrderResumed(order_id=ORDER)).then_one(FulfillmentReleased, lines=(units(1, 3),), awaiting=None)
    spec.heard(pick((1, 3, 0)), pack(), dispatch())
    spec.when(scan("delivered")).then_types(CarrierEventRecorded, ShipmentDelivered, FulfillmentCompleted)


def test_a_held_order_can_be_cancelled_whole() -> None:
    hold = HoldPlaced(order_id=ORDER, hold="fraud", message="Ask.")
    spec = given(domain).heard(hold, allocated(at_node("north", *ALL)))
    spec.when(cancel(*ALL)).then_types(FulfillmentCancelled, FulfillmentCompleted)
    spec.when(OrderResumed(order_id=ORDER)).then_nothing()


def test_an_order_of_which_nothing_was_found_can_be_held_before_it_is_released_anew() -> None:
    hold = HoldPlaced(order_id=ORDER, hold="fraud", message="Ask.")
    spec = released().heard(pick((1, 0, 3), (2, 0, 2))).when(hold).then_nothing()
    spec.when(allocated(at_node("south", *ALL), round_=2)).then_nothing()
    spec.when(OrderResumed(order_id=ORDER)).then_one(FulfillmentReleased, fulfillment_order_id=F2, lines=ALL)
    some = released().heard(pick((1, 1, 2), (2, 0, 2)))
    some.when(hold).then_one(HoldDeclined, hold="fraud")


def test_a_hold_ends_with_the_order_and_the_next_one_comes_too_late() -> None:
    hold = HoldPlaced(order_id=ORDER, hold="fraud", message="Ask.")
    spec = given(domain).heard(hold, fewer(units(1, 3)), fewer(units(2, 2), n=2))
    spec.when(hold.model_copy(update={"hold": "wait"})).then_one(HoldDeclined, hold="wait")
    spec.when(allocated(at_node("north", *ALL))).then_types(AllocationDeclined)


def test_units_that_have_a_node_are_not_those_that_no_node_was_found_for() -> None:
    """Two of three have a node and wait for the end of the hold. One is cancelled while routing looks for the
    third: that one is not looked for any more, and both others are shipped."""
    some = allocated(at_node("north", units(1, 2))).model_copy(update={"later": (units(1, 1), units(2, 2))})
    hold = HoldPlaced(order_id=ORDER, hold="fraud", message="Ask.")
    spec = given(domain).heard(hold, some, fewer(units(1, 1)))
    spec.when(unroutable(units(1, 1))).then_nothing()
    spec.when(OrderResumed(order_id=ORDER)).then_one(FulfillmentReleased, lines=(units(1, 2),))


PARTS = (PartLine(line=100, sku="sku-100", quantity=3), PartLine(line=101, sku="sku-101", quantity=6))
BOXES = (UnpackedLine(line=1, sku="sku-1", quantity=3, bundle_version=1, parts=PARTS),)
NO_BAGS = unroutable(units(101, 6), round_=1).model_copy(
    update={"bundles": BOXES, "later": (units(2, 2), units(100, 3))}
)
"""What is first heard of the order: no node ships one part of its boxes."""


def test_an_order_that_is_first_heard_of_by_what_is_given_up_ends_with_its_bundles_named() -> None:
    spec = given(domain).heard(NO_BAGS)
    spec.when(cancel(*ALL)).then(
        FulfillmentCancelled(
            order_id=ORDER, lines=(units(2, 2), units(100, 3)), reason="changed my mind", bundles=BOXES
        ),
        FulfillmentCompleted(
            order_id=ORDER,
            outcome="cancelled",
            cancelled=(units(2, 2), units(100, 3)),
            unroutable=(units(101, 6),),
            bundles=BOXES,
        ),
    )


def test_boxes_of_which_a_part_was_given_up_stay_whole_and_say_so() -> None:
    kept = KeptUnits(line=1, sku="sku-1", quantity=2, code="bundle")
    spec = given(domain).heard(NO_BAGS)
    spec.when(fewer(units(1, 2))).then_one(LineCancellationDeclined, lines=(kept,))
    spec.when(fewer(units(2, 1), n=2)).then(cancelled(units(2, 1), n=2))


def test_boxes_whose_parts_wait_for_the_end_of_a_hold_are_shipped_also_when_another_line_is_cancelled() -> (
    None
):
    parts = allocated(at_node("north", units(2, 2), units(100, 3), units(101, 6)))
    hold = HoldPlaced(order_id=ORDER, hold="fraud", message="Ask.")
    spec = given(domain).heard(hold, parts.model_copy(update={"bundles": BOXES}))
    spec.when(fewer(units(2, 2))).then_types(LinesCancelled, AllocationDeclined)
    spec.when(OrderResumed(order_id=ORDER)).then_one(
        FulfillmentReleased, lines=(units(100, 3), units(101, 6)), bundles=BOXES
    )
