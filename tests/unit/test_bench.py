"""What the bench makes of its readings, what it writes into the page, and the orders that it sends."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cli.bench.command import PAGE, run_all
from cli.bench.figures import Aim, Figure, Reading, as_object, figures, percentile, shown
from cli.bench.orders import CHOICES, HOT, LINES, SKUS, order
from cli.bench.page import BEGIN, END, Report, check, put, renewed, tables, write
from cli.bench.suite import AFTER, BEFORE, PARTS, SIDE_BY_SIDE
from libs.runtime.complaint import Complaint

RATE = Aim(3_000, least=1_500)
P99 = Aim(250, at_most=True)


def figure(*values: float, unit: str = "/s", aim: Aim | None = None) -> Figure:
    return Figure("lifecycle", "orders", unit, aim, values)


def report(*found: Figure) -> Report:
    return Report("orderlog bench all", "abc1234", "2026-11-22", "2 cores", {"lifecycle": "As is."}, found)


def test_the_median_counts_and_the_spread_is_told() -> None:
    found = figure(900.0, 1_200.0, 1_000.0)
    assert found.median == 1_000.0
    assert found.spread == "900–1,200"
    assert figure(900.0, 1_000.0).median == 950.0
    assert figure(900.0).spread == ""


@pytest.mark.parametrize(
    ("aim", "value", "verdict"),
    [
        (RATE, 3_000, "reached"),
        (RATE, 2_999, "the least reached"),
        (RATE, 1_500, "the least reached"),
        (RATE, 1_499, "missed"),
        (P99, 250, "reached"),
        (P99, 250.1, "missed"),
        (Aim(0, at_most=True), 1, "missed"),
    ],
)
def test_a_figure_is_held_to_its_aim(aim: Aim, value: float, verdict: str) -> None:
    assert figure(value, aim=aim).verdict == verdict


def test_an_aim_is_judged_by_the_median_not_by_the_best_round() -> None:
    assert figure(1_000, 1_100, 9_000, aim=RATE).verdict == "missed"


def test_what_is_aimed_at_nothing_has_no_verdict() -> None:
    assert figure(1.0).verdict == ""
    assert "verdict" not in as_object(figure(1.0))


def test_rounds_are_brought_together_in_the_order_in_which_they_came() -> None:
    readings = [
        Reading("ledger", "ratio", 0.4),
        Reading("latency", "p99", 90.0, "ms", P99),
        Reading("ledger", "ratio", 0.5),
        Reading("latency", "p99", 80.0, "ms", P99),
    ]
    assert [(one.part, one.values) for one in figures(readings)] == [
        ("ledger", (0.4, 0.5)),
        ("latency", (90.0, 80.0)),
    ]


def test_one_thing_cannot_be_measured_in_two_units() -> None:
    with pytest.raises(AssertionError, match="changes its unit"):
        figures([Reading("latency", "p99", 90.0, "ms"), Reading("latency", "p99", 0.09, "s")])


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        (range(1, 101), 0.99, 99),
        (range(1, 101), 0.5, 50),
        (range(1, 31), 0.99, 30),
        ([5.0], 0.5, 5.0),
        ([3, 1, 2], 1.0, 3),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: range, share: float, expected: float) -> None:
    assert percentile(list(values), share) == expected


def test_numbers_have_as_many_digits_as_they_deserve() -> None:
    assert shown(1_234.56, "/s") == "1,235 /s"
    assert shown(12.34, "ms") == "12.3 ms"
    assert shown(0.5, "s") == "0.50 s"
    assert shown(0.0, "orders") == "0 orders"
    assert shown(1.0, "") == "1.00"


def test_the_page_keeps_what_people_wrote() -> None:
    text = f"# Performance\n\nWhy.\n\n{BEGIN}\nold\n{END}\n\nWhat helped.\n"
    new = put(text, "new")
    assert new == f"# Performance\n\nWhy.\n\n{BEGIN}\n\nnew\n\n{END}\n\nWhat helped.\n"
    assert put(new, "new") == new


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"]
)
def test_a_page_without_its_markers_is_not_touched(text: str, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(text)
    with pytest.raises(Complaint, match="lost its markers"):
        check(page)
    with pytest.raises(Complaint, match="lost its markers"):
        write(page, report(figure(1.0)))
    assert page.read_text() == text
    assert list(tmp_path.iterdir()) == [page]


def test_a_page_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Complaint) as told:
        write(tmp_path / "performance.md", report(figure(1.0)))
    assert "--no-page" in told.value.next_step


def test_a_missed_aim_stands_in_its_table_and_below_all_of_them() -> None:
    text = tables(report(figure(1_000, 1_200, aim=RATE), figure(120.0, unit="ms", aim=P99)))
    assert "`orderlog bench all`, commit abc1234, 2026-11-22." in text
    assert "| orders | 1,100 /s | 1,000–1,200 | ≥ 3,000 /s (least 1,500 /s) | **missed** |" in text
    assert "| orders | 120 ms |  | ≤ 250 ms | reached |" in text
    _, _, below = text.partition("### Aims that were missed")
    assert "lifecycle, orders: 1,100 /s" in below
    assert "120 ms" not in below


def test_parts_that_are_measured_anew_change_their_tables_and_nobody_elses() -> None:
    slow = Figure("overload", "goodput", "", Aim(0.9), (0.8,))
    lines = Figure("growth", "cost", "", Aim(1.15, at_most=True), (1.4,))
    before = tables(report(figure(1_000, aim=RATE), slow, lines))
    faster = Figure("overload", "goodput", "", Aim(0.9), (0.7,))
    new = renewed(before, replace(report(faster), command="orderlog bench all --only overload", commit="def"))
    assert "Measured anew by `orderlog bench all --only overload`, commit def, 2026-11-22: 2 cores." in new
    assert "| goodput | 0.70 |" in new
    assert "| goodput | 0.80 |" not in new
    untouched = new.partition("### Overload")[0]
    assert untouched.strip() == before.partition("### Overload")[0].strip()
    below = new.partition("### Aims that were missed")[2]
    assert [line.split(":")[0] for line in below.split("\n") if line] == [
        "- lifecycle, orders",
        "- growth, cost",
        "- overload, goodput",
    ]
    again = renewed(new, report(faster))
    assert again.count("Measured anew") == 1
    reached = renewed(new, report(Figure("overload", "goodput", "", Aim(0.9), (0.9,))))
    assert "overload, goodput" not in reached
    first = renewed(tables(report(figure(3_000, aim=RATE))), report(faster))
    assert first.index("### Overload") < first.index("### Aims that were missed")
    assert "None of those" not in first


def test_a_run_that_reached_everything_says_so() -> None:
    assert tables(report(figure(3_000, aim=RATE))).endswith("None of those that were measured.")


def test_the_page_of_this_release_can_be_written() -> None:
    check(PAGE)
    assert put(put(PAGE.read_text(), "x"), "y").count("\ny\n") == 1


def test_every_part_is_in_a_run_of_all_of_them() -> None:
    assert {part for parts in PARTS.values() for part in parts} == {*BEFORE, *SIDE_BY_SIDE, *AFTER}


def test_a_part_that_the_bench_does_not_have_is_told_with_those_it_has() -> None:
    with pytest.raises(Complaint, match="no part `overlord`") as told:
        run_all(only="overload,overlord")
    assert "overload" in told.value.next_step


@pytest.mark.parametrize("choice", CHOICES)
def test_an_order_has_three_different_skus_whatever_the_choice(choice: str) -> None:
    for number in range(2_000):
        chosen = CHOICES[choice](number)
        assert len(set(chosen)) == LINES
        assert all(0 <= sku < SKUS for sku in chosen)


def test_skus_are_chosen_as_the_choice_says() -> None:
    drawn = {name: Counter(s for n in range(30_000) for s in choose(n)) for name, choose in CHOICES.items()}
    assert set(drawn["hot"]) == set(range(HOT))
    assert len(drawn["uniform"]) == SKUS
    assert max(drawn["uniform"].values()) == min(drawn["uniform"].values())
    assert 1.5 < drawn["zipf"][0] / drawn["zipf"][1] < 2.2
    assert 7 < drawn["zipf"][0] / drawn["zipf"][9] < 12


def test_the_same_number_is_the_same_order() -> None:
    assert order("bench-1", 7).order_id == order("bench-1", 7).order_id
    assert order("bench-1", 7).order_id != order("bench-2", 7).order_id
