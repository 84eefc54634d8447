"""Makes the events topics anew from the stages' logs, and places everybody who reads them.

Lane p of a log goes to partition p in sequence order; what a topic still holds stays, if it is the beginning
of its log. Then the topics are read again and compared. Commands are in no log: where a commands
topic was lost, its stage begins again at its beginning, and knows by their ids the commands that it decided.
"""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from libs.runtime import groups, migrate, readers, topics
from libs.runtime.complaint import Complaint
from libs.runtime.kafka import KafkaPublisher, RecordReader
from libs.runtime.lane_digest import LaneDigest
from libs.runtime.log import TopicPartition
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.readers import CONSOLE, Reader
from libs.runtime.recover_stage import Told
from libs.runtime.settings import Settings
from libs.runtime.stage import Stage, commands_topic
from libs.runtime.stores import complaints, open_topics
from libs.runtime.topic_lane import Unlike, content, publish_missing
from libs.runtime.topic_reader import TopicReader


@dataclass(frozen=True, slots=True)
class RecoveredTopic:
    """An events topic: how many events were published again, and whether it says what its log says."""

    topic: str
    match: bool
    events: int
    published: int
    recreated: bool
    lanes: dict[int, dict[str, object]]


@dataclass(frozen=True, slots=True)
class RecoveredKafka:
    """What a recovery did. `moved`: reader → partitions that it reads on elsewhere; `begun_again`: commands
    topics that were lost; `parked_lost`: parked records that no topic holds any more."""

    match: bool
    created: list[str]
    topics: list[RecoveredTopic]
    moved: dict[str, int]
    begun_again: list[str]
    parked_lost: int
    seconds: float


@dataclass(slots=True)
class _Recovery:
    config: Settings
    stages: Sequence[Stage]
    readers: list[Reader]
    recreate: bool
    published: dict[str, dict[int, int]] = field(default_factory=dict)
    """Stage → lane → last sequence of its log, now on its topic."""

    def who_hears(self, topic: str) -> list[Reader]:
        return [reader for reader in self.readers if any(place[0] == topic for place in reader.consumed)]


async def recover_kafka(
    config: Settings,
    stages: Sequence[Stage],
    *,
    recreate: bool = False,
    told: Told = lambda _: lambda done, total: None,
) -> RecoveredKafka:
    """Recover the topics while every stage and the console are stopped. With `recreate`, topics that are
    neither empty nor the beginning of their log are deleted and made anew.

    Complaint: somebody is running; a database or Kafka cannot be reached; a topic does not fit its log.
    """
    with migrate.alone(config, "recover kafka"):
        return await _recover(config, stages, recreate, told)


async def _recover(config: Settings, stages: Sequence[Stage], recreate: bool, told: Told) -> RecoveredKafka:
    started = time.monotonic()
    services = [*(stage.name for stage in stages), CONSOLE]
    await groups.ensure_stopped(config, services)
    created = await topics.ensure_topics(config)
    found = []
    for name in services:
        with complaints(config, name):
            found.append(await readers.look(config, name))
    recovery = _Recovery(config, stages, found, recreate)
    recovered = [await _events(recovery, stage, told) for stage in stages]
    begun_again = [topic for stage in stages if (topic := await _commands(recovery, stage))]
    await groups.ensure_stopped(config, services)
    match = all(one.match for one in recovered)
    if match:
        for reader in found:
            with complaints(config, reader.name):
                await readers.save(config, reader, recovery.published.get(reader.name, {}))
        for name in (stage.name for stage in stages if stage.states is not None):
            with complaints(config, name):
                await readers.tell_again(config, name)
    return RecoveredKafka(
        match=match,
        created=created,
        topics=recovered,
        moved={reader.name: len(reader.moves) for reader in found if reader.moves},
        begun_again=begun_again,
        parked_lost=sum(len(reader.lost) for reader in found),
        seconds=round(time.monotonic() - started, 3),
    )


async def _events(recovery: _Recovery, stage: Stage, told: Told) -> RecoveredTopic:
    """Make a stage's topic anew, and find where each of its readers goes on."""
    try:
        return await _restore(recovery, stage, told, recreated=False)
    except Unlike:
        if not recovery.recreate:
            raise
    await topics.delete(recovery.config, stage.topic)
    await topics.ensure_topics(recovery.config)
    return await _restore(recovery, stage, told, recreated=True)


async def _restore(recovery: _Recovery, stage: Stage, told: Told, *, recreated: bool) -> RecoveredTopic:
    config = recovery.config
    places = [(stage.topic, lane) for lane in range(config.partitions)]
    progress, republished, events = told(stage.topic), 0, 0
    lanes: dict[int, dict[str, object]] = {}
    recovery.published[stage.name] = {}
    with complaints(config, stage.name):
        async with AsyncExitStack() as stack:
            pool = await open_pool(config.dsn(stage.name), config, "recovery")
            stack.push_async_callback(pool.close)
            publisher = KafkaPublisher(config, "recovery")
            stack.push_async_callback(publisher.stop)
            reader = await stack.enter_async_context(open_topics(config, places))
            log, ends = PostgresLog(pool, stage), await _ends(reader)
            for done, place in enumerate(places):
                before = await content(stage, reader.read, place[1], ends[place])
                count, digest = await publish_missing(stage, log, publisher, place[1], before)
                after = await _read_again(recovery, stage, reader, place)
                lanes[place[1]] = {"events": after.events, "topic": after.hexdigest(), "log": digest}
                recovery.published[stage.name][place[1]] = after.events
                republished, events = republished + count, events + after.events
                progress(done + 1, len(places))
    match = all(lane["topic"] == lane["log"] for lane in lanes.values())
    return RecoveredTopic(stage.topic, match, events, republished, recreated, lanes)


async def _ends(reader: TopicReader) -> dict[TopicPartition, int]:
    """Next offsets. Unlike: a partition lacks its beginning."""
    try:
        return await reader.ends()
    except Complaint as late:
        raise Unlike(late.sentence, late.next_step) from late


async def _read_again(
    recovery: _Recovery, stage: Stage, reader: TopicReader, place: TopicPartition
) -> LaneDigest:
    """What the topic says now, after everybody who hears it was placed on it."""
    hearing = recovery.who_hears(stage.topic)
    end = (await reader.ends())[place]
    wanted = {what for one in hearing for what in one.wanted(place)}
    starts = readers.sequences(hearing, stage.name, place[1])
    after = await content(stage, reader.read, place[1], end, starts, wanted)
    for one in hearing:
        one.place(stage.name, place, after, end)
    return after.digest


async def _commands(recovery: _Recovery, stage: Stage) -> str:
    """Begin a stage's commands topic again where it was lost; its name if it was, in any partition."""
    config, topic = recovery.config, commands_topic(stage.name)
    places = [(topic, lane) for lane in range(config.partitions)]
    [mine] = [reader for reader in recovery.readers if reader.name == stage.name]
    with complaints(config, stage.name):
        async with open_topics(config, places) as reader:
            ends = await reader.ends(whole=False)
        for place in places:
            read_up_to = mine.consumed.get(place, 0)
            if not read_up_to:
                continue
            last = await RecordReader(config)(*place, read_up_to - 1) if read_up_to <= ends[place] else None
            if not await readers.knows(config, stage.name, last, mine.parked.get(place, ())):
                mine.begin_again(place)
    return topic if any(place[0] == topic for place in mine.moves) else ""
