"""Several processes of a service: how they are asked for, named, numbered and seen."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import stack as command
from deploy.local import programs, replicas, stack, status
from deploy.local.home import Home
from deploy.local.programs import Running
from libs.runtime.complaint import Complaint
from libs.runtime.settings import Settings


def test_what_is_asked_for_is_read_and_written_back() -> None:
    asked = replicas.parse(" inventory=2, console=1,routing=4 ", 4)
    assert asked == {"inventory": 2, "console": 1, "routing": 4}
    assert replicas.written(asked) == "inventory=2,routing=4"
    assert replicas.parse(replicas.written({}), 4) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inventory", "does not say how many"),
        ("stock=2", "does not say how many"),
        ("inventory=two", "does not say how many"),
        ("inventory=-1", "does not say how many"),
        ("inventory=0", "cannot have 0 processes: there are 4 lanes"),
        ("inventory=5", "cannot have 5 processes: there are 4 lanes"),
    ],
)
def test_what_cannot_be_is_refused_with_a_next_step(text: str, said: str) -> None:
    with pytest.raises(Complaint, match=said) as told:
        replicas.parse(text, 4)
    assert told.value.next_step
    assert told.value.exit_code == 2


def test_every_process_has_a_name_and_a_port_of_its_own() -> None:
    chosen = Settings(replicas="inventory=3,console=2", http_port_base=18080)
    names = replicas.names(chosen)
    assert names[:4] == ("intake", "inventory", "inventory-2", "inventory-3")
    assert names[-2:] == ("console", "console-2")
    ports = [replicas.port(chosen, name) for name in names]
    assert len(set(ports)) == len(names) == 10
    assert replicas.port(chosen, "inventory") == chosen.port("inventory")
    assert [replicas.service_of(name) for name in ("inventory-3", "kafka", "console", "intake-x")] == [
        ("inventory", 3),
        None,
        ("console", 1),
        None,
    ]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path)
    home.make()
    monkeypatch.setattr(stack, "home", lambda: home)
    monkeypatch.setattr(programs, "find", lambda place, name: Running(1, 1.0, (1,)))
    return home


def test_a_process_that_still_runs_is_known_though_it_is_no_longer_asked_for(place: Home) -> None:
    (place.pids / "inventory-2.json").touch()
    assert "inventory-2" in stack.names()


@pytest.mark.parametrize(
    ("said", "health"),
    [
        ({"ready": True, "lanes": [0, 1, 3], "halted": {}}, "ready"),
        ({"ready": True, "lanes": [0], "halted": {"1": "5 keys are parked"}}, "halted"),
        ({"ready": False, "lanes": [], "halted": {}}, "not ready"),
        ({}, "not ready"),
    ],
)
def test_status_tells_what_a_process_says_of_itself(
    place: Home, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], health: str
) -> None:
    monkeypatch.setattr(stack, "readiness", lambda name: said)
    found = status._status("inventory-2", {"inventory": 7})
    assert (found.health, found.lanes) == (health, said.get("lanes"))
    assert found.lag_records is None, "it is the service's, told once"


def test_a_halted_lane_is_told_below_the_table(
    place: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    halted = {"1": "5 keys are parked, 2 may be; replay or discard some: orderlog parked list"}
    monkeypatch.setattr(
        stack, "readiness", lambda name: {"ready": True, "lanes": [0, 2, 3], "halted": halted}
    )
    found = status._status("inventory", {"inventory": 7})
    monkeypatch.setattr(status, "read_status", lambda: [found])
    out = io.StringIO()
    monkeypatch.setattr(command, "console", Console(file=out, width=200))
    command.status(json=True)
    told = out.getvalue()
    assert "0, 2-3" in told
    assert f"inventory has halted lane 1: {halted['1']}" in told
    answer = capsys.readouterr().out
    assert '"ready":false' in answer
    assert '"halted":{"1":' in answer
