"""Fulfillment as sentences: an amendment comes in time or too late, and nothing goes by terms of before."""

import pytest

from libs.events.amendments import (
    AllocationOutdated,
    AmendmentDeclined,
    OrderAmended,
    OrderAmendmentRequested,
)
from libs.events.changes import AllocationDeclined, HoldPlaced, LinesCancelled, OrderResumed
from libs.events.fulfillment import (
    FulfillmentCancelled,
    FulfillmentCompleted,
    FulfillmentReleased,
    PickShorted,
)
from libs.events.order import Destination
from libs.events.policy import BackorderLapsed
from services.fulfillment import domain
from tests.contract.example_parts import CONTACT
from tests.spec import NOON, Spec, given
from tests.unit.test_fulfillment_changes import fewer
from tests.unit.test_fulfillment_domain import (
    ORDER,
    TO,
    allocated,
    at_node,
    cancel,
    dispatched,
    pick,
    released,
    units,
    unroutable,
)

AWAY = Destination(country="FR")
ALL = (units(1, 3), units(2, 2))


def amend(
    n: int = 1, *, to: Destination | None = AWAY, service: str | None = None
) -> OrderAmendmentRequested:
    contact = None if to is None else CONTACT
    return OrderAmendmentRequested(
        order_id=ORDER,
        amendment_id=f"{ORDER}-A{n}",
        destination=to,
        contact=contact,
        service=service,
        reason="moved",
    )


def test_what_was_allocated_for_other_terms_goes_to_no_node_and_what_is_planned_anew_does() -> None:
    spec = (
        given(domain)
        .when(amend())
        .then(
            OrderAmended(
                order_id=ORDER, amendment_id=f"{ORDER}-A1", destination=AWAY, contact=CONTACT, reason="moved"
            )
        )
    )
    old = allocated(at_node("north", *ALL))
    spec.when(old).then(AllocationOutdated(order_id=ORDER, round=1, nodes=old.nodes))
    spec.when(old).then_nothing()
    new = allocated(at_node("south", *ALL), round_=2).model_copy(update={"destination": AWAY})
    spec.when(new).then_one(FulfillmentReleased, node="south", destination=AWAY, contact=CONTACT)


@pytest.mark.parametrize(
    ("so_far", "says"),
    [
        (released(), "is released at north. Cancel what is not picked yet, and order it anew"),
        (released().heard(pick((1, 3, 0), (2, 2, 0))), "Cancel the order before it is dispatched"),
        (dispatched(), "Ask the carrier to redirect the parcel"),
        (given(domain).heard(cancel(*ALL)), "has come to its end"),
    ],
)
def test_too_late_says_what_can_still_be_done(so_far: Spec, says: str) -> None:
    [declined] = so_far.when(amend()).events
    assert isinstance(declined, AmendmentDeclined)
    assert says in declined.reason


def test_once_no_node_has_any_of_it_the_order_can_be_amended() -> None:
    spec = released().when(pick((1, 0, 3), (2, 0, 2))).then_types(PickShorted)
    spec.when(amend(service="express")).then_types(OrderAmended)
    spec.when(allocated(at_node("south", *ALL), round_=2)).then_types(AllocationOutdated)


def test_a_held_order_gives_back_what_waits_for_the_end_of_the_hold() -> None:
    spec = given(domain).heard(HoldPlaced(order_id=ORDER, hold="fraud", message="Ask."))
    spec.when(allocated(at_node("north", *ALL))).then_nothing()
    spec.when(amend()).then_types(OrderAmended, AllocationOutdated)
    spec.when(allocated(at_node("north", *ALL), round_=2)).then_types(AllocationOutdated)
    new = allocated(at_node("south", *ALL), round_=3).model_copy(update={"destination": AWAY})
    spec.when(new).then_nothing()
    spec.when(OrderResumed(order_id=ORDER)).then_one(FulfillmentReleased, node="south", round=3)


def test_units_that_were_cancelled_meanwhile_are_not_planned_anew() -> None:
    spec = given(domain).when(amend()).then_types(OrderAmended)
    spec.when(fewer(units(1, 3))).then_types(LinesCancelled)
    spec.when(allocated(at_node("north", *ALL))).then(
        AllocationOutdated(order_id=ORDER, round=1, nodes=(at_node("north", units(2, 2)),)),
        AllocationDeclined(order_id=ORDER, round=1, nodes=(at_node("north", units(1, 3)),)),
    )


def test_no_node_for_the_former_destination_is_no_end_and_for_the_new_one_it_is() -> None:
    spec = given(domain).when(amend()).then_types(OrderAmended)
    old = unroutable(*ALL, round_=1).model_copy(update={"destination": TO})
    spec.when(old).then_nothing()
    new = unroutable(*ALL, round_=2).model_copy(update={"destination": AWAY})
    spec.when(new).then_types(FulfillmentCancelled, FulfillmentCompleted)


def test_what_waits_beside_an_outdated_allocation_is_known_when_its_wait_ends() -> None:
    """The lapse names only what lacks: the others are still to be shipped."""
    spec = given(domain).when(amend()).then_types(OrderAmended)
    some = allocated(at_node("north", units(1, 3))).model_copy(update={"later": (units(2, 2),)})
    spec.when(some).then_one(AllocationOutdated, awaiting=(units(2, 2),))
    lapsed = BackorderLapsed(order_id=ORDER, lines=(units(2, 2),), since=NOON, wait_days=3)
    spec.when(lapsed).then_types(FulfillmentCancelled)
    new = allocated(at_node("south", units(1, 3)), round_=2).model_copy(update={"destination": AWAY})
    spec.when(new).then_types(FulfillmentReleased)


def test_the_service_that_nobody_named_is_the_standard_one() -> None:
    spec = given(domain).when(amend(to=None, service="standard")).then_types(OrderAmended)
    spec.when(allocated(at_node("north", *ALL))).then_types(FulfillmentReleased)
