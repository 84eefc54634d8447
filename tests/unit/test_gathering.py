"""How far apart polls are, on a clock of the test's."""

import pytest

from libs.runtime.gathering import Gathering


def waits(gathering: Gathering, *, took: float, polls: int, awaited: bool = False) -> list[float]:
    """The rest before each of these polls, of which each batch takes so long."""
    now, found = 100.0, []
    for _ in range(polls):
        rest = max(0.0, gathering.rest(now, awaited=awaited))
        found.append(round(rest, 6))
        now += rest + took
        gathering.took(took)
    return found


def test_one_order_s_polls_are_made_at_once() -> None:
    assert waits(Gathering(0.005, 0.04), took=0.01, polls=5) == [0] * 5


@pytest.mark.parametrize(
    ("took", "apart"),
    [(0.001, 0.005), (0.01, 0.02), (0.015, 0.03), (0.02, 0.04), (0.03, 0.04)],
)
def test_a_stage_rests_as_long_as_it_works_within_bounds(took: float, apart: float) -> None:
    rests = waits(Gathering(0.005, 0.04), took=took, polls=200)
    assert rests[-1] == pytest.approx(apart - took, abs=1e-4)


def test_a_batch_that_takes_longer_than_polls_are_apart_is_followed_at_once() -> None:
    assert not any(waits(Gathering(0.005, 0.04), took=0.05, polls=200))


def test_what_somebody_waits_for_is_gathered_for_the_least_time() -> None:
    assert waits(Gathering(0.005, 0.04), took=0.004, polls=200, awaited=True)[-1] == pytest.approx(0.001)


def test_nothing_is_gathered_where_nothing_is_to_be() -> None:
    for awaited in (False, True):
        assert not any(waits(Gathering(0.005, 0), took=0.001, polls=50, awaited=awaited))


def test_after_a_while_with_nothing_to_do_polls_are_made_at_once_again() -> None:
    gathering = Gathering(0.005, 0.04)
    waits(gathering, took=0.001, polls=50)
    assert gathering.rest(1_000.0) <= 0
