"""Reorder points and proposals: by hand for easy figures, and by what must hold of any."""

import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.inventory.lead_times import Lead, SupplyFact, lead_time, supplier
from services.inventory.reorder import DAYS_MIN, Day, Need, Owed, Shelf, Terms, needs, shares
from tests.spec import NOON
from tests.unit.inventory_page import PAGE

TERMS = Terms(days=20, lead_days=4, service=0.95, cover_days=30)
EVERY_DAY = dict.fromkeys(range(20), Day(issued=5))
NOBODY = Owed()


def need(shelf: Shelf, owed: Owed = NOBODY, lead: Lead | None = None, terms: Terms = TERMS) -> Need:
    [found] = needs(terms, lead, [shelf], owed)
    return found


def figures(found: Need) -> tuple[float, int, int, int, bool]:
    return found.daily, found.reorder_point, found.available, found.propose, found.alert


def test_steady_demand_needs_no_safety_stock() -> None:
    assert figures(need(Shelf("N1", 20, 0, days=EVERY_DAY))) == (5.0, 20, 20, 0, False)
    assert figures(need(Shelf("N1", 15, 0, days=EVERY_DAY))) == (5.0, 20, 15, 155, True)
    assert figures(need(Shelf("N1", 15, 5, days=EVERY_DAY))) == (5.0, 20, 20, 0, True)


def test_days_that_differ_need_more_for_a_better_service() -> None:
    # 10 units every other day: mean 5, spread 5; 4 days: 20 + 1.645 · 5 · 2, rounded up.
    every_other = {day: Day(issued=10) for day in range(0, 20, 2)}
    assert need(Shelf("N1", 100, days=every_other)).reorder_point == 37
    better = Terms(days=20, lead_days=4, service=0.99, cover_days=30)
    assert need(Shelf("N1", 100, days=every_other), terms=better).reorder_point == 44


def test_what_is_waited_for_is_bought_though_nothing_was_ever_issued() -> None:
    [found] = needs(TERMS, None, [], Owed(waiting=500))
    assert (found.node, found.waiting, found.available, found.propose) == ("*", 500, -500, 500)
    assert found.reasons == ("waiting", "runs_out_first", "below_reorder_point")
    found = need(Shelf("N1", inbound=120), Owed(waiting=500))
    assert (found.node, found.available, found.propose) == ("N1", -380, 380)


def test_what_is_promised_is_not_there_any_more() -> None:
    shelf = Shelf("N1", 60, days=EVERY_DAY)
    assert need(shelf).propose == 0
    found = need(shelf, Owed(reserved=30, held=15))
    assert (found.reserved, found.held, found.available, found.propose) == (30, 15, 15, 155)
    assert found.alert


def test_what_is_late_is_told_and_not_counted_on() -> None:
    found = need(Shelf("N1", 15, 0, late=40, days=EVERY_DAY))
    assert (found.available, found.late, found.propose) == (15, 40, 155)
    assert "late_supply" in found.reasons


def test_kits_and_transfers_ask_for_units_too() -> None:
    days = dict.fromkeys(range(20), Day(issued=1, kitted=3, sent=1))
    found = need(Shelf("N1", 15, days=days))
    assert (found.daily, found.reorder_point, found.propose) == (5.0, 20, 155)
    assert (found.issued, found.kitted, found.sent) == (20, 60, 20)


def test_days_without_stock_say_nothing_of_demand() -> None:
    # Five a day for the first fifteen days; then the shelf is empty, until fifty come today.
    sold = dict.fromkeys(range(5, 20), Day(issued=5, went=5))
    found = need(Shelf("N1", 50, days={**sold, 0: Day(came=50)}))
    assert (found.days_out, found.daily) == (4, round(75 / 16, 2))
    # Whatever was on hand on a day that sold nothing, that day counts.
    assert need(Shelf("N1", 50, days=sold)).days_out == 0


def test_one_busy_day_is_not_every_day() -> None:
    found = need(Shelf("N1", 0, days={3: Day(issued=28, came=28, went=28)}))
    assert found.days_out == 19
    assert found.daily == 28 / DAYS_MIN


def test_a_lead_time_that_varies_needs_more_safety_stock() -> None:
    # Mean 5 and no spread; 10 ± 2 days: 50 + 1.645 · √(5² · 2²), rounded up.
    found = need(Shelf("N1", 0, days=EVERY_DAY), lead=Lead(10.0, 2.0, 5))
    assert (found.reorder_point, found.safety_stock, found.lead_days, found.lead_orders) == (67, 17, 10.0, 5)
    assert need(Shelf("N1", 0, days=EVERY_DAY)).lead_orders == 0


def test_promises_of_the_network_are_taken_off_its_nodes() -> None:
    shelves = [Shelf("N1", 30, days={0: Day(issued=30)}), Shelf("N2", 10, days={0: Day(issued=10)})]
    first, second = needs(TERMS, None, shelves, Owed(reserved=8, held=4, waiting=20))
    assert (first.reserved, first.held, first.waiting) == (6, 3, 15)
    assert (second.reserved, second.held, second.waiting) == (2, 1, 5)


def test_what_nobody_asks_for_is_not_bought() -> None:
    assert figures(need(Shelf("N1"))) == (0.0, 0, 0, 0, False)
    assert needs(TERMS, None, [], NOBODY) == []


@given(
    units=st.integers(0, 10_000),
    weights=st.dictionaries(st.sampled_from("ABCDE"), st.integers(0, 10_000)),
)
def test_shares_are_whole_and_none_is_lost(units: int, weights: dict[str, int]) -> None:
    found = shares(units, weights)
    assert sum(found.values()) == units
    total = sum(weights.values())
    for node, share in found.items():
        if total:
            assert abs(share - units * weights[node] / total) < 1
            assert share <= weights[node] or units > total


@given(
    issued=st.dictionaries(st.integers(0, 29), st.integers(0, 10_000)),
    on_hand=st.integers(0, 100_000),
    inbound=st.integers(0, 100_000),
    waiting=st.integers(0, 100_000),
    lead=st.integers(1, 90),
    spread=st.floats(0, 30),
)
def test_what_is_bought_lifts_it_above_its_reorder_point(
    issued: dict[int, int], on_hand: int, inbound: int, waiting: int, lead: int, spread: float
) -> None:
    terms = Terms(days=30, lead_days=lead, service=0.9, cover_days=1)
    days = {day: Day(issued=units) for day, units in issued.items()}
    owed, takes = Owed(on_hand // 3, on_hand // 5, waiting), Lead(float(lead), spread, 3)
    for found in needs(terms, takes, [Shelf("N1", on_hand, inbound, days=days)], owed):
        assert found.propose >= 0
        assert found.available + found.propose >= found.reorder_point
        more = Shelf(found.node, on_hand, inbound + found.propose, days=days)
        if found.node == "N1":
            assert needs(terms, takes, [more], owed)[0].propose == 0


# Lead times


def told(id_: str, day: float, document: str | None = "purchase_order", **more: object) -> SupplyFact:
    values = {"supplier": None, "open": 5, **more}
    return SupplyFact(id_, document, at=NOON + timedelta(days=day), **values)  # type: ignore[arg-type]


def came(id_: str, day: float, still_open: int = 0) -> SupplyFact:
    return told(id_, day, None, open=still_open)


def test_a_lead_time_is_from_the_first_statement_to_the_last_receipt() -> None:
    facts = [told("P1", 0), told("P1", 3), came("P1", 8, 2), came("P1", 10)]
    facts += [told("P2", 20), came("P2", 32)]
    assert lead_time(facts) is None
    facts += [told("P3", 40), came("P3", 48), told("P4", 60), came("P4", 61, 3)]
    assert lead_time(facts) == Lead(10.0, 2.0, 3)


def test_what_was_not_ordered_first_tells_no_lead_time() -> None:
    sound = [fact for n in range(3) for fact in (told(f"P{n}", 20 * n), came(f"P{n}", 20 * n + 10))]
    odd = [told("A", 0, "asn"), told("A", 1), came("A", 2), came("U", 3), told("U", 4)]
    assert lead_time([*odd, *sound]) == lead_time(sound) == Lead(10.0, 0.0, 3)


def test_the_last_ten_orders_count() -> None:
    facts = [
        fact
        for n in range(12)
        for fact in (told(f"P{n}", 20 * n), came(f"P{n}", 20 * n + (19 if n < 2 else 5)))
    ]
    assert lead_time(facts) == Lead(5.0, 0.0, 10)


def test_who_sends_it_is_who_was_named_last() -> None:
    facts = [told("P1", 0, supplier="acme"), told("P2", 1, supplier="kiln"), came("P2", 2)]
    assert supplier(facts) == "kiln"
    assert supplier([]) is None


# The page


def test_the_worked_example_is_what_is_computed() -> None:
    """Each row of the page adds to the one before."""
    table = PAGE.partition("<!-- needs -->")[2].partition("<!-- /needs -->")[0]
    rows = re.findall(r"^\| (?!step|-)[^|]*`([^`]*)` \|(.*)\|$", table, re.MULTILINE)
    assert len(rows) == 8
    set_: dict[str, int] = {}
    for steps, shown in rows:
        set_ |= {name: int(value) for name, value in re.findall(r"([a-z]+) (\d+)", steps)}
        found = _of_page(set_)
        told = [found.daily, found.lead_days, found.reorder_point, found.available, found.propose]
        assert [float(cell) for cell in shown.split("|")] == told, steps


def _of_page(set_: dict[str, int]) -> Need:
    """Ninety days at one node, that were all alike since the first units came."""
    since = 89 - set_.get("out", 0)
    day = Day(set_.get("sells", 0), set_.get("kits", 0), set_.get("sends", 0))
    days = dict.fromkeys(range(since), day)
    days[since] = Day(day.issued, day.kitted, day.sent, came=set_["stock"])
    lead = Lead(float(set_["takes"]), float(set_.get("differs", 0)), 5) if "takes" in set_ else None
    shelf = Shelf("LON", set_["stock"], set_.get("comes", 0), set_.get("late", 0), days)
    owed = Owed(set_.get("reserved", 0), set_.get("held", 0), set_.get("waits", 0))
    return need(shelf, owed, lead, Terms(days=90, lead_days=7, service=0.95, cover_days=30))
