"""Inventory's edge asked about the past, over its real tables; first the example of docs/inventory.md."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.events.contract import Contract
from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from services.inventory.app import all_routes
from tests.log.stock_history import History
from tests.spec import NOON
from tests.unit.edge_client import TENANT, EdgeClient
from tests.unit.inventory_page import PAGE
from tests.unit.inventory_trade import accepted, adjust, receive

TOLD: dict[str, Callable[[int], Contract]] = {
    "received": lambda units: receive("MUG", units, "LON"),
    "adjusted": lambda units: adjust("MUG", units, "LON"),
    "ordered": lambda units: accepted("o1", ("MUG", units)),
}
FIGURES = ("on_hand", "reserved", "available", "short")


def table(head: str) -> list[list[str]]:
    """The rows of the page's table that begins so."""
    found = re.search(rf"^\| {re.escape(head)} .*\n\|[-|: ]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, f"the page has no table of {head}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]


def moment(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-02T{clock}:00Z")


@pytest.fixture(scope="module")
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    """The day of the example, and a SKU whose only units are another tenant's."""
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    mugs, others = History(), History()
    for known, what, true, units in table("known | what"):
        body = TOLD[what](int(units))
        mugs.tell(body, moment(known), moment(true))
    mugs.tell(receive("TEAPOT", 7, "MAN"), moment("14:00"))
    others.tell(receive("SECRET", 5, "LON"), NOON)
    await mugs.write(pool, TENANT)
    await others.write(pool, "rival")
    yield pool
    await pool.close()


@pytest.fixture
def edge(pool: asyncpg.Pool, tmp_path: Path) -> EdgeClient:
    return EdgeClient("inventory", all_routes, tmp_path, pool)


async def test_the_example_on_the_page_is_what_the_edge_answers(edge: EdgeClient) -> None:
    rows = table("at | as known at")
    assert len(rows) >= 8
    for at, known, *figures in rows:
        query = {"at": moment(at).isoformat()}
        query |= {} if known == "since" else {"known_at": moment(known).isoformat()}
        answer = await edge.call("GET", "/v1/stock/MUG", role="viewer", params=query)
        assert answer.status_code == 200, answer.text
        assert [answer.json()[name] for name in FIGURES] == list(map(int, figures)), (at, known)


async def test_now_is_the_default_and_known_at_alone_asks_what_was_known_then(edge: EdgeClient) -> None:
    now = (await edge.call("GET", "/v1/stock/MUG")).json()
    assert [now[name] for name in FIGURES] == [12, 9, 3, 0]
    assert now["nodes"] == [{"node": "LON", "buckets": {"on_hand": 12, "supplier": -16, "written_off": 4}}]
    then = (await edge.call("GET", "/v1/stock/MUG", params={"known_at": "2026-03-02T12:30:00Z"})).json()
    assert (then["on_hand"], then["at"]) == (16, "2026-03-02T12:30:00Z")


async def test_a_whole_tenant_is_read_page_by_page_and_a_node_alone(edge: EdgeClient) -> None:
    first = (await edge.call("GET", "/v1/stock", params={"limit": 1})).json()
    assert ([one["sku"] for one in first["stock"]], first["next"]) == (["MUG"], "MUG")
    second = (await edge.call("GET", "/v1/stock", params={"limit": 1, "after": first["next"]})).json()
    assert ([one["sku"] for one in second["stock"]], second["next"]) == (["TEAPOT"], None)
    man = (await edge.call("GET", "/v1/stock", params={"node": "MAN"})).json()["stock"]
    assert [(one["sku"], one["nodes"][0]["buckets"]["on_hand"]) for one in man] == [("TEAPOT", 7)]


async def test_a_series_is_the_same_question_at_each_point(edge: EdgeClient) -> None:
    query = {"from": "2026-03-02T09:00:00Z", "to": "2026-03-02T13:59:00Z", "step": "hour"}
    since = (await edge.call("GET", "/v1/stock/MUG/series", params=query)).json()
    assert [(one["at"][11:13], one["on_hand"]) for one in since["points"]] == [
        ("09", 10),
        ("10", 6),
        ("11", 12),
        ("12", 12),
        ("13", 12),
    ]
    then = (await edge.call("GET", "/v1/stock/MUG/series", params=query | {"as_known_then": "true"})).json()
    assert [one["on_hand"] for one in then["points"]] == [10, 10, 10, 16, 12]
    wide = query | {"from": "2020-01-01", "to": "2026-03-02"}
    answer = await edge.call("GET", "/v1/stock/MUG/series", params=wide)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:orderlog:problem:invalid_range")


async def test_movements_are_read_page_by_page_each_with_what_it_came_of(edge: EdgeClient) -> None:
    pages, before = list[Any](), None
    while before is not None or not pages:
        query = {"limit": 2} | ({"before": before} if before else {})
        page = (await edge.call("GET", "/v1/stock/MUG/movements", role="viewer", params=query)).json()
        pages.append(page["movements"])
        before = page["next"]
    rows = [row for page in pages for row in page]
    assert [row["position"] for row in rows] == list(range(len(rows), 0, -1))
    assert all(row["at"] <= row["known_at"] for row in rows)
    assert {row["order_id"] for row in rows if row["target"] == "reserved"} == {"o1"}
    [told] = [row for row in rows if row["source"] == "on_hand"]
    assert (told["type"], told["quantity"], told["order_id"]) == ("oms.inventory.stock_adjusted", 4, None)
    assert told["reason"]
    balance = sum(
        row["quantity"] * ((row["target"] == "on_hand") - (row["source"] == "on_hand")) for row in rows
    )
    assert balance == (await edge.call("GET", "/v1/stock/MUG")).json()["on_hand"]
    at_node = (await edge.call("GET", "/v1/stock/MUG/movements", params={"node": ["LON", "MAN"]})).json()
    assert {row["node"] for row in at_node["movements"]} == {"LON"}
    assert (await edge.call("GET", "/v1/stock/SECRET/movements")).json()["movements"] == []


async def test_another_tenants_stock_is_nobodys(edge: EdgeClient) -> None:
    for path in ("/v1/stock/SECRET", "/v1/stock/SECRET/series?from=2026-03-02&to=2026-03-03"):
        answer = await edge.call("GET", path)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:orderlog:problem:unknown_sku")
    assert "SECRET" not in (await edge.call("GET", "/v1/stock")).text
    assert (await edge.call("GET", "/v1/stock/MUG", role=None)).status_code == 401


@pytest.mark.parametrize("name", ["at", "known_at"])
async def test_the_future_is_not_known(edge: EdgeClient, name: str) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    answer = await edge.call("GET", "/v1/stock/MUG", params={name: tomorrow})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:orderlog:problem:invalid_time")
    assert f"`{name}`" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["needs", "idle", "differences"])
async def test_what_has_a_name_of_its_own_is_no_sku(pool: asyncpg.Pool, tmp_path: Path, name: str) -> None:
    """All of inventory's routes together, as its process has them."""
    answer = await EdgeClient("inventory", all_routes, tmp_path, pool).call("GET", f"/v1/stock/{name}")
    assert answer.status_code == 200, answer.text
    assert "sku" not in answer.json()


async def test_a_node_that_nobody_knows_is_not_answered_as_one_without_stock(
    edge: EdgeClient,
) -> None:
    for path in ("/v1/stock", "/v1/stock?at=2026-03-02T12:30:00Z"):
        unknown = await edge.call("GET", path + ("&" if "?" in path else "?") + "node=lon", role="viewer")
        assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:orderlog:problem:unknown_node")
    known = await edge.call("GET", "/v1/stock", role="viewer", params={"node": "LON"})
    assert [one["sku"] for one in known.json()["stock"]]
