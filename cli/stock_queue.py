"""`orderlog stock queue`: who waits for a SKU, in the order in which units are given, and why."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell, utc
from libs.events.policy import STANDARD_RANK

ROWS_AT_ONCE = 500
_COUNTS = {
    "late": "late, counts for nobody",
    "no_date": "without a day, counts for nobody",
    "switched_off": "to a node that is switched off",
    "too_far": "too far ahead to count on",
}


def queue(
    sku: Annotated[str, typer.Argument(help="The article.")],
    limit: Annotated[
        int, typer.Option(min=1, help="Orders that are shown, the next to be served first.")
    ] = 50,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Who waits for a SKU, in the order in which units are given: with its class, what it lacks, the supply
    that it is to be served from, and why somebody who came later stands before it.

    Example: orderlog stock queue MUG --limit 200
    """
    path, rows = f"/v1/stock/{quote(sku, safe='')}/queue", list[dict[str, Any]]()
    with connect(tenant) as edges:
        found = edges.get("inventory", path, limit=min(limit, ROWS_AT_ONCE))
        rows += found["queue"]
        following = found["next"]
        while following is not None and len(rows) < limit:
            page = edges.get("inventory", path, limit=min(limit - len(rows), ROWS_AT_ONCE), after=following)
            rows += page["queue"]
            following = page["next"]
    _tell(sku, found, rows)
    if json:
        emit({"ok": True, "tenant": tenant, **found, "queue": rows, "next": following})


def register(parent: typer.Typer) -> None:
    """Add `queue`."""
    parent.command("queue")(queue)


def _who(one: dict[str, Any]) -> str:
    """An order by its id, and a basket that waits by its promise's."""
    return str(one["order_id"] or f"basket {one['promise_id']}")


def _tell(sku: str, found: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    if found.get("bundle_of"):
        parts = ", ".join(f"{units} {part}" for part, units in found["bundle_of"].items())
        tell(f"{sku} is a bundle of {parts}: orders of it wait for these.")
    if rows:
        drawn = table(
            "place#", "order", "class", "since (UTC)", "wants#", "has#", "lacks#", "from", "usable (UTC)"
        )
        for one in rows:
            supply = one["supply"] or {"supply_id": "–", "usable_at": None}
            usable = "–" if supply["usable_at"] is None else utc(supply["usable_at"], "%Y-%m-%d")
            units = (f"{one[name]:,}" for name in ("wanted", "held", "lacks"))
            served = one["class"] or (f"rank {one['rank']}" if one["rank"] != STANDARD_RANK else "–")
            since = utc(one["since"], "%Y-%m-%d %H:%M")
            place = str(one["place"])
            add_row(drawn, place, _who(one), served, since, *units, supply["supply_id"], usable)
        console.print(drawn)
        for one in rows:
            for reason in one["reasons"]:
                tell(f"{one['place']}. {_who(one)}: {reason['message']}")
        if found["orders"] > len(rows):
            tell(f"… of {count(found['orders'], 'order')}; --limit shows more.")
    waits = f"{count(found['orders'], 'order')} wait" + "s" * (found["orders"] == 1)
    waits += f" for {count(found['waiting'], 'unit')}" if rows else ""
    tell(f"{waits}. {found['free']:,} of {found['on_hand']:,} on hand are free.")
    held = found["held_baskets"]
    if held["baskets"]:
        hold = "hold" + "s" * (held["baskets"] == 1)
        tell(
            f"{count(held['baskets'], 'basket')} {hold} {count(held['units'], 'unit')}, and "
            + ("waits" if held["baskets"] == 1 else "wait")
            + " for none."
        )
    for one in found["supplies"]:
        when = "" if one["arrives_at"] is None else f" on {utc(one['arrives_at'], '%Y-%m-%d %H:%M')}"
        why = f" ({_COUNTS[one['counts']]})" if one["counts"] in _COUNTS else ""
        tell(f"{count(one['units'], 'unit')} to come to {one['node']} with {one['supply_id']}{when}{why}.")
    for one in found["caps"]:
        if one["units"] is not None:
            where = f"in {one['channel']}" if one["channel"] else "in all channels together"
            tell(f"{count(one['units'], 'more unit')} may be waited for {where}; {one['waiting']:,} are.")
