"""Kafka and PostgreSQL die, stand still, refuse; connections are cut at the worst moment."""

import asyncio
import os
import signal

import psycopg
import pytest

from deploy.local import postgres, stack
from libs.runtime.settings import settings
from tests.chaos.conftest import Case
from tests.chaos.oracle import at_rest
from tests.chaos.postgres_proxy import ONE_CALL, Fate, Link, Proxy, let_pass
from tests.chaos.processes import Child, Processes
from tests.chaos.shop import eventually
from tests.chaos.test_processes import STOCK, killed_thrice, lines_of, orders_more

pytestmark = pytest.mark.chaos


async def test_06_the_relay_is_killed_before_its_cursor(
    case: Case, processes: Processes, proxy: Proxy
) -> None:
    """kill -9 the relay between publish and cursor"""
    children: list[Child] = []

    async def at_cursor(link: Link, statement: str) -> Fate:
        if "INSERT INTO relay" not in statement or children[-1].process.poll() is not None:
            return Fate.PASS
        os.kill(children[-1].process.pid, signal.SIGKILL)
        case.fault()
        return Fate.DROPPED

    async with case.shop(STOCK) as shop:
        await at_rest()
        await case.books.differences()
        repeats = case.books.repeats
        await killed_thrice(shop, processes, proxy, at_cursor, children)
        await shop.served()
        case.recovered()
        await at_rest()
        assert await case.books.differences() == []
        assert case.books.repeats > repeats, "what was published was published again"


async def test_07_postgresql_is_killed_in_a_batch(case: Case, processes: Processes, proxy: Proxy) -> None:
    """kill -9 PostgreSQL in a batch"""

    async def in_batch(link: Link, statement: str) -> Fate:
        if "UPDATE consumed SET next_offset" in statement or ONE_CALL in statement:
            proxy.decide = let_pass
            processes.kill("postgres")
            case.fault()
        return Fate.PASS

    async with case.shop(STOCK) as shop:
        await processes.stop("inventory")
        try:
            async with processes.child("inventory", proxy.port), shop.ordering(lines_of):
                for kills in range(1, 4):
                    proxy.decide = in_batch
                    await _faults(case, kills)
                    await asyncio.to_thread(_database_up)
                    await orders_more(shop, 40)
                await shop.served()
                case.recovered()
        finally:
            proxy.decide = let_pass
            await processes.up()


async def _faults(case: Case, count: int) -> None:
    await eventually(lambda: case.faults >= count, f"fault {count} came")


class _Silent:
    """A step that nobody watches (deploy.local.progress.Step)."""

    def note(self, text: str) -> None: ...


def _database_up() -> None:
    """PostgreSQL alone, as its supervisor would start it again."""
    postgres.ensure_started(stack.home(), settings().postgres_port, _Silent())


async def test_08_kafka_restarts_and_stands_still(case: Case, processes: Processes) -> None:
    """restart Kafka, produce time-outs: order kept, no gaps"""
    async with case.shop(STOCK) as shop, shop.ordering(lines_of):
        await orders_more(shop, 60)
        processes.kill("kafka")
        case.fault()
        await processes.up()
        await orders_more(shop, 60)
        processes.signal("kafka", signal.SIGSTOP)
        case.fault()
        try:
            await processes.tells("", 1, "ORDERLOG_PUBLISH_TIMEOUT_SECONDS")
        finally:
            processes.signal("kafka", signal.SIGCONT)
        case.fault(0)
        await orders_more(shop, 60)


async def test_09_a_connection_is_cut_during_commit(case: Case, processes: Processes, proxy: Proxy) -> None:
    """a TCP proxy cuts the connection during COMMIT"""
    fates = (Fate.DROPPED, Fate.BLIND, Fate.UNANSWERED)
    commits = 0

    async def at_commit(link: Link, statement: str) -> Fate:
        nonlocal commits
        if not link.commits_batch(statement):
            return Fate.PASS
        commits += 1
        if commits % 3:
            return Fate.PASS
        case.fault()
        return fates[case.faults % len(fates)]

    async with case.shop(STOCK) as shop:
        await processes.stop("inventory")
        try:
            async with processes.child("inventory", proxy.port):
                async with shop.ordering(lines_of):
                    proxy.decide = at_commit
                    await _faults(case, 18)
                    proxy.decide = let_pass
                await shop.served()
                case.recovered()
        finally:
            await processes.up()


async def test_19_locks_long_transactions_and_a_full_disk(case: Case, processes: Processes) -> None:
    """disk full (its error code), a lock held, a long transaction: it waits, a metric tells, it recovers"""
    before = await processes.batches_waited("inventory", "store")
    dsn = settings().dsn("inventory")
    async with case.shop(STOCK) as shop, shop.ordering(lines_of):
        with psycopg.connect(dsn) as reader, psycopg.connect(dsn) as blocker:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.execute("SELECT count(*) FROM log")
            case.fault()
            blocker.execute("SELECT * FROM lane FOR UPDATE")
            case.fault()
            await processes.tells("inventory", 2, "store unavailable", "LockNotAvailableError")
            locked = await processes.batches_waited("inventory", "store")
            assert locked >= before + 2, "an alert rule sees it"
            accepted = await shop.count("intake", "order_accepted")
            await orders_more(shop, 40)
            await shop.until(lambda: shop.count("intake", "order_accepted"), accepted + 40, exact=False)
            blocker.rollback()
            await shop.served(accepted + 40)
            reader.rollback()
        _execute("inventory", _FULL)
        case.fault()
        await processes.tells("inventory", 2, "store unavailable", "DiskFullError")
        assert await processes.batches_waited("inventory", "store") >= locked + 2
        assert await processes.halted("inventory") == {}, "it waits, it does not park or halt"
        await orders_more(shop, 40)
        _execute("inventory", _ROOM)
        case.fault(0)


def _execute(stage: str, statements: str) -> None:
    with psycopg.connect(settings().dsn(stage), autocommit=True) as connection:
        connection.execute(statements.encode())


_FULL = """
    CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file: no space left on device' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER disk_full BEFORE INSERT ON log FOR EACH STATEMENT EXECUTE FUNCTION disk_full()"""
_ROOM = "DROP TRIGGER disk_full ON log; DROP FUNCTION disk_full()"
