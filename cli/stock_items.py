"""`orderlog stock item`: what a SKU is on the shelf, and in which units it is counted."""

import re
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, emit
from cli.text import count, tell
from libs.runtime.complaint import Complaint

UnitOption = Annotated[
    str | None,
    typer.Option("--unit", help="What the quantity is stated in, such as case; as `stock item` defines it."),
]
_UNIT = re.compile(r"(?:(\d+))?([a-z][a-z0-9_-]*)=(\d+)(?::([a-z][a-z0-9_-]*))?")


def define_item(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")],
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", metavar="UNIT=QTY[:OF]", help="What a unit holds. Can be repeated, in order."),
    ] = None,
    lots: Annotated[bool, typer.Option("--lots", help="Each unit is of a lot that expires.")] = False,
    serials: Annotated[bool, typer.Option("--serials", help="Each unit has a serial number.")] = False,
    shelf_days: Annotated[
        int, typer.Option("--shelf-days", min=0, help="A lot is sold no more so many days before its last.")
    ] = 0,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say what a SKU is on the shelf: the whole of it is replaced.

    A unit holds so many each, or so many of a unit before it; 12piece=1 says that 12 pieces are 1 each.

    Example: orderlog stock item TEA --unit inner=6 --unit case=4:inner --lots --shelf-days 30
    """
    units = read_units(unit or ())
    body: dict[str, Any] = {"units": units, "lot_controlled": lots, "shelf_days_min": shelf_days}
    if serials:
        body["serialised"] = True
    with connect(tenant) as edges:
        answer = edges.decided("inventory", f"/v1/stock/items/{quote(sku, safe='')}", body, method="PUT")
    version = next((event["data"]["item_version"] for event in answer["events"]), None)
    names = ", ".join(["each", *(one["unit"] for one in units)])
    has = "has lots, and " if lots else "has serial numbers, and " if serials else ""
    said = f"{sku} {has}is counted in {names}."
    tell(said if version else f"{sku} was defined like that already.")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, **body, "item_version": version})


def place_item(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")],
    node: Annotated[str, typer.Argument(metavar="NODE", help="The warehouse, store or vendor.")],
    bin_: Annotated[
        str | None, typer.Argument(metavar="[BIN]", help="As the node writes it; nowhere if left out.")
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say where on its shelves a node keeps a SKU: pick lists say so from then on.

    Example: orderlog stock bin MUG LON A-12-3
    """
    path = f"/v1/stock/items/{quote(sku, safe='')}/bins/{quote(node, safe='')}"
    with connect(tenant) as edges:
        edges.decided("inventory", path, {"bin": bin_}, method="PUT")
    tell(f"{sku} is in bin {bin_} at {node}." if bin_ else f"{sku} is in no bin at {node}.")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, "node": node, "bin": bin_})


def read_units(texts: Sequence[str]) -> list[dict[str, Any]]:
    """`UNIT=QTY[:OF]` texts as units. Complaint: one that is none."""
    found: list[dict[str, Any]] = []
    for text in texts:
        read = _UNIT.fullmatch(text)
        if read is None:
            next_step = "Write case=24, case=4:inner, or 12piece=1 where 12 are one each."
            raise Complaint(f"`{text}` is no UNIT=QTY[:OF].", next_step, exit_code=2)
        per, name, holds, of = read.groups()
        found.append({"unit": name, "holds": int(holds), "of": of or "each", "per": int(per or 1)})
    return found


def stating(unit: str | None) -> dict[str, str]:
    """The part of a body that says in what its quantity is stated."""
    return {"unit": unit} if unit else {}


def worded(quantity: int, unit: str | None, noun: str = "unit") -> str:
    """`2 case` as stated; `2 units` when that was in base units, whose noun may be left out."""
    return f"{quantity:,} {unit}" if unit else (count(quantity, noun) if noun else f"{quantity:,}")


def register(parent: typer.Typer) -> None:
    """Add the commands about what SKUs are."""
    parent.command("item")(define_item)
    parent.command("bin")(place_item)
