"""Days that a channel asks of all SKUs, by the real stage loop on PostgreSQL: those with lots are told."""

import asyncpg

from services.inventory.node_reminders import remind_of_days
from tests.log.test_inventory_book import Inventory, inventory, pool
from tests.unit.inventory_lots import delivered, milk
from tests.unit.inventory_trade import receive
from tests.unit.test_inventory_channel_days import of_all

__all__ = ["inventory", "pool"]


async def test_skus_that_have_lots_are_reminded_once_and_take_them_up(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    await inventory.hear(milk(), milk(sku="CREAM"), delivered("A", 4, 9), receive("MUG", 3))
    assert await remind_of_days(pool) == 0
    assert await inventory.hear(of_all(wholesale=5), minute=1) == ["channel_days_defined"]
    assert await remind_of_days(pool) == 1, "cream has no lots yet"
    assert await remind_of_days(pool) == 0
    assert await inventory.ring(2) == ["promise_terms_defined", "lots_limited"]
    told = await inventory.hear(delivered("B", 4, 9, sku="CREAM"), minute=3)
    assert {"promise_terms_defined", "lots_limited"} < set(told)
