"""Every list and search of the console goes by an index: PostgreSQL's plans over many orders."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from libs.runtime.keyring import MemoryKeyring
from libs.runtime.pool import Connection
from services.console.day_sums import SUM_TABLES, fill_sums
from services.console.exceptions import NOBODY, QueueFilter, count_queue, place_of, read_queue
from services.console.hits import Search, find
from services.console.measures import Period, read_measures
from services.console.queries import OrderFilter, Queries
from services.console.search.terms import wanted
from services.console.today import _OLDEST, _STATUSES, _THROUGH, UNFINISHED
from services.console.where import Where
from tests.console_database import console_dsn
from tests.console_rows import NEWEST, TENANT, seed

__all__ = ["console_dsn"]
ORDERS = 20_000
KEYRING = MemoryKeyring()


_ENDED = """
    INSERT INTO live.exceptions (tenant, order_id, item, kind, since_at, ended_at, node, units, why,
        snoozed_why, note)
    SELECT tenant, order_id, 'failed_message/1', 'failed_message', ordered_at, ordered_at, '', 0, '', '', ''
    FROM live.orders WHERE tenant = $1 AND status = 'delivered'"""
"""What was the matter with orders that are through."""


class Explained(Queries):
    """Queries that keep the plan of what they ask, as the reader's role runs it."""

    plan = ""

    async def _page(self, select: str, asked: Any, order: str, limit: int) -> list[Any]:
        asked.values.append(limit)
        query = f"{select} WHERE {' AND '.join(asked.terms)} ORDER BY {order} LIMIT ${len(asked.values)}"
        async with self._tenant(asked.values[0]) as connection:
            rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {query}", *asked.values)
            self.plan = "\n".join(row[0] for row in rows)
            return [dict(row) for row in await connection.fetch(query, *asked.values)]


@pytest_asyncio.fixture(scope="module")
async def pool(console_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(console_dsn, min_size=1, max_size=2) as opened:
        await seed(opened, KEYRING, ORDERS)
        async with opened.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL orderlog.projector = 'on'")
            await connection.execute(_ENDED, TENANT)
            await connection.execute("SET LOCAL search_path = live")
            for sums in SUM_TABLES.values():
                await connection.execute(fill_sums(sums))
        await opened.execute("VACUUM ANALYZE live.exceptions")
        yield opened


ASKED = {
    "the newest": OrderFilter(),
    "of a status": OrderFilter(status="held"),
    "of a status that few have": OrderFilter(status="backordered", channel="phone"),
    "of a channel": OrderFilter(channel="phone"),
    "of a window": OrderFilter(since=NEWEST.replace(month=2, day=20), before=NEWEST.replace(month=2, day=21)),
    "of an external id": OrderFilter(external_id="B777"),
    "of a customer": OrderFilter(customer_id="77"),
    "with an article": OrderFilter(sku="SKU-77"),
    "of what waits at a node": OrderFilter(waits_in="stock", nodes="LON"),
    "of a node": OrderFilter(node="LON"),
    "of a node that few have": OrderFilter(node="MAN"),
    "of what is late at a node": OrderFilter(node="LON", promise="late", promise_at=NEWEST),
    "of what is late at a node that few have": OrderFilter(node="MAN", promise="late", promise_at=NEWEST),
    "of what is at risk at a node": OrderFilter(node="MAN", promise="at_risk", promise_at=NEWEST),
    "of a service that few have": OrderFilter(service="express"),
    "of the service that most have": OrderFilter(service="standard"),
    "of what is late": OrderFilter(promise="late", promise_at=NEWEST),
    "of what is at risk": OrderFilter(promise="at_risk", promise_at=NEWEST),
}
SEARCHED = (
    "lovelace",
    "hopper1",
    "zy00000",
    "00001234",
    "b1999",
    "lantern",
    "ivory teapot",
    "gra",
    "da",
    "zzz",
)


@pytest.mark.parametrize("name", ASKED)
async def test_a_list_goes_by_an_index(pool: asyncpg.Pool, name: str) -> None:
    queries = Explained(pool)
    rows = await queries.orders(TENANT, ASKED[name], None, 51)
    assert rows or name == "of an external id"
    _check(queries.plan)
    if len(rows) > 50:
        last = rows[49]
        place = (last[ASKED[name].sorted_by], last["order_id"])
        more = await queries.orders(TENANT, ASKED[name], place, 51)
        assert more
        _check(queries.plan)


@pytest.mark.parametrize("text", SEARCHED)
async def test_a_search_reads_no_more_than_a_page(pool: asyncpg.Pool, text: str) -> None:
    """However many orders are like that, and however old they are. The first time, it reads the catalogue."""
    search = Search(wanted(text, TENANT, KEYRING.index_key(TENANT)), text)
    async with Queries(pool).reading(TENANT) as connection:
        place = None
        for page in range(4):
            plans: Any = Plans(connection)
            asked = Where(["tenant = $1"], [TENANT])
            found = await find(plans, "SELECT * FROM orders", asked, search, None, place or (NEWEST, ""), 50)
            assert bool(found.rows) == (text != "zzz") or page
            for plan in plans.found:
                _check(plan)
                read = re.search(r"Buffers: shared hit=(\d+)", plan)
                assert read, plan
                assert page == 0 or int(read[1]) < 3_000, plan
            place = found.following or place


async def test_open_orders_are_those_of_their_index(pool: asyncpg.Pool) -> None:
    definition = await pool.fetchval(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'live' AND indexname = 'orders_quiet'"
    )
    assert set(re.findall(r"'([a-z_]+)'::text", definition)) == set(UNFINISHED)


async def test_today_is_counted_without_orders_rows(pool: asyncpg.Pool) -> None:
    statements = {
        _STATUSES: ((), "Index Only Scan using orders_quiet"),
        _OLDEST: ((list(UNFINISHED), 10), "using orders_quiet"),
        _THROUGH: ((NEWEST,), "Index Only Scan using orders_confirmed"),
    }
    async with Queries(pool).reading(TENANT) as connection:
        for statement, (values, expected) in statements.items():
            rows = await connection.fetch(f"EXPLAIN {statement.format(only='')}", TENANT, *values)
            plan = "\n".join(row[0] for row in rows)
            assert expected in plan, plan
            assert "Seq Scan" not in plan, plan


class Plans:
    """A connection that keeps the plan of what it is asked, beside its rows."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.found = connection, list[str]()

    async def fetch(self, query: str, *values: object) -> list[Any]:
        rows = await self.connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {query}", *values)
        self.found.append("\n".join(row[0] for row in rows))
        return list(await self.connection.fetch(query, *values))


@pytest.mark.parametrize(
    "wanted", [QueueFilter(), QueueFilter(kind="backordered"), QueueFilter(assignee=NOBODY)]
)
async def test_the_queue_reads_no_more_than_a_page_of_each_rule(
    pool: asyncpg.Pool, wanted: QueueFilter
) -> None:
    now, place, due = NEWEST + timedelta(days=30), None, list[Any]()
    async with Queries(pool).reading(TENANT) as connection:
        for _ in range(3):
            plans: Any = Plans(connection)
            page = await read_queue(plans, TENANT, now, wanted, place, 51)
            due += map(place_of, page)
            place = due[-1]
            assert len(page) == 51
            assert "exceptions_open" in plans.found[-1]
            _check(plans.found[-1])
            read = re.findall(
                r"Index (?:Only )?Scan using .*actual time=\S+ rows=([\d.]+) loops=(\d+)", plans.found[-1]
            )
            assert 51 <= sum(float(rows) * int(loops) for rows, loops in read) < 51 * 20, plans.found[-1]
    assert due == sorted(due)


@pytest.mark.parametrize("kind", ["late", "at_risk"])
async def test_promises_are_read_from_their_index(pool: asyncpg.Pool, kind: str) -> None:
    """Both from that by when the promise ends: what is at risk is among those whose day is not over."""
    place = None
    async with Queries(pool).reading(TENANT) as connection:
        for _ in range(2):
            plans: Any = Plans(connection)
            page = await read_queue(plans, TENANT, NEWEST, QueueFilter(kind=kind), place, 51)
            assert len(page) == 51
            assert "using orders_tenant_promise_ends_at_order_id_risk_at_idx on" in plans.found[-1], (
                plans.found[-1]
            )
            _check(plans.found[-1])
            place = place_of(page[-1])


async def test_the_queue_is_counted_without_orders_rows(pool: asyncpg.Pool) -> None:
    async with Queries(pool).reading(TENANT) as connection:
        plans: Any = Plans(connection)
        assert await count_queue(plans, TENANT, NEWEST + timedelta(days=30))
    assert "exceptions_open" in plans.found[-1], plans.found[-1]
    assert "Index Only Scan using orders_stuck" in plans.found[-1], plans.found[-1]
    _check(plans.found[-1])


async def test_a_month_is_read_from_sums_and_a_percentile_from_its_hour(pool: asyncpg.Pool) -> None:
    asked = Period(NEWEST - timedelta(days=30, hours=2), NEWEST)
    async with Queries(pool).reading(TENANT) as connection:
        orders = "SELECT count(*) FROM orders WHERE tenant = $1 AND shipped_at >= $2 AND shipped_at < $3"
        shipped = await connection.fetchval(orders, TENANT, asked.since, asked.before)
        plans: Any = Plans(connection)
        [found] = await read_measures(plans, TENANT, asked, "all", NEWEST)
    assert found["shipped"] == shipped > 0
    assert "Index Only Scan using orders_ship_hours" in "".join(plans.found)
    for plan in plans.found:
        _check(plan)
        read = re.findall(
            r"Scan using orders_(?!ship_hours).*actual time=\S+ rows=([\d.]+) loops=(\d+)", plan
        )
        assert sum(float(rows) * int(loops) for rows, loops in read) < shipped / 5, plan


def _check(plan: str) -> None:
    """Nothing is read from end to end that grows with the orders."""
    grows = ("orders", "order_skus", "order_nodes", "timeline", "parts", "exceptions", "reservations")
    assert not re.search(rf"Seq Scan on ({'|'.join(grows)})\b", plan), plan
    found = re.findall(r"Rows Removed by Filter: (\d+)", plan)
    assert all(int(rows) < ORDERS / 10 for rows in found), plan
