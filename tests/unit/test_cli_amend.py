"""An order amended on the command line, and what a person is told of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import amend
from tests.unit.cli_world import FakeEdges, run, signing_key
from tests.unit.test_cli_changes import decided
from tests.unit.test_cli_orders import ID, PATH, an_order

AMEND = f"{PATH}/amend"
LOOK = f"{PATH}/amendment"
A1 = f"{ID}-A1"
REQUESTED = decided("oms.intake.order_amendment_requested", amendment_id=A1)
ASK = ["orders", "amend", ID, "--tenant", "acme", "--reason", "moved", "--service", "express"]


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("cli.amend.time.sleep", lambda seconds: None)
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def one(**more: Any) -> dict[str, Any]:
    what = {"amendment_id": A1, "decided_at": None, "what": "the service (express)", "declined": ""}
    return an_order(amendments=[what | more])


@pytest.mark.parametrize(
    ("declined", "code", "says"),
    [("", 0, "changed the service (express)."), ("Too late to amend: LON has it.", 1, "Too late to amend")],
)
def test_it_says_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, declined: str, code: int, says: str
) -> None:
    looks = [one(), one(decided_at="2026-03-02T09:00:01Z", declined=declined)]
    fake = FakeEdges({("intake", AMEND): REQUESTED, ("console", PATH): looks})
    address = tmp_path / "address.json"
    address.write_text('{"name": "Ada", "address_lines": ["1 Road"], "city": "Leeds", "country": "GB"}')
    ended = run(fake, amend, monkeypatch, [*ASK, "--ship-to", str(address)])
    assert ended.exit_code == code
    assert says in ended.said
    [body] = fake.bodies(AMEND)
    assert (body["service"], body["reason"], body["ship_to"]["city"]) == ("express", "moved", "Leeds")


def test_a_preview_sends_the_country_alone_and_says_what_it_would_come_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    warning = "No node ships to CH."
    told = {"possible": True, "sentence": "It can be amended.", "details": ["It goes to CH."]}
    fake = FakeEdges({("console", PATH): an_order(), ("console", LOOK): told | {"warning": warning}})
    address = tmp_path / "address.json"
    address.write_text('{"name": "Ada", "address_lines": ["1 Road"], "city": "Bern", "country": "CH"}')
    ask = ["orders", "amend", ID, "--tenant", "acme", "--preview", "--ship-to", str(address), "--json"]
    ended = run(fake, amend, monkeypatch, ask)
    assert ended.said == f"It can be amended. {warning} It goes to CH."
    assert (ended.exit_code, ended.json["warning"]) == (0, warning)
    asked = fake.requests[-1]
    assert (asked.method, asked.url.path, dict(asked.url.params)) == ("GET", LOOK, {"country": "CH"})
    fake.answers["console", LOOK] = {"possible": False, "sentence": "Too late", "details": [], "warning": ""}
    assert run(fake, amend, monkeypatch, ask).exit_code == 1
    assert "Name --reason" in str(run(fake, amend, monkeypatch, [*ask[:5], "--service", "express"]).error)


def test_what_is_no_address_or_nothing_at_all_is_asked_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing = run(FakeEdges(), amend, monkeypatch, ASK[:-2])
    assert "Nothing is to be amended" in str(nothing.error)
    broken = tmp_path / "address.json"
    for text in ("[]", "{"):
        broken.write_text(text)
        ended = run(FakeEdges(), amend, monkeypatch, [*ASK, "--ship-to", str(broken)])
        assert "is no JSON object" in str(ended.error)
    ended = run(FakeEdges(), amend, monkeypatch, [*ASK, "--ship-to", str(tmp_path / "none")])
    assert "cannot be read" in str(ended.error)
