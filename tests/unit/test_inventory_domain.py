"""Inventory as sentences: promise, queue, allocation, corrections and refusals."""

from datetime import timedelta

from libs.events.inventory import (
    AllocationFailed,
    Claim,
    ReservationBroken,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockPegged,
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
)
from libs.events.order import NodeLines
from libs.events.timer import Timer
from services.inventory import domain
from services.inventory.stock import SkuPart
from tests.spec import NOON, Spec, given
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_trade import (
    FRANCE,
    accepted,
    adjust,
    cancelled,
    changes,
    due,
    lacks,
    line,
    lines,
    moves,
    promised,
    receive,
    routed,
    there,
    unpromised,
)

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
            queue=changes("B", 1),
            movements=(promised("A", 2, 3), promised("B", 2, 1)),
        )
    )
    spec.when(accepted("o2", ("A", 3))).then_one(StockBackordered, short=(lacks("A", 1),))


# The queue -----------------------------------------------------------------------------------------------


def test_a_receipt_goes_to_the_oldest_first_and_wakes_them() -> None:
    spec = given(domain).heard(accepted("late", ("A", 2)), at=NOON + timedelta(hours=1))
    spec.heard(accepted("early", ("A", 2)))
    won = (Claim(order_id="early", quantity=2), Claim(order_id="late", quantity=1))
    pegged = StockPegged(sku="A", claims=won, queue=changes("A", 3), movements=(promised("A", 2, 3),))
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
        StockPegged(
            sku="A",
            claims=(Claim(order_id="second", quantity=2),),
            queue=changes("A", 3),
            movements=(promised("A", 4, 2),),
        )
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
    broken = ReservationBroken(
        sku="A", claims=lost, queue=changes("A", 1), movements=(unpromised("A", 4, 3),)
    )
    assert spec.answer is not None
    spec.answer.then_types(ReservationBroken, StockAdjusted)
    assert spec.answer.events[0] == broken
    assert domain.timers(broken, NOON) == [
        Timer(order_id, name, NOON) for name in ("claims", "date") for order_id in ("o2", "o1")
    ]


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
