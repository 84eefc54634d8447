"""A snapshot against the ledger: what is in flight, what one event explains, what a person is asked about."""

from datetime import timedelta

import pytest

from services.inventory.reconcile import LOOKBACK, Finding, Moved, Shelf, explain
from tests.unit.inventory_supply import minutes

AS_OF = minutes(0)
TEN = Shelf(10, 7)


def event(name: str, minute: float, units: int, type_: str = "oms.inventory.stock_issued") -> Moved:
    return Moved(name, type_, name.upper(), minutes(minute), units)


def found(theirs: int, *moves: Moved, **on_the_way: int) -> Finding:
    return explain(theirs, TEN, AS_OF, moves, on_the_way)


def test_what_agrees_needs_no_explanation() -> None:
    assert found(10, event("a", -5, -3)) == Finding("matched", 10, 0)


@pytest.mark.parametrize(
    ("theirs", "moves", "events"),
    [
        (7, [event("a", 5, -3)], ("a",)),  # they booked the shipment before the snapshot, we after
        (5, [event("a", 5, -3), event("b", 6, -2), event("c", 7, -9)], ("a", "b")),
        (13, [event("a", -5, -3)], ("a",)),  # they had not booked it yet
        (15, [event("z", -9, 4), event("a", -5, -3), event("b", -4, -2)], ("b", "a")),
    ],
)
def test_what_moved_around_the_moment_is_in_flight(
    theirs: int, moves: list[Moved], events: tuple[str, ...]
) -> None:
    one = found(theirs, *moves)
    assert (one.outcome, one.events) == ("in_flight", events)


def test_what_arrived_there_and_was_not_told_here_is_in_flight() -> None:
    assert found(16, in_transit=6).outcome == "in_flight"
    assert "expected at" in found(14, inbound=4).explanation
    assert found(14, in_transit=6).outcome == "unexplained"


def test_one_event_of_the_days_before_explains_what_they_missed_or_booked_twice() -> None:
    missed = found(13, event("a", -600, -3), event("b", -300, -5))
    assert (missed.outcome, missed.events) == ("pinned", ("a",))
    assert missed.explanation == "stock issued A of -3 at 2026-03-02 02:00Z: they did not book it."
    twice = found(7, event("a", -600, -3))
    assert (twice.outcome, twice.events) == ("pinned", ("a",))
    assert "they booked it twice" in twice.explanation


def test_the_latest_of_several_events_is_named() -> None:
    assert found(13, event("a", -600, -3), event("b", -300, -3)).events == ("b",)


def test_what_nothing_explains_is_for_a_person() -> None:
    late = event("a", 90, -3)
    one = found(7, event("b", -300, -5), late)
    assert (one.outcome, one.variance, one.events) == ("unexplained", -3, ())
    assert str(LOOKBACK // timedelta(days=1)) in one.explanation


ADJUSTED = "oms.inventory.stock_adjusted"


@pytest.mark.parametrize(
    ("theirs", "moves", "outcome", "events"),
    [
        (8, [event("a", 90, -2, ADJUSTED)], "corrected", ("a",)),
        (8, [event("a", 90, -2, ADJUSTED), event("b", 95, -7, ADJUSTED)], "corrected", ("a",)),
        (7, [event("a", 90, -2, ADJUSTED), event("b", 95, -1, ADJUSTED)], "corrected", ("a", "b")),
        (6, [event("a", 90, -2, ADJUSTED)], "corrected", ("a",)),  # in part, perhaps
        (8, [event("c", -99, -2), event("a", 90, -2, ADJUSTED)], "corrected", ("a",)),
        (8, [event("c", -99, -2), event("a", 90, -1, ADJUSTED)], "pinned", ("c",)),
        (8, [event("a", 90, -2)], "unexplained", ()),  # a shipment corrects nothing
        (8, [event("a", 5, -2, ADJUSTED)], "in_flight", ("a",)),
    ],
)
def test_what_was_put_right_by_hand_since_is_not_asked_about_again(
    theirs: int, moves: list[Moved], outcome: str, events: tuple[str, ...]
) -> None:
    one = found(theirs, *moves)
    assert (one.outcome, one.events) == (outcome, events)
