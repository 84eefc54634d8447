"""What the bench of the console fills its read models with: a month through all stages, copied."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest_asyncio

from cli.bench import asks
from cli.bench.copies import fill
from cli.bench.month import TENANT, Month, play
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.settings import Settings
from services.console.contacts import Contacts
from services.console.finder import Finder
from services.console.queries import OrderFilter, Queries, Row
from services.console.stored import read_state
from tests.console_database import console_dsn

__all__ = ["console_dsn"]
ORDERS, COPIES = 40, 5
ENDS = datetime(2026, 3, 1, tzinfo=UTC)
KEYRING = MemoryKeyring()


@pytest_asyncio.fixture(scope="module")
async def month() -> Month:
    return await play(Settings(), ORDERS, ENDS)


@pytest_asyncio.fixture(scope="module")
async def pool(console_dsn: str, month: Month) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(console_dsn, min_size=1, max_size=12) as opened:
        await fill(opened, KEYRING, month, COPIES)
        yield opened


async def test_a_copy_stands_where_its_order_stood(pool: asyncpg.Pool, month: Month) -> None:
    rows = [row async for row in _all(Queries(pool))]
    assert len(rows) == ORDERS * COPIES == len({row["order_id"] for row in rows})
    assert len({row["external_id"] for row in rows}) == len(rows)
    assert max(row["ordered_at"] for row in rows) < ENDS
    delivered = sum(state.fulfillment.outcome == "delivered" for state in month.changes.states.values())
    assert Counter(row["status"] for row in rows)["delivered"] == delivered * COPIES > 0


async def test_a_copy_is_found_by_what_is_its_own(pool: asyncpg.Pool) -> None:
    queries = Queries(pool)
    finder = Finder(queries, Contacts(queries, KEYRING))
    row = [row async for row in _all(queries)][17]
    read = await queries.order(TENANT, row["order_id"], 1000)
    assert read is not None
    assert read_state(read[0]["facts"]).intake.external_id == row["external_id"]
    assert len(read[2]) >= 3
    contact = await Contacts(queries, KEYRING).open(TENANT, [row["order_id"]])
    for words in (row["external_id"], contact[row["order_id"]]["name"], row["order_id"][:9]):
        found = await finder.page(TENANT, OrderFilter(), words, None, 100, personal=True)
        assert row["order_id"] in {one["order_id"] for one in found.rows}, words


async def test_whoever_asks_finds_what_is_there(pool: asyncpg.Pool, month: Month) -> None:
    there = await asks.look(pool, [article.description for article in month.articles])
    assert len(there.orders) == ORDERS * COPIES
    assert any(order["words"] for order in there.orders)


async def _all(queries: Queries) -> AsyncIterator[Row]:
    for row in await queries.orders(TENANT, OrderFilter(), None, 1000):
        yield row
