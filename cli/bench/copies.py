"""A month of orders, copied until there are as many as asked for: read models and search index for a bench.

Each copy of an order has an id, numbers, a customer with a name, and times of its own: they lie between those
of the order that it is a copy of and those of the next. What an order looks like, how long things take and
what share of all is still under way is so what it was in the month. Rows are written by SQL, before keys and
indexes.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from cli.bench.month import TENANT, Month
from cli.demo.people import share
from libs.runtime.keyring import Keyring, Unsealed
from services.console.at_work import InHand
from services.console.items import ItemRow
from services.console.projection import OrderRow, SkuOfOrder, TimelineRow
from services.console.refold import begin, finish
from services.console.search.entries import CONTACT, ORDER
from services.console.search.index import SearchIndex, write_sealed
from services.console.search.terms import personal_words, tokens, words_of
from services.console.stock import BalanceKey, ReservationKey, ReservationUnits
from services.console.stock_items import StockItemChange, StockItemKey
from services.console.store import LIVE, table_rows, work_rows
from services.console.stored import write_state

CUSTOMERS = 20
"""That a customer of the month becomes."""
_BATCH = 2_000
_FIRST = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Leslie", "Tony", "Frances")
_LAST = (
    "Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Perlman", "Lamport", "Hoare", "Allen",
)  # fmt: skip
_UNUSED = (
    *("exception_rules", "stock_care", "stock_checks", "parked_keys", "parked_care"),
    *("full_days", "node_reach", "serial_units", "serial_moves"),
)
_COLUMNS: dict[str, tuple[str, ...]] = {
    "orders": OrderRow._fields,
    "order_skus": (*SkuOfOrder._fields, "ordered_at"),
    "timeline": TimelineRow._fields,
    "stock": (*BalanceKey._fields, "quantity"),
    "reservations": (*ReservationKey._fields, *ReservationUnits._fields),
    "exceptions": ItemRow._fields,
    "at_work": InHand._fields,
    "stock_items": (*StockItemKey._fields, *StockItemChange._fields),
}
_OF_STOCK = {
    "stock": "INSERT INTO live.stock SELECT tenant, sku, node, bucket, quantity * $1 FROM month.stock",
    "stock_items": "INSERT INTO live.stock_items SELECT * FROM month.stock_items WHERE $1 > 0",
}
"""SKUs stay what they are; their units are those of all copies."""
_ID = "md5(m.order_id || '/' || k)::uuid::text"
_NUMBER = "((m.number - 1) * $1 + k)"
_OWN = {
    "order_id": _ID,
    "external_id": f"'R' || {_NUMBER}",
    "customer_id": f"m.customer_id || '-' || k % {CUSTOMERS}",
    "facts": f"replace(replace(m.facts, m.external_id, 'R' || {_NUMBER}), m.order_id, {_ID})",
}
_LATER = """SELECT format('DROP INDEX search.%I', indexname), indexdef FROM pg_indexes
    WHERE schemaname = 'search' AND indexname NOT LIKE '%_pkey'"""


async def fill(pool: asyncpg.Pool, keyring: Keyring, month: Month, copies: int) -> None:
    """Into read models that are empty, by a pool whose statements may take their time."""
    undone = await begin(pool, LIVE, logged=False)
    tables = await _stage(pool, month)

    async def copy_all() -> None:
        for table in tables:
            await _copy(pool, table, month, copies)

    await asyncio.gather(_search(pool, keyring, month, copies), copy_all())
    await finish(pool, LIVE, undone, {})
    async with pool.acquire() as connection:
        await connection.execute("DROP SCHEMA month CASCADE")
        await connection.execute("VACUUM ANALYZE")
    await SearchIndex(pool, keyring).note_common()


def name(number: int) -> str:
    """A customer's."""
    return f"{_FIRST[number % 10]} {_LAST[number // 10 % 10]}{number // 100 % 100}"


async def _stage(pool: asyncpg.Pool, month: Month) -> Sequence[str]:
    """The month's own rows with the numbers of their orders, in their order, in a schema of theirs."""
    written = {key: write_state(state) for key, state in month.changes.states.items()}
    rows: dict[str, list[Any]] = {**table_rows(month.changes, written)}
    rows |= {"timeline": list(month.changes.timeline), "at_work": work_rows(written)}
    for unused in _UNUSED:
        del rows[unused]
    placed = _COLUMNS["orders"].index("ordered_at")
    in_time = sorted(rows["orders"], key=lambda row: row[placed])
    numbers = {row[1]: number for number, row in enumerate(in_time, 1)}
    async with pool.acquire() as connection:
        await connection.execute("DROP SCHEMA IF EXISTS month CASCADE; CREATE SCHEMA month")
        for table, found in rows.items():
            await connection.execute(f"CREATE TABLE month.{table} (LIKE live.{table})")
            columns = _COLUMNS[table]
            if table not in _OF_STOCK:
                await connection.execute(f"ALTER TABLE month.{table} ADD number int")
                of, columns = columns.index("order_id"), (*columns, "number")
                found = sorted(
                    [(*row, numbers[row[of]]) for row in found if row[of] in numbers], key=lambda row: row[-1]
                )
            await connection.copy_records_to_table(table, records=found, columns=columns, schema_name="month")
    return ["timeline", *(table for table in rows if table != "timeline")]


async def _copy(pool: asyncpg.Pool, table: str, month: Month, copies: int) -> None:
    columns, values = _COLUMNS[table], list[object]([copies])
    statement = _OF_STOCK.get(table, "")
    if table not in _OF_STOCK:
        made = ", ".join(map(_made, columns))
        statement = f"""INSERT INTO live.{table} ({", ".join(columns)}) SELECT {made}
            FROM month.{table} AS m CROSS JOIN LATERAL generate_series(1, $1::int + 0 * m.number) AS k"""  # noqa: S608 - names of ours
        if any(map(_is_time, columns)):
            values.append(month.apart / copies)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL orderlog.projector = 'on'")
        await connection.execute(statement, *values)


def _made(column: str) -> str:
    own = _OWN.get(column, f"m.{column}")
    return f"{own} + (k - 1) * $2::interval" if _is_time(column) else own


def _is_time(column: str) -> bool:
    return column == "at" or column.endswith("_at")


async def _search(pool: asyncpg.Pool, keyring: Keyring, month: Month, copies: int) -> None:
    """As the index's own code has them, by COPY; indexes come last."""
    later = await pool.fetch(_LATER)
    for drop, _ in later:
        await pool.execute(drop)
    await SearchIndex(pool, keyring).apply((), month.articles, {})
    ids = await pool.fetch(
        f"""SELECT m.order_id, k, {_ID}, {_NUMBER}, coalesce({_OWN["customer_id"]}, ''),
            coalesce(m.customer_id, m.external_id) || '-' || k % {CUSTOMERS}, {_made("ordered_at")}
        FROM month.orders AS m CROSS JOIN LATERAL generate_series(1, $1::int + 0 * m.number) AS k
        WHERE m.ordered_at IS NOT NULL""",  # noqa: S608 - names of ours
        copies,
        month.apart / copies,
    )
    shipments: dict[str, list[str]] = {}
    for part in month.parts:
        if part.part not in (ORDER, CONTACT):
            shipments.setdefault(part.order_id, []).append(part.part)
    entered = _Entered(keyring, shipments)
    async with pool.acquire() as connection:
        for first in range(0, len(ids), _BATCH):
            rows = await entered.rows([tuple(row) for row in ids[first : first + _BATCH]])
            await connection.copy_records_to_table("parts", records=rows, schema_name="search")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for _, create in later:
            await connection.execute(create)
        await connection.execute("RESET maintenance_work_mem")


class _Entered:
    """Rows of the search index. Tokens of a name are worked out once."""

    def __init__(self, keyring: Keyring, shipments: Mapping[str, Sequence[str]]) -> None:
        self._keyring, self._shipments = keyring, shipments
        self._key = keyring.index_key(TENANT)
        self._of_names: dict[str, list[int]] = {}

    async def rows(self, copied: Iterable[Sequence[Any]]) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        asked: list[Unsealed] = []
        moments: list[datetime] = []
        for order_id, copy, id_, number, customer, subject, at in copied:
            found.append(_row(id_, ORDER, at, words_of(f"R{number} {customer}"), customer or None))
            for shipment in self._shipments.get(order_id, ()):
                made = shipment.replace(order_id, id_)
                found.append(_row(id_, made, at, [f"demo{number:09}{copy % 1000:03}"]))
            asked.append(Unsealed(f"c:{subject}", id_, {"name": name(share(subject, 10_000))}))
            moments.append(at)
        sealed = await self._keyring.seal_many(TENANT, asked)
        for one, at, seal in zip(asked, moments, sealed, strict=True):
            tokens_ = self._tokens(str(one.personal["name"]))
            contact = (TENANT, one.order_id, CONTACT, at, "", tokens_, None)
            found.append((*contact, seal.subject, seal.generation, write_sealed(seal)))
        return found

    def _tokens(self, of: str) -> list[int]:
        if of not in self._of_names:
            self._of_names[of] = tokens(personal_words({"name": of}), TENANT, self._key)
        return self._of_names[of]


def _row(
    id_: str, part: str, at: datetime, words: Sequence[str], customer: str | None = None
) -> tuple[object, ...]:
    joined = "".join(f" {word}" for word in words)
    return (TENANT, id_, part, at, joined, tokens(words, TENANT), customer, None, None, None)
