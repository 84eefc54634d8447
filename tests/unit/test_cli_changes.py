"""Lines cancelled, holds placed and notes written on the command line, and what a person is told of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import changes
from tests.unit.cli_world import FakeEdges, run, signing_key
from tests.unit.test_cli_orders import ID, PATH, REQUEST, an_order, entry

CANCEL = f"{PATH}/cancel-lines"
C1 = f"{ID}-C1"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("cli.changes.time.sleep", lambda seconds: None)
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def decided(type_: str, **fields: Any) -> dict[str, Any]:
    return {"decided": True, "events": [{"id": REQUEST, "type": type_, "data": fields}]}


REQUESTED = decided("oms.intake.line_cancellation_requested", cancellation_id=C1)


def answered(cancelled: int, kept: int = 0) -> dict[str, Any]:
    lines = [[{"line": 2, "quantity": units}] if units else [] for units in (cancelled, kept)]
    one = {"cancellation_id": C1, "decided_at": "2026-03-02T09:00:01Z", "cancelled": lines[0]}
    return an_order(line_cancellations=[one | {"kept": lines[1], "why_kept": "Too late: picked already."}])


@pytest.mark.parametrize(
    ("cancelled", "kept", "code", "says"),
    [
        (2, 0, 0, "2 units cancelled."),
        (1, 1, 1, "1 unit cancelled. Too late: picked already."),
        (0, 2, 1, "Too late: picked already."),
    ],
)
def test_it_says_what_came_of_it_once_fulfillment_has_decided(
    monkeypatch: pytest.MonkeyPatch, cancelled: int, kept: int, code: int, says: str
) -> None:
    waiting = an_order(line_cancellations=[{"cancellation_id": C1, "decided_at": None}])
    looks = [waiting, answered(cancelled, kept)]
    fake = FakeEdges({("intake", CANCEL): REQUESTED, ("console", PATH): looks})
    arguments = ["orders", "cancel-lines", ID, "--line", "2=2", "--reason", "many", "--tenant", "acme"]
    ended = run(fake, changes, monkeypatch, arguments)
    assert (ended.exit_code, ended.said) == (code, says)
    assert fake.bodies(CANCEL) == [{"lines": [{"line": 2, "quantity": 2}], "reason": "many"}]


def test_cancelling_all_that_is_left_is_said_to_be_that(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = decided("oms.intake.order_closed", outcome="cancelled")
    fake = FakeEdges({("intake", CANCEL): answer})
    arguments = ["orders", "cancel-lines", ID, "--line", "1=3", "--reason", "", "--tenant", "acme"]
    assert "all of it" in run(fake, changes, monkeypatch, arguments).said


def test_what_is_no_line_is_asked_back(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["orders", "cancel-lines", ID, "--line", "two", "--reason", "", "--tenant", "acme"]
    ended = run(FakeEdges(), changes, monkeypatch, arguments)
    assert "--line two: what is meant?" in str(ended.error)


def test_a_hold_that_was_too_late_says_why_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    declined = entry("oms.fulfillment.hold_declined", "Too late to hold: LON has it.", cause=REQUEST)
    work = [{"node": "LON", "state": "released", "fulfillment_order_id": f"{ID}-F1"}]
    fake = FakeEdges({("intake", f"{PATH}/holds"): decided("oms.intake.hold_placed")})
    arguments = ["orders", "hold", ID, "fraud", "--message", "Ask.", "--tenant", "acme", "--json"]
    fake.answers["console", PATH] = [an_order(fulfillment_orders=work, timeline=[declined])]
    late = run(fake, changes, monkeypatch, arguments)
    assert (late.exit_code, late.json["ok"]) == (1, False)
    assert "Too late to hold: LON has it." in late.said
    fake.answers["console", PATH] = an_order()
    held = run(fake, changes, monkeypatch, arguments)
    assert (held.exit_code, held.json["ok"]) == (0, True)


def test_a_note_needs_the_order_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("console", PATH): an_order(customer_id="77")})
    fake.answers["intake", f"{PATH}/notes"] = decided("oms.intake.note_added")
    ended = run(fake, changes, monkeypatch, ["orders", "note", ID, "rang", "--tenant", "acme"])
    assert ended.exit_code == 0
    assert fake.bodies(f"{PATH}/notes") == [{"text": "rang"}]
