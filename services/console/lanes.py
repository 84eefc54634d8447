"""The folding of a rebuild: some lanes' records, from the beginning to where the live tables stand.

In bulk (`fold_in_bulk`), which is fast and holds only for a history in which each order and each event has a
place of its own; or as the live projector does it (`fold_as_live`), which holds for any.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import asyncpg

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.complaint import Complaint
from libs.runtime.log import Unavailable
from libs.runtime.postgres_log import reachable
from libs.runtime.seek import Seek
from libs.runtime.wire import Record
from services.console.follow import Follower
from services.console.records import NewerEvent, UnreadableEvent, read
from services.console.refold import Refold, Undone
from services.console.store import Projector, TopicPartition

Ends = Mapping[TopicPartition, int]
Read = Callable[[Ends], AsyncIterator[Sequence[Record]]]
"""Reads each partition from offset 0 up to (not including) the given one, in order within a partition."""
Done = Callable[[int], None]
"""Told how many more records are done."""


class NotInBulk(Exception):
    """Something in this history stands in the way: two records in one place, or a fault of the fold."""


async def fold_in_bulk(
    pool: asyncpg.Pool, schema: str, undone: Undone, read: Read, ends: Ends, done: Done
) -> None:
    """Fold these partitions. NotInBulk; Complaint: the topics lack something, or hold a newer event."""
    refold, positions = Refold(pool, schema, undone, sum(ends.values())), dict.fromkeys(ends, 0)
    async for records in read(ends):
        envelopes, unreadable = _read(records, positions)
        with _in_bulk():
            await refold.take(envelopes, unreadable)
        done(len(records))
    _check(positions, ends)
    with _in_bulk():
        await refold.close()


@contextmanager
def _in_bulk() -> Iterator[None]:
    """Whatever stands in the way becomes NotInBulk; a database that is away stays Unavailable."""
    try:
        with reachable():
            yield
    except Unavailable:
        raise
    except Exception as error:
        raise NotInBulk(f"{type(error).__name__}: {error}") from error


async def fold_as_live(pool: asyncpg.Pool, schema: str, read: Read, ends: Ends, done: Done) -> None:
    """Fold these partitions as the live projector would. Complaint as above."""
    follower = Follower(Projector(pool, schema))
    await follower.assigned(list(ends))
    async for records in read(ends):
        try:
            await follower.handle(records)
        except Seek as seek:
            first = next(r for r in records if r.offset > seek.offsets.get((r.topic, r.partition), r.offset))
            place = (first.topic, first.partition)
            raise _incomplete(place, seek.offsets[place], first.offset) from None
        for why in follower.halted.values():
            raise _newer(why)
        done(len(records))
    _check(follower.positions(), ends)


def _read(
    records: Sequence[Record], positions: dict[TopicPartition, int]
) -> tuple[list[Envelope[Event]], list[UnreadableEvent]]:
    """Records that continue `positions`, which move on."""
    envelopes: list[Envelope[Event]] = []
    unreadable: list[UnreadableEvent] = []
    for record in records:
        place = (record.topic, record.partition)
        if record.offset != positions[place]:
            raise _incomplete(place, positions[place], record.offset)
        try:
            found = read(record)
        except NewerEvent as newer:
            raise _newer(str(newer)) from None
        if isinstance(found, UnreadableEvent):
            unreadable.append(found)
        else:
            envelopes.append(found)
        positions[place] = record.offset + 1
    return envelopes, unreadable


def _check(positions: Ends, ends: Ends) -> None:
    for place, end in ends.items():
        if positions[place] != end:
            raise _incomplete(place, positions[place], end)


def _newer(what: str) -> Complaint:
    return Complaint(f"The topics hold a newer event: {what}.", "Upgrade the console first.")


def _incomplete(place: TopicPartition, expected: int, found: int) -> Complaint:
    topic, partition = place
    return Complaint(
        f"{topic}/{partition} does not hold what the live tables were made from:"
        f" offset {expected} was expected, {found} came.",
        "Was the topic deleted or its retention shortened? Let the stage's relay publish its log again.",
    )
