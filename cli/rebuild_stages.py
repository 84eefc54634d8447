"""`orderlog rebuild STAGE`: a stage's database made anew from the topics, and compared with the live one."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import JsonOption, bar, emit
from cli.text import count, tell
from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, settings

if TYPE_CHECKING:
    from libs.runtime.rebuild import Rebuilt
    from libs.runtime.stage import Stage

VerifyOption = Annotated[bool, typer.Option("--verify", help="Compare; end with 1 when they differ.")]
KeepOption = Annotated[bool, typer.Option("--keep", help="Leave the database orderlog_STAGE_rebuild.")]


def register(app: typer.Typer) -> None:
    """Add a command for each stage, and one for all, to `rebuild`."""
    for name in STAGES:
        _add(app, name)

    @app.command("all")
    def rebuild_all(verify: VerifyOption = False, keep: KeepOption = False, json: JsonOption = False) -> None:
        """Rebuild every stage's database from Kafka, one after the other, and compare digests.

        Example: orderlog rebuild all --verify --json
        """
        found = _rebuild(STAGES, verify, keep)
        if json:
            emit(
                {
                    "ok": not verify or all(rebuilt.match for rebuilt in found),
                    "match": all(rebuilt.match for rebuilt in found),
                    "events": sum(rebuilt.events for rebuilt in found),
                    "seconds": round(sum(rebuilt.seconds for rebuilt in found), 3),
                    "stages": [asdict(rebuilt) for rebuilt in found],
                }
            )
        _end(found, verify)


def _add(app: typer.Typer, name: str) -> None:
    @app.command(
        name,
        help=f"Rebuild the database of {name} from Kafka, up to where the live one stands, and compare.\n\n"
        "The stage works on meanwhile, and its database stays as it is.\n\n"
        f"Example: orderlog rebuild {name} --verify --json",
    )
    def rebuild_one(verify: VerifyOption = False, keep: KeepOption = False, json: JsonOption = False) -> None:
        found = _rebuild((name,), verify, keep)
        if json:
            emit({"ok": found[0].match or not verify, **asdict(found[0])})
        _end(found, verify)


def _rebuild(names: Sequence[str], verify: bool, keep: bool) -> "list[Rebuilt]":
    if not verify and not keep:
        raise Complaint(
            "Rebuild a stage's database for what?",
            "--verify compares it with the live one; --keep leaves it as orderlog_<stage>_rebuild.",
            exit_code=2,
        )
    from libs.runtime.rebuild import rebuild_stage  # imported late: other commands need no database

    found = []
    for name in names:
        stage: Stage = import_module(f"services.{name}.app").STAGE
        with bar() as bars:
            task = bars.add_task(f"rebuilding {name} from the topics", total=None)
            rebuilt = asyncio.run(
                rebuild_stage(
                    settings(),
                    stage,
                    keep=keep,
                    progress=lambda done, total, task=task, bars=bars: bars.update(  # type: ignore[misc]
                        task, completed=done, total=total
                    ),
                )
            )
        _tell(rebuilt, keep)
        found.append(rebuilt)
    return found


def _tell(rebuilt: "Rebuilt", keep: bool) -> None:
    tell(
        f"{rebuilt.stage}: {'the same' if rebuilt.match else 'they differ'}, "
        f"{count(rebuilt.events, 'event')} in {rebuilt.seconds:.1f} s.",
        "green" if rebuilt.match else "red",
    )
    for name, digest in (("live", rebuilt.live_digest), ("rebuilt", rebuilt.rebuilt_digest)):
        tell(f"  {name:8} {digest}")
    if keep:
        tell(f"The rebuilt database is orderlog_{rebuilt.stage}_rebuild.")
    elif not rebuilt.match:
        tell(f"To look into it, keep the rebuilt database: orderlog rebuild {rebuilt.stage} --keep")


def _end(found: "Sequence[Rebuilt]", verify: bool) -> None:
    if verify and not all(rebuilt.match for rebuilt in found):
        raise typer.Exit(1)
