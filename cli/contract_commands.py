"""`orderlog contracts`: cli.contracts as commands. It reads every contract, so it is imported late."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.output import JsonOption, console, emit, say

app = typer.Typer(no_args_is_help=True, help="Schemas, golden payloads and AsyncAPI of every contract.")


def register(parent: typer.Typer) -> None:
    """Add `contracts` to the command line."""
    parent.add_typer(app, name="contracts")


@app.command("export")
def export_command(
    release: Annotated[
        bool,
        typer.Option(help="Freeze every version that is not released yet, as the last step of a release."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write schemas, golden payloads, AsyncAPI and the index. What was released is left as it is."""
    from cli import contracts
    from libs.events.catalogue import BY_TYPE

    written = contracts.export(contracts.Tree(contracts.ROOT), release=release)
    if json:
        emit({"ok": True, "written": written, "types": len(BY_TYPE), "release": release})
    else:
        say(f"{len(BY_TYPE)} types; {len(written)} files changed.")
        for name in written:
            console.print(f"  {name}", markup=False)


@app.command("check")
def check_command(json: JsonOption = False) -> None:
    """Compare the code with what is committed and released; exit 1 when something would break a reader."""
    from cli import contracts
    from libs.events.catalogue import BY_TYPE

    findings = contracts.check(contracts.Tree(contracts.ROOT))
    if json:
        emit({"ok": not findings, "types": len(BY_TYPE), "findings": [asdict(one) for one in findings]})
    for one in findings:
        console.print(f"{one.where}: {one.what}", style="red", markup=False)
        console.print(f"  → {one.next_step}", markup=False)
    if findings:
        raise typer.Exit(1)
    say(f"{len(BY_TYPE)} types are as committed, and nothing released was broken.")
