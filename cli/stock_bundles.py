"""`orderlog stock bundle`: say of what a SKU is made, and put kits together or take them apart."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.moments import moment
from cli.output import JsonOption, console, emit, table
from cli.promises import read_wanted
from cli.text import add_row, count, tell

app = typer.Typer(no_args_is_help=True, help="SKUs that are made of others: bundles and kits.")

SkuArgument = Annotated[str, typer.Argument(metavar="SKU", help="The bundle or kit; case matters.")]
PartsArgument = Annotated[
    list[str], typer.Argument(metavar="PART=QTY...", help="Units of each part in one of it, such as MUG=2.")
]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="Where it is done.")]
QuantityArgument = Annotated[int, typer.Argument(metavar="QTY", help="Whole kits.")]
ReferenceOption = Annotated[str | None, typer.Option(help="The document it stands on.")]
KeyOption = Annotated[
    str | None, typer.Option("--idempotency-key", help="The same key again is the same work.")
]


@app.command("define")
def define(
    sku: SkuArgument,
    parts: PartsArgument,
    assembled: Annotated[
        bool, typer.Option("--assembled", help="It is stock of its own, put together before it is sold.")
    ] = False,
    price_weight: Annotated[
        list[str] | None,
        typer.Option(metavar="PART=WEIGHT", help="A unit's share of the price, 1 if left out. Repeatable."),
    ] = None,
    effective_at: Annotated[
        str | None, typer.Option(metavar="WHEN", help="From when it holds, YYYY-MM-DD or RFC 3339; else now.")
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say of what a SKU is made: the whole of it is replaced. Orders that are under way stay as they are.

    Example: orderlog stock bundle define GIFT-BOX MUG=2 TEA=1 --price-weight MUG=3
    """
    weights = {str(one["sku"]): one["quantity"] for one in read_wanted(price_weight or ())}
    made = [{**one, "price_weight": weights.get(str(one["sku"]), 1)} for one in read_wanted(parts)]
    body: dict[str, Any] = {"parts": made, "kept": "assembled" if assembled else "parts"}
    if effective_at is not None:
        body["effective_at"] = moment(effective_at).isoformat()
    answer = _send(f"/v1/bundles/{quote(sku, safe='')}", body, tenant, "PUT")
    told = [event["data"] for event in answer["events"]]
    version = next((one["bundle_version"] for one in told if "bundle_version" in one), None)
    said = f"{sku} is {_made_of(made)}, {'a kit' if assembled else 'promised as its parts'}"
    if told and not version:
        said += f", from {body['effective_at']} on"
    tell(f"{said}." if told else f"{sku} was made of that already.")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, **body, "bundle_version": version})


@app.command("remove")
def remove(
    sku: SkuArgument,
    reason: Annotated[str, typer.Option(help="Why; never personal data.")] = "",
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Make a SKU one like any other again.

    Example: orderlog stock bundle remove GIFT-BOX --reason "Christmas is over"
    """
    answer = _send(f"/v1/bundles/{quote(sku, safe='')}", {"reason": reason}, tenant, "DELETE")
    tell(f"{sku} is a SKU like any other from now on." if answer["events"] else f"{sku} was one already.")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, "removed": bool(answer["events"])})


@app.command("show")
def show(sku: SkuArgument, tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False) -> None:
    """Of what a SKU is made, and which SKUs are made of it.

    Example: orderlog stock bundle show GIFT-BOX
    """
    with connect(tenant) as edges:
        found = edges.get("inventory", f"/v1/bundles/{quote(sku, safe='')}")
    kept = {"parts": "promised as its parts", "assembled": "kept assembled", None: "made of nothing"}
    tell(f"{sku}: {kept[found['kept']]}{_version(found)}.")
    if found["parts"]:
        drawn = table("part", "units#", "price weight#")
        for one in found["parts"]:
            add_row(drawn, one["sku"], f"{one['quantity']:,}", f"{one['price_weight']:,}")
        console.print(drawn)
    for plan in found["planned"]:
        tell(f"From {plan['effective_at']} on {_made_of(plan['parts'])}, {kept[plan['kept']]}.")
    if found["part_of"]:
        tell(f"A part of {', '.join(found['part_of'])}.")
    if json:
        emit({"ok": True, "tenant": tenant, **found})


@app.command("assemble")
def assemble(
    sku: SkuArgument,
    node: NodeArgument,
    quantity: QuantityArgument,
    reference: ReferenceOption = None,
    key: KeyOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Kits were put together at a node, of parts that are on hand there and promised to nobody.

    Example: orderlog stock bundle assemble GIFT-BOX LON 10 --reference WO-12
    """
    body = {"node": node, "quantity": quantity, "reference": reference}
    _work(sku, "assemble", body, key, tenant, f"Put {count(quantity, 'unit')} of {sku} together", json)


@app.command("take-apart")
def take_apart(
    sku: SkuArgument,
    node: NodeArgument,
    quantity: QuantityArgument,
    reference: ReferenceOption = None,
    key: KeyOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Kits were taken apart at a node: their parts are on hand there.

    Example: orderlog stock bundle take-apart GIFT-BOX LON 2
    """
    body = {"node": node, "quantity": quantity, "reference": reference}
    _work(sku, "take-apart", body, key, tenant, f"Took {count(quantity, 'unit')} of {sku} apart", json)


def _work(
    sku: str, verb: str, body: dict[str, Any], key: str | None, tenant: str, said: str, json: bool
) -> None:
    answer = _send(f"/v1/kits/{quote(sku, safe='')}/{verb}", body, tenant, "POST", key)
    done = next((event["data"] for event in answer["events"] if "bundle_version" in event["data"]), None)
    moves = [] if done is None else done["movements"]
    changes = {move["sku"]: move["quantity"] * (1 if move["target"] == "on_hand" else -1) for move in moves}
    told = ", ".join(f"{units:+,} {one}" for one, units in changes.items())
    tell(f"{said} at {body['node']}: {told}.")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, **body, "on_hand": changes})


def _send(
    path: str, body: dict[str, Any], tenant: str, method: str, key: str | None = None
) -> dict[str, Any]:
    with connect(tenant) as edges:
        return edges.decided("inventory", path, body, method=method, key=key)


def _made_of(parts: Sequence[dict[str, Any]]) -> str:
    return " and ".join(f"{one['quantity']:,} {one['sku']}" for one in parts)


def _version(found: dict[str, Any]) -> str:
    return f", version {found['bundle_version']}" if found["bundle_version"] else ""
