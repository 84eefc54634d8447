"""The log in PostgreSQL: one database per stage, one transaction per batch, set-based SQL.

Lock order, the same everywhere: lane rows by lane, then stream rows by key, then timers. No transaction waits
for the outside world.
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
    Anchor,
    EffectRow,
    Fenced,
    Lane,
    LogRow,
    Mark,
    Parked,
    Snapshot,
    TimerRow,
    TopicPartition,
    Unavailable,
    Writes,
)
from libs.runtime.log_rows import (
    columns_of,
    lane_ends,
    log_record,
    log_row,
    parked_row,
    parked_values,
    snapshot,
)
from libs.runtime.pool import bounded_pool, transaction
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
        self._pool, self._stage = pool, stage
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
        rows = await self._fetch(sql.UNPUBLISHED, lane, after, limit)
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

    async def due(self, lanes: Sequence[int], now: datetime, limit: int) -> list[TimerRow]:
        rows = await self._fetch(sql.DUE, list(lanes), now, limit)
        return [TimerRow(row["lane"], row["key"], row["name"], row["due_at"]) for row in rows]

    async def next_due(self, lanes: Sequence[int]) -> datetime | None:
        rows = await self._fetch(sql.NEXT_DUE, list(lanes))
        due: datetime | None = rows[0]["due_at"]
        return due

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
        return await self.unpublished(lane, first - 1, count) if count else []

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
        rows = await self._fetch(sql.CLAIM_EFFECTS, list(lanes), now, lease_seconds, limit)
        return [EffectRow(row["lane"], row["effect_id"], row["key"], row["attempts"]) for row in rows]

    async def postpone_effect(self, effect_id: str, until: datetime) -> None:
        await self._fetch(sql.POSTPONE_EFFECT, effect_id, until)

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


class PostgresBatch:
    """`libs.runtime.log.Batch`: one open transaction on one connection."""

    def __init__(self, connection: Any, stage: Stage, sums: Mapping[str, tuple[str, str, str]]) -> None:
        self._connection, self._stage, self._sums = connection, stage, sums

    async def lanes(self, epochs: Mapping[int, int]) -> dict[int, Lane]:
        rows = await self._connection.fetch(sql.LANES, sorted(epochs))
        found = {row["lane"]: Lane(row["epoch"], row["next_decided"], row["next_heard"]) for row in rows}
        for lane, epoch in epochs.items():
            if lane not in found or found[lane].epoch != epoch:
                raise Fenced(f"lane {lane} has another owner")
        return found

    async def heard(self, lanes: Sequence[int]) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
        rows = await self._connection.fetch(sql.HEARD, list(lanes))
        marks = {(row["name"], row["lane"]): row["sequence"] for row in rows if row["lane"] is not None}
        return marks, {row["name"]: row["sequence"] for row in rows if row["lane"] is None}

    async def handled(self, ids: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], bytes]:
        if not ids:
            return {}
        tenants = [tenant for tenant, _ in ids]
        commands = [command_id for _, command_id in ids]
        rows = await self._connection.fetch(sql.HANDLED, tenants, commands)
        return {(row["tenant"], row["command_id"]): row["digest"] for row in rows}

    async def load(
        self, keys: Sequence[str], *, lock: bool, known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        if not keys:
            return {}
        wanted, held = sorted(keys), known or {}
        versions = [held.get(key, -1) for key in wanted]
        rows = await self._connection.fetch(sql.LOAD_LOCKED if lock else sql.LOAD, wanted, versions)
        found = {row["key"]: snapshot(row) for row in rows}
        if lock and len(found) < len(keys):
            missing = [key for key in wanted if key not in found]
            # What we create is ours until we commit; what others created meanwhile is yet to be locked.
            created = {row["key"] for row in await self._connection.fetch(sql.CREATE_PARTS, missing)}
            found |= dict.fromkeys(created, Snapshot(0, b""))
            if len(found) < len(keys):
                rest = [key for key in missing if key not in created]
                versions = [held.get(key, -1) for key in rest]
                rows = await self._connection.fetch(sql.LOAD_LOCKED, rest, versions)
                found |= {row["key"]: snapshot(row) for row in rows}
        return found

    async def write(self, writes: Writes) -> None:
        connection = self._connection
        await self._move_on(writes)
        if writes.rows:
            await connection.copy_records_to_table(
                "log", records=[log_record(row) for row in writes.rows], columns=sql.LOG_COLUMNS
            )
        if writes.new_parts:
            await connection.copy_records_to_table(
                "part",
                records=[
                    (key, lane, snapshot.version, (snapshot.part or b"").decode())
                    for key, (lane, snapshot) in writes.new_parts.items()
                ],
                columns=("key", "lane", "version", "part"),
            )
        if writes.parts:
            keys = sorted(writes.parts)
            found = [writes.parts[key] for key in keys]
            await connection.execute(
                sql.SAVE_PARTS,
                keys,
                [lane for lane, _ in found],
                [snapshot.version for _, snapshot in found],
                [(snapshot.part or b"").decode() for _, snapshot in found],
            )
        if writes.handled:
            await self._remember_commands(writes)
        for table, rows in writes.table_rows.items():
            await connection.copy_records_to_table(table, records=rows, columns=self._stage.row_tables[table])
        for table, sums in writes.table_sums.items():
            if sums:
                await self._add(table, sums)
        await self._write_side(writes)

    async def _remember_commands(self, writes: Writes) -> None:
        try:
            await self._connection.copy_records_to_table(
                "handled",
                records=[
                    (h.tenant, h.command_id, h.digest, h.lane, h.first_seq, h.rows) for h in writes.handled
                ],
                columns=("tenant", "command_id", "digest", "lane", "first_seq", "rows"),
            )
        except asyncpg.UniqueViolationError as error:
            # The same id came in another lane and was decided there meanwhile: read again, it is known then.
            raise Fenced("a command id was decided elsewhere in this moment") from error

    async def _move_on(self, writes: Writes) -> None:
        """How far we have read and decided: offsets by compare-and-swap, lanes, high-water marks."""
        moved, marks = sorted(writes.offsets.items()), sorted(writes.high_water.items())
        swapped: int = await self._connection.fetchval(
            sql.MOVE_ON,
            [topic for (topic, _), _ in moved],
            [partition for (_, partition), _ in moved],
            [expected for _, (expected, _) in moved],
            [following for _, (_, following) in moved],
            *lane_ends(writes.rows),
            [source for (source, _), _ in marks],
            [lane for (_, lane), _ in marks],
            [sequence for _, sequence in marks],
        )
        if swapped != len(moved):
            raise Fenced("an offset is not where this owner left it")

    async def _add(self, table: str, sums: Mapping[tuple[str, ...], Sequence[int]]) -> None:
        update, known, insert = self._sums[table]
        ordered = sorted(sums.items())
        columns = columns_of(ordered)
        status: str = await self._connection.execute(update, *columns)
        if _count(status) == len(ordered):
            return
        keys = columns[: len(ordered[0][0])]
        found = {tuple(row) for row in await self._connection.fetch(known, *keys)}
        missing = [(key, deltas) for key, deltas in ordered if key not in found]
        if missing:
            await self._connection.execute(insert, *columns_of(missing))

    async def _write_side(self, writes: Writes) -> None:
        """Timers, effects and parked records: rarely many."""
        connection = self._connection
        if writes.timers_done:
            done = sorted({(row.key, row.name) for row in writes.timers_done})
            status: str = await connection.execute(
                sql.END_TIMERS, [key for key, _ in done], [name for _, name in done]
            )
            if _count(status) != len(done):
                raise Fenced("a timer that rang is not there: it was rung before")
        if writes.timers:
            timers = [row for _, row in sorted(writes.timers.items())]
            await connection.execute(
                sql.SAVE_TIMERS,
                [row.key for row in timers],
                [row.name for row in timers],
                [row.lane for row in timers],
                [row.due_at for row in timers],
            )
        if writes.owed:
            owed = list(writes.owed.values())
            await connection.execute(
                sql.SAVE_EFFECTS,
                [row.effect_id for row in owed],
                [row.lane for row in owed],
                [row.key for row in owed],
            )
        if writes.settled:
            await connection.execute(sql.END_EFFECTS, sorted(writes.settled))
        for parked in writes.parked:
            await connection.execute(sql.PARK, *parked_values(parked))
        for parked_id, row in writes.unparked.items():
            became = (row.state, row.code, row.reason, row.told, row.told_seq)
            if not _count(await connection.execute(sql.UNPARK, parked_id, *became)):
                raise Fenced("a parked record is not to be replayed: it was before, or is discarded")


def _count(status: str) -> int:
    """How many rows a statement changed, from what the server says: `UPDATE 3`."""
    return int(status.rpartition(" ")[2])
