"""Kafka through aiokafka: lanes, publishing in order, reading one record again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from libs.runtime.log import Unavailable
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.settings import Settings
from libs.runtime.wire import Record

_BATCH_BYTES = 900_000
_REQUEST_BYTES = 12 * 1_048_576


@lru_cache(maxsize=200_000)
def _murmur2(key: str) -> int:
    return int(murmur2(key.encode())) & 0x7FFFFFFF


class Lanes:
    """Which lane a key belongs to: Kafka's default partitioner."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def __call__(self, key: str) -> int:
        return _murmur2(key) % self._partitions


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


class KafkaPublisher:
    """An idempotent producer that is replaced after it failed, as its sequence numbers are then unknown."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self._name = settings, name
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> AIOKafkaProducer:
        """The running producer. Raises PublishFailed when no broker answers."""
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._settings.kafka,
                    client_id=f"orderlog-{self._name}",
                    enable_idempotence=True,
                    acks="all",
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=_REQUEST_BYTES,
                    request_timeout_ms=int(self._settings.publish_timeout_seconds * 1000),
                )
                try:
                    await producer.start()
                except KafkaError as error:
                    await producer.stop()
                    raise PublishFailed(str(error)) from error
                self._producer = producer
            return self._producer

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _replace(self, producer: AIOKafkaProducer) -> None:
        """Let go of a producer that failed, before another is started: nothing of it may arrive later than
        what that one sends. Of many who failed with it, the first does so."""
        async with self._starting:
            if self._producer is producer:
                await self.stop()

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """Publish to one partition, in order; see `libs.runtime.relay.Publisher`."""
        producer = await self.start()
        try:
            # One batch at a time: were two under way and the first expired, the second would leave a hole.
            batch = producer.create_batch()
            for key, value, headers, timestamp in messages:
                if batch.append(key=key, value=value, timestamp=timestamp, headers=headers) is None:
                    await (await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    if batch.append(key=key, value=value, timestamp=timestamp, headers=headers) is None:
                        raise PublishFailed(f"a record of {len(value)} bytes is larger than a batch may be")
            await (await producer.send_batch(batch, topic, partition=partition))
        except KafkaError as error:
            await self._replace(producer)
            raise PublishFailed(f"{type(error).__name__}: {error}") from error

    async def send(self, topic: str, partition: int, message: Message) -> None:
        """Publish one record; it shares its request with others that are sent meanwhile."""
        producer = await self.start()
        key, value, headers, timestamp = message
        try:
            await producer.send_and_wait(
                topic, value=value, key=key, partition=partition, timestamp_ms=timestamp, headers=headers
            )
        except KafkaError as error:
            await self._replace(producer)
            raise PublishFailed(f"{type(error).__name__}: {error}") from error


class RecordReader:
    """Reads single records again, for replays and for people."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, topic: str, partition: int, offset: int) -> Record | None:
        """The record at an offset, or None when the topic does not hold it. Raises Unavailable."""
        seconds = self._settings.read_timeout_seconds
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka,
            enable_auto_commit=False,
            auto_offset_reset="none",
            request_timeout_ms=int(seconds * 1000),
        )
        try:
            await consumer.start()
            place = TopicPartition(topic, partition)
            consumer.assign([place])
            first = (await consumer.beginning_offsets([place]))[place]
            end = (await consumer.end_offsets([place]))[place]
            if not first <= offset < end:
                return None
            consumer.seek(place, offset)
            found = record_of(await asyncio.wait_for(consumer.getone(place), seconds))
            return found if found.offset == offset else None
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"Kafka: {type(error).__name__}: {error}") from error
        finally:
            await consumer.stop()


@asynccontextmanager
async def open_admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client, closed in the end. Raises KafkaError when no broker answers."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.split(","), request_timeout_ms=10_000)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
