"""A stage with a backlog holds as much in memory as one without: what it keeps is bounded, whatever waits.

Everything that loop, planner and relay hold on to is counted, by walking their references; the log and the
topics, which are others', are not. `tests/chaos` measures a real process with a real backlog.
"""

import gc
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import FunctionType, ModuleType
from uuid import UUID, uuid5

import pytest

from libs.events.catalogue import encode
from libs.events.envelope import Envelope
from libs.events.ids import partition_key
from libs.events.inventory import ReceiveStock
from libs.runtime import wire
from libs.runtime.kafka import Lanes
from libs.runtime.limits import Limits
from libs.runtime.log import TopicPartition, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.relay import Relay
from libs.runtime.wire import Record
from services.inventory.app import STAGE
from tests.flow.world import START, TENANT

LANES = 4
LIMITS = Limits(batch_records_max=50, parts_kept_max=200)
RELAY_BYTES = 100_000
POLL_RECORDS = 200
HELD_BYTES_MAX = 500_000
_IDS = UUID("5a6e3f0a-9df1-5a7f-8c57-1f3d3f6f7f11")


class Backlogged:
    """Inventory before deliveries without an end, each of another SKU, while what it decides is not taken."""

    def __init__(self, limits: Limits = LIMITS, relay_bytes: int = RELAY_BYTES) -> None:
        self.broker, self.log, self.lane_of = MemoryBroker(LANES), MemoryLog(), Lanes(LANES)
        self.relay = Relay(STAGE.name, STAGE.topic, self.log, self.broker, kept_bytes_max=relay_bytes)
        self.loop = StageLoop(
            STAGE,
            self.log,
            lane_of=self.lane_of,
            clock=lambda: START,
            observer=self,
            fetch=MemoryBroker(LANES).fetch,
            limits=limits,
        )
        self._deliveries = self._endless()

    def committed(self, writes: Writes, records: int, seconds: float) -> None:
        self.relay.committed(writes.rows)

    def halted(self, lane: int, why: str) -> None:
        raise AssertionError(why)

    def uncertain(self) -> None:
        raise AssertionError("nothing is cut off here")

    def _endless(self) -> Iterator[Record]:
        offsets, number = dict.fromkeys(range(LANES), 0), 0
        while True:
            number += 1
            command = ReceiveStock(sku=f"SKU-{number}", node="LON", quantity=1)
            id_, key = uuid5(_IDS, str(number)), partition_key(TENANT, command.stream)
            envelope = Envelope(id_, TENANT, command.stream, command, START, "test", "", id_, id_, "test")
            lane = self.lane_of(key)
            offsets[lane] += 1
            headers = wire.headers(envelope)
            yield Record(STAGE.topics[0], lane, offsets[lane] - 1, key.encode(), encode(command), headers)

    async def begin(self) -> None:
        places: list[TopicPartition] = [(topic, lane) for topic in STAGE.topics for lane in range(LANES)]
        await self.loop.assigned(places)
        await self.relay.own(range(LANES))
        await self.relay.turn()

    async def take(self, count: int) -> None:
        """So many records of the backlog, poll by poll; none of what they lead to is published."""
        for _ in range(count // POLL_RECORDS):
            await self.loop.handle([next(self._deliveries) for _ in range(POLL_RECORDS)])
            await self.loop.work()

    def held_bytes(self) -> int:
        """Of all that loop and relay refer to, but for what others own."""
        return held([self.loop, self.relay], [self.log, self.broker, self, STAGE])


def held(roots: Sequence[object], others: Sequence[object]) -> int:
    """Bytes of everything reachable from the roots, without `others`, code and types."""
    seen, todo, total = {id(other) for other in others}, list(roots), 0
    while todo:
        found = todo.pop()
        if id(found) in seen or isinstance(found, type | ModuleType | FunctionType):
            continue
        seen.add(id(found))
        total += sys.getsizeof(found)
        todo += gc.get_referents(found)
    return total


async def test_what_a_stage_holds_does_not_grow_with_its_backlog() -> None:
    stage = Backlogged()
    await stage.begin()
    await stage.take(1_000)
    early = stage.held_bytes()
    assert early < HELD_BYTES_MAX
    await stage.take(4_000)
    assert stage.held_bytes() < 1.05 * early, "five times the backlog, and more is kept"
    while await stage.relay.turn():
        assert stage.held_bytes() < 1.05 * early, "what was not kept is read from the log bit by bit"
    assert len(stage.broker.all(STAGE.topic)) == 5_000


@pytest.mark.parametrize(
    ("limits", "relay_bytes"),
    [(replace(LIMITS, parts_kept_max=1_000_000), RELAY_BYTES), (LIMITS, 1_000_000_000)],
    ids=["parts", "relay"],
)
async def test_without_a_bound_it_would(limits: Limits, relay_bytes: int) -> None:
    stage = Backlogged(limits, relay_bytes)
    await stage.begin()
    await stage.take(400)
    early = stage.held_bytes()
    await stage.take(1_600)
    assert stage.held_bytes() > 1.5 * early
