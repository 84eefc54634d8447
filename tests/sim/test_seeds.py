"""The seeds that every change has to pass."""

from tests.sim.faults import KINDS
from tests.sim.search import processors, run
from tests.sim.world import Plan

SEEDS = 200


def test_every_guarantee_holds_under_every_fault() -> None:
    tally = run([Plan(seed) for seed in range(SEEDS)], min(2, processors()))
    told = "\n".join(
        f"{failure.command}\n    {violation.guarantee}: {violation.message}"
        for failure in tally.failures
        for violation in failure.violations[:3]
    )
    assert not tally.failures, f"repeat with\n{told}"
    assert tally.seeds == SEEDS
    assert tally.events > 20 * tally.orders, "the orders went nowhere"
    missing = [kind for kind in KINDS if not tally.faults[kind]]
    assert not missing, "these faults never happened"
