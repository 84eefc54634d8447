"""Follows the stages' event topics: what polls bring becomes transactions on the live read models.

Under load a transaction takes what several polls brought: an order's events are then folded together, and
its row is written once for all of them. What is held back meanwhile is in memory only: its offsets stand.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.log import Unavailable
from libs.runtime.postgres_log import reachable
from libs.runtime.seek import Seek
from libs.runtime.wire import Record
from services.console.records import NewerEvent, UnreadableEvent, read
from services.console.store import OffsetMoved, Projector, TopicPartition

logger = structlog.get_logger()

HELD_MAX = 8_000
"""Records held back at most, but for one poll; some 2 kB each."""
_WRITING_SHARE = 0.25
"""How much of the time writing may take before more is held back for the next transaction."""
_WATCHED_SHARE = 0.6
_WATCHED_SECONDS_MAX = 0.2
"""The same, and how long records are held back at most, while somebody watches."""


class ReadRecord(NamedTuple):
    """A record as the projector takes it."""

    place: TopicPartition
    offset: int
    found: Envelope[Event] | UnreadableEvent


@dataclass(slots=True)
class ReadBatch:
    """Records that continue each other in each partition."""

    records: list[ReadRecord] = field(default_factory=list)
    offsets: dict[TopicPartition, tuple[int, int]] = field(init=False, default_factory=dict)
    """The first offset of each partition, and the one after its last."""

    def __post_init__(self) -> None:
        for place, offset, _ in self.records:
            self._reach(place, offset)

    def take(self, record: Record) -> None:
        """Add the next record of its partition. Raises NewerEvent, having added nothing."""
        place = (record.topic, record.partition)
        self.records.append(ReadRecord(place, record.offset, read(record)))
        self._reach(place, record.offset)

    def _reach(self, place: TopicPartition, offset: int) -> None:
        first, _ = self.offsets.get(place, (offset, offset))
        self.offsets[place] = (first, offset + 1)

    @property
    def envelopes(self) -> list[Envelope[Event]]:
        return [record.found for record in self.records if isinstance(record.found, Envelope)]

    @property
    def unreadable(self) -> list[UnreadableEvent]:
        return [record.found for record in self.records if isinstance(record.found, UnreadableEvent)]

    def beyond(self, positions: Mapping[TopicPartition, int]) -> "ReadBatch":
        """What of it lies in these partitions, from there on."""
        return ReadBatch([r for r in self.records if r.place in positions and r.offset >= positions[r.place]])


class Follower:
    """The projector's side of a subscription (`libs.runtime.consume.Taker`). One per process.

    With `hold_seconds_max` it holds records back so long at most by `clock`, and the longer the longer a
    write takes, less while they are `watched`; then somebody has to call `write_due` whenever it is `due`.
    """

    def __init__(
        self,
        projector: Projector,
        *,
        hold_seconds_max: float = 0.0,
        clock: Callable[[], float] = lambda: 0.0,
        watched: Callable[[], bool] = lambda: False,
    ) -> None:
        self._projector = projector
        self._hold_seconds_max, self._clock, self._watched = hold_seconds_max, clock, watched
        self._due_at = clock()
        self._next: dict[TopicPartition, int] = {}
        self._held = ReadBatch()
        self._writing = asyncio.Lock()
        self._holding = asyncio.Event()
        self.halted: dict[TopicPartition, str] = {}
        """Partitions that wait for a person, and why."""

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Own these; where to read each from. Raises Unavailable."""
        async with self._writing:
            with reachable():
                offsets = await self._projector.positions(partitions)
            self.revoked(partitions)
            self._next |= offsets
            return offsets

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Give these up. What is held of them is dropped; what is being written is fenced by its offsets."""
        for place in partitions:
            self._next.pop(place, None)
            self.halted.pop(place, None)
        self._held = self._held.beyond(self._next)

    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each partition owned, as stored."""
        return dict(self._next)

    async def handle(self, records: Sequence[Record]) -> None:
        """Project records, or hold them back. Raises Seek (read elsewhere) or Unavailable (offer again)."""
        async with self._writing:
            self._holding.set()
            self._read(records)
            if len(self._held.records) >= HELD_MAX or self._clock() >= self._due_at:
                await self._write()

    async def due(self) -> None:
        """Wait until there is something that was held back long enough."""
        await self._holding.wait()
        await asyncio.sleep(self._due_at - self._clock())

    async def write_due(self, *, now: bool = False) -> None:
        """Write what was held back long enough, or all of it `now`. Raises Seek or Unavailable."""
        async with self._writing:
            if now or self._clock() >= self._due_at:
                await self._write()

    async def _write(self) -> None:
        batch, self._held = self._held, ReadBatch()
        self._holding.clear()
        if not batch.records:
            return
        began = self._clock()
        try:
            await self._project(batch)
        except Seek:
            raise
        except BaseException:
            self._held = batch.beyond(self._next)
            self._holding.set()
            raise
        ended = self._clock()
        self._due_at = ended + self._hold_seconds(ended - began)

    def _hold_seconds(self, took: float) -> float:
        """How long to hold back after a write that took so long."""
        if self._watched():
            return min(self._hold_seconds_max, _WATCHED_SECONDS_MAX, took * (1 / _WATCHED_SHARE - 1))
        return min(self._hold_seconds_max, took * (1 / _WRITING_SHARE - 1))

    async def _project(self, batch: ReadBatch) -> None:
        try:
            with reachable():
                await self._projector.apply(batch.envelopes, batch.offsets, batch.unreadable)
        except OffsetMoved:
            with reachable():
                self._next |= await self._projector.positions(self._next)
            raise Seek(self._next) from None
        except Unavailable:
            raise
        except Exception as error:
            await self._isolate(batch.records, error)
        else:
            self._applied(batch)

    def _applied(self, batch: ReadBatch) -> None:
        for found in batch.unreadable:
            logger.warning("event unreadable, noted and left on its topic", **found._asdict())
        self._next |= {place: next_ for place, (_, next_) in batch.offsets.items() if place in self._next}

    async def _isolate(self, records: list[ReadRecord], error: Exception) -> None:
        """A batch could not be projected: halve it, so that one bad event is noted and stops no other."""
        if len(records) > 1:
            middle = len(records) // 2
            await self._project(ReadBatch(records[:middle]))
            await self._project(ReadBatch(records[middle:]))
            return
        [(place, offset, _)] = records
        logger.error("event could not be projected", topic=place[0], offset=offset, exc_info=error)
        why = f"projecting it failed: {type(error).__name__}; see the console's log"
        alone = ReadBatch([ReadRecord(place, offset, UnreadableEvent(*place, offset, "failed", why))])
        with reachable():
            await self._projector.apply((), alone.offsets, alone.unreadable)
        self._applied(alone)

    def _read(self, records: Sequence[Record]) -> None:
        """Hold the records that continue what was read; raises Seek where a partition does not continue."""
        expected = self._next | {place: next_ for place, (_, next_) in self._held.offsets.items()}
        for record in records:
            place = (record.topic, record.partition)
            if place not in expected or place in self.halted or record.offset < expected[place]:
                continue
            if record.offset > expected[place]:
                raise Seek(expected)  # everywhere: the rest of the poll was not taken either
            try:
                self._held.take(record)
            except NewerEvent as newer:
                self.halted[place] = str(newer)
                logger.critical(
                    "partition halted", why=str(newer), next_step="upgrade the console, restart it"
                )
                continue
            expected[place] = record.offset + 1
