"""What a stage makes sure of before it begins: its database and its topics belong together.

A database restored from a backup would use sequences again that others have heard with other content, and
they would drop the new events unseen. A topic that was emptied would get a hole. Neither may begin.
"""

from collections.abc import Mapping

import asyncpg

from libs.runtime.complaint import Complaint
from libs.runtime.log import TopicPartition
from libs.runtime.replay_order import own_context
from libs.runtime.settings import Settings
from libs.runtime.stage import Stage
from libs.runtime.stores import complaints, connect, open_topics
from libs.runtime.topic_reader import Read

_READ_AT_ONCE = 100
_HELD_SECONDS = 60.0
_CONSUMED = "SELECT topic, partition, next_offset FROM consumed WHERE next_offset > 0"
_PUBLISHED = "SELECT lane, published FROM relay"
_DECIDED = "SELECT lane, next_decided - 1 AS last FROM lane"
_FROM_LOG = "Stop every stage, then: orderlog recover kafka --from log"
HOLD_EFFECTS = "UPDATE effect SET due_at = 'infinity'"
"""What a recovered database owes waits for the stage to begin: it may have been done, and the outcome
reported and not heard yet."""
_RELEASE_EFFECTS = """
    UPDATE effect SET due_at = now() + make_interval(secs => $1) WHERE due_at = 'infinity'"""


async def begin(config: Settings, stage: Stage) -> None:
    """Return when the stage may begin.

    Complaint: its own topic holds more than its log, or less than it published; a topic that it hears holds
    less than it has read; Kafka or PostgreSQL cannot be reached.
    """
    with complaints(config, stage.name):
        connection = await connect(config, stage.name)
        try:
            await _compare(config, stage, connection)
            await release_effects(connection)
        finally:
            await connection.close()


async def begin_reading(config: Settings, name: str, schema: str) -> None:
    """The same for who only reads: the topics still hold all that it has read. Raises Complaint."""
    with complaints(config, name):
        connection = await connect(config, name)
        try:
            await connection.execute("SELECT set_config('search_path', $1, false)", schema)
            consumed = await _consumed(connection)
        finally:
            await connection.close()
        if not consumed:
            return
        async with open_topics(config, sorted(consumed)) as reader:
            ensure_not_emptied(name, consumed, await reader.ends(whole=False))


async def release_effects(connection: asyncpg.Connection) -> None:
    """Let what was held be done, once there was time to hear outcomes that lie on the topic already."""
    await connection.execute(_RELEASE_EFFECTS, _HELD_SECONDS)


async def _compare(config: Settings, stage: Stage, connection: asyncpg.Connection) -> None:
    own = [(stage.topic, lane) for lane in range(config.partitions)]
    # In this order, so that what another replica does meanwhile looks right: it publishes after it decided.
    consumed = await _consumed(connection)
    published = {row["lane"]: row["published"] for row in await connection.fetch(_PUBLISHED)}
    async with open_topics(config, sorted({*own, *consumed})) as reader:
        ends = await reader.ends(whole=False)
        ensure_not_emptied(stage.name, consumed, ends)
        last = {lane: await last_sequence(stage, reader.read, lane, ends[topic, lane]) for topic, lane in own}
    decided = {row["lane"]: row["last"] for row in await connection.fetch(_DECIDED)}
    ensure_same_past(stage, last, decided, published)


async def _consumed(connection: asyncpg.Connection) -> dict[TopicPartition, int]:
    return {(row["topic"], row["partition"]): row["next_offset"] for row in await connection.fetch(_CONSUMED)}


def ensure_same_past(
    stage: Stage, last: Mapping[int, int], decided: Mapping[int, int], published: Mapping[int, int]
) -> None:
    """By lane, the last sequence on the topic, in the log, and published. Complaint: they do not fit."""
    for lane, sequence in last.items():
        if sequence > decided.get(lane, 0):
            raise Complaint(
                f"{stage.topic} lane {lane} holds sequence {sequence}, but the log of {stage.name} ends at"
                f" {decided.get(lane, 0)}: its database is of an earlier time, as after a restored backup.",
                f"Let it catch up: orderlog recover {stage.name} --from kafka",
            )
        if sequence < published.get(lane, 0):
            raise Complaint(
                f"{stage.topic} lane {lane} ends at sequence {sequence}, but {stage.name} has published"
                f" {published[lane]}: the topic was emptied.",
                _FROM_LOG,
            )


def ensure_not_emptied(
    name: str, consumed: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> None:
    """Complaint: a partition ends before what was read of it."""
    for (topic, lane), offset in sorted(consumed.items()):
        if offset > ends[topic, lane]:
            raise Complaint(
                f"{topic}/{lane} ends at offset {ends[topic, lane]}, but {name} has read it up to"
                f" {offset}: the topic was emptied.",
                _FROM_LOG,
            )


async def last_sequence(stage: Stage, read: Read, lane: int, end: int) -> int:
    """The highest sequence on a lane of the stage's own topic, which has `end` records.

    Repeats may follow it, so it need not be the last record's. But no record has a higher sequence than its
    place, so looking back ends soon: after as many records as the lane has repeats.
    """
    found, above = 0, end
    while above > found:
        offset = below = max(0, above - _READ_AT_ONCE)
        while offset < above:
            records = await read(stage.topic, lane, offset)
            if not records:
                raise Complaint(
                    f"{stage.topic}/{lane} is silent at offset {offset}.",
                    "See whether Kafka is well (`orderlog status`), then start again.",
                )
            for record in records:
                own = own_context(stage, record)
                found = max(found, own.sequence if own else 0)
            offset = records[-1].offset + 1
        above = below
    return found
