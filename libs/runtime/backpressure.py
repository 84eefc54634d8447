"""A stage takes no more commands than the stage behind it keeps up with.

What is accepted and not yet promised serves nobody, and took processor time from what would be finished.
So while much of what a stage decided waits behind it, its commands wait on their topic, where nothing is
lost. How far the other is, Kafka's copy of its offsets says, up to two seconds late.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from libs.runtime import telemetry
from libs.runtime.groups import group_of
from libs.runtime.kafka import lone_admin, lone_consumer
from libs.runtime.settings import Settings
from libs.runtime.stage import Stage, commands_topic
from libs.runtime.waiting import in_time

logger = structlog.get_logger()

_LOOK_SECONDS = 0.5
_BUSY_EVENTS = 50
"""Decided between two looks; who decides less outruns nobody, and does not ask."""
_PACE_SECONDS = 5.0
"""Over which the pace of the stage behind is taken. If it took nothing for so long, it is not waited for."""
_RECORDS_MIN = 2_000
"""That may wait behind a stage, however slowly they are taken."""
_HELD_SECONDS_MAX = 5.0
"""At a stretch; then they are taken until the next look all the same, as people wait for some of them."""


class _Look(NamedTuple):
    at: float
    taken: int


class Ahead:
    """Whether a stage is too far ahead of the one behind it. All times are one clock's seconds."""

    def __init__(self, seconds_max: float) -> None:
        """What waits may take the other so long, at its pace of late. 0: however long."""
        self._seconds_max = seconds_max
        self._looks = deque[_Look]()
        self._held_since: float | None = None

    @property
    def held(self) -> bool:
        """Whether commands wait until the next look."""
        return self._held_since is not None

    def look(self, at: float, taken: int, waiting: int) -> bool:
        """The other has taken so many records in all, so many wait for it: whether commands are to wait."""
        while self._looks and at - self._looks[0].at > _PACE_SECONDS:
            self._looks.popleft()
        self._looks.append(_Look(at, taken))
        since = at if self._held_since is None else self._held_since
        wait = self._too_many(waiting) and at - since < _HELD_SECONDS_MAX
        self._held_since = since if wait else None
        return wait

    def _too_many(self, waiting: int) -> bool:
        first, last = self._looks[0], self._looks[-1]
        if not self._seconds_max or last.taken <= first.taken:
            return False
        pace = (last.taken - first.taken) / (last.at - first.at)
        return waiting > max(_RECORDS_MIN, pace * self._seconds_max)

    def forget(self) -> None:
        """Hold nothing back, and begin anew: nothing is known of the other."""
        self._looks.clear()
        self._held_since = None


class Backpressure:
    """Holds a stage's commands back while it is too far ahead of the stage behind it."""

    def __init__(
        self,
        config: Settings,
        stage: Stage,
        lanes: Callable[[], Collection[int]],
        hold_back: Callable[[Collection[str]], None],
    ) -> None:
        """`lanes` are this process's; `hold_back` is told which topics are not to be read for now."""
        self._config, self._stage = config, stage
        self._lanes, self._hold_back = lanes, hold_back
        self._ahead = Ahead(config.ahead_seconds_max)
        self._looked_at = frozenset[int]()
        self._decided = 0

    def decided(self, events: int) -> None:
        """So many events more will be before the other."""
        self._decided += events

    async def run(self) -> None:
        """Look, now and then. While Kafka does not answer, nothing is held back."""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    await self._keep_looking(stack)
            except (KafkaError, TimeoutError, OSError) as error:
                logger.debug("it is not known how far the next stage is", error=repr(error))
                self._let_go()

    async def _keep_looking(self, stack: AsyncExitStack) -> None:
        offsets: _Offsets | None = None
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            lanes, busy = frozenset(self._lanes()), self._decided >= _BUSY_EVENTS
            self._decided = 0
            if lanes != self._looked_at:
                self._looked_at = lanes
                self._let_go()
            if not lanes or not (busy or self._ahead.held):
                self._let_go()
                continue
            async with asyncio.timeout(self._config.kafka_timeout_seconds):
                offsets = offsets or await _Offsets.open(self._config, stack)
                taken, end = await offsets.sums(self._stage, lanes)
            held = self._ahead.look(asyncio.get_running_loop().time(), taken, end - taken)
            self._hold_back((commands_topic(self._stage.name),) if held else ())
            if held:
                telemetry.HELD_BACK.labels(self._stage.name).inc(_LOOK_SECONDS)

    def _let_go(self) -> None:
        self._ahead.forget()
        self._hold_back(())


class _Offsets:
    """Asks Kafka."""

    def __init__(self, admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer) -> None:
        self._admin, self._reader = admin, reader

    @classmethod
    async def open(cls, config: Settings, stack: AsyncExitStack) -> "_Offsets":
        """Closed with the stack. Raises KafkaError."""
        admin, reader = lone_admin(config), lone_consumer(config)
        stack.push_async_callback(in_time, admin.close, config.leave_seconds)
        stack.push_async_callback(in_time, reader.stop, config.leave_seconds)
        await admin.start()
        await reader.start()
        return cls(admin, reader)

    async def sums(self, stage: Stage, lanes: Collection[int]) -> tuple[int, int]:
        """Over these lanes of a stage's events: the next offset that the one behind reads, and the end."""
        places, group = [TopicPartition(stage.topic, lane) for lane in lanes], group_of(stage.waits_for)
        found = await self._admin.list_consumer_group_offsets(group, partitions=places)
        ends = await self._reader.end_offsets(places)
        return sum(max(0, found[place].offset) for place in places), sum(ends[place] for place in places)
