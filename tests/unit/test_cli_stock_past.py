"""Stock as of then on the command line: what is asked, and what a person sees of the answer.

The edges are replaced (cli_world); tests/log/test_inventory_past_api.py holds them to the ledger.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import stock, stock_past
from tests.unit.cli_world import FakeEdges, run, signing_key

THEN = "2026-03-02T10:30:00Z"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def stood(sku: str = "A B", **more: Any) -> dict[str, Any]:
    figures = {
        "on_hand": 6,
        "reserved": 9,
        "held": 0,
        "available": 0,
        "short": 3,
        "allocated": 0,
        "issued": 0,
        "late": 1,
    }
    nodes = [{"node": "LON", "buckets": {"on_hand": 6}}]
    return {"sku": sku, "at": THEN, "known_at": None, **figures, "position": 2, "nodes": nodes, **more}


def test_a_sku_as_corrected_since_says_what_was_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/A B"): stood()})
    ended = run(fake, stock, monkeypatch, ["stock", "show", "A B", "--at", THEN, "--json"])
    assert dict(fake.requests[0].url.params) == {"at": THEN}
    assert "A B: 6 on hand, 9 reserved, 0 available to promise" in ended.said
    assert "At 2026-03-02 10:30:00 UTC, as corrected since. 1 movement of it was told later." in ended.said
    assert "Promised units that, as it turned out, were not there: 3." in ended.said
    assert (ended.json["short"], ended.json["nodes"][0]["node"]) == (3, "LON")


def test_a_sku_as_known_then_asks_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/A B"): stood(known_at=THEN, late=0, short=0)})
    ended = run(fake, stock, monkeypatch, ["stock", "show", "A B", "--at", THEN, "--known-at", THEN])
    assert dict(fake.requests[0].url.params) == {"at": THEN, "known_at": THEN}
    assert "as known at 2026-03-02 10:30:00." in ended.said
    assert "later" not in ended.said


def test_lots_as_of_then_are_told_with_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    lots = [
        {"lot": "L-1", "expires_on": "2026-03-09", "state": "good", "nodes": {"LON": {"on_hand": 6}}},
        {
            "lot": "L-2",
            "expires_on": "2026-03-12",
            "state": "quarantined",
            "nodes": {"LON": {"quarantine": 2}, "LEE": {"in_transit": 1}},
        },
    ]
    fake = FakeEdges({("inventory", "/v1/stock/A B"): stood(lots=lots)})
    ended = run(fake, stock, monkeypatch, ["stock", "show", "A B", "--at", THEN, "--json"])
    assert "lot last day node on hand quarantine in transit" in ended.said
    assert "L-1 2026-03-09 LON 6 – –" in ended.said
    assert "L-2 2026-03-12 LON – 2 – recalled" in ended.said
    assert ended.json["lots"] == lots


def test_a_list_is_of_one_moment_over_all_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [
        {"stock": [stood("A")], "next": "A"},
        {"stock": [stood("B", at="2026-03-02T10:31:00Z")], "next": None},
    ]
    fake = FakeEdges({("inventory", "/v1/stock"): pages})
    ended = run(fake, stock_past, monkeypatch, ["stock", "list", "--node", "LON", "--json"])
    assert [one["sku"] for one in ended.json["stock"]] == ["A", "B"]
    first, second = (dict(one.url.params) for one in fake.requests)
    assert first == {"node": "LON", "limit": "200"}
    assert second == {"node": "LON", "limit": "200", "after": "A", "at": THEN}


def test_a_list_says_when_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock"): {"stock": [stood("A"), stood("B")], "next": None}})
    ended = run(fake, stock_past, monkeypatch, ["stock", "list", "-n", "1", "--json"])
    assert "… and more; the first 1 are shown (-n)." in ended.said
    assert (len(ended.json["stock"]), ended.json["more"]) == (1, True)


def test_a_series_is_a_row_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = {"on_hand": 10, "reserved": 9, "available": 1, "allocated": 2, "issued": 0, "short": 0, "late": 0}
    found = {"sku": "A", "known_at": None, "as_known_then": True, "points": [{"at": THEN, **point}]}
    fake = FakeEdges({("inventory", "/v1/stock/A/series"): found})
    words = [
        "stock",
        "series",
        "A",
        "--from",
        "2026-03-01",
        "--to",
        "2026-03-02",
        "--as-known-then",
        "--json",
    ]
    ended = run(fake, stock_past, monkeypatch, words)
    asked = {"from": "2026-03-01", "to": "2026-03-02", "step": "day", "as_known_then": "true"}
    assert dict(fake.requests[0].url.params) == asked
    assert ended.err.splitlines()[1].split() == ["2026-03-02", "10:30", "10", "9", "1", "2", "0"]
    assert ended.json["points"][0]["on_hand"] == 10


def test_what_is_told_late_says_when_it_was_true(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = {"decided": True, "command_id": "c", "events": []}
    fake = FakeEdges(
        {("inventory", "/v1/stock/receipts"): decided, ("inventory", "/v1/stock/adjustments"): decided}
    )
    run(fake, stock, monkeypatch, ["stock", "receive", "A", "LON", "5", "--effective-at", THEN])
    run(
        fake,
        stock,
        monkeypatch,
        ["stock", "adjust", "A", "LON", "-4", "--reason", "x", "--effective-at", THEN],
    )
    assert fake.bodies("/v1/stock/receipts")[0]["effective_at"] == THEN
    assert fake.bodies("/v1/stock/adjustments")[0]["effective_at"] == THEN


def test_what_the_edge_refuses_reaches_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"detail": "`at` is still to come.", "next_step": "Send a moment of the past."}
    fake = FakeEdges({("inventory", "/v1/stock/A"): httpx.Response(422, json=problem)})
    ended = run(fake, stock, monkeypatch, ["stock", "show", "A", "--at", "2999-01-01"])
    assert "still to come" in str(ended.error)


def test_where_nothing_ever_moved_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock"): {"stock": [], "next": None}})
    said = run(fake, stock_past, monkeypatch, ["stock", "list"]).said
    assert said == "Nothing ever moved. What arrives: orderlog stock receive SKU NODE QTY"
    at_lee = run(fake, stock_past, monkeypatch, ["stock", "list", "--node", "LEE"]).said
    assert at_lee == "Nothing ever moved at LEE. What arrives: orderlog stock receive SKU LEE QTY"
