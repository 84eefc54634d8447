"""Reads partitions from wherever it is asked to, without a group: for rebuilds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from libs.runtime.complaint import Complaint
from libs.runtime.kafka import lone_consumer, record_of
from libs.runtime.settings import Settings
from libs.runtime.wire import Record

_RECORDS_MAX = 500
_FETCH_BYTES = 1_048_576
_SILENCE_MS = 15_000
_WAIT_MS = 10
"""A request asks for all partitions at once: those at their end must not hold up the one that is read."""


Read = Callable[[str, int, int], Awaitable[Sequence[Record]]]
"""Records of a topic's partition from an offset on, some of them; none when the partition stays silent."""


async def up_to(
    read: Read, topic: str, partition: int, end: int, lacks: Callable[[int], Complaint]
) -> AsyncIterator[Sequence[Record]]:
    """A partition from its beginning up to `end`, some records at a time. Raises what `lacks` makes of an
    offset that is not there."""
    offset = 0
    while offset < end:
        records = await read(topic, partition, offset)
        if not records or records[0].offset != offset:
            raise lacks(offset)
        yield [record for record in records if record.offset < end]
        offset = records[-1].offset + 1


class TopicReader:
    """`start` it, `read` in order (another offset is a seek), `stop` it."""

    def __init__(self, config: Settings, places: Sequence[tuple[str, int]]) -> None:
        self._config = config
        self._next = {TopicPartition(*place): 0 for place in places}
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Raises KafkaError when no broker answers."""
        consumer = lone_consumer(
            self._config, max_partition_fetch_bytes=_FETCH_BYTES, fetch_max_wait_ms=_WAIT_MS
        )
        self._consumer = consumer
        await consumer.start()
        consumer.assign(list(self._next))
        for place in self._next:
            consumer.seek(place, 0)

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def ends(self, *, whole: bool = True) -> dict[tuple[str, int], int]:
        """The next offset of each partition. Complaint: a topic is missing, or lacks its first records."""
        assert self._consumer is not None, "start it first"
        places = list(self._next)
        try:
            firsts = await self._consumer.beginning_offsets(places)
            ends = await self._consumer.end_offsets(places)
        except UnknownTopicOrPartitionError as missing:
            raise Complaint(
                f"A topic of the lifecycle is missing at {self._config.kafka}.",
                "`orderlog recover kafka --from log` makes it anew.",
            ) from missing
        for place, first in firsts.items():
            if first and whole:
                raise Complaint(
                    f"{place.topic}/{place.partition} begins at offset {first}: what was before is gone.",
                    "Stop its retention (retention.ms=-1), delete the topic and run"
                    " `orderlog recover kafka --from log`.",
                )
        return {(place.topic, place.partition): end for place, end in ends.items()}

    async def read(self, topic: str, partition: int, offset: int) -> Sequence[Record]:
        """Records from an offset on, some of them; none when the partition stays silent for 15 s.

        Raises KafkaError: the offset is not on the topic any more, or no broker answers.
        """
        assert self._consumer is not None, "start it first"
        place = TopicPartition(topic, partition)
        if self._next[place] != offset:
            self._consumer.seek(place, offset)
        found = await self._consumer.getmany(place, timeout_ms=_SILENCE_MS, max_records=_RECORDS_MAX)
        records = [record_of(raw) for raw in found.get(place, [])]
        self._next[place] = records[-1].offset + 1 if records else offset
        return records
