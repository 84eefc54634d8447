"""A broker in memory, beneath flow tests and the simulator: topics, partitions, offsets, consumer groups.

What it keeps true of Kafka: a partition is an ordered list; a reader names its own offset; a group's
partitions are shared out by range, the same partition numbers of every topic to one member; a rebalance
revokes before it assigns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.runtime.consume import Taker
from libs.runtime.log import TopicPartition
from libs.runtime.relay import Message
from libs.runtime.seek import Seek
from libs.runtime.wire import Record


@dataclass(eq=False)
class Member:
    """One consumer of a group. `poll` offers it what its partitions hold beyond its position."""

    broker: "MemoryBroker"
    taker: Taker
    topics: tuple[str, ...]
    position: dict[TopicPartition, int] = field(default_factory=dict)

    async def poll(self, limit: int = 500) -> int:
        """Offer one batch; how many records were offered. Other exceptions than Seek are the caller's."""
        records: list[Record] = []
        for place in sorted(self.position):
            records += self.broker.read(place, self.position[place], limit - len(records))
        if not records:
            return 0
        try:
            await self.taker.handle(records)
            for record in records:
                if (record.topic, record.partition) in self.position:
                    self.position[record.topic, record.partition] = record.offset + 1
        except Seek as seek:
            self.position |= {place: at for place, at in seek.offsets.items() if place in self.position}
        return len(records)


class MemoryBroker:
    """All topics have the same number of partitions."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._records: dict[TopicPartition, list[Record]] = {}
        self._groups: dict[str, list[Member]] = {}

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """`libs.runtime.relay.Publisher`."""
        held = self._records.setdefault((topic, partition), [])
        for key, value, headers, timestamp in messages:
            held.append(Record(topic, partition, len(held), key, value, tuple(headers), timestamp))

    def read(self, place: TopicPartition, offset: int, limit: int) -> list[Record]:
        """Records of a partition from an offset on."""
        return self._records.get(place, [])[offset : offset + max(limit, 0)]

    def all(self, topic: str) -> list[Record]:
        """Every record of a topic, partition by partition."""
        return [
            record for number in range(self.partitions) for record in self._records.get((topic, number), [])
        ]

    async def fetch(self, topic: str, partition: int, offset: int) -> Record | None:
        """One record again; `libs.runtime.loop.Fetch`."""
        found = self.read((topic, partition), offset, 1)
        return found[0] if found else None

    async def join(self, group: str, taker: Taker, topics: Sequence[str]) -> Member:
        """A new member of a group; its partitions are shared out again."""
        member = Member(self, taker, tuple(topics))
        members = self._groups.setdefault(group, [])
        members.append(member)
        await self._rebalance(members)
        return member

    async def leave(self, group: str, member: Member, *, silently: bool = False) -> None:
        """A member goes; `silently`, it is not told: a zombie that still believes in its partitions."""
        members = self._groups[group]
        members.remove(member)
        if not silently:
            member.taker.revoked(list(member.position))
            member.position = {}
        await self._rebalance(members)

    async def _rebalance(self, members: Sequence[Member]) -> None:
        for member in members:
            member.taker.revoked(list(member.position))
            member.position = {}
        for index, member in enumerate(members):
            share = range(
                index * self.partitions // len(members), (index + 1) * self.partitions // len(members)
            )
            places = [(topic, number) for topic in member.topics for number in share]
            if places:
                member.position = dict(await member.taker.assigned(places))
