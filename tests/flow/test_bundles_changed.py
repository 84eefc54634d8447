"""Boxes taken off an order under way: whole boxes leave it or stay, and the rest of it goes on."""

import pytest

from libs.events.changes import LineCancellationDeclined, LinesCancelled
from libs.events.inventory import ReceiveStock
from libs.events.returns import RefundRequested
from tests.flow.oracle import check
from tests.flow.people import Warehouse, order
from tests.flow.test_bundles import ORDER, shop, told
from tests.flow.test_lives import issued, on_hand, outcomes
from tests.flow.test_support import cancel
from tests.flow.world import World


def shipped(world: World) -> dict[str, int]:
    return {sku: issued(world, sku) for sku in ("MUG", "TEA")}


@pytest.mark.parametrize("turns", range(20))
async def test_a_box_cancelled_in_the_middle_of_anything_leaves_whole_or_stays(turns: int) -> None:
    world = await shop(MUG=9, TEA=4)
    bought = order("1", [("BOX", 2), ("MUG", 1)])
    await world.send(bought)
    await world.turns(turns)
    await world.send(cancel(bought, (1, 1)))
    await world.settle()
    await Warehouse(world).everything()
    gone = [(line.line, line.quantity) for event in told(world, LinesCancelled) for line in event.lines]
    kept = [unit.code for event in told(world, LineCancellationDeclined) for unit in event.lines]
    assert (gone, kept) in (([(1, 1)], []), ([], ["bundle"]))
    boxes = 2 - len(gone)
    assert shipped(world) == {"MUG": 2 * boxes + 1, "TEA": boxes}
    assert (on_hand(world, "MUG"), on_hand(world, "TEA")) == (8 - 2 * boxes, 4 - boxes)
    assert outcomes(world) == {ORDER: "partly_delivered" if gone else "delivered"}
    assert [event.amount_minor for event in told(world, RefundRequested)] == [1000] * len(gone)
    check(world)


async def test_while_its_parts_are_waited_for_a_box_and_its_sister_are_cancelled() -> None:
    world = await shop(MUG=1, TEA=1)
    bought = order("1", [("BOX", 2), ("MUG", 1)])
    await world.send(bought)
    await world.settle()
    await world.send(cancel(bought, (1, 1)))
    await world.settle()
    await world.send(ReceiveStock(sku="MUG", node="LON", quantity=2))
    await world.settle()
    await Warehouse(world).everything()
    assert shipped(world) == {"MUG": 3, "TEA": 1}
    assert outcomes(world) == {ORDER: "partly_delivered"}
    check(world)


async def test_all_boxes_of_a_waiting_order_are_cancelled_and_the_mug_goes_on() -> None:
    world = await shop(MUG=1)
    bought = order("1", [("BOX", 2), ("MUG", 1)])
    await world.send(bought)
    await world.settle()
    await world.send(cancel(bought, (1, 2)))
    await world.settle()
    await Warehouse(world).everything()
    assert shipped(world) == {"MUG": 1, "TEA": 0}
    assert outcomes(world) == {ORDER: "partly_delivered"}
    check(world)
