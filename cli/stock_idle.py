"""`orderlog stock idle`: shelves on which nothing has moved for long."""

from typing import Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell


def idle(
    days: Annotated[int, typer.Option(help="For how long nothing has moved.")] = 90,
    suspect: Annotated[bool, typer.Option("--suspect", help="Promise none of it until counted.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Shelves on which nothing has moved for long, and which may hold nothing.

    Example: orderlog stock idle --days 180 --suspect
    """
    found: list[dict[str, Any]] = []
    with connect(tenant) as edges:
        last: dict[str, Any] = {}
        while page := edges.get(
            "inventory", "/v1/stock/idle", days=days, limit=500, sku=last.get("sku"), node=last.get("node")
        )["shelves"]:
            found += page
            last = page[-1]
        reason = f"Nothing has moved for {days} days."
        doubted = [{"sku": one["sku"], "node": one["node"], "reason": reason} for one in found]
        for start in range(0, len(doubted) if suspect else 0, 500):
            items = doubted[start : start + 500]
            edges.send("inventory", "/v1/stock/suspicions", {"items": items}, wait_seconds=30)
    drawn = table("SKU", "node", "on hand#")
    for one in found:
        add_row(drawn, one["sku"], one["node"], f"{one['units']:,}")
    console.print(drawn) if found else tell(f"Something has moved everywhere within {count(days, 'day')}.")
    if found and suspect:
        tell("None of it that is free is promised before it is counted.")
    if json:
        emit({"ok": True, "tenant": tenant, "shelves": found, "suspected": suspect})


def register(parent: typer.Typer) -> None:
    """Add the command about shelves that nobody touches."""
    parent.command("idle")(idle)
