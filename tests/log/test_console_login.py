"""Signing in to the console by OpenID Connect, and out again; what a session is worth, and a forged one."""

import re
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest

from services.console.web.sessions import Sessions
from tests.console_database import console_dsn, pool
from tests.console_site import HTML, People, people

__all__ = ["console_dsn", "people", "pool"]


async def follow(client: httpx.AsyncClient, path: str) -> httpx.Response:
    """Where a browser ends up that starts there."""
    return await client.get(path, headers=HTML, follow_redirects=True)


async def test_a_login_leads_to_the_page_that_was_asked_for(people: People) -> None:
    client = await people.browser()
    asked = await client.get("/?x=1", headers=HTML)
    assert asked.headers["location"] == "/login?back=%2F%3Fx%3D1"
    page = await follow(client, "/login?back=%2F%3Fx%3D1&hint=operator@acme")
    assert page.status_code == 200
    assert page.url.path == "/"
    assert page.url.query == b"x=1"
    assert "Olga Operator, Operator of <strong>acme</strong>" in page.text
    assert "anybody who reaches this console may sign in as anybody" in page.text
    cookie = next(cookie for cookie in client.cookies.jar if cookie.name == "orderlog_session")
    assert cookie.has_nonstandard_attr("HttpOnly")


async def test_without_a_hint_the_issuer_asks_who_it_is(people: People) -> None:
    client = await people.browser()
    page = await follow(client, "/login")
    assert "Sign in as whom?" in page.text
    for user in ("Vera Viewer", "Sam Support", "Olga Operator", "Rita Rules", "Ada Admin", "Aude Audit"):
        assert user in page.text
    hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
    hidden |= {"user": "sam", "tenant": "other-shop", "nodes": "LON, MAN"}
    inside = await client.get(
        "/development-issuer/authorize", params=hidden, headers=HTML, follow_redirects=True
    )
    assert "Sam Support, Support of <strong>other-shop</strong>, LON, MAN" in inside.text


async def test_signing_out_ends_the_session_everywhere(people: People) -> None:
    person = await people.sign_in("viewer")
    copied = await people.browser()
    copied.cookies.update(person.client.cookies)
    assert (await copied.get("/", headers=HTML)).status_code == 200
    assert "You are signed out" in await person.post("/logout")
    assert (await copied.get("/", headers=HTML)).status_code == 303


async def test_a_form_without_its_token_changes_nothing(people: People) -> None:
    person = await people.sign_in()
    for form, headers in (
        ({}, {}),
        ({"csrf": "guessed"}, {}),
        ({"csrf": person.csrf}, {"Origin": "https://evil.example"}),
        ({"csrf": (await people.sign_in()).csrf}, {}),
    ):
        answer = await person.client.post("/logout", data=form, headers=HTML | headers)
        assert answer.status_code == 403, form
        assert "nothing was changed" in answer.text
    await person.get("/")


@pytest.mark.parametrize("change", ["seen_at = now() - interval '3 hours'", "ends_at = now()"])
async def test_a_session_ends_with_time(people: People, pool: asyncpg.Pool, change: str) -> None:
    person = await people.sign_in()
    await pool.execute(f"UPDATE access.sessions SET {change}")  # noqa: S608
    assert (await person.client.get("/", headers=HTML)).status_code == 303


async def test_no_secret_of_a_session_is_in_the_database(people: People, pool: asyncpg.Pool) -> None:
    person = await people.sign_in()
    secret = person.client.cookies["orderlog_session"]
    rows = await pool.fetch("SELECT s::text AS row FROM access.sessions s")
    assert rows
    assert not any(secret in row["row"] for row in rows)


async def test_a_login_is_bound_to_its_browser_and_good_once(people: People) -> None:
    mine, theirs = await people.browser(), await people.browser()
    issuer = (await mine.get("/login?hint=admin@acme")).headers["location"]
    callback = (await mine.get(issuer)).headers["location"]
    assert {"code", "state"} <= parse_qs(urlsplit(callback).query).keys()
    stolen = await theirs.get(callback, headers=HTML)
    assert stolen.status_code == 400
    assert "another browser" in stolen.text
    good = await mine.get(callback, headers=HTML)
    assert (good.status_code, good.headers["location"]) == (303, "/")
    assert (await mine.get(callback, headers=HTML)).status_code == 400


async def test_a_login_leads_nowhere_else(people: People) -> None:
    for back in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:1"):
        client = await people.browser()
        page = await client.get("/login", params={"back": back, "hint": "viewer@acme"})
        page = await client.get(page.headers["location"])
        page = await client.get(page.headers["location"])
        assert page.headers["location"] == "/", back


async def test_a_code_of_another_verifier_is_worth_nothing(people: People) -> None:
    client = await people.browser()
    issuer = (await client.get("/login?hint=admin@acme")).headers["location"]
    callback = (await client.get(issuer.replace("code_challenge=", "code_challenge=x"))).headers["location"]
    answer = await client.get(callback, headers=HTML)
    assert answer.status_code == 400
    assert "You were not signed in" in answer.text


async def test_a_tenant_that_is_none_is_refused(people: People) -> None:
    client = await people.browser()
    answer = await follow(client, "/login?hint=admin@A%20shop")
    assert answer.status_code == 400
    assert "is no tenant" in answer.text
    of_nobody = await follow(await people.browser(), "/login?hint=admin@orderlog")
    assert of_nobody.status_code == 400
    assert "it is kept for what belongs to none" in of_nobody.text


async def test_every_page_is_strict(people: People) -> None:
    person = await people.sign_in()
    headers = (await person.client.get("/", headers=HTML)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    page = await person.get("/")
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", page)
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)


async def test_the_first_load_is_small(people: People) -> None:
    person = await people.sign_in()
    page = await person.client.get("/", headers=HTML)
    size = len(page.content)
    for path in re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text):
        asset = await person.client.get(path)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
        size += len(asset.content)
    assert size < 150_000, f"{size} bytes, not even compressed"


async def test_whether_a_session_lasts_is_asked_without_prolonging_it(
    people: People, pool: asyncpg.Pool
) -> None:
    person, sessions = await people.sign_in(), Sessions(pool, 3600, 1800)
    secret = person.client.cookies["orderlog_session"]
    await pool.execute("UPDATE access.sessions SET seen_at = now() - interval '20 minutes'")
    assert await sessions.lasts(secret)
    assert await pool.fetchval("SELECT seen_at < now() - interval '19 minutes' FROM access.sessions")
    await person.post("/logout")
    assert not await sessions.lasts(secret)
