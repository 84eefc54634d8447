"""The read models in PostgreSQL: one transaction a batch, set-based, fenced by the offsets it moves.

The projector owns every table of its schema; the query API reads the same tables under row-level security.
Lanes are the unit of ownership: a batch locks the offsets of every topic of its lanes, so two projectors that
meet in a lane (a rebalance) go one after the other, and the later one finds its offsets moved.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import TypeAlias

import asyncpg

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.pool import Connection, transaction
from services.console import projection
from services.console.announce import TELL, announcement
from services.console.at_work import InHand, changed_in_hand, in_hand
from services.console.check_sums import READ_CHECKS, changed_checks
from services.console.day_sums import changed_sums, sources, sum_rows
from services.console.facts import State
from services.console.items import item_rows
from services.console.missing import KEEP_MISSING, LOCK_CLAIMS, of_waiting
from services.console.order_nodes import ENTER, LEAVE, changed_nodes
from services.console.projection import (
    Changes,
    Heard,
    LaneKey,
    OrderKey,
    TimelineRow,
    order_row,
    ordered_at,
)
from services.console.puts import Rows, put, put_all
from services.console.recent import LaneOrders, RecentOrders, Stand
from services.console.records import UnreadableEvent
from services.console.stored import UNWRITTEN, Written, read_written, with_source, write_state

LIVE = "live"
"""The schema that queries read."""
_FOLDED_AT_ONCE = 1_000
"""Events; some 15 ms of the event loop."""
TopicPartition: TypeAlias = tuple[str, int]


class OffsetMoved(Exception):
    """Another owner has moved on. `stored` says where each topic's partition of the batch's lanes stands."""

    def __init__(self, stored: Mapping[TopicPartition, int]) -> None:
        super().__init__(
            "consumed offsets are not where this projector left them; read on from the stored ones"
        )
        self.stored = dict(stored)


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
# cannot fill a table under row-level security: hence the detour, of three round trips.
_TOLD_MAX = 500
"""Rows of the timeline that are not worth it."""
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
            touched = projection.touched(new)
            reached = {place: (next_, stored[place][1]) for place, (_, next_) in offsets.items()}
            rows: dict[str, Rows] = {
                "consumed": [(*place, next_) for place, (next_, _) in sorted(reached.items())],
                "high_water": [(*lane, *heard) for lane, heard in moved.items()],
                "unreadable": unreadable,
            }
            written: dict[OrderKey, Written] = {}
            if new:
                known = await self._known(connection, touched, lanes)
                written = await self._project(connection, new, known, touched, rows)
            else:
                await put_all(connection, rows)
        for lane, stand in _stands(stored | reached).items():
            orders = [(key, order) for key, order in written.items() if touched[key] == lane]
            self._recent.keep(lane, lanes[lane], stand, orders)

    async def _project(
        self,
        connection: Connection,
        new: Sequence[Envelope[Event]],
        known: Mapping[OrderKey, Written],
        touched: Mapping[OrderKey, int],
        rows: Mapping[str, Rows],
    ) -> dict[OrderKey, Written]:
        """Write what these events change, and `rows` besides; the orders as they are then."""
        changes = await _folded(new, {key: order.state for key, order in known.items()})
        written = {
            key: write_state(state, known.get(key, UNWRITTEN)) for key, state in changes.states.items()
        }
        told = table_rows(changes, written)
        now = sources(told)
        sums = changed_sums(now, known, touched)
        waiting = tuple(zip(*of_waiting(changes, written), strict=True))
        if waiting:
            await connection.execute(LOCK_CLAIMS, *waiting)
        if changes.checks:
            known_checks = await connection.fetch(READ_CHECKS, *zip(*changes.checks, strict=True))
            sums = {**sums, **changed_checks(changes.checks, known_checks, new)}
        begun = await _end_work(connection, written, known)
        more = await self._tell(connection, changes.timeline)
        summed = {table: sum_rows(found) for table, found in sums.items()}
        await put_all(connection, {**told, **summed, **rows, "at_work": begun, "timeline": more})
        if waiting:
            await connection.execute(KEEP_MISSING, *waiting)
        for statement, moved in zip((LEAVE, ENTER), changed_nodes(written, known), strict=True):
            if moved:
                await connection.execute(statement, *zip(*moved, strict=True))
        if self._schema == LIVE and (news := announcement(changes)) is not None:
            await connection.execute(TELL, news)
        return {key: with_source(order, now[key]) for key, order in written.items()}

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

    async def write_work(
        self, connection: Connection, written: Mapping[OrderKey, Written], known: Mapping[OrderKey, Written]
    ) -> None:
        """Write what nodes have in hand for orders; `known` is how the orders stood before."""
        await put(connection, "at_work", await _end_work(connection, written, known))

    async def _tell(self, connection: Connection, rows: Sequence[TimelineRow]) -> Sequence[TimelineRow]:
        """Append to the timeline what is much; what is little is given back, to be put with the rest. A row
        that is there already is an error: repeats were dropped before."""
        if len(rows) <= _TOLD_MAX:
            return rows
        await connection.execute(_ARRIVING)
        await connection.copy_records_to_table("arriving", records=rows, columns=TimelineRow._fields)
        await connection.execute(_TELL)
        return ()


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


async def _end_work(
    connection: Connection, written: Mapping[OrderKey, Written], known: Mapping[OrderKey, Written]
) -> Sequence[InHand]:
    """Take away what nodes have in hand no more for these orders; what they have anew, which is to be put."""
    before = [row for key in written if key in known for row in in_hand(*key, known[key].state)]
    ended, begun = changed_in_hand(before, work_rows(written))
    if ended:
        await connection.execute(_WORK_ENDED, *zip(*ended, strict=True))
    return begun


def _stands(stored: Mapping[TopicPartition, tuple[int, int]]) -> dict[int, Stand]:
    """By lane, where its topics stand."""
    lanes: dict[int, set[tuple[str, int, int]]] = {}
    for (topic, lane), (offset, table) in stored.items():
        lanes.setdefault(lane, set()).add((topic, offset, table))
    return {lane: frozenset(stand) for lane, stand in lanes.items()}
