"""What becomes of rebuilds, for who looks on: begun when, how far, what the digests were."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
import structlog

from libs.runtime.pool import DATABASE_FAULTS

logger = structlog.get_logger()

_TELL_SECONDS = 1.0
_STOPPED = "It was stopped: whoever began it has ended."
_BEGIN = "INSERT INTO access.rebuilds DEFAULT VALUES RETURNING id"
_TELL = "UPDATE access.rebuilds SET told_at = now(), done = $2, total = $3 WHERE id = $1"
_SEARCH = "UPDATE access.rebuilds SET search_match = $2 WHERE id = $1"
_END = """UPDATE access.rebuilds SET told_at = now(), ended_at = now(), done = $2, total = $3, failed = $4,
    live_digest = $5, rebuilt_digest = $6, swapped = $7 WHERE id = $1"""


@dataclass(slots=True)
class RebuildRecord:
    """How far a rebuild is, and what came of it; `id`: its number in `access.rebuilds`."""

    id: int
    done: int = 0
    total: int = 0
    live_digest: str | None = None
    rebuilt_digest: str | None = None
    swapped: bool = False

    def progress(self, done: int, total: int) -> None:
        """So many of so many events are folded."""
        self.done, self.total = done, total


@asynccontextmanager
async def recorded(pool: asyncpg.Pool, id_: int | None = None) -> AsyncIterator[RebuildRecord]:
    """A rebuild under way, told every second. That it cannot be told does not stop it. `id_`: its number, if
    somebody who asked for it has written it down already."""
    if id_ is None:
        id_ = await pool.fetchval(_BEGIN)
    record = RebuildRecord(id_)

    async def keep_telling() -> None:
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            try:
                await pool.execute(_TELL, id_, record.done, record.total)
            except DATABASE_FAULTS as error:
                logger.warning("how far the rebuild is could not be told", error=repr(error))

    telling, failed = asyncio.create_task(keep_telling()), None
    try:
        yield record
    except asyncio.CancelledError:
        failed = _STOPPED
        raise
    except BaseException as error:
        failed = f"{type(error).__name__}: {error}"[:500]
        raise
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
        digests = record.live_digest, record.rebuilt_digest
        with suppress(*DATABASE_FAULTS):
            await pool.execute(_END, id_, record.done, record.total, failed, *digests, record.swapped)


async def record_search(pool: asyncpg.Pool, id_: int, *, match: bool) -> None:
    """Whether the search index was the same too, of a rebuild that has ended."""
    await pool.execute(_SEARCH, id_, match)
