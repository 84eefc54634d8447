"""All stages in one process on a memory broker and memory logs, with a clock that a test moves.

The loop, planner, relay and deciders are the real ones; only broker, database and clock are doubles.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from libs.events.catalogue import decode, encode
from libs.events.contract import Command, Contract, Event
from libs.events.envelope import Envelope
from libs.events.ids import partition_key
from libs.runtime import wire
from libs.runtime.kafka import Lanes
from libs.runtime.limits import Limits
from libs.runtime.log import TopicPartition, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.memory_broker import Member, MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.relay import Relay
from libs.runtime.stage import Stage, commands_topic
from libs.runtime.state_topic import Follower
from libs.runtime.wire import Record
from services.fulfillment.app import STAGE as FULFILLMENT
from services.intake.app import STAGE as INTAKE
from services.inventory.app import STAGE as INVENTORY
from services.notifications.app import STAGE as NOTIFICATIONS
from services.returns.app import STAGE as RETURNS
from services.routing.app import STAGE as ROUTING
from tests.flow.marks import MemoryMarks

STAGES = (INTAKE, INVENTORY, ROUTING, FULFILLMENT, NOTIFICATIONS, RETURNS)
TENANT = "acme"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_IDS = UUID("9f6f4b0e-53c1-5d0f-9a7e-5d3c8d1f2a10")


@dataclass
class Clock:
    """Time as the stages see it."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@dataclass
class Process:
    """One process of a stage: a loop, a relay, and what tells of its states, over the stage's log."""

    stage: Stage
    log: MemoryLog
    loop: StageLoop = field(init=False)
    relay: Relay = field(init=False)
    follower: Follower | None = None
    halts: list[str] = field(default_factory=list)

    def start(self, world: "World") -> None:
        self.loop = StageLoop(
            self.stage,
            self.log,
            lane_of=world.lane_of,
            clock=world.clock,
            observer=self,
            fetch=world.broker.fetch,
            limits=world.limits,
        )
        self.relay = Relay(
            self.stage.name,
            self.stage.topic,
            self.log,
            world.broker,
            mark_seconds=0.0,
            chain_seconds=0.0,
            anchor_seconds=0.0,
            clock=world.clock,
        )
        if self.stage.states is not None:
            marks = MemoryMarks(self.log, world.followed)
            told = (self.stage.states, self.stage.name, self.log, marks, world.broker, world.lane_of)
            self.follower = Follower(*told, clock=world.clock)

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets = await self.loop.assigned(partitions)
        lanes = sorted({lane for _, lane in partitions})
        await self.relay.own(lanes)
        if self.follower is not None:
            await self.follower.own(lanes)
        return offsets

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.loop.revoked(partitions)
        self.relay.disown(sorted({lane for _, lane in partitions}))
        if self.follower is not None:
            self.follower.disown(sorted({lane for _, lane in partitions}))

    async def handle(self, records: Sequence[Record]) -> None:
        await self.loop.handle(records)

    def positions(self) -> Mapping[TopicPartition, int]:
        return self.loop.positions()

    def committed(self, writes: Writes, records: int, seconds: float) -> None:
        self.relay.committed(writes.rows)
        if self.follower is not None:
            self.follower.committed(writes)

    def halted(self, lane: int, why: str) -> None:
        self.halts.append(why)

    def uncertain(self) -> None:
        self.relay.catch_up()
        if self.follower is not None:
            self.follower.catch_up()


class World:
    """The product without its I/O. `send` commands, `settle`, then look at `events`."""

    def __init__(self, partitions: int = 4, limits: Limits | None = None, polled_max: int = 0) -> None:
        self.broker, self.clock = MemoryBroker(partitions), Clock()
        self.lane_of: Callable[[str], int] = Lanes(partitions)
        self.limits = limits or Limits()
        self.polled_max = polled_max or self.limits.batch_records_max
        self.logs = {stage.name: MemoryLog() for stage in STAGES}
        self.processes: dict[str, Process] = {}
        self.members: dict[str, Member] = {}
        self.followed: dict[int, int] = {}
        """By lane, how far inventory's states are told."""
        self._sent = 0

    async def start(self) -> "World":
        for stage in STAGES:
            self.processes[stage.name], self.members[stage.name] = await self.process(stage)
        return self

    async def process(self, stage: Stage) -> tuple[Process, Member]:
        """One more process of a stage, in its consumer group."""
        process = Process(stage, self.logs[stage.name])
        process.start(self)
        return process, await self.broker.join(stage.name, process, stage.topics)

    def envelope(
        self, command: Command, *, id_: UUID | None = None, tenant: str = TENANT
    ) -> Envelope[Command]:
        self._sent += 1
        id_ = id_ or uuid5(_IDS, str(self._sent))
        return Envelope(
            id_, tenant, command.stream, command, self.clock.now, "test", "", id_, id_, "orderlog/edge"
        )

    async def send(self, *commands: Command, id_: UUID | None = None, tenant: str = TENANT) -> list[UUID]:
        """Publish commands to their stages' topics, as the edge does; their ids."""
        ids = []
        for command in commands:
            envelope = self.envelope(command, id_=id_, tenant=tenant)
            await self.publish(envelope)
            ids.append(envelope.id)
        return ids

    async def publish(self, envelope: Envelope[Command], value: bytes | None = None) -> None:
        stage = envelope.body.TYPE.split(".")[1]
        key = partition_key(envelope.tenant, envelope.stream)
        payload = encode(envelope.body) if value is None else value
        message = (key.encode(), payload, wire.headers(envelope), 0)
        await self.broker.publish(commands_topic(stage), self.lane_of(key), [message])

    async def turn(self, stages: Iterable[str] | None = None) -> int:
        """Each stage once: a poll, its timers, its relay; how much happened."""
        happened = 0
        for name in stages or self.processes:
            happened += await self.members[name].poll(self.polled_max)
            happened += await self.processes[name].loop.work()
            happened += await self.processes[name].relay.turn()
            follower = self.processes[name].follower
            happened += await follower.turn() if follower is not None else 0
        return happened

    async def turns(self, count: int) -> None:
        """So many turns of single stages, those on an order's way one after the other."""
        names = itertools.cycle(("intake", "inventory", "routing", "fulfillment"))
        for name in itertools.islice(names, count):
            await self.turn([name])

    async def settle(self) -> None:
        """Turn until nothing happens any more."""
        for _ in range(10_000):
            if not await self.turn():
                for process in self.processes.values():
                    await process.loop.settle()
                return
        raise AssertionError("the stages do not come to rest")

    def events(self, *types: type[Event], tenant: str = TENANT) -> list[Event]:
        """What the stages published, of these types (or all), in log order by stage and lane."""
        wanted = {contract.TYPE for contract in types}
        found: list[Contract] = []
        for log in self.logs.values():
            for (_, origin), rows in sorted(log.rows.items()):
                if origin == "decided":
                    found += [
                        decode(row.type, row.version, row.payload)
                        for row in rows
                        if row.tenant == tenant and (not wanted or row.type in wanted)
                    ]
        return [event for event in found if isinstance(event, Event)]
