"""Lots through the real stage loop on PostgreSQL, and what inventory's edge reads of them."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, time, timedelta

import asyncpg
import pytest

from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from services.inventory import lot_book
from services.inventory.proof import prove
from tests.log.test_inventory_book import TENANT, Inventory
from tests.unit.inventory_lots import day, delivered, milk, recalled
from tests.unit.inventory_trade import accepted, dispatched, line, receive, routed


@pytest.fixture
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


async def test_lots_are_kept_read_traced_and_leave_when_their_time_is_up(pool: asyncpg.Pool) -> None:
    inventory = Inventory(pool)
    await inventory.open()
    await inventory.hear(milk(), delivered("OLD", 4, 0), delivered("NEW", 6, 9), receive("MUG", 3))
    await inventory.hear(accepted("o1", ("MILK", 2)), accepted("o2", ("MILK", 4), ("MUG", 1)))
    await inventory.hear(routed("o1", 1, N1=(line(1, "MILK", 2),)))
    await inventory.hear(routed("o2", 1, N1=(line(1, "MILK", 4), line(2, "MUG", 1))))
    await inventory.hear(dispatched("o1", 1, "N1", line(1, "MILK", 2)))
    assert await inventory.ring(11 * 60) == []
    assert await inventory.ring(12 * 60) == ["lot_expired"]
    assert await inventory.hear(recalled("NEW"), minute=12 * 60) == ["lot_quarantined"]
    async with pool.acquire() as connection:
        assert await lot_book.lots(connection, TENANT, "MUG") is None
        found = await lot_book.lots(connection, TENANT, "MILK")
        who = await lot_book.orders(connection, TENANT, "MILK", "OLD", "", 10)
        rest = await lot_book.orders(connection, TENANT, "MILK", "OLD", "o1", 10)
        sums = await connection.fetch(
            "SELECT lot, node, bucket, quantity FROM lot_balance WHERE quantity > 0"
        )
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("UPDATE lot_balance SET quantity = -1 WHERE bucket = 'on_hand'")
    midnight = datetime.combine(day(0), time(), UTC) + timedelta(days=1)
    assert found is not None
    assert [(one["lot"], one["state"], one["nodes"]) for one in found["lots"]] == [
        ("OLD", "expired", {"N1": {"allocated": 2}}),
        ("NEW", "quarantined", {"N1": {"allocated": 2, "quarantine": 4}}),
    ]
    assert found["lots"][0]["sold_until"] == midnight
    assert who == [
        {"order_id": "o1", "nodes": ["N1"], "allocated": 0, "issued": 2},
        {"order_id": "o2", "nodes": ["N1"], "allocated": 2, "issued": 0},
    ]
    assert rest == who[1:]
    assert {tuple(row) for row in sums} == {
        ("OLD", "N1", "issued", 2),
        ("OLD", "N1", "allocated", 2),
        ("NEW", "N1", "allocated", 2),
        ("NEW", "N1", "quarantine", 4),
    }
    decided = [row for row in inventory.rows if row.origin == "decided"]
    proof = prove(decided)
    assert proof.holds, proof.violation
