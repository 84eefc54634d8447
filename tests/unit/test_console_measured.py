"""What is measured of an order's picks and its way out, and of counts: from the events, in any batches."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.contract import Event
from services.console.check_sums import changed_checks
from services.console.day_sums import CHECKED
from services.console.facts import State
from services.console.orders import evolve
from services.console.picks import picks
from services.console.projection import fold
from services.console.promises import days_to_ship
from services.console.standing import milestones
from services.console.stock_checks import StockCheckKey, joined
from tests.console_counts import counted, settled, stocktaking
from tests.console_lives import LIVES, Life
from tests.console_parts import T0, TENANT, envelopes
from tests.console_promises import dated

THEN = T0 - timedelta(hours=1)
DAY = THEN.date()


def state_of(life: Life, upto: int | None = None) -> State:
    """After so many events of each stage."""
    state = State()
    for stage, events in life.items():
        for envelope in envelopes(stage, list(events)[:upto]):
            state = evolve(state, envelope)
    return state


def test_a_pick_counts_at_the_node_that_picked() -> None:
    assert picks(state_of(LIVES["delivered"]("o-1"))) == "LON,2,0,12,0"
    assert picks(state_of(LIVES["partly_delivered"]("o-2"))) == "LON,2,1,12,3;MAN,1,0,3,0"


def test_what_was_not_picked_yet_is_no_pick() -> None:
    assert picks(state_of(LIVES["delivered"]("o-1"), 1)) is None
    assert picks(state_of(LIVES["unroutable"]("o-1"))) is None


@pytest.mark.parametrize(
    ("zone", "days"), [("Europe/London", 0), ("Pacific/Auckland", 1), ("America/Los_Angeles", 0)]
)
def test_days_until_it_left_are_those_of_its_node(zone: str, days: int) -> None:
    """Accepted at 10:59 and gone at 11:02 UTC: midnight in Auckland lies between."""
    state = state_of(dated("d-1", date(2026, 3, 3), zone))
    accepted, shipped = datetime(2026, 3, 2, 10, 59, tzinfo=UTC), datetime(2026, 3, 2, 11, 2, tzinfo=UTC)
    assert days_to_ship(state, accepted, shipped) == days
    assert days_to_ship(state, accepted, shipped + timedelta(days=2)) == days + 2


def test_days_without_a_date_are_utc() -> None:
    state = state_of(LIVES["delivered"]("o-1"))
    moments = milestones(state)
    assert days_to_ship(state, moments.confirmed, moments.shipped) == 0
    late = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
    assert days_to_ship(state, late, late + timedelta(minutes=1)) == 1
    assert days_to_ship(state, late, None) is None


def sums_of(batches: Sequence[Sequence[Event]]) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """What tables would hold that are read and written as the projector does."""
    rows: dict[StockCheckKey, Any] = {}
    total: Counter[tuple[Any, ...]] = Counter()
    first = 1
    for events in batches:
        told = envelopes("inventory", events, first=first)
        first += len(events)
        changes = fold(told, {})
        before = [(*key, *rows[key]) for key in changes.checks if key in rows]
        for place, units in changed_checks(changes.checks, before, told)[CHECKED.name].items():
            for name, more in zip(CHECKED.sums, units, strict=True):
                total[*place, name] += more
        for key, check in changes.checks.items():
            rows[key] = joined(rows.get(key), check)
    places = {place[:-1] for place in total}
    found = {place: tuple(total[*place, name] for name in CHECKED.sums) for place in places}
    return {place: units for place, units in found.items() if any(units)}


def place(node: str, source: str, reason: str, day: date = DAY) -> tuple[Any, ...]:
    return (TENANT, day, 0, "", node, source, reason)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(1, 20)))
def test_sums_of_counts_do_not_depend_on_batches(cuts: set[int]) -> None:
    events = list(stocktaking())
    bounds = [0, *sorted(cuts), len(events)]
    batches = [events[a:b] for a, b in pairwise(bounds)]
    assert sums_of(batches) == sums_of([events])


@pytest.mark.parametrize(
    ("approved", "came_to"),
    [
        (None, (1, 0, 0, 1, 0, 0, 0)),
        (True, (1, 0, 1, 0, 40, 60, -60)),
        (False, (1, 0, 0, 0, 0, 0, 0)),
    ],
)
def test_a_held_count_counts_once_it_is_approved(approved: bool | None, came_to: tuple[int, ...]) -> None:
    events: list[Event] = [counted("c6", "D", 100, 40, outcome="held")]
    if approved is not None:
        events.append(settled("D", "c6", -60, THEN, approved=approved))
    assert sums_of([[one] for one in events]) == {place("LON", "count", "count"): came_to}


def test_a_shelf_that_agrees_in_sum_may_be_wrong_by_lot() -> None:
    sums = sums_of([stocktaking()])
    of_day = sums[place("LON", "count", "count")]
    assert dict(zip(CHECKED.sums, of_day, strict=True)) == {
        "orders": 4,
        "agreed": 1,
        "wrong": 2,
        "waiting": 0,
        "units": 10 + 10 + 40,
        "off_units": 4 + 60,
        "net_units": -60,
    }


def test_a_settlement_of_what_nobody_could_read_has_no_reason() -> None:
    sums = sums_of([[settled("D", "c6", -60, THEN)]])
    assert sums == {place("LON", "count", ""): (1, 0, 1, 0, 0, 60, -60)}
