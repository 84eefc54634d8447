"""A stage rebuilt into a real PostgreSQL, in small pieces, says what the log of its topics says."""

from collections.abc import AsyncIterator, Callable, Sequence

import asyncpg
import pytest

from libs.runtime import rebuild
from libs.runtime.digest import database_digest, memory_digest
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.settings import Settings
from libs.runtime.stage import Stage
from libs.runtime.wire import Record
from tests.flow.life import life
from tests.flow.oracle import stands
from tests.flow.world import STAGES, World


@pytest.fixture(scope="module")
async def world() -> World:
    """A life of orders; its logs are in memory, its topics on the memory broker."""
    return await life(3)


@pytest.fixture
async def pool(migrated_dsn: Callable[[str], str], stage: Stage) -> AsyncIterator[asyncpg.Pool]:
    """An empty database with the stage's schema."""
    pool = await open_pool(migrated_dsn(stage.name), Settings(), "test")
    yield pool
    await pool.close()


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
async def test_the_rebuilt_database_says_what_the_live_log_says(
    world: World, stage: Stage, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_ROWS_AT_ONCE", 50)
    monkeypatch.setattr(rebuild, "_PARTS_IN_HAND", 20)

    async def read(topic: str, partition: int, offset: int) -> Sequence[Record]:
        return world.broker.read((topic, partition), offset, 40)

    log = PostgresLog(pool, stage)
    seen: list[tuple[int, int]] = []
    events = await rebuild.replay(
        stage, stands(world, stage), read, log, world.lane_of, lambda done, total: seen.append((done, total))
    )
    live = world.logs[stage.name]
    async with pool.acquire() as connection, connection.transaction():
        assert await database_digest(connection, stage) == memory_digest(live, stage)
    assert await log.offsets(list(live.consumed)) == dict(live.consumed)
    assert seen == sorted(seen)
    assert seen[-1] == (events, events)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE part SET part = NULL WHERE key = (SELECT min(key) FROM part)")
        assert await database_digest(connection, stage) != memory_digest(live, stage)
