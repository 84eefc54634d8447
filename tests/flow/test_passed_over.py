"""Records that ask nothing of a stage: read, not decided, and noted together with what comes next."""

import pytest

from libs.events.inventory import ReceiveStock
from libs.events.routing import OrderRouted
from libs.runtime.log import Fenced, TopicPartition
from tests.flow.oracle import check
from tests.flow.people import open_shop, order
from tests.flow.world import STAGES, TENANT, World

STOCK = "oms.inventory.events"
ROUTING = next(stage for stage in STAGES if stage.name == "routing")


async def shop() -> tuple[World, TopicPartition]:
    """A shop at rest, and where routing reads of its stock of tea, of which it wants to know nothing."""
    world = await World().start()
    await open_shop(world, {"LON": {"TEA": 5}})
    await world.settle()
    return world, (STOCK, world.lane_of(f"{TENANT}/sku/TEA"))


async def receipts(world: World, count: int) -> None:
    await world.send(*(ReceiveStock(sku="TEA", node="LON", quantity=1) for _ in range(count)))
    await world.turn(["inventory"])


def noted(world: World, place: TopicPartition) -> int:
    return world.logs["routing"].consumed[place]


async def test_they_wait_for_one_that_asks() -> None:
    world, place = await shop()
    before = noted(world, place)
    for count in (3, 2):
        await receipts(world, count)
        await world.turn(["routing"])
        assert noted(world, place) == before
    await world.send(*(order(str(n), {"TEA": 1}) for n in range(4)))
    await world.turn(["intake", "inventory", "routing"])
    assert len(world.events(OrderRouted)) == 4
    assert noted(world, place) >= before + 5
    await world.settle()
    check(world, all_closed=False)


async def test_they_do_not_wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    world, place = await shop()
    before = noted(world, place)
    await receipts(world, 3)
    await world.turn(["routing"])
    loop = world.processes["routing"].loop
    await loop.work()
    assert noted(world, place) == before
    monkeypatch.setattr(loop, "_settle_at", 0.0)
    await loop.work()
    assert noted(world, place) == before + 3


async def test_who_stops_notes_them_first() -> None:
    world, place = await shop()
    before = noted(world, place)
    await receipts(world, 3)
    await world.turn(["routing"])
    await world.processes["routing"].loop.settle()
    assert noted(world, place) == before + 3


async def test_a_claim_that_came_to_nothing_does_not_leave_them_uncounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, place = await shop()
    before, process = noted(world, place), world.processes["routing"]
    await receipts(world, 3)
    await world.turn(["routing"])
    await process.log.claim(list(process.loop.lanes))  # by somebody who is told then that they are not his
    monkeypatch.setattr(process.loop, "_settle_at", 0.0)
    for _ in range(2):
        with pytest.raises(Fenced):
            await process.loop.work()
    offsets = await process.loop.assigned(list(process.loop.positions()))  # who is fenced so often claims
    world.members["routing"].position |= offsets
    await world.settle()
    assert noted(world, place) == before + 3


@pytest.mark.parametrize("silently", [True, False])
async def test_the_next_owner_reads_them_again(silently: bool) -> None:
    world, place = await shop()
    before = noted(world, place)
    await receipts(world, 3)
    await world.turn(["routing"])
    gone = world.processes["routing"]
    await world.broker.leave("routing", world.members["routing"], silently=silently)
    world.processes["routing"], world.members["routing"] = await world.process(ROUTING)
    await world.send(order("1", {"TEA": 1}))
    await world.settle()
    assert len(world.events(OrderRouted)) == 1
    assert noted(world, place) > before + 3
    stands = noted(world, place)
    await gone.loop.settle()
    assert noted(world, place) == stands, "what was another's by then is not noted by who passed it over"
    check(world, all_closed=False)
