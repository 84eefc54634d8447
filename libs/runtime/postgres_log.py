"""The log in PostgreSQL: one database per stage, one transaction per batch, set-based SQL.

Lock order, the same everywhere: lane rows by lane, then stream rows by key, then timers. No transaction waits
for the outside world. A small batch that was planned ahead is one statement (`libs.runtime.one_call`).
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg

from libs.runtime import log_sql as sql
from libs.runtime.log import (
    READ_BYTES_MAX,
    Anchor,
    EffectRow,
    Lane,
    LogRow,
    Mark,
    Parked,
    Snapshot,
    TimerRow,
    TopicPartition,
    Unavailable,
    Writes,
    commit_in_steps,
)
from libs.runtime.log_rows import log_row, parked_row, snapshot
from libs.runtime.one_call import OneCall
from libs.runtime.pool import bounded_pool, statement, transaction
from libs.runtime.postgres_batch import PostgresBatch
from libs.runtime.refusals import reused_id
from libs.runtime.settings import Settings
from libs.runtime.stage import Stage

_PG_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
)


@contextmanager
def reachable() -> Iterator[None]:
    """What a lost, overloaded or read-only database says becomes Unavailable."""
    try:
        yield
    except _UNREACHABLE as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error


async def open_pool(dsn: str, settings: Settings, name: str) -> asyncpg.Pool:
    """A connection pool with the bounds of the settings. Raises Unavailable."""
    with reachable():
        return await bounded_pool(
            dsn,
            settings,
            min_size=1,
            max_size=settings.pool_size,
            init=_set_up,
            reset=_leave_alone,
            command_timeout=settings.statement_timeout_seconds + 5,
            server_settings={
                "application_name": f"orderlog-{name}",
                "lock_timeout": f"{int(settings.lock_timeout_seconds * 1000)}",
                "statement_timeout": f"{int(settings.statement_timeout_seconds * 1000)}",
                "idle_in_transaction_session_timeout": f"{int(settings.statement_timeout_seconds * 1000)}",
                "jit": "off",
            },
        )


async def _set_up(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        format="tuple",
        encoder=_microseconds,
        decoder=lambda found: _PG_EPOCH + found[0] * _MICROSECOND,
    )


async def _leave_alone(_: asyncpg.Connection) -> None:
    """Between two users of a connection nothing is left to reset: transactions end, and set what they set
    LOCAL. The pool's own reset is a round trip a batch."""


@lru_cache(maxsize=4096)
def _microseconds(at: datetime) -> tuple[int]:
    """A time as PostgreSQL stores it. The rows of a batch share few, and asyncpg takes 1.3 µs for each."""
    return ((at - _PG_EPOCH) // _MICROSECOND,)


class PostgresLog:
    """`libs.runtime.log.Log` of one stage. The pool belongs to the caller, who closes it."""

    def __init__(self, pool: asyncpg.Pool, stage: Stage) -> None:
        self._pool, self._stage, self._one_call = pool, stage, OneCall(stage)
        self._sums = {
            name: sql.add_to(name, keys, quantities) for name, (keys, quantities) in stage.sum_tables.items()
        }

    @asynccontextmanager
    async def _reachable(self) -> AsyncIterator[None]:
        """As `reachable`; connections to a server that became read-only, as in a failover, are given up."""
        with reachable():
            try:
                yield
            except asyncpg.ReadOnlySQLTransactionError:
                await self._pool.expire_connections()
                raise

    @asynccontextmanager
    async def batch(self) -> AsyncIterator["PostgresBatch"]:
        async with self._reachable(), transaction(self._pool) as connection:
            yield PostgresBatch(connection, self._stage, self._sums)

    async def look(
        self, keys: Sequence[str], known: Mapping[str, int], ids: Sequence[tuple[str, UUID]]
    ) -> tuple[dict[str, Snapshot], dict[tuple[str, UUID], bytes]]:
        if not ids:
            return await self.snapshots(keys, known), {}
        versions = [known.get(key, -1) for key in keys]
        rows = await self._fetch(sql.LOOK, list(keys), versions, *map(list, zip(*ids, strict=True)))
        parts = {row["key"]: snapshot(row) for row in rows if row["command_id"] is None}
        handled = [row for row in rows if row["command_id"] is not None]
        return parts, {(row["key"], row["command_id"]): row["digest"] for row in handled}

    async def commit(self, writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]) -> None:
        if not self._one_call.takes(writes):
            await commit_in_steps(self, writes, lanes, assumed)
            return
        async with self._reachable(), statement(self._pool) as connection:
            await self._one_call.commit(connection, writes, lanes, assumed)

    async def claim(self, lanes: Sequence[int]) -> dict[int, int]:
        rows = await self._fetch(sql.CLAIM, sorted(lanes))
        return {row["lane"]: row["epoch"] for row in rows}

    async def offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        topics = [topic for topic, _ in partitions]
        numbers = [number for _, number in partitions]
        rows = await self._fetch(sql.OFFSETS, topics, numbers)
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def published(self, lanes: Sequence[int]) -> dict[int, Mark]:
        rows = await self._fetch(sql.PUBLISHED, list(lanes))
        marks = {row["lane"]: Mark(row["published"], row["chained"], row["head"] or b"") for row in rows}
        return dict.fromkeys(lanes, Mark(0)) | marks

    async def unpublished(self, lane: int, after: int, limit: int) -> list[LogRow]:
        rows = await self._fetch(sql.UNPUBLISHED, lane, after, limit, READ_BYTES_MAX)
        return [log_row(row) for row in rows]

    async def mark_published(self, marks: Mapping[int, Mark]) -> None:
        if not marks:
            return
        found = [(lane, mark.published, mark.chained, mark.head or None) for lane, mark in marks.items()]
        await self._fetch(sql.MARK_PUBLISHED, *map(list, zip(*sorted(found), strict=True)))

    async def anchor(self, anchors: Sequence[Anchor]) -> None:
        if not anchors:
            return
        found = [(one.lane, one.seq, one.head, one.at) for one in anchors]
        await self._fetch(sql.ANCHOR, *map(list, zip(*found, strict=True)))

    async def next_anchor(self, lane: int, after: int) -> Anchor | None:
        rows = await self._fetch(sql.NEXT_ANCHOR, lane, after)
        return Anchor(lane, rows[0]["seq"], rows[0]["head"], rows[0]["at"]) if rows else None

    async def due(self, lanes: Sequence[int], now: datetime, limit: int) -> list[TimerRow]:
        rows = await self._fetch(sql.DUE, list(lanes), now, limit)
        return [TimerRow(row["lane"], row["key"], row["name"], row["due_at"]) for row in rows]

    async def next_due(self, lanes: Sequence[int]) -> datetime | None:
        rows = await self._fetch(sql.NEXT_DUE, list(lanes))
        due: datetime | None = rows[0]["due_at"]
        return due

    async def postpone_timer(self, timer: TimerRow, until: datetime) -> None:
        await self._fetch(sql.POSTPONE_TIMER, timer.key, timer.name, timer.due_at, until)

    async def replaying(self, lanes: Sequence[int], limit: int) -> list[Parked]:
        rows = await self._fetch(sql.REPLAYING, list(lanes), limit)
        return [parked_row(row) for row in rows]

    async def answer(self, tenant: str, command_id: UUID, digest: bytes = b"") -> list[LogRow] | None:
        rows = await self._fetch(sql.HANDLED_AT, tenant, command_id)
        if rows and digest and rows[0]["digest"] != digest:
            rows = await self._fetch(sql.HANDLED_AT, tenant, reused_id(command_id, digest))
        if not rows:
            return None
        lane, first, count = rows[0]["lane"], rows[0]["first_seq"], rows[0]["rows"]
        found = await self._fetch(sql.ROWS, lane, first - 1, count) if count else []
        return [log_row(row) for row in found]

    async def first(self, tenant: str, stream: str, types: Sequence[str]) -> LogRow | None:
        rows = await self._fetch(sql.FIRST, tenant, stream, list(types))
        return log_row(rows[0]) if rows else None

    async def snapshots(
        self, keys: Sequence[str], known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        held = known or {}
        rows = await self._fetch(sql.LOAD, list(keys), [held.get(key, -1) for key in keys])
        return {row["key"]: snapshot(row) for row in rows}

    async def claim_effects(
        self, lanes: Sequence[int], now: datetime, lease_seconds: float, limit: int
    ) -> list[EffectRow]:
        while True:
            found = await self._fetch(sql.CLAIM_EFFECTS, list(lanes), now, lease_seconds, limit)
            claimed = sorted((row for row in found if row["claimed"]), key=lambda row: row["position"])
            if claimed or not found:  # else all were put off behind others
                return [
                    EffectRow(row["lane"], row["effect_id"], row["key"], row["attempts"]) for row in claimed
                ]

    async def postpone_effect(self, effect_id: str, until: datetime, *, with_later: bool = False) -> None:
        await self._fetch(sql.POSTPONE_EFFECT, effect_id, until, with_later)

    async def parked(self, *, open_only: bool, limit: int, tenant: str | None = None) -> list[Parked]:
        """Parked records, oldest first: those that wait, or all; of one tenant, or of everybody."""
        return [parked_row(row) for row in await self._fetch(sql.PARKED, open_only, tenant, limit)]

    async def resolve_parked(self, key: str, *, replay: bool, actor: str, note: str) -> int:
        """Have a key's first parked record decided again, or discarded; those behind it follow by themselves.

        Returns how many records wait under the key, that one included; 0 when none is parked.
        """
        state = "replaying" if replay else "discarding"
        if not await self._fetch(sql.RESOLVE_PARKED, key, state, actor, note):
            return 0
        waiting: int = (await self._fetch(sql.WAITING, key))[0]["waiting"]
        return waiting

    async def _fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._reachable():
            rows: list[asyncpg.Record] = await self._pool.fetch(statement, *arguments)
            return rows
