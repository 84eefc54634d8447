"""Files of facts on the command line: what is read of them, what is sent, and what a person sees of it.

The edges are replaced (cli_world); rows are held to the contracts that inventory takes.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import factfile, sending, stock_load
from libs.events.catalogue import BY_TYPE
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import Ended, FakeEdges, run, signing_key

COMMANDS = "/v1/commands"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    os.utime(path, (1_772_452_800, 1_772_452_800))  # 2026-03-02 12:00 UTC
    return path


def decided(request: httpx.Request) -> httpx.Response:
    """Every row is decided, but those of the SKU `LOST`, and of `SLOW`."""
    sent = json.loads(request.content)
    rows = [one["data"] for one in sent["commands"]] if "commands" in sent else sent["items"]
    refused = {"type": "urn:orderlog:problem:unknown_node", "detail": "No such node.", "next_step": "Add it."}
    before = {"type": "urn:orderlog:problem:already_counted", "detail": "It was.", "next_step": "Nothing."}
    answers: dict[str, dict[str, Any]] = {
        "LOST": {"status": 409, "problem": refused},
        "AGAIN": {"status": 409, "problem": before},
        "SLOW": {"status": 202, "decided": False},
    }
    taken = {"status": 200, "decided": True}
    return httpx.Response(207, json={"results": [answers.get(row["sku"], taken) for row in rows]})


def edges() -> FakeEdges:
    return FakeEdges({("inventory", COMMANDS): decided, ("inventory", "/v1/stock/counts"): decided})


def loaded(fake: FakeEdges, patch: pytest.MonkeyPatch, *arguments: object) -> Ended:
    return run(fake, stock_load, patch, ["stock", "load", *map(str, arguments), "--json"])


@pytest.mark.parametrize(
    ("kind", "text", "data"),
    [
        (
            "receipts",
            "sku,node,quantity,lot,expires_on,reference\nMILK,LON,40,L-1,2026-12-09,PO-1\n",
            {"node": "LON", "quantity": 40, "lot": "L-1", "expires_on": "2026-12-09", "reference": "PO-1"},
        ),
        (
            "adjustments",
            "sku,node,delta,reason_code,serials\nCAM,LON,-2,stolen,S-1;S-2\n",
            {"delta": -2, "reason_code": "stolen", "serials": ["S-1", "S-2"]},
        ),
        (
            "expected",
            "sku,supply_id,node,quantity,expected_at,document\nMUG,PO-1,LON,144,2026-03-09,asn\n",
            {
                "expected_at": "2026-03-09T00:00:00+00:00",
                "document": "asn",
                "stated_at": "2026-03-02T12:00:00+00:00",
            },
        ),
        (
            "arrivals",
            "sku,supply_id,receipt_id,node,quantity,damaged,final\nMUG,PO-1,GR-1,LON,140,2,yes\n",
            {"receipt_id": "GR-1", "quantity": 140, "damaged": 2, "final": True},
        ),
        (
            "transfers",
            "sku,transfer_id,source_node,target_node,quantity,due_at,lots\n"
            "MILK,T-1,LON,LEE,5,2026-03-05T09:00:00Z,L-1=3; L-2=2\n",
            {"lots": [{"lot": "L-1", "quantity": 3}, {"lot": "L-2", "quantity": 2}]},
        ),
        (
            "landings",
            "sku,transfer_id,receipt_id,quantity,damaged,lots,damaged_lots\nMILK,T-1,R-1,4,1,L-1,L-2\n",
            {
                "lots": [{"lot": "L-1", "quantity": 4}],
                "damaged_lots": [{"lot": "L-2", "quantity": 1}],
            },
        ),
    ],
)
def test_a_row_is_the_command_of_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, text: str, data: dict[str, Any]
) -> None:
    fake = edges()
    ended = loaded(fake, monkeypatch, kind, written(tmp_path, "facts.csv", text))
    assert ended.exit_code == 0, ended
    [sent] = fake.bodies(COMMANDS)
    [command] = sent["commands"]
    assert {name: command["data"][name] for name in data} == data
    BY_TYPE[command["type"]].model_validate_json(json.dumps(command["data"]))
    assert (ended.json["rows"], ended.json["taken"]) == (1, 1)


def test_a_count_is_sent_to_where_its_books_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was taken before is told to be, and is no failure."""
    fake = edges()
    file = written(tmp_path, "counts.csv", "sku,node,counted,lots\nMILK,LON,18,L-1=6;L-2=12\nAGAIN,LON,3,\n")
    ended = loaded(fake, monkeypatch, "counts", file, "--at", "2026-03-01T06:00:00Z")
    assert ended.exit_code == 0, ended
    [sent] = fake.bodies("/v1/stock/counts")
    first, second = sent["items"]
    assert first["lots"] == [{"lot": "L-1", "counted": 6}, {"lot": "L-2", "counted": 12}]
    assert first["counted_at"] == "2026-03-01T06:00:00+00:00"
    assert first["count_id"] != second["count_id"]
    assert (ended.json["taken"], ended.json["units"]) == (2, 21)


def test_each_row_that_is_not_taken_is_told_with_its_line_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "sku,node,quantity\nMUG,LON,4\nMUG,LON,four\nLOST,NOWHERE,1\nCUP,LON\n"
    text += "SLOW,LON,1\nMUG,LON,0\nCUP,LON,2\n"
    file, rest = written(tmp_path, "facts.csv", text), tmp_path / "rest.csv"
    fake = edges()
    ended = loaded(fake, monkeypatch, "receipts", file, "--refused", rest)
    assert ended.exit_code == 1
    assert [(one["line"], one["code"]) for one in ended.json["failures"]] == [
        (3, "unreadable"),
        (4, "unknown_node"),
        (5, "unreadable"),
        (6, "undecided"),
        (7, "unreadable"),
    ]
    assert ended.json["failures"][1]["next_step"] == "Add it."
    assert "facts.csv:4: unknown_node: No such node. Add it." in ended.said
    assert (ended.json["taken"], ended.json["units"], ended.json["ok"]) == (2, 6, False)
    assert "5 rows written to" in ended.said
    assert [row.split(",")[:3] for row in rest.read_text().splitlines()] == [
        ["sku", "node", "quantity"],
        ["MUG", "LON", "four"],
        ["LOST", "NOWHERE", "1"],
        ["CUP", "LON", ""],
        ["SLOW", "LON", "1"],
        ["MUG", "LON", "0"],
    ]
    assert [one["data"]["sku"] for one in fake.bodies(COMMANDS)[0]["commands"]] == [
        "MUG",
        "LOST",
        "SLOW",
        "CUP",
    ]


def ids(fake: FakeEdges) -> list[list[str]]:
    return [[one["id"] for one in body["commands"]] for body in fake.bodies(COMMANDS)]


def test_the_same_file_again_asks_under_the_same_ids_whatever_its_name_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "sku,node,quantity\nMUG,LON,4\nMUG,LON,4\n"
    file, copy = written(tmp_path, "one.csv", text), written(tmp_path, "two.csv", text)
    os.utime(copy, (1_772_500_000, 1_772_500_000))
    fake = edges()
    for path in (file, copy, written(tmp_path, "other.csv", text + "MUG,LON,4\n")):
        assert loaded(fake, monkeypatch, "receipts", path).exit_code == 0
    one, two, other = ids(fake)
    assert one == two
    assert len({*one, *other}) == 5
    loaded(fake, monkeypatch, "receipts", file, "--tenant", "rival")
    assert not {*ids(fake)[-1]} & {*one}, "two tenants' rows are never one"


def test_a_statement_is_another_one_at_another_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "sku,supply_id,node,quantity,expected_at\nMUG,PO-1,LON,144,2026-03-09\n"
    file, fake = written(tmp_path, "asn.csv", text), edges()
    for at in ("2026-03-01", "2026-03-01", "2026-03-02"):
        loaded(fake, monkeypatch, "expected", file, "--at", at)
    one, again, later = ids(fake)
    assert one == again != later


def test_a_large_file_is_read_as_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches go through several doors, a SKU through one of them, and no more is read than that."""
    file = written(
        tmp_path, "many.csv", "sku,node,quantity\n" + "".join(f"S{n},LON,1\n" for n in range(6000))
    )
    fake, ahead = edges(), [0]

    def send(*arguments: Any) -> Any:
        ahead[0] = max(ahead[0], read[0] - sum(len(body["commands"]) for body in fake.bodies(COMMANDS)))
        return real(*arguments)

    read, real, rows = [0], sending._send, factfile.FactFile.rows

    def counting(self: factfile.FactFile) -> Iterator[Any]:
        read[0] = 0
        for row in rows(self):
            read[0] += 1
            yield row

    monkeypatch.setattr(sending, "_send", send)
    monkeypatch.setattr(factfile.FactFile, "rows", counting)
    ended = loaded(fake, monkeypatch, "receipts", file)
    assert (ended.exit_code, ended.json["taken"]) == (0, 6000)
    doors = sending.senders_for(6000)
    assert ahead[0] <= 2 * doors * sending.BATCH_ROWS_MAX
    assert max(len(body["commands"]) for body in fake.bodies(COMMANDS)) <= sending.BATCH_ROWS_MAX


def test_a_file_can_be_checked_and_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "facts.ndjson", '{"sku": "MUG", "node": "LON", "quantity": 4}\n{"sku": "MUG"}\n')
    fake = edges()
    ended = loaded(fake, monkeypatch, "receipts", file, "--check")
    assert ended.exit_code == 1
    assert "Columns of receipts: sku, node, quantity; and reference, unit" in ended.said
    assert "facts.ndjson:2: unreadable: node, quantity is missing" in ended.said
    assert fake.requests == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("sku,node,quantity,price\n", "the header has price"),
        ("sku,node,quantity,lots\nMILK,LON,4,L-1=2;L-2\n", "the header has lots"),
        ("sku,node,quantity,effective_at\nMUG,LON,4,yesterday\n", "`yesterday` is no moment"),
        ("sku,node,quantity,expires_on\nMUG,LON,4,soon\n", "expires_on"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, what: str
) -> None:
    fake = edges()
    ended = loaded(fake, monkeypatch, "receipts", written(tmp_path, "facts.csv", text))
    assert ended.exit_code == 1
    assert what in ended.json["failures"][0]["what"]
    assert fake.requests == []


@pytest.mark.parametrize(
    ("kind", "name", "more"),
    [
        ("gifts", "facts.csv", []),
        ("receipts", "facts.xls", []),
        ("receipts", "none.csv", []),
        ("receipts", "facts.csv", ["--refused", "facts.csv"]),
    ],
)
def test_files_that_cannot_be_loaded_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, more: list[str]
) -> None:
    written(tmp_path, "facts.csv", "sku,node,quantity\n")
    written(tmp_path, "facts.xls", "x")
    monkeypatch.chdir(tmp_path)
    assert isinstance(loaded(edges(), monkeypatch, kind, name, *more).error, Complaint)
