"""A search finds the newest orders that are like it, page by page: the same as who reads every order."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.runtime.keyring import MemoryKeyring, Unsealed
from services.console.contacts import Contacts
from services.console.finder import Finder
from services.console.queries import OrderFilter, Queries
from services.console.search.entries import CONTACT, ORDER, Article, Part
from services.console.search.index import SearchIndex
from services.console.search.terms import contains, words_of
from tests.console_database import console_dsn

__all__ = ["console_dsn"]
ORDERS = 400
TENANTS = ("acme", "other")
KEYRING = MemoryKeyring()
NEWEST = datetime(2026, 3, 1, 12, 34, 56, 789_000, tzinfo=UTC)
_ORDER = """INSERT INTO live.orders (tenant, order_id, status, channel, external_id, ordered_at, nodes, facts,
        events, line_count, units, last_at, waiting_in, broken)
    VALUES ($1, $2, $3, 'web', $4, $5, $6, '{}', 1, 1, 1, $5, '', '')"""
_SKU = "INSERT INTO live.order_skus (tenant, sku, order_id, ordered_at) VALUES ($1, $2, $3, $4)"


class Known(NamedTuple):
    """An order, and where words of it may stand together."""

    id: str
    at: datetime
    status: str
    nodes: str
    numbers: list[str]
    tracking: list[str]
    name: list[str]
    articles: list[list[str]]

    def has(self, asked: list[str], text: str, *, personal: bool) -> bool:
        places: Iterable[list[str]] = [self.numbers, self.tracking, *self.articles]
        if personal:
            places = [*places, self.name]
        return self.id.startswith(text) or (bool(asked) and any(contains(words, asked) for words in places))


def invented(tenant: str, chance: Random) -> list[Known]:
    """Orders over nine years, most of them of the last days, several of one moment; few syllables, so that
    words share their trigrams."""
    syllables = ("an", "na", "ost", "ow", "dem", "ode", "1", "12", "21", "00")

    def word() -> str:
        return "".join(chance.choice(syllables) for _ in range(chance.randrange(1, 4)))

    articles = [[f"sku{n}", word(), word()] for n in range(12)]
    found = []
    for number in range(ORDERS):
        seconds = int(2 ** (chance.random() * 28)) // 60 * 60
        found.append(
            Known(
                f"{chance.getrandbits(64):016x}",
                NEWEST - timedelta(seconds=seconds),
                chance.choice(("held", "delivered", "delivered", "delivered")),
                chance.choice(("LON", "MAN", "LON,MAN")),
                [f"x{number}", word()],
                [word()],
                [word(), word()],
                chance.sample(articles, chance.randrange(1, 3)),
            )
        )
    return found


KNOWN = {tenant: invented(tenant, Random(tenant)) for tenant in TENANTS}


async def put(pool: asyncpg.Pool) -> None:
    index = SearchIndex(pool, KEYRING)
    for tenant, orders in KNOWN.items():
        people = [Unsealed(f"c:{known.id}", known.id, {"name": " ".join(known.name)}) for known in orders]
        seals = await KEYRING.seal_many(tenant, people)
        named = {words[0]: " ".join(words[1:]) for known in orders for words in known.articles}
        parts = [Part(tenant, o.id, ORDER, tuple(o.numbers), at=o.at) for o in orders]
        parts += [
            Part(tenant, o.id, CONTACT, sealed=seal, at=o.at) for o, seal in zip(orders, seals, strict=True)
        ]
        tracked = [Part(tenant, o.id, "shipment 1", tuple(o.tracking)) for o in orders]
        await index.apply(tracked[::2], [Article(tenant, *article) for article in named.items()], {})
        await index.apply(parts, (), {})
        await index.apply(tracked[1::2], (), {})
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL orderlog.projector = 'on'")
            rows = [(tenant, o.id, o.status, o.numbers[0], o.at, o.nodes) for o in orders]
            await connection.executemany(_ORDER, rows)
            skus = [(tenant, words[0], o.id, o.at) for o in orders for words in o.articles]
            await connection.executemany(_SKU, skus)


@pytest.fixture(scope="module", params=["with statistics", "without"])
def dsn(console_dsn: str, request: pytest.FixtureRequest) -> str:
    async def fill() -> None:
        async with asyncpg.create_pool(console_dsn, min_size=1, max_size=2) as pool:
            for schema, made in (("live", "create_read_models"), ("search", "create_search")):
                await pool.execute(f"DROP SCHEMA {schema} CASCADE")
                await pool.execute(f"SELECT {made}('{schema}')")
            await put(pool)
            if request.param == "with statistics":
                await pool.execute("ANALYZE")
                await SearchIndex(pool, KEYRING).note_common()

    asyncio.run(fill())
    return console_dsn


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(("ost", "an", "ana", "nan", "demode", "12", "121", "00", "x1", "sku1", "owan", "zz")),
        min_size=1,
        max_size=2,
    ).map(" ".join)
    | st.text("0123456789abcdef", min_size=3, max_size=3),
    tenant=st.sampled_from(TENANTS),
    personal=st.booleans(),
    limit=st.sampled_from((3, 50)),
    status=st.sampled_from((None, "held")),
    days=st.sampled_from((None, 1, 40)),
    nodes=st.sampled_from((None, ["MAN"])),
)
def test_a_search_finds_the_newest(
    dsn: str,
    text: str,
    tenant: str,
    personal: bool,
    limit: int,
    status: str | None,
    days: int | None,
    nodes: list[str] | None,
) -> None:
    asked = [word for word in words_of(text) if len(word) > 1]
    since, before = (NEWEST - timedelta(days=days), NEWEST - timedelta(hours=1)) if days else (None, None)
    naive = [
        known.id
        for known in sorted(KNOWN[tenant], key=lambda known: (known.at, known.id), reverse=True)
        if known.has(asked, text, personal=personal)
        and (status is None or known.status == status)
        and (since is None or before is None or since <= known.at < before)
        and (nodes is None or "MAN" in known.nodes)
    ]
    wanted = OrderFilter(status=status, since=since, before=before)

    async def check() -> None:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            queries = Queries(pool, nodes)
            finder = Finder(queries, Contacts(queries, KEYRING))
            found: list[str] = []
            after = None
            while True:
                page = await finder.page(tenant, wanted, text, after, limit, personal=personal)
                found += [row["order_id"] for row in page.rows]
                assert page.complete
                assert len(page.rows) <= limit
                assert found == naive[: len(found)], "the newest, none left out"
                if page.following is None:
                    break
                after = page.following
            assert found == naive

    asyncio.run(check())
