"""`orderlog stock`: receive units, correct what is on hand, show where a SKU's units are, or were, and who
waits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import (
    promise_terms,
    promises,
    stock_bundles,
    stock_channel_days,
    stock_feed,
    stock_feed_map,
    stock_feeds,
    stock_idle,
    stock_items,
    stock_load,
    stock_lots,
    stock_needs,
    stock_past,
    stock_policies,
    stock_queue,
    stock_reconcile,
    stock_rules,
    stock_serials,
    stock_substitutes,
    stock_supply,
)
from cli.client import DEFAULT_TENANT, Edges, Refused, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.stock_items import UnitOption, stating, worded
from cli.stock_lots import ExpiresOption, LotOption, of_lot
from cli.stock_past import AtOption, KnownAtOption, must_be_node
from cli.stock_serials import SerialOption, of_units
from cli.text import add_row, count, tell, utc

app = typer.Typer(no_args_is_help=True, help="Receive, correct and look up stock.")

WAITING_SHOWN_MAX = 20
PHYSICAL = (
    *("on_hand", "allocated", "suspect", "quarantine", "damaged", "vendor", "inbound", "in_transit"),
    *("issued", "missing", "written_off", "scrapped"),
)
"""Buckets of units that are, were or will be in a building; the others are the ledger's other sides."""

SkuArgument = Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="The warehouse, store or vendor.")]
ReferenceOption = Annotated[str | None, typer.Option(help="The document it stands on.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="The same key again is the same delivery or correction."),
]
EffectiveOption = Annotated[
    str | None, typer.Option("--effective-at", help="When it was true, if not now: RFC 3339.")
]


@app.command("receive")
def receive(
    sku: SkuArgument,
    node: NodeArgument,
    quantity: Annotated[int, typer.Argument(metavar="QTY", help="Whole units.")],
    unit: UnitOption = None,
    lot: LotOption = None,
    expires: ExpiresOption = None,
    serial: SerialOption = None,
    reference: ReferenceOption = None,
    effective_at: EffectiveOption = None,
    key: KeyOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Units arrived at a node; orders that wait for them are served, oldest first.

    Example: orderlog stock receive 85123A LON 40 --reference PO-1077
    """
    body: dict[str, object] = {
        "sku": sku,
        "node": node,
        "quantity": quantity,
        "reference": reference,
        **stating(unit),
    }
    body |= of_lot(lot, expires) | of_units(serial) | ({"effective_at": effective_at} if effective_at else {})
    _post(
        "/v1/stock/receipts",
        body,
        key,
        tenant,
        f"Received {worded(quantity, unit)} of {sku} at {node}.",
        json,
    )


# A negative number is an argument, not an option.
@app.command("adjust", context_settings={"ignore_unknown_options": True})
def adjust(
    sku: SkuArgument,
    node: NodeArgument,
    delta: Annotated[int, typer.Argument(metavar="DELTA", help="Units found (+) or gone (-).")],
    reason: Annotated[str, typer.Option(help="A reason code: count, damaged, stolen, …")],
    unit: UnitOption = None,
    lot: LotOption = None,
    serial: SerialOption = None,
    reference: ReferenceOption = None,
    effective_at: EffectiveOption = None,
    key: KeyOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Correct what is on hand at a node, with a reason.

    Example: orderlog stock adjust 85123A LON -2 --reason damaged
    """
    body = {"sku": sku, "node": node, "delta": delta, "reason_code": reason, "reference": reference}
    body |= {**stating(unit), **of_lot(lot), **of_units(serial)}
    body |= {"effective_at": effective_at} if effective_at else {}
    said = f"On hand of {sku} at {node} is corrected by {delta:+,}{f' {unit}' if unit else ''}: {reason}."
    _post("/v1/stock/adjustments", body, key, tenant, said, json)


@app.command("show")
def show(
    sku: SkuArgument,
    at: AtOption = None,
    known_at: KnownAtOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """A SKU: its units by node and bucket, what is promised, what is free, and which orders wait.

    With --at or --known-at, as of then: exact for any past moment, from the ledger, and what of it could have
    been promised by the terms of the SKU.

    Example: orderlog stock show 85123A --at 2026-03-02T09:00:00Z --known-at 2026-03-02T09:00:00Z
    """
    if at or known_at:
        with connect(tenant) as edges:
            found = stock_past.ask(edges, sku, at, known_at)
        _tell_units(sku, found)
        stock_lots.tell_lots(found.get("lots", []))
        stock_past.tell_when(found)
        if json:
            emit({"ok": True, "tenant": tenant, **found})
        return
    with connect(tenant) as edges:
        waiting, more = _waiting(edges, sku)
        found = _balances(edges, sku, never_is_none=bool(waiting))
        found["channels"] = stock_past.channels(edges, sku)
    _tell_units(sku, found)
    stock_past.tell_channels(found["channels"])
    _tell_waiting(waiting, more)
    if json:
        emit({"ok": True, "tenant": tenant, **found, "waiting": waiting, "more_waiting": more})


def _left(found: dict[str, Any]) -> str:
    """What is nobody's now; as of then, what could have been promised of it by the terms of the SKU."""
    if "available" in found:
        return f"{found['available']:,} available to promise"
    return f"{found['free']:,} free"


def _held(found: dict[str, Any]) -> str:
    return f"{found['held']:,} held at checkout, " if found["held"] else ""


@app.command("availability")
def availability(
    wanted: promises.WantedArgument,
    channel: Annotated[str | None, typer.Option(help="For this channel.")] = None,
    node: Annotated[str | None, typer.Option(help="Of this node's units alone.")] = None,
    order_type: Annotated[str | None, typer.Option("--type", help="Its order's type.")] = None,
    country: Annotated[
        str | None, typer.Option(help="Where it would go, such as GB; then it is told by when.")
    ] = None,
    service: Annotated[str | None, typer.Option(help="As its order would name it.")] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """What of a basket could be promised now. Nothing is claimed; `promise hold` does that.

    Example: orderlog stock availability MUG=2 TEA=1 --channel web --json
    """
    body: dict[str, Any] = {"lines": promises.read_wanted(wanted), "channel": channel}
    more = {"node": node, "service": service, "order_type": order_type}
    body |= {name: value for name, value in more.items() if value is not None}
    if country is not None:
        body["destination"] = {"country": country.upper()}
    with connect(tenant) as edges:
        told = edges.send("inventory", "/v1/availability", body)
        if node is not None and not told["available"]:
            must_be_node(edges, node)
    whole = "All of it can be promised" if told["available"] else "Not all of it can be promised"
    tell(f"{whole}{f' to {channel}' if channel else ''}{f' from {node}' if node else ''} now.")
    names = (
        "quantity",
        "available",
        "shown",
        "on_hand",
        "promised",
        "safety_stock",
        "kept_for_others",
        "waiting",
    )
    drawn = table("SKU", *(f"{name.replace('_', ' ')}#" for name in ("wanted", *names[1:])))
    for one in told["skus"]:
        add_row(drawn, one["sku"], *(f"{one[name]:,}" for name in names))
        for part in one.get("parts", ()):
            add_row(drawn, f"part: {part['sku']}", *(f"{part[name]:,}" for name in names))
    console.print(drawn)
    for one in told["skus"]:
        if (limits := one.get("backorders")) is not None:
            tell(may_wait(one["sku"], limits))
    if told.get("delivery") is not None:
        for one in told["skus"]:
            steps = (f"{step['quantity']:,} from {utc(step['from'])}" for step in one["atp"])
            tell(f"{one['sku']} can be promised: {', '.join(steps)}.")
        tell(promises.arrival(told["delivery"]))
    if json:
        emit({"ok": True, "tenant": tenant, **told})


def may_wait(sku: str, limits: Mapping[str, Any]) -> str:
    """How many more units may be waited for, and when, of a SKU that limits it
    (`libs.events.backorders.OpenBackorders`)."""
    units = limits["units"]
    many = "Any number of units" if units is None else count(units, "more unit")
    begins, ends = limits["opens_at"], limits["closes_at"]
    when = f" from {begins}" * bool(begins) + f" until {ends}" * bool(ends)
    return f"{many} of {sku} may be waited for{when}."


def register(parent: typer.Typer) -> None:
    """Add `stock` to the command line."""
    for module in (
        stock_supply,
        stock_items,
        stock_lots,
        stock_serials,
        stock_idle,
        stock_feed,
        stock_feed_map,
        stock_feeds,
        stock_load,
        stock_reconcile,
        stock_needs,
        stock_rules,
        stock_policies,
        stock_channel_days,
        stock_queue,
        stock_substitutes,
    ):
        module.register(app)
    promise_terms.register(promises.app)
    app.add_typer(promises.app, name="promise")
    app.add_typer(stock_bundles.app, name="bundle")
    stock_past.register(app)
    parent.add_typer(app, name="stock")


def _post(path: str, body: dict[str, object], key: str | None, tenant: str, said: str, json: bool) -> None:
    with connect(tenant) as edges:
        answer = edges.decided("inventory", path, body, key=key)
    tell(said)
    changes: Counter[str] = Counter()
    for event in answer["events"]:
        for claim in event["data"].get("claims", ()):
            changes[claim["order_id"]] += claim["quantity"]
        if event["type"].endswith("stock_pegged"):
            tell(f"Set aside for waiting orders: {_claims(event)}.")
        elif event["type"].endswith("reservation_broken"):
            tell(f"Promises that had to be broken: {_claims(event)}.", "yellow")
    if json:
        emit(
            {
                "ok": True,
                "tenant": tenant,
                **body,
                "command_id": answer["command_id"],
                "events": [event["type"] for event in answer["events"]],
                "claims": dict(changes),
            }
        )


def _tell_units(sku: str, found: dict[str, Any]) -> None:
    tell(
        f"{sku}: {found['on_hand']:,} on hand, {found['reserved']:,} reserved, {_held(found)}{_left(found)}",
        "bold",
    )
    drawn = table("node", *(f"{bucket.replace('_', ' ')}#" for bucket in _used(found["nodes"])))
    for one in found["nodes"]:
        units = (one["buckets"].get(bucket, 0) for bucket in _used(found["nodes"]))
        add_row(drawn, one["node"], *(f"{number:,}" if number else "–" for number in units))
    if found["nodes"]:
        console.print(drawn)


def _claims(event: dict[str, Any]) -> str:
    claims = event["data"]["claims"]
    units = count(sum(claim["quantity"] for claim in claims), "unit")
    return f"{units} of {count(len(claims), 'order')}"


def _balances(edges: Edges, sku: str, never_is_none: bool) -> dict[str, Any]:
    """What the console knows of a SKU; one that never had units but is waited for has none of them."""
    try:
        return edges.get("console", f"/v1/stock/{quote(sku, safe='')}")
    except Refused as refused:
        if refused.code != "unknown_sku" or not never_is_none:
            raise
        none = dict.fromkeys(("on_hand", "reserved", "held", "free", "allocated", "issued"), 0)
        return {"sku": sku, **none, "nodes": []}


def _used(nodes: Sequence[dict[str, Any]]) -> list[str]:
    """Buckets worth a column: on hand and allocated always, the others where they hold something."""
    used = {bucket for one in nodes for bucket, units in one["buckets"].items() if units}
    return [bucket for bucket in PHYSICAL if bucket in used or bucket in ("on_hand", "allocated")]


def _waiting(edges: Edges, sku: str) -> tuple[list[dict[str, Any]], int]:
    """Backordered orders that lack this SKU, the oldest first, and how many more are backordered with it."""
    orders = list(edges.pages("/v1/orders", "orders", sku=sku, status="backordered"))[::-1]
    waiting = []
    rest = iter(orders)
    for order in islice(rest, WAITING_SHOWN_MAX):
        found = edges.get("console", f"/v1/orders/{order['order_id']}")
        lacking = sum(item["quantity"] for item in found["waits_for"] if item["sku"] == sku)
        if lacking:
            names = ("order_id", "channel", "external_id", "ordered_at")
            waiting.append({name: order[name] for name in names} | {"units": lacking})
    return waiting, sum(1 for _ in rest)


def _tell_waiting(waiting: Sequence[dict[str, Any]], more: int) -> None:
    if not waiting:
        tell("No order waits for it.")
        return
    drawn = table("waits for it, oldest first", "lacks#", "placed (UTC)")
    for one in waiting:
        placed = utc(one["ordered_at"], "%Y-%m-%d %H:%M")
        add_row(drawn, f"{one['channel']}/{one['external_id']}", f"{one['units']:,}", placed)
    console.print()
    console.print(drawn)
    if more:
        tell(f"… and up to {count(more, 'order')} more.")
