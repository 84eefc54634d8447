"""The read models in PostgreSQL: one transaction a batch, set-based, fenced by the offsets it moves.

The projector owns every table of its schema; the query API reads the same tables under row-level security.
Lanes are the unit of ownership: a batch locks the offsets of every topic of its lanes, so two projectors that
meet in a lane (a rebalance) go one after the other, and the later one finds its offsets moved.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import NamedTuple, TypeAlias

import asyncpg

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.pool import transaction
from services.console import projection
from services.console.announce import TELL, announcement
from services.console.at_work import InHand, changed_in_hand, in_hand
from services.console.check_sums import READ_CHECKS, changed_checks
from services.console.day_sums import SUM_TABLES, changed_sums, sources, sum_rows
from services.console.facts import State
from services.console.full_days import FullDays, FullDaysKey
from services.console.items import ItemRow, item_rows
from services.console.missing import KEEP_MISSING, LOCK_CLAIMS, of_waiting
from services.console.node_reach import NodeKey, NodeReach
from services.console.order_nodes import ENTER, LEAVE, changed_nodes
from services.console.parked_items import PARKED_KEYS_JOINED, ParkedCareKey, ParkedChange, ParkedKey
from services.console.projection import (
    Changes,
    Heard,
    LaneKey,
    OrderKey,
    OrderRow,
    TimelineRow,
    order_row,
    ordered_at,
)
from services.console.recent import LaneOrders, RecentOrders, Stand
from services.console.records import UnreadableEvent
from services.console.rules import RuleChange
from services.console.serials import SERIAL_UNITS_JOINED, SerialKey, SerialMove, SerialUnit
from services.console.stock import ReservationUnits
from services.console.stock_care import STOCK_CARE_JOINED, StockCare, StockCareKey
from services.console.stock_checks import STOCK_CHECKS_JOINED, StockCheck, StockCheckKey
from services.console.stock_items import STOCK_ITEMS_JOINED, StockItemChange, StockItemKey
from services.console.stored import UNWRITTEN, Written, read_written, with_source, write_state

LIVE = "live"
"""The schema that queries read."""
_FOLDED_AT_ONCE = 1_000
"""Events; some 15 ms of the event loop."""
_PUT_AT_ONCE = 2_000
"""Rows that a statement writes; some 20 ms of it for the widest."""
TopicPartition: TypeAlias = tuple[str, int]
Connection: TypeAlias = "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy"

_TYPES = {
    "tenant": "text", "order_id": "text", "sku": "text", "node": "text", "bucket": "text", "stage": "text",
    "status": "text", "channel": "text", "external_id": "text", "customer_id": "text", "currency": "text",
    "type": "text", "sentence": "text", "actor": "text", "reason": "text", "facts": "text", "topic": "text",
    "source": "text", "event_id": "uuid", "causation_id": "uuid", "line_count": "int", "events": "int",
    "lane": "int", "partition": "int", "code": "text", "nodes": "text", "waiting_in": "text",
    "segments": "text", "last_node": "text", "last_carrier": "text", "broken": "text", "item": "text",
    "kind": "text", "why": "text", "assignee": "text", "snoozed_why": "text", "note": "text", "which": "text",
    "owner": "text", "days": "text", "serial": "text", "place": "text", "target": "text", "document": "text",
    "parked_key": "text", "problem": "text",
    "next_step": "text", "promised_on": "date", "carriage_currency": "text", "day": "date", "carrier": "text",
    "ships_to": "text", "service": "text",
    "ship_days": "int", "picks": "text", "check_id": "text", "standing": "text",
}  # fmt: skip
"""Column types for unnest; `…_at` and `at` are timestamptz, all else bigint."""


class OffsetMoved(Exception):
    """Another owner has moved on. `stored` says where each topic's partition of the batch's lanes stands."""

    def __init__(self, stored: Mapping[TopicPartition, int]) -> None:
        super().__init__(
            "consumed offsets are not where this projector left them; read on from the stored ones"
        )
        self.stored = dict(stored)


class _Write(NamedTuple):
    """`INSERT … SELECT unnest(…)` into one table. A row that is there already is overwritten, or added to, or
    (where the key is all there is) left alone."""

    table: str
    key: tuple[str, ...]
    rest: tuple[str, ...]
    adds: bool = False
    moved: str = ""
    """What becomes of a row that is there, where it is neither."""

    def sql(self) -> str:
        columns = self.key + self.rest
        arrays = ", ".join(f"${n}::{_type(name)}[]" for n, name in enumerate(columns, 1))
        named = ", ".join(columns)
        insert = f"INSERT INTO {self.table} AS known ({named}) SELECT * FROM unnest({arrays})"  # noqa: S608
        before = {name: f"known.{name} + " if self.adds else "" for name in self.rest}
        moved = self.moved or ", ".join(f"{name} = {before[name]}excluded.{name}" for name in self.rest)
        action = f"DO UPDATE SET {moved}" if moved else "DO NOTHING"
        return f"{insert} ON CONFLICT ({', '.join(self.key)}) {action}"


def _type(column: str) -> str:
    return "timestamptz" if column == "at" or column.endswith("_at") else _TYPES.get(column, "bigint")


_ORDERS = _Write("orders", OrderKey._fields, OrderRow._fields[2:])
_SKUS = _Write("order_skus", (*projection.SkuOfOrder._fields, "ordered_at"), ())
_STOCK = _Write("stock", ("tenant", "sku", "node", "bucket"), ("quantity",), adds=True)
_RESERVATIONS = _Write("reservations", ("tenant", "order_id", "sku"), ReservationUnits._fields, adds=True)
_EXCEPTIONS = _Write("exceptions", ItemRow._fields[:3], ItemRow._fields[3:])
_STOCK_ITEMS = _Write("stock_items", StockItemKey._fields, StockItemChange._fields, moved=STOCK_ITEMS_JOINED)
_STOCK_CARE = _Write("stock_care", StockCareKey._fields, StockCare._fields, moved=STOCK_CARE_JOINED)
_STOCK_CHECKS = _Write("stock_checks", StockCheckKey._fields, StockCheck._fields, moved=STOCK_CHECKS_JOINED)
_PARKED_KEYS = _Write("parked_keys", ParkedKey._fields, ParkedChange._fields, moved=PARKED_KEYS_JOINED)
_PARKED_CARE = _Write("parked_care", ParkedCareKey._fields, StockCare._fields, moved=STOCK_CARE_JOINED)
_FULL_DAYS = _Write("full_days", FullDaysKey._fields, FullDays._fields)
_NODE_REACH = _Write("node_reach", NodeKey._fields, NodeReach._fields)
_SERIAL_UNITS = _Write("serial_units", SerialKey._fields, SerialUnit._fields, moved=SERIAL_UNITS_JOINED)
_SERIAL_MOVES = _Write("serial_moves", SerialMove._fields[:4], SerialMove._fields[4:])
_RULES = _Write("exception_rules", RuleChange._fields[:2], RuleChange._fields[2:])
_AT_WORK = _Write("at_work", InHand._fields[:4], InHand._fields[4:])
_UNREADABLE = _Write("unreadable", UnreadableEvent._fields[:3], UnreadableEvent._fields[3:])
_HIGH_WATER = _Write("high_water", LaneKey._fields, Heard._fields)
_CONSUMED = _Write("consumed", ("topic", "partition"), ("next_offset",))
_SUMS = [_Write(table.name, table.key, table.sums, adds=True) for table in SUM_TABLES.values()]
_SQL = {
    write.table: write.sql()
    for write in (
        _ORDERS,
        _SKUS,
        _STOCK,
        _RESERVATIONS,
        _EXCEPTIONS,
        _STOCK_ITEMS,
        _STOCK_CARE,
        _STOCK_CHECKS,
        _PARKED_KEYS,
        _PARKED_CARE,
        _FULL_DAYS,
        _NODE_REACH,
        _SERIAL_UNITS,
        _SERIAL_MOVES,
        _RULES,
        _AT_WORK,
        _UNREADABLE,
        _HIGH_WATER,
        _CONSUMED,
        *_SUMS,
    )
}
_COLUMNS = {write.table: write.key + write.rest for write in (_ORDERS, _SKUS, _RESERVATIONS, _AT_WORK)}
_REGISTER = "INSERT INTO consumed SELECT *, 0 FROM unnest($1::text[], $2::int[]) ON CONFLICT DO NOTHING"
_POSITIONS = """SELECT topic, partition, next_offset FROM consumed
    JOIN unnest($1::text[], $2::int[]) AS wanted (topic, partition) USING (topic, partition)"""
_FENCE = """SELECT topic, partition, next_offset, tableoid FROM consumed WHERE partition = ANY($1::int[])
    ORDER BY partition, topic FOR UPDATE"""
_HEARD = "SELECT source, lane, sequence, at FROM high_water WHERE lane = ANY($1::int[])"
_WORK_ENDED = """DELETE FROM at_work AS known
    USING unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS gone (tenant, order_id, node, sku)
    WHERE (known.tenant, known.order_id, known.node, known.sku)
        = (gone.tenant, gone.order_id, gone.node, gone.sku)"""
_STATES = """SELECT tenant, order_id, facts FROM orders
    JOIN unnest($1::text[], $2::text[]) AS wanted (tenant, order_id) USING (tenant, order_id)"""


# COPY is far cheaper than arrays (asyncpg looks at each element of an array for a dimension below it), but it
# cannot fill a table under row-level security: hence the detour.
_ARRIVING = "CREATE TEMPORARY TABLE IF NOT EXISTS arriving (LIKE timeline) ON COMMIT DELETE ROWS"
_TELL = "INSERT INTO timeline SELECT * FROM arriving"


class Projector:
    """Applies batches to one schema. Safe to run twice at once: offsets fence, nothing is applied twice."""

    def __init__(self, pool: asyncpg.Pool, schema: str = LIVE) -> None:
        self._pool = pool
        self._schema = schema
        self._recent = RecentOrders()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that sees the schema's tables, as the projector."""
        async with transaction(self._pool) as connection:
            await connection.execute(
                "SELECT set_config('search_path', quote_ident($1), true),"
                " set_config('client_min_messages', 'warning', true),"
                # What a crash of the server takes back is read again: its offsets go with it.
                " set_config('synchronous_commit', 'off', true),"
                " set_config('orderlog.projector', 'on', true)",
                self._schema,
            )
            yield connection

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to read on; a partition that was never read is registered at 0."""
        wanted = sorted(partitions)
        topics, numbers = [topic for topic, _ in wanted], [number for _, number in wanted]
        async with self.transaction() as connection:
            await connection.execute(_REGISTER, topics, numbers)
            rows = await connection.fetch(_POSITIONS, topics, numbers)
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def apply(
        self,
        envelopes: Sequence[Envelope[Event]],
        offsets: Mapping[TopicPartition, tuple[int, int]],
        unreadable: Sequence[UnreadableEvent] = (),
    ) -> None:
        """Fold a batch and move its offsets, (expected, next) by partition, in one transaction.

        Events of one sender's lane come in order; lanes and topics may be mixed. What of the batch could not
        be read is noted, as `unreadable`. Raises OffsetMoved, having changed nothing, when an offset is not
        the expected one or was never registered by `positions`.
        """
        async with self.transaction() as connection:
            stored = await self._fence(connection, offsets)
            lanes = {lane: self._recent.of(lane, stand) for lane, stand in _stands(stored).items()}
            new, moved = projection.unheard(envelopes, await self._heard(connection, envelopes))
            written: dict[OrderKey, Written] = {}
            touched = projection.touched(new)
            if new:
                known = await self._known(connection, touched, lanes)
                changes = await _folded(new, {key: order.state for key, order in known.items()})
                written = {
                    key: write_state(state, known.get(key, UNWRITTEN))
                    for key, state in changes.states.items()
                }
                await self._tell(connection, changes.timeline)
                waiting = tuple(zip(*of_waiting(changes, written), strict=True))
                if waiting:
                    await connection.execute(LOCK_CLAIMS, *waiting)
                if changes.checks:
                    known_checks = await connection.fetch(READ_CHECKS, *zip(*changes.checks, strict=True))
                    for table, sums in changed_checks(changes.checks, known_checks, new).items():
                        await self.put(connection, table, sum_rows(sums))
                told = await self.write(connection, changes, written, known)
                if waiting:
                    await connection.execute(KEEP_MISSING, *waiting)
                for statement, rows in zip((LEAVE, ENTER), changed_nodes(written, known), strict=True):
                    if rows:
                        await connection.execute(statement, *zip(*rows, strict=True))
                now = sources(told)
                for table, sums in changed_sums(now, known, touched).items():
                    await self.put(connection, table, sum_rows(sums))
                written = {key: with_source(order, now[key]) for key, order in written.items()}
                await self.put(connection, "high_water", [(*lane, *heard) for lane, heard in moved.items()])
                if self._schema == LIVE and (news := announcement(changes)) is not None:
                    await connection.execute(TELL, news)
            await self.put(connection, "unreadable", unreadable)
            reached = {place: (next_, stored[place][1]) for place, (_, next_) in offsets.items()}
            await self.put(
                connection, "consumed", [(*place, next_) for place, (next_, _) in sorted(reached.items())]
            )
        for lane, stand in _stands(stored | reached).items():
            orders = [(key, order) for key, order in written.items() if touched[key] == lane]
            self._recent.keep(lane, lanes[lane], stand, orders)

    async def _fence(
        self, connection: Connection, offsets: Mapping[TopicPartition, tuple[int, int]]
    ) -> dict[TopicPartition, tuple[int, int]]:
        """Lock the lanes: where all their topics stand, each with the id of the table that says so."""
        lanes = sorted({partition for _, partition in offsets})
        rows = await connection.fetch(_FENCE, lanes)
        stored = {(topic, partition): (offset, table) for topic, partition, offset, table in rows}
        nowhere = (None, 0)
        if any(stored.get(place, nowhere)[0] != expected for place, (expected, _) in offsets.items()):
            raise OffsetMoved({place: offset for place, (offset, _) in stored.items()})
        return stored

    async def _heard(
        self, connection: Connection, envelopes: Sequence[Envelope[Event]]
    ) -> dict[LaneKey, Heard]:
        lanes = sorted({envelope.lane for envelope in envelopes})
        rows = await connection.fetch(_HEARD, lanes)
        return {LaneKey(source, lane): Heard(sequence, at) for source, lane, sequence, at in rows}

    async def _known(
        self, connection: Connection, touched: Mapping[OrderKey, int], lanes: Mapping[int, LaneOrders]
    ) -> dict[OrderKey, Written]:
        """The touched orders that there are: kept from the batches before, or read."""
        found = {key: lanes[lane].orders.get(key) for key, lane in touched.items()}
        kept = {key: order for key, order in found.items() if order is not None}
        missing = found.keys() - kept.keys()
        if not missing:
            return kept
        return kept | await self.read(connection, missing)

    async def read(self, connection: Connection, keys: Iterable[OrderKey]) -> dict[OrderKey, Written]:
        """Orders as they are stored, those that are."""
        wanted = list(keys)
        rows = await connection.fetch(
            _STATES, [key.tenant for key in wanted], [key.order_id for key in wanted]
        )
        return {OrderKey(tenant, order_id): read_written(facts) for tenant, order_id, facts in rows}

    async def write(
        self,
        connection: Connection,
        changes: Changes,
        written: Mapping[OrderKey, Written],
        known: Mapping[OrderKey, Written],
    ) -> Mapping[str, Sequence[tuple[object, ...]]]:
        """Write everything but the timeline and the sums by day, and tell the rows; `known` is how the orders
        stood before. Rows that lanes share (stock, reservations) go in key order, so that no two batches wait
        in a ring."""
        found = table_rows(changes, written)
        for table, rows in found.items():
            await self.put(connection, table, rows)
        await self.write_work(connection, written, known)
        return found

    async def write_work(
        self, connection: Connection, written: Mapping[OrderKey, Written], known: Mapping[OrderKey, Written]
    ) -> None:
        """Write what nodes have in hand for orders; `known` as for `write`."""
        before = [row for key in written if key in known for row in in_hand(*key, known[key].state)]
        ended, begun = changed_in_hand(before, work_rows(written))
        if ended:
            await connection.execute(_WORK_ENDED, *zip(*ended, strict=True))
        await self.put(connection, "at_work", begun)

    async def put(self, connection: Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Write rows into one of the tables that have a key: over what is there, or on top of it."""
        for start in range(0, len(rows), _PUT_AT_ONCE):
            some = rows[start : start + _PUT_AT_ONCE]
            await connection.execute(_SQL[table], *zip(*some, strict=True))

    async def _tell(self, connection: Connection, rows: Sequence[TimelineRow]) -> None:
        """Append to the timeline. A row that is there already is an error: repeats were dropped before."""
        if rows:
            await connection.execute(_ARRIVING)
            await connection.copy_records_to_table("arriving", records=rows, columns=TimelineRow._fields)
            await connection.execute(_TELL)


async def _folded(new: Sequence[Envelope[Event]], states: Mapping[OrderKey, State]) -> Changes:
    """`projection.fold`, with a turn for whoever else is on the event loop every now and then."""
    changes = projection.fold(new[:_FOLDED_AT_ONCE], states)
    for start in range(_FOLDED_AT_ONCE, len(new), _FOLDED_AT_ONCE):
        await asyncio.sleep(0)
        changes = projection.fold(new[start : start + _FOLDED_AT_ONCE], states, changes)
    return changes


def table_rows(changes: Changes, written: Mapping[OrderKey, Written]) -> dict[str, list[tuple[object, ...]]]:
    """The rows of everything but the timeline and `work_rows`, by table, in key order."""
    in_order = sorted(written.items(), key=itemgetter(0))
    orders = [order_row(key, order) for key, order in in_order]
    return {
        "orders": [*orders],
        "order_skus": [
            (*sku, ordered_at(written[OrderKey(sku.tenant, sku.order_id)].state))
            for sku in sorted(changes.skus)
        ],
        "reservations": [(*key, *units) for key, units in sorted(changes.reservations.items())],
        "stock": [(*key, units) for key, units in sorted(changes.balances.items())],
        "exceptions": [
            item
            for row, (key, order) in zip(orders, in_order, strict=True)
            if row.broken or order.state.intake.care
            for item in item_rows(*key, order.state)
        ],
        "stock_items": [(*key, *change) for key, change in sorted(changes.stock_items.items())],
        "stock_care": [(*key, *care) for key, care in sorted(changes.stock_care.items())],
        "stock_checks": [(*key, *check) for key, check in sorted(changes.checks.items())],
        "parked_keys": [(*key, *change) for key, change in sorted(changes.parked_keys.items())],
        "parked_care": [(*key, *care) for key, care in sorted(changes.parked_care.items())],
        "full_days": [(*key, *days) for key, days in sorted(changes.full_days.items())],
        "node_reach": [(*key, *reach) for key, reach in sorted(changes.node_reach.items())],
        "serial_units": [(*key, *unit) for key, unit in sorted(changes.serial_units.items())],
        "serial_moves": sorted(changes.serial_moves),
        "exception_rules": sorted(changes.rules, key=itemgetter(0, 1)),
    }


def work_rows(written: Mapping[OrderKey, Written]) -> list[InHand]:
    """What nodes have in hand for these orders, in key order."""
    return sorted([row for key, order in written.items() for row in in_hand(*key, order.state)])


def columns(table: str) -> tuple[str, ...]:
    """The columns of a table's rows as they are written here."""
    return _COLUMNS[table]


def _stands(stored: Mapping[TopicPartition, tuple[int, int]]) -> dict[int, Stand]:
    """By lane, where its topics stand."""
    lanes: dict[int, set[tuple[str, int, int]]] = {}
    for (topic, lane), (offset, table) in stored.items():
        lanes.setdefault(lane, set()).add((topic, offset, table))
    return {lane: frozenset(stand) for lane, stand in lanes.items()}
