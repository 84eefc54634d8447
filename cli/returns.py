"""`orderlog returns`: let units come back, receive what came, and see what became of it."""

import re
from typing import Annotated, Any

import typer

from cli.changes import line_units
from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.order_page import money
from cli.orders import ChannelOption, IdArgument, find, resolve
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell, utc
from libs.runtime.complaint import Complaint

app = typer.Typer(no_args_is_help=True, help="Authorise returns, receive what came, show what became of it.")

RmaArgument = Annotated[
    str, typer.Argument(metavar="RMA", help="The return, as `returns authorise` named it: ORDER_ID-R1.")
]
_RMA = re.compile(r"[A-Za-z0-9-]{1,64}-R[0-9]{1,6}")
_UNITS = re.compile(
    r"(\d{1,7})=(\d{1,7}):(restock|scrap|quarantine)(?::([a-z][a-z0-9_]{0,31})?)?(?::([^:]+))?"
)


@app.command("authorise")
def authorise(
    id_: IdArgument,
    line: Annotated[list[str], typer.Option(help="LINE=UNITS, as often as needed: --line 2=1 --line 3=4.")],
    reason: Annotated[str, typer.Option(help="Why; kept for ever, so no personal data.")] = "",
    channel: ChannelOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Let delivered units of an order come back, and name the return under which they do.

    Example: orderlog returns authorise retail/536365 --line 2=1 --reason "too small"
    """
    asked = [line_units(text) for text in line]
    lines = [{**one, "reason": reason} for one in asked]
    with connect(tenant) as edges:
        id_ = resolve(edges, id_, channel)
        answer = edges.decided("returns", f"/v1/orders/{id_}/returns", {"lines": lines})
    rma_id = _event(answer, "oms.returns.return_authorised")["rma_id"]
    units = sum(one["quantity"] for one in asked)
    tell(f"Return {rma_id} is authorised for {count(units, 'unit')}.", "green")
    if json:
        emit({"ok": True, "order_id": id_, "rma_id": rma_id})


@app.command("receive")
def receive(
    rma: RmaArgument,
    node: Annotated[str, typer.Option(help="Where the goods are.")],
    units: Annotated[
        list[str],
        typer.Option(
            help="LINE=UNITS:DISPOSITION[:CONDITION[:SERIALS]], as often as needed. restock, quarantine or"
            " scrap; a condition in your own words, serial numbers by commas: 2=1:quarantine:opened:SN7."
        ),
    ],
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say what came back under a return, and what becomes of each unit; what was paid for it goes back.

    Example: orderlog returns receive 4ed2cc38-R1 --node LON --units 2=1:restock --units 2=1:scrap:broken
    """
    if not _RMA.fullmatch(rma):
        raise Complaint(
            f"{rma} names no return.",
            "It ends with -R and a number; `orderlog returns show ORDER` lists an order's.",
            exit_code=2,
        )
    inspected = [_inspected(text) for text in units]
    body = {"node": node, "units": inspected}
    with connect(tenant) as edges:
        answer = edges.decided("returns", f"/v1/returns/{rma}/receipts", body)
    refunds = [event["data"] for event in answer["events"] if event["type"].endswith(".refund_requested")]
    closed = any(event["type"] == "oms.returns.return_closed" for event in answer["events"])
    came = sum(one["quantity"] for one in inspected)
    back = "".join(f" {money(one['amount_minor'], one['currency'])} go back." for one in refunds)
    ends = "It is closed." if closed else "More of it is to come."
    tell(f"{count(came, 'unit')} of {rma} received at {node}.{back} {ends}", "green")
    if json:
        emit({"ok": True, "rma_id": rma, "node": node, "units": came, "closed": closed, "refunds": refunds})


@app.command("show")
def show(
    id_: IdArgument,
    channel: ChannelOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Show an order's returns: what may come, what came and what became of it, and what is owed for it.

    Example: orderlog returns show retail/536365
    """
    with connect(tenant) as edges:
        order = find(edges, id_.rpartition("-R")[0] if _RMA.fullmatch(id_) else id_, channel)
    skus = {one["line"]: one["sku"] for one in (*order["lines"], *order.get("parts", ()))}
    if not order["returns"]:
        tell("Nothing of this order was authorised to come back.")
    for one in order["returns"]:
        state = f"closed {utc(one['closed_at'])}" if one["closed_at"] else "open"
        tell(f"{one['rma_id']}  {state}", "bold")
        drawn = table("line#", "SKU", "authorised#", "came back")
        for line in one["lines"]:
            add_row(drawn, line["line"], skus.get(line["line"]), line["quantity"], _became(one, line["line"]))
        console.print(drawn)
    for refund in order.get("refunds", ()):
        amount = money(refund["amount_minor"], refund["currency"])
        tell(f"Refund of {amount} ({refund['cause']}), requested {utc(refund['requested_at'])} UTC.")
    for void in order.get("voids", ()):
        amount = money(void["amount_minor"], void["currency"])
        tell(f"Payment of {amount} let go, never charged; requested {utc(void['requested_at'])} UTC.")
    if json:
        found = {name: order.get(name, []) for name in ("returns", "refunds", "voids")}
        emit({"ok": True, "order_id": order["order_id"]} | found)


def register(root: typer.Typer) -> None:
    """Add the commands to `orderlog`."""
    root.add_typer(app, name="returns")


def _became(rma: dict[str, Any], line: int) -> str:
    return ", ".join(
        f"{unit['quantity']} {unit['disposition']} at {unit['node']}"
        for unit in rma["received"]
        if unit["line"] == line
    )


def _inspected(text: str) -> dict[str, Any]:
    """`2=1:scrap:broken` as units and what becomes of them. Complaint: it is nothing of the kind."""
    if found := _UNITS.fullmatch(text.strip()):
        units = {"line": int(found[1]), "quantity": int(found[2]), "disposition": found[3]}
        units |= {"condition": found[4]} if found[4] else {}
        return units | ({"serials": found[5].split(",")} if found[5] else {})
    raise Complaint(
        f"--units {text}: what is meant?",
        "Write LINE=UNITS:DISPOSITION: --units 2=1:restock. Or quarantine, or scrap.",
        exit_code=2,
    )


def _event(answer: dict[str, Any], type_: str) -> dict[str, Any]:
    return next(event["data"] for event in answer["events"] if event["type"] == type_)
