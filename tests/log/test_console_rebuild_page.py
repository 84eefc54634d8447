"""A rebuild begun from the platform page: by whom, one at a time, and what is told when its process dies."""

import asyncio
import sys

import asyncpg
import pytest

from services.console.web.rebuilds import Rebuilds
from services.console.web.roles import ROLES
from tests.console_database import console_dsn, pool
from tests.console_site import People, people

__all__ = ["console_dsn", "people", "pool"]

PATH = "/platform/rebuild"
WAITS = (sys.executable, "-c", "import sys; sys.stdin.read()")
"""Stands where a rebuild would run: it ends when the console is gone, as that does."""
SECONDS = 30.0


@pytest.fixture(autouse=True)
async def none_before(pool: asyncpg.Pool) -> None:
    await pool.execute("DELETE FROM access.rebuilds")


def runs(people: People, *command: str) -> Rebuilds:
    """From now on a rebuild is this."""
    rebuilds = people.site.rebuilds
    rebuilds._command = command
    return rebuilds


async def failed(pool: asyncpg.Pool) -> str:
    """Why the last one failed, once it has ended."""
    async with asyncio.timeout(SECONDS):
        ended = "SELECT ended_at IS NOT NULL FROM access.rebuilds ORDER BY id DESC"
        while not await pool.fetchval(ended):  # noqa: ASYNC110 - told by another process
            await asyncio.sleep(0.05)
    return str(await pool.fetchval("SELECT failed FROM access.rebuilds ORDER BY id DESC"))


async def test_an_admin_begins_it_for_a_reason_and_one_at_a_time(people: People, pool: asyncpg.Pool) -> None:
    rebuilds = runs(people, *WAITS)
    admin = await people.sign_in("admin")
    assert f'href="{PATH}"' in await admin.get("/platform")
    assert "is this meant?" in await admin.get(PATH)
    for why in ("", " ", "x" * 501, "a\x00b"):
        await admin.post(PATH, 422, why=why)
    assert await pool.fetchval("SELECT count(*) FROM access.rebuilds") == 0
    drawn = await admin.post(PATH, why="After the <b>move</b>.")
    assert "admin@acme: After the &lt;b&gt;move&lt;/b&gt;." in drawn
    assert "under way" in drawn
    assert "one at a time is" in await admin.post(PATH, 409, why="Again.")
    assert "Begin the rebuild" not in await admin.get(PATH)
    other = await (await people.sign_in("admin", "rival")).get("/platform")
    assert "another tenant&#39;s admin" in other or "another tenant's admin" in other
    assert "admin@acme" not in other
    await rebuilds.close()
    assert await failed(pool) == "Its process ended with 0.", "what tells nothing itself is told"
    assert "Begin the rebuild" in await admin.get(PATH)


async def test_two_who_click_at_once_begin_one(people: People, pool: asyncpg.Pool) -> None:
    rebuilds = runs(people, *WAITS)
    admin = await people.sign_in("admin")
    answers = await asyncio.gather(
        *(admin.client.post(PATH, data={"csrf": admin.csrf, "why": "Now."}) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409]
    await rebuilds.close()


async def test_nobody_else_begins_one(people: People, pool: asyncpg.Pool) -> None:
    for role in ROLES:
        if role != "admin":
            person = await people.sign_in(role)
            await person.get(PATH, 403)
            await person.post(PATH, 403, why="I may not.")
    admin = await people.sign_in("admin")
    answer = await admin.client.post(PATH, data={"csrf": "guessed", "why": "Not mine."})
    assert answer.status_code == 403
    assert await pool.fetchval("SELECT count(*) FROM access.rebuilds") == 0


async def test_a_process_that_is_killed_is_told_and_another_can_begin(
    people: People, pool: asyncpg.Pool
) -> None:
    runs(people, sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    admin = await people.sign_in("admin")
    await admin.post(PATH, why="It will not last.")
    assert await failed(pool) == "Its process ended by signal 9."
    assert "Its process ended by signal 9." in await admin.get("/platform")
    runs(people, sys.executable, "-c", "raise SystemExit('Kafka cannot be read.')")
    await admin.post(PATH, why="Again.")
    assert await failed(pool) == "Kafka cannot be read."
    runs(people, "/nowhere/python")
    await admin.post(PATH, why="And again.")
    assert "could not begin" in await failed(pool)


async def test_a_console_that_died_in_the_middle_of_one_says_so(people: People, pool: asyncpg.Pool) -> None:
    """Nobody is left to tell of it: it is silent, and no longer stands in the way."""
    rebuilds = runs(people, *WAITS)
    admin = await people.sign_in("admin")
    await pool.execute("INSERT INTO access.rebuilds (tenant, asked_by, why) VALUES ('acme', 'ann', 'Lost.')")
    await admin.post(PATH, 409, why="Too early.")
    await pool.execute("UPDATE access.rebuilds SET told_at = now() - interval '31 s'")
    assert "broke off" in await admin.get("/platform")
    await admin.post(PATH, why="Once more.")
    assert "under way" in await admin.get("/platform")
    await rebuilds.close()


@pytest.fixture
async def to_read(pool: asyncpg.Pool, console_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that were made from five events, for the real process, which finds no Kafka."""
    monkeypatch.setenv("ORDERLOG_DATABASE_URL", console_dsn)
    monkeypatch.setenv("ORDERLOG_KAFKA", "127.0.0.1:9")
    await pool.execute("INSERT INTO live.consumed VALUES ('oms.intake.events', 0, 5)")


async def test_what_stands_in_its_way_is_told(people: People, pool: asyncpg.Pool, to_read: None) -> None:
    admin = await people.sign_in("admin")
    await admin.post(PATH, why="Kafka is away.")
    assert "Kafka" in await failed(pool)
    assert "Kafka" in await admin.get("/platform")


async def test_it_stops_with_its_console_and_says_so(
    people: People, pool: asyncpg.Pool, to_read: None
) -> None:
    admin = await people.sign_in("admin")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE live.consumed IN ACCESS EXCLUSIVE MODE")
        answer = await admin.client.post(PATH, data={"csrf": admin.csrf, "why": "It waits for the lock."})
        assert answer.status_code == 303
        async with asyncio.timeout(SECONDS):
            while not await pool.fetchval(  # noqa: ASYNC110 - another process waits
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orderlog-console-rebuild'"
                " AND wait_event_type = 'Lock' AND datname = current_database()"
            ):
                await asyncio.sleep(0.05)
        await people.site.rebuilds.close()
    assert await failed(pool) == "It was stopped: whoever began it has ended."
