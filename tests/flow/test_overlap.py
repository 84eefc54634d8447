"""Batches that are planned while the one before is written: they come to the same as one after the other."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from libs.events.inventory import ReceiveStock, StockReceived
from libs.runtime.batches import Batches
from libs.runtime.digest import memory_digest
from libs.runtime.limits import Limits
from libs.runtime.log import Snapshot, Unavailable, Writes
from libs.runtime.memory_log import MemoryBatch, MemoryLog
from tests.flow.life import life
from tests.flow.oracle import check
from tests.flow.people import open_shop, order
from tests.flow.world import Process, World

SMALL = Limits(batch_records_max=3)


@pytest.mark.parametrize("seed", range(6))
async def test_a_life_is_the_same_whether_batches_overlap_or_not(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = 0
    begin = Batches._look_ahead

    async def counted(*args: object) -> dict[str, int]:
        nonlocal several
        several += 1
        return await begin(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Batches, "_look_ahead", counted)
    overlapping = await life(seed, world=World(limits=SMALL, polled_max=500))
    assert several > 50
    check(overlapping, all_closed=False)

    alone = World(limits=SMALL, polled_max=500)
    monkeypatch.setattr("libs.runtime.loop.StageLoop._take_several", _none)
    alone = await life(seed, world=alone)
    for name, process in alone.processes.items():
        mine, theirs = alone.logs[name], overlapping.logs[name]
        assert memory_digest(mine, process.stage) == memory_digest(theirs, process.stage), name
        assert mine.rows == theirs.rows, name


async def _none(*_: object) -> int:
    return 0


class OtherWriter(MemoryLog):
    """Somebody else changes a SKU's stream between a plan and its transaction, once."""

    meddle = ""

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[MemoryBatch]:
        async with super().batch() as batch:
            load = batch.load

            async def meddled(
                keys: Sequence[str], *, lock: bool, known: Mapping[str, int] | None = None
            ) -> dict[str, Snapshot]:
                found = await load(keys, lock=lock, known=known)
                if lock and self.meddle in found:
                    key, self.meddle = self.meddle, ""
                    found[key] = Snapshot(found[key].version + 1, self.parts[key].part)
                return found

            batch.load = meddled  # type: ignore[method-assign]
            yield batch


async def test_a_plan_that_was_overtaken_is_made_again() -> None:
    world = World(limits=SMALL, polled_max=500)
    log = OtherWriter()
    world.logs["inventory"] = log
    await world.start()
    await open_shop(world, {"LON": {"TEA": 100}})
    await world.send(*[order(str(number), {"TEA": 1}) for number in range(40)])
    await world.turn(["intake"])
    log.meddle = "acme/sku/TEA"
    await world.settle()
    assert not log.meddle, "nobody locked the stream"
    check(world, all_closed=False)


class Fails(MemoryLog):
    """Cannot be reached once, when it is to write."""

    fails_in = -1

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[MemoryBatch]:
        async with super().batch() as batch:
            write = batch.write

            async def failing(writes: Writes) -> None:
                self.fails_in -= 1
                if self.fails_in == 0:
                    raise Unavailable("the connection was cut")
                await write(writes)

            batch.write = failing  # type: ignore[method-assign]
            yield batch


@pytest.mark.parametrize("fails_in", range(1, 6))
async def test_a_batch_that_cannot_be_written_takes_those_planned_after_it_along(fails_in: int) -> None:
    world = World(limits=SMALL, polled_max=500)
    log = Fails()
    world.logs["inventory"] = log
    await world.start()
    await open_shop(world, {"LON": {"TEA": 100}})
    log.fails_in = fails_in
    commands = [ReceiveStock(sku=f"S{number}", node="LON", quantity=1) for number in range(40)]
    await world.send(*commands)
    with pytest.raises(Unavailable):
        await world.settle()
    await world.settle()
    assert len(world.events(StockReceived)) == 41
    check(world)


async def test_a_command_repeated_in_the_next_batch_is_decided_once() -> None:
    world = await World(limits=Limits(batch_records_max=1), polled_max=10).start()
    one = ReceiveStock(sku="TEA", node="LON", quantity=1)
    for _ in range(5):
        await world.send(one, id_=UUID(int=7))
    await world.settle()
    assert len(world.events(StockReceived)) == 1
    check(world)


class ClaimedMeanwhile(MemoryLog):
    """The process's lanes are given out anew while it looks at what a batch needs."""

    process: Process | None = None

    async def look(self, *asked: Any) -> Any:
        found = await super().look(*asked)
        if self.process is not None:
            claimed, self.process = self.process, None
            await claimed.assigned(list(claimed.loop.positions()))
        return found


async def test_a_batch_that_was_being_planned_when_its_lanes_were_claimed_is_taken_again() -> None:
    world = World()
    log = world.logs["inventory"] = ClaimedMeanwhile()
    await world.start()
    await open_shop(world, {"LON": {"TEA": 1}})
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await world.settle()
    log.process = world.processes["inventory"]
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await world.settle()
    assert log.process is None, "nobody looked"
    assert log.parked_rows == []
    assert len(world.events(StockReceived)) == 3
    check(world)
