"""Supply on the command line: what is sent, and what a person sees of it. The edges are replaced."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cli import stock_idle, stock_needs, stock_rules, stock_supply
from cli.client import Refused
from libs.runtime.complaint import Complaint
from services.inventory.lead_times import Lead
from services.inventory.reorder import Day, Owed, Shelf, Terms, needs
from tests.unit.cli_world import FakeEdges, run, signing_key

CLI_PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def decided(type_: str, **values: Any) -> dict[str, Any]:
    pegged = {"type": "oms.inventory.stock_pegged", "data": {}}
    return {"decided": True, "command_id": "c", "events": [{"type": type_, "data": values}, pegged]}


@pytest.mark.parametrize(
    ("arguments", "path", "event", "sent", "said"),
    [
        (
            ["expect", "MUG", "LON", "144", "--supply", "P", "--by", "2026-03-09"],
            "supplies",
            decided("supply_expected", open=140),
            {"quantity": 144, "expected_at": "2026-03-09T00:00:00+00:00", "document": "purchase_order"},
            "140 units of MUG expected at LON under P.",
        ),
        (
            ["arrive", "MUG", "LON", "9", "--supply", "P", "--receipt", "R", "--damaged", "1"],
            "supplies/receipts",
            decided("supply_received", outcome="over", over=3, open=0),
            {"quantity": 9, "damaged": 1, "final": False, "receipt_id": "R"},
            "10 units of MUG arrived at LON under P: over, 3 units more than expected.",
        ),
        (
            ["dispatch", "MUG", "LON", "LEE", "2", "--transfer", "T", "--due", "2026-03-05T09:00:00Z"],
            "transfers",
            decided("transfer_dispatched"),
            {"source_node": "LON", "target_node": "LEE", "due_at": "2026-03-05T09:00:00+00:00"},
            "2 units of MUG left LON for LEE.",
        ),
        (
            ["land", "MUG", "2", "--transfer", "T", "--receipt", "R"],
            "transfers/receipts",
            decided("transfer_receipt_held", quantity=2),
            {"quantity": 2, "transfer_id": "T"},
            "nobody has dispatched it yet, so it waits",
        ),
        (
            ["close-transfer", "MUG", "--transfer", "T", "--outcome", "lost"],
            "transfers/closings",
            decided("transfer_closed", quantity=1),
            {"outcome": "lost"},
            "Lost: 1 unit of MUG under T.",
        ),
        (
            ["move", "MUG", "LON", "6", "--from", "on_hand", "--to", "damaged", "--reason", "wet"],
            "moves",
            decided("stock_moved"),
            {"source": "on_hand", "target": "damaged", "reason_code": "wet"},
            "6 units of MUG at LON went from on_hand to damaged: wet.",
        ),
        (
            ["count", "MUG", "LON", "8", "--count", "C", "--at", "2026-03-02T09:00:00Z"],
            "counts",
            decided("count_recorded", book=10, variance=-2, outcome="held"),
            {"counted": 8, "counted_at": "2026-03-02T09:00:00+00:00", "count_id": "C"},
            "8 of MUG counted at LON, 10 on the books then: -2, held; it waits for a person: "
            "orderlog stock settle MUG C --approve.",
        ),
        (
            [
                *["dispatch", "MILK", "LON", "LEE", "5", "--transfer", "T", "--due", "2026-03-05"],
                *["--lot", "A=B=3", "--lot", "L-2=2"],
            ],
            "transfers",
            decided(
                "transfer_dispatched", lots=[{"lot": "A=B", "quantity": 3}, {"lot": "L-2", "quantity": 2}]
            ),
            {"lots": [{"lot": "A=B", "quantity": 3}, {"lot": "L-2", "quantity": 2}]},
            "5 units of MILK left LON for LEE: 3 of lot A=B, 2 of lot L-2.",
        ),
        (
            [
                *["land", "MILK", "4", "--transfer", "T", "--receipt", "R", "--damaged", "1"],
                *["--lot", "L-2", "--damaged-lot", "L-1"],
            ],
            "transfers/receipts",
            decided("transfer_received", outcome="complete", open=0),
            {
                "lots": [{"lot": "L-2", "quantity": 4}],
                "damaged_lots": [{"lot": "L-1", "quantity": 1}],
            },
            "5 units of MILK arrived under T: complete.",
        ),
        (
            ["count", "MILK", "LON", "8", "--count", "C", "--lot", "L-1=5", "--lot", "L-2=3"],
            "counts",
            decided(
                "count_recorded",
                book=8,
                variance=0,
                outcome="booked",
                lots=[{"lot": "L-1", "counted": 5, "book": 4}, {"lot": "L-2", "counted": 3, "book": 4}],
            ),
            {"lots": [{"lot": "L-1", "counted": 5}, {"lot": "L-2", "counted": 3}]},
            "lot L-2: 3 counted, 4 on the books: -1",
        ),
        (
            ["count", "MILK", "LON", "8", "--count", "C", "--lot", "L-1"],
            "counts",
            decided("count_recorded", book=7, variance=1, outcome="booked"),
            {"lot": "L-1"},
            "+1, booked.",
        ),
        (
            ["settle", "MUG", "C", "--reject", "--note", "miscounted"],
            "settlements",
            decided("difference_settled", variance=-2, node="LON"),
            {"approve": False, "note": "miscounted"},
            "-2 of MUG at LON is rejected, and nothing is changed.",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_typed_is_sent_and_the_answer_told(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    path: str,
    event: dict[str, Any],
    sent: dict[str, Any],
    said: str,
) -> None:
    fake = FakeEdges({("inventory", f"/v1/stock/{path}"): event})
    ended = run(fake, stock_supply, monkeypatch, ["stock", *arguments, "--json"])
    assert ended.exit_code == 0, ended
    [body] = fake.bodies(f"/v1/stock/{path}")
    assert {name: body[name] for name in sent} == sent
    assert said in ended.said
    assert ended.json["ok"] is True


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["arrive", "MUG", "LON", "9", "--supply", "P", "--receipt", "R"], "supplies/receipts"),
        (["dispatch", "MUG", "LON", "LEE", "2", "--transfer", "T", "--due", "2026-03-05"], "transfers"),
        (["land", "MUG", "2", "--transfer", "T", "--receipt", "R"], "transfers/receipts"),
        (["move", "MUG", "LON", "1", "--from", "on_hand", "--to", "damaged", "--reason", "x"], "moves"),
    ],
)
def test_what_was_true_before_is_told_so(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], path: str
) -> None:
    fake = FakeEdges({("inventory", f"/v1/stock/{path}"): decided("x", outcome="complete")})
    ended = run(fake, stock_supply, monkeypatch, ["stock", *arguments, "--effective-at", "2026-03-02"])
    assert ended.exit_code == 0, ended
    run(fake, stock_supply, monkeypatch, ["stock", *arguments])
    [before, now] = fake.bodies(f"/v1/stock/{path}")
    assert before["effective_at"] == "2026-03-02T00:00:00+00:00"
    assert "effective_at" not in now


@pytest.mark.parametrize("lots", [["L-1=2", "L-2"], ["L-1=2", "L-1=3"]])
def test_lots_that_say_nothing_or_two_things_are_not_sent(
    monkeypatch: pytest.MonkeyPatch, lots: list[str]
) -> None:
    fake = FakeEdges({})
    arguments = ["stock", "land", "MILK", "5", "--transfer", "T", "--receipt", "R"]
    for lot in lots:
        arguments += ["--lot", lot]
    ended = run(fake, stock_supply, monkeypatch, arguments)
    assert isinstance(ended.error, Complaint)
    assert fake.requests == []


def test_a_purchase_order_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/v1/stock/supplies/cancellations"
    arguments = ["stock", "cancel-supply", "MUG", "--supply", "P", "--reason", "No clay.", "--json"]
    fake = FakeEdges({("inventory", path): decided("supply_cancelled", quantity=6)})
    ended = run(fake, stock_supply, monkeypatch, arguments)
    assert fake.bodies(path) == [{"sku": "MUG", "supply_id": "P", "reason": "No clay."}]
    assert "6 units of MUG under P will not come." in ended.said
    fake = FakeEdges({("inventory", path): {"decided": True, "command_id": "c", "events": []}})
    assert "P was done with already." in run(fake, stock_supply, monkeypatch, arguments).said


def test_a_count_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = decided("count_recorded", book=8, variance=0, outcome="matched")
    fake = FakeEdges({("inventory", "/v1/stock/counts"): answer})
    run(fake, stock_supply, monkeypatch, ["stock", "count", "MUG", "LON", "8", "--reason", "cycle"])
    assert fake.bodies("/v1/stock/counts")[0]["reason_code"] == "cycle"


RULES: dict[str, Any] = {"version": 3, "new_skus": True, "nodes": ["LON"], "over_receipt_percent_max": 5}
RULES |= {"unannounced": True, "count_approval_units": 24, "phantom_short_picks": None}
RULES |= {"feed_shrink_percent": 10}


def test_rules_that_are_not_named_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = RULES | decided("supply_rules_defined", version=4)
    answer["events"] = answer["events"][:1]
    fake = FakeEdges({("inventory", "/v1/stock/rules"): answer})
    shown = run(fake, stock_rules, monkeypatch, ["stock", "rules", "--json"])
    assert "count approval units 24" in shown.said
    assert fake.bodies("/v1/stock/rules") == []
    ended = run(
        fake, stock_rules, monkeypatch, ["stock", "rules", "--nodes", "LON, LEE", "--known-skus", "--json"]
    )
    run(fake, stock_rules, monkeypatch, ["stock", "rules", "--clear", "--count-units", "3"])
    [changed, anew] = fake.bodies("/v1/stock/rules")
    assert (changed["nodes"], changed["new_skus"]) == (["LON", "LEE"], False)
    assert (changed["count_approval_units"], changed["over_receipt_percent_max"]) == (24, 5)
    assert anew == {"new_skus": True, "count_approval_units": 3}
    assert "The rules are at version 4." in ended.said


def test_differences_are_listed_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"sku": "A", "node": "N1", "variance": -2, "source": "count", "proposal_id": "C1"}
    one |= {"as_of": "2026-03-02T09:00:00Z"}
    pages = [{"differences": [one]}, {"differences": [one | {"sku": "B"}]}, {"differences": []}]
    fake = FakeEdges({("inventory", "/v1/stock/differences"): pages})
    ended = run(fake, stock_supply, monkeypatch, ["stock", "differences", "--json"])
    assert [found["sku"] for found in ended.json["differences"]] == ["A", "B"]
    assert [request.url.params.get("after") for request in fake.requests] == [None, "A", "B"]
    assert "A N1 -2 count 2026-03-02 09:00 C1" in ended.said


def test_idle_shelves_are_doubted_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [{"shelves": [{"sku": "A", "node": "N1", "units": 3}]}, {"shelves": []}]
    fake = FakeEdges(
        {
            ("inventory", "/v1/stock/idle"): [*pages, *pages],
            ("inventory", "/v1/stock/suspicions"): {"results": []},
        }
    )
    assert "A N1 3" in run(fake, stock_idle, monkeypatch, ["stock", "idle", "--days", "9"]).said
    assert fake.bodies("/v1/stock/suspicions") == []
    assert run(fake, stock_idle, monkeypatch, ["stock", "idle", "--suspect"]).exit_code == 0
    [body] = fake.bodies("/v1/stock/suspicions")
    assert body["items"] == [{"sku": "A", "node": "N1", "reason": "Nothing has moved for 90 days."}]


def test_what_is_running_low_is_told_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    low = {"sku": "A", "node": "N1", "daily": 4.0, "reorder_point": 35, "available": 12, "propose": 143}
    low |= {"alert": True, "low": False, "lead_days": 7.5, "supplier": "kiln"}
    low |= {"reasons": ["waiting", "runs_out_first"]}
    fine = low | {"sku": "B", "propose": 0, "alert": False}
    told = fine | {"sku": "C", "low": True, "reasons": ["low"], "supplier": None}
    pages = [{"needs": [low, fine], "next": "B"}, {"needs": [fine, told], "next": None}]
    fake = FakeEdges({("inventory", "/v1/stock/needs"): pages})
    ended = run(fake, stock_needs, monkeypatch, ["stock", "needs", "--lead-days", "7", "--json"])
    assert [one["sku"] for one in ended.json["needs"]] == ["A", "C"]
    assert "A N1 4.0 7.5 35 12 143 kiln waiting, runs out" in ended.said
    assert "C N1 4.0 7.5 35 12 0 – low" in ended.said
    assert [request.url.params.get("after") for request in fake.requests] == [None, "B"]
    assert fake.requests[0].url.params["lead_days"] == "7"


def test_the_page_shows_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of `stock needs`: two SKUs, as the ledger might have them."""
    terms = Terms(days=90, lead_days=7, service=0.95, cover_days=30)
    sold = dict.fromkeys(range(0, 90, 2), Day(issued=6))
    mug = needs(
        terms, Lead(10.0, 1.0, 4), [Shelf("LON", 45, late=24, days=sold)], Owed(reserved=8, waiting=3)
    )
    pot = needs(terms, None, [], Owed(waiting=500))
    rows = [
        {"sku": sku, **asdict(one), "low": False, "supplier": sender}
        for sku, sender, found in (("MUG", "kiln", mug), ("TEAPOT", None, pot))
        for one in found
    ]
    fake = FakeEdges({("inventory", "/v1/stock/needs"): {"needs": rows, "next": None}})
    told = run(
        fake, stock_needs, monkeypatch, ["stock", "needs", "--lead-days", "7", "--service", "0.95"]
    ).err
    [page] = re.findall(r"^    \$ orderlog stock needs .*\n((?:    \S.*\n)+)", CLI_PAGE, re.MULTILINE)
    assert [line.split() for line in page.splitlines()] == [line.split() for line in told.splitlines()]


def test_what_is_to_come_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "sku": "MUG",
        "units": {"inbound": {"LON": 144}},
        "expected": [
            {
                "supply_id": "P",
                "node": "LON",
                "open": 144,
                "supplier": "kiln",
                "expected_at": "2026-03-09T00:00:00Z",
            }
        ],
        "transfers": [
            {
                "transfer_id": "T",
                "source_node": "",
                "target_node": "",
                "open": 0,
                "due_at": None,
                "early": [1],
            }
        ],
    }
    fake = FakeEdges({("inventory", "/v1/stock/MUG/supply"): found})
    said = run(fake, stock_supply, monkeypatch, ["stock", "supply", "MUG"]).said
    assert "144 inbound at LON" in said
    assert "P kiln LON 144 2026-03-09 00:00:00" in said
    assert "T – not dispatched yet 0" in said


def test_a_moment_that_is_none_and_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["stock", "expect", "MUG", "LON", "1", "--supply", "P", "--by", "soon"]
    ended = run(FakeEdges(), stock_supply, monkeypatch, arguments)
    assert isinstance(ended.error, Complaint)
    assert "`soon` is no moment" in ended.error.sentence
    assert isinstance(run(FakeEdges(), stock_supply, monkeypatch, ["stock", "supply", "X"]).error, Refused)
