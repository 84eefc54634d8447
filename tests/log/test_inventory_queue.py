"""Who waits for a SKU and why, from the real stage on PostgreSQL to the answer over HTTP."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import APIRouter

from libs.events.backorders import Backorders, ChannelBackorders
from libs.events.intake import OrderAccepted
from libs.events.policy import DefineReservationPolicies, PolicyRule, PriorityClass
from libs.events.promise import DefinePromiseTerms, ReorderHold
from libs.runtime.edge import Edge
from libs.runtime.postgres_log import PostgresLog
from services.inventory.app import STAGE
from services.inventory.queue_api import queue_routes
from tests.log.test_inventory_book import Inventory, inventory, pool
from tests.unit.edge_client import EdgeClient
from tests.unit.inventory_supply import expect, minutes
from tests.unit.inventory_trade import accepted, hold, receive

__all__ = ["inventory", "pool"]

SOON = datetime(2027, 1, 1, tzinfo=UTC)
SOONER = datetime(2026, 12, 20, tzinfo=UTC)
POLICIES = DefineReservationPolicies(
    classes=(PriorityClass(name="express", rank=10), PriorityClass(name="old", rank=60, step_days=1)),
    rules=(
        PolicyRule(service="express", priority="express", reallocates=True),
        PolicyRule(order_type="wholesale", policy="all_or_nothing"),
        PolicyRule(order_type="old", priority="old"),
    ),
)


async def asked(pool: asyncpg.Pool, folder: Path, sku: str, role: str = "viewer", **query: Any) -> Any:
    def with_log(edge: Edge) -> APIRouter:
        edge._log = PostgresLog(pool, STAGE)
        router = APIRouter(prefix="/v1/stock")
        router.include_router(queue_routes(edge))
        return router

    client = EdgeClient("inventory", with_log, folder, pool)
    return await client.call("GET", f"/v1/stock/{sku}/queue", role=role, params=query)


async def told(pool: asyncpg.Pool, folder: Path, sku: str = "A", **query: Any) -> dict[str, Any]:
    answer: httpx.Response = await asked(pool, folder, sku, **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def order(order_id: str, units: int, channel: str = "web", **kind: str) -> OrderAccepted:
    return accepted(order_id, ("A", units)).model_copy(update={"channel": channel, **kind})


def codes(row: dict[str, Any]) -> list[str]:
    return [one["code"] for one in row["reasons"]]


async def test_who_waits_is_told_in_the_order_of_service_with_the_reasons(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(POLICIES, receive("A", 3))
    await inventory.hear(order("o1", 2), hold("b1", ("A", 1)), minute=1)
    await inventory.hear(order("o2", 4, order_type="wholesale"), minute=2)
    await inventory.hear(order("o3", 1, order_type="old"), minute=3)
    await inventory.hear(order("e1", 3, service="express"), minute=4)
    await inventory.ring(minute=5)  # the express order takes what o1 was promised
    found = await told(pool, tmp_path)
    assert [(one["place"], one["order_id"], one["class"], one["rank"]) for one in found["queue"]] == [
        (1, "e1", "express", 10),
        (2, "o1", None, 50),
        (3, "o2", None, 50),
        (4, "o3", "old", 60),
    ]
    first, second, third, fourth = found["queue"]
    assert (first["wanted"], first["held"], first["lacks"], codes(first)) == (3, 2, 1, ["reallocates"])
    assert (second["wanted"], second["held"], second["lacks"]) == (2, 0, 2)
    assert codes(second) == ["class", "reallocated"]
    assert second["reasons"][0]["message"] == (
        "1 order of class express that came later stands before it: they are served first."
    )
    assert second["reasons"][1]["message"].startswith("2 units promised to it went to orders before it")
    assert (third["lacks"], third["all_or_nothing"], codes(third)) == (4, True, ["class", "all_or_nothing"])
    assert codes(fourth) == ["class"]
    assert datetime.fromisoformat(second["since"]) == minutes(1)
    assert (found["on_hand"], found["promised"], found["free"]) == (3, 3, 0)
    assert (found["orders"], found["waiting"]) == (4, 8)
    assert found["held_baskets"] == {
        "baskets": 1,
        "units": 1,
        "oldest": [{"promise_id": "b1", "units": 1}],
    }


async def test_each_is_told_the_supply_it_is_pegged_to(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(order("o1", 2), order("o2", 4), receive("A", 2, "N2"), minute=0)
    await inventory.hear(expect("A", "P2", 3, expected_at=SOON), expect("A", "P1", 1, expected_at=SOONER))
    await inventory.ring(minute=2)
    found = await told(pool, tmp_path)
    assert [(one["order_id"], one["supply"]["supply_id"]) for one in found["queue"]] == [("o2", "P2")]
    assert datetime.fromisoformat(found["queue"][0]["supply"]["usable_at"]) == SOON
    assert {(one["supply_id"], one["units"]) for one in found["supplies"]} == {("P1", 1), ("P2", 3)}


async def test_what_bounds_waiting_and_keeps_free_units_is_told(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    terms = DefinePromiseTerms(
        sku="A",
        safety_stock=1,
        reorder=ReorderHold(point=3, rank_max=10),
        backorders=Backorders(units_max=9, channels=(ChannelBackorders(channel="shop", units_max=2),)),
    )
    await inventory.hear(POLICIES, terms, receive("A", 2), minute=0)
    await inventory.hear(order("o1", 3), order("o2", 2, "shop"), order("e1", 2, service="express"), minute=1)
    found = await told(pool, tmp_path)
    assert [one["order_id"] for one in found["queue"]] == ["e1", "o1", "o2"]
    express, plain, shop = found["queue"]
    assert (express["held"], express["lacks"]) == (1, 1)
    assert "kept_for_others" in codes(express)
    assert "kept_for_others" in codes(plain) or "below_reorder_point" in codes(plain)
    assert (plain["cap"], shop["cap"]) == ({"open": 3}, {"open": 0})
    caps = [(one["channel"], one["waiting"], one["units"]) for one in found["caps"]]
    assert caps == [(None, 6, 3), ("shop", 2, 0)]


async def test_a_long_queue_is_told_page_by_page(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(POLICIES)
    for number in range(7):
        kind = {"service": "express"} if number % 3 == 2 else {}
        await inventory.hear(order(f"o{number}", 1, **kind), minute=number)
    whole = [one["order_id"] for one in (await told(pool, tmp_path))["queue"]]
    assert whole == ["o2", "o5", "o0", "o1", "o3", "o4", "o6"]
    pages, after = list[list[str]](), dict[str, str]()
    while True:
        page = await told(pool, tmp_path, limit=3, **after)
        pages.append([one["order_id"] for one in page["queue"]])
        assert page["orders"] == 7
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert pages == [whole[:3], whole[3:6], whole[6:]]
    places = (await told(pool, tmp_path, limit=1, **after))["queue"]
    assert [(one["place"], one["order_id"]) for one in places] == [(7, "o6")]


@pytest.mark.parametrize("after", ["[]", "o2", '[1,"now","o2"]', '[1,"0001-01-01T00:00:00+14:00","o2"]'])
async def test_what_is_no_page_is_refused(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path, after: str
) -> None:
    await inventory.hear(order("o1", 1))
    refused = await asked(pool, tmp_path, "A", after=after)
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (422, "invalid_cursor")


async def test_a_queue_nobody_knows_and_one_of_another_tenant_are_not_told(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(order("o1", 1))
    unknown = await asked(pool, tmp_path, "B")
    assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (404, "unknown_sku")
    assert [one["order_id"] for one in (await told(pool, tmp_path))["queue"]] == ["o1"]
    forbidden = await asked(pool, tmp_path, "A", role="warehouse")
    assert forbidden.status_code == 403
