"""Stages in this process, on databases of their own, fed from memory: what they cost without Kafka."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from cli.bench.drive import message
from libs.events.contract import Command
from libs.runtime.kafka import Lanes
from libs.runtime.limits import Limits
from libs.runtime.log import Log, TopicPartition, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.memory_broker import Member, MemoryBroker
from libs.runtime.migrate import create_beside, drop
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.relay import Relay
from libs.runtime.settings import Settings
from libs.runtime.stage import Stage, commands_topic
from libs.runtime.wire import Record


class FedStage:
    """One stage's loop and relay over a log, a member of its group at a broker in memory."""

    def __init__(
        self,
        stage: Stage,
        log: Log,
        broker: MemoryBroker,
        settings: Settings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.stage, self._broker = stage, broker
        self._batch = settings.batch_records_max
        self._loop = StageLoop(
            stage,
            log,
            lane_of=Lanes(settings.partitions),
            clock=clock,
            observer=self,
            fetch=broker.fetch,
            limits=Limits(self._batch, settings.record_bytes_max, settings.parked_keys_max),
        )
        self._relay = Relay(stage.name, stage.topic, log, broker)
        self._member: Member | None = None

    async def join(self) -> None:
        self._member = await self._broker.join(self.stage.name, self, self.stage.topics)

    async def poll(self) -> int:
        """Take one batch; of how many records."""
        assert self._member is not None, "join first"
        return await self._member.poll(self._batch)

    async def turn(self) -> int:
        """Take a batch and what is due, and relay it; how much happened."""
        happened = await self.poll() + await self._loop.work()
        await self.publish()
        return happened

    async def publish(self) -> None:
        """Relay what was committed."""
        while await self._relay.turn():
            pass

    async def work_off(self) -> int:
        """Take and relay all that is there; in how many batches."""
        batches = 0
        while await self.poll():
            batches += 1
            await self.publish()
        return batches

    # What the broker asks of a member, and the loop of its observer.

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets = await self._loop.assigned(partitions)
        await self._relay.own(sorted({lane for _, lane in partitions}))
        return offsets

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._loop.revoked(partitions)
        self._relay.disown(sorted({lane for _, lane in partitions}))

    async def handle(self, records: Sequence[Record]) -> None:
        await self._loop.handle(records)

    def positions(self) -> Mapping[TopicPartition, int]:
        return self._loop.positions()

    def committed(self, writes: Writes, records: int, seconds: float) -> None:
        self._relay.committed(writes.rows)

    def halted(self, lane: int, why: str) -> None:
        raise AssertionError(f"{self.stage.name} halted lane {lane}: {why}")

    def uncertain(self) -> None:
        self._relay.catch_up()


async def send(
    broker: MemoryBroker, settings: Settings, tenant: str, stage: str, commands: Sequence[Command]
) -> None:
    """Publish a tenant's commands to the stage, in memory."""
    lane_of = Lanes(settings.partitions)
    for command in commands:
        key, ready = message(tenant, command)
        await broker.publish(commands_topic(stage), lane_of(key), [ready])


@asynccontextmanager
async def own_log(settings: Settings, stage: Stage) -> AsyncIterator[PostgresLog]:
    """An empty log of the stage in a database of the bench's, dropped afterwards."""
    name = database_of(stage)
    create_beside(settings, name, stage.name)
    try:
        pool = await open_pool(settings.dsn(name), settings, name)
        try:
            yield PostgresLog(pool, stage)
        finally:
            await pool.close()
    finally:
        drop(settings, name)


def database_of(stage: Stage) -> str:
    """The name under which `Settings.dsn` finds it."""
    return f"bench_{stage.name}"
