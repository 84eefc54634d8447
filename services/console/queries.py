"""What the query API reads: one tenant's rows, as the reader role, under row-level security."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from libs.runtime.pool import transaction
from libs.runtime.postgres_log import reachable
from services.console.store import Connection
from services.console.today import MOMENTS, Today, read_today

Row = Mapping[str, Any]

_AS_READER = """SELECT set_config('search_path', 'live', true), set_config('orderlog.tenant', $1, true),
    set_config('orderlog.nodes', $2, true), set_config('role', $3, true)"""

_ORDERS = """SELECT order_id, status, channel, external_id, customer_id, ordered_at, currency, total_minor,
    line_count, units, confirmed_at, paid_at, routed_at, picking_at, shipped_at, picked_up_at, delivered_at,
    last_at FROM orders"""
_ORDER = "SELECT * FROM orders WHERE tenant = $1 AND order_id = $2"
_STOCK = "SELECT sku, node, bucket, quantity FROM stock"
_RESERVATIONS = """SELECT order_id, sku, wanted, held, allocated, issued, released, short, returned
    FROM reservations"""

_TIMELINE = """SELECT t.at, t.stage, t.type, t.sentence, t.actor, t.reason, t.event_id, t.lane, t.sequence,
    t.causation_id, c.type AS cause_type
    FROM timeline t LEFT JOIN timeline c
        ON c.tenant = t.tenant AND c.order_id = t.order_id AND c.event_id = t.causation_id
    WHERE t.tenant = $1 AND t.order_id = $2
        AND ($3::timestamptz IS NULL OR (t.at, t.stage, t.lane, t.sequence) > ($3, $4, $5::int, $6::bigint))
    ORDER BY t.at, t.stage, t.lane, t.sequence LIMIT $7"""


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
    `services.console.today.MOMENTS`: orders that came to it at `reached_from` or later."""

    status: str | None = None
    channel: str | None = None
    external_id: str | None = None
    sku: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    reached: str | None = None
    reached_from: datetime | None = None


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
        """Orders, the newest first, from behind (ordered_at, order_id) on."""
        asked = _Asked(["tenant = $1", "ordered_at IS NOT NULL"], [tenant])
        asked.add("status = {}", wanted.status)
        asked.add("channel = {}", wanted.channel)
        asked.add("external_id = {}", wanted.external_id)
        asked.add(
            "order_id IN (SELECT s.order_id FROM order_skus s WHERE s.tenant = $1 AND s.sku = {})", wanted.sku
        )
        asked.add("ordered_at >= {}", wanted.since)
        asked.add("ordered_at < {}", wanted.before)
        if wanted.reached is not None and wanted.reached_from is not None:
            assert wanted.reached in MOMENTS
            asked.add(f"{wanted.reached}_at >= {{}}", wanted.reached_from)
            asked.add("last_at >= {}", wanted.reached_from)
        if after is not None:
            asked.add("(ordered_at, order_id) < ({}, {})", *after)
        return await self._page(_ORDERS, asked, "ordered_at DESC, order_id DESC", limit)

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

    async def timeline(
        self, tenant: str, order_id: str, after: tuple[datetime, str, int, int] | None, limit: int
    ) -> list[Row]:
        """An order's events in order of time, from behind (at, stage, lane, sequence) on."""
        async with self._tenant(tenant) as connection:
            at, stage, lane, sequence = after or (None, None, None, None)
            rows = await connection.fetch(_TIMELINE, tenant, order_id, at, stage, lane, sequence, limit)
            return [dict(row) for row in rows]

    async def stock(
        self,
        tenant: str,
        sku: str | None,
        node: str | None,
        after: tuple[str, str, str] | None,
        limit: int,
    ) -> list[Row]:
        """Balances in order of SKU, node and bucket."""
        asked = _Asked(["tenant = $1"], [tenant])
        asked.add("sku = {}", sku)
        asked.add("node = {}", node)
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
        asked = _Asked(["tenant = $1"], [tenant])
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

    async def today(self, tenant: str, since: datetime) -> Today:
        """Today's figures of the tenant; throughput since then."""
        async with self._tenant(tenant) as connection:
            return await read_today(connection, tenant, since)

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

    async def _page(self, select: str, asked: "_Asked", order: str, limit: int) -> list[Row]:
        asked.values.append(limit)
        query = f"{select} WHERE {' AND '.join(asked.terms)} ORDER BY {order} LIMIT ${len(asked.values)}"
        async with self._tenant(asked.values[0]) as connection:
            return [dict(row) for row in await connection.fetch(query, *asked.values)]

    @asynccontextmanager
    async def _tenant(self, tenant: str) -> AsyncIterator[Connection]:
        with reachable():
            async with transaction(self._pool, isolation="repeatable_read", readonly=True) as connection:
                role = "orderlog_console_reader" if self._nodes is None else "orderlog_console_node_reader"
                await connection.execute(_AS_READER, tenant, ",".join(self._nodes or ()), role)
                yield connection


@dataclass(slots=True)
class _Asked:
    """Terms of a WHERE, with their values. A term is a constant of this module; a value is never its text."""

    terms: list[str]
    values: list[Any]

    def add(self, term: str, *values: object) -> None:
        """Add a term with `{}` for each value, unless it is none."""
        if values[0] is None:
            return
        first = len(self.values) + 1
        self.terms.append(term.format(*(f"${number}" for number in range(first, first + len(values)))))
        self.values += values


def key_of(row: Row, columns: Sequence[str]) -> list[Any]:
    """The key of a row, for a cursor."""
    return [row[column] for column in columns]
