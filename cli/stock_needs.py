"""`orderlog stock needs`: what is running low, and what to buy."""

from typing import Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, tell

SKUS_AT_ONCE = 100


def needs(
    lead_days: Annotated[int, typer.Option(help="Days from an order to its arrival.")] = 14,
    service: Annotated[float, typer.Option(help="Share of cycles in which it must not run out.")] = 0.95,
    days: Annotated[int, typer.Option(help="Days of demand that are looked at.")] = 90,
    cover_days: Annotated[int, typer.Option(help="Days that an order is to last beyond the lead time.")] = 30,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """What is below its reorder point or told to be low, and how much to buy, from what left day by day.

    Example: orderlog stock needs --lead-days 7 --service 0.98
    """
    found: list[dict[str, Any]] = []
    after: str | None = None
    with connect(tenant) as edges:
        while True:
            page = edges.get(
                "inventory",
                "/v1/stock/needs",
                lead_days=lead_days,
                service_=service,  # `get` has a parameter of that name
                days=days,
                cover_days=cover_days,
                limit=SKUS_AT_ONCE,
                after=after,
            )
            found += [one for one in page["needs"] if one["propose"] or one["alert"] or one["low"]]
            after = page["next"]
            if after is None:
                break
    drawn = table("SKU", "node", "a day#", "reorder at#", "there or to come#", "buy#", "")
    for one in found:
        figures = (f"{one[name]:,}" for name in ("daily", "reorder_point", "available", "propose"))
        why = "runs out first" if one["alert"] else "low" if one["low"] else ""
        add_row(drawn, one["sku"], one["node"], *figures, why)
    console.print(drawn) if found else tell("Nothing is running low.")
    if json:
        emit({"ok": True, "tenant": tenant, "needs": found})


def register(parent: typer.Typer) -> None:
    """Add `needs`."""
    parent.command("needs")(needs)
