"""What was defined is read over HTTP in the form in which it is sent, from the real stage on PostgreSQL."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fastapi import APIRouter

from libs.events.backorders import Backorders
from libs.events.feeds import DefineFeed, Feed
from libs.events.items import DefineItem, PlaceItem, UnitOfMeasure
from libs.events.promise import ChannelTerms, DefinePromiseTerms, ReleasePromise, ReorderHold, Share
from libs.runtime.edge import Edge
from libs.runtime.postgres_log import PostgresLog
from services.inventory.app import STAGE, all_routes
from tests.log.test_inventory_book import Inventory, inventory, pool
from tests.unit.edge_client import EdgeClient
from tests.unit.inventory_lots import delivered, milk
from tests.unit.inventory_supply import rules, run
from tests.unit.inventory_trade import hold, receive

__all__ = ["inventory", "pool"]

Get = Callable[[str], Any]


@pytest.fixture
def edge(pool: asyncpg.Pool, tmp_path: Path) -> EdgeClient:
    def with_log(edge: Edge) -> APIRouter:
        edge._log = PostgresLog(pool, STAGE)
        return all_routes(edge)

    return EdgeClient("inventory", with_log, tmp_path, pool)


async def read(edge: EdgeClient, path: str) -> dict[str, Any]:
    assert (await edge.call("GET", path, role=None)).status_code == 401
    answer = await edge.call("GET", path, role="viewer")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def put_back(edge: EdgeClient, path: str, told: dict[str, Any], *beside: str) -> Any:
    """What is read can be sent; returns the command that it becomes."""
    body = {name: value for name, value in told.items() if name not in beside}
    answer = await edge.call("PUT", path, body, role="operator")
    assert answer.status_code == 202, answer.text
    return edge.kept.commands()[-1]


async def test_terms_are_read_as_they_are_sent(edge: EdgeClient, inventory: Inventory) -> None:
    unknown = await edge.call("GET", "/v1/promise-terms/MUG", role="viewer")
    assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (404, "unknown_sku")
    await inventory.hear(receive("MUG", 1))
    assert (await read(edge, "/v1/promise-terms/MUG"))["terms_version"] == 0
    terms = DefinePromiseTerms(
        sku="MUG",
        safety_stock=2,
        shares=(Share(channel="web", units=5, lends_to=("pos",)),),
        channels=(ChannelTerms(channel="pos", buffer=1, shown_max=9, shelf_days_min=3),),
        low_at=15,
        recovered_at=30,
        reorder=ReorderHold(point=24, rank_max=20),
        backorders=Backorders(units_max=6, inbound=True),
    )
    await inventory.hear(terms)
    told = await read(edge, "/v1/promise-terms/MUG")
    assert (told["terms_version"], told["low_at"], told["recovered_at"]) == (1, 15, 30)
    assert told["shares"] == [{"channel": "web", "units": 5, "lends_to": ["pos"]}]
    assert await put_back(edge, "/v1/promise-terms/MUG", told, "sku", "terms_version") == terms
    assert await inventory.hear(terms) == []


async def test_rules_and_feeds_are_read(edge: EdgeClient, inventory: Inventory) -> None:
    assert await read(edge, "/v1/stock/rules") == {
        "version": 0,
        "new_skus": True,
        "nodes": None,
        "over_receipt_percent_max": None,
        "unannounced": True,
        "count_approval_units": None,
        "phantom_short_picks": None,
        "feed_shrink_percent": 10,
    }
    assert await read(edge, "/v1/stock/feeds") == {"feeds": []}
    stated = rules(nodes=("N1", "V1"), count_approval_units=24, feed_shrink_percent=5)
    wanted = DefineFeed(definition=Feed(feed="acme", node="V1", kind="vendor", buffer_units=5))
    await inventory.hear(stated, wanted, run("R1", 70))
    told = await read(edge, "/v1/stock/rules")
    assert (told["version"], told["count_approval_units"]) == (1, 24)
    assert await put_back(edge, "/v1/stock/rules", told, "version") == stated
    [feed] = (await read(edge, "/v1/stock/feeds"))["feeds"]
    last = feed.pop("last_run")
    assert (last["run_id"], last["units"], last["held"]) == ("R1", 70, False)
    assert await put_back(edge, "/v1/stock/feeds/acme", feed, "feed") == wanted


async def test_an_item_is_read_with_its_bins(edge: EdgeClient, inventory: Inventory) -> None:
    units = (UnitOfMeasure(unit="inner", holds=6), UnitOfMeasure(unit="case", holds=4, of="inner"))
    defined = DefineItem(sku="TEA", units=units, lot_controlled=True, shelf_days_min=30)
    unknown = await edge.call("GET", "/v1/stock/items/TEA", role="viewer")
    assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (404, "unknown_sku")
    await inventory.hear(defined, PlaceItem(sku="TEA", node="N1", bin="A-12-3"))
    await inventory.hear(DefineItem(sku="CAM", serialised=True))
    told = await read(edge, "/v1/stock/items/TEA")
    assert (told["item_version"], told["lot_controlled"], told["shelf_days_min"]) == (1, True, 30)
    assert told["bins"] == {"N1": "A-12-3"}
    again = await put_back(edge, "/v1/stock/items/TEA", told, "sku", "item_version", "bins", "lying")
    assert again.units[1] == UnitOfMeasure(unit="case", holds=24)
    assert await inventory.hear(again) == []
    camera = await read(edge, "/v1/stock/items/CAM")
    assert (camera["serialised"], camera["lot_controlled"], camera["bins"]) == (True, False, {})


async def test_a_held_basket_is_read_with_what_became_of_it(edge: EdgeClient, inventory: Inventory) -> None:
    await inventory.hear(receive("A", 5))
    await inventory.hear(hold("b1", ("A", 2)))
    told = await read(edge, "/v1/promises/b1")
    assert (told["status"], told["lines"]) == ("held", [{"sku": "A", "quantity": 2}])
    assert told["expires_at"] == "2026-03-02T12:15:00Z"
    await inventory.hear(ReleasePromise(promise_id="b1"))
    assert (await read(edge, "/v1/promises/b1"))["status"] == "released"
    unknown = await edge.call("GET", "/v1/promises/b2", role="viewer")
    assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (404, "unknown_promise")


async def test_a_node_is_known_by_routing_by_a_feed_or_by_what_moved_there(
    edge: EdgeClient, inventory: Inventory
) -> None:
    async def status(node: str) -> int:
        return (await edge.call("GET", f"/v1/stock?node={node}", role="viewer")).status_code

    assert await status("V1") == 404
    await inventory.hear(DefineFeed(definition=Feed(feed="acme", node="V1", kind="vendor")))
    assert [await status("V1"), await status("v1")] == [200, 404]
    await inventory.hear(milk(), delivered("OLD", 4, 9))
    assert await status("N1") == 200


async def test_a_lot_that_never_came_is_not_one_that_nobody_has(
    edge: EdgeClient, inventory: Inventory
) -> None:
    await inventory.hear(milk(), delivered("OLD", 4, 9))
    assert (await read(edge, "/v1/stock/MILK/lots/OLD"))["orders"] == []
    for path in ("MILK/lots/old", "MUG/lots/OLD"):
        unknown = await edge.call("GET", f"/v1/stock/{path}", role="viewer")
        assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (404, "unknown_lot")


async def test_nothing_is_to_come_of_a_sku_only_where_somebody_knows_it(
    edge: EdgeClient, inventory: Inventory
) -> None:
    await inventory.hear(receive("MUG", 1))
    assert (await read(edge, "/v1/stock/MUG/supply"))["expected"] == []
    unknown = await edge.call("GET", "/v1/stock/mug/supply", role="viewer")
    assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (404, "unknown_sku")
