"""`orderlog rebuild`: databases made anew from the topics, beside the live ones, and compared."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli import rebuild_stages
from cli.output import JsonOption, bar, emit, events_a_second
from cli.text import count, tell
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

app = typer.Typer(no_args_is_help=True, help="Make databases anew from the topics, and compare.")


@app.command("console")
def rebuild_read_models(
    verify: Annotated[bool, typer.Option("--verify", help="Compare; end with 1 when they differ.")] = False,
    swap: Annotated[bool, typer.Option("--swap", help="Put the new tables in the live ones' place.")] = False,
    json: JsonOption = False,
) -> None:
    """Rebuild the console's tables from Kafka, up to where the live ones stand, and compare digests.

    The live tables are served meanwhile, and stay unless --swap is given.

    Example: orderlog rebuild console --verify --json
    """
    if not verify and not swap:
        raise Complaint(
            "Rebuild the console's tables for what?",
            "--verify compares them with the live ones; --swap puts them in their place.",
            exit_code=2,
        )
    import uvloop

    from services.console.replay import rebuild_console

    with bar(events_a_second()) as bars:
        task = bars.add_task("rebuilding from the topics", total=None)
        rebuilt = uvloop.run(
            rebuild_console(
                settings(),
                swap=swap,
                progress=lambda done, total: bars.update(task, completed=done, total=total),
            )
        )
    for name, digest in (("live", rebuilt.live_digest), ("rebuilt", rebuilt.rebuilt_digest)):
        tell(f"  {name:8} {digest}")
    tell(
        f"{'The same' if rebuilt.match else 'They differ'}: {count(rebuilt.events, 'event')} "
        f"in {rebuilt.seconds:.1f} s, {rebuilt.events / max(rebuilt.fold_seconds, 0.001):,.0f} a second"
        " until the tables stood.",
        "green" if rebuilt.match else "red",
    )
    tell(
        f"The search index is {'the same too' if rebuilt.search_match else 'another'}.",
        "green" if rebuilt.search_match else "red",
    )
    match = rebuilt.match and bool(rebuilt.search_match)
    if rebuilt.swapped:
        tell("The rebuilt tables are live now.")
    elif not match:
        tell("Keep the live ones for a look, then replace them: orderlog rebuild console --swap")
    if json:
        emit({"ok": match or not verify, **asdict(rebuilt)})
    if verify and not match:
        raise typer.Exit(1)


def register(parent: typer.Typer) -> None:
    """Add `rebuild` to the command line."""
    rebuild_stages.register(app)
    parent.add_typer(app, name="rebuild")
