"""`orderlog stock reconcile --complete`: what is sent of a snapshot that claims to be all of a node."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import snapshot, stock_reconcile
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import Ended, FakeEdges, run, signing_key

PATH = ("inventory", "/v1/stock/comparisons")


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def found(sku: str, theirs: int, book: int) -> dict[str, Any]:
    outcome = "matched" if theirs == book else "unexplained"
    told = {"sku": sku, "node": "LON", "theirs": theirs, "book": book, "variance": theirs - book}
    return told | {"outcome": outcome, "explanation": "Nothing.", "position": 7, "waiting": None}


def edge(request: httpx.Request) -> httpx.Response:
    """The books have 5 of S1 to S5 each, which come one by one where they are left out."""
    asked = json.loads(request.content)
    claim, named = asked["complete"], [row["sku"] for row in asked["rows"]]
    known = [
        sku
        for sku in ("S1", "S2", "S3", "S4", "S5")
        if (claim["after"] or "") < sku <= (claim["until"] or "Z")
    ]
    left = [found(sku, 0, 5) for sku in known[:2] if sku not in named]
    results = [found(row["sku"], row["quantity"], 5) for row in asked["rows"]]
    following = known[1] if len(known) > 2 else None
    return httpx.Response(200, json={"results": results, "left_out": left, "next": following})


def reconcile(folder: Path, patch: pytest.MonkeyPatch, text: str, *more: str) -> tuple[Ended, FakeEdges]:
    file = folder / "wms.csv"
    file.write_text("sku,node,quantity\n" + text)
    proposed = {"results": [{"decided": True, "events": []}] * 9}
    fake = FakeEdges(
        {PATH: edge, ("inventory", "/v1/stock/proposals"): lambda request: _as_many(request, proposed)}
    )
    arguments = ["stock", "reconcile", str(file), "--system", "wms", "--at", "2026-03-02", "--json", *more]
    return run(fake, stock_reconcile, patch, arguments), fake


def _as_many(request: httpx.Request, proposed: dict[str, Any]) -> httpx.Response:
    items = json.loads(request.content)["items"]
    return httpx.Response(200, json={"results": proposed["results"][: len(items)]})


def test_what_is_left_out_is_proposed_and_each_row_is_compared_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "ROWS_AT_ONCE", 1)
    ended, fake = reconcile(tmp_path, monkeypatch, "S4,LON,5\nS2,LON,4\n", "--complete", "--node", "LON")
    assert ended.exit_code == 1
    items = [item for body in fake.bodies("/v1/stock/proposals") for item in body["items"]]
    assert [(one["sku"], one["variance"]) for one in items] == [
        ("S2", -1),
        ("S1", -5),
        ("S3", -5),
        ("S5", -5),
    ]
    assert (ended.json["matched"], ended.json["unexplained"], ended.json["proposed"]) == (1, 4, 4)
    claims = [body["complete"] for body in fake.bodies(PATH[1])]
    assert [(one["after"], one["until"], one["units"]) for one in claims] == [
        (None, "S2", 9),
        ("S2", None, 9),
        ("S4", None, 9),
    ]
    assert "wms.csv, left out: unexplained: S1 at LON: 0 there, 5 here." in ended.said


def test_an_empty_snapshot_is_sent_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, fake = reconcile(tmp_path, monkeypatch, "", "--complete", "--node", "LON", "--dry-run")
    assert fake.bodies(PATH[1])[0]["complete"] == {"node": "LON", "units": 0, "after": None, "until": None}


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("S1,LON,5\nS2,LON,two\n", ("--complete", "--node", "LON"), "1 row cannot be read"),
        ("S1,LON,5\nS2,LEE,2\n", ("--complete", "--node", "LON"), "Line 3 is of LEE"),
        ("S1,LON,5\nS2,LON,2\nS1,LON,1\n", ("--complete", "--node", "LON"), "Lines 2 and 4 both name S1"),
        ("S1,LON,5\n", ("--complete",), "--complete and --node go together"),
        ("S1,LON,5\n", ("--node", "LON"), "--complete and --node go together"),
    ],
)
def test_a_file_that_cannot_be_all_of_a_node_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, options: tuple[str, ...], said: str
) -> None:
    ended, fake = reconcile(tmp_path, monkeypatch, text, *options)
    assert isinstance(ended.error, Complaint)
    assert said in ended.error.sentence
    assert fake.requests == []
