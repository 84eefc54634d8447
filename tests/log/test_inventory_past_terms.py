"""What could be promised at a moment of the past, by the terms of that moment, and to which channel."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from libs.events.promise import ChannelTerms, DefinePromiseTerms, Share
from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from services.inventory import store
from services.inventory.availability import figure, read_sku
from services.inventory.past import Asked, document
from tests.log.test_inventory_book import TENANT, Inventory
from tests.unit.inventory_lots import day, delivered, milk
from tests.unit.inventory_supply import minutes
from tests.unit.inventory_trade import accepted, hold, receive

SHARES = (Share(channel="web", units=3, lends_to=("pos",)),)
WAYS = (ChannelTerms(channel="marketplace", buffer=1, sold_out_at=2),)


@pytest.fixture
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


async def then(pool: asyncpg.Pool, minute: float, known: float | None = None) -> dict[str, Any]:
    asked = [Asked("A", minutes(minute), None if known is None else minutes(known))]
    async with pool.acquire() as connection:
        [stood] = await store.with_terms(connection, TENANT, await store.as_of(connection, TENANT, asked))
    return document(stood)


def figures(told: dict[str, Any]) -> tuple[int, dict[str, tuple[int, int]]]:
    return told["available"], {one["channel"]: (one["available"], one["shown"]) for one in told["channels"]}


async def test_a_past_moment_is_answered_by_its_own_terms(pool: asyncpg.Pool) -> None:
    inventory = Inventory(pool)
    await inventory.open()
    await inventory.hear(receive("A", 10), receive("B", 4))
    await inventory.hear(DefinePromiseTerms(sku="A", safety_stock=2), minute=10)
    await inventory.hear(hold("b1", ("A", 1)), accepted("o1", ("A", 1)), minute=15)
    await inventory.hear(DefinePromiseTerms(sku="A", safety_stock=1, shares=SHARES, channels=WAYS), minute=20)
    assert figures(await then(pool, 5)) == (10, {})
    assert figures(await then(pool, 12)) == (8, {})
    assert figures(await then(pool, 16)) == (6, {})
    now = await then(pool, 30)
    assert figures(now) == (4, {"marketplace": (3, 3), "pos": (7, 7), "web": (7, 7)})
    assert (now["withheld"], now["terms_version"], now["on_hand"], now["short"]) == (4, 2, 10, 0)
    assert figures(await then(pool, 30, known=12)) == (8, {}), (
        "nobody knew of the later terms, nor of the order"
    )
    part = read_sku((await inventory.log.snapshots([f"{TENANT}/sku/A"]))[f"{TENANT}/sku/A"].part or b"")
    for channel, told in figures(now)[1].items():
        assert figure(part, channel) == told, "what is answered of now is what is promised now"


async def test_of_many_skus_each_has_its_own(pool: asyncpg.Pool) -> None:
    inventory = Inventory(pool)
    await inventory.open()
    await inventory.hear(receive("A", 10), receive("B", 4))
    await inventory.hear(DefinePromiseTerms(sku="B", safety_stock=4), minute=1)
    async with pool.acquire() as connection:
        asked = [Asked(sku, minutes(2)) for sku in ("B", "A", "B")]
        stood = await store.with_terms(connection, TENANT, await store.as_of(connection, TENANT, asked))
    assert [document(one)["available"] for one in stood] == [0, 10, 0]


async def test_now_a_channel_that_asks_for_days_left_has_what_lasts_so_long(pool: asyncpg.Pool) -> None:
    inventory = Inventory(pool)
    await inventory.open()
    asks = ChannelTerms(channel="wholesale", shelf_days_min=5)
    terms = DefinePromiseTerms(sku="MILK", channels=(asks, ChannelTerms(channel="web", buffer=1)))
    bought = accepted("o1", ("MILK", 2)).model_copy(update={"channel": "wholesale"})
    await inventory.hear(milk(), terms, delivered("OLD", 4, 3), delivered("NEW", 6, 9), bought)
    async with pool.acquire() as connection:
        stood = await store.as_of(connection, TENANT, [Asked("MILK", minutes(30))])
        stood = await store.with_terms(connection, TENANT, stood)
        told = document((await store.with_lots(connection, TENANT, stood))[0])
    assert told["channels"] == [
        {"channel": "web", "available": 7, "shown": 7},
        {
            "channel": "wholesale",
            "available": 4,
            "shown": 4,
            "shelf_life": {"days_min": 5, "expires_from": day(5).isoformat(), "on_hand": 6},
        },
    ]
