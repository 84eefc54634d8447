"""The console's pages under fifty people, beside the same queries by hand in SQL: what each takes.

In this process, on a database of the bench's: without Kafka, stages or a network, with all of a page's own
work.
"""

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx2
from fastapi import FastAPI

from cli.bench import asks, month
from cli.bench.asks import ASKS, There
from cli.bench.copies import fill, name
from cli.bench.month import TENANT
from cli.bench.processor import session_seconds
from libs.runtime import problems
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.migrate import create_beside, drop
from libs.runtime.postgres_log import open_pool
from libs.runtime.routers import add_routes
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
PLAYED = 1_000
"""Orders that go through the stages; all others are copies of them."""
THINKING_SECONDS = 5.0
"""Between a page and the next, half of it to one and a half; people take longer."""
_WEIGHTS = {"order": 5.0, "today": 2.0, "insight": 0.2}
"""How often a page of that kind is asked for, to one of a list or a search."""
_BY_HAND = 200
_EXPORT_BYTES = 1_000
"""The names of the columns are fewer: rows have come."""
_SET = "SELECT set_config('orderlog.projector', 'on', true)"
_BY_HAND_SQL = {
    "list": """SELECT order_id, status, channel, external_id, ordered_at, total_minor FROM live.orders
        WHERE tenant = $1 AND status = $2 AND ordered_at IS NOT NULL
        ORDER BY ordered_at DESC, order_id DESC LIMIT 51""",
    "search": """SELECT o.order_id, o.status, o.external_id FROM (SELECT tenant, order_id FROM search.parts
            WHERE tenant = $1 AND tokens @> $2::integer[] LIMIT 1000) p
        JOIN live.orders o USING (tenant, order_id) ORDER BY o.ordered_at DESC LIMIT 51""",
    "order": """SELECT o.*, t.* FROM live.orders o JOIN live.timeline t USING (tenant, order_id)
        WHERE o.tenant = $1 AND o.order_id = $2 ORDER BY t.at""",
    "today": """SELECT status, count(*), min(last_at) FROM live.orders
        WHERE tenant = $1 AND status NOT IN ('delivered', 'lost', 'unroutable', 'cancelled', 'rejected')
            AND shipped_at IS DISTINCT FROM $2 GROUP BY status""",
}
_ASSET = re.compile(r'(?:href|src)="(/assets/[^"]+)"')

Millis = Mapping[str, Sequence[float]]
"""Milliseconds of each page or query, by its name."""


@dataclass(slots=True)
class Measured:
    """Pages as people ask for them, by a name of ASKS, and exports to their first rows; their queries by
    hand, one after the other; what a browser that was never here before loads with Today, as it comes over
    the wire.

    `page_ms`: processor time of a page, this process's and the database's.
    """

    orders: int
    fill_seconds: float
    first_load_bytes: int = 0
    pages: dict[str, list[float]] = field(default_factory=dict)
    export_ms: list[float] = field(default_factory=list)
    by_hand: Millis = field(default_factory=dict)
    pages_per_second: float = 0.0
    page_ms: float = 0.0
    database_ms: float = 0.0
    load: float = 0.0
    refused: int = 0


async def measure(config: Settings, orders: int, seconds: float) -> Measured:
    """Of so many orders in the read models, for so long."""
    began = time.monotonic()
    create_beside(config, DATABASE, "console")
    try:
        keyring = MemoryKeyring()
        played = await month.play(config, min(PLAYED, orders), datetime.now(UTC))
        copies = max(1, orders // len(played.changes.states))
        async with asyncpg.create_pool(config.dsn(DATABASE), min_size=1, max_size=12) as patient:
            await fill(patient, keyring, played, copies)
            there = await asks.look(patient, [article.description for article in played.articles])
        found = Measured(copies * len(played.changes.states), time.monotonic() - began)
        del played
        async with _site(config, keyring) as (client, app, pool):
            found.first_load_bytes = await _first_load(client)
            await _crowd(found, client, config, there, seconds)
            found.export_ms = [await _export(app, client, there, n) for n in range(20)]
            found.by_hand = await _by_hand(pool, keyring, there)
        return found
    finally:
        drop(config, DATABASE)


async def _crowd(
    found: Measured, client: httpx2.AsyncClient, config: Settings, there: There, seconds: float
) -> None:
    """Everybody at once; each kind of page once before, so that nobody measures an empty cache."""
    choice = random.Random(0)  # noqa: S311
    for _, ask in ASKS.values():
        await _get(client, ask(choice, there))
    sessions = [config.dsn(DATABASE).rpartition("/")[2].partition("?")[0]]
    mine, theirs, began = time.process_time(), session_seconds(sessions), time.monotonic()
    until = began + seconds
    found.pages = {kind: [] for kind in ASKS}
    turns = [_person(client, random.Random(n), there, found, until) for n in range(USERS)]  # noqa: S311
    await asyncio.gather(*turns)
    count = sum(map(len, found.pages.values()))
    found.pages_per_second = count / (time.monotonic() - began)
    found.page_ms = (time.process_time() - mine) / count * 1000
    found.database_ms = (session_seconds(sessions) - theirs) / count * 1000
    found.load = os.getloadavg()[0]


async def _get(client: httpx2.AsyncClient, address: str) -> bool:
    """Whether it came; 503 tells that all connections are taken."""
    answer = await client.get(address, headers={"Accept": "text/html"})
    assert answer.status_code in (200, 404, 503), f"{answer.request.url}: {answer.status_code}"
    return answer.status_code != 503


async def _person(
    client: httpx2.AsyncClient,
    choice: random.Random,
    there: There,
    found: Measured,
    until: float,
) -> None:
    await asyncio.sleep(choice.random() * THINKING_SECONDS)
    names, weights = list(ASKS), [_WEIGHTS.get(sort, 1.0) for sort, _ in ASKS.values()]
    while time.monotonic() < until:
        [kind] = choice.choices(names, weights)
        address = ASKS[kind][1](choice, there)
        began = time.perf_counter()
        found.refused += not await _get(client, address)
        found.pages[kind].append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(THINKING_SECONDS * (0.5 + choice.random()))


class _Enough(Exception):
    """The first rows are there."""


async def _export(app: FastAPI, client: httpx2.AsyncClient, there: There, number: int) -> float:
    """Milliseconds until the first rows of a list come."""
    query = ("", "status=delivered", "status=backordered", "channel=retail")[number % 4]
    cookies = "; ".join(f"{key}={value}" for key, value in client.cookies.items())
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/orders.csv", "raw_path": b"/orders.csv", "root_path": "", "query_string": query.encode(),
        "headers": [(b"host", client.base_url.netloc), (b"cookie", cookies.encode())],
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    so_far = 0

    async def receive() -> dict[str, object]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, object]) -> None:
        nonlocal so_far
        assert message.get("status", 200) == 200, message
        body = message.get("body", b"")
        assert isinstance(body, bytes)
        so_far += len(body)
        if so_far > _EXPORT_BYTES:
            raise _Enough

    began = time.perf_counter()
    with suppress(_Enough, BaseExceptionGroup):
        await app(scope, receive, send)
    return (time.perf_counter() - began) * 1000


async def _first_load(client: httpx2.AsyncClient) -> int:
    """Bytes of Today with its style and scripts, packed where a browser takes it packed."""
    page = await client.get("/", headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
    found = len(page.content)
    for path in sorted(set(_ASSET.findall(page.text))):
        async with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as asset:
            found += sum([len(chunk) async for chunk in asset.aiter_raw()])
    return found


async def _by_hand(pool: asyncpg.Pool, keyring: MemoryKeyring, there: There) -> Millis:
    choice = random.Random(0)  # noqa: S311
    taken: dict[str, list[float]] = {kind: [] for kind in _BY_HAND_SQL}
    key, yesterday = keyring.index_key(TENANT), there.newest - timedelta(days=1)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_SET)
        for number in range(_BY_HAND):
            values = {
                "list": choice.choice(("held", "delivered")),
                "search": wanted(name(choice.randrange(10_000)), TENANT, key).sealed_tokens,
                "order": choice.choice(there.orders)["order_id"],
                "today": yesterday,
            }
            for kind, query in _BY_HAND_SQL.items():
                if kind == "today" and number % 20:
                    continue
                began = time.perf_counter()
                await connection.fetch(query, TENANT, values[kind])
                taken[kind].append((time.perf_counter() - began) * 1000)
    return taken


@asynccontextmanager
async def _site(
    config: Settings, keyring: MemoryKeyring
) -> AsyncIterator[tuple[httpx2.AsyncClient, FastAPI, asyncpg.Pool]]:
    """Somebody who is signed in, the pages, and their connections."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(config.dsn(DATABASE), config, DATABASE)
        stack.push_async_callback(pool.close)
        queries = Queries(pool)
        about = AboutOrders(Contacts(queries, keyring), History(_no_records), SavedViews(pool), Looks(pool))
        shell = Shell(config, assets := Assets())
        app = FastAPI()
        problems.install(app)
        add_routes(app, assets.routes())
        site = await open_site(config, pool, queries, _no_ends, about, shell, stack)
        add_pages(app, site)
        secret = await site.guard.sessions.start(TENANT, "bench", "Bench", "admin", None)
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url=site.guard.url,
            cookies={site.guard.cookie: secret},
        )
        await stack.enter_async_context(client)
        yield client, app, pool


async def _no_records(topic: str, partition: int, offset: int) -> Sequence[Record]:
    return ()


async def _no_ends() -> Mapping[tuple[str, int], int]:
    return {}
