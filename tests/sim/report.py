"""The tables of `orderlog sim --report` in docs/reliability.md: what was run, what finds broken checks."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from cli.bench.machine import commit
from tests import page
from tests.sim.faults import KINDS
from tests.sim.run import simulate
from tests.sim.sabotage import SWITCHES
from tests.sim.search import Tally
from tests.sim.world import ORDERS, Plan

SEEDS_MAX = 150
"""Within how many seeds each broken guarantee has to be found."""


def first_found(switch: str) -> tuple[int, str] | None:
    """The first seed that finds a broken guarantee, and the check that sees it first."""
    for seed in range(SEEDS_MAX):
        outcome = simulate(Plan(seed, broken=switch))
        if outcome.violations:
            return seed, outcome.violations[0].guarantee
    return None


def write(tally: Tally, from_seed: int, jobs: int) -> None:
    """Both tables, into the page."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(first_found, SWITCHES))
    page.write(page.RELIABILITY, "simulation", ran(tally, from_seed, commit()))
    page.write(page.RELIABILITY, "switches", broken(list(zip(SWITCHES, found, strict=True))))


def ran(tally: Tally, from_seed: int, at: str) -> str:
    """What was run, and the faults by kind."""
    failed = ", ".join(str(failure.seed) for failure in tally.failures)
    last = from_seed + tally.seeds - 1
    lines = [
        f"As `orderlog sim --report` wrote it, at {at}: seeds {from_seed:,} to {last:,}, "
        f"each of {ORDERS} orders and what comes with them.",
        "",
        "| seeds | simulated hours | orders | events | faults | violations | seeds that failed |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        f"| {tally.seeds:,} | {tally.simulated_seconds / 3600:,.1f} | {tally.orders:,} | {tally.events:,} "
        f"| {tally.faults.total():,} | {tally.violations:,} | {failed or 'none'} |",
        "",
        "| fault | times |",
        "| --- | ---: |",
        *(f"| {kind} | {tally.faults[kind]:,} |" for kind in KINDS),
    ]
    return "\n".join(lines)


def broken(found: Sequence[tuple[str, tuple[int, str] | None]]) -> str:
    """Each guarantee that was broken on purpose, the first seed that found it, and what saw it."""
    lines = ["| broken | first seed that finds it | seen by the check |", "| --- | ---: | --- |"]
    for switch, seen in found:
        seed, check = seen or (f"none of {SEEDS_MAX}", "**not found**")
        lines.append(f"| {switch} | {seed} | {check} |")
    return "\n".join(lines)
