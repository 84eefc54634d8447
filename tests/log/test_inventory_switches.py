"""A node that is switched off, through the real loop on PostgreSQL: the SKUs with units there are found."""

from typing import Any

import asyncpg

from libs.events.routing import NodeDefined
from services.inventory.switches import remind
from tests.log.test_inventory_book import Inventory, inventory, pool
from tests.unit.inventory_trade import accepted, receive

__all__ = ["inventory", "pool"]


def node(name: str, version: int, **more: Any) -> NodeDefined:
    terms = {"name": name, "country": "GB", "latitude": 51.5, "longitude": -0.1}
    return NodeDefined.model_validate({"node": name, "nodes_version": version, **terms, **more})


async def test_skus_with_units_at_a_switched_node_are_reminded_once(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    await inventory.hear(receive("A", 10), receive("B", 4, "N2"), receive("C", 2, "N2"), receive("C", 2))
    assert await remind(pool) == 0
    assert await inventory.hear(node("N2", 2, active=False), minute=1) == ["node_switched"]
    assert await remind(pool) == 2
    assert await remind(pool) == 0
    assert sorted(await inventory.ring(2)) == ["reach_changed", "reach_changed"]
    assert await inventory.hear(accepted("o1", ("B", 1)), minute=3) == ["stock_backordered"]
    assert await inventory.hear(accepted("o2", ("C", 2)), minute=4) == ["stock_reserved"]
    await inventory.hear(node("N2", 3), minute=5)
    assert await remind(pool) == 2
    assert "stock_pegged" in await inventory.ring(6)
    assert await inventory.hear(receive("D", 1, "N2"), minute=7) == ["stock_received"]
