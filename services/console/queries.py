"""What the query API reads: one tenant's rows, as the reader role, under row-level security."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg

from libs.events.order import Sealed
from libs.events.places import STANDARD
from libs.runtime.pool import Connection, transaction
from libs.runtime.postgres_log import reachable
from services.console.hits import Found, Search, find
from services.console.node_reach import served_by_none
from services.console.today import MOMENTS
from services.console.where import Where

Row = Mapping[str, Any]

_AS_READER = """SELECT set_config('search_path', 'live', true), set_config('orderlog.tenant', $1, true),
    set_config('orderlog.nodes', $2, true), set_config('role', $3, true)"""

_COLUMNS = """order_id, status, channel, external_id, customer_id, ordered_at, currency, total_minor,
    line_count, units, confirmed_at, paid_at, routed_at, picking_at, shipped_at, picked_up_at, delivered_at,
    promised_on, promise_ends_at, last_at"""
_ORDERS = f"SELECT {_COLUMNS} FROM orders"  # noqa: S608 - names of ours
_PROMISES = {
    "promised": "risk_at IS NOT NULL AND {}::timestamptz IS NOT NULL",
    "late": "risk_at IS NOT NULL AND promise_ends_at <= {}",
    "at_risk": "risk_at IS NOT NULL AND promise_ends_at > {0} AND risk_at <= {0}",
}
_OF_CUSTOMER = """order_id IN (SELECT p.order_id FROM search.parts AS p
    WHERE p.tenant = $1 AND p.customer_id = {})"""
_BY_CUSTOMER = f"""SELECT {_COLUMNS} FROM (SELECT tenant AS of_tenant, customer_id AS whose, at AS placed_at,
        order_id AS placed FROM search.parts) AS s
    JOIN orders ON of_tenant = tenant AND placed = order_id"""  # noqa: S608 - names of ours
_OF_SKU = "order_id IN (SELECT s.order_id FROM order_skus s WHERE s.tenant = $1 AND s.sku = {})"
_BY_SKU = f"""SELECT {_COLUMNS} FROM (SELECT tenant AS of_tenant, sku, ordered_at AS placed_at,
        order_id AS placed FROM order_skus) AS s
    JOIN orders ON of_tenant = tenant AND placed = order_id"""  # noqa: S608 - names of ours
"""The same as `_ORDERS`, of a customer's, or of those with a line of a SKU, in the order of their index."""
_AT_NODE = "order_id IN (SELECT n.order_id FROM order_nodes n WHERE n.tenant = $1 AND n.node = {})"
_CONTACTS = """SELECT order_id, sealed FROM search.parts
    WHERE tenant = $1 AND order_id = ANY($2::text[]) AND part = 'contact'"""
_FACTS = "SELECT order_id, external_id, facts FROM orders WHERE tenant = $1 AND order_id = ANY($2::text[])"
_ORDER = "SELECT * FROM orders WHERE tenant = $1 AND order_id = $2"
_STOCK = """SELECT s.sku, s.node, s.bucket, s.quantity, w.to_pick, w.picked, w.packed
    FROM stock s LEFT JOIN LATERAL (SELECT sum(to_pick)::bigint AS to_pick, sum(picked)::bigint AS picked,
            sum(packed)::bigint AS packed
        FROM at_work w WHERE s.bucket = 'allocated' AND w.tenant = s.tenant AND w.sku = s.sku
            AND w.node = s.node) AS w ON s.bucket = 'allocated'"""
"""Balances; of what is allocated at a node, how many units its work has to pick, picked and packed."""
_RESERVATIONS = """SELECT order_id, sku, wanted, held, allocated, issued, released, short, returned
    FROM reservations"""

_ENTRY = """SELECT t.at, t.stage, t.type, t.sentence, t.actor, t.reason, t.event_id, t.lane, t.sequence,
    t.causation_id, c.type AS cause_type
    FROM timeline t LEFT JOIN timeline c
        ON c.tenant = t.tenant AND c.order_id = t.order_id AND c.event_id = t.causation_id
    WHERE t.tenant = $1 AND t.order_id = $2"""
_TIMELINE = f"""{_ENTRY}
        AND ($3::timestamptz IS NULL OR (t.at, t.stage, t.lane, t.sequence) > ($3, $4, $5::int, $6::bigint))
    ORDER BY t.at, t.stage, t.lane, t.sequence LIMIT $7"""
TIMELINE_KEY = ("at", "stage", "lane", "sequence")
"""What a timeline is in order of."""
_EVENT = f"{_ENTRY} AND t.stage = $3 AND t.lane = $4 AND t.sequence = $5"
_OF_LANES = """SELECT t.* FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[])
        AS of (stage, lane, told, upto), LATERAL (
        SELECT event_id, stage, lane, sequence, type, at, actor, reason, sentence FROM timeline
        WHERE tenant = $1 AND order_id = $2 AND stage = of.stage AND lane = of.lane AND sequence > of.told
            AND sequence <= of.upto
        ORDER BY sequence LIMIT $7) AS t
    ORDER BY stage, lane, sequence LIMIT $7"""


_MARKS = """SELECT source, lane, sequence, at FROM live.high_water ORDER BY source, lane"""
_UNREADABLE = """SELECT topic, partition, record_offset, code, reason FROM live.unreadable
    ORDER BY topic, partition, record_offset LIMIT 100"""


_REBUILDS = """SELECT *, told_at < now() - interval '30 s' AS silent FROM access.rebuilds
    ORDER BY id DESC LIMIT 5"""


@dataclass(frozen=True, slots=True)
class Projection:
    """`marks`: the last sequence heard of each sender's lane, and its event's time; `positions`: the next
    offset of each partition; `unreadable`: events that were passed over, the first hundred."""

    marks: Sequence[Row]
    positions: Mapping[tuple[str, int], int]
    unreadable: Sequence[Row]


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders a list shows; none means any. `since` is included, `before` is not. `reached` is one of
    `services.console.today.MOMENTS`: orders that came to it at `reached_from` or later, before
    `reached_to`. `waits_in`: open orders that are in
    this segment (`services.console.segments`). `nodes`: at exactly these, with commas between. `promise`: one
    of `services.console.today.PROMISES`: open orders whose promise is so at `promise_at`. `node`: this one is
    among those that the order was last routed to or was worked on at. `service`: by which it is sent; the
    standard one is that of orders which name none, too."""

    status: str | None = None
    channel: str | None = None
    external_id: str | None = None
    sku: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    customer_id: str | None = None
    reached: str | None = None
    reached_from: datetime | None = None
    reached_to: datetime | None = None
    waits_in: str | None = None
    nodes: str | None = None
    promise: str | None = None
    promise_at: datetime | None = None
    node: str | None = None
    service: str | None = None

    @property
    def sorted_by(self) -> str:
        """The column, with the order id, that a page's cursor is of."""
        if self.promise is not None:
            return "promise_ends_at"
        return "ordered_at" if self.reached is None or self.reached_from is None else f"{self.reached}_at"

    @property
    def cursor(self) -> str:
        """The kind of a page's cursor."""
        if self.promise is not None:
            return "promised orders"
        return "orders" if self.sorted_by == "ordered_at" else f"{self.reached} orders"


class Queries:
    """Reads the live tables. Each call is one snapshot of one tenant: a short read-only transaction."""

    def __init__(self, pool: asyncpg.Pool, nodes: Sequence[str] | None = None) -> None:
        """`nodes`: only what concerns one of these is seen; none: everything of the tenant's."""
        self._pool, self._nodes = pool, nodes

    def within(self, nodes: Sequence[str] | None) -> "Queries":
        """The same tables, as far as somebody sees them who may see these nodes."""
        return Queries(self._pool, nodes)

    async def orders(
        self, tenant: str, wanted: OrderFilter, after: tuple[datetime, str] | None, limit: int
    ) -> list[Row]:
        """Orders, the newest first, from behind (ordered_at, order_id) on; those that came to a moment, the
        last first, from behind that moment on; by their promise, what is late longest first, from behind
        (promise_ends_at, order_id).
        """
        select, asked = _ORDERS, Where(["tenant = $1", "ordered_at IS NOT NULL"], [tenant])
        ordered, place = "ordered_at", (wanted.sorted_by, "order_id")
        if wanted.sorted_by == "ordered_at" and (wanted.customer_id or wanted.sku):
            select, ordered, place = _BY_SKU, "placed_at", ("placed_at", "placed")
            if wanted.customer_id is not None:
                select = _BY_CUSTOMER
                asked.add("s.whose = {}", wanted.customer_id)
                wanted = replace(wanted, customer_id=None)
            else:
                asked.add("s.sku = {}", wanted.sku)
                wanted = replace(wanted, sku=None)
        asked.add(f"{ordered} >= {{}}", wanted.since)
        asked.add(f"{ordered} < {{}}", wanted.before)
        narrow(asked, wanted)
        if wanted.promise is not None:
            if after is not None:
                asked.add("(promise_ends_at, order_id) > ({}, {})", *after)
            return await self._page(select, asked, "promise_ends_at, order_id", limit)
        if after is not None:
            asked.add(f"({', '.join(place)}) < ({{}}, {{}})", *after)
        return await self._page(select, asked, f"{place[0]} DESC, {place[1]} DESC", limit)

    async def search(
        self, tenant: str, wanted: OrderFilter, search: Search, after: tuple[datetime, str] | None, limit: int
    ) -> Found:
        """The newest orders that a search finds and that are like the rest of a filter, from behind
        (ordered_at, order_id) on."""
        asked = Where(["tenant = $1", "ordered_at IS NOT NULL"], [tenant])
        narrow(asked, wanted)
        if wanted.before is not None and (after is None or after[0] >= wanted.before):
            after = wanted.before, ""
        async with self._tenant(tenant) as connection:
            return await find(connection, _ORDERS, asked, search, wanted.since, after, limit)

    async def facts(self, tenant: str, order_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """By order: what people call it, and its facts; of those that there are."""
        async with self._tenant(tenant) as connection:
            rows = await connection.fetch(_FACTS, tenant, order_ids)
        return {order_id: (external_id or order_id, facts) for order_id, external_id, facts in rows}

    async def contacts(self, tenant: str, order_ids: Sequence[str]) -> dict[str, Sealed]:
        """The sealed contacts of these orders, of those that have one that was not erased."""
        async with self._tenant(tenant) as connection:
            rows = await connection.fetch(_CONTACTS, tenant, order_ids)
        return {order_id: Sealed.model_validate_json(sealed) for order_id, sealed in rows}

    async def served_by_none(self, tenant: str, country: str) -> bool:
        """Whether no node ships there, as far as routing has told."""
        async with self._tenant(tenant) as connection:
            rows = await connection.fetch("SELECT ships_to FROM node_reach WHERE tenant = $1", tenant)
        return served_by_none(country, [ships_to for (ships_to,) in rows])

    async def order(
        self, tenant: str, order_id: str, timeline_limit: int
    ) -> tuple[Row, list[Row], list[Row]] | None:
        """One order's row with its facts, its reservations, and its timeline's beginning, all of one moment;
        none when it is not known."""
        async with self._tenant(tenant) as connection:
            row = await connection.fetchrow(_ORDER, tenant, order_id)
            if row is None:
                return None
            claims = await connection.fetch(
                "SELECT sku, wanted, held, allocated, issued, released, short, returned FROM reservations"
                " WHERE tenant = $1 AND order_id = $2 ORDER BY sku",
                tenant,
                order_id,
            )
            begins = await connection.fetch(
                _TIMELINE, tenant, order_id, None, None, None, None, timeline_limit
            )
            return dict(row), [dict(claim) for claim in claims], [dict(entry) for entry in begins]

    async def heard(self) -> dict[tuple[str, int], int]:
        """The last sequence projected of each lane, by stage and lane; all tenants share them."""
        async with self._tenant("") as connection:
            rows = await connection.fetch("SELECT source, lane, sequence FROM high_water")
        return {(source.rpartition("/")[2], lane): sequence for source, lane, sequence in rows}

    async def timeline(
        self, tenant: str, order_id: str, after: tuple[datetime, str, int, int] | None, limit: int
    ) -> list[Row]:
        """An order's events in order of time, from behind (at, stage, lane, sequence) on."""
        async with self._tenant(tenant) as connection:
            at, stage, lane, sequence = after or (None, None, None, None)
            rows = await connection.fetch(_TIMELINE, tenant, order_id, at, stage, lane, sequence, limit)
            return [dict(row) for row in rows]

    async def event(self, tenant: str, order_id: str, stage: str, lane: int, sequence: int) -> Row | None:
        """An entry of an order's timeline, by its place in its sender's log."""
        async with self._tenant(tenant) as connection:
            row = await connection.fetchrow(_EVENT, tenant, order_id, stage, lane, sequence)
            return None if row is None else dict(row)

    async def events_of_lanes(
        self, tenant: str, order_id: str, lanes: Sequence[tuple[str, int, int, int]], limit: int
    ) -> list[Row]:
        """An order's events by stage, lane and sequence: of each lane (stage, lane, told, up to) those behind
        `told`, up to and with the other."""
        async with self._tenant(tenant) as connection:
            rows = await connection.fetch(_OF_LANES, tenant, order_id, *zip(*lanes, strict=True), limit)
            return [dict(row) for row in rows]

    async def stock(
        self,
        tenant: str,
        sku: str | None,
        node: str | None,
        after: tuple[str, str, str] | None,
        limit: int,
        *,
        without: Collection[str] = (),
    ) -> list[Row]:
        """Balances in order of SKU, node and bucket; none of the buckets that are left out."""
        asked = Where(["tenant = $1"], [tenant])
        asked.add("sku = {}", sku)
        asked.add("node = {}", node)
        if without:
            asked.add("bucket <> ALL ({})", sorted(without))
        if after is not None:
            asked.add("(sku, node, bucket) > ({}, {}, {})", *after)
        return await self._page(_STOCK, asked, "sku, node, bucket", limit)

    async def reservations(
        self,
        tenant: str,
        order_id: str | None,
        sku: str | None,
        after: tuple[str, str] | None,
        limit: int,
    ) -> list[Row]:
        """Orders' claims in order of order id and SKU."""
        asked = Where(["tenant = $1"], [tenant])
        asked.add("order_id = {}", order_id)
        asked.add("sku = {}", sku)
        if after is not None:
            asked.add("(order_id, sku) > ({}, {})", *after)
        return await self._page(_RESERVATIONS, asked, "order_id, sku", limit)

    async def summary(self, tenant: str) -> tuple[dict[str, int], dict[str, int], datetime | None]:
        """Orders by status; records consumed by topic; the time of the latest event that was projected."""
        async with self._tenant(tenant) as connection:
            statuses = await connection.fetch(
                "SELECT status, count(*) FROM orders WHERE tenant = $1 GROUP BY status", tenant
            )
            consumed = await connection.fetch(
                "SELECT topic, sum(next_offset)::bigint FROM consumed GROUP BY topic"
            )
            latest = await connection.fetchval("SELECT max(at) FROM high_water")
        return dict(map(tuple, statuses)), dict(map(tuple, consumed)), latest

    async def projection(self) -> Projection:
        """Where the projection stands: of nobody's orders in particular."""
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            with reachable():
                marks = await connection.fetch(_MARKS)
                consumed = await connection.fetch("SELECT topic, partition, next_offset FROM live.consumed")
                unreadable = await connection.fetch(_UNREADABLE)
        positions = {(row["topic"], row["partition"]): row["next_offset"] for row in consumed}
        return Projection([dict(row) for row in marks], positions, [dict(row) for row in unreadable])

    async def rebuilds(self) -> list[Row]:
        """The last rebuilds of the tables, the latest first; `silent`: nobody has told of it for a while."""
        with reachable():
            return [dict(row) for row in await self._pool.fetch(_REBUILDS)]

    async def positions(self) -> dict[tuple[str, int], int]:
        """The next offset to be projected, by topic and partition."""
        with reachable():
            rows = await self._pool.fetch("SELECT topic, partition, next_offset FROM live.consumed")
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def has_heard(self, source: str, sequences: Mapping[int, int]) -> bool:
        """Whether the read models have a sender's events up to these sequences, by lane."""
        with reachable():
            rows = await self._pool.fetch(
                "SELECT lane, sequence FROM live.high_water WHERE source = $1 AND lane = ANY($2::int[])",
                source,
                list(sequences),
            )
        known = {row["lane"]: row["sequence"] for row in rows}
        return all(known.get(lane, 0) >= sequence for lane, sequence in sequences.items())

    async def _page(self, select: str, asked: Where, order: str, limit: int) -> list[Row]:
        asked.values.append(limit)
        query = f"{select} WHERE {' AND '.join(asked.terms)} ORDER BY {order} LIMIT ${len(asked.values)}"
        async with self._tenant(asked.values[0]) as connection:
            return [dict(row) for row in await connection.fetch(query, *asked.values)]

    @asynccontextmanager
    async def reading(self, tenant: str) -> AsyncIterator[Connection]:
        """One snapshot of what is seen of the tenant, for questions that have a module of their own."""
        async with self._tenant(tenant) as connection:
            yield connection

    @asynccontextmanager
    async def _tenant(self, tenant: str) -> AsyncIterator[Connection]:
        with reachable():
            async with transaction(self._pool, isolation="repeatable_read", readonly=True) as connection:
                role = "orderlog_console_reader" if self._nodes is None else "orderlog_console_node_reader"
                await connection.execute(_AS_READER, tenant, ",".join(self._nodes or ()), role)
                yield connection


def narrow(asked: Where, wanted: OrderFilter) -> None:
    """Add what a filter says of an order, but for when it was placed."""
    asked.add("status = {}", wanted.status)
    asked.add("channel = {}", wanted.channel)
    asked.add("external_id = {}", wanted.external_id)
    asked.add(_OF_CUSTOMER, wanted.customer_id)
    asked.add(_AT_NODE, wanted.node)
    if wanted.service == STANDARD:
        asked.terms.append("service IS NULL")
    else:
        asked.add("service = {}", wanted.service)
    asked.add(_OF_SKU, wanted.sku)
    asked.add("waiting_in = {} AND waiting_in <> ''", wanted.waits_in)
    asked.add("nodes = {}", wanted.nodes)
    if wanted.reached is not None and wanted.reached_from is not None:
        assert wanted.reached in MOMENTS
        asked.add(f"{wanted.reached}_at >= {{}}", wanted.reached_from)
        asked.add(f"{wanted.reached}_at < {{}}", wanted.reached_to)
    if wanted.promise is not None:
        assert wanted.promise_at is not None
        asked.add(_PROMISES[wanted.promise], wanted.promise_at)


def key_of(row: Row, columns: Sequence[str]) -> list[Any]:
    """The key of a row, for a cursor."""
    return [row[column] for column in columns]
