"""A database that has committed a batch, and says so late: others may have had the lane meanwhile."""

import asyncio
from collections.abc import Mapping

from libs.events.intake import CancelOrder, OrderCancellationRequested
from libs.runtime.log import Lane, Writes
from libs.runtime.memory_log import MemoryLog
from services.intake.app import STAGE as INTAKE
from tests.flow.oracle import check
from tests.flow.people import order
from tests.flow.world import World


class AnswersLate(MemoryLog):
    """Does what it is asked, and keeps who asks waiting when told so."""

    def __init__(self) -> None:
        super().__init__()
        self.keeps_waiting: asyncio.Event | None = None
        self.done = asyncio.Event()

    async def commit(self, writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]) -> None:
        await super().commit(writes, lanes, assumed)
        waiting, self.keeps_waiting = self.keeps_waiting, None
        if waiting is not None:
            self.done.set()
            await waiting.wait()


async def test_what_a_late_answer_tells_of_is_not_taken_for_how_things_are() -> None:
    world, log = World(partitions=1), AnswersLate()
    world.logs["intake"] = log
    await world.start()
    await world.send(order("1", {"TEA": 1}))
    await world.turn(["intake"])  # from now on it knows its lane
    first, answer = order("2", {"TEA": 1}), asyncio.Event()
    log.keeps_waiting = answer
    await world.send(first)
    waiting = asyncio.create_task(world.members["intake"].poll())
    await log.done.wait()

    _, member = await world.process(INTAKE)
    await world.broker.leave("intake", world.members["intake"])
    await world.send(CancelOrder(order_id=first.order_id))
    await member.poll()
    assert len(world.events(OrderCancellationRequested)) == 1

    world.members["intake"] = await world.broker.join("intake", world.processes["intake"], INTAKE.topics)
    await world.broker.leave("intake", member)
    answer.set()
    await waiting
    await world.settle()
    versions = [row.stream_version for row in log.rows[0, "decided"] if row.stream == str(first.order_id)]
    assert versions == [1, 2, 3], "accepted, asked to be cancelled, closed: one after the other"
    check(world, all_closed=False)
