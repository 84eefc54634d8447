"""`orderlog stock`: where a unit with a serial number is, and what became of it."""

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, Edges, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell, utc

Sku = Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")]
Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="As its maker prints it; case matters.")]
SerialOption = Annotated[
    list[str] | None,
    typer.Option("--serial", help="A unit's serial number, where the SKU has them. Can be repeated."),
]
DamagedSerialOption = Annotated[
    list[str] | None,
    typer.Option("--damaged-serial", help="The serial number of a broken unit. Can be repeated."),
]
_AT_ONCE = 500
_PLACES = {
    "shelf": "on the shelf of",
    "in_transit": "on its way to",
    "issued": "sent from",
    "adjustment": "no unit of",
}


def show_serial(
    sku: Sku, serial: Serial, tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False
) -> None:
    """Where a unit is, and everything that became of it, from the log.

    Example: orderlog stock serial CAM-7 SN-0011
    """
    with connect(tenant) as edges:
        found = edges.get("inventory", f"{_path(sku)}/{quote(serial, safe='')}")
    drawn = table("at (UTC)", "node", "from", "to", "what", "of")
    for one in found["history"]:
        of = one["order_id"] or one["document"] or "–"
        kind = one["type"].removeprefix("oms.inventory.")
        at = utc(one["at"], "%Y-%m-%d %H:%M")
        add_row(drawn, at, one["node"], one["source"], one["target"], kind, of)
    console.print(drawn)
    order = f", with order {found['order_id']}" if found["order_id"] else ""
    tell(f"{serial} of {sku} is {_said(found['place'])} {found['node']}{order}, since {utc(found['since'])}.")
    if json:
        emit({"ok": True, "tenant": tenant, **found})


def show_serials(
    sku: Sku,
    node: Annotated[str | None, typer.Option(help="Only units that are there.")] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """The serial numbers of a SKU, and where each unit is.

    Example: orderlog stock serials CAM-7 --node LON
    """
    with connect(tenant) as edges:
        pages = list(_pages(edges, _path(sku), node))
    units = [unit for page in pages for unit in page["serials"]]
    drawn = table("serial number", "node", "place")
    for unit in units:
        add_row(drawn, unit["serial"], unit["node"], unit["place"].replace("_", " "))
    console.print(drawn)
    astray = pages[-1]["astray"]
    for where, left in sorted(astray.items()):
        tell(f"{count(left, 'unit')} left {where} without a number: orderlog stock serial-correct.", "yellow")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, "astray": astray, "serials": units})


def correct_serials(
    sku: Sku,
    node: Annotated[str, typer.Argument(metavar="NODE", help="On whose shelf the wrong numbers are.")],
    wrong: Annotated[list[str], typer.Option("--wrong", help="A number that is not there. Can be repeated.")],
    right: Annotated[
        list[str] | None, typer.Option("--right", help="What it is, for each --wrong, in their order.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; never personal data.")] = "",
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Correct serial numbers that were misread, or whose units left without them. No unit moves.

    Example: orderlog stock serial-correct CAM-7 LON --wrong SN-0017 --right SN-0011
    """
    body: dict[str, Any] = {"sku": sku, "node": node, "wrong": wrong, "right": right or [], "reason": reason}
    with connect(tenant) as edges:
        answer = edges.decided("inventory", "/v1/stock/serials/corrections", body)
    said = f"now {', '.join(right)}" if right else "not there any more"
    tell(f"{', '.join(wrong)} of {sku} at {node}: {said}.")
    if json:
        types = [event["type"] for event in answer["events"]]
        emit({"ok": True, "tenant": tenant, **body, "events": types})


def register(parent: typer.Typer) -> None:
    """Add the commands about serial numbers."""
    for name, command in (
        ("serial", show_serial),
        ("serials", show_serials),
        ("serial-correct", correct_serials),
    ):
        parent.command(name)(command)


def of_units(serials: list[str] | None, damaged: list[str] | None = None) -> dict[str, list[str]]:
    """The part of a body that names serial numbers, of good units and of broken ones."""
    return ({"serials": serials} if serials else {}) | ({"damaged_serials": damaged} if damaged else {})


def _path(sku: str) -> str:
    return f"/v1/stock/{quote(sku, safe='')}/serials"


def _said(place: str) -> str:
    return _PLACES.get(place, f"{place.replace('_', ' ')} at")


def _pages(edges: Edges, path: str, node: str | None) -> Iterator[dict[str, Any]]:
    """Every page of a SKU's numbers."""
    after: str | None = ""
    only = {"node": node} if node else {}
    while after is not None:
        page = edges.get("inventory", path, limit=_AT_ONCE, after=after, **only)
        yield page
        after = page["next"]
