"""The read side in the simulator: the real follower and projection, on tables that are kept in memory."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.log import Unavailable
from libs.runtime.stage import events_topic
from services.console import projection
from services.console.facts import State
from services.console.follow import Follower
from services.console.projection import Changes, Heard, LaneKey, OrderKey, TimelineRow
from services.console.records import UnreadableEvent
from services.console.stock import BalanceKey, ReservationKey, ReservationUnits
from services.console.store import OffsetMoved, Projector, TopicPartition
from tests.flow.world import STAGES
from tests.sim.broker import Group, SimBroker
from tests.sim.consumer import Consumer
from tests.sim.machine import Machine

TOPICS = tuple(events_topic(stage.name) for stage in STAGES)


class ConsoleDatabase:
    """The read models."""

    def __init__(self) -> None:
        self.offsets: dict[TopicPartition, int] = {}
        self.heard: dict[LaneKey, Heard] = {}
        self.states: dict[OrderKey, State] = {}
        self.timeline: list[TimelineRow] = []
        self.balances: dict[BalanceKey, int] = {}
        self.reservations: dict[ReservationKey, ReservationUnits] = {}
        self.unreadable: list[UnreadableEvent] = []

    def ends(self, broker: SimBroker) -> dict[TopicPartition, int]:
        places = [(topic, lane) for topic in TOPICS for lane in range(broker.partitions)]
        return {place: broker.end(place) for place in places}

    def apply(self, envelopes: Sequence[Envelope[Event]]) -> None:
        """Fold what is no repeat."""
        new, moved = projection.unheard(envelopes, self.heard)
        if new:
            self.write(projection.fold(new, self.states))
        self.heard |= moved

    def write(self, changes: Changes) -> None:
        self.states |= changes.states
        self.timeline += changes.timeline
        for balance, units in changes.balances.items():
            self.balances[balance] = self.balances.get(balance, 0) + units
        for claim, delta in changes.reservations.items():
            known = self.reservations.get(claim)
            self.reservations[claim] = (
                delta
                if known is None
                else ReservationUnits(*(a + b for a, b in zip(known, delta, strict=True)))
            )


class SimProjector(Projector):
    """`services.console.store.Projector` over tables in memory, with the faults of a commit."""

    def __init__(self, database: ConsoleDatabase, machine: Machine) -> None:
        self._database, self._machine = database, machine

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self._machine.step()
        return {place: self._database.offsets.setdefault(place, 0) for place in partitions}

    async def apply(
        self,
        envelopes: Sequence[Envelope[Event]],
        offsets: Mapping[TopicPartition, tuple[int, int]],
        unreadable: Sequence[UnreadableEvent] = (),
    ) -> None:
        machine, stored = self._machine, self._database.offsets
        await machine.step("crash in a transaction")
        if any(stored.get(place) != expected for place, (expected, _) in offsets.items()):
            raise OffsetMoved(stored)
        if machine.faults.strikes("commit cut off, not done", 0.01, machine.name):
            raise Unavailable("the connection was lost")
        self._database.apply(envelopes)
        self._database.unreadable += unreadable
        stored.update({place: following for place, (_, following) in offsets.items()})
        if machine.faults.strikes("commit cut off, done", 0.01, machine.name):
            raise Unavailable("the connection was lost")
        await machine.step()


class ConsoleProcess:
    """A process of the console: a follower on its machine."""

    def __init__(self, database: ConsoleDatabase, broker: SimBroker, group: Group, machine: Machine) -> None:
        self.machine = machine
        self.follower = Follower(SimProjector(database, machine))
        self.consumer = Consumer(broker, group, machine, self.follower, TOPICS)
        self._tasks = [
            asyncio.create_task(running) for running in (self.consumer.follow_group(), self.consumer.run())
        ]
