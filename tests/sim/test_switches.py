"""The simulator can fail: a guarantee that is broken on purpose is found within a bounded number of seeds."""

import pytest

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


def test_a_harder_mix_alone_is_no_violation() -> None:
    outcomes = [simulate(Plan(seed, broken=HARDER)) for seed in range(HARDER_SEEDS)]
    assert sum(outcome.faults["commit cut off, done later"] for outcome in outcomes) > HARDER_SEEDS
    assert [outcome.violations for outcome in outcomes if outcome.violations] == []


def test_a_failure_is_told_by_one_command_and_a_short_history() -> None:
    outcome = simulate(Plan(0, broken="unordered relay"))
    failure = shorten(outcome, tries=12)
    assert failure.plan.orders < outcome.plan.orders
    assert failure.plan.faults_most < outcome.struck
    assert "--from-seed 0" in failure.command
    assert "--break 'unordered relay'" in failure.command
    assert 0 < len(failure.history) <= 40
    again = simulate(failure.plan)
    assert again.violations == failure.violations
