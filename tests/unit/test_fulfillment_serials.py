"""Serial numbers at the node: told with the pick, or with the dispatch at the latest."""

import pytest

from libs.events.fulfillment import (
    ConfirmPick,
    DispatchShipment,
    LineNumbers,
    PackConfirmed,
    Pick,
    PickConfirmed,
    PickShorted,
    RecordCarrierEvent,
    ShipmentDelivered,
    ShipmentDispatched,
)
from libs.events.order import LineSerials, PickFrom
from services.fulfillment import domain
from tests.spec import NOON, Spec, given
from tests.unit.test_fulfillment_domain import F1, F2, ORDER, S1, allocated, at_node, dispatch, pack, units

Told = dict[int, tuple[str, ...]]


def released() -> Spec:
    """Two units of line 1, whose SKU asks for numbers, and one of line 2, whose SKU does not."""
    plan = allocated(at_node("north", units(1, 2), units(2, 1)))
    picks = (PickFrom(node="north", sku="sku-1", quantity=2, serialised=True),)
    return given(domain).heard(plan.model_copy(update={"picks": picks}))


def picked(told: Told, short: int = 0) -> ConfirmPick:
    picks = (
        Pick(line=1, picked=2 - short, short=short, serials=told.get(1)),
        Pick(line=2, picked=1, serials=told.get(2)),
    )
    return ConfirmPick(order_id=ORDER, fulfillment_order_id=F1, picks=picks)


def shipped(told: Told) -> DispatchShipment:
    numbers = tuple(LineNumbers(line=line, serials=serials) for line, serials in told.items())
    return dispatch().model_copy(update={"serials": numbers or None})


BOTH = (LineSerials(line=1, sku="sku-1", serials=("A", "B")),)


def test_numbers_told_with_the_pick_leave_with_the_shipment_and_arrive() -> None:
    spec = released()
    spec.when(picked({1: ("A", "B")})).then_one(PickConfirmed, serials=BOTH)
    spec.when(picked({1: ("A", "B")})).then_nothing()
    spec.when(picked({1: ("A", "C")})).then_refused("pick_already_recorded")
    spec.when(pack()).then_types(PackConfirmed)
    spec.when(shipped({})).then_one(ShipmentDispatched, serials=BOTH)
    scan = RecordCarrierEvent(order_id=ORDER, shipment_id=S1, status="delivered", occurred_at=NOON)
    delivered = [event for event in spec.when(scan).events if isinstance(event, ShipmentDelivered)]
    assert [event.serials for event in delivered] == [BOTH]


def test_a_pick_is_the_same_again_also_when_the_dispatch_has_told_other_numbers() -> None:
    spec = released().heard(picked({1: ("A", "B")}), pack())
    spec.when(shipped({1: ("A", "C")})).then_types(ShipmentDispatched)
    spec.when(picked({1: ("A", "B")})).then_nothing()
    spec.when(picked({1: ("A", "D")})).then_refused("pick_already_recorded")
    spec.when(shipped({1: ("A", "C")})).then_nothing()


def test_numbers_may_be_told_with_the_dispatch_and_at_the_latest() -> None:
    spec = released().heard(picked({}), pack())
    spec.when(shipped({})).then_refused("serials_required")
    spec.when(shipped({1: ("A",)})).then_refused("serials_required")
    spec.when(shipped({1: ("A", "B")})).then_one(ShipmentDispatched, serials=BOTH)
    spec.when(shipped({1: ("A", "B")})).then_nothing()
    spec.when(shipped({1: ("A", "C")})).then_refused("dispatch_already_recorded")


def test_what_the_dispatch_tells_replaces_what_the_pick_told() -> None:
    spec = released().heard(picked({1: ("A", "X")}), pack())
    spec.when(shipped({1: ("A", "B")})).then_one(ShipmentDispatched, serials=BOTH)


def test_units_that_were_not_found_need_no_number() -> None:
    spec = released()
    first, _ = spec.when(picked({1: ("A",)}, short=1)).events
    assert isinstance(first, PickConfirmed)
    assert first.serials == (LineSerials(line=1, sku="sku-1", serials=("A",)),)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({1: ("A",)}, "serials_required"),
        ({1: ("A", "B", "C")}, "too_many_serials"),
        ({1: ("A", "A")}, "serial_twice"),
        ({1: ("A", "B" * 65)}, "serial_too_long"),
        ({2: ("A",)}, "no_serials"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_at_the_pick_and_at_the_dispatch(told: Told, code: str) -> None:
    released().when(picked(told)).then_refused(code)
    late = {1: ("A", "B"), **told} if 2 in told else told
    released().heard(picked({}), pack()).when(shipped(late)).then_refused(code)


def test_numbers_of_a_line_that_is_not_sent_are_refused() -> None:
    spec = released().heard(picked({}), pack())
    spec.when(shipped({1: ("A", "B"), 7: ("C",)})).then_refused("no_such_line")


def test_where_nothing_asks_for_numbers_nothing_is_different() -> None:
    spec = given(domain).heard(allocated(at_node("north", units(1, 2), units(2, 1))))
    spec.when(picked({1: ("A", "B")})).then_refused("no_serials")
    spec.when(picked({})).then_one(PickConfirmed, serials=None)
    spec.heard(pack()).when(shipped({})).then_one(ShipmentDispatched, serials=None)


def test_a_unit_that_was_found_damaged_names_its_number() -> None:
    def damaged(*serials: str) -> ConfirmPick:
        picks = (
            Pick(line=1, picked=1, short=1, short_reason="damaged", serials=("A",), short_serials=serials),
            Pick(line=2, picked=1),
        )
        return ConfirmPick(order_id=ORDER, fulfillment_order_id=F1, picks=picks)

    spec = released()
    spec.when(damaged("B", "C")).then_refused("too_many_serials")
    spec.when(damaged("A")).then_refused("serial_twice")
    _, short = spec.when(damaged("B")).events
    assert isinstance(short, PickShorted)
    assert [line.serials for line in short.lines] == [("B",)]


def two_nodes() -> Spec:
    """One unit at each of two nodes, of a SKU that asks for numbers, and both picked: A, and one unnamed."""
    plan = allocated(at_node("north", units(1, 1)), at_node("south", units(1, 1)))
    picks = tuple(
        PickFrom(node=node, sku="sku-1", quantity=1, serialised=True) for node in ("north", "south")
    )
    return given(domain).heard(plan.model_copy(update={"picks": picks}), of(F1, "A"))


def of(work: str, *serials: str, damaged: tuple[str, ...] = ()) -> ConfirmPick:
    reason = {"short_reason": "damaged", "short_serials": damaged} if damaged else {}
    pick = {
        "line": 1,
        "picked": 1 - len(damaged),
        "short": len(damaged),
        "serials": serials or None,
        **reason,
    }
    return ConfirmPick.model_validate({"order_id": ORDER, "fulfillment_order_id": work, "picks": (pick,)})


def sends(work: str, *serials: str) -> DispatchShipment:
    return shipped({1: serials}).model_copy(update={"fulfillment_order_id": work})


def test_one_unit_does_not_leave_in_two_fulfillment_orders_of_an_order() -> None:
    """Of two units that were sent under one number, only one could come back."""
    spec = two_nodes()
    spec.when(of(F2, "A")).then_refused("serial_twice")
    spec.when(of(F2, damaged=("A",))).then_refused("serial_twice")
    spec.when(of(F2)).then_types(PickConfirmed)
    spec.heard(pack(of=F1), pack(of=F2))
    spec.when(sends(F2, "A")).then_refused("serial_twice")
    spec.when(sends(F1, "A")).then_types(ShipmentDispatched)
    spec.when(sends(F1, "A")).then_nothing()
    answer = spec.when(sends(F2, "A"))
    answer.then_refused("serial_twice")
    assert F1 in answer.events[0].model_dump()["message"]
    spec.when(sends(F2, "B")).then_types(ShipmentDispatched)


def test_a_number_that_was_misread_is_free_once_its_dispatch_tells_another() -> None:
    spec = two_nodes().heard(of(F2), pack(of=F1), pack(of=F2), sends(F1, "C"))
    spec.when(sends(F2, "A")).then_types(ShipmentDispatched)
