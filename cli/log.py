"""`orderlog log`: a stage's published log as a file, for whoever has neither its database nor its topic."""

import asyncio
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import JsonOption, bar, emit
from cli.text import count, tell
from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from libs.runtime.stage import Stage

app = typer.Typer(no_args_is_help=True, help="A stage's published log as a file.")


@app.command("export")
def export(
    stage: Annotated[str, typer.Argument(help="Whose log.")],
    file: Annotated[Path, typer.Argument(help="Where to; packed when it ends in .gz.")],
    json: JsonOption = False,
) -> None:
    """Write what a stage has published, one event a line, with the hash chain of each lane.

    The last line holds each lane's head. `orderlog prove log --file` and `prove no-oversell --file` read it;
    docs/audit.md says how anybody can.

    Example: orderlog log export inventory inventory.ndjson.gz --json
    """
    chosen = known_stage(stage)
    with bar() as bars:
        task = bars.add_task(f"writing the log of {stage}", total=None)
        ends = asyncio.run(
            _export(chosen, file, lambda done, total: bars.update(task, completed=done, total=total))
        )
    events, size = sum(seq for seq, _ in ends.values()), file.stat().st_size
    tell(f"{count(events, 'event')} of {stage} in {file} ({size / 1e6:,.1f} MB).", "green")
    for lane, (seq, head) in ends.items():
        tell(f"  lane {lane} up to {seq:,}  {head}")
    if json:
        heads = {lane: {"sequence": seq, "head": head} for lane, (seq, head) in ends.items()}
        emit({"ok": True, "stage": stage, "file": str(file), "events": events, "heads": heads})


def register(parent: typer.Typer) -> None:
    """Add `log` to the command line."""
    parent.add_typer(app, name="log")


def known_stage(name: str) -> "Stage":
    """A stage by its name. Complaint: there is none such."""
    if name not in STAGES:
        raise Complaint(f"There is no stage `{name}`.", f"Choose one of: {', '.join(STAGES)}.", exit_code=2)
    stage: Stage = import_module(f"services.{name}.app").STAGE
    return stage


async def _export(
    stage: "Stage", file: Path, progress: "Callable[[int, int], None]"
) -> dict[int, tuple[int, str]]:
    from libs.runtime.audit import of_row
    from libs.runtime.audit_stage import DECIDED, in_order_of_recording
    from libs.runtime.log_file import LogFileWriter, writing
    from libs.runtime.postgres_log import PostgresLog, open_pool
    from libs.runtime.stores import complaints

    config, source = settings(), f"orderlog/{stage.name}".encode()
    with complaints(config, stage.name):
        pool = await open_pool(config.dsn(stage.name), config, "export")
        try:
            last = {row["lane"]: row["last"] for row in await pool.fetch(DECIDED)}
            total, done = sum(last.values()), 0
            with writing(file) as out:
                writer = LogFileWriter(out, stage.name)
                async for row in in_order_of_recording(PostgresLog(pool, stage), last):
                    writer.add(of_row(row, source))
                    done += 1
                    if done % 1000 == 0:
                        progress(done, total)
                return writer.close()
        finally:
            await pool.close()
