"""Who sees what: every route with a wrong tenant, a wrong role, no login; people of some nodes only."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.console.store import Projector
from services.console.web.roles import ROLES
from tests.console_database import console_dsn, pool
from tests.console_site import HTML, People, people
from tests.log.test_console_api import published
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

OPEN_TO_ALL = {"/login", "/login/callback", "/signed-out", "/logout"}
OPEN_PREFIXES = ("/assets/", "/development-issuer/")
"""What somebody who is not signed in may ask for."""
LOOKS = ("GET", "HEAD")
FORBIDDEN_MARKS = ("o-0", "X-o-0", "Lantern", "17850", "RM1", "m-3")
"""What is in acme's orders and in nobody else's."""
VALUES = {"order_id": "o-0", "sku": "A", "stage": "intake"}


@pytest_asyncio.fixture
async def filled(people: People, pool: asyncpg.Pool) -> AsyncIterator[People]:
    """The pages over acme's orders."""
    await feed(Projector(pool), published())
    yield people


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route, its parameters filled in with what acme has."""
    found = []
    for route in walk(app.routes):
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda named: VALUES.get(named[1], "o-0"), route.path)
        found += [(method, path) for method in sorted(route.methods or ())]
    return found


def walk(routes: object) -> list[APIRoute]:
    """Routes, also those of routers that were included."""
    found: list[APIRoute] = []
    for route in routes:  # type: ignore[attr-defined]
        if isinstance(route, APIRoute):
            found.append(route)
            continue
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if inner is not None and hasattr(inner, "routes"):
            found += walk(inner.routes)
    return found


def guarded(app: FastAPI) -> list[tuple[str, str]]:
    found = [
        (method, path)
        for method, path in routes(app)
        if path not in OPEN_TO_ALL and not path.startswith(OPEN_PREFIXES)
    ]
    assert ("GET", "/") in found
    assert ("GET", "/live") in found
    return found


async def test_nobody_gets_anywhere_without_a_login(filled: People) -> None:
    client = await filled.browser()
    for method, path in guarded(filled.app):
        answer = await client.request(method, path, headers=HTML)
        if path.startswith("/v1/"):
            assert answer.status_code == 401, (method, path)
        else:
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].startswith("/login"), (method, path)
        assert not any(mark in answer.text for mark in FORBIDDEN_MARKS), (method, path)


async def test_a_session_that_is_none_gets_nowhere(filled: People) -> None:
    client = await filled.browser()
    for forged in ("", "x" * 43, "../../etc", "a" * 4000):
        client.cookies.clear()
        client.cookies.set("orderlog_session", forged)
        assert (await client.get("/", headers=HTML)).status_code == 303


async def test_another_tenant_finds_nothing_anywhere(filled: People) -> None:
    for role in ROLES:
        rival = await filled.sign_in(role, "rival")
        for method, path in guarded(filled.app):
            if path == "/live" or path.startswith("/v1/"):
                continue  # a stream has no end, and the API has its own test
            answer = await rival.client.request(
                method, path, headers=HTML, data={"csrf": rival.csrf} if method not in LOOKS else None
            )
            text = answer.text.replace(path, "")
            assert not any(mark in text for mark in FORBIDDEN_MARKS), (role, method, path)
            assert answer.status_code < 500, (role, method, path, answer.text)


async def test_a_viewer_changes_nothing(filled: People) -> None:
    viewer = await filled.sign_in("viewer")
    for method, path in guarded(filled.app):
        if method not in LOOKS and not path.startswith("/v1/"):
            answer = await viewer.client.request(method, path, headers=HTML, data={"csrf": viewer.csrf})
            assert answer.status_code == 403, (method, path)


async def test_no_role_changes_anything_without_the_token_of_its_forms(filled: People) -> None:
    admin = await filled.sign_in("admin")
    for method, path in guarded(filled.app):
        if method not in LOOKS and not path.startswith("/v1/"):
            answer = await admin.client.request(method, path, headers=HTML, data={"csrf": "guessed"})
            assert answer.status_code == 403, (method, path)
            assert "nothing was changed" in answer.text


async def test_the_platform_is_for_those_who_look_after_it(filled: People) -> None:
    for role, permissions in ROLES.items():
        person = await filled.sign_in(role)
        await person.get("/platform", 200 if "platform" in permissions else 403)
        assert ('href="/platform"' in await person.get("/")) == ("platform" in permissions)


@pytest.mark.parametrize(
    ("nodes", "orders"),
    [(("LON",), {"o-0", "o-1", "o-2"}), (("MAN",), {"o-1"}), (("nowhere",), set()), ((), set())],
)
async def test_people_of_some_nodes_see_those_orders_and_that_stock(
    filled: People, nodes: tuple[str, ...], orders: set[str]
) -> None:
    queries = filled.site.everything.within(nodes)
    seen = await queries.stock("acme", None, None, None, 100)
    assert {row["node"] for row in seen} <= set(nodes)
    claims = await queries.reservations("acme", None, None, None, 1000)
    assert {row["order_id"] for row in claims} == orders
    assert bool(await queries.timeline("acme", "o-1", None, 10)) == ("o-1" in orders)
    assert bool(await queries.order("acme", "o-0", 10)) == ("o-0" in orders)


HOSTILE = (
    "<script>alert(1)</script>",
    "'; DROP TABLE live.orders; --",
    "{{ 7 * 7 }}",
    "\u202egnirts",
    "x" * 5_000,
    "a\x00b",
    "%00",
)


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_in_an_address_is_answered_clearly(filled: People, text: str) -> None:
    person = await filled.sign_in("admin")
    for path, query in (
        ("/live", {"since": text}),
        ("/login", {"back": text}),
        ("/login/callback", {"state": text}),
    ):
        answer = await person.client.get(path, params=query, headers=HTML)
        assert 300 <= answer.status_code < 500, (path, answer.status_code)
        assert "<script>alert(1)" not in answer.text
        assert ">49<" not in answer.text
