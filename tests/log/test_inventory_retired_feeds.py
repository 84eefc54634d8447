"""A feed that is retired, through the real stage loop on PostgreSQL: its SKUs are looked at."""

import asyncpg

from libs.events.feeds import RetireFeed
from services.inventory.node_reminders import remind_of_retired
from tests.log.test_inventory_book import Inventory, inventory, pool
from tests.unit.inventory_supply import feed, told
from tests.unit.inventory_trade import accepted, receive

__all__ = ["inventory", "pool"]


async def test_skus_of_a_retired_feed_are_reminded_once_and_not_promised_any_more(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    await inventory.hear(feed(), told("A", 10), told("B", 4), receive("C", 3))
    assert await remind_of_retired(pool) == 0
    assert await inventory.hear(RetireFeed(feed="acme"), minute=1) == ["feed_retired"]
    assert await remind_of_retired(pool) == 2
    assert await remind_of_retired(pool) == 0
    assert sorted(await inventory.ring(2)) == ["feed_stale", "feed_stale"]
    assert await inventory.hear(accepted("o1", ("A", 1)), minute=3) == ["stock_backordered"]
    assert await inventory.hear(accepted("o2", ("C", 1)), minute=3) == ["stock_reserved"]
    assert await inventory.hear(told("A", 10, stated=4), minute=5) == ["command_refused"]
    rows = await pool.fetch("SELECT sku, quantity FROM balance WHERE bucket = 'vendor' AND quantity > 0")
    assert {row["sku"]: row["quantity"] for row in rows} == {"A": 10, "B": 4}, "its history stays"
