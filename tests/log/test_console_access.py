"""Who sees what: every route with a wrong tenant, a wrong role, no login; people of some nodes only."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.routing import APIRoute

from libs.runtime.problems import Problem
from services.console.store import Projector
from services.console.web.roles import ROLES, Permission
from services.console.web.sessions import Session
from tests.console_database import console_dsn, pool
from tests.console_site import HTML, People, Person, people
from tests.log.test_console_api import published
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

OPEN_TO_ALL = {"/login", "/login/callback", "/signed-out", "/logout"}
OPEN_PREFIXES = ("/assets/", "/development-issuer/", "/o/")
"""What somebody who is not signed in may ask for; a customer's link (/o/) is a key of its own."""
LOOKS = ("GET", "HEAD")
FORBIDDEN_MARKS = ("o-0", "X-o-0", "Lantern", "17850", "RM1", "m-3")
"""What is in acme's orders and in nobody else's."""
VALUES = {"order_id": "o-0", "sku": "A", "stage": "intake", "round": "1"}


@pytest_asyncio.fixture
async def filled(people: People, pool: asyncpg.Pool) -> AsyncIterator[People]:
    """The pages over acme's orders."""
    await feed(Projector(pool), published())
    yield people


def marks(text: str, person: Person, *asked: str) -> list[str]:
    """What is in acme's orders alone and stands on a page, but for what the person `asked` for themselves.
    The token of their forms is on each page: it is random, and may have three letters of anything."""
    for own in (person.csrf, *asked):
        text = text.replace(own, "")
    return [mark for mark in FORBIDDEN_MARKS if mark in text]


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route, its parameters filled in with what acme has."""
    return [one for route in walk(app.routes) for one in concrete(route)]


def concrete(route: APIRoute) -> list[tuple[str, str]]:
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda named: VALUES.get(named[1], "o-0"), route.path)
    return [(method, path) for method in sorted(route.methods or ())]


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
            assert marks(answer.text, rival, path) == [], (role, method, path)
            assert answer.status_code < 500, (role, method, path, answer.text)


async def test_no_role_changes_anything_without_the_token_of_its_forms(filled: People) -> None:
    admin = await filled.sign_in("admin")
    for method, path in guarded(filled.app):
        if method not in LOOKS and not path.startswith("/v1/"):
            answer = await admin.client.request(method, path, headers=HTML, data={"csrf": "guessed"})
            assert answer.status_code == 403, (method, path)
            assert "nothing was changed" in answer.text


NEEDS: dict[str, Permission] = {
    "GET /access": "audit",
    "GET /exceptions/rules/change": "rules",
    "POST /exceptions/hold/release": "release",
    "POST /exceptions/review/approve": "release",
    "POST /exceptions/rules/change": "rules",
    "POST /exceptions/rules/drop": "rules",
    "POST /exceptions/parked/care/{verb}": "repair",
    "POST /exceptions/stock/care/{verb}": "work",
    "POST /exceptions/feed/care/{verb}": "work",
    "POST /exceptions/stock/{verb}": "adjust",
    "POST /exceptions/{verb}": "work",
    "POST /orders/bulk/cancel": "cancel",
    "POST /orders/bulk/release": "release",
    "POST /orders/views": "read",
    "POST /orders/views/delete": "read",
    "GET /orders/{order_id}/cancel": "cancel",
    "POST /orders/{order_id}/cancel": "cancel",
    "GET /orders/{order_id}/cancel-lines": "cancel",
    "POST /orders/{order_id}/cancel-lines": "cancel",
    "POST /orders/{order_id}/amend": "cancel",
    "POST /orders/{order_id}/amend/confirm": "cancel",
    "GET /orders/{order_id}/change": "cancel",
    "POST /orders/{order_id}/contact": "personal",
    "POST /orders/{order_id}/holds": "hold",
    "GET /orders/{order_id}/holds/{hold}/release": "release",
    "POST /orders/{order_id}/holds/{hold}/release": "release",
    "GET /orders/{order_id}/review/{round}": "release",
    "POST /orders/{order_id}/review/{round}": "release",
    "POST /orders/{order_id}/link": "personal",
    "POST /orders/{order_id}/notes": "note",
    "GET /orders/{order_id}/returns/{rma_id}": "adjust",
    "GET /orders/{order_id}/returns/{rma_id}/receive": "adjust",
    "POST /orders/{order_id}/returns/{rma_id}/receive": "adjust",
    "GET /orders/{order_id}/return": "returns",
    "GET /orders/{order_id}/return/preview": "returns",
    "POST /orders/{order_id}/return": "returns",
    "GET /parts/platform": "platform",
    "GET /platform": "platform",
    "GET /platform/rebuild": "rebuild",
    "POST /platform/rebuild": "rebuild",
    "POST /platform/{stage}/{verb}": "repair",
}
"""What a page takes; each other that only shows something, `read`."""


async def test_each_route_is_for_the_roles_that_have_its_permission_and_for_no_other(filled: People) -> None:
    people, met = {role: await filled.sign_in(role) for role in ROLES}, set()
    for route in walk(filled.app.routes):
        for method, path in concrete(route):
            name = f"{method} {route.path}"
            if path in OPEN_TO_ALL or path.startswith((*OPEN_PREFIXES, "/v1/")) or path == "/live":
                continue
            assert method in LOOKS or name in NEEDS, f"say what {name} takes"
            met.add(name)
            for role, person in people.items():
                form = {"csrf": person.csrf} if method not in LOOKS else None
                answer = await person.client.request(method, path, headers=HTML, data=form)
                refused = answer.status_code == 403 and "Your role may not do this" in answer.text
                assert refused == (NEEDS.get(name, "read") not in ROLES[role]), (
                    name,
                    role,
                    answer.status_code,
                )
    assert set(NEEDS) <= met, "there is no such route any more"


async def test_the_navigation_shows_what_the_role_may_see(filled: People) -> None:
    for role, permissions in ROLES.items():
        person = await filled.sign_in(role)
        today = await person.get("/")
        assert ('href="/platform"' in today) == ("platform" in permissions)
        assert ('href="/access"' in today) == ("audit" in permissions)


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


_LOOKED = "SELECT tenant, order_id, actor, role, reason FROM access.unmaskings WHERE actor = $1"
WHY = "the parcel came back; wants the <b>address</b>"


async def test_each_look_at_personal_data_has_a_reason_and_is_on_record_for_ever(
    filled: People, pool: asyncpg.Pool
) -> None:
    support = await filled.sign_in("support")
    await support.post("/orders/o-0/contact", why=f" {WHY}\n")
    for why in ("", " \n", "x" * 201, "x" * 501):
        await support.post("/orders/o-0/contact", 422, why=why)
    await support.post("/orders/o-0/contact", 422)
    await (await filled.sign_in("viewer")).post("/orders/o-0/contact", 403, why="curious")
    [row] = await pool.fetch(_LOOKED, "support@acme")
    assert tuple(row) == ("acme", "o-0", "support@acme", "support", WHY)
    for change in ("DELETE FROM", "TRUNCATE"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await pool.execute(f"{change} access.unmaskings")


async def test_a_look_needs_a_role_and_a_reason_whoever_asks_for_it(
    people: People, pool: asyncpg.Pool
) -> None:
    sam = Session("acme", "idle", "Idle", "support", "")
    for who, why in ((sam, ""), (sam, " \n"), (sam, "x" * 201), (replace(sam, role="viewer"), "curious")):
        with pytest.raises(Problem):
            await people.site.about.looks.note(who, "o-0", why)
    assert await pool.fetch(_LOOKED, "idle") == []


async def test_the_auditor_reads_who_looked_at_whose_data_and_why(filled: People) -> None:
    looks = filled.site.about.looks
    for actor, order, why in (("sam", "o-0", WHY), ("sue", "o-1", "rang"), ("sam", "gone", "asked")):
        await looks.note(Session("acme", actor, actor.title(), "support", ""), order, why)
    await looks.note(Session("rival", "eve", "Eve", "support", ""), "r-1", "theirs")
    auditor = await filled.sign_in("auditor")
    page = await auditor.get("/access")
    assert seen(page)[:3] == [("sam", "gone"), ("sue", "o-1"), ("sam", "o-0")]
    assert "the parcel came back; wants the &lt;b&gt;address" in page
    assert "web/X-o-0" in page
    assert "theirs" not in page
    assert seen(await auditor.get("/access", person="sam")) == [("sam", "gone"), ("sam", "o-0")]
    for order in ("o-0", "X-o-0"):
        assert seen(await auditor.get("/access", order=order))[0] == ("sam", "o-0"), order
    assert seen(await auditor.get("/access", person="sue", order="o-0")) == []
    assert "Nobody has looked" in await auditor.get("/access", person="nobody")
    assert '"/access?order=o-0"' in await auditor.get("/orders/o-0")
    elsewhere = await filled.sign_in("auditor", nodes=("MAN",))
    assert seen(await elsewhere.get("/access")) == [("sue", "o-1")]
    assert seen(await (await filled.sign_in("auditor", "rival")).get("/access")) == [("eve", "r-1")]


async def test_looks_page_by_page(filled: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.console.pages.access.ROWS", 2)
    pat = Session("acme", "pat", "Pat", "support", "")
    for number in range(5):
        await filled.site.about.looks.note(pat, f"n-{number}", "asked")
    admin = await filled.sign_in("admin")
    page, paged = await admin.get("/access?person=pat"), []
    while following := re.search(r'rel="next" href="([^"]+)"', page):
        paged += seen(page)
        page = await admin.get(html.unescape(following[1]))
    assert "First page" in page
    assert [order for _, order in [*paged, *seen(page)]] == [f"n-{number}" for number in (4, 3, 2, 1, 0)]
    await admin.get("/access", 400, after="nonsense")
    await admin.get("/access", 422, person="a\x00b")


def seen(page: str) -> list[tuple[str, str]]:
    """(person, order) of each row."""
    return re.findall(r'href="/access\?person=([^"]+)".*?href="/orders/([^"]+)"', page, re.DOTALL)
