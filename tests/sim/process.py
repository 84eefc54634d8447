"""One process of a stage: the real loop and relay, on a machine that may fail."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from libs.runtime.consume import FENCED_MAX
from libs.runtime.limits import Limits
from libs.runtime.log import Fenced, TopicPartition, Unavailable, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.relay import PublishFailed, Relay
from libs.runtime.stage import Stage
from libs.runtime.wire import Record
from tests.sim.broker import Group, Producer, SimBroker
from tests.sim.consumer import Consumer
from tests.sim.database import Database, Session
from tests.sim.machine import Machine

BATCH_RECORDS_MAX = 10
STATEMENT_SECONDS = 10.0
_LOOK_SECONDS = 45.0
"""How often a process looks for timers that others left in its lanes; in production a second."""


class Process:
    """What `libs.runtime.service.StageService` wires, without HTTP: loop, relay, consumer, timers."""

    session: type[Session] = Session
    loop_of: type[StageLoop] = StageLoop
    relay_of: type[Relay] = Relay
    producer: type[Producer] = Producer

    def __init__(
        self,
        stage: Stage,
        database: Database,
        broker: SimBroker,
        group: Group,
        machine: Machine,
        lane_of: Callable[[str], int],
    ) -> None:
        self.stage, self.machine = stage, machine
        self._log, self._broker = self.session(database, machine), broker
        self.halts: list[str] = []
        self.loop = self.loop_of(
            self.decided(stage),
            self._log,
            lane_of=lane_of,
            clock=machine.clock,
            observer=self,
            fetch=broker.fetch,
            limits=Limits(batch_records_max=BATCH_RECORDS_MAX),
        )
        producer = self.producer(broker, machine)
        self.relay = self.relay_of(stage.name, stage.topic, self._log, producer, clock=machine.clock)
        self.consumer = Consumer(broker, group, machine, self, stage.topics)
        self._work = asyncio.Event()
        self._tasks = [
            machine.loop.create_endless(running)
            for running in (
                self.consumer.follow_group(),
                self.consumer.run(),
                self.relay.run(),
                self._keep_working(),
            )
        ]

    def decided(self, stage: Stage) -> Stage:
        """The stage as this process decides it."""
        return stage

    async def leave(self, group: Group) -> None:
        """SIGTERM: stop reading, publish what is there, let go."""
        self.machine.leaving = True
        group.leave(self.consumer)
        self.consumer.close()
        self.consumer.release()
        try:
            while await self.relay.turn():
                pass
        except (PublishFailed, Unavailable):
            pass
        for task in self._tasks:
            task.cancel()

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets = await self.loop.assigned(partitions)
        await self.relay.own(sorted({lane for _, lane in partitions}))
        self._work.set()
        return offsets

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.loop.revoked(partitions)
        self.relay.disown(sorted({lane for _, lane in partitions}))

    async def handle(self, records: Sequence[Record]) -> None:
        await self.loop.handle(records)

    def positions(self) -> Mapping[TopicPartition, int]:
        return self.loop.positions()

    def committed(self, writes: Writes, records: int, seconds: float) -> None:
        self.relay.committed(writes.rows)
        if writes.timers:
            self._work.set()

    def halted(self, lane: int, why: str) -> None:
        self.halts.append(f"{self.machine.name} lane {lane}: {why}")

    def uncertain(self) -> None:
        self.relay.catch_up()
        self.machine.loop.call_later(STATEMENT_SECONDS, self.relay.catch_up)

    async def _keep_working(self) -> None:
        """Timers: when woken, when the next is due, and now and then for what others left."""
        fenced = 0
        while True:
            pause = _LOOK_SECONDS
            try:
                while await self.loop.work():
                    pass
                due = await self._log.next_due(self.loop.lanes)
                if due is not None:
                    pause = min(pause, max(timedelta(), due - self.machine.clock()).total_seconds())
                fenced = 0
            except (Fenced, Unavailable, KeyError) as error:
                pause = 1.0
                fenced = fenced + 1 if isinstance(error, Fenced) else 0
                if fenced and fenced % FENCED_MAX == 0:
                    await self.consumer.claim_again()
            except Exception as error:
                self.machine.faults.note(self.machine.name, f"timers failed: {error!r}")
            try:
                async with asyncio.timeout(pause + 0.001):
                    await self._work.wait()
            except TimeoutError:
                pass
            self._work.clear()
