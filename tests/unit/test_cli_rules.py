"""Exception rules on the command line: shown, changed on top of the version that is there, dropped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import rules
from cli.client import Refused
from tests.unit.cli_world import FakeEdges, run, signing_key

PATH = rules.PATH
SHOWN: dict[str, Any] = {
    "version": 3,
    "rules": [
        {"kind": "hold", "which": None, "owner": "operations", "own": False}
        | {"after_minutes": 0, "sla_minutes": 480},
        {"kind": "hold", "which": "payment", "owner": "support", "own": True}
        | {"after_minutes": 30, "sla_minutes": 1440},
    ],
    "changes": [{"version": 3, "actor": "ann", "note": "As we said."}],
}


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def decided(*versions: int) -> dict[str, Any]:
    return {"decided": True, "events": [{"type": "x", "data": {"version": one}} for one in versions]}


def test_they_are_shown_with_who_changed_them_last(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("console", "/v1/exceptions/rules"): SHOWN})
    ended = run(fake, rules, monkeypatch, ["rules", "show", "--tenant", "acme", "--json"])
    assert ended.exit_code == 0
    assert "Version 3, changed by ann: As we said." in ended.said
    assert ended.json == {"ok": True, "tenant": "acme", **SHOWN}


def test_a_change_is_based_on_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("intake", PATH): [{"version": 3, "rules": []}, decided(4)]})
    arguments = ["rules", "set", "hold", "--which", "payment", "--owner", "operations", "--after", "30"]
    more = ["--due", "240", "--reason", "So.", "--tenant", "acme", "--json"]
    ended = run(fake, rules, monkeypatch, arguments + more)
    assert ended.said.startswith("Version 4: operations gets it after 30 minutes; it is due within 240")
    assert ended.json == {"ok": True, "tenant": "acme", "version": 4}
    [sent] = [one for one in fake.requests if one.method == "POST"]
    assert httpx.Response(200, content=sent.content).json() == {
        "kind": "hold",
        "which": "payment",
        "owner": "operations",
        "after_minutes": 30,
        "sla_minutes": 240,
        "next_step": None,
        "based_on": 3,
        "note": "So.",
    }


def test_what_was_so_already_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("intake", PATH): {"version": 0, "rules": []}, ("intake", f"{PATH}/drop"): decided()})
    arguments = ["rules", "drop", "hold", "--reason", "So.", "--tenant", "acme"]
    ended = run(fake, rules, monkeypatch, arguments)
    assert (ended.exit_code, ended.said) == (0, "There was none of your own.")


def test_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"type": "urn:x:rules_changed", "detail": "the rules are at version 4.", "next_step": "Look."}
    refused = httpx.Response(409, json=problem)
    fake = FakeEdges({("intake", PATH): {"version": 3}, ("intake", f"{PATH}/drop"): refused})
    ended = run(fake, rules, monkeypatch, ["rules", "drop", "hold", "--reason", "So.", "--tenant", "acme"])
    assert isinstance(ended.error, Refused)
    assert ended.error.code == "rules_changed"
