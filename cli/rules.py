"""`orderlog rules`: who gets which exception, after how long, and by when."""

from typing import Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell

PATH = "/v1/exception-rules"
_ROLE = "rule_editor"
app = typer.Typer(no_args_is_help=True, help="Who gets which exception, and by when.")
Kind = Annotated[str, typer.Argument(help="What kind of exception, as `orderlog rules show` names it.")]
Which = Annotated[str | None, typer.Option("--which", help="Only for this hold, or this segment.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept for ever.")]


@app.command("show")
def show(tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False) -> None:
    """Show the rules in force, and who changed them last.

    Example: orderlog rules show
    """
    with connect(tenant, _ROLE) as edges:
        told = edges.get("console", "/v1/exceptions/rules")
    drawn = table("kind", "of it", "owner", "after#", "due#", "whose")
    for rule in sorted(told["rules"], key=lambda one: (one["kind"], one["which"] is None)):
        minutes = [f"{rule[name]:,} min" for name in ("after_minutes", "sla_minutes")]
        whose = "yours" if rule["own"] else "the console's"
        add_row(drawn, rule["kind"], rule["which"] or "any", rule["owner"], *minutes, whose)
    console.print(drawn)
    for one in told["changes"][:1]:
        tell(f"Version {told['version']}, changed by {one['actor']}: {one['note']}")
    if json:
        emit({"ok": True, "tenant": tenant, **told})


@app.command("set")
def set_rule(
    kind: Kind,
    owner: Annotated[str, typer.Option("--owner", help="Who gets it.")],
    after: Annotated[int, typer.Option("--after", help="Minutes until it is in the queue.", min=0)],
    due: Annotated[int, typer.Option("--due", help="Minutes until it is overdue.", min=0)],
    reason: Reason,
    which: Which = None,
    next_step: Annotated[str | None, typer.Option("--next-step", help="What to do; else as ever.")] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Change a rule, for all open items and those to come.

    Example: orderlog rules set hold --which payment --owner operations --after 30 --due 240 --reason Weekend
    """
    terms = {"owner": owner, "after_minutes": after, "sla_minutes": due, "next_step": next_step}
    version = _send(tenant, PATH, {"kind": kind, "which": which, **terms}, reason)
    said = f"{owner} gets it after {count(after, 'minute')}; it is due within {count(due, 'minute')}."
    _tell(version, said, "It was that already.", tenant, json)


@app.command("drop")
def drop_rule(
    kind: Kind,
    reason: Reason,
    which: Which = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Go back to the rule that the console brings.

    Example: orderlog rules drop hold --which payment --reason "The weekend is over."
    """
    version = _send(tenant, f"{PATH}/drop", {"kind": kind, "which": which}, reason)
    _tell(version, "The console's rule holds again.", "There was none of your own.", tenant, json)


def register(parent: typer.Typer) -> None:
    """Add `rules` to the command line."""
    parent.add_typer(app, name="rules")


def _send(tenant: str, path: str, body: dict[str, Any], reason: str) -> int | None:
    """The version that it made; none if it was so already. Refused, also where somebody changed the rules in
    between."""
    with connect(tenant, _ROLE) as edges:
        based_on = edges.get("intake", PATH)["version"]
        answer = edges.decided("intake", path, {**body, "based_on": based_on, "note": reason})
    return next((event["data"]["version"] for event in answer["events"]), None)


def _tell(version: int | None, said: str, unchanged: str, tenant: str, json: bool) -> None:
    tell(f"Version {version}: {said}" if version else unchanged)
    if json:
        emit({"ok": True, "tenant": tenant, "version": version})
