"""Subscription through FastStream: batches of raw records to a loop that keeps its own offsets.

FastStream carries the subscription and its lifecycle. What it must not do is in `Subscription`: no exception
leaves the handler (0.7.8 would commit past the batch), nothing is committed but explicit offsets, and its
parser and decoder leave the bytes alone.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.middlewares import AckPolicy
from opentelemetry.trace import Tracer

from libs.runtime import telemetry
from libs.runtime.kafka import record_of
from libs.runtime.log import Unavailable
from libs.runtime.seek import Seek
from libs.runtime.settings import Settings
from libs.runtime.wire import Record

logger = structlog.get_logger()
_FETCH_BYTES = 4 * 1_048_576


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
    ) -> None:
        self._settings, self._taker, self._tracer, self._group = settings, taker, tracer, group
        self._listener = _Listener(self)
        self.ready = asyncio.Event()
        self._subscriber = broker.subscriber(
            *topics,
            batch=True,
            group_id=group,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="none",
            max_records=settings.batch_records_max,
            fetch_min_bytes=settings.fetch_bytes_min,
            fetch_max_wait_ms=settings.fetch_wait_ms,
            batch_timeout_ms=200,
            max_partition_fetch_bytes=_FETCH_BYTES,
            session_timeout_ms=int(settings.session_timeout_seconds * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_seconds * 100),
            partition_assignment_strategy=(RangePartitionAssignor,),
            listener=self._listener,
            parser=self._parse,
            decoder=_leave_alone,
            no_reply=True,
        )
        self._subscriber(self._on_batch)

    async def commit(self) -> None:
        """Tell Kafka how far we are; failing is harmless."""
        consumer = self._subscriber.consumer
        if consumer is None or not self.ready.is_set():
            return
        owned = {(place.topic, place.partition) for place in consumer.assignment()}
        positions = {
            TopicPartition(*place): offset
            for place, offset in self._taker.positions().items()
            if place in owned
        }
        if not positions:
            return
        try:
            await consumer.commit(positions)
        except KafkaError as error:
            logger.debug("kafka commit skipped", error=str(error))

    async def _parse(self, raw: Any) -> KafkaMessage:
        consumer = self._subscriber.consumer
        assert consumer is not None
        return KafkaMessage(raw_message=raw, body=b"", consumer=consumer)

    async def _on_batch(self, message: KafkaMessage) -> None:
        raw = message.raw_message
        assert isinstance(raw, tuple)
        records = [record_of(found) for found in raw]
        traceparents = [
            value for record in records for name, value in record.headers if name == "traceparent"
        ]
        with self._tracer.start_as_current_span(f"{self._group} batch", links=telemetry.links(traceparents)):
            await self._take(records)

    async def _take(self, records: Sequence[Record]) -> None:
        """Offer the records until they are taken or we are told to read elsewhere."""
        pause = self._settings.retry_seconds_min
        while True:
            try:
                await self._taker.handle(records)
                return
            except Seek as seek:
                self._seek(seek.offsets)
                return
            except Unavailable as error:
                logger.warning("store unavailable, batch waits", group=self._group, error=str(error))
            except Exception as error:
                logger.error("batch failed, it waits", group=self._group, exc_info=error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._settings.retry_seconds_max)

    def _seek(self, offsets: Mapping[tuple[str, int], int]) -> None:
        consumer = self._subscriber.consumer
        if consumer is None:
            return
        owned = consumer.assignment()
        for (topic, partition), offset in offsets.items():
            place = TopicPartition(topic, partition)
            if place in owned:
                consumer.seek(place, offset)

    async def on_assigned(self, places: Iterable[TopicPartition]) -> None:
        """Take over partitions: offsets come from the taker's store, never from Kafka."""
        partitions = [(place.topic, place.partition) for place in places]
        pause = self._settings.retry_seconds_min
        while True:
            try:
                offsets = await self._taker.assigned(partitions)
                break
            except Unavailable as error:
                logger.warning("store unavailable, assignment waits", group=self._group, error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._settings.retry_seconds_max)
        self._seek(offsets)
        self.ready.set()
        logger.info("assigned", group=self._group, partitions=len(partitions))

    def on_revoked(self, places: Iterable[TopicPartition]) -> None:
        """Give partitions up."""
        self._taker.revoked([(place.topic, place.partition) for place in places])


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._subscription.on_assigned(assigned)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._subscription.on_revoked(revoked)


async def _leave_alone(message: Any) -> Any:
    return message.body
