"""The simulator can fail: a guarantee that is broken on purpose is found within a bounded number of seeds."""

import json
import shlex
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from cli import sim
from cli.main import app
from tests.sim.__main__ import main, new_parser, plans_of
from tests.sim.faults import KINDS
from tests.sim.report import SEEDS_MAX
from tests.sim.run import simulate
from tests.sim.sabotage import HARDER, SWITCHES
from tests.sim.search import shorten
from tests.sim.world import Plan

SEEN_BY = {
    "another payload a repeat": "each command has one outcome",
    "another's answer": "each command is answered",
    "refused in silence": "each command is answered",
    "past the parked": "each key in order",
    "queued last first": "each key in order",
    "parked untold": "of each parked record the log tells",
    "replayed unseen": "each event once",
    "locks in any order": "nobody waits in a ring",
    "expired though confirmed": "nothing oversold, each reservation resolved once",
    "no compare-and-swap of the read side": "projections equal their refold",
}
"""Which check has to see it, where no other is meant to."""
HARDER_SEEDS = 20


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_broken_guarantee_is_found(switch: str) -> None:
    plans = (Plan(seed, broken=switch) for seed in range(SEEDS_MAX))
    found = next((outcome for outcome in map(simulate, plans) if outcome.violations), None)
    assert found is not None, f"{switch}: not found in {SEEDS_MAX} seeds"
    if switch in SEEN_BY:
        assert SEEN_BY[switch] in {violation.guarantee for violation in found.violations}


@pytest.mark.parametrize("mix", HARDER)
def test_a_harder_mix_alone_is_no_violation(mix: str) -> None:
    outcomes = [simulate(Plan(seed, broken=mix)) for seed in range(HARDER_SEEDS)]
    assert sum(outcome.faults["commit cut off, done later"] for outcome in outcomes) > HARDER_SEEDS
    assert [outcome.violations for outcome in outcomes if outcome.violations] == []


def test_a_failure_is_told_by_one_command_and_a_short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = simulate(Plan(0, broken="unordered relay"))
    failure = shorten(outcome, tries=12)
    assert failure.plan.orders < outcome.plan.orders
    assert failure.plan.faults_most < outcome.struck
    for plan in (failure.plan, Plan(7, 2, 31, ("clock jump", "commit cut off, done"), "no row lock")):
        assert plans_of_command(replace(failure, plan=plan).command, monkeypatch) == [plan]
    assert 0 < len(failure.history) <= 40
    again = simulate(failure.plan)
    assert again.violations == failure.violations


def plans_of_command(command: str, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What `orderlog sim` would run, if it were given this command."""
    handed_on: list[str] = []

    def hand_on(_: object, words: list[str]) -> int:
        handed_on.extend(words)
        return 0

    monkeypatch.setattr(sim, "run_simulator", hand_on)
    program, *words = shlex.split(command)
    assert program == "orderlog"
    assert CliRunner().invoke(app, words).exit_code == 0
    return plans_of(new_parser().parse_args(handed_on))


def test_the_last_line_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--from-seed", "7", "--jobs", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["ok"], told["seeds"], told["from_seed"], told["violations"]) == (True, 2, 7, 0)
    assert told["simulated_hours"] > 0
    assert set(told["faults"]) <= set(KINDS)
    assert sum(told["faults"].values()) > 0
    assert told["failed"] == []


def test_a_seed_that_fails_is_in_it_with_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    failing = ["--seeds", "1", "--jobs", "1", "--break", "unordered relay", "--orders", "1", "--json"]
    assert main(failing) == 1
    written = capsys.readouterr()
    told = json.loads(written.out.splitlines()[-1])
    [failed] = told["failed"]
    assert told["violations"] == len(failed["violations"]) > 0
    assert failed["repeat"].startswith("orderlog sim --seeds 1 --from-seed 0 --orders 1")
    assert failed["history"]
    assert f"Repeat it: {failed['repeat']}" in written.err + written.out
