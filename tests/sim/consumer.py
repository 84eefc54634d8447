"""A member of a consumer group: polls for a taker, as `libs.runtime.consume.Subscription` does.

Its own part is what a broker and a network do to a poll: partitions of which nothing comes for a while,
records that are left out or come again, a group that thinks otherwise than its member.
"""

import asyncio

from libs.runtime.consume import FENCED_MAX, Taker
from libs.runtime.log import TopicPartition, Unavailable
from libs.runtime.seek import Seek
from libs.runtime.wire import Record
from tests.sim.broker import Group, GroupMember, SimBroker
from tests.sim.machine import Machine

_BATCH = 40
_RETRY_SECONDS = 0.2
_RETRY_SECONDS_MAX = 5.0
_CLAIM_SECONDS = 0.7


class Consumer(GroupMember):
    """Offers a taker what its partitions hold. `run` and `follow_group` are its tasks."""

    def __init__(
        self, broker: SimBroker, group: Group, machine: Machine, taker: Taker, topics: tuple[str, ...]
    ) -> None:
        self._broker, self._group, self.machine, self._taker = broker, group, machine, taker
        self.topics = topics
        self.position: dict[TopicPartition, int] = {}
        self._seeks = 0
        """How often in a row it was told to read elsewhere."""
        self._assignment: list[TopicPartition] = []
        self._share: list[TopicPartition] | None = None
        self._must_rejoin = False
        self._news, self._group_news = asyncio.Event(), asyncio.Event()
        broker.on_append.append(self._appended)

    def close(self) -> None:
        """No more of this consumer."""
        if self._appended in self._broker.on_append:
            self._broker.on_append.remove(self._appended)

    def release(self) -> None:
        """Give up what it has."""
        self._taker.revoked(self._assignment)
        self._assignment, self.position = [], {}

    def _appended(self, topic: str, partition: int) -> None:
        if (topic, partition) in self.position:
            self._news.set()

    def told_to_rejoin(self) -> None:
        self._must_rejoin, self._share = True, None
        self._group_news.set()

    def told_its_share(self, places: list[TopicPartition]) -> None:
        self._share = places
        self._group_news.set()

    async def follow_group(self) -> None:
        """Join, then give up and take over as the group says."""
        await self.machine.step()
        self._group.join(self)
        while True:
            await self._group_news.wait()
            self._group_news.clear()
            await self.machine.step()
            if self.machine.reachable and self._group.expects(self):
                self._must_rejoin, self._share = True, None
            if self._must_rejoin:
                self._must_rejoin = False
                self.release()
                await self.machine.step()
                self._group.rejoined(self)
            elif self._share is not None:
                self._assignment, self._share = self._share, None
                await self._take_over(self._assignment)

    def wake(self) -> None:
        """Its machine is itself again: it asks the group where it stands."""
        self._group_news.set()
        self._news.set()

    async def _take_over(self, places: list[TopicPartition]) -> None:
        pause = _RETRY_SECONDS
        while True:
            try:
                offsets = await self._taker.assigned(places)
                break
            except Unavailable:
                await self.machine.sleep(pause)
                pause = min(pause * 2, _RETRY_SECONDS_MAX)
        lanes = sorted({number for _, number in places})
        self.machine.faults.note(self.machine.name, f"owns lanes {lanes}")
        self.position |= {at: next_ for at, next_ in offsets.items() if at in self._assignment}
        self._news.set()

    async def claim_again(self) -> None:
        """Somebody else claimed what is ours, and may be gone; if we were replaced, it does the same."""
        await self.machine.sleep(_CLAIM_SECONDS)
        places = self._assignment
        await self._take_over(places)
        self._taker.revoked([place for place in places if place not in self._assignment])

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            records = [] if self._broker.down else self._fetch()
            if not records:
                if self._broker.down:
                    await self.machine.sleep(1)
                else:
                    await self._news.wait()
                self._news.clear()
            await self.machine.step()
            if records:
                await self._take(records)

    def _fetch(self) -> list[Record]:
        """What one poll brings: some partitions' next records, mixed; each partition's in order."""
        faults = self.machine.faults
        places = [place for place in self.position if self._broker.end(place) > self.position[place]]
        faults.dice.shuffle(places)
        lagging = [place for place in places if faults.strikes("partition lags", 0.02, self.machine.name)]
        if lagging:
            places = [place for place in places if place not in lagging]
            self.machine.loop.call_later(faults.dice.uniform(0.5, 20), self._news.set)
        records: list[Record] = []
        for place in places:
            start, room = self.position[place], _BATCH - len(records)
            if start and faults.strikes("records repeated", 0.02, self.machine.name):
                start -= faults.dice.randint(1, start)
            found = self._broker.read(place, start, room)
            if not found:
                continue
            self.position[place] = found[-1].offset + 1
            if faults.strikes("records dropped", 0.04, self.machine.name):
                found = found[faults.dice.randint(1, len(found)) :]
                if not found:  # nothing tells the reader until the next record comes, so it looks again
                    self.position[place] = start
                    self._news.set()
            records += found
        return records

    async def _take(self, records: list[Record]) -> None:
        """Offer records until they are taken, or the taker says where to read on."""
        pause = _RETRY_SECONDS
        while True:
            try:
                await self._taker.handle(records)
                self._seeks = 0
                return
            except Seek as seek:
                self.position |= {place: at for place, at in seek.offsets.items() if place in self.position}
                self._seeks += 1
                if self._seeks % FENCED_MAX == 0:
                    await self.claim_again()
                return
            except Unavailable:
                pass
            except Exception as error:
                self.machine.faults.note(self.machine.name, f"batch failed: {error!r}")
            await self.machine.sleep(pause)
            pause = min(pause * 2, _RETRY_SECONDS_MAX)
