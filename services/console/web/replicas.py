"""Who of a service's processes owns which lanes, as Kafka's groups tell it, and how far behind each lane is.

One process answers at a service's address, whichever it is. The group knows all of them: a lane belongs to
the member that has its partitions, which is also the one that relays it and looks after its timers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, for_code

from libs.runtime.groups import group_of
from libs.runtime.settings import Settings
from services.console.on_demand import admin_on_demand

_SHORT = 8
NOBODY = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One process in a service's group: the end of its member id, where it connects from, its lanes."""

    id: str
    host: str
    lanes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Replica:
    """A process of a service, and the lanes that it owns with the records that each is behind (none where
    that is not known); with no `id`, the lanes that nobody owns."""

    service: str
    id: str
    host: str
    lanes: Mapping[int, int | None]


class Owners:
    """Asks Kafka who is in the groups of these services."""

    def __init__(self, config: Settings, names: Sequence[str], patience_seconds: float) -> None:
        self._names, self._patience_seconds = names, patience_seconds
        self._admin = admin_on_demand(config)

    async def __call__(self) -> Mapping[str, tuple[Member, ...]]:
        """The members of each service's group. Raises KafkaError, OSError, or TimeoutError, and next time
        comes by a new connection."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                found = await asyncio.gather(*map(self._members, self._names))
        except (KafkaError, OSError, TimeoutError):
            await self.close()
            raise
        return dict(zip(self._names, found, strict=True))

    async def _members(self, name: str) -> tuple[Member, ...]:
        admin = await self._admin()
        # One by one: aiokafka 0.14 cannot read an answer about several.
        [answer] = await admin.describe_consumer_groups([group_of(name)])
        [(code, group, _, _, _, joined, *_)] = answer.groups
        if code:
            raise for_code(code)(group)
        return tuple(sorted(map(read_member, joined), key=lambda one: (one.lanes, one.id)))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._admin.close()


def read_member(told: Sequence[object]) -> Member:
    """A member as DescribeGroups tells it: its id, its client, its host, metadata, and its assignment."""
    id_, host, assigned = str(told[0]), str(told[-3]), told[-1]
    assert isinstance(assigned, bytes), "an assignment is bytes"
    lanes: set[int] = set()
    if assigned:
        for _, partitions in ConsumerProtocolMemberAssignment.decode(assigned).assignment:
            lanes.update(partitions)
    return Member(id_[-_SHORT:], host.removeprefix("/"), tuple(sorted(lanes)))


def replicas(
    members: Mapping[str, Sequence[Member]],
    behind: Mapping[str, Mapping[int, int]],
    partitions: int,
) -> list[Replica]:
    """Each process with its lanes, service by service; and the lanes that a service has left to nobody."""
    found: list[Replica] = []
    for name, joined in members.items():
        known = behind.get(name, {})
        for one in joined:
            lanes = {lane: known.get(lane) for lane in one.lanes}
            found.append(Replica(name, one.id, one.host, lanes))
        owned = {lane for one in joined for lane in one.lanes}
        left = {lane: known.get(lane) for lane in range(partitions) if lane not in owned}
        if left:
            found.append(Replica(name, NOBODY, "", left))
    return found
