"""The query API: orders, timelines, stock and reservations of the caller's tenant. It changes nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from libs.events.contract import Name, NodeId, OrderId, Sku
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.console.cursor import CURSOR_LENGTH_MAX, Part, read_cursor, write_cursor
from services.console.facts import Units
from services.console.queries import OrderFilter, Queries, Row, key_of
from services.console.standing import STATUSES, line_standings, returned_units, work_state
from services.console.stored import read_state

LIMIT_MAX = 200
TIMELINE_MAX = 1000
MILESTONES = ("confirmed", "paid", "routed", "picking", "shipped", "picked_up", "delivered")

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Rows of a page.")]
After = Annotated[
    str | None, Query(max_length=CURSOR_LENGTH_MAX, description="The `next` of the page before.")
]
Ends = Callable[[], Awaitable[Mapping[str, int]]]
"""Records that each events topic holds now."""


class Gate(Protocol):
    """Who may come in (`libs.runtime.edge`)."""

    def require(self, *roles: str) -> Callable[[Request], Awaitable[Claims]]: ...


def routes(gate: Gate, queries: Queries, ends: Ends) -> APIRouter:
    """Everything under /v1; for each role."""
    router = APIRouter(prefix="/v1")
    reader = Annotated[Claims, Depends(gate.require("viewer", "support", "operator", "integrator"))]
    _order_routes(router, reader, queries)
    _stock_routes(router, reader, queries)

    @router.get("/summary", tags=["orders"], summary="Orders by status, and how far the projection has read")
    async def summary(claims: reader) -> Response:
        counts, consumed, latest = await queries.summary(claims.tenant)
        held = await ends()
        topics = {topic: max(0, end - consumed.get(topic, 0)) for topic, end in sorted(held.items())}
        statuses = {status: counts[status] for status in STATUSES if status in counts}
        return _json(
            {
                "orders": sum(counts.values()),
                "by_status": statuses,
                "as_of": {"event_at": latest, "lag": sum(topics.values()), "lag_by_topic": topics},
            }
        )

    return router


def _order_routes(router: APIRouter, reader: Any, queries: Queries) -> None:
    @router.get("/orders", tags=["orders"], summary="Orders, the newest first")
    async def orders(
        claims: reader,
        status: Annotated[str | None, Query(description=", ".join(STATUSES))] = None,
        channel: Annotated[Name | None, Query()] = None,
        external_id: Annotated[Name | None, Query()] = None,
        sku: Annotated[Sku | None, Query(description="Orders with a line of this SKU.")] = None,
        since: Annotated[datetime | None, Query(alias="from", description="Placed then or later.")] = None,
        before: Annotated[datetime | None, Query(alias="to", description="Placed before then.")] = None,
        limit: Limit = 50,
        after: After = None,
    ) -> Response:
        wanted = OrderFilter(
            _status(status), channel, external_id, sku, _time("from", since), _time("to", before)
        )
        place = _place("orders", after, (datetime, str))
        rows = await queries.orders(claims.tenant, wanted, place, limit + 1)
        return _page("orders", rows, limit, ("ordered_at", "order_id"), _order)

    @router.get("/orders/{order_id}", tags=["orders"], summary="One order, with everything known of it")
    async def order(claims: reader, order_id: OrderId) -> Response:
        found = await queries.order(claims.tenant, order_id, TIMELINE_MAX + 1)
        if found is None:
            raise _unknown_order(order_id)
        row, claims_on_stock, entries = found
        shown, following = _cut("timeline", entries, TIMELINE_MAX, _TIMELINE_KEY)
        return _json(
            _detail(row)
            | {
                "reservations": [dict(claim) for claim in claims_on_stock],
                "timeline": [_entry(entry) for entry in shown],
                "timeline_next": following,
            }
        )

    @router.get("/orders/{order_id}/timeline", tags=["orders"], summary="What happened to an order, in order")
    async def timeline(
        claims: reader, order_id: OrderId, limit: Limit = 100, after: After = None
    ) -> Response:
        place = _place("timeline", after, (datetime, str, int, int))
        rows = await queries.timeline(claims.tenant, order_id, place, limit + 1)
        if not rows and place is None:
            raise _unknown_order(order_id)
        return _page("timeline", rows, limit, _TIMELINE_KEY, _entry)


def _stock_routes(router: APIRouter, reader: Any, queries: Queries) -> None:
    @router.get("/stock", tags=["stock"], summary="Balances by SKU, node and bucket")
    async def stock(
        claims: reader,
        sku: Annotated[Sku | None, Query()] = None,
        node: Annotated[NodeId | None, Query()] = None,
        limit: Limit = 100,
        after: After = None,
    ) -> Response:
        place = _place("stock", after, (str, str, str))
        rows = await queries.stock(claims.tenant, sku, node, place, limit + 1)
        return _page("stock", rows, limit, ("sku", "node", "bucket"), dict)

    @router.get("/stock/{sku}", tags=["stock"], summary="One SKU: what there is, where, and what is promised")
    async def stock_of_sku(claims: reader, sku: Sku) -> Response:
        rows = await queries.stock(claims.tenant, sku, None, None, 10_000)
        if not rows:
            raise Problem(
                404,
                "unknown_sku",
                "No such SKU",
                f"No movement of SKU {sku} has been projected for your tenant.",
                "Check its spelling (case matters), or list what there is: GET /v1/stock.",
            )
        return _json(_sku(sku, rows))

    @router.get("/reservations", tags=["stock"], summary="Orders' claims on stock")
    async def reservations(
        claims: reader,
        order_id: Annotated[OrderId | None, Query()] = None,
        sku: Annotated[Sku | None, Query()] = None,
        limit: Limit = 100,
        after: After = None,
    ) -> Response:
        place = _place("reservations", after, (str, str))
        rows = await queries.reservations(claims.tenant, order_id, sku, place, limit + 1)
        return _page("reservations", rows, limit, ("order_id", "sku"), dict)


_TIMELINE_KEY = ("at", "stage", "lane", "sequence")


def _order(row: Row) -> dict[str, Any]:
    """An order as a list shows it."""
    moments = {name: row[f"{name}_at"] for name in MILESTONES}
    rest = {name: value for name, value in row.items() if name.removesuffix("_at") not in moments}
    return {**rest, "milestones": moments}


def _detail(row: Row) -> dict[str, Any]:
    """An order with its facts, by what they are about."""
    state = read_state(row["facts"])
    intake, work, back = state.intake, state.fulfillment, returned_units(state)
    prices = {line.line: line for line in intake.lines}
    summary = {name: value for name, value in _order(row).items() if name not in ("facts", "tenant")}
    return summary | {
        "payment": intake.payment,
        "data_subject": intake.subject,
        "destination": {"country": intake.country, "postcode_area": intake.postcode_area},
        "charges": intake.charges,
        "reasons": intake.reasons,
        "holds": intake.holds,
        "cancellation": {
            "requested_at": intake.cancellation_requested_at,
            "reason": intake.cancellation_reason,
            "cancelled_at": work.cancelled_at,
            "declined_at": work.cancellation_declined_at,
            "declined_reason": work.cancellation_declined_reason,
        },
        "closed_at": intake.closed_at,
        "lines": [
            {
                "line": line.line,
                "sku": line.sku,
                "ordered": line.ordered,
                "unit_price_minor": prices[line.line].unit_price_minor if line.line in prices else None,
                "description": prices[line.line].description if line.line in prices else None,
                "units": line.units,
                "returned": back.get(line.line, 0),
            }
            for line in line_standings(state)
        ],
        "waits_for": state.inventory.waits_for,
        "routing": state.routing.decisions,
        "fulfillment_orders": [
            {"fulfillment_order_id": name, "state": work_state(one), **_by_line(asdict(one))}
            for name, one in work.work.items()
        ],
        "shipments": [{"shipment_id": name, **_by_line(asdict(one))} for name, one in work.shipments.items()],
        "returns": [{"rma_id": name, **_by_line(asdict(one))} for name, one in state.returns.rmas.items()],
        "refunds": [
            {"refund_id": name, **_by_line(asdict(one))} for name, one in state.returns.refunds.items()
        ],
        "messages": [
            {"message_id": name, **asdict(one)} for name, one in state.notifications.messages.items()
        ],
    }


def _by_line(facts: dict[str, Any]) -> dict[str, Any]:
    """Units by line as rows: [{line, quantity}]."""
    return {
        name: _unit_rows(value) if name in ("lines", "picked", "short", "delivered", "lost") else value
        for name, value in facts.items()
    }


def _unit_rows(units: Units) -> list[dict[str, int]]:
    return [{"line": line, "quantity": quantity} for line, quantity in sorted(units.items())]


def _entry(row: Row) -> dict[str, Any]:
    """One event of a timeline. `cause.type` is none for a command or a timer."""
    entry = {name: value for name, value in row.items() if name not in ("causation_id", "cause_type")}
    return entry | {"cause": {"id": row["causation_id"], "type": row["cause_type"]}}


def _sku(sku: str, rows: Sequence[Row]) -> dict[str, Any]:
    """A SKU's balances by node, and its network totals. `available` is what nobody has a claim on."""
    nodes: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for row in rows:
        nodes.setdefault(row["node"], {})[row["bucket"]] = row["quantity"]
        totals[row["bucket"]] = totals.get(row["bucket"], 0) + row["quantity"]
    network = nodes.pop("*", {})
    on_hand, reserved, held = totals.get("on_hand", 0), network.get("reserved", 0), network.get("held", 0)
    return {
        "sku": sku,
        "on_hand": on_hand,
        "reserved": reserved,
        "held": held,
        "available": on_hand - reserved - held,
        "allocated": totals.get("allocated", 0),
        "issued": totals.get("issued", 0),
        "nodes": [{"node": node, "buckets": buckets} for node, buckets in nodes.items()],
    }


def _status(text: str | None) -> str | None:
    if text is None or text in STATUSES:
        return text
    raise Problem(
        422,
        "unknown_status",
        "No such status",
        "`status` is none that an order can have.",
        f"Take one of {', '.join(STATUSES)}.",
    )


def _time(name: str, at: datetime | None) -> datetime | None:
    """UTC; a date, or a time without a zone, is taken as UTC."""
    if at is None:
        return None
    if not 1900 <= at.year < 3000:
        raise Problem(
            422,
            "invalid_time",
            "That is not a time of an order",
            f"`{name}` is outside the years 1900 to 2999.",
            "Send a date or a time as in RFC 3339, e.g. 2026-03-02 or 2026-03-02T09:00:00Z.",
        )
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _place(kind: str, after: str | None, types: Sequence[type[Part]]) -> Any:
    return None if after is None else tuple(read_cursor(kind, after, types))


def _cut(kind: str, rows: list[Row], limit: int, key: Sequence[str]) -> tuple[list[Row], str | None]:
    """The rows of the page, and the cursor of the next, from one row more than asked for."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], write_cursor(kind, key_of(rows[limit - 1], key))


def _page(
    kind: str, rows: list[Row], limit: int, key: Sequence[str], show: Callable[[Row], dict[str, Any]]
) -> Response:
    shown, following = _cut(kind, rows, limit, key)
    return _json({kind: [show(row) for row in shown], "next": following})


def _unknown_order(order_id: str) -> Problem:
    return Problem(
        404,
        "unknown_order",
        "No such order",
        f"Order {order_id} has not been projected for your tenant.",
        "Check the id; one just submitted shows within a second (GET /v1/summary tells the lag).",
    )


def _json(document: Mapping[str, Any]) -> Response:
    return Response(
        orjson.dumps(document, default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z),
        media_type="application/json",
    )


def _plain(value: object) -> object:
    """asyncpg's own UUID type is not orjson's."""
    return str(value)
