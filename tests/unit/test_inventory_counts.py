"""Counts, differences and phantom stock as sentences: what a count changes, and when a person is asked."""

from hypothesis import given as drawn
from hypothesis import strategies as st

from libs.events.inventory import ReservationBroken, StockBackordered, StockPegged, StockShorted
from libs.events.stocktaking import (
    AdjustmentProposed,
    CountRecorded,
    DifferenceSettled,
    ProposeAdjustment,
    StockSuspected,
    SuspectStock,
)
from libs.events.timer import Timer
from services.inventory import domain
from tests.spec import NOON, Spec, given
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_supply import approve, count, minutes, moves, rules, supply
from tests.unit.inventory_trade import accepted, adjust, dispatched, due, line, receive, routed, shorted


def test_a_count_books_what_differs() -> None:
    spec = stocked(A=10)
    spec.when(count("A", "C1", 10, 10, 1)).then_one(CountRecorded, outcome="matched", movements=())
    spec.when(count("A", "C2", 8, 10, 1, minutes(1)), at=minutes(1)).then_one(
        CountRecorded,
        outcome="booked",
        variance=-2,
        movements=(moves("A", 2, 2, "on_hand", "written_off"),),
    )
    spec.when(count("A", "C3", 9, 8, 2, minutes(2)), at=minutes(2)).then_one(
        CountRecorded, variance=1, movements=(moves("A", 3, 1, "adjustment", "on_hand"),)
    )


@drawn(
    before=st.integers(0, 20),
    stolen=st.integers(0, 20),
    received=st.integers(0, 20),
    adjusted=st.integers(-5, 5),
)
def test_a_late_count_leaves_what_moved_since_as_it_is(
    before: int, stolen: int, received: int, adjusted: int
) -> None:
    spec = given(domain).heard(receive("A", before + 1))
    stolen = min(stolen, before + 1)
    # Counted now: `stolen` are gone, and nobody knew. Told only after more has happened.
    since = [*([receive("A", received)] if received else []), *([adjust("A", adjusted)] if adjusted else [])]
    spec.heard(*since, at=minutes(5))
    there = sku(spec, "A").on_hand.get("N1", 0)
    spec.heard(count("A", "C", before + 1 - stolen, before + 1, 1), at=minutes(9))
    assert sku(spec, "A").on_hand.get("N1", 0) == max(0, there - stolen)


def test_a_count_that_comes_late_or_twice_or_from_the_future() -> None:
    spec = stocked(A=10)
    spec.when(count("A", "C1", 10, 10, 1, minutes(1))).then_refused("counted_in_the_future")
    spec.when(count("A", "C1", 10, 10, 7)).then_refused("unknown_position")
    spec.heard(count("A", "C1", 9, 10, 1, minutes(5)), at=minutes(6))
    spec.when(count("A", "C1", 9, 10, 1, minutes(5)), at=minutes(6)).then_refused("already_counted")
    spec.when(count("A", "C0", 7, 10, 1, minutes(4)), at=minutes(6)).then_refused("superseded")
    spec.when(count("A", "C2", 9, 10, 1, minutes(7)), at=minutes(8)).then_refused("book_changed")
    spec.when(count("A", "C2", 9, 9, 2, minutes(7)), at=minutes(8)).then_types(CountRecorded)
    spec.heard(rules(nodes=("N1",))).when(count("A", "C", 1, 0, 2, node="N2")).then_refused("unknown_node")
    assert sku(spec, "A").on_hand == {"N1": 9}


def test_a_count_breaks_promises_that_have_no_units_and_serves_who_waits() -> None:
    spec = stocked(A=10).heard(accepted("o1", ("A", 9)))
    spec.when(count("A", "C1", 7, 10, 1)).then_types(ReservationBroken, CountRecorded)
    position = sku(spec, "A").position
    late = count("A", "C2", 9, 7, position, minutes(1))
    spec.when(late, at=minutes(1)).then_types(CountRecorded, StockPegged)


def test_units_that_lack_and_have_an_order_are_left_to_its_pick() -> None:
    spec = stocked(A=5).heard(accepted("o1", ("A", 4)), routed("o1", 1, N1=(line(1, "A", 4),)))
    spec.when(count("A", "C1", 2, 5, 4)).then_one(
        CountRecorded,
        variance=-3,
        allocated_short=2,
        movements=(moves("A", 5, 1, "on_hand", "written_off"),),
    )


def test_a_large_difference_waits_for_a_person() -> None:
    spec = stocked(A=100).heard(rules(count_approval_units=10))
    spec.when(count("A", "C1", 90, 100, 1)).then_one(CountRecorded, outcome="booked")
    held = count("A", "C2", 50, 90, 2, minutes(1))
    spec.when(held, at=minutes(1)).then_one(CountRecorded, outcome="held", variance=-40, movements=())
    assert sku(spec, "A").on_hand == {"N1": 90}
    spec.heard(receive("A", 5))
    spec.when(approve("A", "C2")).then_one(
        DifferenceSettled,
        approved=True,
        source="count",
        movements=(moves("A", 4, 40, "on_hand", "written_off"),),
    )
    spec.when(approve("A", "C2")).then_refused("already_settled")
    spec.when(approve("A", "C9")).then_refused("unknown_proposal")
    assert sku(spec, "A").on_hand == {"N1": 55}


def test_a_difference_that_is_rejected_changes_nothing() -> None:
    spec = stocked(A=10)
    asked = ProposeAdjustment(
        sku="A", proposal_id="W1", node="N1", variance=-3, as_of=NOON, system="wms", explanation="none"
    )
    spec.when(asked).then_types(AdjustmentProposed)
    spec.when(asked).then_refused("already_proposed")
    spec.when(approve("A", "W1", yes=False)).then_one(DifferenceSettled, approved=False, movements=())
    spec.when(asked).then_refused("already_proposed")
    spec.when(asked.model_copy(update={"proposal_id": "W2", "variance": 0})).then_refused("no_change")
    late = asked.model_copy(update={"proposal_id": "W2", "as_of": minutes(1)})
    spec.when(late).then_refused("effective_in_future")
    assert sku(spec, "A").on_hand == {"N1": 10}


# Phantom stock ------------------------------------------------------------------------------------------


def picked_in_vain(*, asked: int | None = 2, times: int = 2) -> Spec:
    """Orders that each wanted one of ten, whose picks at N1 found nothing."""
    spec = stocked(A=10).heard(rules(phantom_short_picks=asked))
    for number in range(1, times + 1):
        order = f"o{number}"
        spec.heard(accepted(order, ("A", 1)), routed(order, 1, N1=(line(1, "A", 1),)))
        spec.heard(shorted(order, 1, "N1", line(1, "A", 1)))
    return spec


def test_picks_in_vain_take_a_shelf_out_of_promise() -> None:
    spec = picked_in_vain()
    assert len(supply(spec, "A").short_picks["N1"]) == 2
    # Each order is promised another unit meanwhile; those stay promised.
    free = sku(spec, "A").free
    spec.when(due("sku/A", "picks")).then_one(StockSuspected, node="N1", quantity=free, short_picks=2)
    assert sku(spec, "A").free == 0
    spec.when(due("sku/A", "picks")).then_nothing()


def test_a_suspicion_asks_for_its_rule_and_its_number() -> None:
    picked_in_vain(asked=3).when(due("sku/A", "picks")).then_nothing()
    picked_in_vain(asked=None).when(due("sku/A", "picks")).then_nothing()


def test_a_count_answers_a_suspicion() -> None:
    spec = picked_in_vain().heard(due("sku/A", "picks"))
    part = sku(spec, "A")
    book = part.on_hand.get("N1", 0) + supply(spec, "A").units("suspect", "N1")
    spec.when(count("A", "C", book, book, part.position)).then_one(
        CountRecorded, outcome="matched", movements=(moves("A", part.position + 1, 6, "suspect", "on_hand"),)
    )
    assert supply(spec, "A").held == {}
    assert supply(spec, "A").short_picks == {}


def test_a_shelf_that_somebody_doubts_is_promised_no_more_than_it_is() -> None:
    spec = stocked(A=5).heard(accepted("o1", ("A", 3)))
    doubted = SuspectStock(sku="A", node="N1", reason="Nothing has moved for 90 days.")
    spec.when(doubted).then_one(
        StockSuspected, quantity=2, short_picks=0, movements=(moves("A", 3, 2, "on_hand", "suspect"),)
    )
    spec.when(doubted).then_refused("nothing_to_suspect")
    spec.when(doubted.model_copy(update={"node": "N2"})).then_refused("nothing_to_suspect")
    spec.when(accepted("o2", ("A", 1))).then_types(StockBackordered)
    spec.heard(count("A", "C", 5, 5, sku(spec, "A").position))
    assert sku(spec, "A").on_hand == {"N1": 5}


def test_suspect_units_that_are_not_there_are_written_off() -> None:
    spec = picked_in_vain().heard(due("sku/A", "picks"))
    part = sku(spec, "A")
    spec.heard(count("A", "C", 0, 8, part.position))
    assert supply(spec, "A").held == {}
    assert sku(spec, "A").on_hand == {}


def test_a_short_pick_reminds_of_the_shelf_and_damage_does_not() -> None:
    spec = stocked(A=2).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=(line(1, "A", 2),)))
    events = spec.when(shorted("o1", 1, "N1", line(1, "A", 1))).events
    assert isinstance(events[0], StockShorted)
    assert list(domain.timers(events[0], NOON)) == [Timer("sku/A", "picks", NOON)]
    events = spec.when(shorted("o1", 2, "N1", line(1, "A", 1), reason="damaged")).events
    assert list(domain.timers(events[0], NOON)) == []
    assert supply(spec, "A").units("damaged", "N1") == 1


def test_what_was_dispatched_since_a_count_stays_dispatched() -> None:
    spec = stocked(A=10).heard(accepted("o1", ("A", 4)), routed("o1", 1, N1=(line(1, "A", 4),)))
    # At noon nine of ten are there; told after four of them have left.
    spec.heard(dispatched("o1", 1, "N1", line(1, "A", 4)), at=minutes(3))
    spec.heard(count("A", "C", 9, 10, 5), at=minutes(9))
    assert sku(spec, "A").on_hand == {"N1": 5}
