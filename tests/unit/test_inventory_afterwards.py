"""Inventory as sentences: cancellation, dispatch, short picks and returns."""

from libs.events.changes import AllocationDeclined, LinesReleased
from libs.events.inventory import (
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
from libs.events.set_aside import ReturnMovement, ReturnQuarantined
from services.inventory.stock import SkuPart
from tests.spec import NOON, Spec
from tests.unit.inventory_stage import order, sku, stocked
from tests.unit.inventory_supply import supply
from tests.unit.inventory_trade import (
    FRANCE,
    accepted,
    cancelled,
    dispatched,
    due,
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
    assert sku(spec, "A") == SkuPart(position=3, on_hand={"N1": 1}, queued=2)
    assert sku(spec, "B") == SkuPart(queued=2)
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
    spec.when(unroutable("o1", line(2, "B", 1))).then_nothing()
    declined = AllocationDeclined(
        order_id="o1", round=2, nodes=(NodeLines(node="N2", lines=(line(2, "B", 1),)),)
    )
    spec.when(declined).then_one(
        LinesReleased, lines=(), movements=(moves("B", 10, 1, "allocated", "on_hand", "N2"),)
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


def test_units_in_quarantine_are_no_stock_before_somebody_has_looked() -> None:
    """They came to another node than they left; what of the receipt is good is on the shelf at once."""
    spec = shipped()
    both = returned("o1", "N2", line(1, "A", 2), disposition="quarantine")
    good = both.units[0].model_copy(update={"quantity": 1, "disposition": "restock"})
    doubted = both.units[0].model_copy(update={"quantity": 1})
    spec.when(both.model_copy(update={"units": (doubted, good)})).then(
        StockReturned(
            order_id="o1",
            rma_id="o1-R1",
            movements=(
                moves("A", 6, 1, "issued", "transfer", "N1"),
                moves("A", 7, 1, "transfer", "on_hand", "N2"),
            ),
        ),
        ReturnQuarantined(
            order_id="o1",
            rma_id="o1-R1",
            movements=(
                ReturnMovement(
                    sku="A", node="N1", source="issued", target="transfer", quantity=1, position=8
                ),
                ReturnMovement(
                    sku="A", node="N2", source="transfer", target="quarantine", quantity=1, position=9
                ),
            ),
        ),
    )
    assert sku(spec, "A").on_hand == {"N1": 1, "N2": 1}
    assert supply(spec, "A").units("quarantine", "N2") == 1
    assert order(spec, "o1").issued == {}


def test_units_set_aside_before_their_shipment_is_heard_of_are_set_aside_with_it() -> None:
    spec = stocked(A=3).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    spec.when(returned("o1", "N1", line(1, "A", 1), disposition="quarantine")).then_nothing()
    spec.when(dispatched("o1", 1, "N1", line(1, "A", 2))).then_types(
        StockIssued, StockReturned, ReturnQuarantined
    )
    assert supply(spec, "A").units("quarantine", "N1") == 1
    assert order(spec, "o1").early_returns == ()


def test_a_return_that_comes_before_its_shipment_has_the_same_result() -> None:
    spec = stocked(A=3).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    spec.when(returned("o1", "N1", line(1, "A", 1))).then_nothing()
    spec.when(returned("o1", "N1", line(1, "A", 1), rma=2)).then_nothing()
    spec.when(dispatched("o1", 1, "N1", line(1, "A", 2))).then_types(
        StockIssued, StockReturned, StockReturned
    )
    assert sku(spec, "A").on_hand == {"N1": 3}
    assert order(spec, "o1").early_returns == ()
