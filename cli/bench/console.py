"""The console's pages under fifty people, beside the same queries by hand in SQL: what each takes.

In this process, on a database of the bench's: without Kafka or a network, with all of a page's own work.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx2
from fastapi import FastAPI

from cli.bench.console_rows import CUSTOMERS, SKUS, TENANT, name, seed
from libs.runtime import problems
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.migrate import create_beside, drop
from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from libs.runtime.wire import Record
from services.console.contacts import Contacts
from services.console.history import History
from services.console.queries import Queries
from services.console.saved_views import SavedViews
from services.console.search.terms import wanted
from services.console.web.assets import Assets
from services.console.web.looks import Looks
from services.console.web.shell import Shell
from services.console.web.site import AboutOrders
from services.console.website import add_pages, open_site

DATABASE = "bench_console"
USERS = 50
ORDERS_A_DAY = 20_000
"""The last of them now; so Today has a day of that size."""
THINKING_SECONDS = 1.0
"""Between a page and the next; people take longer."""
_BY_HAND = 300
_LIST = """SELECT order_id, status, channel, external_id, ordered_at, total_minor FROM live.orders
    WHERE tenant = $1 AND status = $2 AND ordered_at IS NOT NULL
    ORDER BY ordered_at DESC, order_id DESC LIMIT 51"""
_SEARCH = """SELECT o.order_id, o.status, o.external_id
    FROM search.parts p JOIN live.orders o USING (tenant, order_id)
    WHERE p.tenant = $1 AND p.tokens @> $2::integer[] ORDER BY o.ordered_at DESC LIMIT 51"""
_STATUSES = """SELECT status, count(*), min(last_at) FROM live.orders
    WHERE tenant = $1 AND status NOT IN ('delivered', 'cancelled', 'rejected') GROUP BY status"""
_THROUGH = """SELECT date_trunc('hour', shipped_at), count(*) FROM live.orders
    WHERE tenant = $1 AND last_at >= $2 AND shipped_at >= $2 GROUP BY 1"""
_ASSET = re.compile(r'(?:href|src)="(/assets/[^"]+)"')
KINDS = ("list", "search", "order", "today")
_ORDER = """SELECT o.*, t.* FROM live.orders o JOIN live.timeline t USING (tenant, order_id)
    WHERE o.tenant = $1 AND o.order_id = $2 ORDER BY t.at"""

Millis = Mapping[str, Sequence[float]]
"""Milliseconds of each page or query, by its kind, of KINDS."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Pages as people ask for them, their queries by hand one after the other, and what a browser that was
    never here before loads with Today, as it comes over the wire."""

    pages: Millis
    by_hand: Millis
    first_load_bytes: int


async def measure(config: Settings, orders: int, seconds: float) -> Measured:
    """Of so many orders in the read models, for so long."""
    async with _pages(config, orders) as (client, pool, keyring, ids):
        first_load = await _first_load(client)
        pages: dict[str, list[float]] = {kind: [] for kind in KINDS}
        until = time.monotonic() + seconds
        turns = [_person(client, random.Random(n), ids, pages, until) for n in range(USERS)]  # noqa: S311
        await asyncio.gather(*turns)
        return Measured(pages, await _by_hand(pool, keyring, ids), first_load)


async def _first_load(client: httpx2.AsyncClient) -> int:
    """Bytes of Today with its style and scripts, packed where a browser takes it packed."""
    page = await client.get("/", headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
    found = len(page.content)
    for path in sorted(set(_ASSET.findall(page.text))):
        async with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as asset:
            found += sum([len(chunk) async for chunk in asset.aiter_raw()])
    return found


async def _person(
    client: httpx2.AsyncClient,
    choice: random.Random,
    ids: Sequence[str],
    taken: dict[str, list[float]],
    until: float,
) -> None:
    await asyncio.sleep(choice.random() * THINKING_SECONDS)
    while time.monotonic() < until:
        kind = choice.choice(KINDS)
        began = time.perf_counter()
        answer = await client.get(_address(kind, choice, ids), headers={"Accept": "text/html"})
        taken[kind].append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, f"{answer.request.url}: {answer.status_code}"
        await asyncio.sleep(THINKING_SECONDS * (0.5 + choice.random()))


def _address(kind: str, choice: random.Random, ids: Sequence[str]) -> str:
    if kind == "today":
        return "/"
    if kind == "order":
        return f"/orders/{choice.choice(ids)}"
    if kind == "search":
        words = (name(choice.randrange(1, len(ids))), f"zy{choice.randrange(10**4):04d}", "lantern")
        return str(httpx2.URL("/orders", params={"q": choice.choice(words)}))
    filters = ("", "?status=held", "?status=delivered", f"?customer={choice.randrange(CUSTOMERS)}")
    return "/orders" + choice.choice((*filters, f"?sku=SKU-{choice.randrange(SKUS)}"))


async def _by_hand(pool: asyncpg.Pool, keyring: MemoryKeyring, ids: Sequence[str]) -> Millis:
    choice = random.Random(0)  # noqa: S311
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    yesterday = datetime.now(UTC) - timedelta(days=1)
    key = keyring.index_key(TENANT)

    async def ask(kind: str, query: Callable[[], Awaitable[object]]) -> None:
        began = time.perf_counter()
        await query()
        taken[kind].append((time.perf_counter() - began) * 1000)

    async with pool.acquire() as connection, connection.transaction():

        async def today() -> None:
            await connection.fetch(_STATUSES, TENANT)
            await connection.fetch(_THROUGH, TENANT, yesterday)

        await connection.execute("SELECT set_config('orderlog.projector', 'on', true)")
        for _ in range(_BY_HAND):
            status, id_ = choice.choice(("held", "delivered")), choice.choice(ids)
            tokens = wanted(name(choice.randrange(1, len(ids))), TENANT, key).sealed_tokens
            await ask("list", lambda status=status: connection.fetch(_LIST, TENANT, status))  # type: ignore[misc]
            await ask("search", lambda t=tokens: connection.fetch(_SEARCH, TENANT, t))  # type: ignore[misc]
            await ask("order", lambda i=id_: connection.fetch(_ORDER, TENANT, i))  # type: ignore[misc]
        for _ in range(_BY_HAND // 10):
            await ask("today", today)
    return taken


@asynccontextmanager
async def _pages(
    config: Settings, orders: int
) -> AsyncIterator[tuple[httpx2.AsyncClient, asyncpg.Pool, MemoryKeyring, Sequence[str]]]:
    create_beside(config, DATABASE, "console")
    try:
        async with AsyncExitStack() as stack:
            pool = await open_pool(config.dsn(DATABASE), config, DATABASE)
            stack.push_async_callback(pool.close)
            keyring = MemoryKeyring()
            await seed(pool, keyring, orders, datetime.now(UTC), timedelta(days=1) / ORDERS_A_DAY)
            queries = Queries(pool)
            about = AboutOrders(
                Contacts(queries, keyring), History(_no_records), SavedViews(pool), Looks(pool)
            )
            shell = Shell(config, assets := Assets())
            app = FastAPI()
            problems.install(app)
            app.include_router(assets.routes())
            site = await open_site(config, pool, queries, _no_ends, about, shell, stack)
            add_pages(app, site)
            secret = await site.guard.sessions.start(TENANT, "bench", "Bench", "operator", None)
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=app),
                base_url=site.guard.url,
                cookies={site.guard.cookie: secret},
            )
            await stack.enter_async_context(client)
            rows = await pool.fetch(
                "SELECT md5('order ' || n)::uuid::text FROM generate_series(1, 5000) AS n"
            )
            yield client, pool, keyring, [row[0] for row in rows[:orders]]
    finally:
        drop(config, DATABASE)


async def _no_records(topic: str, partition: int, offset: int) -> Sequence[Record]:
    return ()


async def _no_ends() -> Mapping[tuple[str, int], int]:
    return {}
