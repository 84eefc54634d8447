"""`python -m tests.sim`: what `orderlog sim` runs."""

import argparse
import sys
import time
from collections.abc import Sequence

from cli.output import bar, console, emit, say, table
from tests.sim import report
from tests.sim.faults import KINDS
from tests.sim.sabotage import SWITCHES
from tests.sim.search import Failure, Tally, processors, run
from tests.sim.world import ORDERS, Plan

_FAILURES_SHOWN = 3


def main(words: Sequence[str] | None = None) -> int:
    """Run seeds as the words (those of the command line) say, tell what came of them; 1 when anything was
    violated."""
    parser = new_parser()
    asked = parser.parse_args(words)
    if asked.report and (asked.broken or asked.without or asked.faults_most >= 0 or asked.orders != ORDERS):
        parser.error("--report tells of whole seeds: no --break, --without, --faults-most, --orders")
    plans = plans_of(asked)
    began = time.monotonic()
    with bar() as bars:
        task = bars.add_task("seeds", total=len(plans))

        def progress(tally: Tally) -> None:
            failed = f", {len(tally.failures)} failed" if tally.failures else ""
            bars.update(task, completed=tally.seeds, description=f"seeds{failed}")
            if not console.is_terminal and tally.seeds % 100 == 0:
                say(f"{tally.seeds} of {len(plans)} seeds{failed}")

        tally = run(plans, asked.jobs, progress)
    _tell(tally)
    if asked.report:
        say("Each guarantee broken on purpose, until a seed finds it…")
        report.write(tally, asked.from_seed, asked.jobs)
    if asked.json:
        emit(_object(tally, asked.from_seed, time.monotonic() - began))
    return 1 if tally.failures else 0


def plans_of(asked: argparse.Namespace) -> list[Plan]:
    """What to run, a plan a seed."""
    return [
        Plan(
            seed,
            asked.orders,
            asked.faults_most if asked.faults_most >= 0 else Plan(0).faults_most,
            tuple(asked.without),
            asked.broken,
        )
        for seed in range(asked.from_seed, asked.from_seed + asked.seeds)
    ]


def new_parser() -> argparse.ArgumentParser:
    """Of what `orderlog sim` hands on."""
    parser = argparse.ArgumentParser(prog="orderlog sim")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--from-seed", type=int, default=0)
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--faults-most", type=int, default=-1)
    parser.add_argument("--without", action="append", default=[], choices=KINDS, metavar="FAULT")
    parser.add_argument("--break", dest="broken", default="", choices=("", *SWITCHES), metavar="GUARANTEE")
    parser.add_argument("--jobs", type=int, default=processors())
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def _tell(tally: Tally) -> None:
    hours = tally.simulated_seconds / 3600
    verdict = "[red]violated[/]" if tally.failures else "all guarantees held"
    size = f"{hours:,.1f} simulated hours, {tally.orders:,} orders, {tally.events:,} events"
    say(f"{tally.seeds} seeds, {size}, {tally.faults.total():,} faults: {verdict}.")
    drawn = table("fault", "times#")
    for kind in KINDS:
        if tally.faults[kind]:
            drawn.add_row(kind, f"{tally.faults[kind]:,}")
    console.print(drawn)
    for failure in tally.failures[:_FAILURES_SHOWN]:
        _tell_failure(failure)
    if len(tally.failures) > _FAILURES_SHOWN:
        rest = ", ".join(str(failure.seed) for failure in tally.failures[_FAILURES_SHOWN:])
        say(f"Seeds that failed as well: {rest}")


def _tell_failure(failure: Failure) -> None:
    say(f"\n[red]Seed {failure.seed}[/]")
    for note in failure.history:
        console.print(f"{note.seconds:12.3f}  {note.who:18} {note.what}", markup=False, soft_wrap=True)
    for violation in failure.violations[:5]:
        console.print(f"  {violation.guarantee}: {violation.message}", markup=False, soft_wrap=True)
    console.print(f"Repeat it: {failure.command}", markup=False, soft_wrap=True)


def _object(tally: Tally, from_seed: int, seconds: float) -> dict[str, object]:
    return {
        "ok": not tally.failures,
        "seeds": tally.seeds,
        "from_seed": from_seed,
        "simulated_hours": round(tally.simulated_seconds / 3600, 2),
        "orders": tally.orders,
        "events": tally.events,
        "faults": dict(sorted(tally.faults.items())),
        "violations": tally.violations,
        "failed": [
            {
                "seed": failure.seed,
                "repeat": failure.command,
                "violations": [violation._asdict() for violation in failure.violations],
                "history": [f"{note.seconds:.3f} {note.who} {note.what}" for note in failure.history],
            }
            for failure in tally.failures
        ],
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
