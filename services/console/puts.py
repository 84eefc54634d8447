"""Rows over what is there, or on top of it: a statement a table, or one for the tables of nearly every batch.

A batch of the projection has rows for a dozen tables. One by one each costs a round trip to PostgreSQL, which
is what a small batch takes longest for where the processor is busy.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from libs.runtime.pool import Connection
from services.console.at_work import InHand
from services.console.day_sums import SUM_TABLES
from services.console.full_days import FullDays, FullDaysKey
from services.console.items import ItemRow
from services.console.node_reach import NodeKey, NodeReach
from services.console.parked_items import PARKED_KEYS_JOINED, ParkedCareKey, ParkedChange, ParkedKey
from services.console.projection import Heard, LaneKey, OrderKey, OrderRow, SkuOfOrder, TimelineRow
from services.console.records import UnreadableEvent
from services.console.rules import RuleChange
from services.console.serials import SERIAL_UNITS_JOINED, SerialKey, SerialMove, SerialUnit
from services.console.stock import ReservationUnits
from services.console.stock_care import STOCK_CARE_JOINED, StockCare, StockCareKey
from services.console.stock_checks import STOCK_CHECKS_JOINED, StockCheck, StockCheckKey
from services.console.stock_items import STOCK_ITEMS_JOINED, StockItemChange, StockItemKey

AT_ONCE = 2_000
"""Rows that a statement writes; some 20 ms of it for the widest."""
Rows: TypeAlias = Sequence[tuple[object, ...]]

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


class _Write(NamedTuple):
    """`INSERT … SELECT unnest(…)` into one table. A row that is there already is overwritten, or added to, or
    (where the key is all there is) left alone, or (where no key is given) an error."""

    table: str
    key: tuple[str, ...]
    rest: tuple[str, ...]
    adds: bool = False
    moved: str = ""
    """What becomes of a row that is there, where it is neither."""

    @property
    def columns(self) -> tuple[str, ...]:
        return self.key + self.rest

    def sql(self, after: int = 0) -> str:
        """The statement, its arrays numbered after so many others."""
        columns = self.columns
        arrays = ", ".join(f"${n}::{_type(name)}[]" for n, name in enumerate(columns, after + 1))
        named = ", ".join(columns)
        insert = f"INSERT INTO {self.table} AS known ({named}) SELECT * FROM unnest({arrays})"  # noqa: S608
        if not self.key:
            return insert
        before = {name: f"known.{name} + " if self.adds else "" for name in self.rest}
        moved = self.moved or ", ".join(f"{name} = {before[name]}excluded.{name}" for name in self.rest)
        action = f"DO UPDATE SET {moved}" if moved else "DO NOTHING"
        return f"{insert} ON CONFLICT ({', '.join(self.key)}) {action}"


def _type(column: str) -> str:
    return "timestamptz" if column == "at" or column.endswith("_at") else _TYPES.get(column, "bigint")


_TIMELINE = _Write("timeline", (), TimelineRow._fields)
_ORDERS = _Write("orders", OrderKey._fields, OrderRow._fields[2:])
_SKUS = _Write("order_skus", (*SkuOfOrder._fields, "ordered_at"), ())
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
_WRITES = {
    write.table: write
    for write in (
        _TIMELINE,
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
_SQL = {table: write.sql() for table, write in _WRITES.items()}
TOGETHER = (
    "timeline",
    "orders",
    "order_skus",
    "reservations",
    "exceptions",
    "at_work",
    *SUM_TABLES,
    "high_water",
    "consumed",
)
"""Tables that one statement writes, in an order of its own: of these, lanes share rows of `reservations`
alone."""


def _together() -> str:
    """The statement, a part of it for each table."""
    parts, after = [], 0
    for table in TOGETHER:
        write = _WRITES[table]
        parts.append(f"to_{table} AS ({write.sql(after)})")
        after += len(write.columns)
    return f"WITH {', '.join(parts)} SELECT"


_TOGETHER = _together()


async def put(connection: Connection, table: str, rows: Rows) -> None:
    """Write rows into one table: over what is there, or on top of it."""
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        await connection.execute(_SQL[table], *zip(*some, strict=True))


async def put_all(connection: Connection, rows: Mapping[str, Rows]) -> None:
    """Write rows of several tables: those of TOGETHER first, at once if they are few, then the others in
    their order. A table's own rows come in key order, so that no two batches wait in a ring."""
    often = {table: rows[table] for table in TOGETHER if rows.get(table)}
    if len(often) > 1 and sum(map(len, often.values())) <= AT_ONCE:
        arrays: list[Sequence[object]] = []
        for table in TOGETHER:
            found = often.get(table)
            arrays += zip(*found, strict=True) if found else [()] * len(_WRITES[table].columns)
        await connection.execute(_TOGETHER, *arrays)
        often = {}
    for table, found in (often | {table: rows[table] for table in rows if table not in TOGETHER}).items():
        await put(connection, table, found)


def columns(table: str) -> tuple[str, ...]:
    """The columns of a table's rows as they are written here."""
    return _WRITES[table].columns
