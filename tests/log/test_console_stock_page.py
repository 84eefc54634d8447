"""The page of a SKU over inventory's own edge and tables: as of then, movements with their cause, inbound."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import pytest_asyncio

from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from services.console.store import Projector
from services.inventory.app import all_routes
from tests.console_database import console_dsn, pool
from tests.console_site import People, people
from tests.log.stock_history import History
from tests.log.test_console_api import published
from tests.log.test_console_store import feed
from tests.spec import NOON
from tests.unit.edge_client import EdgeClient
from tests.unit.inventory_trade import accepted, adjust, receive

__all__ = ["console_dsn", "people", "pool"]


@pytest_asyncio.fixture
async def desk(
    people: People,
    pool: asyncpg.Pool,
    migrated_dsn: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[People]:
    """The console, and an inventory with ninety movements of A: a receipt, orders, and a late correction."""
    await feed(Projector(pool), published())
    kept = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    told = History()
    told.tell(receive("A", 200, "LON"), NOON)
    for n in range(86):
        told.tell(accepted(f"o-{n}", ("A", 1)), NOON + timedelta(minutes=n + 1))
    told.tell(receive("A", 7, "MAN"), NOON + timedelta(hours=3))
    told.tell(adjust("A", -50, "LON"), NOON + timedelta(hours=4), NOON + timedelta(minutes=30))
    await told.write(kept, "acme")
    edge = EdgeClient("inventory", all_routes, tmp_path, kept)  # the console signs with the same key file
    transport = httpx2.ASGITransport(app=edge.app)
    async with httpx2.AsyncClient(transport=transport) as http:
        monkeypatch.setattr(people.site.actions, "_http", http)
        yield people
    await kept.close()


async def test_a_sku_is_shown_as_of_then_and_as_was_known_then(desk: People) -> None:
    person = await desk.sign_in("viewer")
    asked: dict[str, Any] = {"at": (NOON + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")}
    assert "<strong>150 on hand</strong>" in await person.get("/stock/A", **asked)
    drawn = await person.get("/stock/A", **asked, known_at=asked["at"])
    assert "<strong>200 on hand</strong>" in drawn
    assert "to come" in await person.get("/stock/A", at="2999-01-01T00:00")
    assert 'id="plot"' in await person.get("/stock/A", at="", known_at="")
    await person.get("/stock/A", 422, at="soon")


async def test_movements_lead_to_what_they_came_of_page_by_page(desk: People) -> None:
    person = await desk.sign_in("viewer")
    drawn, numbers = await person.get("/stock/A"), []
    assert "stock adjusted" in drawn
    assert "told" in drawn
    while True:
        numbers += [int(found) for found in re.findall(r'<td class="n">(\d+)</td><td><time', drawn)]
        following = re.search(r'href="(/stock/A\?before=\d+)#movements"', drawn)
        if following is None:
            break
        drawn = await person.get(following[1])
    assert numbers == list(range(numbers[0], 0, -1))
    assert len(numbers) > 88
    assert re.search(r'<a href="/orders/o-0#e-[0-9a-f-]{36}">order o-0</a>', drawn)


async def test_who_may_see_a_node_alone_sees_its_movements_and_no_sums_of_the_network(desk: People) -> None:
    person = await desk.sign_in("viewer", nodes=("LON",))
    drawn = await person.get("/stock/A", at="2026-03-02T13:00")
    assert "stock received" in drawn
    assert ">MAN<" not in drawn
    assert ">network<" not in drawn
    assert "As of then" not in drawn
    assert "on hand</strong>" not in drawn


async def test_units_are_shown_where_they_are_and_not_where_the_ledger_took_them_from(desk: People) -> None:
    """A receipt of 50 is 50 on hand; that the ledger has it from "supplier −50" tells a reader nothing."""
    person = await desk.sign_in("viewer")
    heads = set(
        re.findall(r'<th scope="col" class="n">([a-z ]+)</th>', await person.get("/stock/A?part=true"))
    )
    assert {"on hand", "allocated"} <= heads
    assert not heads & {"supplier", "adjustment", "unreserved", "transfer"}
    asked: dict[str, Any] = {"at": (NOON + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")}
    then = (await person.get("/stock/A", **asked)).partition('id="then"')[2].partition("Movements")[0]
    assert "<td>LON</td>" in then
    assert ">supplier<" not in then
    listed = await person.get("/stock", sku="A")
    assert "<td>on hand</td>" in listed
    assert not re.search("<td>(supplier|adjustment|unreserved|transfer)</td>", listed)
