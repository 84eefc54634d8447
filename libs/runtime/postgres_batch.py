"""A transaction of the PostgreSQL log, statement by statement: large batches, and those planned in it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from libs.runtime import log_sql as sql
from libs.runtime.log import Fenced, Lane, Overtaken, Snapshot, Writes
from libs.runtime.log_rows import (
    columns_of,
    handled_records,
    lane_ends,
    log_record,
    parked_values,
    part_records,
    snapshot,
)
from libs.runtime.stage import Stage


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
            await self._create_parts(writes)
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

    async def _create_parts(self, writes: Writes) -> None:
        try:
            await self._connection.copy_records_to_table(
                "part", records=part_records(writes.new_parts), columns=("key", "lane", "version", "part")
            )
        except asyncpg.UniqueViolationError as error:
            raise Overtaken("a stream that is to be new is there") from error

    async def _remember_commands(self, writes: Writes) -> None:
        try:
            await self._connection.copy_records_to_table(
                "handled",
                records=handled_records(writes.handled),
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

    async def _end_timers(self, writes: Writes) -> None:
        """Those that rang are gone; one that was asked for again meanwhile for another moment rings again."""
        done = sorted({(row.key, row.name): row.due_at for row in writes.timers_done}.items())
        keys, names = [key for (key, _), _ in done], [name for (_, name), _ in done]
        ended = await self._connection.execute(sql.END_TIMERS, keys, names, [due_at for _, due_at in done])
        if (missing := len(done) - _count(ended)) and missing > await self._connection.fetchval(
            sql.TIMERS_LEFT, keys, names
        ):
            raise Fenced("a timer that rang is not there: it was rung before")

    async def _write_side(self, writes: Writes) -> None:
        """Timers, effects and parked records: rarely many."""
        connection = self._connection
        if writes.timers_done:
            await self._end_timers(writes)
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
