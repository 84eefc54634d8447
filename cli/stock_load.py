"""`orderlog stock load`: deliveries, corrections, purchase orders, transfers and counts from a file."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TextColumn

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.factfile import KINDS, FactFile, Refusals, posting, survey
from cli.moments import moment
from cli.output import JsonOption, bar, emit
from cli.rowfile import checked, writable
from cli.sending import as_json, load, senders_for, tell_loaded
from cli.text import count, tell
from libs.runtime.complaint import Complaint


def load_file(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(KINDS)}.")],
    file: Annotated[Path, typer.Argument(help="CSV or NDJSON; --check tells the columns.")],
    at: Annotated[
        str | None, typer.Option(help="When rows without a time of their own were so; else the file's time.")
    ] = None,
    refused: Annotated[
        Path | None,
        typer.Option(help="Write the rows that were not taken there, to be corrected and loaded."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read it and send nothing.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Load a file of facts, a row each; the same file again books nothing twice.

    What was broken off goes on when it is loaded again. Rows that are not taken are told with their lines and
    what to do; the others stand. Correct those rows in a file of their own (--refused writes it): a file that
    was changed is another file. Ends with 1 when a row was not taken.

    Example: orderlog stock load receipts monday.csv --refused monday-refused.csv

    Example: orderlog stock load counts cycle.csv --at 2026-03-02T06:00:00Z --json
    """
    it = _read(kind, file, at, tenant)
    if refused is not None and refused.resolve() == file.resolve():
        raise Complaint("--refused names the file itself.", "Name another: what was taken stays in this one.")
    began = time.monotonic()
    surveyed = survey(it)
    if check:
        tell(f"Columns of {kind}: {', '.join(it.kind.required)}; and {', '.join(it.kind.others)}.")
        done = surveyed
        done.taken = 0
    else:
        refusals = None if refused is None else Refusals(it, writable(refused))
        with ExitStack() as more, bar(TextColumn("{task.completed:,} rows")) as bars:
            task = bars.add_task("loading", total=surveyed.rows)
            doors = [more.enter_context(connect(tenant)) for _ in range(senders_for(surveyed.rows))]
            done = load(
                doors,
                it.rows(),
                posting(it),
                lambda rows: bars.update(task, completed=rows),
                (lambda line: None) if refusals is None else refusals.add,
            )
        if refusals is not None and done.kinds:
            tell(f"{count(refusals.write(), 'row')} written to {refused}.")
    tell_loaded(file.name, done, round(time.monotonic() - began, 2))
    if json:
        emit({"ok": not done.kinds, "tenant": tenant, "kind": kind, "load": it.name, **as_json(done)})
    if done.kinds:
        raise typer.Exit(1)


def register(parent: typer.Typer) -> None:
    """Add `load`."""
    parent.command("load")(load_file)


def _read(kind: str, file: Path, at: str | None, tenant: str) -> FactFile:
    """The file. Complaint: no such kind, no such file, or none that can be read."""
    if kind not in KINDS:
        raise Complaint(
            f"There are no files of {kind}.", f"The kind is one of {', '.join(KINDS)}.", exit_code=2
        )
    own = datetime.fromtimestamp(checked(file).stat().st_mtime, UTC)
    return FactFile(file, KINDS[kind], (moment(at) if at else own).astimezone(UTC), tenant)
