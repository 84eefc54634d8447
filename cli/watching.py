"""Reads the stages' event topics without a group: the last events, all in order of time, or what comes.

Order between topics is by the events' own times; within a partition nothing is ever turned around.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka import TopicPartition as Place
from aiokafka.errors import KafkaError

from cli.output import say
from libs.events.ids import partition_key
from libs.runtime.complaint import Complaint
from libs.runtime.kafka import Lanes, lone_consumer, record_of
from libs.runtime.merging import merged
from libs.runtime.settings import STAGES, Settings
from libs.runtime.stage import events_topic
from libs.runtime.wire import BadHeaders, Context, context

_RECORDS_MAX = 1000
_SILENCE_SECONDS = 30.0
_ASK_EVERY_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
_GONE = "Kafka at {} does not answer. Waiting for it; `orderlog status` tells what runs."
_BACK = "Kafka answers again; nothing was missed."
_FIRST_WINDOW = 200
"""Records of each partition that are looked at first for the last events; then four times as many."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; none means any."""

    stage: str | None = None
    tenant: str | None = None
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One event on its topic."""

    stage: str
    topic: str
    partition: int
    offset: int
    context: Context

    @property
    def moment(self) -> tuple[float, str, int, int]:
        """What events are shown in the order of."""
        return (self.context.at.timestamp(), self.topic, self.partition, self.offset)


async def last(settings: Settings, wanted: Wanted, count: int) -> tuple[list[Seen], dict[Place, int]]:
    """The last `count` events in order of time, and where reading on begins."""
    async with _consumer(settings, wanted) as (consumer, ends):
        firsts = await consumer.beginning_offsets(list(ends))
        window = max(_FIRST_WINDOW, count)
        while True:
            starts = {place: max(firsts[place], end - window) for place, end in ends.items()}
            found: list[Seen] = []
            async for seen in _merged(consumer, wanted, starts, ends):
                found.append(seen)
                if len(found) > 2 * count:
                    del found[:-count]
            if len(found) >= count or starts == firsts:
                return found[-count:], ends
            window *= 4


async def whole(
    settings: Settings, wanted: Wanted, count: int | None, take: Callable[[Seen], None]
) -> dict[Place, int]:
    """Hand over every event, or the first `count`, in order of time; where reading on begins."""
    async with _consumer(settings, wanted) as (consumer, ends):
        firsts = await consumer.beginning_offsets(list(ends))
        taken = 0
        async for seen in _merged(consumer, wanted, firsts, ends):
            take(seen)
            taken += 1
            if taken == count:
                break
        return ends


async def follow(
    settings: Settings, wanted: Wanted, since: dict[Place, int], take: Callable[[Seen], None]
) -> None:
    """Hand over events as they come, until cancelled; those of one poll in order of time. Says when Kafka
    stops answering, and when it answers again: nothing is missed."""
    import sys

    async with _consumer(settings, wanted) as (consumer, _):
        for place, offset in since.items():
            consumer.seek(place, offset)
        answers, asked_at = True, time.monotonic()
        while True:
            polled = await consumer.getmany(timeout_ms=500, max_records=_RECORDS_MAX)
            for seen in sorted(_seen(polled.values(), wanted), key=lambda one: one.moment):
                take(seen)
            sys.stdout.flush()
            if polled or time.monotonic() - asked_at > _ASK_EVERY_SECONDS:
                before, answers = answers, bool(polled) or await _answers(consumer)
                asked_at = time.monotonic()
                if answers != before:
                    say(_BACK if answers else _GONE.format(settings.kafka))


async def _answers(consumer: AIOKafkaConsumer) -> bool:
    """Whether the broker answers a question: a silent topic looks like a broker that is gone."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await consumer.end_offsets(list(consumer.assignment()))
    except (KafkaError, TimeoutError):
        return False
    return True


def places(settings: Settings, wanted: Wanted) -> list[Place]:
    """The partitions that can hold such events: one lane where tenant and stream are known."""
    lanes: Iterable[int] = range(settings.partitions)
    if wanted.tenant is not None and wanted.stream is not None:
        lanes = (Lanes(settings.partitions)(partition_key(wanted.tenant, wanted.stream)),)
    stages = STAGES if wanted.stage is None else (wanted.stage,)
    return [Place(events_topic(stage), lane) for stage in stages for lane in lanes]


@asynccontextmanager
async def _consumer(
    settings: Settings, wanted: Wanted
) -> AsyncIterator[tuple[AIOKafkaConsumer, dict[Place, int]]]:
    """A consumer of these partitions, and their ends now."""
    consumer = lone_consumer(settings, auto_offset_reset="earliest")
    try:
        await consumer.start()
        assigned = places(settings, wanted)
        consumer.assign(assigned)
        yield consumer, await consumer.end_offsets(assigned)
    finally:
        await consumer.stop()


async def _merged(
    consumer: AIOKafkaConsumer, wanted: Wanted, starts: dict[Place, int], ends: dict[Place, int]
) -> AsyncIterator[Seen]:
    """Events from `starts` up to `ends` in order of time; memory is a few thousand records a partition."""
    streams = [
        _partition(consumer, wanted, place, starts[place], end)
        for place, end in ends.items()
        if starts[place] < end
    ]
    for place in ends:
        consumer.seek(place, starts[place])
    async for seen in merged(streams, lambda one: one.moment):
        yield seen


async def _partition(
    consumer: AIOKafkaConsumer, wanted: Wanted, place: Place, start: int, end: int
) -> AsyncIterator[Seen]:
    """One partition's events from start up to end."""
    at = start
    heard_at = time.monotonic()
    while at < end:
        polled = await consumer.getmany(place, timeout_ms=1000, max_records=_RECORDS_MAX)
        records = polled.get(place, [])
        if records:
            heard_at = time.monotonic()
            at = records[-1].offset + 1
        elif time.monotonic() - heard_at > _SILENCE_SECONDS:
            raise Complaint(
                f"{place.topic}/{place.partition} went silent at offset {at} of {end}.",
                "See `orderlog status` and `orderlog logs kafka`.",
            )
        for seen in _seen([[record for record in records if record.offset < end]], wanted):
            yield seen


def _seen(polled: "Iterable[Sequence[ConsumerRecord[bytes, bytes]]]", wanted: Wanted) -> list[Seen]:
    """The events among records that are wanted. What has no readable context is no event of ours."""
    found = []
    for records in polled:
        for raw in records:
            record = record_of(raw)
            try:
                read = context(record)
            except BadHeaders:
                continue
            if wanted.tenant not in (None, read.tenant) or wanted.stream not in (None, read.stream):
                continue
            stage = record.topic.split(".")[1]
            found.append(Seen(stage, record.topic, record.partition, record.offset, read))
    return found
