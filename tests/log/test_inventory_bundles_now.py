"""Bundles where inventory's edge lists stock, over its real tables."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from libs.events.bundles import RemoveBundle
from libs.events.promise import ChannelTerms, DefinePromiseTerms
from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from libs.runtime.stage import dump_part
from services.inventory.app import all_routes
from tests.log.stock_history import History
from tests.spec import NOON
from tests.unit.edge_client import TENANT, EdgeClient
from tests.unit.inventory_trade import accepted, receive
from tests.unit.test_inventory_bundles import define

_PART = "INSERT INTO part (key, lane, version, part) VALUES ($1, 0, 1, $2::json)"


@pytest.fixture
async def edge(migrated_dsn: Callable[[str], str], tmp_path: Path) -> AsyncIterator[EdgeClient]:
    """A box of two mugs and a tea, one that is sold no more, a kit, and another tenant's bundle."""
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    ours, theirs = History(), History()
    for minute, body in enumerate(
        (
            receive("MUG", 7),
            receive("TEA", 5),
            define(("MUG", 2), ("TEA", 1)),
            define(("TEA", 1), name="GONE"),
            RemoveBundle(sku="GONE"),
            define(("TEA", 1), name="KIT", kept="assembled"),
            DefinePromiseTerms(sku="TEA", channels=(ChannelTerms(channel="pos", buffer=3),)),
            accepted("o1", ("MUG", 1)),
        )
    ):
        ours.tell(body, NOON + timedelta(minutes=minute))
    theirs.tell(receive("ORE", 3), NOON)
    theirs.tell(define(("ORE", 1), name="HEAP"), NOON)
    for tenant, history in ((TENANT, ours), ("rival", theirs)):
        await history.write(pool, tenant)
        rows = [(f"{tenant}/{stream}", dump_part(part).decode()) for stream, part in history.parts.items()]
        await pool.executemany(_PART, rows)
    yield EdgeClient("inventory", all_routes, tmp_path, pool)
    await pool.close()


async def test_a_bundle_is_listed_with_what_its_parts_allow(edge: EdgeClient) -> None:
    listed = (await edge.call("GET", "/v1/stock", params={"limit": 2})).json()
    assert ([one["sku"] for one in listed["stock"]], listed["next"]) == (["BOX", "MUG"], "MUG")
    box, mug = listed["stock"]
    assert (box["available"], box["on_hand"], box["bundle_version"]) == (3, 0, 1)
    assert box["channels"] == [{"channel": "pos", "available": 2, "shown": 2}]
    assert "bundle_version" not in mug
    rest = (await edge.call("GET", "/v1/stock", params={"limit": 2, "after": "MUG"})).json()
    assert ([one["sku"] for one in rest["stock"]], rest["next"]) == (["TEA"], None)
    asked = (await edge.call("GET", "/v1/stock/BOX")).json()
    assert [asked[name] for name in ("available", "channels")] == [box["available"], box["channels"]]


async def test_what_is_no_bundle_any_more_and_another_tenants_are_unknown(edge: EdgeClient) -> None:
    for sku in ("GONE", "HEAP"):
        answer = await edge.call("GET", f"/v1/stock/{sku}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:orderlog:problem:unknown_sku")


async def test_of_a_node_and_of_the_past_there_are_units_and_no_bundles(edge: EdgeClient) -> None:
    for query in ({"node": "N1"}, {"at": (NOON + timedelta(minutes=30)).isoformat()}):
        listed = (await edge.call("GET", "/v1/stock", params=query)).json()
        assert [one["sku"] for one in listed["stock"]] == ["MUG", "TEA"]
