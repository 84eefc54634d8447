"""Follows the stages' event topics: what a poll brings becomes one transaction on the live read models."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg
import structlog

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.log import Unavailable
from libs.runtime.seek import Seek
from libs.runtime.wire import Record
from services.console.records import NewerEvent, UnreadableEvent, read
from services.console.store import OffsetMoved, Projector, TopicPartition

logger = structlog.get_logger()


@dataclass(slots=True)
class ReadBatch:
    """Records in order, as the projector takes them."""

    envelopes: list[Envelope[Event]] = field(default_factory=list)
    unreadable: list[UnreadableEvent] = field(default_factory=list)
    offsets: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)

    def take(self, record: Record, expected: int) -> None:
        """Add the next record of its partition. Raises NewerEvent, having added nothing."""
        found = read(record)
        if isinstance(found, UnreadableEvent):
            self.unreadable.append(found)
        else:
            self.envelopes.append(found)
        place = (record.topic, record.partition)
        first, _ = self.offsets.get(place, (expected, expected))
        self.offsets[place] = (first, record.offset + 1)


class Follower:
    """The projector's side of a subscription (`libs.runtime.consume.Taker`). One per process."""

    def __init__(self, projector: Projector) -> None:
        self._projector = projector
        self._next: dict[TopicPartition, int] = {}
        self.halted: dict[TopicPartition, str] = {}
        """Partitions that wait for a person, and why."""

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Own these; where to read each from. Raises Unavailable."""
        with _reachable():
            offsets = await self._projector.positions(partitions)
        self._next |= offsets
        for place in partitions:
            self.halted.pop(place, None)
        return offsets

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Give these up; what is in hand for them is fenced by its offsets."""
        for place in partitions:
            self._next.pop(place, None)
            self.halted.pop(place, None)

    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each partition owned."""
        return dict(self._next)

    async def handle(self, records: Sequence[Record]) -> None:
        """Project records. Raises Seek (read on elsewhere) or Unavailable (offer them again)."""
        batch = self._read(records)
        if not batch.offsets:
            return
        try:
            with _reachable():
                await self._projector.apply(batch.envelopes, batch.offsets, batch.unreadable)
        except OffsetMoved:
            with _reachable():
                self._next |= await self._projector.positions(self._next)
            raise Seek(self._next) from None
        except Unavailable:
            raise
        except Exception as error:
            await self._isolate(records, batch, error)
        else:
            self._applied(batch)

    def _applied(self, batch: ReadBatch) -> None:
        for found in batch.unreadable:
            logger.warning("event unreadable, noted and left on its topic", **found._asdict())
        self._next |= {place: next_ for place, (_, next_) in batch.offsets.items() if place in self._next}

    async def _isolate(self, records: Sequence[Record], batch: ReadBatch, error: Exception) -> None:
        """A batch could not be projected: halve it, so that one bad event is noted and stops no other."""
        if len(records) > 1:
            middle = len(records) // 2
            await self.handle(records[:middle])
            await self.handle(records[middle:])
            return
        [record] = records
        logger.error("event could not be projected", topic=record.topic, offset=record.offset, exc_info=error)
        why = f"projecting it failed: {type(error).__name__}; see the console's log"
        noted = UnreadableEvent(record.topic, record.partition, record.offset, "failed", why)
        alone = ReadBatch(unreadable=[noted], offsets=batch.offsets)
        with _reachable():
            await self._projector.apply((), alone.offsets, alone.unreadable)
        self._applied(alone)

    def _read(self, records: Sequence[Record]) -> ReadBatch:
        """The records that continue what is stored; raises Seek where a partition does not continue."""
        batch = ReadBatch()
        expected = dict(self._next)
        for record in records:
            place = (record.topic, record.partition)
            if place not in expected or place in self.halted or record.offset < expected[place]:
                continue
            if record.offset > expected[place]:
                raise Seek({place: expected[place]})
            try:
                batch.take(record, expected[place])
            except NewerEvent as newer:
                self.halted[place] = str(newer)
                logger.critical(
                    "partition halted", why=str(newer), next_step="upgrade the console, restart it"
                )
                continue
            expected[place] = record.offset + 1
        return batch


@contextmanager
def _reachable() -> Iterator[None]:
    """What a lost or overloaded database says becomes Unavailable."""
    try:
        yield
    except (
        OSError,
        TimeoutError,
        asyncpg.InterfaceError,
        asyncpg.PostgresConnectionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.OperatorInterventionError,
        asyncpg.TransactionRollbackError,
        asyncpg.LockNotAvailableError,
    ) as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
