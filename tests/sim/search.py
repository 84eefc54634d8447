"""Many seeds, and what to tell of those that fail: one command that repeats it, and a history cut short."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

from tests.sim.faults import Note
from tests.sim.run import Outcome, simulate
from tests.sim.verdict import Violation
from tests.sim.world import ORDERS, Plan

TRIES = 40
"""Runs that shortening one failure may take."""
HISTORY_LINES = 40
_NAMES = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|sku/\w+|[A-Z]{3}(?=:)|lane \d")


@dataclass
class Failure:
    """A seed that failed: its plan as short as was found, and what then happened."""

    seed: int
    plan: Plan
    violations: list[Violation]
    history: list[Note]

    @property
    def command(self) -> str:
        """What repeats it."""
        words = ["orderlog", "sim", "--seeds", "1", "--from-seed", str(self.plan.seed)]
        if self.plan.orders != ORDERS:
            words += ["--orders", str(self.plan.orders)]
        if self.plan.faults_most != Plan(0).faults_most:
            words += ["--faults-most", str(self.plan.faults_most)]
        for kind in self.plan.without:
            words += ["--without", kind]
        if self.plan.broken:
            words += ["--break", self.plan.broken]
        return shlex.join(words)


@dataclass
class Tally:
    """What all seeds together came to."""

    seeds: int = 0
    orders: int = 0
    events: int = 0
    simulated_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def violations(self) -> int:
        return sum(len(failure.violations) for failure in self.failures)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.orders += outcome.orders
        self.events += outcome.events
        self.simulated_seconds += outcome.simulated_seconds
        self.faults += outcome.faults


def run(plans: Sequence[Plan], jobs: int, progress: Callable[[Tally], None] = lambda _: None) -> Tally:
    """Run plans in `jobs` processes; failing ones are shortened."""
    tally = Tally()
    for outcome, failure in _outcomes(plans, jobs):
        tally.add(outcome)
        if failure:
            tally.failures.append(failure)
        progress(tally)
    tally.failures.sort(key=lambda failure: failure.seed)
    return tally


def _outcomes(plans: Sequence[Plan], jobs: int) -> Iterator[tuple[Outcome, Failure | None]]:
    if jobs <= 1 or len(plans) == 1:
        yield from map(_run_one, plans)
        return
    with ProcessPoolExecutor(min(jobs, len(plans)), mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_run_one, plan) for plan in plans]):
            yield done.result()


def _run_one(plan: Plan) -> tuple[Outcome, Failure | None]:
    outcome = simulate(plan)
    failure = shorten(outcome) if outcome.violations else None
    return replace(outcome, history=[]), failure


def shorten(outcome: Outcome, tries: int = TRIES) -> Failure:
    """Fewer orders, fewer kinds of faults, and none after the last that matters, while it still fails."""
    guarantee, best = outcome.violations[0].guarantee, outcome
    left = tries

    def still(plan: Plan) -> bool:
        nonlocal best, left
        if left <= 0:
            return False
        left -= 1
        again = simulate(plan)
        if any(found.guarantee == guarantee for found in again.violations):
            best = again
            return True
        return False

    for orders in range(1, outcome.plan.orders):
        if still(replace(best.plan, orders=orders)):
            break
    few, many = 0, best.struck
    while few < many:
        middle = (few + many) // 2
        if still(replace(best.plan, faults_most=middle)):
            many = middle
        else:
            few = middle + 1
    for kind, _ in best.faults.most_common():
        still(replace(best.plan, without=(*best.plan.without, kind)))
    return Failure(outcome.plan.seed, best.plan, best.violations, told(best))


def told(outcome: Outcome) -> list[Note]:
    """The end of the history of what the violation is about, with the faults among it."""
    names = set(_NAMES.findall(" ".join(violation.message for violation in outcome.violations)))
    about = [note for note in outcome.history if "FAULT" in note.what or any(n in note.what for n in names)]
    return (about if names else outcome.history)[-HISTORY_LINES:]


def processors() -> int:
    """How many runs may go on at once."""
    return max(1, len(os.sched_getaffinity(0)))
