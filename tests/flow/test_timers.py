"""Rings of timers: told from each other, those of one timer at one instant too; what rang rings no more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from libs.events.intake import CancelOrder
from libs.events.inventory import ReceiveStock, StockPegged, StockReserved
from libs.runtime.digest import memory_digest
from libs.runtime.log import Fenced, LogRow, TimerRow, Unavailable
from libs.runtime.memory_log import MemoryBatch, MemoryLog
from tests.flow.oracle import check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.test_rebuild import again
from tests.flow.world import STAGES, TENANT, World

INVENTORY = STAGES[1]
FREE = ("acme/sku/TEA", "free")


def answers(log: MemoryLog, name: str) -> list[LogRow]:
    """What was decided when timers of a name rang, by lane."""
    rows = [row for (_, origin), held in sorted(log.rows.items()) if origin == "decided" for row in held]
    return [row for row in rows if row.context["reason"] == f"timer {name}"]


async def two_cancellations(partitions: int = 4) -> World:
    """Two orders are cancelled one by one while the clock stands still; two others wait for the stock."""
    world = await World(partitions).start()
    await open_shop(world, {"LON": {"TEA": 2}})
    bought = [order(str(number), {"TEA": 1}) for number in range(4)]
    for one in bought:
        await world.send(one)
        await world.settle()
    for one in bought[:2]:
        await world.send(CancelOrder(order_id=one.order_id))
        await world.settle()
    return world


async def test_rings_of_one_timer_at_one_instant_have_answers_of_their_own() -> None:
    world = await two_cancellations()
    first, second = answers(world.logs["inventory"], "free")
    assert first.type == second.type == StockPegged.TYPE
    assert (first.stream, first.at) == (second.stream, second.at), "the timer was set for another instant"
    assert first.event_id != second.event_id
    assert first.context["causationid"] != second.context["causationid"]
    await Warehouse(world).everything()
    check(world)


async def test_a_stage_rebuilt_from_its_topics_knows_what_its_timers_were_answered_with() -> None:
    """The same ids, the times that they were due, and what was answered does not ring again."""
    world = await two_cancellations(partitions=1)
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1), order("late", {"TEA": 2}))
    await world.settle()
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await world.members["inventory"].poll(100)
    world.clock.advance(seconds=5)  # the order's timer rings late
    await world.settle()
    live, rebuilt = world.logs["inventory"], await again(world, INVENTORY)
    assert memory_digest(rebuilt, INVENTORY) == memory_digest(live, INVENTORY)
    late = max(answers(live, "claims"), key=lambda row: row.recorded_at)
    assert late.recorded_at - late.at == timedelta(seconds=5)
    for name in ("claims", "free"):
        before, after = answers(live, name), answers(rebuilt, name)
        assert [(row.event_id, row.at) for row in after] == [(row.event_id, row.at) for row in before]
    assert FREE not in rebuilt.timers
    assert (f"{TENANT}/{late.stream}", "claims") not in rebuilt.timers


async def test_the_same_life_has_the_same_ids() -> None:
    one, other = await two_cancellations(), await two_cancellations()
    assert one.logs["inventory"].rows == other.logs["inventory"].rows


class CutOff(MemoryLog):
    """The connection is cut during a commit that rings a timer, once; `done` says whether it went through."""

    def __init__(self, *, done: bool) -> None:
        super().__init__()
        self.done, self.cut, self.stale = done, False, list[TimerRow]()

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[MemoryBatch]:
        async with super().batch() as batch:
            yield batch
            rings = [timer for writes in batch.written for timer in writes.timers_done]
            if rings and not self.cut and not self.done:
                self.cut = True
                raise Unavailable("cut off before the commit")
        if rings and not self.cut:
            self.cut, self.stale = True, rings
            raise Unavailable("cut off after the commit")


async def rung(log: MemoryLog) -> World:
    """An order waits, its unit arrives; the order's timer is about to ring."""
    world = World(partitions=1)
    world.logs["inventory"] = log
    await world.start()
    await open_shop(world, {})
    await world.send(order("1", {"TEA": 1}))
    await world.settle()
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await world.members["inventory"].poll(100)
    assert [timer.name for timer in log.timers.values()] == ["claims"]
    return world


async def test_a_ring_that_was_lost_is_decided_again_as_it_was() -> None:
    undisturbed, crashed = await rung(MemoryLog()), await rung(CutOff(done=False))
    with pytest.raises(Unavailable):
        await crashed.processes["inventory"].loop.work()
    assert answers(crashed.logs["inventory"], "claims") == []
    for world in (undisturbed, crashed):
        await world.settle()
        await Warehouse(world).everything()
        check(world)
    repeated, first = (answers(world.logs["inventory"], "claims") for world in (crashed, undisturbed))
    assert [row.event_id for row in repeated] == [row.event_id for row in first]


async def test_a_ring_whose_commit_was_not_told_is_not_rung_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner read the timers before the server was through with the commit."""
    log = CutOff(done=True)
    world = await rung(log)
    work = world.processes["inventory"].loop.work
    with pytest.raises(Unavailable):
        await work()
    before = answers(log, "claims")
    assert [row.type for row in before] == [StockReserved.TYPE]

    async def stale(*_: object) -> list[TimerRow]:
        return log.stale

    with monkeypatch.context() as patched:
        patched.setattr(log, "due", stale)
        with pytest.raises(Fenced):
            await work()
    assert answers(log, "claims") == before
    await world.settle()
    await Warehouse(world).everything()
    check(world)
