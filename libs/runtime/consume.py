"""Subscription through FastStream: batches of raw records to a loop that keeps its own offsets.

FastStream carries the subscription and its lifecycle. What it must not do is in `Subscription`: no exception
leaves the handler (0.7.8 would commit past the batch), nothing is committed but explicit offsets, its parser
and decoder leave the bytes alone, and it does not sleep after a poll that brought nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.middlewares import AckPolicy
from opentelemetry.trace import Tracer

from libs.runtime import telemetry
from libs.runtime.gathering import Gathering
from libs.runtime.health import Health
from libs.runtime.kafka import fetch_together, record_of, request_timeout_ms
from libs.runtime.log import Unavailable
from libs.runtime.pauses import LEFT_OUT_WAIT_MS, Pauses
from libs.runtime.seek import Seek
from libs.runtime.settings import Settings
from libs.runtime.wire import Record

logger = structlog.get_logger()
Found = Mapping[TopicPartition, "Sequence[ConsumerRecord[bytes, bytes]]"]
"""What a poll brought, by partition."""
_POLL_MS = 1_000
FENCED_MAX = 5
"""How often in a row work may be refused as another owner's before its lanes are claimed again."""
_LAST_FETCH = 0.25
"""The share of the time in which a poll gathers that its last fetch has."""
_PARTITION_BYTES_MIN = 65_536
_RECORD_BYTES = 1_000
"""What a record takes besides its value, when batches are cut by bytes."""


class Taker(Protocol):
    """Takes what polls bring, and keeps the offsets in its own store."""

    async def assigned(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Own these partitions; where to read each from. Raises Unavailable."""

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Give these up."""

    async def handle(self, records: Sequence[Record]) -> None:
        """Take records. Raises Seek, or Unavailable (the same records are then offered again)."""

    def positions(self) -> Mapping[tuple[str, int], int]:
        """The stored offset of each partition owned, for Kafka's own commit: a hint for lag."""


def broker_of(settings: Settings, name: str) -> KafkaBroker:
    """FastStream's broker as a `Subscription` needs it: what is injected into handlers by their types is
    worked out in a thread for each batch, which costs more than all else that FastStream does."""
    return KafkaBroker(
        settings.kafka,
        client_id=f"orderlog-{name}",
        logger=None,
        allow_auto_create_topics=False,
        apply_types=False,
        graceful_timeout=settings.stop_seconds,
        request_timeout_ms=request_timeout_ms(settings, group=True),
    )


class Subscription:
    """One consumer group member, reading `topics` for `taker`."""

    def __init__(
        self,
        broker: KafkaBroker,
        settings: Settings,
        *,
        group: str,
        topics: Iterable[str],
        taker: Taker,
        tracer: Tracer,
        first: Collection[str] = (),
        others: Collection[str] = (),
        health: Health | None = None,
        awaited: Callable[[], bool] = lambda: False,
    ) -> None:
        """While `first` topics have a backlog, the `others` are not read. `awaited` says whether somebody
        waits for what comes: it is gathered for the least time then."""
        self._awaited = awaited
        self._settings, self._taker, self._tracer, self._group = settings, taker, tracer, group
        self._listener = _Listener(self)
        self._told: dict[tuple[str, int], int] = {}
        """What Kafka was told last: it need not hear the same every second."""
        self.ready = asyncio.Event()
        self._gathering = Gathering(settings.gather_seconds_min, settings.gather_seconds)
        self._stopping, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._health = health or Health(settings.stuck_seconds_max)
        self._pauses = Pauses(first, others, settings.fetch_wait_ms)
        self._seeks = 0
        """How often in a row nothing was taken, as we were told to read elsewhere."""
        topics = tuple(topics)
        self._subscriber = broker.subscriber(
            *topics,
            batch=True,
            group_id=group,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="none",
            max_records=settings.poll_records_max,
            fetch_min_bytes=settings.fetch_bytes_min,
            fetch_max_wait_ms=settings.fetch_wait_ms,
            fetch_max_bytes=settings.fetch_bytes_max,
            max_partition_fetch_bytes=partition_bytes(settings, len(topics)),
            session_timeout_ms=int(settings.session_timeout_seconds * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_seconds * 100),
            max_poll_interval_ms=int(settings.poll_interval_seconds_max * 1000),
            partition_assignment_strategy=(RangePartitionAssignor,),
            listener=self._listener,
            parser=self._parse,
            decoder=_leave_alone,
            no_reply=True,
        )
        self._subscriber(self._on_batch)
        self._subscriber.get_msg = self._poll  # type: ignore[method-assign]

    async def _poll(self, consumer: AIOKafkaConsumer) -> "tuple[ConsumerRecord[bytes, bytes], ...]":
        """The next records, as soon as there are any. FastStream's own poll would sleep after one that
        brought nothing, and what came meanwhile would wait."""
        most = self._settings.poll_records_max
        while not self._stopping.is_set():
            wait_ms = LEFT_OUT_WAIT_MS if self._pauses.give_way else _POLL_MS
            found = await consumer.getmany(timeout_ms=wait_ms, max_records=most)
            if not found:
                self._give_way(consumer, found)
                continue
            now = asyncio.get_running_loop().time()
            rest = self._gathering.rest(now, awaited=self._awaited())
            if rest > 0 and _count(found) < most:
                found = await _gathered(consumer, found, rest, most)
            self._give_way(consumer, found)
            return tuple(chain.from_iterable(found.values()))
        await asyncio.get_running_loop().create_future()  # nothing more is read; stopping cancels this
        raise AssertionError("unreachable")

    def _give_way(self, consumer: AIOKafkaConsumer, found: Found) -> None:
        if self._pauses.came((place.topic, len(records)) for place, records in found.items()):
            self._pauses.settle(consumer)

    def hold_back(self, topics: Collection[str]) -> None:
        """Fetch nothing more of these topics, until called again without them."""
        if self._pauses.hold_back(topics):
            self._settle()

    def wait_at_broker(self, milliseconds: int) -> None:
        """From the next request on, wait no longer than this for `fetch_bytes_min` to be there."""
        self._pauses.wait_at_broker(milliseconds)
        self._settle()

    def _settle(self) -> None:
        if self._subscriber.consumer is not None:
            self._pauses.settle(self._subscriber.consumer)

    async def commit(self) -> None:
        """Tell Kafka how far we are; failing is harmless."""
        consumer = self._subscriber.consumer
        if consumer is None or not self.ready.is_set():
            return
        owned = {(place.topic, place.partition) for place in consumer.assignment()}
        positions = {
            TopicPartition(*place): offset
            for place, offset in self._taker.positions().items()
            if place in owned and self._told.get(place) != offset
        }
        if not positions:
            return
        try:
            async with asyncio.timeout(self._settings.kafka_timeout_seconds):  # aiokafka tries for ever
                await consumer.commit(positions)
            self._told |= {(place.topic, place.partition): at for place, at in positions.items()}
        except (KafkaError, TimeoutError) as error:
            logger.debug("kafka commit skipped", error=repr(error))

    async def _parse(self, raw: Any) -> KafkaMessage:
        consumer = self._subscriber.consumer
        assert consumer is not None
        return KafkaMessage(raw_message=raw, body=raw, consumer=consumer)

    async def _on_batch(self, raw: "tuple[ConsumerRecord[bytes, bytes], ...]") -> None:
        records = [record_of(found) for found in raw]
        traceparents = [
            value for record in records for name, value in record.headers if name == "traceparent" and value
        ]
        self._idle.clear()
        try:
            with self._tracer.start_as_current_span(
                f"{self._group} batch", links=telemetry.links(traceparents)
            ):
                for some in cut(records, self._settings.batch_bytes_max):
                    if self._stopping.is_set() or not await self._take(some):
                        return  # what is left is read again, by whoever owns it then
        finally:
            self._idle.set()

    async def _take(self, records: Sequence[Record]) -> bool:
        """Offer the records until they are taken; False when others are to be read instead, or we stop."""
        pause, clock = self._settings.retry_seconds_min, asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                await self._taker.handle(records)
                self._gathering.took(clock() - began)
                self._seeks = 0
                self._health.well("batch")
                return True
            except Seek as seek:
                self._health.well("batch")
                await self._elsewhere(seek)
                return False
            except Unavailable as error:
                logger.warning("store unavailable, batch waits", group=self._group, error=str(error))
                self._waits("store")
                self._health.well("batch")
            except Exception as error:
                logger.error("batch failed, it waits", group=self._group, exc_info=error)
                self._waits("fault")
                self._health.failing("batch", error)
            if not await self._waited(pause):
                return False
            pause = min(pause * 2, self._settings.retry_seconds_max)

    def _waits(self, cause: str) -> None:
        telemetry.BATCHES_WAITED.labels(self._group.removeprefix("orderlog."), cause).inc()

    async def _elsewhere(self, seek: Seek) -> None:
        """Read where we are told to; told so again and again, claim our lanes again."""
        self._seeks += 1
        if self._seeks % FENCED_MAX or self._subscriber.consumer is None:
            self.seek(seek.offsets)
            return
        await self.claim_again()

    async def claim_again(self) -> None:
        """Claim what Kafka says is ours, as at the start: somebody else claimed it, and may be gone. If it is
        we who were replaced, the other does the same, until Kafka has told us."""
        consumer = self._subscriber.consumer
        if consumer is None or not await self._waited(self._settings.retry_seconds_min):
            return
        logger.warning("nothing could be taken, claiming again", group=self._group)
        places = consumer.assignment()
        await self.on_assigned(places)
        self.on_revoked(places - consumer.assignment())  # what we lost meanwhile

    async def _waited(self, seconds: float) -> bool:
        """False as soon as we are to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return not self._stopping.is_set()

    def stop_reading(self) -> None:
        """Take the batch in hand to its end, and no other."""
        self._stopping.set()

    async def finished(self) -> None:
        """Wait until no batch is in hand."""
        await self._idle.wait()

    def pause(self, partitions: Iterable[int]) -> None:
        """Fetch nothing more of these partitions, in any topic, until `seek` or a rebalance."""
        self._pauses.halt(partitions)
        self._settle()

    def seek(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Read on from these offsets, where the partition is ours; paused ones go on."""
        consumer = self._subscriber.consumer
        self._pauses.resume(partition for _, partition in offsets)
        if consumer is None:
            return
        owned = consumer.assignment()
        for (topic, partition), offset in offsets.items():
            place = TopicPartition(topic, partition)
            if place in owned:
                consumer.seek(place, offset)
        self._settle()

    async def on_assigned(self, places: Iterable[TopicPartition]) -> None:
        """Take over partitions: offsets come from the taker's store, never from Kafka."""
        partitions = [(place.topic, place.partition) for place in places]
        if self._subscriber.consumer is not None:
            fetch_together(self._subscriber.consumer)
        pause = self._settings.retry_seconds_min
        while True:
            try:
                offsets = await self._taker.assigned(partitions)
                break
            except Unavailable as error:
                logger.warning("store unavailable, assignment waits", group=self._group, error=str(error))
                self._health.well("assignment")
            except Exception as error:  # aiokafka would log it and read on, for nobody
                logger.error("assignment failed, it waits", group=self._group, exc_info=error)
                self._health.failing("assignment", error)
            if not await self._waited(pause):
                return
            pause = min(pause * 2, self._settings.retry_seconds_max)
        self._health.well("assignment")
        self.seek(offsets)
        self.ready.set()
        logger.info("assigned", group=self._group, partitions=len(partitions))

    def on_revoked(self, places: Iterable[TopicPartition]) -> None:
        """Give partitions up."""
        self._told.clear()
        self._taker.revoked([(place.topic, place.partition) for place in places])


def partition_bytes(settings: Settings, topics: int) -> int:
    """What one partition may bring in a fetch, so that all of them together stay within the bound.

    aiokafka keeps what it fetched of each partition until it is read, and fetches of a partition no more
    while it holds some of it. A record larger than this still comes, alone.
    """
    return max(_PARTITION_BYTES_MIN, settings.fetch_bytes_max // (topics * settings.partitions))


def cut(records: Sequence[Record], bytes_max: int) -> Iterator[Sequence[Record]]:
    """The records in parts, in order, each of at most so many bytes, or of one record."""
    start = held = 0
    for place, record in enumerate(records):
        size = _RECORD_BYTES + len(record.value or b"")
        if held + size > bytes_max and place > start:
            yield records[start:place]
            start, held = place, 0
        held += size
    if start < len(records):
        yield records[start:]


async def _gathered(consumer: AIOKafkaConsumer, found: Found, rest: float, most: int) -> Found:
    """What a poll brought, and what comes within `rest` seconds after it, up to `most` records.

    A fetch goes out when all is taken that the one before it brought (`fetch_together`). So what lies here is
    taken some time before the end, and what the next fetch finds at the broker is waited for: else it would
    lie here until the next poll has rested, too.
    """
    last = rest * _LAST_FETCH
    await asyncio.sleep(rest - last)
    for wait in (0.0, last):
        if (left := most - _count(found)) > 0:
            more = await consumer.getmany(timeout_ms=int(wait * 1_000), max_records=left)
            found = {place: [*found.get(place, ()), *more.get(place, ())] for place in {**found, **more}}
    return found


def _count(found: Found) -> int:
    return sum(map(len, found.values()))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._subscription.on_assigned(assigned)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._subscription.on_revoked(revoked)


async def _leave_alone(message: Any) -> Any:
    return message.body
