"""A flash sale in small: many more orders for a SKU than it has units, over two processes of inventory."""

import random
from collections import Counter

import pytest

from libs.events.inventory import StockAllocated, StockBackordered, StockReserved
from libs.runtime.memory_broker import Member
from tests.flow.oracle import check
from tests.flow.people import open_shop, order
from tests.flow.world import STAGES, Process, World

INVENTORY = STAGES[1]
ORDERS, UNITS = 240, 48


@pytest.mark.parametrize("seed", range(3))
async def test_exactly_as_many_are_promised_as_there_are(seed: int) -> None:
    world, dice = await World().start(), random.Random(seed)
    other, member = await world.process(INVENTORY)
    await open_shop(world, {"LON": {"FLASH": UNITS // 2}, "MAN": {"FLASH": UNITS // 2}})
    await _settle(world, other, member)
    for number in range(ORDERS):
        world.clock.advance(seconds=0.01)
        await world.send(order(str(number), {"FLASH": 1}))
        if dice.random() < 0.1:
            await world.turn([dice.choice(["intake", "inventory", "routing"])])
            await member.poll(dice.randint(1, 40))
            await other.relay.turn()
    await _settle(world, other, member)
    first: dict[str, str] = {}
    for event in world.events(StockReserved, StockBackordered):
        assert isinstance(event, StockReserved | StockBackordered)
        first.setdefault(event.order_id, type(event).__name__)
    assert Counter(first.values()) == {"StockReserved": UNITS, "StockBackordered": ORDERS - UNITS}
    allocated = {e.order_id for e in world.events(StockAllocated) if isinstance(e, StockAllocated)}
    assert allocated == {order_id for order_id, kind in first.items() if kind == "StockReserved"}
    owned = {lane for lane, _ in world.logs["inventory"].rows if lane in other.loop.lanes}
    assert owned, "the second process had no part in it"
    check(world, all_closed=False)


async def _settle(world: World, other: Process, member: Member) -> None:
    """Turn both processes of inventory until nothing happens any more."""
    happened = 1
    while happened:
        happened = await world.turn()
        happened += await member.poll(500)
        happened += await other.loop.work()
        happened += await other.relay.turn()
