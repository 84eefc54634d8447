"""One lane of a stage's events topic, made to say what its log says, and read again to see that it does."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

from libs.runtime.complaint import Complaint
from libs.runtime.lane_digest import LaneDigest
from libs.runtime.log import Log, LogRow
from libs.runtime.relay import Publisher, message
from libs.runtime.replay_order import own_context
from libs.runtime.stage import Stage
from libs.runtime.topic_reader import Read, up_to

_ROWS_AT_ONCE = 500


@dataclass(slots=True)
class LaneContent:
    """What is on a lane of a topic. Repeats are left out; the first of them counts."""

    digest: LaneDigest = field(default_factory=LaneDigest)
    starts: dict[int, int] = field(default_factory=dict)
    """Sequence → its offset, of those asked for."""
    places: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """(key, type) → offsets, of those asked for."""


async def content(
    stage: Stage,
    read: Read,
    lane: int,
    end: int,
    sequences: Collection[int] = (),
    wanted: Collection[tuple[str, str]] = (),
) -> LaneContent:
    """Read a lane of the stage's topic up to `end`. Unlike: it has a hole, or is silent before."""
    found = LaneContent(places={what: [] for what in wanted})

    def lacks(offset: int) -> Unlike:
        return _unlike(stage, lane, f"offset {offset} lacks")

    async for records in up_to(read, stage.topic, lane, end, lacks):
        for record in records:
            own = own_context(stage, record)
            if own is None or own.sequence <= found.digest.events:
                continue
            if own.sequence > found.digest.events + 1:
                raise _unlike(stage, lane, f"sequence {found.digest.events + 1} lacks")
            found.digest.record(own, record.value or b"")
            if own.sequence in sequences:
                found.starts[own.sequence] = record.offset
            what = ((record.key or b"").decode(), own.type)
            if what in found.places:
                found.places[what].append(record.offset)
    return found


async def publish_missing(
    stage: Stage, log: Log, publisher: Publisher, lane: int, before: LaneContent
) -> tuple[int, str]:
    """Publish what the lane's log has beyond its topic; how many events, and the log's digest.

    Unlike: the topic is not the log's beginning. Complaint: it goes on beyond it. Raises PublishFailed.
    """
    digest, published, there = LaneDigest(), 0, before.digest.events
    async for rows in log_rows(log, lane):
        for row in rows:
            digest.row(row)
            if digest.events == there and digest.hexdigest() != before.digest.hexdigest():
                raise _unlike(stage, lane, f"not all of its first {there} events are the log's")
        missing = [row for row in rows if row.seq > there]
        if missing:
            source = f"orderlog/{stage.name}".encode()
            await publisher.publish(stage.topic, lane, [message(row, source) for row in missing])
            published += len(missing)
    if digest.events < there:
        raise Complaint(
            f"{stage.topic} lane {lane} holds {there} events, the log of {stage.name} only {digest.events}.",
            f"Let the log catch up first: orderlog recover {stage.name} --from kafka",
        )
    return published, digest.hexdigest()


async def log_rows(log: Log, lane: int) -> AsyncIterator[list[LogRow]]:
    """A lane's decided rows from its first, some at a time."""
    after = 0
    while rows := await log.unpublished(lane, after, _ROWS_AT_ONCE):
        yield rows
        after = rows[-1].seq


class Unlike(Complaint):
    """The topic is neither empty nor the beginning of its log."""


def _unlike(stage: Stage, lane: int, how: str) -> Unlike:
    return Unlike(
        f"{stage.topic} lane {lane} is neither empty nor the beginning of its log: {how}.",
        "Look at it (`orderlog events tail`); --recreate deletes such a topic and makes it anew.",
    )
