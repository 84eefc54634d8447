"""Folds whole topics into an empty schema: many orders in memory, each row written once, indexes at the end.

For a rebuild alone. Nothing is fenced, and nothing can be resumed: until `finish`, the schema says nothing.
"""

from collections.abc import Mapping, Sequence

import asyncpg

from libs.events.contract import Event
from libs.events.envelope import Envelope
from services.console import projection
from services.console.projection import Changes, Heard, LaneKey, OrderKey, TimelineRow
from services.console.records import UnreadableEvent
from services.console.store import Projector, TopicPartition, columns, table_rows
from services.console.stored import Written, write_state

ORDERS_MAX = 20_000
"""Orders held in memory, some 8 kB each; beyond it all are written, and read again if something follows."""
_TIMELINE_ROWS = 10_000
_LATER = """
    SELECT format('DROP INDEX %I.%I', schemaname, indexname), indexdef FROM pg_indexes
    WHERE schemaname = $1 AND indexname NOT IN (
        SELECT conname FROM pg_constraint WHERE connamespace = quote_ident($1)::regnamespace)
    UNION ALL
    SELECT format('ALTER TABLE %I.timeline DROP CONSTRAINT %I', $1, conname),
        format('ALTER TABLE %I.timeline ADD CONSTRAINT %I %s', $1, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid = format('%I.timeline', $1)::regclass AND contype = 'p'
    UNION ALL
    SELECT format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', relname),
        format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relname)
    FROM pg_class WHERE relnamespace = quote_ident($1)::regnamespace AND relforcerowsecurity"""
"""What to do first, and its undoing at the end: indexes that serve queries alone, the key of what is only
appended, and what keeps the owner from COPY."""


class Refold:
    """Takes events in any order that keeps each partition's. The schema is new from `create_read_models`."""

    def __init__(self, pool: asyncpg.Pool, schema: str, *, orders_max: int = ORDERS_MAX) -> None:
        self._projector = Projector(pool, schema)
        self._schema, self._orders_max = schema, orders_max
        self._changes = Changes()
        self._heard: dict[LaneKey, Heard] = {}
        self._unreadable: list[UnreadableEvent] = []
        self._later: list[str] = []
        self._has_rows = False

    async def begin(self) -> None:
        """Take away what only slows the writing."""
        async with self._projector.transaction() as connection:
            for first, later in await connection.fetch(_LATER, self._schema):
                await connection.execute(first)
                self._later.append(later)

    async def take(
        self, envelopes: Sequence[Envelope[Event]], unreadable: Sequence[UnreadableEvent] = ()
    ) -> None:
        """Fold more events."""
        self._unreadable += unreadable
        new, moved = projection.unheard(envelopes, self._heard)
        self._heard |= moved
        known: dict[OrderKey, Written] = {}
        missing = projection.touched(new).keys() - self._changes.states.keys()
        if missing and self._has_rows:
            async with self._projector.transaction() as connection:
                known = await self._projector.read(connection, missing)
        projection.fold(new, {key: order.state for key, order in known.items()}, self._changes)
        if len(self._changes.states) > self._orders_max:
            await self._write()
        elif len(self._changes.timeline) > _TIMELINE_ROWS:
            await self._tell()

    async def finish(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Write the rest, and that all was read up to these offsets; build the indexes."""
        await self._write()
        async with self._projector.transaction() as connection:
            moved = [(*lane, *heard) for lane, heard in self._heard.items()]
            await self._projector.put(connection, "high_water", moved)
            await self._projector.put(connection, "unreadable", self._unreadable)
            stand = [(*place, offset) for place, offset in offsets.items()]
            await self._projector.put(connection, "consumed", stand)
            await connection.execute("SELECT set_config('statement_timeout', '0', true)")
            for later in self._later:
                await connection.execute(later)

    async def _write(self) -> None:
        await self._tell()
        changes, self._changes = self._changes, Changes()
        written = {key: write_state(state) for key, state in changes.states.items()}
        async with self._projector.transaction() as connection:
            if self._has_rows:
                await self._projector.write(connection, changes, written)
            else:
                for table, rows in table_rows(changes, written).items():
                    await connection.copy_records_to_table(table, records=rows, columns=columns(table))
        self._has_rows = True

    async def _tell(self) -> None:
        rows, self._changes.timeline = self._changes.timeline, []
        async with self._projector.transaction() as connection:
            await connection.copy_records_to_table("timeline", records=rows, columns=TimelineRow._fields)
