"""`orderlog stock needs`: what to buy, and why."""

from typing import Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, tell

SKUS_AT_ONCE = 100


WHY = {
    "waiting": "waiting",
    "late_supply": "late",
    "runs_out_first": "runs out",
    "low": "low",
}
"""Reasons as a person reads them; that it is below its reorder point, the figures say."""


def needs(
    lead_days: Annotated[
        int, typer.Option(help="Days from an order to its arrival, of a SKU whose own orders do not tell.")
    ] = 14,
    service: Annotated[float, typer.Option(help="Share of cycles in which it must not run out.")] = 0.95,
    days: Annotated[int, typer.Option(help="Days of demand that are looked at.")] = 90,
    cover_days: Annotated[int, typer.Option(help="Days that an order is to last beyond the lead time.")] = 30,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """What is to be bought, for which node, and why: what is there and usable, less what is promised and
    waited for, against what is asked for day by day. `--json` names all the figures.

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
    drawn = table("SKU", "node", "a day#", "lead#", "reorder at#", "available#", "buy#", "from", "why")
    for one in found:
        names = ("daily", "lead_days", "reorder_point", "available", "propose")
        figures = (f"{one[name]:,}" for name in names)
        why = ", ".join(WHY[reason] for reason in one["reasons"] if reason in WHY)
        add_row(drawn, one["sku"], one["node"], *figures, one["supplier"] or "–", why)
    console.print(drawn) if found else tell("Nothing needs to be bought.")
    if json:
        emit({"ok": True, "tenant": tenant, "needs": found})


def register(parent: typer.Typer) -> None:
    """Add `needs`."""
    parent.command("needs")(needs)
