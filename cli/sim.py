"""`orderlog sim`: the seeded simulator of a source checkout. An installed package does not have it."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonOption
from libs.runtime.complaint import Complaint

ROOT = Path(__file__).parents[1]


def sim(
    seeds: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many seeds to run.")] = 200,
    from_seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    orders: Annotated[int | None, typer.Option(min=1, max=1000, help="Orders a seed; 4 unless told.")] = None,
    faults_most: Annotated[
        int | None, typer.Option(min=0, help="Only the first so many faults; all unless told.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="A kind of fault to leave out.")] = None,
    break_: Annotated[
        str | None, typer.Option("--break", help="A guarantee to break on purpose: see docs/reliability.md.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; one a core unless told.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write what came of it into docs/reliability.md.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Run all stages through simulated faults, seed by seed, and hold them to their guarantees.

    One process, no broker, no database: nothing needs to be up. A seed that fails is shortened, and told with
    its history and the command that repeats it; the command then ends with 1.

    Example: orderlog sim --seeds 200 --from-seed 0 --json
    """
    words = ["--seeds", str(seeds), "--from-seed", str(from_seed)]
    for option, value in (
        ("--orders", orders),
        ("--faults-most", faults_most),
        ("--break", break_),
        ("--jobs", jobs),
    ):
        words += [option, str(value)] if value is not None else []
    for kind in without or ():
        words += ["--without", kind]
    words += [flag for flag, wanted in (("--report", report), ("--json", json)) if wanted]
    code = run_simulator(ROOT, words)
    if code:
        raise typer.Exit(code)


def run_simulator(root: Path, words: list[str]) -> int:
    """Run `tests.sim` of a checkout; its exit code. Complaint: there is none."""
    if not (root / "tests" / "sim" / "__main__.py").exists():
        raise Complaint(
            "The simulator is part of Orderlog's source, which is not here.",
            "Clone the repository and run `make sim` there.",
        )
    return subprocess.run([sys.executable, "-m", "tests.sim", *words], cwd=root, check=False).returncode  # noqa: S603


def register(parent: typer.Typer) -> None:
    """Add `sim` to the command line."""
    parent.command("sim")(sim)
