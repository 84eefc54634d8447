"""`orderlog prove log`: the hash chains of the log, computed again from database, topic and file."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.log import known_stage
from cli.output import JsonOption, bar, console, emit, table
from cli.text import add_row, count, tell
from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, settings

if TYPE_CHECKING:
    from libs.runtime.audit import Audit, Parting
    from libs.runtime.log_file import LogFile

SOURCES = ("database", "topic")
_SHOWN = 20
FromOption = Annotated[
    list[str] | None,
    typer.Option("--from", help="`database` or `topic`; both without it, and neither with --file."),
]


def register(app: typer.Typer) -> None:
    """Add `log` to `prove`."""
    app.command("log")(prove_log)


def prove_log(
    stage: Annotated[str | None, typer.Argument(help="Whose log; every stage's without it.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="An exported log.")] = None,
    sources: FromOption = None,
    json: JsonOption = False,
) -> None:
    """Compute each lane's hash chain again, and hold database, topic, file and anchors against each other.

    What was changed, left out, added or cut off is named: the first event of a lane where they part. With
    --file alone nothing else is needed; add --from to hold it against what runs. Ends with 1 when they part.

    Example: orderlog prove log inventory --json
    """
    wanted = _sources(sources, file)
    exported = _opened(file, stage) if file else None
    names = (exported.stage,) if exported else (stage,) if stage else STAGES
    found = [_audit(name, wanted, exported) for name in names]
    for audit in found:
        _tell(audit)
    holds = all(audit.holds for audit in found)
    if json:
        first = next((at for audit in found for at in audit.partings), None)
        emit(
            {
                "ok": holds,
                "stages": [{"holds": audit.holds, **asdict(audit)} for audit in found],
                "first": asdict(first) if first else None,
            }
        )
    if not holds:
        raise typer.Exit(1)


def audit_file(file: "LogFile") -> "Audit":
    """An exported file, by itself."""
    from libs.runtime.audit import audit

    found = asyncio.run(audit(file.stage, {}, file))
    file.judge(found)
    return found


def told(at: "Parting") -> str:
    """Where something parts, as a sentence without its full stop."""
    if at.lane < 0:
        return at.message
    event = f", event {at.event_id}" if at.event_id else ""
    return f"{at.stage} lane {at.lane} sequence {at.sequence}{event}: {at.message}"


def _sources(asked: Sequence[str] | None, file: Path | None) -> tuple[str, ...]:
    if unknown := [name for name in asked or () if name not in SOURCES]:
        raise Complaint(f"There is no source `{unknown[0]}`.", "Say --from database or topic.", exit_code=2)
    return tuple(asked or (() if file else SOURCES))


def _opened(path: Path, stage: str | None) -> "LogFile":
    from libs.runtime.log_file import LogFile

    file = LogFile(path)
    if stage not in (None, file.stage):
        raise Complaint(f"{path} is the log of {file.stage}.", "Leave the stage out.", exit_code=2)
    known_stage(file.stage)
    return file


def _audit(name: str, sources: Sequence[str], file: "LogFile | None") -> "Audit":
    if file is not None and not sources:
        return audit_file(file)
    from libs.runtime.audit_stage import audit_stage

    with bar() as bars:
        task = bars.add_task(f"walking the log of {name}", total=None)
        found = asyncio.run(
            audit_stage(
                settings(),
                known_stage(name),
                sources,
                file or (),
                lambda done: bars.update(task, completed=done),
            )
        )
    if file is not None:
        file.judge(found)
    return found


def _tell(found: "Audit") -> None:
    sources = sorted({name for lane in found.lanes.values() for name in lane.events})
    events = max(
        (sum(lane.events.get(name, 0) for lane in found.lanes.values()) for name in sources), default=0
    )
    if found.holds:
        agree = f"{' and '.join(sources)} lead to the same heads" if len(sources) > 1 else "its chains hold"
        tell(f"{found.stage}: {count(events, 'event')}; {agree}.", "green")
    else:
        tell(f"{found.stage}: it does not hold.", "red")
        for at in found.partings[:_SHOWN]:
            tell(f"  {told(at)}.")
        if len(found.partings) > _SHOWN:
            tell(f"  … and {count(len(found.partings) - _SHOWN, 'more place')}; --json has all.")
    if found.foreign:
        tell(f"  {count(found.foreign, 'record')} on its topic are not its own: nobody hears them.", "yellow")
    drawn = table("lane#", *(f"{name}#" for name in sources), "anchored up to#", "head")
    for lane, one in sorted(found.lanes.items()):
        cells = [f"{one.events.get(name, 0):,}" for name in sources]
        add_row(drawn, lane, *cells, f"{one.anchored_up_to:,}", next(iter(one.heads.values()), "")[:16])
    console.print(drawn)
