"""The broker: topics whose readers lag each on its own, producers that fail, groups that rebalance.

What it keeps true of Kafka: a partition is an ordered list with offsets from 0; a batch of one producer is
stored in its order; a group shares out its partitions by range, revokes all before it assigns any, and drops
a member that it has not heard of for the session's time. Fetching is not fenced: who was dropped and does not
know it reads on.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from libs.runtime.log import TopicPartition
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.wire import Record
from tests.sim.faults import Faults
from tests.sim.loop import SimLoop
from tests.sim.machine import Machine

SESSION_SECONDS = 10.0
REBALANCE_SECONDS = 15.0


class SimBroker(MemoryBroker):
    """All topics. `on_append` tells who waits for records."""

    def __init__(self, partitions: int, loop: SimLoop, faults: Faults) -> None:
        super().__init__(partitions)
        self.loop, self.faults = loop, faults
        self.on_append: list[Callable[[str, int], None]] = []
        self.down_until = 0.0

    @property
    def down(self) -> bool:
        return self.loop.time() < self.down_until

    def append(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """Store records; whoever reads the topic is woken."""
        held = self._records.setdefault((topic, partition), [])
        for key, value, headers, timestamp in messages:
            held.append(Record(topic, partition, len(held), key, value, tuple(headers), timestamp))
        for woken in self.on_append:
            woken(topic, partition)

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        self.append(topic, partition, messages)

    def end(self, place: TopicPartition) -> int:
        """The offset that the next record of a partition will have."""
        return len(self._records.get(place, ()))


class Producer:
    """A process's producer (`libs.runtime.relay.Publisher`)."""

    def __init__(self, broker: SimBroker, machine: Machine) -> None:
        self.broker, self.machine = broker, machine

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """Raises PublishFailed; what was stored of the messages is then unknown."""
        broker, faults, who = self.broker, self.machine.faults, self.machine.name
        await self.machine.step()
        if broker.down or faults.strikes("publish failed, nothing stored", 0.02, who):
            raise PublishFailed("no broker answers")
        if faults.strikes("publish slow", 0.005, who):
            await self.machine.sleep(faults.dice.uniform(1, 14))
        if faults.strikes("publish failed, stored in part", 0.02, who):
            broker.append(topic, partition, messages[: len(messages) // 2])
            raise PublishFailed("the connection was lost")
        if faults.strikes("publish failed, stored later", 0.02, who):
            delay = faults.dice.uniform(0.1, 20)
            self.machine.loop.call_later(delay, broker.append, topic, partition, messages)
            raise PublishFailed("the request timed out")
        self.store(topic, partition, messages)
        if faults.strikes("publish failed, stored", 0.02, who):
            raise PublishFailed("the acknowledgement was lost")
        if faults.strikes("crash after a publish", 0.008, who):
            self.machine.crash()
        await self.machine.step()

    def store(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        self.broker.append(topic, partition, messages)


class GroupMember(Protocol):
    """What a group tells one of its members; `tests.sim.consumer.Consumer` listens."""

    machine: Machine
    topics: tuple[str, ...]

    def told_to_rejoin(self) -> None:
        """A rebalance began: give everything up, then `Group.rejoined`."""

    def told_its_share(self, places: list[TopicPartition]) -> None:
        """The rebalance is over; these are yours."""


class Group:
    """A consumer group, as its coordinator sees it."""

    def __init__(self, name: str, broker: SimBroker) -> None:
        self.name, self._broker, self._loop = name, broker, broker.loop
        self.members: list[GroupMember] = []
        self.generation = 0
        self._waiting_for: set[GroupMember] = set()

    def join(self, member: GroupMember) -> None:
        """A member comes, or comes back."""
        if member not in self.members:
            self.members.append(member)
        self._rebalance(joining=member)

    def leave(self, member: GroupMember) -> None:
        """A member goes, or is dropped; it learns of that only from its own machine."""
        if member in self.members:
            self.members.remove(member)
            self._rebalance()

    def watch(self, member: GroupMember) -> None:
        """A member may have fallen silent: dropped unless it is heard of within the session's time."""
        self._loop.call_later(SESSION_SECONDS, self._drop_silent, member)

    def expects(self, member: GroupMember) -> bool:
        """Whether a member that asks is told to join: it was dropped, or a rebalance waits for it."""
        return member not in self.members or member in self._waiting_for

    def _drop_silent(self, member: GroupMember) -> None:
        if member in self.members and not member.machine.reachable:
            self._broker.faults.note(self.name, f"group drops {member.machine.name}")
            self.leave(member)

    def _rebalance(self, joining: GroupMember | None = None) -> None:
        self.generation += 1
        self._waiting_for = set(self.members)
        self._loop.call_later(REBALANCE_SECONDS, self._wait_no_longer, self.generation)
        for member in list(self.members):
            if member is joining:
                self._waiting_for.discard(member)
            elif member.machine.reachable:
                member.told_to_rejoin()
        self._share_out()

    def rejoined(self, member: GroupMember) -> None:
        """A member has given up what it had. One that was dropped meanwhile joins anew."""
        if member not in self.members:
            self.join(member)
            return
        self._waiting_for.discard(member)
        self._share_out()

    def _wait_no_longer(self, generation: int) -> None:
        if generation == self.generation and self._waiting_for:
            late = [member for member in self.members if member in self._waiting_for]
            self.members = [member for member in self.members if member not in late]
            self._waiting_for = set()
            self._share_out()
            for member in late:
                if member.machine.reachable:  # its next heartbeat is refused
                    member.told_to_rejoin()

    def _share_out(self) -> None:
        if self._waiting_for:
            return
        count, partitions = len(self.members), self._broker.partitions
        for index, member in enumerate(self.members):
            share = range(index * partitions // count, (index + 1) * partitions // count)
            member.told_its_share([(topic, number) for topic in member.topics for number in share])
