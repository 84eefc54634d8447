"""The query API: orders, timelines, stock and reservations of the caller's tenant. It changes nothing."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from libs.events.contract import Country, Name, NodeId, OrderId, Sku
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims, while_good
from services.console.answers import Fields, answer, selected
from services.console.at_work import steps_of
from services.console.change_view import preview_amend
from services.console.contacts import Contacts
from services.console.cursor import CURSOR_LENGTH_MAX, Part, read_cursor, write_cursor
from services.console.documents import order_document, order_row, timeline_entry
from services.console.feed import PLACE_LENGTH_MAX, Feed, read_told, write_told
from services.console.finder import Finder
from services.console.own_writes import MinVersion, OwnWrites
from services.console.queries import TIMELINE_KEY, OrderFilter, Queries, Row, key_of
from services.console.search.terms import QUERY_LENGTH_MAX
from services.console.standing import STATUSES
from services.console.stored import read_state

LIMIT_MAX = 200
TIMELINE_MAX = 1000

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Rows of a page.")]
After = Annotated[
    str | None, Query(max_length=CURSOR_LENGTH_MAX, description="The `next` of the page before.")
]
READERS = ("viewer", "support", "operator", "rule_editor", "auditor", "integrator")
"""Roles of tokens that may read here: those of the console's people, of whom each may, and of programs."""
SEES_PERSONAL = frozenset({"support", "operator", "admin"})
"""Roles of tokens that may find customers by name, mail, phone or postcode."""
_Q = (
    "Parts of words: of an order id (its beginning), external id, customer id, tracking number, SKU, article;"
    " and, for roles that may see personal data, of the customer's name, mail, phone or postcode."
)
_PROMISE = (
    "Only open orders that are late, or at risk, or all that were promised for a day; what is or will be late"
    " longest first."
)
Promise = Literal["late", "at_risk", "promised"]
_AFTER = "The `next` of the page before, the same while nothing is new; without it, from the beginning."
LastEventId = Annotated[
    str | None, Header(max_length=PLACE_LENGTH_MAX, description="Resume behind the event with this id.")
]
Ends = Callable[[], Awaitable[Mapping[str, int]]]
"""Records that each events topic holds now."""


class Gate(Protocol):
    """Who may come in (`libs.runtime.edge`)."""

    def require(self, *roles: str) -> Callable[[Request], Awaitable[Claims]]: ...


@dataclass(frozen=True, slots=True)
class Reads:
    """What the API answers from. `ends`: how many records each topic holds."""

    queries: Queries
    contacts: Contacts
    own_writes: OwnWrites
    feed: Feed
    ends: Ends


def routes(gate: Gate, reads: Reads) -> APIRouter:
    """Everything under /v1; for each role."""
    router = APIRouter(prefix="/v1")
    reader = Annotated[Claims, Depends(gate.require(*READERS))]
    _list_routes(router, reader, reads)
    _order_routes(router, reader, reads)
    _amend_route(router, reader, reads)
    _feed_routes(router, reader, reads.feed)
    _stock_routes(router, reader, reads.queries, reads.own_writes)

    @router.get("/summary", tags=["orders"], summary="Orders by status, and how far the projection has read")
    async def summary(request: Request, claims: reader, fields: Fields = None) -> Response:
        counts, consumed, latest = await reads.queries.summary(claims.tenant)
        held = await reads.ends()
        topics = {topic: max(0, end - consumed.get(topic, 0)) for topic, end in sorted(held.items())}
        statuses = {status: counts[status] for status in STATUSES if status in counts}
        return answer(
            request,
            selected(
                {
                    "orders": sum(counts.values()),
                    "by_status": statuses,
                    "as_of": {"event_at": latest, "lag": sum(topics.values()), "lag_by_topic": topics},
                },
                fields,
            ),
        )

    return router


def _list_routes(router: APIRouter, reader: Any, reads: Reads) -> None:
    finder = Finder(reads.queries, reads.contacts)

    @router.get("/orders", tags=["orders"], summary="Orders, the newest first")
    async def orders(
        request: Request,
        claims: reader,
        status: Annotated[str | None, Query(description=", ".join(STATUSES))] = None,
        channel: Annotated[Name | None, Query()] = None,
        external_id: Annotated[Name | None, Query()] = None,
        customer_id: Annotated[Name | None, Query()] = None,
        q: Annotated[str | None, Query(max_length=QUERY_LENGTH_MAX, description=_Q)] = None,
        sku: Annotated[Sku | None, Query(description="Orders with a line of this SKU.")] = None,
        node: Annotated[
            NodeId | None, Query(description="Orders routed to this node, or worked on there.")
        ] = None,
        since: Annotated[datetime | None, Query(alias="from", description="Placed then or later.")] = None,
        before: Annotated[datetime | None, Query(alias="to", description="Placed before then.")] = None,
        service: Annotated[
            Name | None, Query(description="Sent by this service; `standard`: also those that name none.")
        ] = None,
        promise: Annotated[Promise | None, Query(description=_PROMISE)] = None,
        limit: Limit = 50,
        after: After = None,
        fields: Fields = None,
        min_version: MinVersion = None,
    ) -> Response:
        window = _time("from", since), _time("to", before)
        wanted = OrderFilter(_status(status), channel, external_id, sku, *window, customer_id)
        wanted = replace(wanted, promise=promise, promise_at=datetime.now(UTC), node=node, service=service)
        kind = wanted.cursor if q is None else "orders"
        place = _place(kind, after, (datetime, str))
        await reads.own_writes.reached(request, min_version)
        personal = claims.role in SEES_PERSONAL
        found = await finder.page(claims.tenant, wanted, q, place, limit, personal=personal)
        rows = [selected(order_row(row), fields) for row in found.rows]
        following = write_cursor(kind, found.following) if found.following else None
        searched = {"hits": found.hits, "complete": found.complete} if q is not None else {}
        return answer(request, {"orders": rows, "next": following} | searched)


def _order_routes(router: APIRouter, reader: Any, reads: Reads) -> None:
    queries, own_writes = reads.queries, reads.own_writes

    @router.get("/orders/{order_id}", tags=["orders"], summary="One order, with everything known of it")
    async def order(
        request: Request,
        claims: reader,
        order_id: OrderId,
        fields: Fields = None,
        min_version: MinVersion = None,
    ) -> Response:
        await own_writes.reached(request, min_version)
        found = await own_writes.within(
            request, lambda: queries.order(claims.tenant, order_id, TIMELINE_MAX + 1)
        )
        if found is None:
            raise _unknown_order(order_id)
        row, claims_on_stock, entries = found
        shown, following = _cut("timeline", entries, TIMELINE_MAX, TIMELINE_KEY)
        document = order_document(row) | {
            "reservations": [dict(claim) for claim in claims_on_stock],
            "timeline": [timeline_entry(entry) for entry in shown],
            "timeline_next": following,
        }
        return answer(request, selected(document, fields))

    @router.get("/orders/{order_id}/timeline", tags=["orders"], summary="What happened to an order, in order")
    async def timeline(
        request: Request,
        claims: reader,
        order_id: OrderId,
        limit: Limit = 100,
        after: After = None,
        fields: Fields = None,
        min_version: MinVersion = None,
    ) -> Response:
        place = _place("timeline", after, (datetime, str, int, int))
        await own_writes.reached(request, min_version)
        rows = await queries.timeline(claims.tenant, order_id, place, limit + 1)
        if not rows and place is None:
            raise _unknown_order(order_id)
        return _page(request, "timeline", rows, limit, TIMELINE_KEY, timeline_entry, fields)

    @router.get("/orders/{order_id}/stream", tags=["events"], summary="An order's events as they happen")
    async def order_stream(
        claims: reader, order_id: OrderId, last_event_id: LastEventId = None
    ) -> StreamingResponse:
        told = read_told(last_event_id) if last_event_id else {}
        reads.feed.make_room()
        return _stream(reads.feed.order_stream(claims.tenant, order_id, told), claims)


def _amend_route(router: APIRouter, reader: Any, reads: Reads) -> None:
    @router.get(
        "/orders/{order_id}/amendment", tags=["orders"], summary="What amending an order would come to"
    )
    async def preview(
        request: Request,
        claims: reader,
        order_id: OrderId,
        country: Annotated[Country | None, Query(description="Of the new address, if it gets one.")] = None,
        service: Annotated[Name | None, Query(description="By which it is to be sent.")] = None,
    ) -> Response:
        """Nothing is asked for: that is `POST /v1/orders/{order_id}/amend` at intake's edge. `warning`: what
        to think of first, such as that no node ships to the country."""
        found = await reads.queries.order(claims.tenant, order_id, 1)
        if found is None:
            raise _unknown_order(order_id)
        unserved = country is not None and await reads.queries.served_by_none(claims.tenant, country)
        state = read_state(found[0]["facts"])
        return answer(request, asdict(preview_amend(state, country or "", service or "", unserved=unserved)))


def _feed_routes(router: APIRouter, reader: Any, feed: Feed) -> None:
    @router.get("/events", tags=["events"], summary="The tenant's events, in the order of their lanes")
    async def events(
        request: Request,
        claims: reader,
        limit: Limit = 100,
        after: Annotated[str | None, Query(max_length=PLACE_LENGTH_MAX, description=_AFTER)] = None,
        fields: Fields = None,
    ) -> Response:
        page = await feed.page(claims.tenant, read_told(after) if after else {}, limit)
        rows = [selected(event, fields) for event in page.events]
        return answer(request, {"events": rows, "next": write_told(page.told), "more": page.more})

    @router.get("/events/stream", tags=["events"], summary="The tenant's events as they happen")
    async def stream(claims: reader, last_event_id: LastEventId = None) -> StreamingResponse:
        told = read_told(last_event_id) if last_event_id else await feed.head()
        feed.make_room()
        return _stream(feed.stream(claims.tenant, told), claims)


def _stock_routes(router: APIRouter, reader: Any, queries: Queries, own_writes: OwnWrites) -> None:
    @router.get("/stock", tags=["stock"], summary="Balances by SKU, node and bucket")
    async def stock(
        request: Request,
        claims: reader,
        sku: Annotated[Sku | None, Query()] = None,
        node: Annotated[NodeId | None, Query()] = None,
        limit: Limit = 100,
        after: After = None,
        fields: Fields = None,
        min_version: MinVersion = None,
    ) -> Response:
        place = _place("stock", after, (str, str, str))
        await own_writes.reached(request, min_version)
        rows = await queries.stock(claims.tenant, sku, node, place, limit + 1)
        return _page(request, "stock", rows, limit, ("sku", "node", "bucket"), _balance, fields, ("at_work",))

    @router.get("/stock/{sku}", tags=["stock"], summary="One SKU: what there is, where, and what is promised")
    async def stock_of_sku(
        request: Request,
        claims: reader,
        sku: Sku,
        fields: Fields = None,
        min_version: MinVersion = None,
    ) -> Response:
        await own_writes.reached(request, min_version)
        rows = await queries.stock(claims.tenant, sku, None, None, 10_000)
        if not rows:
            raise Problem(
                404,
                "unknown_sku",
                "No such SKU",
                f"No movement of SKU {sku} has been projected for your tenant.",
                "Check its spelling (case matters), or list all: `orderlog stock list` (GET /v1/stock).",
            )
        return answer(request, selected(_sku(sku, rows), fields))

    @router.get("/reservations", tags=["stock"], summary="Orders' claims on stock")
    async def reservations(
        request: Request,
        claims: reader,
        order_id: Annotated[OrderId | None, Query()] = None,
        sku: Annotated[Sku | None, Query()] = None,
        limit: Limit = 100,
        after: After = None,
        fields: Fields = None,
        min_version: MinVersion = None,
    ) -> Response:
        place = _place("reservations", after, (str, str))
        await own_writes.reached(request, min_version)
        rows = await queries.reservations(claims.tenant, order_id, sku, place, limit + 1)
        return _page(request, "reservations", rows, limit, ("order_id", "sku"), dict, fields)


def _sku(sku: str, rows: Sequence[Row]) -> dict[str, Any]:
    """A SKU's balances by node, and its network totals. `available` is what nobody has a claim on."""
    nodes: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    works: dict[str, dict[str, int]] = {}
    for row in rows:
        nodes.setdefault(row["node"], {})[row["bucket"]] = row["quantity"]
        if (work := steps_of(row)) is not None:
            works[row["node"]] = work
        totals[row["bucket"]] = totals.get(row["bucket"], 0) + row["quantity"]
    network = nodes.pop("*", {})
    on_hand, reserved, held = totals.get("on_hand", 0), network.get("reserved", 0), network.get("held", 0)
    return {
        "sku": sku,
        "on_hand": on_hand,
        "reserved": reserved,
        "held": held,
        "free": on_hand - reserved - held,
        "allocated": totals.get("allocated", 0),
        "issued": totals.get("issued", 0),
        "nodes": [
            {"node": node, "buckets": buckets} | ({"at_work": works[node]} if node in works else {})
            for node, buckets in nodes.items()
        ],
    }


def _balance(row: Row) -> dict[str, Any]:
    """A balance; of what is allocated, how far the node's work is where there is any."""
    balance = {name: row[name] for name in ("sku", "node", "bucket", "quantity")}
    work = steps_of(row)
    return balance if work is None else balance | {"at_work": work}


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
    request: Request,
    kind: str,
    rows: list[Row],
    limit: int,
    key: Sequence[str],
    show: Callable[[Row], dict[str, Any]],
    fields: str | None,
    perhaps: Sequence[str] = (),
) -> Response:
    shown, following = _cut(kind, rows, limit, key)
    told = [selected(show(row), fields, perhaps) for row in shown]
    return answer(request, {kind: told, "next": following})


def _stream(lines: AsyncGenerator[bytes, None], claims: Claims) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    told = while_good(lines, claims)
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


def _unknown_order(order_id: str) -> Problem:
    return Problem(
        404,
        "unknown_order",
        "No such order",
        f"Order {order_id} has not been projected for your tenant.",
        "Check the id; one just submitted shows within a second (GET /v1/summary tells the lag).",
    )
