"""Late and at-risk orders as pages and programs see them, and how far nodes are with what is allocated."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import date
from pathlib import Path

import asyncpg
import httpx
import pytest_asyncio
from fastapi import FastAPI

from libs.runtime import problems
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.load import Load
from libs.runtime.routers import add_routes
from services.console.api import Reads, routes
from services.console.contacts import Contacts
from services.console.feed import Feed
from services.console.own_writes import OwnWrites
from services.console.queries import Queries
from services.console.store import Projector
from services.console.web import insight_api
from tests.console_database import by_stage, console_dsn, pool
from tests.console_promises import cut, dated, trouble
from tests.console_site import People, no_records, people
from tests.log.test_console_api import Api, Gate
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

AHEAD = date(2999, 3, 2)
"""A day that is not over while these tests run."""


@pytest_asyncio.fixture
async def desk(people: People, pool: asyncpg.Pool) -> AsyncIterator[People]:
    """Three late orders, the second the latest; one in trouble; one on its way, and one whose day is far."""
    late = [cut(dated(f"late-{n}", date(2026, 3, day)), 3) for n, day in enumerate((4, 2, 9))]
    risk = trouble(cut(dated("risk-0", AHEAD), 4), "risk-0")
    fine = [cut(dated("fine-0", AHEAD), 2), cut(dated("fine-1", AHEAD), 8)]
    await feed(Projector(pool), by_stage(*late, risk, *fine))
    yield people


async def no_ends() -> Mapping[str, int]:
    return {}


@pytest_asyncio.fixture
async def api(desk: People, pool: asyncpg.Pool, tmp_path: Path) -> AsyncIterator[Api]:
    app, gate = FastAPI(), Gate(tmp_path)
    problems.install(app)
    queries = Queries(pool)
    own_writes = OwnWrites(queries, Load("console", gate.settings), 5.0)
    contacts, told = Contacts(queries, MemoryKeyring()), Feed(queries, no_records)
    reads = Reads(queries, contacts, own_writes, told, no_ends)
    add_routes(app, routes(gate, reads), insight_api.routes(gate, queries, own_writes))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as client:
        yield Api(client, gate)


async def test_a_figure_of_today_leads_to_its_orders_the_latest_first(desk: People) -> None:
    person = await desk.sign_in("viewer")
    drawn = await person.get("/")
    figures = dict(re.findall(r'href="([^"]+)" data-figure="(late|at risk)"', drawn))
    shown = dict(re.findall(r'data-figure="(late|at risk)">(\d+)<', drawn))
    assert shown == {"late": "3", "at risk": "1"}
    for path, name in figures.items():
        listed = await person.get(path)
        found = re.findall(r'<td><a href="/orders/([a-z0-9-]+)">', listed)
        assert len(found) == int(shown[name])
        assert ("late for" in listed) == (name == "late")
        if name == "late":
            assert found == ["late-1", "late-0", "late-2"]
    await person.get("/orders", 422, promise="early")
    exported = await person.get("/orders.csv", promise="late")
    assert [line.split(",")[0] for line in exported.splitlines()[1:]] == ["late-1", "late-0", "late-2"]
    assert exported.splitlines()[1].endswith("2026-03-02")


async def test_an_order_says_itself_that_it_is_late(desk: People) -> None:
    person = await desk.sign_in("viewer")
    assert "late for" in await person.get("/orders/late-1")
    assert "late for" not in await person.get("/orders/fine-0")
    assert "late for" not in await person.get("/orders/late-1", step=1)


async def test_a_search_may_be_for_late_ones(desk: People) -> None:
    drawn = await (await desk.sign_in("viewer")).get("/orders", promise="late", q="late-1")
    assert re.findall(r'<td><a href="/orders/([a-z0-9-]+)">', drawn) == ["late-1"]


async def test_what_is_late_at_a_node_is_a_list(desk: People, api: Api) -> None:
    person = await desk.sign_in("viewer")
    for node, expected in (("LON", ["late-1", "late-0", "late-2"]), ("MAN", [])):
        drawn = await person.get("/orders", promise="late", node=node)
        assert re.findall(r'<td><a href="/orders/([a-z0-9-]+)">', drawn) == expected
        assert f'name="node" value="{node}"' in drawn
        assert f"promise=late&amp;node={node}" in drawn, "the export and the next page are of the node too"
        exported = await person.get("/orders.csv", promise="late", node=node)
        assert [line.split(",")[0] for line in exported.splitlines()[1:]] == expected
        found = await api.get("/v1/orders", promise="late", node=node)
        assert [row["order_id"] for row in found["orders"]] == expected
    at_lon = {row["order_id"] for row in (await api.get("/v1/orders", node="LON"))["orders"]}
    assert at_lon >= {"late-0", "late-1", "late-2", "risk-0"}
    risky = await person.get("/orders", promise="at_risk", node="LON")
    assert re.findall(r'<td><a href="/orders/([a-z0-9-]+)">', risky) == ["risk-0"]
    elsewhere = await desk.sign_in("viewer", nodes=("MAN",))
    assert 'href="/orders/late' not in await elsewhere.get("/orders", node="LON")
    await api.get("/v1/orders", 422, node="a node")


async def test_programs_read_the_same(api: Api) -> None:
    metrics = (await api.get("/v1/metrics"))["today"]["promises"]
    assert (metrics["late"], metrics["at_risk"], metrics["promised"]) == (3, 1, 5)
    pages = await api.pages("/v1/orders", "orders", promise="late", limit=2)
    assert [row["order_id"] for page in pages for row in page] == ["late-1", "late-0", "late-2"]
    assert pages[0][0]["promised_on"] == "2026-03-02"
    [risky] = (await api.get("/v1/orders", promise="at_risk"))["orders"]
    assert risky["order_id"] == "risk-0"
    cursor = (await api.get("/v1/orders", limit=1))["next"]
    await api.get("/v1/orders", 400, promise="late", after=cursor)


async def test_how_far_a_node_is_with_what_is_allocated(desk: People, api: Api) -> None:
    """Ten of A each: three orders packed, one dispatched in trouble, one picked."""
    rows = (await api.get("/v1/stock", sku="A"))["stock"]
    [allocated] = [row for row in rows if row["bucket"] == "allocated"]
    assert allocated["at_work"] == {"to_pick": 0, "picked": 10, "packed": 30}
    assert all("at_work" not in row for row in rows if row["bucket"] != "allocated")
    [node] = [one for one in (await api.get("/v1/stock/A"))["nodes"] if "at_work" in one]
    assert node["at_work"] == allocated["at_work"]
    drawn = await (await desk.sign_in("viewer")).get("/stock/A", part=True)
    shown = {step: int(units) for step, units in re.findall(r'data-at-work="LON (\w+)">(\d+)<', drawn)}
    rest = allocated["quantity"] - 40
    assert shown == {"allocated": allocated["quantity"], "rest": rest} | allocated["at_work"]
    whole = await (await desk.sign_in("viewer")).get("/stock", sku="A")
    assert "0 to pick, 10 picked, 30 packed" in whole
    elsewhere = await desk.sign_in("viewer", nodes=("MAN",))
    assert "to pick" not in await elsewhere.get("/stock", sku="A")
