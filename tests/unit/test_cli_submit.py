"""Submitting a file: batches, keys that make a repeat the same, a line number for whatever did not get in.

Intake is replaced (cli_world): what is sent is looked at, what is answered is written here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import orders
from cli.loadfile import Loaded
from cli.submit import Submission, submit
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import FakeEdges, edges_of, run, signing_key

PATH = "/v1/orders/batch"
ROOM = 1_048_576


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def event(name: str, **data: object) -> dict[str, Any]:
    return {"type": f"oms.intake.{name}", "data": data}


def decided(*events: dict[str, Any]) -> dict[str, Any]:
    return {"status": 200, "decided": True, "events": list(events)}


def accept(request: httpx.Request) -> httpx.Response:
    rows = json.loads(request.content)["orders"]
    return httpx.Response(207, json={"results": [decided(event("order_accepted")) for _ in rows]})


def some(count: int, size: int = 0) -> list[Loaded]:
    return [(n + 1, {"external_id": f"E{n}", "padding": "x" * size}) for n in range(count)]


def sent(fake: FakeEdges) -> list[tuple[str, int]]:
    """Key and number of orders of each batch."""
    return [
        (request.headers["idempotency-key"], len(json.loads(request.content)["orders"]))
        for request in fake.requests
    ]


def test_batches_are_as_intake_takes_them() -> None:
    fake = FakeEdges({("intake", PATH): accept})
    done = submit(edges_of(fake), some(1201), ROOM)
    assert [rows for _, rows in sent(fake)] == [500, 500, 201]
    assert (done.orders, done.accepted, done.failed) == (1201, 1201, False)


def test_no_body_is_larger_than_intake_takes() -> None:
    fake = FakeEdges({("intake", PATH): accept})
    done = submit(edges_of(fake), some(40, 100_000), ROOM)
    assert done.accepted == 40
    assert max(len(request.content) for request in fake.requests) <= ROOM
    assert len(fake.requests) == 4


def test_the_same_file_again_has_the_same_keys_and_another_has_others() -> None:
    fake = FakeEdges({("intake", PATH): accept})
    for loaded in (some(600), some(600), some(601)):
        submit(edges_of(fake), loaded, ROOM)
    keys = [key for key, _ in sent(fake)]
    assert keys[:2] == keys[2:4]
    assert keys[4] == keys[0], "a batch that is as before is the same, whatever follows it"
    assert keys[5] not in keys[:5]


def test_each_order_that_did_not_get_in_is_told_with_its_line() -> None:
    problem = {
        "detail": "1 field(s) are not as documented.",
        "next_step": "Correct it.",
        "errors": [{"where": "currency", "what": "String should match pattern"}],
    }
    results = [
        decided(event("order_accepted")),
        decided(event("order_held", holds=[])),
        decided(event("order_rejected", reasons=[{"code": "c", "message": "unknown currency."}])),
        {"status": 422, "problem": problem},
        {"status": 202, "decided": False},
        decided(),
    ]
    fake = FakeEdges({("intake", PATH): httpx.Response(207, json={"results": results})})
    loaded: list[Loaded] = [(2, {}), (4, {}), (6, {}), (8, {}), (10, {}), (12, {}), (9, "not JSON")]
    done = submit(edges_of(fake), loaded, ROOM)
    assert [(one.line, one.kind, one.what) for one in done.failures] == [
        (6, "rejected", "unknown currency."),
        (8, "refused", "1 field(s) are not as documented. Correct it."),
        (9, "unreadable", "not JSON"),
        (10, "undecided", "Taken, and not decided within the time waited."),
    ]
    assert done.failures[1].errors == ("currency: String should match pattern",)
    counts = (done.orders, done.accepted, done.held, done.rejected, done.known)
    assert counts == (7, 1, 1, 1, 1)
    assert done.failed


def test_a_rejected_order_is_decided() -> None:
    rejected = decided(event("order_rejected", reasons=[{"code": "c", "message": "no."}]))
    fake = FakeEdges({("intake", PATH): httpx.Response(207, json={"results": [rejected]})})
    assert submit(edges_of(fake), some(1), ROOM).failed is False


def test_an_order_that_is_not_decided_is_no_success() -> None:
    fake = FakeEdges({("intake", PATH): httpx.Response(207, json={"results": [{"status": 202}]})})
    done = submit(edges_of(fake), some(1), ROOM)
    assert (done.undecided, done.failed) == (1, True)


def test_an_order_that_spoils_its_batch_is_found() -> None:
    def picky(request: httpx.Request) -> httpx.Response:
        rows = json.loads(request.content)["orders"]
        if any(row["external_id"] == "E1" for row in rows):
            return httpx.Response(413, json={"detail": "too large", "next_step": "Split it."})
        return accept(request)

    fake = FakeEdges({("intake", PATH): picky})
    done = submit(edges_of(fake), some(3), ROOM)
    assert [(one.line, one.what) for one in done.failures] == [(2, "Too large. Split it.")]
    assert done.accepted == 2


def test_a_number_beyond_json_is_told_and_not_raised() -> None:
    done = submit(edges_of(FakeEdges()), [(7, {"total_minor": 2**70})], ROOM)
    assert [(one.line, one.kind) for one in done.failures] == [(7, "unreadable")]


def test_who_may_not_submit_hears_it_once() -> None:
    fake = FakeEdges({("intake", PATH): httpx.Response(403, json={"detail": "no", "next_step": "Ask."})})
    with pytest.raises(Complaint, match="Ask"):
        submit(edges_of(fake), some(1001), ROOM)
    assert len(fake.requests) == 1


def test_the_command_ends_with_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "some.ndjson"
    file.write_text('{"external_id": "A"}\nnonsense\n')
    fake = FakeEdges({("intake", PATH): accept})
    ended = run(fake, orders, monkeypatch, ["orders", "submit", str(file), "--json"])
    assert ended.exit_code == 1
    assert "some.ndjson:2: unreadable: not JSON" in ended.err
    figures = {name: ended.json[name] for name in ("ok", "orders", "accepted", "unreadable", "tenant")}
    assert figures == {"ok": False, "orders": 2, "accepted": 1, "unreadable": 1, "tenant": "main"}
    assert ended.json["failures"][0]["line"] == 2


def test_a_file_that_is_not_there_or_of_no_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, says in (("absent.csv", "cannot be read"), ("orders.xlsx", "must end in .json")):
        ended = run(FakeEdges(), orders, monkeypatch, ["orders", "submit", str(tmp_path / name)])
        assert isinstance(ended.error, Complaint)
        assert says in str(ended.error)


def test_only_so_many_failures_are_kept() -> None:
    loaded: list[Loaded] = [(n, "bad") for n in range(5000)]
    done: Submission = submit(edges_of(FakeEdges()), loaded, ROOM)
    assert (done.unreadable, len(done.failures)) == (5000, 1000)
