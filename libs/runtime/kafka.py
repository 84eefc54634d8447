"""Kafka through aiokafka: lanes, publishing in order, reading one record again."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from struct import unpack_from
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from libs.runtime.log import Unavailable
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.settings import Settings
from libs.runtime.wire import Record

_BATCH_BYTES = 900_000
_REQUEST_BYTES = 12 * 1_048_576
_FLUSH_SECONDS = 1.0
"""What a producer that is given up for one partition's sake may still be given for the others."""


_MIX, _SEED, _32_BITS = 0x5BD1E995, 0x9747B28C, 0xFFFFFFFF


@lru_cache(maxsize=20_000)
def murmur2(key: str) -> int:
    """The hash by which Kafka's default partitioner spreads keys: 31 bits.

    As aiokafka's (`aiokafka.partitioner.murmur2`), which goes byte by byte and takes twice as long; it is of
    each record. Source: Austin Appleby's MurmurHash2, and org.apache.kafka.common.utils.Utils.
    """
    text = key.encode()
    words, rest = divmod(len(text), 4)
    found = _SEED ^ len(text)
    for word in unpack_from(f"<{words}I", text):
        mixed = word * _MIX & _32_BITS
        found = found * _MIX & _32_BITS ^ (mixed ^ mixed >> 24) * _MIX & _32_BITS
    if rest:
        found = (found ^ int.from_bytes(text[-rest:], "little")) * _MIX & _32_BITS
    found = (found ^ found >> 13) * _MIX & _32_BITS
    return (found ^ found >> 15) & 0x7FFFFFFF


def request_timeout_ms(settings: Settings, *, group: bool = False) -> int:
    """How long a consumer or an admin client waits for an answer, before it tries again. Joining a group may
    take until every member has come or its session is over."""
    seconds = settings.kafka_timeout_seconds + (settings.session_timeout_seconds if group else 0.0)
    return int(seconds * 1000)


class Lanes:
    """Which lane a key belongs to: Kafka's default partitioner."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def __call__(self, key: str) -> int:
        return murmur2(key) % self._partitions


def record_of(found: "ConsumerRecord[bytes, bytes]") -> Record:
    """aiokafka's record as ours."""
    return Record(
        found.topic,
        found.partition,
        found.offset,
        found.key,
        found.value,
        found.headers,
        found.timestamp,
    )


class _Producer(AIOKafkaProducer):  # type: ignore[misc]
    """aiokafka's producer, which can also be left as it is."""

    async def abandon(self) -> None:
        """Close it; what was not sent never is. `stop` would wait for all of it, and an idempotent producer
        tries for ever. What is on the wire ends with its request's time-out."""
        self._closed = True
        await self._sender.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):  # a peer that reads nothing lets no socket close
                await self.client.close()


class _Running:
    """A producer and the waits on it that are under way, so that all of them can be ended."""

    def __init__(self, producer: _Producer) -> None:
        self.producer = producer
        self.flushed = asyncio.Event()
        """It was given up, and what its broker would take at once is stored."""
        self._limits: set[asyncio.Timeout] = set()

    @contextmanager
    def waiting(self, limit: asyncio.Timeout) -> Iterator[None]:
        """What waits here does so until its limit, or until the producer is left."""
        self._limits.add(limit)
        try:
            yield
        finally:
            self._limits.discard(limit)

    async def leave(self, flush_seconds: float) -> None:
        """Let a broker that answers take what waits for it, for so long, then end every wait and abandon the
        producer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(flush_seconds):
                await self.producer.flush()
        self.flushed.set()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        await self.producer.abandon()


class KafkaPublisher:
    """An idempotent producer that is replaced after it failed, as its sequence numbers are then unknown.

    No wait is longer than `publish_timeout_seconds`, whatever the broker does: aiokafka would try for ever.
    What was given up may still be stored, by a broker that wakes; whoever publishes it again begins with it,
    so nothing can be stored before what came before it.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self._name = settings, name
        self._seconds = settings.publish_timeout_seconds
        self._running: _Running | None = None
        self._left: _Running | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the producer now, not with the first record. Raises PublishFailed when no broker answers."""
        async with self._producing():
            pass

    async def stop(self) -> None:
        """Let go of the producer; what was sent and is not stored by then is given up after the time-out."""
        if self._running is not None:
            self._give_up(self._running, self._seconds)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """Publish to one partition, in order; see `libs.runtime.relay.Publisher`."""
        async with self._producing() as (producer, limit):
            # One batch at a time: were two under way and the first expired, the second would leave a hole.
            batch = producer.create_batch()
            for key, value, headers, timestamp in messages:
                if batch.append(key=key, value=value, timestamp=timestamp, headers=headers) is None:
                    await (await producer.send_batch(batch, topic, partition=partition))
                    limit.reschedule(asyncio.get_running_loop().time() + self._seconds)
                    batch = producer.create_batch()
                    if batch.append(key=key, value=value, timestamp=timestamp, headers=headers) is None:
                        raise PublishFailed(f"a record of {len(value)} bytes is larger than a batch may be")
            await (await producer.send_batch(batch, topic, partition=partition))

    async def send(self, topic: str, partition: int, message: Message) -> None:
        """Publish one record; it shares its request with others that are sent meanwhile."""
        key, value, headers, timestamp = message
        async with self._producing() as (producer, _):
            await producer.send_and_wait(
                topic, value=value, key=key, partition=partition, timestamp_ms=timestamp, headers=headers
            )

    @asynccontextmanager
    async def _producing(self) -> AsyncIterator[tuple[_Producer, asyncio.Timeout]]:
        """The running producer, and the limit of what is done with it. Raises PublishFailed; a producer that
        failed is given up by the first of many who failed with it."""
        running = None
        try:
            async with asyncio.timeout(self._seconds) as limit:
                running = self._running or await self._started()
                with running.waiting(limit):
                    yield running.producer, limit
        except (KafkaError, TimeoutError) as error:
            why = f"{type(error).__name__}: {error}"
            if running is not None and self._running is not running:
                why = "its producer was given up with another publish that failed"
            elif isinstance(error, TimeoutError):
                why = f"no answer within {self._seconds:g} s (ORDERLOG_PUBLISH_TIMEOUT_SECONDS)"
            if running is not None:
                self._give_up(running, min(_FLUSH_SECONDS, self._seconds))
            raise PublishFailed(why) from error

    async def _started(self) -> _Running:
        async with self._starting:
            if self._running is not None:
                return self._running
            if self._left is not None:
                await self._left.flushed.wait()
            producer = _Producer(
                bootstrap_servers=self._settings.kafka,
                client_id=f"orderlog-{self._name}",
                enable_idempotence=True,
                acks="all",
                max_batch_size=_BATCH_BYTES,
                max_request_size=_REQUEST_BYTES,
                request_timeout_ms=int(self._seconds * 1000),
            )
            try:
                await producer.start()
            except BaseException:
                await producer.abandon()
                raise
            self._running = _Running(producer)
            return self._running

    def _give_up(self, running: _Running, flush_seconds: float) -> None:
        if self._running is not running:
            return
        self._running, self._left = None, running
        leaving = asyncio.create_task(running.leave(flush_seconds))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


def fetch_together(consumer: AIOKafkaConsumer) -> None:
    """Let each fetch ask for all partitions of its broker, and wait while some of them is still to be read.

    aiokafka 0.14 asks for the others alone once what it fetched has lain for 0.1 s. While that request waits
    at the broker for something to come to *them*, up to `fetch_max_wait_ms`, nothing is fetched of the
    partitions that were read meanwhile: who takes longer than 0.1 s for a poll stands still for seconds.
    There is no setting for it. Only for who reads all that is assigned: what is left unread would hold up
    the rest.
    """
    consumer._fetcher._prefetch_backoff = timedelta(hours=1).total_seconds()


def wait_at_broker(consumer: AIOKafkaConsumer, milliseconds: int) -> None:
    """Let the requests from now on wait no longer for records: while some partitions are paused they ask for
    the others alone, and until they are answered nothing is fetched of those that are resumed."""
    consumer._fetcher._fetch_max_wait_ms = milliseconds


def lone_consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:
    """A consumer in no group, for partitions and offsets that its owner assigns, bounded by the settings. It
    is not started. `options` are aiokafka's."""
    bounded: dict[str, Any] = {
        "bootstrap_servers": settings.kafka,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "request_timeout_ms": request_timeout_ms(settings),
    }
    return AIOKafkaConsumer(**bounded | options)


class RecordReader:
    """Reads single records again, for replays and for people."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, topic: str, partition: int, offset: int) -> Record | None:
        """The record at an offset, or None when the topic does not hold it. Raises Unavailable."""
        seconds = self._settings.read_timeout_seconds
        consumer = lone_consumer(self._settings, request_timeout_ms=int(seconds * 1000))
        try:
            async with asyncio.timeout(seconds):
                await consumer.start()
                place = TopicPartition(topic, partition)
                consumer.assign([place])
                first = (await consumer.beginning_offsets([place]))[place]
                end = (await consumer.end_offsets([place]))[place]
                if not first <= offset < end:
                    return None
                consumer.seek(place, offset)
                found = record_of(await consumer.getone(place))
                return found if found.offset == offset else None
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"Kafka: {type(error).__name__}: {error}") from error
        finally:
            await consumer.stop()


def lone_admin(settings: Settings) -> AIOKafkaAdminClient:
    """An admin client, bounded by the settings. It is not started."""
    return AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka.split(","), request_timeout_ms=request_timeout_ms(settings)
    )


@asynccontextmanager
async def open_admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client, closed in the end. Raises KafkaError when no broker answers."""
    admin = lone_admin(settings)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
