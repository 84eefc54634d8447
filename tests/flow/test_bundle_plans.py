"""Definitions of bundles from a moment to come, through the stage loop: docs/inventory.md's example."""

from datetime import timedelta

from libs.events.bundles import BundleDefined, BundlePart, BundlesUnpacked, DefineBundle
from libs.events.ids import order_id
from tests.flow.oracle import check
from tests.flow.people import Warehouse, order
from tests.flow.test_bundles import shop, told
from tests.flow.world import START, TENANT, World
from tests.unit.inventory_page import table


async def take(world: World, step: str) -> dict[str, int]:
    """One step of the example; what an order of one box is made of, where the step is one."""
    verb, *more = step.split()
    if verb == "from":
        parts = tuple(BundlePart(sku=sku, quantity=int(units)) for sku, _, units in map(_split, more[1:]))
        at = START + timedelta(days=int(more[0]))
        await world.send(DefineBundle(sku="BOX", parts=parts, effective_at=at))
    elif verb == "days":
        world.clock.advance(days=int(more[0]))
    else:
        await world.send(order(more[0], {"BOX": 1}))
    await world.settle()
    if verb != "order":
        return {}
    id_ = order_id(TENANT, "web", more[0])
    [unpacked] = [one for one in told(world, BundlesUnpacked) if one.order_id == id_]
    return {part.sku: part.quantity for part in unpacked.bundles[0].parts}


def _split(text: str) -> tuple[str, str, str]:
    return text.partition("=")


async def test_each_order_is_of_the_parts_that_hold_when_it_is_met() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table("bundle-plans")[2:]]
    assert len(rows) == 6
    world = await shop(MUG=20, TEA=20, COCOA=20)
    for step, version, *parts in rows:
        made = await take(world, step.split("`")[1])
        assert [str(made[sku]) if sku in made else "" for sku in ("MUG", "TEA", "COCOA")] == parts, step
        assert max(one.bundle_version for one in told(world, BundleDefined)) == int(version), step
    [planned] = [one for one in told(world, BundleDefined) if one.effective_at is not None]
    assert planned.effective_at == START + timedelta(days=7)
    await Warehouse(world).everything()
    check(world)
