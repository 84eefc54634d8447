"""One seed from end to end: play, then judge."""

import gc
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import structlog

from tests.sim.faults import Note
from tests.sim.loop import SimLoop, Stuck
from tests.sim.sabotage import broken
from tests.sim.verdict import Violation, violations
from tests.sim.world import Plan

SECONDS_MAX = 7 * 86_400.0
STEPS_MAX = 3_000_000


@dataclass
class Outcome:
    """What a run came to."""

    plan: Plan
    violations: list[Violation]
    simulated_seconds: float
    faults: Counter[str]
    history: list[Note] = field(default_factory=list)
    orders: int = 0
    events: int = 0
    struck: int = 0
    """Faults that were drawn, those left out included."""


def simulate(plan: Plan) -> Outcome:
    """Run a plan. The same plan gives the same outcome, to the last step."""
    loop = SimLoop(Random(f"steps {plan.seed}"))  # type: ignore[abstract]  # what has no use here is missing
    scene = broken(plan.broken)(plan, loop)
    before, collects = structlog.get_config(), gc.get_threshold()
    gc.set_threshold(200_000, 20, 50)  # what a run makes is kept until its end anyway
    structlog.configure(processors=[_silence], wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        stuck = ""
        try:
            loop.run(scene.play(), SECONDS_MAX, STEPS_MAX)
        except Stuck as error:
            stuck = str(error)
        found, seconds = violations(scene), loop.time()
        failures, history = list(loop.failures), list(scene.faults.history)
        loop.end()
    finally:
        structlog.configure(**before)
        gc.set_threshold(*collects)
    if stuck:
        found.insert(0, Violation("the stages come to rest", stuck))
    for failure in failures:
        found.append(Violation("no task ends by an exception", repr(failure)))
    rows = sum(len(rows) for log in scene.databases.values() for rows in log.rows.values())
    return Outcome(
        plan,
        found,
        seconds,
        scene.faults.counts,
        history,
        plan.orders,
        rows,
        scene.faults.struck,
    )


def _silence(*_: Any) -> Any:
    """What the stages log of injected faults is nobody's business."""
    raise structlog.DropEvent
