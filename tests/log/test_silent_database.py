"""A database that stands still, and a pool whose connections others hold: nobody waits longer than is set."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from libs.runtime.answers import Answers
from libs.runtime.edge import Edge
from libs.runtime.kafka import KafkaPublisher, Lanes
from libs.runtime.keyring import PostgresKeyring
from libs.runtime.log import Unavailable
from libs.runtime.memory_log import MemoryLog
from libs.runtime.pool import BoundedPool, PoolBusy, bounded_pool, transaction
from libs.runtime.postgres_log import PostgresLog, reachable
from libs.runtime.problems import Problem
from libs.runtime.settings import Settings
from services.console.queries import Queries
from services.intake.app import STAGE

SETTINGS = Settings(connect_timeout_seconds=0.2, pool_size=2, retry_after_seconds=7)
LONGEST_SECONDS = 10.0
"""Far above what is set; asyncpg on its own waits for ever."""


class StillDatabase:
    """Stands before PostgreSQL and passes bytes until it is `still`; then it reads on and answers nothing."""

    def __init__(self, socket: Path) -> None:
        self._socket, self.still = socket, False
        self._pumps: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(str(self._socket))
        for pump in (self._pass(reader, back), self._pass(there, writer)):
            self._pumps.add(asyncio.create_task(pump))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while some := await reader.read(65_536):
                if not self.still:
                    writer.write(some)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def end(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


async def _opened(dsn: str) -> BoundedPool:
    """A pool of two connections, one of them open: for that a busy machine may need longer than is tried."""
    while True:
        pool = bounded_pool(dsn, SETTINGS, min_size=1, max_size=2, command_timeout=0.2)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await pool
        except TimeoutError:
            pool.terminate()


@pytest.fixture
async def database(postgres_dsn: Callable[[], str]) -> AsyncIterator[tuple[StillDatabase, BoundedPool]]:
    """The database, and a pool of two connections to it; a statement may take 0.2 s there."""
    dsn = urlsplit(postgres_dsn())
    found = StillDatabase(Path(parse_qs(dsn.query)["host"][0]) / ".s.PGSQL.5432")
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = f"postgresql://{dsn.username}@127.0.0.1:{port}{dsn.path}"
    try:
        pool = await _opened(through)
        yield found, pool
        pool.terminate()
    finally:
        server.close()
        await found.end()


@pytest.fixture
async def held(database: tuple[StillDatabase, BoundedPool]) -> AsyncIterator[BoundedPool]:
    """A pool all of whose connections somebody holds."""
    _, pool = database
    async with pool.acquire(), pool.acquire():
        yield pool


async def test_the_stage_loop_is_told_that_the_database_is_away(held: BoundedPool) -> None:
    async with asyncio.timeout(LONGEST_SECONDS):
        log = PostgresLog(held, STAGE)
        with pytest.raises(Unavailable, match=r"2 of the 2 .*ORDERLOG_POOL_SIZE.* are in use"):
            async with log.batch():
                raise AssertionError("there is no connection to do this with")
        with pytest.raises(Unavailable, match="PoolBusy"):
            await log.claim([0])


async def test_the_edge_and_the_console_answer_503(held: BoundedPool) -> None:
    async with asyncio.timeout(LONGEST_SECONDS):
        keyring = PostgresKeyring(held, bytes(32), 60.0)
        edge = Edge(
            "intake", SETTINGS, KafkaPublisher(SETTINGS, "test"), Answers(MemoryLog()), keyring, Lanes(4)
        )
        with pytest.raises(Problem) as away:
            await edge.seal("acme", "customer-1", "o-1", {"name": "Ada"})
        assert (away.value.status, away.value.retry_after_seconds) == (503, 7)
        assert "same Idempotency-Key" in away.value.next_step
        with pytest.raises(Unavailable):  # libs.runtime.problems makes a 503 of it
            await Queries(held).summary("acme")


async def test_a_connection_that_becomes_free_in_time_is_taken(
    database: tuple[StillDatabase, BoundedPool],
) -> None:
    async with asyncio.timeout(LONGEST_SECONDS):
        _, pool = database
        first, second = await pool.acquire(), await pool.acquire()
        waiting = asyncio.ensure_future(pool.fetchval("SELECT 1"))
        await asyncio.sleep(0)
        await pool.release(first)
        assert await waiting == 1
        await pool.release(second)


async def test_who_reads_behind_somebody_who_does_not_end_is_told(
    database: tuple[StillDatabase, BoundedPool],
) -> None:
    _, pool = database
    publisher = KafkaPublisher(SETTINGS, "test")
    edge = Edge("inventory", SETTINGS, publisher, Answers(MemoryLog()), None, Lanes(4), pool=pool)
    async with asyncio.timeout(LONGEST_SECONDS):
        async with edge.reading():
            with pytest.raises(Unavailable):  # half of two connections are for readers
                await edge.reading().__aenter__()
        async with edge.reading() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_connection_that_was_not_to_be_had_is_not_lost(held: BoundedPool) -> None:
    async with asyncio.timeout(LONGEST_SECONDS):
        with pytest.raises(PoolBusy):
            await held.fetchval("SELECT 1")
        assert (held.get_size(), held.get_idle_size()) == (2, 0)


async def halted_batch(log: PostgresLog, server: StillDatabase) -> None:
    """A batch whose server stops in the middle."""
    async with log.batch() as batch:
        server.still = True
        await batch.heard([0])


async def test_a_batch_on_a_server_that_stops_ends_in_time(
    database: tuple[StillDatabase, BoundedPool],
) -> None:
    async with asyncio.timeout(LONGEST_SECONDS):
        server, pool = database
        with pytest.raises(Unavailable, match="Timeout"):
            await halted_batch(PostgresLog(pool, STAGE), server)
        assert pool.get_size() == 0, "the connection was cut"
        with pytest.raises(Unavailable):
            await PostgresLog(pool, STAGE).claim([0])
        server.still = False
        assert await pool.fetchval("SELECT 1") == 1


async def test_who_is_cancelled_in_a_transaction_does_not_wait_for_its_rollback(
    database: tuple[StillDatabase, BoundedPool],
) -> None:
    server, pool = database
    began = asyncio.Event()

    async def work() -> None:
        async with transaction(pool) as connection:
            server.still = True
            began.set()
            await connection.execute("SELECT 1", timeout=3600)

    working = asyncio.ensure_future(work())
    await began.wait()
    await asyncio.sleep(0)
    working.cancel()
    done, _ = await asyncio.wait([working], timeout=LONGEST_SECONDS)
    assert done, "it still waits"
    assert working.cancelled()


async def test_an_error_in_a_transaction_rolls_back(database: tuple[StillDatabase, BoundedPool]) -> None:
    _, pool = database
    await pool.execute("CREATE TABLE kept (id int)")

    async def write() -> None:
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            await connection.execute("SELECT * FROM absent")

    with pytest.raises(asyncpg.UndefinedTableError):
        await write()
    assert await pool.fetchval("SELECT count(*) FROM kept") == 0
    assert pool.get_size() == 1, "the connection is used on"


async def _lose(pool: BoundedPool) -> int:
    """Which connection of the server it was that lost its place in the protocol."""
    lost = 0
    with contextlib.suppress(asyncpg.InternalClientError):
        async with pool.acquire() as connection:
            lost = await connection.fetchval("SELECT pg_backend_pid()")
            raise asyncpg.InternalClientError(
                "cannot switch to state 11; another operation (2) is in progress"
            )
    return lost


async def test_a_connection_that_lost_its_place_in_the_protocol_is_not_given_out_again(
    database: tuple[StillDatabase, BoundedPool],
) -> None:
    _, pool = database
    assert await _lose(pool) != await pool.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(Unavailable, match="cannot switch to state"), reachable():
        raise asyncpg.InternalClientError("cannot switch to state 11")
