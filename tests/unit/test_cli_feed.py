"""Files of stock on the command line: what is read of them, what is sent, and what a person sees of it.

The edges are replaced (cli_world): this is the text layer.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import stock_feed, stock_feed_map, stock_load, stock_reconcile
from cli.rowfile import read_rows, whole
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import FakeEdges, run, signing_key


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (1_772_452_800, 1_772_452_800))  # 2026-03-02 12:00 UTC
    return path


def taken(request: httpx.Request) -> httpx.Response:
    """Every row is decided, but those of the SKU `OLD`."""
    problem = {"type": "urn:orderlog:problem:superseded", "detail": "Older.", "next_step": "Nothing."}
    rows = json.loads(request.content)["items"]
    results = [
        {"status": 409, "problem": problem} if row["sku"] == "OLD" else {"decided": True, "events": []}
        for row in rows
    ]
    return httpx.Response(207, json={"results": results})


def feeding(*, held: bool = False) -> FakeEdges:
    """Feeds `acme` and `other`; whatever run is opened is held, or is not."""
    opened = {"decided": True, "events": [{"type": "oms.inventory.feed_run_opened", "data": {"held": held}}]}
    runs: dict[str, Any] = {"acme": None, "other": None}

    def feeds(request: httpx.Request) -> httpx.Response:
        told = [{"feed": feed, "node": feed.upper(), "last_run": run} for feed, run in runs.items()]
        return httpx.Response(200, json={"feeds": told})

    def open_run(request: httpx.Request) -> httpx.Response:
        run_id = json.loads(request.content)["run_id"]
        runs[request.url.path.split("/")[-2]] = {"run_id": run_id, "held": held}
        return httpx.Response(200, json=opened)

    answers: dict[tuple[str, str], Any] = {("inventory", "/v1/stock/feeds"): feeds}
    for feed in runs:
        answers["inventory", f"/v1/stock/feeds/{feed}/runs"] = open_run
        answers["inventory", f"/v1/stock/feeds/{feed}/rows"] = taken
    return FakeEdges(answers)


def keys_of(fake: FakeEdges) -> list[str]:
    """Of the requests that change something, in order."""
    return [one.headers["idempotency-key"] for one in fake.requests if one.method == "POST"]


# Rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sku,quantity\nA,1\n\n B , 2 \n",
            [(2, {"sku": "A", "quantity": "1"}), (4, {"sku": "B", "quantity": "2"})],
        ),
        ("sku,quantity\nA\nB,1,2\n", [(2, "quantity is missing"), (3, "more columns than the header")]),
        ("sku\nA\n", [(1, "the header lacks quantity; columns are sku, quantity")]),
        ("sku,quantity,size\n", [(1, "the header has size; columns are sku, quantity")]),
        (b"\xef\xbb\xbfsku,quantity\nA\xff,1\n", [(2, "sku is not UTF-8")]),
        ("", [(1, "the header lacks sku, quantity; columns are sku, quantity")]),
    ],
)
def test_rows_come_with_their_lines(tmp_path: Path, text: str | bytes, expected: list[Any]) -> None:
    path = written(tmp_path, "rows.csv", text)
    assert list(read_rows(path, ("sku", "quantity"), ("sku", "quantity"))) == expected


def test_a_row_of_json_may_hold_a_number(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.ndjson", '{"sku": "A", "quantity": 1}\n[]\n{"sku": "B"}\n')
    one, two, three = read_rows(path, ("sku", "quantity"), ("sku", "quantity"))
    assert one == (1, {"sku": "A", "quantity": 1})
    assert (two[0], isinstance(two[1], str)) == (2, True)
    assert three == (3, "quantity is missing")


@pytest.mark.parametrize("value", ["1.5", "", "x", "1_000", "٣", 1.0, True, None, "9" * 400])
def test_a_quantity_is_a_whole_number(value: object) -> None:
    with pytest.raises(ValueError, match="quantity is"):
        whole(value, "quantity", 0, 10)
    assert whole(" +7 ", "quantity", 0, 10) == 7


@pytest.mark.parametrize(
    ("name", "says"), [("absent.csv", "No such file"), ("rows.xlsx", "neither CSV nor NDJSON")]
)
@pytest.mark.parametrize(
    ("module", "words"),
    [
        (stock_feed, ["feed", "--feed", "acme"]),
        (stock_feed_map, ["feed-map", "acme"]),
        (stock_load, ["load", "receipts"]),
        (stock_reconcile, ["reconcile", "--system", "wms", "--at", "2026-03-02"]),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, words: list[str], name: str, says: str
) -> None:
    written(tmp_path, "rows.xlsx", b"PK")
    ended = run(FakeEdges(), module, monkeypatch, ["stock", *words, str(tmp_path / name)])
    assert isinstance(ended.error, Complaint)
    assert says in str(ended.error)
    assert ended.error.next_step


@pytest.mark.parametrize(
    ("module", "words"),
    [(stock_feed_map, ["feed-map", "acme", "--out"]), (stock_load, ["load", "receipts", "IN", "--refused"])],
)
def test_what_cannot_be_written_is_told_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, words: list[str]
) -> None:
    rows, fake = written(tmp_path, "in.csv", "sku,node,quantity\nA,LON,1\n"), FakeEdges()
    words = ["stock", *(str(rows) if word == "IN" else word for word in words), str(tmp_path / "no/out.csv")]
    ended = run(fake, module, monkeypatch, words)
    assert "cannot be written" in str(ended.error)
    assert fake.requests == []


# Feeds ---------------------------------------------------------------------------------------------------


def test_each_row_of_a_feed_that_is_not_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "MUG,3,12\nCUP,two,\n,1,\nPLATE,4,6\nA,-1,\nOLD,9,\n"
    file = written(tmp_path, "feed.csv", f"sku,quantity,pack_size\n{rows}")
    fake = feeding()
    ended = run(fake, stock_feed, monkeypatch, ["stock", "feed", str(file), "--feed", "acme", "--json"])
    assert ended.exit_code == 1
    [opened] = fake.bodies("/v1/stock/feeds/acme/runs")
    assert (opened["rows"], opened["units"], opened["stated_at"]) == (6, 69, "2026-03-02T12:00:00+00:00")
    [sent] = fake.bodies("/v1/stock/feeds/acme/rows")
    assert [(row["sku"], row["packs"], row["pack_size"]) for row in sent["items"]] == [
        ("MUG", 3, 12),
        ("PLATE", 4, 6),
        ("OLD", 9, 1),
    ]
    assert {row["run_id"] for row in sent["items"]} == {opened["run_id"]}
    assert [(one["line"], one["code"]) for one in ended.json["failures"]] == [
        (3, "unreadable"),
        (4, "unreadable"),
        (6, "unreadable"),
        (7, "superseded"),
    ]
    assert "sku is missing" in ended.said
    assert (ended.json["taken"], ended.json["units"]) == (2, 60)


def test_the_same_file_again_asks_under_the_same_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"S{number},1\n" for number in range(1203))
    file = written(tmp_path, "feed.csv", f"sku,quantity\n{rows}")
    fake = feeding()
    for _ in range(2):
        assert (
            run(fake, stock_feed, monkeypatch, ["stock", "feed", str(file), "--feed", "acme"]).exit_code == 0
        )
    sizes = [len(body["items"]) for body in fake.bodies("/v1/stock/feeds/acme/rows")]
    requests = len(sizes) // 2
    assert sum(sizes[:requests]) == sum(sizes[requests:]) == 1203
    assert max(sizes) == 500
    keys = keys_of(fake)
    assert sorted(keys[: requests + 1]) == sorted(keys[requests + 1 :])
    assert len(set(keys)) == requests + 1


def test_a_large_file_goes_through_several_doors_and_a_sku_through_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two rows of a SKU the first one stands, so it must not be overtaken."""
    rows = "".join(f"S{number % 700},{number}\n" for number in range(2_100))
    file = written(tmp_path, "feed.csv", f"sku,quantity\n{rows}")
    fake = feeding()
    ended = run(fake, stock_feed, monkeypatch, ["stock", "feed", str(file), "--feed", "acme", "--json"])
    assert (ended.json["rows"], ended.json["taken"]) == (2_100, 2_100)
    sent = fake.bodies("/v1/stock/feeds/acme/rows")
    assert len(sent) > 4
    seen: dict[str, list[int]] = {}
    for body in sent:
        for row in body["items"]:
            seen.setdefault(row["sku"], []).append(row["packs"])
    assert seen == {f"S{number}": [number, number + 700, number + 1_400] for number in range(700)}


def test_a_feed_that_is_held_sends_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "feed.csv", "sku,quantity\nA,1\n")
    fake = feeding(held=True)
    ended = run(fake, stock_feed, monkeypatch, ["stock", "feed", str(file), "--feed", "acme"])
    assert isinstance(ended.error, Complaint)
    assert "orderlog stock approve-feed acme feed.csv-" in ended.error.next_step
    assert fake.bodies("/v1/stock/feeds/acme/rows") == []


def test_a_file_of_which_nothing_can_be_read_is_no_feed_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be held, and whoever approved it would have taken a feed that tells of no unit."""
    file = written(tmp_path, "feed.csv", "theirs,quantity\nA,1\n")
    fake = feeding(held=True)
    ended = run(fake, stock_feed, monkeypatch, ["stock", "feed", str(file), "--feed", "acme"])
    assert ended.exit_code == 1
    assert "feed.csv:1: unreadable: the header lacks sku" in ended.said
    assert keys_of(fake) == []


def test_a_held_file_that_was_approved_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its announcement is answered as before: with the run that was held then."""
    file = written(tmp_path, "feed.csv", "sku,quantity\nA,1\n")
    fake = feeding(held=True)
    arguments = ["stock", "feed", str(file), "--feed", "acme"]
    run(fake, stock_feed, monkeypatch, arguments)
    [opened] = fake.bodies("/v1/stock/feeds/acme/runs")
    approved = {"feed": "acme", "last_run": {"run_id": opened["run_id"], "held": False}}
    fake.answers["inventory", "/v1/stock/feeds"] = {"feeds": [approved]}
    assert run(fake, stock_feed, monkeypatch, arguments).exit_code == 0
    assert len(fake.bodies("/v1/stock/feeds/acme/rows")) == 1


def test_a_later_file_that_says_the_same_is_another_and_so_is_another_feeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "feed.csv", "sku,quantity\nA,1\n")
    fake = feeding()
    for feed in ("acme", "other"):
        run(fake, stock_feed, monkeypatch, ["stock", "feed", str(file), "--feed", feed])
    os.utime(file, (1_772_539_200, 1_772_539_200))  # a day later
    ended = run(fake, stock_feed, monkeypatch, ["stock", "feed", str(file), "--feed", "acme"])
    assert ended.exit_code == 0
    assert len(set(keys_of(fake))) == 6
    assert len({one["run_id"] for one in fake.bodies("/v1/stock/feeds/acme/runs")}) == 2


def test_differences_that_were_copied_are_not_told_again_unless_somebody_says_of_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "delta.csv", "sku,quantity\nA,-2\n")
    fake = feeding()
    arguments = ["stock", "feed", str(file), "--feed", "acme", "--delta"]
    run(fake, stock_feed, monkeypatch, arguments)
    os.utime(file, (1_772_539_200, 1_772_539_200))  # a day later
    reused = {"type": "urn:orderlog:problem:command_id_reused", "detail": "Used.", "next_step": "Another."}
    fake.answers["inventory", "/v1/stock/feeds/acme/rows"] = {"results": [{"problem": reused}]}
    assert "--at says of when they are" in run(fake, stock_feed, monkeypatch, arguments).said
    run(fake, stock_feed, monkeypatch, [*arguments, "--at", "2026-03-03T12:00:00Z"])
    first, copied, named = keys_of(fake)
    assert first == copied != named


def test_differences_are_sent_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "delta.csv", "sku,quantity\nA,-2\n")
    fake = feeding()
    arguments = ["stock", "feed", str(file), "--feed", "acme", "--delta", "--at", "2026-03-02T13:00:00Z"]
    assert run(fake, stock_feed, monkeypatch, arguments).exit_code == 0
    [sent] = fake.bodies("/v1/stock/feeds/acme/rows")
    assert sent["items"] == [
        {"sku": "A", "mode": "delta", "packs": -2, "pack_size": 1, "stated_at": "2026-03-02T13:00:00+00:00"}
    ]
    assert fake.bodies("/v1/stock/feeds/acme/runs") == []


# Reconciliation ------------------------------------------------------------------------------------------


def compared(request: httpx.Request) -> httpx.Response:
    outcomes = {"A": "matched", "B": "in_flight", "C": "pinned", "D": "unexplained", "E": "matched"}
    results = [
        {
            "sku": row["sku"],
            "node": row["node"],
            "theirs": row["quantity"],
            "book": 10,
            "variance": row["quantity"] - 10,
            "outcome": outcomes[row["sku"]],
            "explanation": "Because.",
            "events": [],
            "position": 7,
            "waiting": "wms-1" if row["sku"] == "E" else None,
        }
        if row["sku"] != "?"
        else {"problem": BAD}
        for row in json.loads(request.content)["rows"]
    ]
    return httpx.Response(200, json={"results": results})


BAD = {"detail": "Wrong.", "next_step": "Correct it.", "errors": [{"where": "sku", "what": "no SKU"}]}
SNAPSHOT = "sku,node,quantity\nA,LON,10\nB,LON,9\nC,LON,8\nD,LON,7\nA,LON,-1\n"


def reconciling(*proposed: dict[str, Any]) -> FakeEdges:
    return FakeEdges(
        {
            ("inventory", "/v1/stock/comparisons"): compared,
            ("inventory", "/v1/stock/proposals"): {"results": list(proposed)},
        }
    )


def test_what_nothing_explains_is_proposed_and_the_rest_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "wms.csv", SNAPSHOT)
    arguments = ["stock", "reconcile", str(file), "--system", "wms", "--at", "2026-03-02T10:00:00+01:00"]
    fake = reconciling({"decided": True, "events": []})
    ended = run(fake, stock_reconcile, monkeypatch, [*arguments, "--json"])
    assert ended.exit_code == 1
    [proposals] = fake.bodies("/v1/stock/proposals")
    [proposal] = proposals["items"]
    assert (proposal["sku"], proposal["variance"], proposal["proposal_id"]) == (
        "D",
        -3,
        "wms-260302T090000-LON",
    )
    assert {name: ended.json[name] for name in ("matched", "in_flight", "pinned", "proposed")} == {
        "matched": 1,
        "in_flight": 1,
        "pinned": 1,
        "proposed": 1,
    }
    assert "wms.csv:3: in flight: B at LON: 9 there, 10 here. Because." in ended.said
    assert "wms.csv:6: unreadable. quantity is -1" in ended.said
    again = reconciling({"problem": {"type": "urn:orderlog:problem:already_proposed", "detail": "x"}})
    assert "proposed" not in run(again, stock_reconcile, monkeypatch, arguments).said


def test_one_bad_row_or_refused_proposal_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "sku,node,quantity\n?,LON,10\nD,LON,7\nD,LEE,7\nE,LON,10\n"
    file = written(tmp_path, "wms.csv", text)
    arguments = ["stock", "reconcile", str(file), "--system", "wms", "--at", "2026-03-02T10:00:00Z"]
    late = {"type": "urn:orderlog:problem:superseded", "detail": "Counted since.", "next_step": "Nothing."}
    done = {"decided": True, "events": []}
    fake = reconciling({"status": 409, "problem": late}, done, done)
    ended = run(fake, stock_reconcile, monkeypatch, [*arguments, "--json"])
    assert ended.exit_code == 1
    [proposals] = fake.bodies("/v1/stock/proposals")
    sent = [(one["sku"], one["node"], one["variance"], one["position"]) for one in proposals["items"]]
    assert sent == [("D", "LON", -3, 7), ("D", "LEE", -3, 7), ("E", "LON", 0, 7)]
    assert {name: ended.json[name] for name in ("unreadable", "refused", "proposed", "closed")} == {
        "unreadable": 1,
        "refused": 1,
        "proposed": 1,
        "closed": 1,
    }
    assert "wms.csv:2: unreadable. Wrong. sku: no SKU. Correct it." in ended.said
    assert "wms.csv:3: refused: D at LON: 7 there, 10 here. Counted since. Nothing." in ended.said
    assert "1 difference closed, of shelves that agree now." in ended.said


def test_a_dry_run_proposes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "wms.csv", SNAPSHOT)
    fake = reconciling()
    arguments = ["stock", "reconcile", str(file), "--system", "wms", "--at", "2026-03-02", "--dry-run"]
    assert run(fake, stock_reconcile, monkeypatch, arguments).exit_code == 1
    assert fake.bodies("/v1/stock/proposals") == []
    assert fake.bodies("/v1/stock/comparisons")[0]["as_of"] == "2026-03-02T00:00:00+00:00"


def test_a_feed_is_amended_by_what_is_named_and_retired(monkeypatch: pytest.MonkeyPatch) -> None:
    done = {
        "decided": True,
        "command_id": "c",
        "events": [{"type": "oms.inventory.feed_defined", "data": {}}],
    }
    path = "/v1/stock/feeds/acme"
    fake = FakeEdges({("inventory", path): done, ("inventory", f"{path}/retirement"): done | {"events": []}})
    ended = run(fake, stock_feed, monkeypatch, ["stock", "amend-feed", "acme", "--buffer", "8", "--json"])
    assert fake.requests[0].method == "PATCH"
    assert fake.bodies(path) == [{"buffer_units": 8}]
    assert "Feed acme is changed: buffer units." in ended.said
    assert ended.json["changed"] is True
    ended = run(fake, stock_feed, monkeypatch, ["stock", "retire-feed", "acme", "--reason", "It ended."])
    assert fake.bodies(f"{path}/retirement") == [{"reason": "It ended."}]
    assert "Feed acme was retired before." in ended.said
    nothing = run(fake, stock_feed, monkeypatch, ["stock", "amend-feed", "acme"])
    assert isinstance(nothing.error, Complaint)
