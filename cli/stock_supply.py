"""`orderlog stock`: what is bought, on its way, set aside and counted, and what a person settles."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.moments import moment
from cli.output import JsonOption, console, emit, table
from cli.stock_items import UnitOption, stating, worded
from cli.stock_lots import (
    DamagedLotsOption,
    ExpiresOption,
    LotCountsOption,
    LotOption,
    LotsOption,
    counted_lots,
    of_lot,
    of_lots,
)
from cli.stock_serials import DamagedSerialOption, SerialOption, of_units
from cli.text import add_row, count, tell, utc

Sku = Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")]
Node = Annotated[str, typer.Argument(metavar="NODE", help="The warehouse, store or vendor.")]
Units = Annotated[int, typer.Argument(metavar="QTY", min=0, help="Whole units.")]
Damaged = Annotated[int, typer.Option(min=0, help="Units that arrived broken, beside QTY.")]
Final = Annotated[bool, typer.Option("--final", help="Nothing more is to come.")]
Receipt = Annotated[str, typer.Option(help="The receipt's number: the same is booked once.")]
Supply = Annotated[str, typer.Option("--supply", help="The purchase order's number.")]
TransferId = Annotated[str, typer.Option("--transfer", help="The transfer's number.")]
Effective = Annotated[
    str | None, typer.Option("--effective-at", help="When it was true, if not now: 2026-03-09 or RFC 3339.")
]


def expect(
    sku: Sku,
    node: Node,
    quantity: Units,
    supply: Supply,
    by: Annotated[str, typer.Option(help="When it should arrive: 2026-03-09 or RFC 3339.")],
    asn: Annotated[bool, typer.Option("--asn", help="An advance ship notice says so.")] = False,
    supplier: Annotated[str | None, typer.Option(help="Who sends it.")] = None,
    unit: UnitOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """State a line of a purchase order; the latest statement counts.

    Example: orderlog stock expect MUG LON 144 --supply PO-1077 --by 2026-03-09
    """
    body = {
        "sku": sku,
        "supply_id": supply,
        "node": node,
        "quantity": quantity,
        "expected_at": moment(by).isoformat(),
        "stated_at": _now(),
        "document": "asn" if asn else "purchase_order",
        "supplier": supplier,
        **stating(unit),
    }
    data = _post("/v1/stock/supplies", body, tenant, json)
    still = f"{count(data['open'], 'unit')} of {sku}" if data else sku
    tell(f"{still} expected at {node} under {supply}.")


def arrive(
    sku: Sku,
    node: Node,
    quantity: Units,
    supply: Supply,
    receipt: Receipt,
    damaged: Damaged = 0,
    final: Final = False,
    unit: UnitOption = None,
    lot: LotOption = None,
    expires: ExpiresOption = None,
    serial: SerialOption = None,
    damaged_serial: DamagedSerialOption = None,
    effective_at: Effective = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Receive units of a purchase order; what is over, short or broken is told.

    Example: orderlog stock arrive MUG LON 140 --supply PO-1077 --receipt GR-1 --damaged 2 --final
    """
    body = {
        "sku": sku,
        "supply_id": supply,
        "receipt_id": receipt,
        "node": node,
        "quantity": quantity,
        "damaged": damaged,
        "final": final,
        **(stating(unit) | of_lot(lot, expires)),
        **of_units(serial, damaged_serial),
        **_true_at(effective_at),
    }
    data = _post("/v1/stock/supplies/receipts", body, tenant, json)
    tell(f"{worded(quantity + damaged, unit)} of {sku} arrived at {node} under {supply}: {_came(data)}.")


def cancel_supply(
    sku: Sku,
    supply: Supply,
    reason: Annotated[str, typer.Option(help="In a sentence.")] = "",
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Expect a line of a purchase order no more: what has not arrived will not.

    Example: orderlog stock cancel-supply MUG --supply PO-1077 --reason "The kiln is broken."
    """
    body = {"sku": sku, "supply_id": supply, "reason": reason}
    data = _post("/v1/stock/supplies/cancellations", body, tenant, json)
    lacking = count(data["quantity"], "unit") if "quantity" in data else "Nothing more"
    tell(f"{lacking} of {sku} under {supply} will not come." if data else f"{supply} was done with already.")


def dispatch(
    sku: Sku,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The node that they leave.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The node that awaits them.")],
    quantity: Units,
    transfer: TransferId,
    due: Annotated[str, typer.Option(help="When it is overdue: 2026-03-09 or RFC 3339.")],
    lot: LotsOption = None,
    serial: SerialOption = None,
    effective_at: Effective = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Send units to another node; of a SKU with lots, those that are named, else those that expire first.

    Example: orderlog stock dispatch MUG LON LEE 12 --transfer T-12 --due 2026-03-05

    Example: orderlog stock dispatch MILK LON LEE 12 --transfer T-13 --due 2026-03-05 --lot L-1=8 --lot L-2=4
    """
    body = {
        "sku": sku,
        "transfer_id": transfer,
        "source_node": source,
        "target_node": target,
        "quantity": quantity,
        "due_at": moment(due).isoformat(),
        **of_units(serial),
        **of_lots(lot, quantity),
        **_true_at(effective_at),
    }
    data = _post("/v1/stock/transfers", body, tenant, json)
    lots = ", ".join(f"{one['quantity']:,} of lot {one['lot']}" for one in data.get("lots") or ())
    tell(f"{count(quantity, 'unit')} of {sku} left {source} for {target}{f': {lots}' if lots else ''}.")


def land(
    sku: Sku,
    quantity: Units,
    transfer: TransferId,
    receipt: Receipt,
    damaged: Damaged = 0,
    final: Final = False,
    lot: LotsOption = None,
    damaged_lot: DamagedLotsOption = None,
    serial: SerialOption = None,
    damaged_serial: DamagedSerialOption = None,
    effective_at: Effective = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Receive units of a transfer; what is over, short or broken is told.

    Example: orderlog stock land MUG 11 --transfer T-12 --receipt TR-1 --damaged 1
    """
    body = {
        "sku": sku,
        "transfer_id": transfer,
        "receipt_id": receipt,
        "quantity": quantity,
        "damaged": damaged,
        "final": final,
        **of_units(serial, damaged_serial),
        **of_lots(lot, quantity),
        **of_lots(damaged_lot, damaged, "damaged_lots"),
        **_true_at(effective_at),
    }
    data = _post("/v1/stock/transfers/receipts", body, tenant, json)
    came = _came(data) if "outcome" in data else "nobody has dispatched it yet, so it waits"
    tell(f"{count(quantity + damaged, 'unit')} of {sku} arrived under {transfer}: {came}.")


def close_transfer(
    sku: Sku,
    transfer: TransferId,
    outcome: Annotated[str, typer.Option(help="lost, or returned to where they came from.")],
    reason: Annotated[str, typer.Option(help="In a sentence.")] = "",
    serial: SerialOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say what became of units that never arrived.

    Example: orderlog stock close-transfer MUG --transfer T-12 --outcome lost --reason "Lorry robbed."
    """
    body = {"sku": sku, "transfer_id": transfer, "outcome": outcome, "reason": reason, **of_units(serial)}
    data = _post("/v1/stock/transfers/closings", body, tenant, json)
    tell(f"{outcome.capitalize()}: {count(data['quantity'], 'unit')} of {sku} under {transfer}.")


def move(
    sku: Sku,
    node: Node,
    quantity: Units,
    source: Annotated[str, typer.Option("--from", help="on_hand, quarantine or damaged.")],
    target: Annotated[str, typer.Option("--to", help="on_hand, quarantine, damaged or scrapped.")],
    reason: Annotated[str, typer.Option(help="A reason code: recall, released, broken, …")],
    reference: Annotated[str | None, typer.Option(help="Of which document: a transfer.")] = None,
    lot: LotOption = None,
    serial: SerialOption = None,
    effective_at: Effective = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Put units into quarantine, release them, find them broken, mend or scrap them.

    Example: orderlog stock move MUG LON 6 --from on_hand --to quarantine --reason recall
    """
    body: dict[str, Any] = {"sku": sku, "node": node, "source": source, "target": target}
    body |= {"quantity": quantity, "reason_code": reason, **of_lot(lot), **of_units(serial)}
    if reference is not None:
        body["reference"] = reference
    body |= _true_at(effective_at)
    _post("/v1/stock/moves", body, tenant, json)
    tell(f"{count(quantity, 'unit')} of {sku} at {node} went from {source} to {target}: {reason}.")


def record_count(
    sku: Sku,
    node: Node,
    counted: Annotated[int, typer.Argument(metavar="COUNTED", min=0, help="Units that are there.")],
    at: Annotated[str | None, typer.Option(help="When it was counted; else now.")] = None,
    id_: Annotated[str | None, typer.Option("--count", help="Its number: the same is booked once.")] = None,
    reason: Annotated[str, typer.Option(help="A reason code: count, cycle, audit, …")] = "count",
    unit: UnitOption = None,
    lot: LotCountsOption = None,
    serial: SerialOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Record a count of what is on a shelf, set aside for orders included. What moved since stands.

    Example: orderlog stock count MUG LON 138 --at 2026-03-02T09:00:00Z --count CC-77

    Example: orderlog stock count MILK LON 18 --lot L-1=6 --lot L-2=12
    """
    body = {
        "sku": sku,
        "node": node,
        "count_id": id_ or str(uuid4()),
        "counted": counted,
        "counted_at": moment(at).isoformat() if at else _now(),
        "reason_code": reason,
        **stating(unit),
        **counted_lots(lot),
        **of_units(serial),
    }
    data = _post("/v1/stock/counts", body, tenant, json)
    said = f"{worded(counted, unit, '')} of {sku} counted at {node}, "
    said += f"{data['book']:,} on the books then: {data['variance']:+,}"
    waits = f"; it waits for a person: orderlog stock settle {sku} {body['count_id']} --approve"
    tell(f"{said}, {data['outcome']}{waits if data['outcome'] == 'held' else ''}.")
    for one in data.get("lots") or ():
        found = f"{one['counted']:,} counted, {one['book']:,} on the books"
        tell(f"  lot {one['lot']}: {found}: {one['counted'] - one['book']:+,}")


def differences(tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False) -> None:
    """Counts and differences with other systems that wait for a person.

    Example: orderlog stock differences --tenant demo-1
    """
    found: list[dict[str, Any]] = []
    with connect(tenant) as edges:
        while page := edges.get(
            "inventory", "/v1/stock/differences", limit=500, after=found[-1]["sku"] if found else None
        )["differences"]:
            found += page
    drawn = table("SKU", "node", "difference#", "from", "as of (UTC)", "id")
    for one in found:
        as_of = utc(one["as_of"], "%Y-%m-%d %H:%M")
        add_row(
            drawn, one["sku"], one["node"], f"{one['variance']:+,}", one["source"], as_of, one["proposal_id"]
        )
    console.print(drawn) if found else tell("Nothing waits.")
    if json:
        emit({"ok": True, "tenant": tenant, "differences": found})


def settle(
    sku: Sku,
    proposal: Annotated[str, typer.Argument(metavar="ID", help="The count's or proposal's id.")],
    approve: Annotated[
        bool, typer.Option("--approve/--reject", help="Book it, or leave things as they are.")
    ],
    note: Annotated[str, typer.Option(help="Why, in a sentence.")] = "",
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Approve a difference, so that the ledger follows it, or reject it.

    Example: orderlog stock settle MUG CC-77 --approve --note "Counted twice."
    """
    body = {"sku": sku, "proposal_id": proposal, "approve": approve, "note": note}
    data = _post("/v1/stock/settlements", body, tenant, json)
    done = "is booked" if approve else "is rejected, and nothing is changed"
    tell(f"{data['variance']:+,} of {sku} at {data['node']} {done}.")


def show_supply(sku: Sku, tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False) -> None:
    """What is to come of a SKU, what is on its way between nodes, and what of it is not sold.

    Example: orderlog stock supply MUG
    """
    with connect(tenant) as edges:
        found = edges.get("inventory", f"/v1/stock/{quote(sku, safe='')}/supply")
    for bucket, nodes in found["units"].items():
        for node, units in nodes.items():
            tell(f"{units:,} {bucket.replace('_', ' ')} at {node}")
    drawn = table("document", "from", "node", "still to come#", "by (UTC)")
    for one in found["expected"]:
        sender, open_ = one.get("supplier") or "–", f"{one['open']:,}"
        add_row(drawn, one["supply_id"], sender, one["node"], open_, utc(one["expected_at"]))
    for one in found["transfers"]:
        to = f"{one['source_node']} → {one['target_node']}" if one["source_node"] else "not dispatched yet"
        add_row(drawn, one["transfer_id"], "–", to, f"{one['open']:,}", utc(one["due_at"]))
    if found["expected"] or found["transfers"]:
        console.print(drawn)
    else:
        tell(f"Nothing of {sku} is to come.")
    if json:
        emit({"ok": True, "tenant": tenant, **found})


def register(parent: typer.Typer) -> None:
    """Add the commands about supply."""
    for name, command in (
        ("expect", expect),
        ("arrive", arrive),
        ("cancel-supply", cancel_supply),
        ("dispatch", dispatch),
        ("land", land),
        ("close-transfer", close_transfer),
        ("move", move),
        ("count", record_count),
        ("differences", differences),
        ("settle", settle),
        ("supply", show_supply),
    ):
        parent.command(name)(command)


def _post(path: str, body: dict[str, Any], tenant: str, json: bool) -> dict[str, Any]:
    """Send it and wait; the payload of the event that answers it, or nothing when it was that already."""
    with connect(tenant) as edges:
        answer = edges.decided("inventory", path, body)
    events = answer["events"]
    main = [event for event in events if not event["type"].endswith(("stock_pegged", "reservation_broken"))]
    if json:
        types = [event["type"] for event in events]
        emit({"ok": True, "tenant": tenant, "events": types, **(main[0]["data"] if main else body)})
    return dict(main[0]["data"]) if main else {}


def _true_at(effective_at: str | None) -> dict[str, str]:
    """The part of a body that says when it was true, where that was not now."""
    return {"effective_at": moment(effective_at).isoformat()} if effective_at else {}


def _came(data: dict[str, Any]) -> str:
    """`partial, 6 still to come`."""
    said = str(data["outcome"])
    if data.get("over"):
        said += f", {count(data['over'], 'unit')} more than expected"
    if data.get("short"):
        said += f", {count(data['short'], 'unit')} lacking"
    if data.get("open"):
        said += f", {count(data['open'], 'unit')} still to come"
    return said


def _now() -> str:
    return datetime.now(UTC).isoformat()
