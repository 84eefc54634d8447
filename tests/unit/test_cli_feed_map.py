"""A feed's map on the command line: what is read of it, sent, shown, and how rows in their words are sent.

The edges are replaced (cli_world): this is the text layer.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import stock_feed, stock_feed_map
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import Ended, FakeEdges, run, signing_key

MAP = "/v1/stock/feeds/acme/map"
ROWS = "/v1/stock/feeds/acme/rows"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def refused(code: str) -> dict[str, Any]:
    problem = {"type": f"urn:orderlog:problem:{code}", "detail": "It is so.", "next_step": "Map it."}
    return {"status": 409, "problem": problem}


def many(request: httpx.Request) -> httpx.Response:
    """Every item is decided, but those of their SKU `NEW`, and rows of `OLD`, which were taken before."""
    codes = {"NEW": "unmapped_sku", "OLD": "already_reported"}
    results = [
        refused(codes[item["theirs"]]) if item["theirs"] in codes else {"decided": True}
        for item in json.loads(request.content)["items"]
    ]
    return httpx.Response(207, json={"results": results})


def mapped(entries: Any = None, changes: Any = 7) -> FakeEdges:
    def at(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return many(request)
        asked = dict(request.url.params)
        found = [one for one in entries or [] if one["theirs"] > asked.get("after", "")]
        found = [one for one in found if one["theirs"] == asked.get("theirs", one["theirs"])]
        page = found[: int(asked.get("limit", 100))]
        following = page[-1]["theirs"] if len(page) == int(asked.get("limit", 100)) else None
        return httpx.Response(200, json={"feed": "acme", "skus": page, "next": following})

    opened = {"decided": True, "events": [{"type": "oms.inventory.feed_run_opened", "data": {}}]}
    return FakeEdges(
        {
            ("inventory", "/v1/stock/feeds"): {"feeds": [{"feed": "acme", "node": "V1", "mapped": True}]},
            ("inventory", f"{MAP}/summary"): [{"changes": one} for one in changes]
            if isinstance(changes, list)
            else {"changes": changes},
            ("inventory", MAP): at,
            ("inventory", "/v1/stock/feeds/acme/runs"): opened,
            ("inventory", ROWS): many,
        }
    )


def entry(theirs: str, **more: Any) -> dict[str, Any]:
    return {"theirs": theirs, "sku": "A", "pack_size": 1, "per": 1, "map_version": 1, "told": None, **more}


def feed_map(fake: FakeEdges, patch: pytest.MonkeyPatch, *arguments: str) -> Ended:
    return run(fake, stock_feed_map, patch, ["stock", "feed-map", "acme", *arguments, "--json"])


def test_a_map_is_sent_entry_by_entry_and_what_it_does_not_name_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "map.csv"
    file.write_text("theirs,sku,pack_size,per\nx 1,MUG,12,\nx2,EGG,1,12\nx3,,,\nx2,CUP,,\nx4,A,0,\n")
    fake = mapped([entry("y1")])
    ended = feed_map(fake, monkeypatch, str(file))
    assert ended.exit_code == 1
    [sent] = fake.bodies(MAP)
    assert sent["items"] == [
        {"theirs": "x 1", "sku": "MUG", "pack_size": 12, "per": 1},
        {"theirs": "x2", "sku": "EGG", "pack_size": 1, "per": 12},
    ]
    assert [(one["line"], one["what"]) for one in ended.json["failures"]] == [
        (4, "sku is missing"),
        (5, "x2 is there twice"),
        (6, "pack_size is 0; it must be 1 to 100,000"),
    ]


def test_what_a_file_that_replaces_the_map_lacks_is_dropped_unless_an_entry_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "map.csv"
    file.write_text("theirs,sku\nx1,MUG\n")
    fake = mapped([entry(f"y{number:04}") for number in range(1_201)] + [entry("x1")])
    ended = feed_map(fake, monkeypatch, str(file), "--replace")
    assert (ended.exit_code, ended.json["dropped"]) == (0, 1_201)
    dropped = [item for body in fake.bodies(MAP)[1:] for item in body["items"]]
    assert dropped == [{"theirs": f"y{number:04}", "sku": None} for number in range(1_201)]
    file.write_text("theirs,sku\nNEW,MUG\n")
    again = mapped([entry("y1")])
    assert feed_map(again, monkeypatch, str(file), "--replace").json["dropped"] == 0
    assert len(again.bodies(MAP)) == 1


def test_a_map_is_shown_written_and_an_entry_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"units": 24, "stated_at": "2026-03-02T12:00:00+00:00"}
    fake = mapped([entry("x1", pack_size=12, told=told), entry("x2", per=12)])
    shown = feed_map(fake, monkeypatch)
    assert "x1 A 12 24 2026-03-02 12:00:00" in shown.said
    assert "x2 A 1 per 12 – –" in shown.said
    assert [one["theirs"] for one in feed_map(fake, monkeypatch, "--theirs", "x2").json["skus"]] == ["x2"]
    absent = feed_map(fake, monkeypatch, "--theirs", "X1")
    assert isinstance(absent.error, Complaint)
    assert "X1 is not in the map of feed acme." in str(absent.error)
    out = tmp_path / "out.csv"
    assert feed_map(fake, monkeypatch, "--out", str(out)).json["rows"] == 2
    assert out.read_text() == "theirs,sku,pack_size,per\nx1,A,12,1\nx2,A,1,12\n"
    assert feed_map(fake, monkeypatch, "--drop", "x1").exit_code == 0
    assert fake.bodies(MAP) == [{"items": [{"theirs": "x1", "sku": None}]}]
    assert isinstance(feed_map(fake, monkeypatch, str(out), "--unmapped").error, Complaint)


def test_what_the_map_lacks_is_written_to_be_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = {"feed": "acme", "unmapped": [{"theirs": "NEW", "rows": 3, "last_at": None}], "next": None}
    fake = FakeEdges({("inventory", "/v1/stock/feeds/acme/unmapped"): lacking})
    assert "NEW 3" in feed_map(fake, monkeypatch, "--unmapped").said
    out = tmp_path / "to-do.csv"
    feed_map(fake, monkeypatch, "--unmapped", "--out", str(out))
    assert out.read_text() == "theirs,sku,pack_size,per\nNEW,,,\n"


def test_a_file_of_a_feed_that_has_a_map_is_sent_in_their_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "feed.csv"
    file.write_text("sku,quantity,pack_size\nx1,3,\nx2,2,6\nNEW,1,\nOLD,9,\n")
    fake = mapped(changes=[7, 8, 8])
    arguments = ["stock", "feed", str(file), "--feed", "acme", "--json"]
    ended = run(fake, stock_feed, monkeypatch, arguments)
    [opened] = fake.bodies("/v1/stock/feeds/acme/runs")
    assert (opened["rows"], opened["units"]) == (4, 25)
    [sent] = fake.bodies(ROWS)
    assert [(row["theirs"], row["packs"], row.get("pack_size")) for row in sent["items"]] == [
        ("x1", 3, None),
        ("x2", 2, 6),
        ("NEW", 1, None),
        ("OLD", 9, None),
    ]
    assert "sku" not in sent["items"][0]
    assert [(one["line"], one["code"]) for one in ended.json["failures"]] == [(4, "unmapped_sku")]
    assert ended.json["taken"] == 3, "what was told before is told"
    assert "orderlog stock feed-map acme --unmapped" in ended.said
    for _ in range(2):
        run(fake, stock_feed, monkeypatch, arguments)
    keys = [one.headers["idempotency-key"] for one in fake.requests if one.url.path == ROWS]
    assert keys[0] != keys[1] == keys[2], "with another map, a row may be answered otherwise"


def test_a_row_that_names_theirs_and_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "feed.csv"
    file.write_text("theirs,sku,quantity\nx1,A,3\nx2,,4\n")
    fake = mapped()
    run(fake, stock_feed, monkeypatch, ["stock", "feed", str(file), "--feed", "acme"])
    assert [row["theirs"] for body in fake.bodies(ROWS) for row in body["items"]] == ["x2"]
