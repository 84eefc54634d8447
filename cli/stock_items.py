"""`orderlog stock item`: what a SKU is on the shelf, and in which units it is counted."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, Edges, Refused, TenantOption, connect
from cli.output import JsonOption, emit
from cli.stock_past import must_be_node
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
    lots: Annotated[
        bool | None, typer.Option("--lots/--no-lots", help="Each unit is of a lot that expires.")
    ] = None,
    serials: Annotated[
        bool | None, typer.Option("--serials/--no-serials", help="Each unit has a serial number.")
    ] = None,
    shelf_days: Annotated[
        int | None,
        typer.Option("--shelf-days", min=0, help="A lot is sold no more so many days before its last."),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Begin from nothing: what is not named is dropped.")
    ] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say what a SKU is on the shelf; what is not named stays as it is. Without any option, show it.

    A unit holds so many each, or so many of a unit before it; 12piece=1 says that 12 pieces are 1 each.

    Example: orderlog stock item TEA --unit inner=6 --unit case=4:inner --lots --shelf-days 30
    """
    named = {"lot_controlled": lots, "serialised": serials, "shelf_days_min": shelf_days}
    stated = read_units(unit or ())
    changes = clear or bool(stated) or any(value is not None for value in named.values())
    with connect(tenant) as edges:
        told = _known(edges, sku, perhaps_new=changes)
        if changes:
            known = {} if clear else told
            units = _units(known.get("units", ()), stated)
            body: dict[str, Any] = {"units": units, "lot_controlled": False, "shelf_days_min": 0}
            body |= {name: known[name] for name in named if name in known}
            body |= {name: value for name, value in named.items() if value is not None}
            answer = edges.decided("inventory", _path(sku), body, method="PUT")
            version = next((event["data"]["item_version"] for event in answer["events"]), None)
            tell(_said(sku, body) if version else f"{sku} was defined like that already.")
            told = {"sku": sku, **body, "item_version": version}
        else:
            tell(_said(sku, told))
            for node, bin_ in told["bins"].items():
                tell(f"{node} keeps it in bin {bin_}.")
            for node, places in told["lying"].items():
                if _beside(told["bins"].get(node), places):
                    tell(_lies(node, places))
    if json:
        emit({"ok": True, "tenant": tenant, **told})


def place_item(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")],
    node: Annotated[str, typer.Argument(metavar="NODE", help="The warehouse, store or vendor.")],
    bin_: Annotated[
        str | None, typer.Argument(metavar="[BIN]", help="As the node writes it; without it, it is shown.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Nowhere in particular any more.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say where on its shelves a node keeps a SKU: pick lists say so from then on. Without a bin, show it.

    Example: orderlog stock bin MUG LON A-12-3
    """
    if bin_ and clear:
        raise Complaint(f"{sku} cannot be in {bin_} and nowhere.", "Name a bin, or --clear it.", exit_code=2)
    with connect(tenant) as edges:
        if bin_ or clear:
            path = f"{_path(sku)}/bins/{quote(node, safe='')}"
            edges.decided("inventory", path, {"bin": bin_}, method="PUT")
        told = edges.get("inventory", _path(sku))
        if not (bin_ or clear or node in told["bins"] or node in told["lying"]):
            must_be_node(edges, node)
    bin_, places = told["bins"].get(node), told["lying"].get(node, [])
    tell(f"{sku} is in bin {bin_} at {node}." if bin_ else f"{sku} is in no bin in particular at {node}.")
    if _beside(bin_, places):
        tell(_lies(node, places))
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, "node": node, "bin": bin_, "lying": places})


def put_away(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")],
    node: Annotated[str, typer.Argument(metavar="NODE", help="The warehouse, store or vendor.")],
    quantity: Annotated[int, typer.Argument(metavar="QTY", min=1, help="Units that no order has.")],
    to: Annotated[
        str | None, typer.Option("--to", help="The bin; without it, where the node keeps the SKU.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="The bin; without it, where the node keeps the SKU.")
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say that units were put away in another bin, or fetched from one: pick lists name the bins they lie in.

    Example: orderlog stock put-away MUG LON 40 --to R-7-2

    Example: orderlog stock put-away MUG LON 12 --from R-7-2
    """
    with connect(tenant) as edges:
        body = {"quantity": quantity, "source": from_, "target": to}
        path = f"{_path(sku)}/bins/{quote(node, safe='')}/moves"
        edges.decided("inventory", path, body)
        places = edges.get("inventory", _path(sku))["lying"].get(node, [])
    tell(f"Put {count(quantity, 'unit')} of {sku} into {to or 'the bin in which it is kept'}.")
    tell(_lies(node, places))
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, "node": node, "lying": places})


def _beside(kept_in: str | None, places: Sequence[Mapping[str, Any]]) -> bool:
    """Whether units lie in other bins than the one in which the node keeps the SKU."""
    return any(one["bin"] != kept_in for one in places)


def _lies(node: str, places: Sequence[Mapping[str, Any]]) -> str:
    """`At LON lie 28 in A-12-3, 40 in R-7-2 that no order has.`"""
    found = [f"{one['units']:,} in {one['bin'] or 'no bin in particular'}" for one in places]
    return f"At {node} lie {', '.join(found) or 'none'} that no order has."


def _known(edges: Edges, sku: str, *, perhaps_new: bool) -> dict[str, Any]:
    """What a SKU is; nothing of one that is only now defined. Refused: nobody ever heard of it."""
    try:
        return edges.get("inventory", _path(sku))
    except Refused as refused:
        if refused.code == "unknown_sku" and perhaps_new:
            return {}
        raise


def _path(sku: str) -> str:
    return f"/v1/stock/items/{quote(sku, safe='')}"


def _units(known: Sequence[dict[str, Any]], named: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The units with those that were named in the place of the old ones, or behind them."""
    units = {one["unit"]: one for one in known}
    return list((units | {one["unit"]: one for one in named}).values())


def _said(sku: str, item: Mapping[str, Any]) -> str:
    """`TEA has lots, and is counted in each, inner, case.`"""
    names = ", ".join(["each", *(one["unit"] for one in item["units"])])
    serials = "has serial numbers, and " if item.get("serialised") else ""
    return f"{sku} {'has lots, and ' if item['lot_controlled'] else serials}is counted in {names}."


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
    parent.command("put-away")(put_away)
