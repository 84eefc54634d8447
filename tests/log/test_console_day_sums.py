"""Sums by day: always what the orders say, whatever was read when."""

from typing import Any

import asyncpg
import pytest

from services.console.day_sums import SUM_TABLES, digest_sums, fill_sums
from services.console.queries import Queries
from services.console.recent import RecentOrders
from services.console.store import Projector
from tests.console_counts import stocktaking
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES
from tests.log.test_console_measures import DATES, published
from tests.log.test_console_missing import apply
from tests.log.test_console_store import feed, rows

__all__ = ["console_dsn", "pool"]
DELIVERED, SHORT = "delivered", "partly_delivered"


async def kept(pool: asyncpg.Pool) -> dict[str, list[dict[str, Any]]]:
    """The tables, once each was compared with what it is made of."""
    found = dict[str, list[dict[str, Any]]]()
    async with Projector(pool).transaction() as connection:
        for name, table in SUM_TABLES.items():
            rows = await connection.fetch(digest_sums(table))
            afresh = table._replace(name="afresh")
            await connection.execute(f"CREATE TEMPORARY TABLE afresh (LIKE {name}) ON COMMIT DROP")
            await connection.execute(fill_sums(afresh))
            assert rows == await connection.fetch(digest_sums(afresh)), name
            await connection.execute("DROP TABLE afresh")
            found[name] = [dict(row) for row in rows]
    return found


@pytest.mark.parametrize("life", sorted(LIVES))
async def test_they_say_what_orders_say_after_each_event(pool: asyncpg.Pool, life: str) -> None:
    projector, seen = Projector(pool), set[str]()
    for stage, events in LIVES[life]("o-1").items():
        for offset, event in enumerate(events):
            await apply(projector, (f"oms.{stage}.events", 0), [event], first=offset)
            seen.update(name for name, rows in (await kept(pool)).items() if rows)
    told = {
        DELIVERED: {"accepted_days", "pick_days", "shipped_days", "delivered_days", "delay_days"},
        SHORT: set(SUM_TABLES) - {"check_days"},
    }
    assert seen >= told.get(life, set())


@pytest.mark.parametrize("seed", range(3))
async def test_they_say_so_whatever_came_first(pool: asyncpg.Pool, seed: int) -> None:
    await feed(Projector(pool), published(), seed)
    found = await kept(pool)
    assert all(found.values())
    assert sum(row["orders"] for row in found["accepted_days"]) == 3 * len(LIVES) - 3 + len(DATES)
    assert await rows(pool, "SELECT * FROM accepted_days", "rival") == []


async def test_counts_change_their_day_event_by_event(pool: asyncpg.Pool) -> None:
    projector = Projector(pool)
    for offset, event in enumerate(stocktaking()):
        await apply(projector, ("oms.inventory.events", 0), [event], first=offset)
        assert (await kept(pool))["check_days"]


async def test_who_sees_a_node_sees_the_sums_of_its_orders(pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), by_stage(LIVES[DELIVERED]("o-1"), LIVES[SHORT]("o-2")))
    query = "SELECT sum(orders) FROM accepted_days"
    seen = {}
    for node in ("LON", "MAN", "LEE"):
        async with Queries(pool, (node,)).reading("acme") as connection:
            seen[node] = await connection.fetchval(query)
    assert seen == {"LON": 2, "MAN": 1, "LEE": None}


class _Small(RecentOrders):
    """Keeps nothing: each order is read again."""

    def __init__(self) -> None:
        super().__init__(orders_max=0)


async def test_an_order_that_is_read_again_counts_once(pool: asyncpg.Pool) -> None:
    projector = Projector(pool)
    projector._recent = _Small()
    await feed(projector, published(), 1)
    of_all = await kept(pool)
    assert sum(row["orders"] for row in of_all["delivered_days"]) > 0
