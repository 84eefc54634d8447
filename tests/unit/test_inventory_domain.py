"""Inventory as sentences: promise, queue, allocation, issue, and every way back."""

from datetime import timedelta

from libs.events.inventory import (
    AllocationFailed,
    Claim,
    ReservationBroken,
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
from libs.events.order import NodeLines
from libs.events.timer import Timer
from services.inventory import domain
from services.inventory.order import OrderPart
from services.inventory.stock import SkuPart
from tests.spec import NOON, Spec, given
from tests.unit.inventory_trade import (
    FRANCE,
    accepted,
    adjust,
    cancelled,
    dispatched,
    due,
    lacks,
    line,
    lines,
    moves,
    promised,
    receive,
    returned,
    routed,
    shorted,
    there,
    unpromised,
    unroutable,
)


def stocked(**on_hand: int) -> Spec:
    """Inventory with these units by SKU at N1."""
    return given(domain).heard(*(receive(sku, quantity) for sku, quantity in on_hand.items()))


def sku(spec: Spec, name: str) -> SkuPart:
    part = spec.parts[f"sku/{name}"]
    assert isinstance(part, SkuPart)
    return part


def order(spec: Spec, order_id: str) -> OrderPart:
    part = spec.parts[order_id]
    assert isinstance(part, OrderPart)
    return part


# Promise -------------------------------------------------------------------------------------------------


def test_an_order_is_promised_all_its_lines_with_the_figures_routing_needs() -> None:
    spec = stocked(A=5, B=2).heard(receive("A", 1, "N2"))
    spec.when(accepted("o1", ("A", 3), ("B", 2))).then(
        StockReserved(
            order_id="o1",
            round=1,
            lines=lines(("A", 3), ("B", 2)),
            availability=(there("A", 5), there("A", 1, "N2"), there("B", 2)),
            since=NOON,
            destination=FRANCE,
            movements=(promised("A", 3, 3), promised("B", 2, 2)),
        )
    )
    assert (sku(spec, "A").free, sku(spec, "B").free) == (3, 0)


def test_the_same_order_again_is_answered_once() -> None:
    stocked(A=5).heard(accepted("o1", ("A", 3))).when(accepted("o1", ("A", 3))).then_nothing()


def test_one_sku_on_five_lines_is_one_demand() -> None:
    five = [("A", 1)] * 5
    stocked(A=5).when(accepted("o1", *five)).then_one(StockReserved, movements=(promised("A", 2, 5),))
    stocked(A=4).when(accepted("o1", *five)).then_one(
        StockBackordered, short=(lacks("A", 1),), movements=(promised("A", 2, 4),)
    )


def test_an_order_that_lacks_one_unit_waits_and_holds_what_exists() -> None:
    spec = stocked(A=5, B=1)
    spec.when(accepted("o1", ("A", 3), ("B", 2))).then(
        StockBackordered(
            order_id="o1",
            round=1,
            lines=lines(("A", 3), ("B", 2)),
            short=(lacks("B", 1),),
            since=NOON,
            destination=FRANCE,
            movements=(promised("A", 2, 3), promised("B", 2, 1)),
        )
    )
    spec.when(accepted("o2", ("A", 3))).then_one(StockBackordered, short=(lacks("A", 1),))


# The queue -----------------------------------------------------------------------------------------------


def test_a_receipt_goes_to_the_oldest_first_and_wakes_them() -> None:
    spec = given(domain).heard(accepted("late", ("A", 2)), at=NOON + timedelta(hours=1))
    spec.heard(accepted("early", ("A", 2)))
    won = (Claim(order_id="early", quantity=2), Claim(order_id="late", quantity=1))
    pegged = StockPegged(sku="A", claims=won, movements=(promised("A", 2, 3),))
    spec.when(receive("A", 3)).then(
        StockReceived(
            sku="A", node="N1", quantity=3, movements=(moves("A", 1, 3, "supplier", "on_hand", "N1"),)
        ),
        pegged,
    )
    assert domain.timers(pegged, NOON) == [Timer("early", "claims", NOON), Timer("late", "claims", NOON)]
    spec.when(due("early", "claims")).then_one(
        StockReserved, round=1, lines=lines(("A", 2)), availability=(there("A", 3),), movements=(), since=NOON
    )
    spec.when(due("early", "claims")).then_nothing()
    spec.when(due("late", "claims")).then_nothing()


def test_orders_of_one_age_are_served_by_their_id() -> None:
    spec = given(domain).heard(accepted("b", ("A", 1)), accepted("a", ("A", 1)))
    spec.heard(receive("A", 1))
    assert spec.answer is not None
    pegged = spec.answer.events[1]
    assert isinstance(pegged, StockPegged)
    assert pegged.claims == (Claim(order_id="a", quantity=1),)


def test_nobody_overtakes_the_queue_for_units_that_became_free_in_an_orders_lane() -> None:
    spec = (
        stocked(A=2).heard(accepted("first", ("A", 2))).after(minutes=1).heard(accepted("second", ("A", 2)))
    )
    spec.when(cancelled("first", *lines(("A", 2)))).then_types(StockReleased)
    assert sku(spec, "A").free == 2
    spec.after(minutes=1).when(accepted("third", ("A", 1))).then_one(
        StockBackordered, short=(lacks("A", 1),), movements=()
    )
    spec.when(due("sku/A", "free")).then(
        StockPegged(sku="A", claims=(Claim(order_id="second", quantity=2),), movements=(promised("A", 4, 2),))
    )
    spec.when(due("sku/A", "free")).then_nothing()
    spec.when(due("second", "claims")).then_types(StockReserved)


def test_a_release_and_a_restock_remind_the_sku_of_its_queue() -> None:
    released = StockReleased(order_id="o1", movements=(unpromised("A", 3, 2), unpromised("B", 3, 2)))
    assert domain.timers(released, NOON) == [Timer("sku/A", "free", NOON), Timer("sku/B", "free", NOON)]
    scrapped = StockReturned(
        order_id="o1", rma_id="r", movements=(moves("A", 9, 1, "issued", "scrapped", "N1"),)
    )
    assert domain.timers(scrapped, NOON) == []


# Allocation ----------------------------------------------------------------------------------------------


def test_a_plan_becomes_hard_claims_at_its_nodes() -> None:
    spec = stocked(A=2).heard(receive("A", 2, "N2"), accepted("o1", ("A", 3)))
    plan = routed("o1", 1, N1=(line(1, "A", 2),), N2=(line(1, "A", 1),))
    spec.when(plan).then(
        StockAllocated(
            order_id="o1",
            round=1,
            nodes=(
                NodeLines(node="N1", lines=(line(1, "A", 2),)),
                NodeLines(node="N2", lines=(line(1, "A", 1),)),
            ),
            destination=FRANCE,
            movements=(
                unpromised("A", 4, 3),
                moves("A", 5, 2, "on_hand", "allocated", "N1"),
                moves("A", 6, 1, "on_hand", "allocated", "N2"),
            ),
        )
    )
    assert sku(spec, "A") == SkuPart(position=6, on_hand={"N2": 1}, allocated={"N1": 2, "N2": 1})
    spec.when(plan).then_nothing()


def test_whoever_comes_second_to_a_node_is_routed_again_and_keeps_its_promise() -> None:
    spec = stocked(A=2).heard(receive("A", 2, "N2"), accepted("o1", ("A", 2)), accepted("o2", ("A", 2)))
    spec.heard(routed("o1", 1, N1=(line(1, "A", 2),)))
    spec.when(routed("o2", 1, N1=(line(1, "A", 2),))).then(
        AllocationFailed(
            order_id="o2",
            round=2,
            short=(lacks("A", 2, "N1"),),
            lines=lines(("A", 2)),
            availability=(there("A", 2, "N2"),),
            destination=FRANCE,
        )
    )
    assert sku(spec, "A").claims["o2"].held == 2
    spec.when(routed("o2", 1, N2=(line(1, "A", 2),))).then_nothing()
    spec.when(routed("o2", 2, N2=(line(1, "A", 2),))).then_types(StockAllocated)


def test_a_plan_for_an_order_that_waits_again_is_void() -> None:
    stocked(A=1).heard(accepted("o1", ("A", 2))).when(routed("o1", 1, N1=(line(1, "A", 2),))).then_nothing()


# Corrections ---------------------------------------------------------------------------------------------


def test_found_units_go_to_the_queue() -> None:
    spec = given(domain).heard(accepted("o1", ("A", 1)))
    spec.when(adjust("A", 1)).then_types(StockAdjusted, StockPegged)


def test_a_correction_that_promises_can_spare_breaks_nothing() -> None:
    spec = stocked(A=3).heard(accepted("o1", ("A", 2)))
    spec.when(adjust("A", -1)).then_one(
        StockAdjusted, movements=(moves("A", 3, 1, "on_hand", "written_off", "N1"),)
    )


def broken_order() -> Spec:
    """o1, the older, and o2 were promised two units each of four; then two are gone."""
    spec = stocked(A=4).heard(accepted("o1", ("A", 2))).after(minutes=1).heard(accepted("o2", ("A", 2)))
    return spec.heard(adjust("A", -3))


def test_the_youngest_promises_break_before_the_units_go() -> None:
    spec = broken_order()
    lost = (Claim(order_id="o2", quantity=2), Claim(order_id="o1", quantity=1))
    broken = ReservationBroken(sku="A", claims=lost, movements=(unpromised("A", 4, 3),))
    assert spec.answer is not None
    spec.answer.then_types(ReservationBroken, StockAdjusted)
    assert spec.answer.events[0] == broken
    assert domain.timers(broken, NOON) == [Timer("o2", "claims", NOON), Timer("o1", "claims", NOON)]


def test_a_broken_promise_opens_a_new_round_and_voids_the_old_plan() -> None:
    spec = broken_order()
    spec.when(due("o2", "claims")).then_one(
        StockBackordered, round=2, short=(lacks("A", 2),), movements=(), since=NOON + timedelta(minutes=1)
    )
    spec.when(routed("o2", 1, N1=(line(1, "A", 2),))).then_nothing()
    spec.heard(receive("A", 3)).when(due("o2", "claims")).then_one(StockReserved, round=2)
    spec.when(routed("o2", 2, N1=(line(1, "A", 2),))).then_types(StockAllocated)


def test_a_plan_that_meets_a_broken_promise_before_its_reminder_does_allocates_nothing() -> None:
    spec = broken_order()
    spec.when(routed("o2", 1, N1=(line(1, "A", 2),))).then_one(StockBackordered, round=2)
    spec.when(due("o2", "claims")).then_nothing()
    # mended before the reminder: the order must not be left without a plan
    spec = broken_order().heard(routed("o2", 1, N1=(line(1, "A", 2),)), receive("A", 3))
    spec.when(due("o2", "claims")).then_one(StockReserved, round=2)


def test_a_promise_that_was_broken_and_mended_in_between_is_as_before() -> None:
    spec = broken_order().heard(receive("A", 3))
    spec.when(routed("o2", 1, N1=(line(1, "A", 2),))).then_types(StockAllocated)
    spec.when(due("o2", "claims")).then_nothing()


# Refusals ------------------------------------------------------------------------------------------------


def test_each_refusal_says_why() -> None:
    spec = stocked(A=5).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    spec.when(adjust("A", 0)).then_refused("no_change")
    spec.when(adjust("A", -4)).then_refused("not_on_hand")
    spec.when(adjust("A", -1, "N2")).then_refused("not_on_hand")
    spec.when(adjust("Z", -1)).then_refused("not_on_hand")
    spec.when(adjust("A", -3)).then_types(StockAdjusted)


def test_a_refusal_counts_what_is_there_and_what_orders_have() -> None:
    spec = stocked(A=5).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    [refused] = spec.when(adjust("A", -4)).events
    message = refused.model_dump()["message"]
    assert "3 are on hand" in message
    assert "2 are allocated" in message


def test_a_house_has_an_end() -> None:
    spec = given(domain)
    for _ in range(1000):
        spec.heard(receive("A", 1_000_000))
    spec.when(receive("A", 1)).then_refused("too_many_units")
    spec.when(adjust("A", 1, "N2")).then_refused("too_many_units")
    spec.heard(accepted("o1", ("A", 1)), routed("o1", 1, N1=(line(1, "A", 1),)))
    spec.when(receive("A", 1)).then_refused("too_many_units")
    spec.when(adjust("A", -1)).then_types(StockAdjusted)
    spec.when(receive("A", 1)).then_types(StockReceived)


# Cancellation --------------------------------------------------------------------------------------------


def test_cancelled_before_it_was_heard_of_it_never_holds_stock() -> None:
    spec = stocked(A=2)
    spec.when(cancelled("o1", *lines(("A", 2)))).then(
        StockReleased(order_id="o1", reason="changed their mind", movements=())
    )
    spec.when(accepted("o1", ("A", 2))).then_nothing()
    spec.when(cancelled("o1", *lines(("A", 2)))).then_nothing()
    assert sku(spec, "A").free == 2


def test_cancelled_while_it_waits_it_leaves_the_queue() -> None:
    spec = stocked(A=1).heard(accepted("o1", ("A", 2), ("B", 1)))
    spec.when(cancelled("o1", *lines(("A", 2), ("B", 1)))).then_one(
        StockReleased, lines=lines(("A", 2), ("B", 1)), movements=(unpromised("A", 3, 1),)
    )
    assert sku(spec, "A") == SkuPart(position=3, on_hand={"N1": 1})
    assert sku(spec, "B") == SkuPart()
    spec.when(due("o1", "claims")).then_nothing()
    spec.when(receive("B", 5)).then_types(StockReceived)


def test_cancelled_after_allocation_its_units_are_on_hand_again() -> None:
    spec = stocked(A=2).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    spec.when(cancelled("o1", line(1, "A", 2))).then_one(
        StockReleased, lines=(), movements=(moves("A", 5, 2, "allocated", "on_hand", "N1"),)
    )
    assert sku(spec, "A").free == 2
    spec.when(routed("o1", 1, N1=(line(1, "A", 2),))).then_nothing()


def test_cancelled_between_promise_and_plan_the_plan_comes_to_nothing() -> None:
    spec = stocked(A=2).heard(accepted("o1", ("A", 2)), cancelled("o1", line(1, "A", 2)))
    spec.when(routed("o1", 1, N1=(line(1, "A", 2),))).then_nothing()


def half_allocated() -> Spec:
    """o1 has a unit of A allocated at N1; its unit of B came up short there and exists at N2."""
    spec = stocked(A=1, B=1).heard(accepted("o1", ("A", 1), ("B", 1)))
    spec.heard(routed("o1", 1, N1=lines(("A", 1), ("B", 1))), receive("B", 1, "N2"))
    return spec.heard(shorted("o1", 1, "N1", line(2, "B", 1)))


def test_what_cannot_be_routed_is_given_up_and_the_rest_goes_its_way() -> None:
    spec = half_allocated()
    spec.when(unroutable("o1", line(2, "B", 1))).then_one(
        StockReleased, cause="unroutable", lines=(line(2, "B", 1),), movements=(unpromised("B", 8, 1),)
    )
    assert order(spec, "o1").status == "settled"
    spec.when(unroutable("o1", line(2, "B", 1))).then_nothing()
    spec.when(dispatched("o1", 1, "N1", line(1, "A", 1))).then_types(StockIssued)


def test_given_up_units_void_the_plan_that_counted_them() -> None:
    spec = stocked(A=1, B=1).heard(accepted("o1", ("A", 1), ("B", 1)))
    spec.when(unroutable("o1", line(2, "B", 1))).then_types(StockReleased, StockReserved)
    assert order(spec, "o1").round == 2
    spec.when(routed("o1", 1, N1=lines(("A", 1), ("B", 1)))).then_nothing()
    spec.when(routed("o1", 2, N1=(line(1, "A", 1),))).then_types(StockAllocated)


def test_given_up_after_it_was_allocated_it_is_on_hand_again() -> None:
    spec = half_allocated().heard(routed("o1", 2, N2=(line(2, "B", 1),)))
    spec.when(unroutable("o1", line(2, "B", 1))).then_one(
        StockReleased, lines=(), movements=(moves("B", 10, 1, "allocated", "on_hand", "N2"),)
    )


# Dispatch, short picks, returns --------------------------------------------------------------------------


def test_a_shipment_issues_what_was_allocated_once() -> None:
    spec = stocked(A=3).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    shipment = dispatched("o1", 1, "N1", line(1, "A", 2))
    spec.when(shipment).then(
        StockIssued(
            order_id="o1", shipment_id="o1-S1", movements=(moves("A", 5, 2, "allocated", "issued", "N1"),)
        )
    )
    spec.when(shipment).then_nothing()


def test_a_short_pick_is_promised_again_in_the_next_round() -> None:
    spec = stocked(A=3).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    short = shorted("o1", 1, "N1", line(1, "A", 1))
    spec.when(short).then(
        StockShorted(
            order_id="o1",
            fulfillment_order_id="o1-F1",
            lines=(line(1, "A", 1),),
            movements=(moves("A", 5, 1, "allocated", "missing", "N1"),),
        ),
        StockReserved(
            order_id="o1",
            round=2,
            lines=(line(1, "A", 1),),
            availability=(there("A", 1),),
            since=NOON,
            destination=FRANCE,
            movements=(promised("A", 6, 1),),
        ),
    )
    spec.when(short).then_nothing()


def test_a_short_pick_waits_with_the_age_of_its_order() -> None:
    spec = stocked(A=2).heard(accepted("old", ("A", 2)), routed("old", 1, N1=(line(1, "A", 2),)))
    spec.after(minutes=1).heard(accepted("young", ("A", 1)))
    spec.when(shorted("old", 1, "N1", line(1, "A", 1), reason="damaged")).then_types(
        StockShorted, StockBackordered
    )
    spec.when(receive("A", 1)).then_types(StockReceived, StockPegged)
    assert {name: claim.held for name, claim in sku(spec, "A").claims.items()} == {"old": 1, "young": 0}


def test_a_second_short_pick_adds_to_what_the_first_one_asked_for() -> None:
    spec = stocked(A=1).heard(receive("B", 1, "N2"), accepted("o1", ("A", 1), ("B", 1)))
    spec.heard(routed("o1", 1, N1=(line(1, "A", 1),), N2=(line(2, "B", 1),)))
    spec.heard(receive("A", 1), receive("B", 1))
    spec.when(shorted("o1", 1, "N1", line(1, "A", 1))).then_types(StockShorted, StockReserved)
    [_, again] = spec.when(shorted("o1", 2, "N2", line(2, "B", 1))).events
    assert isinstance(again, StockReserved)
    assert (again.round, again.lines) == (3, lines(("A", 1), ("B", 1)))
    assert again.movements == (promised("B", 7, 1),)
    spec.when(routed("o1", 2, N1=(line(1, "A", 1),))).then_nothing()
    spec.when(routed("o1", 3, N1=lines(("A", 1), ("B", 1)))).then_types(StockAllocated)


def shipped() -> Spec:
    spec = stocked(A=3).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    return spec.heard(dispatched("o1", 1, "N1", line(1, "A", 2)))


def test_returned_units_are_on_hand_where_they_were_received() -> None:
    spec = shipped()
    spec.when(returned("o1", "N1", line(1, "A", 1))).then_one(
        StockReturned, rma_id="o1-R1", movements=(moves("A", 6, 1, "issued", "on_hand", "N1"),)
    )
    spec.when(returned("o1", "N2", line(1, "A", 1), rma=2)).then_one(
        StockReturned,
        movements=(
            moves("A", 7, 1, "issued", "transfer", "N1"),
            moves("A", 8, 1, "transfer", "on_hand", "N2"),
        ),
    )
    assert sku(spec, "A").on_hand == {"N1": 2, "N2": 1}
    assert order(spec, "o1").issued == {}


def test_scrapped_units_are_no_stock() -> None:
    spec = shipped()
    spec.when(returned("o1", "N1", line(1, "A", 2), disposition="scrap")).then_one(
        StockReturned, movements=(moves("A", 6, 2, "issued", "scrapped", "N1"),)
    )
    assert sku(spec, "A").on_hand == {"N1": 1}


def test_a_return_that_comes_before_its_shipment_has_the_same_result() -> None:
    spec = stocked(A=3).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    spec.when(returned("o1", "N1", line(1, "A", 1))).then_nothing()
    spec.when(returned("o1", "N1", line(1, "A", 1), rma=2)).then_nothing()
    spec.when(dispatched("o1", 1, "N1", line(1, "A", 2))).then_types(
        StockIssued, StockReturned, StockReturned
    )
    assert sku(spec, "A").on_hand == {"N1": 3}
    assert order(spec, "o1").early_returns == ()
