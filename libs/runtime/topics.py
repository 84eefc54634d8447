"""The topics of the lifecycle: their names, their making, what is in them, and who lags behind."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from libs.events.catalogue import STATES
from libs.runtime.complaint import Complaint
from libs.runtime.kafka import lone_consumer, open_admin
from libs.runtime.settings import STAGES, Settings
from libs.runtime.stage import ANCHORS_TOPIC, commands_topic, events_topic

RECORD_BYTES_MAX = 12 * 1024 * 1024
"""A topic takes records up to this size. Commands: larger than a stage accepts, so that what is too large
reaches the stage and is refused there with its reason, instead of failing at a partner's producer. Events: a
thousand lines at many nodes exceed Kafka's default of 1 MB, and what cannot be published stops its lane."""

_LAST_OF_EACH_KEY = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.2",
    "segment.ms": "3600000",  # what is in the newest segment is not compacted
    "max.compaction.lag.ms": "86400000",
}


@dataclass(frozen=True, slots=True)
class TopicCount:
    """What a topic holds now."""

    topic: str
    partitions: int
    records: int


@dataclass(frozen=True, slots=True)
class _Described:
    """A topic as the brokers describe it; `led` counts the partitions that have a leader."""

    topic: str
    partitions: int
    led: int


def lifecycle_topics() -> list[str]:
    """Every topic of the lifecycle, in the order of an order's life."""
    return [topic(stage) for stage in STAGES for topic in (commands_topic, events_topic)]


def _every_topic() -> list[str]:
    return [*lifecycle_topics(), ANCHORS_TOPIC, *STATES]


async def ensure_topics(settings: Settings, deadline_seconds: float = 30.0) -> list[str]:
    """Create the topics that are missing and return their names; wait until each has leaders.

    Complaint: a topic has another number of partitions than `settings.partitions` (lanes never change),
    or the broker did not answer within the deadline. The first second of a broker's life is full of
    refusals: they are tried again.
    """
    give_up_at = time.monotonic() + deadline_seconds
    created: list[str] = []
    while True:
        try:
            async with open_admin(settings) as admin:
                created += await _create_missing(admin, settings)
                if await _all_led(admin, settings):
                    return created
        except KafkaError as refused:
            if time.monotonic() > give_up_at:
                raise _unreachable(settings, refused) from refused
        if time.monotonic() > give_up_at:
            raise _unreachable(settings, "topics are without a leader")
        await asyncio.sleep(0.1)


async def count_topics(settings: Settings) -> list[TopicCount]:
    """Records per topic of the lifecycle: these topics have no holes, so offsets count them."""
    firsts, ends = await _bounds(settings)
    return [
        TopicCount(topic, len(mine), sum(ends[p] - firsts[p] for p in mine))
        for topic in lifecycle_topics()
        if (mine := [p for p in ends if p.topic == topic])
    ]


async def count_lag(settings: Settings, groups: Iterable[str]) -> dict[str, int | None]:
    """Records that each consumer group has not committed yet; None where it never committed.

    The commit is Kafka's hint: a stage's own truth is its table of consumed offsets.
    """
    async with open_admin(settings) as admin:
        committed = {group: await admin.list_consumer_group_offsets(group) for group in groups}
    firsts, ends = await _bounds(settings)
    lags: dict[str, int | None] = {}
    for group, offsets in committed.items():
        heard = {p.topic for p in offsets}
        done = {p: offsets[p].offset if p in offsets else firsts[p] for p in ends if p.topic in heard}
        lags[group] = sum(max(0, ends[p] - at) for p, at in done.items()) if heard else None
    return lags


async def delete(settings: Settings, topic: str, deadline_seconds: float = 30.0) -> None:
    """Delete a topic with all that it holds; return once it is gone. Raises KafkaError.

    Complaint: it is still there when the deadline has passed.
    """
    give_up_at = time.monotonic() + deadline_seconds
    async with open_admin(settings) as admin:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():
            if time.monotonic() > give_up_at:
                raise Complaint(
                    f"Topic {topic} was not deleted within {deadline_seconds:.0f} s.",
                    "Is delete.topic.enable on? Then try again.",
                )
            await asyncio.sleep(0.1)


async def _bounds(settings: Settings) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """First and next offset of every partition of the lifecycle's topics."""
    async with open_admin(settings) as admin:
        found = await _described(admin)
    partitions = [TopicPartition(topic.topic, n) for topic in found for n in range(topic.partitions)]
    if not partitions:
        return {}, {}
    # Without a group it looks, and commits nothing.
    consumer = lone_consumer(settings)
    try:
        await consumer.start()
        return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()


async def _create_missing(admin: AIOKafkaAdminClient, settings: Settings) -> list[str]:
    have = {found.topic: found.partitions for found in await _described(admin)}
    for topic, partitions in have.items():
        if partitions not in (0, settings.partitions):
            raise Complaint(
                f"Topic {topic} has {partitions} partitions, but ORDERLOG_PARTITIONS asks for"
                f" {settings.partitions}, and lanes never change.",
                f"Set ORDERLOG_PARTITIONS={partitions}, or start with empty data"
                " (`orderlog down --wipe` on the local stack).",
            )
    missing = [topic for topic in _every_topic() if topic not in have]
    if not missing:
        return []
    brokers = len((await admin.describe_cluster())["brokers"])
    answer = await admin.create_topics([_new_topic(topic, settings, min(3, brokers)) for topic in missing])
    for topic, code, *_ in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"creating {topic}")
    return missing


def _new_topic(topic: str, settings: Settings, replicas: int) -> NewTopic:
    kept_for_ever = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    kept = _LAST_OF_EACH_KEY if topic in STATES else kept_for_ever
    configs = {**kept, "max.message.bytes": str(RECORD_BYTES_MAX)}
    return NewTopic(topic, settings.partitions, replicas, topic_configs=configs)


async def _all_led(admin: AIOKafkaAdminClient, settings: Settings) -> bool:
    described = await _described(admin)
    return len(described) == len(_every_topic()) and all(
        found.partitions == found.led == settings.partitions for found in described
    )


async def _described(admin: AIOKafkaAdminClient) -> list[_Described]:
    """Those topics of ours that exist; asking for an absent one by name is an error."""
    wanted = sorted(set(_every_topic()) & set(await admin.list_topics()))
    return [
        _Described(
            found["topic"],
            len(found["partitions"]),
            len([partition for partition in found["partitions"] if partition["leader"] >= 0]),
        )
        for found in (await admin.describe_topics(wanted) if wanted else ())
    ]


def _unreachable(settings: Settings, why: object) -> Complaint:
    return Complaint(
        f"Kafka at {settings.kafka} did not make the topics in time ({why}).",
        "See `orderlog logs kafka`, or check ORDERLOG_KAFKA.",
    )
