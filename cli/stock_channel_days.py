"""`orderlog stock channel-days`: how many days lots must last for a channel, whatever the SKU."""

from typing import Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, emit
from cli.promises import read_wanted
from cli.text import count, tell

PATH = "/v1/stock/channel-days"


def channel_days(
    channels: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHANNEL=DAYS]...", help="0 ends it. Without any, show them."),
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Show, or change, how many days lots of every SKU must have left for a channel.

    What is not named stays as it is. What a SKU's own terms say counts first.

    Example: orderlog stock channel-days wholesale=5 marketplace=10
    """
    with connect(tenant) as edges:
        told = edges.get("inventory", PATH)
        if channels:
            days = {one["channel"]: one["shelf_days_min"] for one in told["channels"]}
            days |= {one["sku"]: one["quantity"] for one in read_wanted(channels)}
            named = [{"channel": name, "shelf_days_min": least} for name, least in days.items() if least]
            answer = edges.decided("inventory", PATH, {"channels": named}, method="PUT")
            version = next((event["data"]["version"] for event in answer["events"]), told["version"])
            told = {"version": version, "channels": named}
    tell(_said(told))
    if json:
        emit({"ok": True, "tenant": tenant, **told})


def _said(told: dict[str, Any]) -> str:
    asked = [f"{one['channel']} for {count(one['shelf_days_min'], 'day')}" for one in told["channels"]]
    return f"Of every SKU's lots ask: {', '.join(asked)}." if asked else "No channel asks for days left."


def register(parent: typer.Typer) -> None:
    """Add `channel-days` to the commands about stock."""
    parent.command("channel-days")(channel_days)
