"""Rebuilds the read models beside the live ones, from the topics alone, and compares digests.

The live tables are read once, in one snapshot: where they stand, and their digest. The topics are then read
from their beginning up to exactly there, into a schema of its own, while the live projector goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from libs.runtime.complaint import Complaint
from libs.runtime.wire import Record
from services.console.digest import digest
from services.console.follow import ReadBatch
from services.console.records import NewerEvent
from services.console.refold import Refold
from services.console.store import Connection, TopicPartition

Read = Callable[[Mapping[TopicPartition, int]], AsyncIterator[Sequence[Record]]]
"""Reads each partition from offset 0 up to (not including) the given one, in order within a partition."""
Progress = Callable[[int, int], None]
"""Told records done and records in all."""

_LOCK = "SELECT pg_try_advisory_lock(hashtext('orderlog console rebuild'))"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found. `events` counts records read; if `swapped`, the rebuilt tables are live now."""

    match: bool
    live_digest: str
    rebuilt_digest: str
    events: int
    seconds: float
    swapped: bool = False


async def rebuild(
    pool: asyncpg.Pool, read: Read, *, swap: bool = False, progress: Progress = lambda done, total: None
) -> Rebuilt:
    """Rebuild, compare, and with `swap` put the rebuilt tables in the live ones' place.

    The rebuilt schema is dropped unless it was swapped in. Complaint: another rebuild is running, or the
    topics do not hold what the live tables were made from.
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    async with _alone(pool):
        ends, live = await _live(pool)
        total = sum(ends.values())
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("DROP SCHEMA IF EXISTS rebuild CASCADE")
            await connection.execute("SELECT create_read_models('rebuild')")
        refold = Refold(pool, "rebuild")
        await refold.begin()
        positions, done = dict.fromkeys(ends, 0), 0
        async for records in read(ends):
            batch = _read(records, positions)
            await refold.take(batch.envelopes, batch.unreadable)
            done += len(records)
            progress(done, total)
        behind = [place for place, end in ends.items() if positions[place] != end]
        if behind:
            raise _incomplete(behind[0], positions[behind[0]], ends[behind[0]])
        await refold.finish(positions)
        async with pool.acquire() as connection, connection.transaction():
            rebuilt = await digest(connection, "rebuild")
            await _swap(connection) if swap else await connection.execute("DROP SCHEMA rebuild CASCADE")
    seconds = round(clock() - started, 3)
    return Rebuilt(live == rebuilt, live, rebuilt, done, seconds, swap)


async def _live(pool: asyncpg.Pool) -> tuple[dict[TopicPartition, int], str]:
    """Where the live tables stand and what they say, in one snapshot."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        rows = await connection.fetch("SELECT topic, partition, next_offset FROM live.consumed")
        ends = {(topic, partition): offset for topic, partition, offset in rows}
        return ends, await digest(connection, "live")


def _read(records: Sequence[Record], positions: dict[TopicPartition, int]) -> ReadBatch:
    """Records that continue `positions`, which move on."""
    batch = ReadBatch()
    for record in records:
        place = (record.topic, record.partition)
        if record.offset != positions[place]:
            raise _incomplete(place, positions[place], record.offset)
        try:
            batch.take(record)
        except NewerEvent as newer:
            raise Complaint(
                f"The topics hold a newer event: {newer}.", "Upgrade the console first."
            ) from None
        positions[place] = record.offset + 1
    return batch


async def _swap(connection: Connection) -> None:
    """Put the rebuilt schema in the live one's place. The live projector, if it has gone on meanwhile, finds
    its offsets moved and reads on from the rebuilt ones."""
    await connection.execute("LOCK TABLE live.consumed IN ACCESS EXCLUSIVE MODE")
    await connection.execute("DROP SCHEMA live CASCADE")
    await connection.execute("ALTER SCHEMA rebuild RENAME TO live")


@asynccontextmanager
async def _alone(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """One rebuild of a database at a time; the pool lets go of the lock when the connection comes back."""
    async with pool.acquire() as guard:
        if not await guard.fetchval(_LOCK):
            raise Complaint("Another rebuild of the console is running.", "Wait for it, then try again.")
        yield


def _incomplete(place: TopicPartition, expected: int, found: int) -> Complaint:
    topic, partition = place
    return Complaint(
        f"{topic}/{partition} does not hold what the live tables were made from:"
        f" offset {expected} was expected, {found} came.",
        "Was the topic deleted or its retention shortened? Let the stage's relay publish its log again.",
    )
