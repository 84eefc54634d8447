"""What a recovery does to databases, on a real PostgreSQL: look at the old one, swap, place readers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest
from pydantic import SecretStr

from libs.runtime import migrate, old_database, readers, rebuild, stores
from libs.runtime.beginning import HOLD_EFFECTS, release_effects
from libs.runtime.complaint import Complaint
from libs.runtime.digest import memory_digest
from libs.runtime.log import EffectRow, Mark, Parked, TopicPartition, Writes
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.retrace import retrace
from libs.runtime.settings import Settings
from libs.runtime.settled_offsets import SettledOffsets
from libs.runtime.topic_reader import Read
from libs.runtime.wire import Record
from tests.flow.life import life
from tests.flow.oracle import stands
from tests.flow.world import STAGES, World

INTAKE, INVENTORY, *_ = STAGES
PLACE = (INTAKE.topics[0], 0)


@pytest.fixture(scope="module")
async def world() -> World:
    return await life(3)


@pytest.fixture
async def config(migrated_dsn: Callable[[str], str]) -> Settings:
    """Settings under which `intake` is a migrated database, and nothing else is there."""
    found = urlsplit(migrated_dsn("intake"))
    url = found._replace(path=f"{found.path}_{{database}}").geturl()
    config = Settings(database_url=SecretStr(url))
    fresh = found.path.strip("/")
    with psycopg.connect(found._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{fresh}" RENAME TO "{fresh}_orderlog_intake"')
    return config


@pytest.fixture
async def pool(config: Settings) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(config.dsn("intake"), config, "test")
    yield pool
    await pool.close()


def reading(world: World) -> Read:
    async def read(topic: str, partition: int, offset: int) -> Sequence[Record]:
        return world.broker.read((topic, partition), offset, 100)

    return read


async def test_a_database_that_somebody_uses_is_neither_renamed_nor_dropped(config: Settings) -> None:
    """The server waits 5 s for somebody: for both at once. The role's own sessions hinder no drop."""
    with psycopg.connect(config.dsn("intake"), autocommit=True) as connection:
        connection.execute("CREATE ROLE shopkeeper LOGIN CREATEDB")
    url = config.database_url.get_secret_value().replace("//postgres:", "//shopkeeper:")
    product = Settings(database_url=SecretStr(url))
    migrate.create_beside(product, "scratch", "intake")
    ours = await stores.connect(product, "scratch")
    assert await ours.fetchval("SELECT current_user") == "shopkeeper"
    theirs = await asyncpg.connect(config.dsn("scratch"))
    user = await stores.connect(config, "intake")
    assert migrate.exists(config, "intake")
    assert not migrate.exists(config, "intake_before")
    refused = await asyncio.gather(
        asyncio.to_thread(migrate.rename, config, "intake", "intake_before"),
        asyncio.to_thread(migrate.drop, product, "scratch"),
        return_exceptions=True,
    )
    for told, expected in zip(
        refused, ("intake cannot be renamed", "scratch cannot be dropped"), strict=True
    ):
        assert isinstance(told, Complaint), told
        assert f"orderlog_{expected} while it is used" in str(told)
    assert migrate.exists(config, "intake")
    assert migrate.exists(product, "scratch")
    assert ours.is_closed()
    ours = await stores.connect(product, "scratch")
    await theirs.close()
    await user.close()
    await asyncio.to_thread(migrate.drop, product, "scratch")
    assert not migrate.exists(product, "scratch")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await ours.execute("SELECT 1")
    migrate.rename(config, "intake", "intake_before")
    assert migrate.exists(config, "intake_before")
    assert not migrate.exists(config, "intake")


async def test_one_recovery_runs_at_a_time(config: Settings) -> None:
    ours = "recover intake"
    with migrate.alone(config, ours):
        refused = pytest.raises(Complaint, match="Another `orderlog recover intake` is running")
        with refused, migrate.alone(config, ours):
            raise AssertionError("both got in")
        with migrate.alone(config, "recover kafka"):
            pass
    with migrate.alone(config, ours):
        pass


async def test_an_old_database_is_compared_with_the_topic(
    config: Settings, pool: asyncpg.Pool, world: World
) -> None:
    connection = await stores.connect(config, "intake")
    assert await old_database.look(connection, INTAKE) is None, "it has a schema and nothing in it"
    past = stands(world, INTAKE)
    await rebuild.replay(INTAKE, past, reading(world), PostgresLog(pool, INTAKE), world.lane_of)
    old = await old_database.look(connection, INTAKE)
    assert old is not None
    live = world.logs["intake"]
    assert old.digest == memory_digest(live, INTAKE)
    assert old.consumed == dict(live.consumed)
    assert dict(old.ends) == {lane: stand.last_decided for lane, stand in past.items()}
    ends: dict[TopicPartition, int] = {
        (topic, lane): len(world.broker.read((topic, lane), 0, 1_000_000))
        for topic in (INTAKE.topic, *INTAKE.topics)
        for lane in past
    }
    traces = await retrace(INTAKE, ends, reading(world), world.lane_of, old.ends)
    assert (old.ahead(traces), await old_database.differing(connection, old, traces)) == ({}, [])
    await connection.execute("ALTER TABLE log DISABLE TRIGGER USER")
    await connection.execute("UPDATE log SET event_id = gen_random_uuid() WHERE lane = 2 AND seq = 3")
    assert await old_database.differing(connection, old, traces) == [2]
    shorter = {place: min(end, 2) if place[0] == INTAKE.topic else 0 for place, end in ends.items()}
    behind = await retrace(INTAKE, shorter, reading(world), world.lane_of, old.ends)
    assert old.ahead(behind) == dict.fromkeys(old.ends, 3)
    assert await old_database.differing(connection, old, behind) == []
    await connection.close()


async def test_kafka_is_told_only_what_is_published(pool: asyncpg.Pool) -> None:
    await pool.execute("INSERT INTO lane (lane, next_decided) VALUES (0, 6), (1, 1)")
    settled, other = SettledOffsets(pool), (PLACE[0], 1)
    await settled.advance({PLACE: 10, other: 4})
    assert settled.offsets == {other: 4}, "five events of lane 0 are not published"
    await pool.execute("UPDATE lane SET next_decided = 9 WHERE lane = 0")
    await pool.execute("INSERT INTO relay VALUES (0, 5)")
    await settled.advance({PLACE: 12, other: 4})
    assert settled.offsets == {PLACE: 10, other: 4}, "what was taken up before is; the rest is not yet"
    await pool.execute("UPDATE relay SET published = 8")
    await settled.advance({PLACE: 12})
    assert settled.offsets == {PLACE: 12}


async def test_what_a_recovered_database_owes_waits_until_its_stage_has_begun(
    config: Settings, pool: asyncpg.Pool
) -> None:
    log, now = PostgresLog(pool, INTAKE), datetime.now(UTC)
    async with log.batch() as batch:
        await batch.write(Writes(owed={"mail-1": EffectRow(0, "mail-1", "acme/1")}))
    await pool.execute(HOLD_EFFECTS)
    assert await log.claim_effects([0], now + timedelta(days=365), 60, 10) == []
    connection = await stores.connect(config, "intake")
    await release_effects(connection)
    await connection.close()
    assert await log.claim_effects([0], now + timedelta(seconds=55), 60, 10) == []
    [claimed] = await log.claim_effects([0], now + timedelta(seconds=120), 60, 10)
    assert claimed.effect_id == "mail-1"


async def test_readers_are_placed_in_one_transaction(config: Settings, pool: asyncpg.Pool) -> None:
    log, heard = PostgresLog(pool, INTAKE), ("oms.inventory.events", 0)
    parked = [
        Parked(0, f"acme/{number}", *place, 3 + number, "malformed", "it is cut off")
        for number, place in enumerate((PLACE, heard, heard))
    ]
    await log.offsets([PLACE, heard])
    async with log.batch() as batch:
        await batch.write(
            Writes(
                offsets={PLACE: (0, 9), heard: (0, 9)},
                high_water={("orderlog/inventory", 0): 7},
                parked=parked,
            )
        )
    reader = await readers.look(config, "intake")
    assert (reader.consumed, reader.heard("inventory", 0)) == ({PLACE: 9, heard: 9}, 7)
    assert [row.offset for row in reader.parked[heard]] == [4, 5]
    first, second, third = (row.id for place in (PLACE, heard) for row in reader.parked[place])
    reader.begin_again(PLACE)
    reader.moves[heard], reader.found_again[second] = 7, 2
    reader.lost.append(third)
    await readers.save(config, reader, {0: 5})
    assert await log.offsets([PLACE, heard]) == {PLACE: 0, heard: 7}
    assert await log.published([0]) == {0: Mark(5)}
    found = {row.id: row for row in await log.parked(open_only=True, limit=10)}
    assert [found[id_].offset for id_ in (first, second, third)] == [-1, 2, -1]
    assert found[third].reason == "it is cut off (the record was lost with its topic)"
    assert found[second].reason == "it is cut off"


async def test_a_command_that_was_read_is_known_by_its_id(config: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "INSERT INTO handled VALUES ('acme', '11111111-2222-5333-8444-555555555555', '', 0, 1, 0)"
    )

    async def known(id_: bytes, offset: int = 5) -> bool:
        record = Record(*PLACE, offset, b"acme/1", b"{}", [("ce_id", id_)])
        return await readers.knows(config, "intake", record, [readers.ParkedAt(1, 8, "?", "")])

    assert await known(b"11111111-2222-5333-8444-555555555555")
    assert not await known(b"11111111-2222-5333-8444-555555555556")
    assert not await known(b"")
    assert await known(b"", offset=8), "it is parked"
    assert not await readers.knows(config, "intake", None, [])
