"""Who has a claim on a SKU, on its page: the queue is inventory's own, row for row, as its edge tells it."""

import html
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from fastapi import APIRouter

from libs.events.intake import OrderAccepted
from libs.events.items import MoveBetweenBins, PlaceItem
from libs.events.policy import DefineReservationPolicies, PolicyRule, PriorityClass
from libs.events.promise import HoldStock
from libs.runtime.edge import Edge
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.settings import Settings
from services.console.pages import stock_claims
from services.console.store import Projector
from services.inventory.app import STAGE, all_routes
from tests.console_database import console_dsn, pool
from tests.console_lives import received
from tests.console_site import People, people
from tests.log.test_console_missing import INTAKE, INVENTORY, apply
from tests.log.test_inventory_book import Inventory
from tests.unit.edge_client import EdgeClient
from tests.unit.inventory_supply import expect
from tests.unit.inventory_trade import FRANCE, accepted, hold, of_basket, receive

__all__ = ["console_dsn", "people", "pool"]
SOON = datetime(2027, 1, 1, tzinfo=UTC)
POLICIES = DefineReservationPolicies(
    classes=(PriorityClass(name="express", rank=10),),
    rules=(
        PolicyRule(service="express", priority="express"),
        PolicyRule(order_type="bits", policy="partial"),
        PolicyRule(channel="web", baskets_wait=True),
    ),
)


@dataclass(frozen=True)
class Shop:
    """The console over an inventory of its own, whose edge is asked by `edge` too."""

    people: People
    edge: EdgeClient

    async def queue(self) -> list[dict[str, Any]]:
        answer = await self.edge.call("GET", "/v1/stock/A/queue", role="viewer")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["queue"]
        return found


def ahead(promise_id: str, *wanted: tuple[str, int]) -> HoldStock:
    """A basket that says where it goes, so that it may wait."""
    return hold(promise_id, *wanted).model_copy(update={"channel": "web", "destination": FRANCE})


def order(order_id: str, *wanted: tuple[str, int], **kind: str) -> OrderAccepted:
    return accepted(order_id, *wanted).model_copy(update={"external_id": f"X-{order_id}", **kind})


@pytest_asyncio.fixture
async def shop(
    people: People,
    pool: asyncpg.Pool,
    migrated_dsn: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Shop]:
    """Of A nothing is there and twenty are to come. Orders wait for it, a basket, the order of another
    basket, one of express that came late, and the rest of an order whose other line goes its way. Of B one of
    three was put away in another bin."""
    orders = [
        order("o-1", ("A", 2)),
        order("o-2", ("A", 1)),
        of_basket("b-2", order("o-3", ("A", 3))),
        order("o-4", ("A", 1), service="express"),
        order("o-5", ("A", 2), ("B", 1), order_type="bits"),
    ]
    kept = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    inventory = Inventory(kept)
    await inventory.open()
    await inventory.hear(POLICIES, receive("B", 3, "LON"), expect("A", "PO-1", 20, expected_at=SOON))
    put_away = MoveBetweenBins(sku="B", node="LON", quantity=1, target="R-<9>")
    await inventory.hear(PlaceItem(sku="B", node="LON", bin="A-12"), put_away)
    await inventory.hear(orders[0], minute=1)
    await inventory.hear(ahead("b-1", ("A", 1)), minute=2)
    await inventory.hear(ahead("b-2", ("A", 3)), minute=3)
    for minute, one in enumerate(orders[1:], 4):
        await inventory.hear(one, minute=minute)
    await inventory.ring(minute=9)
    await apply(Projector(pool), INTAKE, orders)
    await apply(Projector(pool), INVENTORY, [received("B", 3)])

    def with_log(edge: Edge) -> APIRouter:
        edge._log = PostgresLog(kept, STAGE)
        return all_routes(edge)

    edge = EdgeClient("inventory", with_log, tmp_path, kept)  # the console signs with the same key file
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=edge.app)) as http:
        monkeypatch.setattr(people.site.actions, "_http", http)
        yield Shop(people, edge)
    await kept.close()


def rows(page: str) -> list[list[str]]:
    """The cells of each who waits, as text."""
    found = re.findall(r'<tr data-place="\d+">(.*?)</tr>', page, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in found]
    return [[html.unescape(" ".join(re.sub(r"<[^>]+>", "", cell).split())) for cell in row] for row in cells]


async def test_the_page_tells_what_lies_in_which_bin_of_the_nodes_that_may_be_seen(shop: Shop) -> None:
    viewer = await shop.people.sign_in("viewer")
    row = r"<td>LON</td><td><bdi>(.*?)</bdi></td><td class=.n.>(\d+)</td>"
    told = re.findall(row, await viewer.get("/stock/B"))
    assert told == [("A-12", "2"), ("R-&lt;9&gt;", "1")]
    assert "Units by bin" not in await viewer.get("/stock/A")
    at_lon = await shop.people.sign_in("viewer", nodes=("LON",))
    assert "A-12" in await at_lon.get("/stock/B")
    await (await shop.people.sign_in("viewer", nodes=("N2",))).get("/stock/B", 404)


async def test_the_page_shows_inventorys_queue_in_its_order(shop: Shop) -> None:
    known = await shop.queue()
    assert [one["order_id"] or one["promise_id"] for one in known] == [
        *("o-4", "o-1", "b-1", "o-3", "o-2", "o-5"),
    ], "express before all, the order of a basket where that stood, the rest of one that goes in part"
    viewer = await shop.people.sign_in("viewer")
    for path in ("/stock/A", "/parts/stock/A/claims"):
        drawn = rows(await viewer.get(path))
        who = [f"web/X-{one['order_id']}" if one["order_id"] else "basket b-1" for one in known]
        assert [row[1] for row in drawn] == who
        for row, one in zip(drawn, known, strict=True):
            assert row[0] == str(one["place"])
            assert row[2].split() == [*([one["class"]] if one["class"] else []), str(one["rank"])]
            assert row[4:7] == [str(one[name]) for name in ("wanted", "held", "lacks")]
            assert row[7].startswith("PO-1, 2027-01-01")
            assert row[8] == " ".join(reason["message"] for reason in one["reasons"])
    assert "6 wait for 10 units" in " ".join((await viewer.get("/stock/A")).split())


async def test_a_long_queue_is_shown_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_claims, "CLAIMS", 2)
    viewer, found = await shop.people.sign_in("viewer"), list[str]()
    path: str | None = "/stock/A"
    while path is not None:
        page = await viewer.get(path)
        found += [row[1] for row in rows(page)]
        following = re.search(r'rel="next" href="(/stock/A\?behind=[^"#]+)#queue"', page)
        assert ("From the front" in page) is (path != "/stock/A")
        path = following and html.unescape(following[1])
    assert len(found) == len({*found}) == 6
    page = await viewer.get("/stock/A", behind="soon")
    assert "`after` is not the `next` of an answer." in html.unescape(page)
    assert rows(page) == []


async def test_who_sees_some_nodes_only_is_told_nothing_of_the_queue(shop: Shop) -> None:
    person = await shop.people.sign_in("viewer", nodes=("LON",))
    for path in ("/stock/B", "/parts/stock/B/claims"):
        page = await person.get(path)
        assert "Who waits" not in page
        assert "Reservations" in page


async def test_where_inventory_does_not_answer_the_page_says_so(people: People, pool: asyncpg.Pool) -> None:
    await apply(Projector(pool), INTAKE, [order("o-1", ("A", 2))])
    page = await (await people.sign_in("viewer")).get("/parts/stock/A/claims")
    assert "Who waits is not shown: inventory, who keeps the queue, does not answer now." in page
    assert "Nobody waits" not in page
