"""`orderlog log export`, `prove log` and `no-oversell --file`, on a database that somebody changes."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
import psycopg
import pytest
from typer.testing import CliRunner

from cli.main import app
from libs.runtime.log import Anchor
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.rebuild import replay
from libs.runtime.relay import Relay
from libs.runtime.settings import settings
from tests.flow.life import life
from tests.flow.oracle import stands
from tests.flow.world import STAGES, START, World
from tests.log.test_recover import reading

INVENTORY = STAGES[1]


@pytest.fixture(scope="module")
async def world() -> World:
    return await life(3)


@pytest.fixture
async def pool(
    migrated_dsn: Callable[[str], str], world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[asyncpg.Pool]:
    """Inventory's database with what the life has published, chained by a relay and anchored."""
    found = urlsplit(migrated_dsn("inventory"))
    name = found.path.strip("/")
    with psycopg.connect(found._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_orderlog_inventory"')
    monkeypatch.setenv("ORDERLOG_DATABASE_URL", found._replace(path=f"/{name}_{{database}}").geturl())
    monkeypatch.setenv("ORDERLOG_PARTITIONS", str(world.broker.partitions))
    settings.cache_clear()
    opened = await open_pool(settings().dsn("inventory"), settings(), "test")
    log = PostgresLog(opened, INVENTORY)
    await replay(INVENTORY, stands(world, INVENTORY), reading(world), log, world.lane_of)
    relay = Relay("inventory", INVENTORY.topic, log, world.broker, mark_seconds=0.0, chain_seconds=0.0)
    lanes = range(world.broker.partitions)
    await relay.own(lanes)
    for _lane in lanes:
        assert await relay.turn() == 0, "a recovered log has nothing left to publish"
    await relay.anchor()
    yield opened
    await opened.close()
    settings.cache_clear()


async def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The command's exit code and its last line."""
    result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])
    assert result.stdout, result
    return result.exit_code, orjson.loads(result.stdout.splitlines()[-1])


async def tampered(pool: asyncpg.Pool, *statements: str) -> None:
    """As somebody does who owns the database."""
    async with pool.acquire() as connection, connection.transaction():
        for table in ("log", "anchor"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only")
        for statement in statements:
            assert int((await connection.execute(statement)).rpartition(" ")[2]) > 0, statement


async def test_a_recovered_log_goes_on_with_the_chain_that_it_had(pool: asyncpg.Pool, world: World) -> None:
    live = world.logs["inventory"]
    log = PostgresLog(pool, INVENTORY)
    lanes = [lane for lane, mark in live.marks.items() if mark.chained]
    assert lanes
    assert await log.published(lanes) == {lane: live.marks[lane] for lane in lanes}


async def test_an_export_proves_itself_and_that_nothing_was_oversold(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    path = tmp_path / "inventory.ndjson.gz"
    code, exported = await run("log", "export", "inventory", str(path))
    assert (code, exported["ok"]) == (0, True)
    assert exported["events"] == await pool.fetchval("SELECT count(*) FROM log WHERE origin = 'decided'") > 20
    stored = await pool.fetch("SELECT lane, head FROM relay WHERE head IS NOT NULL")
    relay = {str(row["lane"]): row["head"].hex() for row in stored}
    assert {lane: at["head"] for lane, at in exported["heads"].items()} == relay
    code, alone = await run("prove", "log", "--file", str(path))
    assert (code, alone["ok"]) == (0, True)
    code, against = await run("prove", "log", "--file", str(path), "--from", "database")
    assert (code, against["ok"]) == (0, True)
    code, here = await run("prove", "log", "inventory", "--from", "database")
    assert (code, here["ok"]) == (0, True)
    _, of_file = await run("prove", "no-oversell", "--file", str(path))
    _, of_database = await run("prove", "no-oversell")
    assert of_file["ok"]
    assert of_file["movements"] > 0
    assert of_file == of_database, "the file alone says what the database says"


async def test_a_changed_row_is_named_by_an_export_and_by_the_anchor(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    path = tmp_path / "inventory.ndjson"
    await run("log", "export", "inventory", str(path))
    lane, seq, event_id = await pool.fetchrow(
        "SELECT lane, seq, event_id FROM log WHERE origin = 'decided' AND type LIKE '%adjusted' LIMIT 1"
    ) or (0, 0, None)
    place = f"lane = {lane} AND seq = {seq} AND origin = 'decided'"
    changed = "replace(payload::text, ':', ': ')::json"
    await tampered(pool, f"UPDATE log SET payload = {changed} WHERE {place}")  # noqa: S608 - our own row
    code, told = await run("prove", "log", "--file", str(path), "--from", "database")
    assert (code, told["ok"]) == (1, False)
    assert (told["first"]["lane"], told["first"]["sequence"]) == (lane, seq)
    assert told["first"]["event_id"] == str(event_id)
    assert told["first"]["kind"] == "differs"
    code, alone = await run("prove", "log", "inventory", "--from", "database")
    assert (code, alone["first"]["kind"], alone["first"]["lane"]) == (1, "anchor", lane)


async def test_a_cut_tail_is_found_by_anchors_though_all_counters_were_set_back(pool: asyncpg.Pool) -> None:
    lane, last = await pool.fetchrow("SELECT lane, seq FROM anchor ORDER BY seq DESC LIMIT 1") or (0, 0)
    await tampered(
        pool,
        f"DELETE FROM log WHERE lane = {lane} AND origin = 'decided' AND seq > {last - 2}",  # noqa: S608
        f"UPDATE lane SET next_decided = {last - 1} WHERE lane = {lane}",  # noqa: S608
        f"UPDATE relay SET published = {last - 2}, chained = 0, head = NULL WHERE lane = {lane}",  # noqa: S608
    )
    code, told = await run("prove", "log", "inventory", "--from", "database")
    assert code == 1
    first = told["first"]
    assert (first["lane"], first["sequence"], first["kind"]) == (lane, last - 1, "cut")
    assert "the table `anchor` holds its head" in first["message"]


async def test_a_hole_and_a_wrong_stored_head_are_named(pool: asyncpg.Pool) -> None:
    log = PostgresLog(pool, INVENTORY)
    lane = await pool.fetchval("SELECT lane FROM anchor ORDER BY seq DESC LIMIT 1")
    await log.anchor([Anchor(lane, 1, b"x" * 32, START)])
    code, told = await run("prove", "log", "inventory", "--from", "database")
    assert (code, told["first"]["sequence"], told["first"]["kind"]) == (1, 1, "anchor")
    third = f"lane = {lane} AND seq = 3 AND origin = 'decided'"
    await tampered(pool, "DELETE FROM anchor WHERE seq = 1", f"DELETE FROM log WHERE {third}")  # noqa: S608
    code, told = await run("prove", "log", "inventory", "--from", "database")
    assert (code, told["first"]["sequence"], told["first"]["kind"]) == (1, 3, "hole")


async def test_no_oversell_believes_no_file_that_was_changed(pool: asyncpg.Pool, tmp_path: Path) -> None:
    path = tmp_path / "inventory.ndjson.gz"
    await run("log", "export", "inventory", str(path))
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join([*lines[:5], *lines[6:]])))
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["prove", "no-oversell", "--file", str(path), "--json"]
    )
    assert "is not what was exported" in str(result.exception)
    path.write_bytes(gzip.compress(b"".join(lines))[:-40])
    code, told = await run("prove", "log", "--file", str(path))
    assert code == 1
    assert "cannot be unpacked" in told["first"]["message"]
