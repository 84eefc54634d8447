"""The read side in the simulator: the real follower and projection, on tables that are kept in memory."""

from collections.abc import Iterable, Mapping, Sequence

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.log import Unavailable
from libs.runtime.stage import events_topic
from services.console import projection
from services.console.facts import State
from services.console.follow import Follower
from services.console.parked_items import ParkedChange, ParkedKey
from services.console.projection import Changes, Heard, LaneKey, OrderKey, TimelineRow
from services.console.records import UnreadableEvent
from services.console.stock import BalanceKey, ReservationKey, ReservationUnits
from services.console.stock_care import with_more
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
        self.parked: dict[ParkedKey, ParkedChange] = {}
        self.unreadable: list[UnreadableEvent] = []
        self.overruled: list[str] = []
        """Offsets that somebody moved who had left them elsewhere."""

    def ends(self, broker: SimBroker) -> dict[TopicPartition, int]:
        places = [(topic, lane) for topic in TOPICS for lane in range(broker.partitions)]
        return {place: broker.end(place) for place in places}

    def must_stand_at(self, offsets: Mapping[TopicPartition, tuple[int, int]]) -> None:
        """Raises OffsetMoved where another has read on, or back."""
        if any(self.offsets.get(place) != expected for place, (expected, _) in offsets.items()):
            raise OffsetMoved(self.offsets)

    def move(self, offsets: Mapping[TopicPartition, tuple[int, int]]) -> None:
        for (topic, lane), (expected, following) in offsets.items():
            stands = self.offsets.get((topic, lane))
            if stands != expected:
                self.overruled.append(f"{topic}/{lane}: {expected} to {following}, where {stands} was stored")
            self.offsets[topic, lane] = following

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
        for key, change in changes.parked_keys.items():
            self.parked[key] = with_more(self.parked.get(key), change)
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
        machine = self._machine
        await machine.step("crash in a transaction")
        self._database.must_stand_at(offsets)
        if machine.faults.strikes("commit cut off, not done", 0.01, machine.name):
            raise Unavailable("the connection was lost")
        self._database.apply(envelopes)
        self._database.unreadable += unreadable
        self._database.move(offsets)
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
            machine.loop.create_endless(running)
            for running in (self.consumer.follow_group(), self.consumer.run())
        ]
