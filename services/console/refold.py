"""Folds whole topics into an empty schema: orders in memory for a while, each row written once, indexes last.

For a rebuild alone. Nothing is fenced, and nothing can be resumed: until `finish`, the schema says nothing.
`begin`, then any number of `Refold` side by side, each with lanes of its own, then `finish`.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import asyncpg

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.record import record
from libs.runtime.pool import Connection
from services.console import projection
from services.console.day_sums import SUM_TABLES, fill_sums
from services.console.facts import State
from services.console.gone import Gone
from services.console.missing import FILL_MISSING
from services.console.order_nodes import FILL_NODES
from services.console.projection import Changes, Heard, LaneKey, OrderKey, TimelineRow
from services.console.puts import columns, put
from services.console.records import UnreadableEvent
from services.console.stock import ReservationKey, ReservationUnits
from services.console.store import Projector, TopicPartition, table_rows, work_rows
from services.console.stored import UNWRITTEN, Written, write_state

ORDERS_MAX = 6_000
"""Orders that one Refold holds in memory, 7 to 13 kB each; beyond it the oldest quarter is written, and an
order is read again if something follows. Under load stages lag some thousand orders behind each other."""
_ROWS_MAX = 5_000
"""Rows held for the timeline, claims that events of SKUs make for orders, buckets, unreadable records."""
_BUCKETS_MAX = 20_000
"""Buckets of stock whose sums are held; some 300 bytes each."""
_NAMED = "claims_named"
"""What is added to claims that were written before, or that are of orders which are not in memory, in a table
until the claims' own rows are all there."""
_COPIED = ("orders", "at_work", "order_skus", "reservations")
"""Tables that are loaded by COPY while they have no key."""
_KEYED = ("orders", "at_work")
"""Those of which rows are looked for as soon as an order that was written comes back."""
_PUT = (
    "stock",
    "exceptions",
    "stock_items",
    "stock_care",
    "stock_checks",
    "parked_keys",
    "parked_care",
    "full_days",
    "node_reach",
    "serial_units",
    "serial_moves",
    "exception_rules",
)
"""Tables with few rows, written over what is there, or on top of it."""
_UNLOGGED = """
    SELECT format('ALTER TABLE %I SET UNLOGGED', relname) FROM pg_class
    WHERE relnamespace = quote_ident($1)::regnamespace AND relkind = 'r'"""
_KEYS = """
    SELECT relname, format('ALTER TABLE %I DROP CONSTRAINT %I', relname, conname),
        format('ALTER TABLE %I ADD CONSTRAINT %I %s', relname, conname, pg_get_constraintdef(c.oid))
    FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = conrelid
    WHERE connamespace = quote_ident($1)::regnamespace AND contype = 'p'
        AND relname = ANY($2::text[] || 'timeline'::text)"""
_LATER = """
    SELECT tablename, format('DROP INDEX %I', indexname), indexdef FROM pg_indexes
    WHERE schemaname = $1 AND indexname NOT IN (
        SELECT conname FROM pg_constraint WHERE connamespace = quote_ident($1)::regnamespace)
    UNION ALL
    SELECT relname, format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', relname),
        format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relname)
    FROM pg_class WHERE relnamespace = quote_ident($1)::regnamespace AND relforcerowsecurity"""
"""What to do first, and its undoing at the end: keys that nothing asks for yet, indexes that serve queries
alone, and what keeps the owner from COPY."""
_HAVE_KEYS = """
    SELECT relname FROM pg_constraint JOIN pg_class AS t ON t.oid = conrelid
    WHERE connamespace = quote_ident($1)::regnamespace AND contype = 'p'"""
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('orderlog console keys'))"
_COMPLETING = """SELECT set_config('statement_timeout', '0', true),
    set_config('max_parallel_maintenance_workers', '0', true)"""
"""The tables are completed side by side: workers for one index would only share its sorting out once more."""
_SUMS = ", ".join(f"sum({name})" for name in ReservationUnits._fields)
_ADDED = ", ".join(f"{name} = known.{name} + excluded.{name}" for name in ReservationUnits._fields)
_ADD_NAMED = (
    f"INSERT INTO reservations AS known SELECT tenant, order_id, sku, {_SUMS} FROM {_NAMED}"  # noqa: S608
    f" GROUP BY tenant, order_id, sku ON CONFLICT (tenant, order_id, sku) DO UPDATE SET {_ADDED}"
)


class TwiceWritten(Exception):
    """Two rows in one place: events that claim one place in a stage's log, or an order in two lanes."""


@record
class Undone:
    """What `begin` took from a schema, by table: keys, and what comes after them."""

    keys: Mapping[str, str]
    later: Mapping[str, Sequence[str]]


async def begin(pool: asyncpg.Pool, schema: str, *, logged: bool) -> Undone:
    """Take away from a new schema what only slows the writing. Unless `logged` its rows outlive no crash of
    the server."""
    async with Projector(pool, schema).transaction() as connection:
        keys, later = {}, dict[str, list[str]]()
        for table, first, again in await connection.fetch(_LATER, schema):
            await connection.execute(first)
            later.setdefault(table, []).append(again)
        for table, first, again in await connection.fetch(_KEYS, schema, _COPIED):
            await connection.execute(first)
            keys[table] = again
        await connection.execute(f"CREATE TABLE {_NAMED} (LIKE reservations)")
        if not logged:
            for (statement,) in await connection.fetch(_UNLOGGED, schema):
                await connection.execute(statement)
    return Undone(keys, later)


async def finish(
    pool: asyncpg.Pool, schema: str, undone: Undone, offsets: Mapping[TopicPartition, int]
) -> None:
    """Every Refold is closed: add up, build keys and indexes, and note that all was read up to `offsets`.

    Raises TwiceWritten.
    """
    projector = Projector(pool, schema)

    async def complete(table: str) -> None:
        async with projector.transaction() as connection:
            await connection.execute(_COMPLETING)
            await _add_keys(connection, schema, undone, [table])
            if table == "reservations":
                await connection.execute(_ADD_NAMED)
                await connection.execute(f"DROP TABLE {_NAMED}")
            for statement in undone.later.get(table, ()):
                await connection.execute(statement)

    try:
        async with asyncio.TaskGroup() as tables:
            for table in {**undone.keys, **undone.later}:
                tables.create_task(complete(table))
    except ExceptionGroup as found:
        first = found.exceptions[0]
        if isinstance(first, asyncpg.UniqueViolationError):
            raise TwiceWritten(str(first)) from None
        raise first from None
    async with projector.transaction() as connection:
        await connection.execute("SELECT set_config('statement_timeout', '0', true)")
        await connection.execute(FILL_MISSING)
        await connection.execute(FILL_NODES)
        for sums in SUM_TABLES.values():
            await connection.execute(fill_sums(sums))
        stand = [(*place, offset) for place, offset in offsets.items()]
        await put(connection, "consumed", stand)


async def _add_keys(connection: Connection, schema: str, undone: Undone, tables: Iterable[str]) -> None:
    there = {name for (name,) in await connection.fetch(_HAVE_KEYS, schema)}
    for table in tables:
        if table in undone.keys and table not in there:
            await connection.execute(undone.keys[table])


class Refold:
    """Takes events in any order that keeps each partition's; `close` writes the rest.

    In memory are `orders_max` orders and as many rows as `_ROWS_MAX` says, whatever the history's length.
    """

    def __init__(
        self, pool: asyncpg.Pool, schema: str, undone: Undone, events: int, *, orders_max: int = ORDERS_MAX
    ) -> None:
        """`events` is about how many will come."""
        self._projector, self._schema, self._undone = Projector(pool, schema), schema, undone
        self._orders_max = orders_max
        self._changes = Changes()
        self._gone = Gone(events)
        self._stored: dict[OrderKey, Written] = {}
        """Of the orders in memory, those that were written and have come back."""
        self._has_keys = False
        self._heard: dict[LaneKey, Heard] = {}
        self._unreadable: list[UnreadableEvent] = []

    async def take(
        self, envelopes: Sequence[Envelope[Event]], unreadable: Sequence[UnreadableEvent] = ()
    ) -> None:
        """Fold more events."""
        self._unreadable += unreadable
        new, moved = projection.unheard(envelopes, self._heard)
        self._heard |= moved
        missing = projection.touched(new).keys() - self._changes.states.keys()
        back = [key for key in missing if key in self._gone]
        known = await self._read(back) if back else {}
        self._stored |= known
        projection.fold(new, {key: order.state for key, order in known.items()}, self._changes)
        orders, claims = len(self._changes.states), len(self._changes.reservations)
        if orders > self._orders_max or claims > 4 * self._orders_max + _ROWS_MAX:
            await self._write(orders - min(orders, self._orders_max) * 3 // 4)
        elif len(self._changes.serial_moves) + len(self._changes.checks) > _ROWS_MAX:
            await self._write(0)
        if len(self._changes.timeline) + len(self._unreadable) > _ROWS_MAX:
            await self._tell()

    async def close(self) -> None:
        """Write the rest, and how far each lane was heard."""
        await self._write(len(self._changes.states))
        await self._tell()
        async with self._projector.transaction() as connection:
            moved = [(*lane, *heard) for lane, heard in self._heard.items()]
            await put(connection, "high_water", moved)

    async def _read(self, keys: Iterable[OrderKey]) -> dict[OrderKey, Written]:
        if not self._has_keys:
            async with self._projector.transaction() as connection:
                await connection.execute(_ONE_AT_A_TIME)
                await _add_keys(connection, self._schema, self._undone, _KEYED)
            self._has_keys = True
        async with self._projector.transaction() as connection:
            return await self._projector.read(connection, keys)

    async def _write(self, count: int) -> None:
        """Write so many orders, the oldest, and what sums have come to; they are no more in memory."""
        out, named = self._take_out(count)
        stored = {key: self._stored.pop(key) for key in out.states.keys() & self._stored.keys()}
        orders = {key: write_state(state, stored.get(key, UNWRITTEN)) for key, state in out.states.items()}
        fresh = {key: order for key, order in orders.items() if key not in stored}
        rows = table_rows(out, orders)
        again = [row for row in rows["orders"] if row[:2] in stored]
        rows["orders"] = [row for row in rows["orders"] if row[:2] in fresh] if again else rows["orders"]
        rows["at_work"] = [*work_rows(fresh)]
        async with self._projector.transaction() as connection:
            for table in _COPIED:
                if rows[table]:
                    await connection.copy_records_to_table(table, records=rows[table], columns=columns(table))
            if named:
                added = [(*key, *units) for key, units in named.items()]
                await connection.copy_records_to_table(_NAMED, records=added)
            await put(connection, "orders", again)
            await self._projector.write_work(connection, {key: orders[key] for key in stored}, stored)
            for table in _PUT:
                await put(connection, table, rows[table])
        self._gone.update(fresh)

    def _take_out(self, count: int) -> tuple[Changes, dict[ReservationKey, ReservationUnits]]:
        """So many orders with all that is theirs, and what is added to claims that are written already, or
        are of orders that are not in memory."""
        held = self._changes
        stay = Changes(dict(islice(held.states.items(), count, None)), held.timeline)
        out = replace(
            held, states=dict(islice(held.states.items(), count)), timeline=[], skus=set(), reservations={}
        )
        if stay.states and len(held.balances) < _BUCKETS_MAX:
            stay.balances, out.balances = held.balances, {}
        named: dict[ReservationKey, ReservationUnits] = {}
        for sku in held.skus:
            order = OrderKey(sku.tenant, sku.order_id)
            if order in stay.states:
                stay.skus.add(sku)
            elif not (order in self._stored and _has_line(self._stored[order].state, sku.sku)):
                out.skus.add(sku)
        for claim, units in held.reservations.items():
            of = claim[:2]
            if of in stay.states:
                stay.reservations[claim] = units
            else:
                is_first = of in out.states and of not in self._stored
                (out.reservations if is_first else named)[claim] = units
        self._changes = stay
        return out, named

    async def _tell(self) -> None:
        rows, self._changes.timeline = self._changes.timeline, []
        unreadable, self._unreadable = self._unreadable, []
        async with self._projector.transaction() as connection:
            await connection.copy_records_to_table("timeline", records=rows, columns=TimelineRow._fields)
            await put(connection, "unreadable", unreadable)


def _has_line(state: State, sku: str) -> bool:
    return any(line.sku == sku for line in state.intake.lines)
