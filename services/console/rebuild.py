"""Rebuilds the read models beside the live ones, from the topics alone, and compares digests.

The live tables are read once, in one snapshot: where they stand, and their digest. The topics are then read
from their beginning up to exactly there, into a schema of its own, while the live projector goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import structlog

from libs.runtime.complaint import Complaint
from libs.runtime.pool import Connection
from services.console.announce import EVERYTHING, TELL
from services.console.digest import digest
from services.console.lanes import Done, Ends, NotInBulk, Read, fold_as_live, fold_in_bulk
from services.console.rebuild_record import recorded
from services.console.refold import TwiceWritten, Undone, begin, finish

logger = structlog.get_logger()

Progress = Callable[[int, int], None]
"""Told records done and records in all."""
InBulk = Callable[[str, Undone, Ends, Done], Awaitable[None]]
"""Folds all lanes into a schema, in one process or several: `services.console.lanes.fold_in_bulk`."""

SCHEMA = "rebuild"
_LOCK = "SELECT pg_try_advisory_lock(hashtext('orderlog console rebuild'))"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found. `events` counts records read; `fold_seconds` is `seconds` without the wait for
    the digests. If `swapped`, the rebuilt tables are live now. `search_match`: the same of the search index,
    none where it was not looked at."""

    match: bool
    live_digest: str
    rebuilt_digest: str
    events: int
    seconds: float
    fold_seconds: float
    swapped: bool = False
    search_match: bool | None = None
    record: int = 0
    """Its number among those that the platform page shows."""


async def rebuild(
    pool: asyncpg.Pool,
    read: Read,
    *,
    in_bulk: InBulk | None = None,
    swap: bool = False,
    progress: Progress = lambda done, total: None,
    record_id: int | None = None,
) -> Rebuilt:
    """Rebuild, compare, and with `swap` put the rebuilt tables in the live ones' place. `record_id`: its
    number, if it has one already.

    The rebuilt schema is dropped unless it was swapped in. Complaint: another rebuild is running, or the
    topics do not hold what the live tables were made from.
    """

    clock = asyncio.get_running_loop().time
    started = clock()

    def told(done: int, total: int) -> None:
        record.progress(done, total)
        progress(done, total)

    async with _alone(pool) as guard, recorded(pool, record_id) as record, _live(pool) as (ends, live):
        await _fold(pool, read, in_bulk, ends, told, logged=swap)
        folded = clock()
        before = await live
        async with pool.acquire() as connection, connection.transaction():
            rebuilt = await digest(connection, SCHEMA)
            # Tables that outlive no crash are as they were written only if the server has not crashed.
            await guard.execute("SELECT 1")
            await _swap(connection) if swap else await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
        record.live_digest, record.rebuilt_digest, record.swapped = before, rebuilt, swap
    seconds, fold_seconds = round(clock() - started, 3), round(folded - started, 3)
    return Rebuilt(
        before == rebuilt,
        before,
        rebuilt,
        sum(ends.values()),
        seconds,
        fold_seconds,
        swap,
        record=record.id,
    )


async def _fold(
    pool: asyncpg.Pool, read: Read, in_bulk: InBulk | None, ends: Ends, progress: Progress, *, logged: bool
) -> None:
    """The fast ways first: side by side, which an order in two lanes prevents; all lanes at once, which two
    events in one place prevent; and as the live projector does."""

    async def alone(schema: str, undone: Undone, ends: Ends, done: Done) -> None:
        await fold_in_bulk(pool, schema, undone, read, ends, done)

    for way in (in_bulk, alone) if in_bulk else (alone,):
        try:
            await _fresh(pool)
            undone = await begin(pool, SCHEMA, logged=logged)
            await way(SCHEMA, undone, ends, _told(ends, progress))
            await finish(pool, SCHEMA, undone, ends)
            return
        except (NotInBulk, TwiceWritten) as why:
            logger.warning("rebuilding once more, in a slower way", why=str(why))
    await _fresh(pool)
    await fold_as_live(pool, SCHEMA, read, ends, _told(ends, progress))


async def _fresh(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        await connection.execute("SELECT create_read_models($1)", SCHEMA)


def _told(ends: Ends, progress: Progress) -> Done:
    """Who adds up what is done."""
    total, so_far = sum(ends.values()), 0

    def done(more: int) -> None:
        nonlocal so_far
        so_far += more
        progress(so_far, total)

    return done


@asynccontextmanager
async def _live(pool: asyncpg.Pool) -> AsyncIterator[tuple[Ends, asyncio.Task[str]]]:
    """Where the live tables stand and, once it is done, what they say: both in one snapshot."""
    stand: asyncio.Future[Ends] = asyncio.get_running_loop().create_future()

    async def said() -> str:
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            rows = await connection.fetch("SELECT topic, partition, next_offset FROM live.consumed")
            stand.set_result({(topic, partition): offset for topic, partition, offset in rows})
            return await digest(connection, "live")

    task = asyncio.create_task(said())
    task.add_done_callback(lambda _: stand.cancel())
    try:
        await asyncio.wait([stand])
        if stand.cancelled():
            await task
        yield stand.result(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _swap(connection: Connection) -> None:
    """Put the rebuilt schema in the live one's place. The live projector, if it has gone on meanwhile, finds
    its offsets moved and reads on from the rebuilt ones."""
    await connection.execute("LOCK TABLE live.consumed IN ACCESS EXCLUSIVE MODE")
    await connection.execute("DROP SCHEMA live CASCADE")
    await connection.execute(f"ALTER SCHEMA {SCHEMA} RENAME TO live")
    await connection.execute(TELL, EVERYTHING)


@asynccontextmanager
async def _alone(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """One rebuild of a database at a time; the pool lets go of the lock when the connection comes back."""
    async with pool.acquire() as guard:
        if not await guard.fetchval(_LOCK):
            raise Complaint("Another rebuild of the console is running.", "Wait for it, then try again.")
        yield guard
