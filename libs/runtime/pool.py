"""Connections to PostgreSQL for whom no wait is without a bound, also on a server that stands still.

asyncpg's own pool lets its users wait for ever for a connection that others hold, and lets go of a statement
that has timed out only once the server has confirmed that it was cancelled.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from libs.runtime.settings import Settings

Connection: TypeAlias = "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy"
"""One that somebody holds, whether it is a pool's or its own. Who reads several tables by it is
given one of `moment`'s."""


DATABASE_FAULTS: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a database that is away, overloaded or broken off raises: no fault of who asks. The last is what
asyncpg says of a connection whose server dies in the midst of it."""


class PoolBusy(TimeoutError):
    """No connection was to be had in time: others hold all of them, or the server lets nobody in."""


class BoundedPool(asyncpg.Pool):
    """A pool that gives a connection within `wait_seconds`, or raises PoolBusy, and takes it back as soon."""

    def __init__(self, dsn: str, wait_seconds: float, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "max_queries": 50_000,
            "max_inactive_connection_lifetime": 300.0,
            "setup": None,
            "init": None,
            "loop": None,
            "connection_class": asyncpg.Connection,
            "record_class": asyncpg.Record,
        }
        super().__init__(dsn, **defaults | options)
        self._wait_seconds = wait_seconds

    async def _acquire(self, timeout: float | None) -> Any:  # noqa: ASYNC109  (asyncpg's)
        """What `acquire` and the pool's own queries go through. asyncpg's bound is a task each time."""
        seconds = self._wait_seconds if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                return await super()._acquire(None)  # type: ignore[misc]  # the stubs leave it out
        except TimeoutError as error:
            taken = self.get_size() - self.get_idle_size()
            raise PoolBusy(
                f"no connection within {seconds:g} s (ORDERLOG_CONNECT_TIMEOUT_SECONDS);"
                f" {taken} of the {self.get_max_size()} of this process (ORDERLOG_POOL_SIZE) are in use"
            ) from error

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Take a connection back; one that the server does not let go of is cut.

        So is one that lost its place in the protocol, as when the server is killed within a statement: it
        would be given out again and again.
        """
        if isinstance(sys.exception(), asyncpg.InternalClientError):
            connection.terminate()
        await super().release(connection, timeout=self._wait_seconds if timeout is None else timeout)


def bounded_pool(dsn: str, settings: Settings, **options: Any) -> BoundedPool:
    """A pool with the bounds of the settings, to be awaited or entered like that of `asyncpg.create_pool`."""
    seconds = settings.connect_timeout_seconds
    return BoundedPool(dsn, seconds, timeout=seconds, **options)


@asynccontextmanager
async def transaction(pool: asyncpg.Pool, **options: Any) -> AsyncIterator[Any]:
    """A connection of the pool with a transaction on it; `options` are those of `Connection.transaction`.

    When a statement in it gets no answer, or we do not wait for it, the connection is cut: a rollback would
    wait for the same server, and it does that by itself when a connection ends.
    """
    cut: BaseException | None = None
    async with pool.acquire() as connection:
        try:
            async with connection.transaction(**options):
                try:
                    yield connection
                except (TimeoutError, asyncio.CancelledError) as error:
                    cut = error
                    connection.terminate()
                    raise
        except asyncpg.InterfaceError:
            if cut is not None:  # what the transaction says of a connection that is cut is no news
                raise cut from None
            raise


@asynccontextmanager
async def moment(pool: asyncpg.Pool, places: asyncio.Semaphore, seconds: float) -> AsyncIterator[Any]:
    """A connection on which everything that is read is of one moment, for as many at a time as there are
    places. Raises TimeoutError when none becomes free for so long: each is held while statements run."""
    async with asyncio.timeout(seconds):
        await places.acquire()
    try:
        async with transaction(pool, isolation="repeatable_read", readonly=True) as connection:
            yield connection
    finally:
        places.release()


@asynccontextmanager
async def statement(pool: asyncpg.Pool) -> AsyncIterator[Any]:
    """A connection of the pool, for one statement that is a transaction by itself. It is cut as
    `transaction` cuts it: whether the server did what was asked is then unknown."""
    async with pool.acquire() as connection:
        try:
            yield connection
        except (TimeoutError, asyncio.CancelledError):
            connection.terminate()
            raise


async def close_pool(pool: asyncpg.Pool, seconds: float) -> None:
    """Close a pool; its connections are cut where a database does not let go of them for so long."""
    try:
        async with asyncio.timeout(seconds):
            await pool.close()
    except TimeoutError:
        pool.terminate()
