"""The console's pages over read models in a throwaway PostgreSQL, and people who are signed in to them.

`people` is a fixture to import, with `console_dsn` and `pool`; no Kafka: what topics hold is told.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest_asyncio
from fastapi import FastAPI, Request
from pydantic import SecretStr

from libs.runtime import problems
from libs.runtime.edge import require
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.load import Load
from libs.runtime.routers import add_routes
from libs.runtime.settings import Settings
from libs.runtime.tokens import Claims, mint, new_signing_key
from libs.runtime.wire import Record
from services.console import api
from services.console.api import Reads
from services.console.contacts import Contacts
from services.console.feed import Feed
from services.console.history import History, ReadFrom
from services.console.own_writes import OwnWrites
from services.console.queries import Queries
from services.console.saved_views import SavedViews
from services.console.web import errors, insight_api
from services.console.web.assets import Assets
from services.console.web.looks import Looks
from services.console.web.shell import Shell
from services.console.web.site import AboutOrders, Site
from services.console.website import add_pages, open_site

URL = "http://console.test"
HTML = {"Accept": "text/html"}
ASSETS = Assets()
"""For all sites of a process: packing them and compiling templates that link to them takes time."""


@dataclass(frozen=True)
class Person:
    """A browser with a session: a client, and the token that its forms carry."""

    client: httpx.AsyncClient
    csrf: str

    async def get(self, path: str, answered: int = 200, **query: Any) -> str:
        """A page's HTML."""
        answer = await self.client.get(path, params=query or None, headers=HTML)
        assert answer.status_code == answered, answer.text
        return answer.text

    async def post(self, path: str, answered: int = 200, **form: Any) -> str:
        """What comes of sending a form of the console's; a redirect is followed."""
        answer = await self.client.post(
            path, data={"csrf": self.csrf, **form}, headers=HTML, follow_redirects=True
        )
        assert answer.status_code == answered, answer.text
        return answer.text


class People:
    """Who signs in, as anybody: `await people.sign_in("support")`. `app` is all of it, `site` its parts."""

    def __init__(
        self, app: FastAPI, site: Site, stack: AsyncExitStack, ends: dict[tuple[str, int], int]
    ) -> None:
        self.app, self.site, self.ends = app, site, ends
        self._stack = stack

    async def browser(self) -> httpx.AsyncClient:
        """Somebody who is not signed in."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return await self._stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=URL))

    async def sign_in(
        self, role: str = "operator", tenant: str = "acme", nodes: tuple[str, ...] | None = None
    ) -> Person:
        """Somebody with that role, whose session began without the detour by the issuer."""
        sessions = self.site.guard.sessions
        secret = await sessions.start(tenant, f"{role}@{tenant}", role.title(), role, nodes)
        found = await sessions.find(secret)
        assert found is not None
        client = await self.browser()
        client.cookies.set(self.site.guard.cookie, secret)
        return Person(client, found.csrf)


@dataclass(frozen=True)
class Gate:
    """The console's own gate to its API."""

    settings: Settings

    def require(self, *roles: str) -> Callable[[Request], Awaitable[Claims]]:
        return require(self.settings, *roles)


def add_api(people: People, read_from: ReadFrom) -> None:
    """The query API beside the pages, as the console has it; topics hold what `read_from` tells."""
    site, gate = people.site, Gate(people.site.settings)
    own_writes = OwnWrites(site.everything, Load("console", site.settings), 5.0)

    async def held() -> Mapping[str, int]:
        return {}

    feed = Feed(site.everything, read_from)
    reads = Reads(site.everything, site.about.contacts, own_writes, feed, held)
    add_routes(people.app, api.routes(gate, reads), insight_api.routes(gate, site.everything, own_writes))


def bearer(people: People, role: str = "viewer", tenant: str = "acme") -> dict[str, str]:
    """The header of a request with a token of that role."""
    token = mint(people.site.settings.jwt_key_file, tenant, f"{role}@{tenant}", role, 600)
    return {"Authorization": f"Bearer {token}"}


Ends = Callable[[], Mapping[tuple[str, int], int]]


async def no_records(topic: str, partition: int, offset: int) -> Sequence[Record]:
    """Topics that hold nothing."""
    return ()


@pytest_asyncio.fixture
async def people(console_dsn: str, pool: asyncpg.Pool, tmp_path: Path) -> AsyncIterator[People]:
    """The console's pages, as the console puts them together. `people.ends` is what the topics hold."""
    key = tmp_path / "jwt.json"
    key.write_bytes(new_signing_key())
    config = Settings(
        console_url=URL,
        development_issuer=True,
        database_url=SecretStr(console_dsn),
        jwt_key_file=key,
        stage_url="http://127.0.0.1:9",
    )
    ends: dict[tuple[str, int], int] = {}

    async def held() -> Mapping[tuple[str, int], int]:
        return ends

    app = FastAPI()
    problems.install(app)
    shell = Shell(config, ASSETS)
    errors.install(app, shell)
    add_routes(app, ASSETS.routes())
    async with AsyncExitStack() as stack:
        queries = Queries(pool)
        contacts = Contacts(queries, MemoryKeyring())
        about = AboutOrders(contacts, History(no_records), SavedViews(pool), Looks(pool))
        site = await open_site(config, pool, queries, held, about, shell, stack)
        add_pages(app, site)
        yield People(app, site, stack, ends)
        site.feed.close()
