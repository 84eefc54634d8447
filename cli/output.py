"""How every command speaks: people read standard error, programs the last line of standard output.

With `--json` that line is one JSON object, also when the command fails (`error`, `next_step`). A failure is
one sentence and the next step; a traceback goes to the log, never to a person.
"""

import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, NoReturn

import orjson
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from libs.runtime.complaint import Complaint

console = Console(stderr=True, highlight=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


def emit(result: Mapping[str, object]) -> None:
    """The JSON object that ends a command's standard output."""
    sys.stdout.write(orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS, default=str).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for people; `text` is rich markup of our own, never somebody's data."""
    console.print(text)


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table in the house's look; a column whose name ends in `#` is aligned to the right."""
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        drawn.add_column(name.rstrip("#"), justify="right" if name.endswith("#") else "left")
    return drawn


def bar(done: ProgressColumn | None = None) -> Progress:
    """How far something is, gone once it is over; nothing where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        done or MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def events_a_second() -> ProgressColumn:
    """For a bar of events: how many are done, of how many, and how fast."""
    return _EventsASecond()


class _EventsASecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        total = f"/{task.total:,.0f}" if task.total is not None else ""
        return Text(f"{task.completed:,.0f}{total} events" + (f", {rate:,.0f}/s" if rate else ""))


def fail(complaint: Complaint) -> NoReturn:
    """Tell it and end the process."""
    console.print(complaint.sentence, style="red", markup=False)
    console.print(complaint.next_step, markup=False)
    if complaint.details:
        console.print(complaint.details, style="dim", markup=False)
    if "--json" in sys.argv:
        emit({"ok": False, "error": complaint.sentence, "next_step": complaint.next_step})
    sys.exit(complaint.exit_code)


def fail_unforeseen(error: Exception) -> NoReturn:
    """A fault of ours: the traceback goes to a file that the sentence names."""
    from libs.runtime.settings import settings

    kind = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    try:
        folder = settings().home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "cli.log"
        with log.open("a") as out:
            out.write(time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime()) + " ".join(sys.argv[1:]) + "\n")
            out.write("".join(traceback.format_exception(error)))
        where = f"The details are in {log}; please report them."
    except Exception as second:  # not even a log can be written, or the settings themselves are at fault
        where = f"No details could be written ({second})."
    fail(Complaint(f"Something went wrong that should not: {kind}.", where))


class Steps:
    """Live steps on standard error, each with its time; plain lines where that is no terminal."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.fields[name]:28}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, style="dim"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Steps":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def step(self, name: str) -> Iterator["_Step"]:
        """One step, timed from here to the end of the block. May run in several threads at once."""
        step = _Step(self._bars, self._bars.add_task("", total=1, name=name), name)
        began = time.monotonic()
        try:
            yield step
        except BaseException:
            self._bars.update(step.task, description="failed")
            self._bars.stop_task(step.task)
            raise
        self._bars.update(step.task, completed=1)
        self.seconds[name] = round(time.monotonic() - began, 2)
        if not console.is_terminal:
            console.print(f"{name}: {step.text or 'done'} ({self.seconds[name]:.1f} s)", markup=False)


class _Step:
    """One step's line."""

    def __init__(self, bars: Progress, task: TaskID, name: str) -> None:
        self.task = task
        self.text = ""
        self._bars = bars
        self._name = name

    def note(self, text: str) -> None:
        """Show where it stands. In plain output only what went wrong on the way is worth a line."""
        self.text = text
        self._bars.update(self.task, description=text)
        if not console.is_terminal and "again" in text:
            console.print(f"{self._name}: {text}", markup=False)
