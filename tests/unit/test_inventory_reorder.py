"""Reorder points from what left: by hand for easy figures, and by what must hold of any."""

from hypothesis import given
from hypothesis import strategies as st

from services.inventory.reorder import Need, Terms, need

TERMS = Terms(days=10, lead_days=4, service=0.95, cover_days=30)


def test_steady_demand_needs_no_safety_stock() -> None:
    every_day = dict.fromkeys(range(10), 5)
    assert need(TERMS, every_day, on_hand=20, inbound=0) == Need(5.0, 20, 20, 0, False)
    assert need(TERMS, every_day, on_hand=15, inbound=0) == Need(5.0, 20, 15, 155, True)
    assert need(TERMS, every_day, on_hand=15, inbound=5) == Need(5.0, 20, 20, 0, True)


def test_days_that_differ_need_more_for_a_better_service() -> None:
    # 10 units every other day: mean 5, spread 5; 4 days: 20 + 1.645 · 5 · 2, rounded up.
    every_other = dict.fromkeys(range(0, 10, 2), 10)
    assert need(TERMS, every_other, 0, 0).reorder_point == 37
    better = Terms(days=10, lead_days=4, service=0.99, cover_days=30)
    assert need(better, every_other, 0, 0).reorder_point == 44


def test_what_nobody_asks_for_is_not_bought() -> None:
    assert need(TERMS, {}, 0, 0) == Need(0.0, 0, 0, 0, False)


@given(
    left=st.dictionaries(st.integers(0, 29), st.integers(0, 10_000)),
    on_hand=st.integers(0, 100_000),
    inbound=st.integers(0, 100_000),
    lead=st.integers(1, 90),
)
def test_what_is_bought_lifts_it_above_its_reorder_point(
    left: dict[int, int], on_hand: int, inbound: int, lead: int
) -> None:
    terms = Terms(days=30, lead_days=lead, service=0.9, cover_days=1)
    found = need(terms, left, on_hand, inbound)
    assert found.propose >= 0
    assert found.available + found.propose >= found.reorder_point
    again = need(terms, left, on_hand, inbound + found.propose)
    assert again.propose == 0
