"""What people do about exceptions of stock, one step after the other, through intake's own loop."""

from datetime import timedelta
from typing import Any

from libs.events.stock_exceptions import (
    AssignStockException,
    ResolveStockException,
    SnoozeStockException,
    StockExceptionAssigned,
    StockExceptionResolved,
    StockExceptionSnoozed,
)
from tests.flow.world import TENANT, World


async def test_each_step_knows_the_one_before() -> None:
    world = await World().start()
    item: Any = {"sku": "TEA", "item": "low_stock", "since": world.clock.now}
    friday = world.clock.now + timedelta(days=2)
    steps = (
        AssignStockException(**item, assignee="ann"),
        SnoozeStockException(**item, until=friday, why="The ship is in on Friday."),
        ResolveStockException(**item, note="Bought 40."),
    )
    for step in steps:
        await world.send(step)
        await world.settle()
    done = (StockExceptionAssigned, StockExceptionSnoozed, StockExceptionResolved)
    assert [type(event) for event in world.events(*done)] == list(done)
    rows = [row for rows in world.logs["intake"].rows.values() for row in rows if row.tenant == TENANT]
    assert sorted(row.stream_version for row in rows if row.stream == "sku/TEA") == [1, 2, 3]
