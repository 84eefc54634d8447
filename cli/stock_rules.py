"""`orderlog stock rules`: what is asked of facts from outside; what is not named stays as it is."""

from typing import Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, tell

PATH = "/v1/stock/rules"


def rules(
    nodes: Annotated[str | None, typer.Option(help="Nodes that may be named: LON,LEE.")] = None,
    new_skus: Annotated[
        bool | None, typer.Option("--new-skus/--known-skus", help="May new SKUs come?")
    ] = None,
    unannounced: Annotated[
        bool | None,
        typer.Option("--unannounced/--announced", help="May a receipt come before its purchase order?"),
    ] = None,
    over_percent: Annotated[int | None, typer.Option(help="How much more than expected may arrive.")] = None,
    count_units: Annotated[
        int | None, typer.Option(help="A count that differs by more waits for a person.")
    ] = None,
    short_picks: Annotated[
        int | None, typer.Option(help="Picks in vain after which a shelf is suspect.")
    ] = None,
    shrink_percent: Annotated[int | None, typer.Option(help="A feed of at most this share is held.")] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Begin from no rules: what is not named is dropped.")
    ] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Change the rules for facts from outside; what is not named stays. Without any option, show them.

    Example: orderlog stock rules --nodes LON,LEE --count-units 24 --short-picks 2
    """
    named: dict[str, Any] = {
        "nodes": [node.strip() for node in nodes.split(",") if node.strip()] if nodes else None,
        "new_skus": new_skus,
        "unannounced": unannounced,
        "over_receipt_percent_max": over_percent,
        "count_approval_units": count_units,
        "phantom_short_picks": short_picks,
        "feed_shrink_percent": shrink_percent,
    }
    said = {name: value for name, value in named.items() if value is not None}
    with connect(tenant) as edges:
        told = edges.get("inventory", PATH)
        if said or clear:
            known = {"new_skus": True} if clear else {name: told[name] for name in named if name in told}
            body = known | said
            answer = edges.decided("inventory", PATH, body, method="PUT")
            version = next((event["data"]["version"] for event in answer["events"]), None)
            tell(f"The rules are at version {version}." if version else "The rules were that already.")
            told = {"version": version, **body}
        else:
            tell(f"Version {told['version']}." if told["version"] else "Nobody has set any rules.")
            drawn = table("rule", "value")
            for name in named:
                add_row(drawn, name.replace("_", " "), _worded(told[name]))
            console.print(drawn)
    if json:
        emit({"ok": True, "tenant": tenant, **told})


def register(parent: typer.Typer) -> None:
    """Add `rules`."""
    parent.command("rules")(rules)


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    return "–" if value is None else f"{value:,}"
