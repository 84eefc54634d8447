"""What to buy, from the real stage on PostgreSQL to the answer over HTTP."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
from fastapi import APIRouter

from libs.events.bundles import AssembleKit, BundlePart, DefineBundle, TakeKitApart
from libs.events.supply import ReceiveSupply
from libs.runtime.edge import Edge
from libs.runtime.postgres_log import PostgresLog
from services.inventory import needs_book
from services.inventory.app import STAGE
from services.inventory.lead_times import lead_time, supplier
from services.inventory.needs_api import needs_routes
from services.inventory.reorder import Day
from tests.log.test_inventory_book import TENANT, Inventory, inventory, pool
from tests.unit.edge_client import EdgeClient
from tests.unit.inventory_supply import expect, minutes, send
from tests.unit.inventory_trade import accepted, dispatched, hold, line, receive, routed

__all__ = ["inventory", "pool"]

DAY = 24 * 60
SOON = datetime(2999, 1, 1, tzinfo=UTC)
BY_THEN = datetime(2020, 1, 1, tzinfo=UTC)


async def told(pool: asyncpg.Pool, folder: Path, **query: Any) -> dict[str, Any]:
    """What the edge answers, read from the stage's own database."""

    def with_log(edge: Edge) -> APIRouter:
        edge._log = PostgresLog(pool, STAGE)
        router = APIRouter(prefix="/v1/stock")
        router.include_router(needs_routes(edge))
        return router

    answer = await EdgeClient("inventory", with_log, folder, pool).call(
        "GET", "/v1/stock/needs", role="viewer", params=query
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def stood(pool: asyncpg.Pool, sku: str, today: date, days: int) -> needs_book.Stood:
    async with pool.acquire() as connection:
        return (await needs_book.stood(connection, TENANT, [sku], today, days))[sku]


async def test_what_left_is_told_by_day(pool: asyncpg.Pool, inventory: Inventory) -> None:
    await inventory.hear(receive("A", 10), receive("A", 4, "N2"))
    await inventory.hear(accepted("o1", ("A", 3)), routed("o1", 1, N1=(line(1, "A", 3),)))
    await inventory.hear(dispatched("o1", 1, "N1", line(1, "A", 2)), minute=DAY)
    await inventory.hear(
        dispatched("o1", 2, "N1", line(1, "A", 1)),
        send("A", "T", 2),
        accepted("o2", ("A", 1)),
        minute=3 * DAY,
    )
    await inventory.hear(hold("b1", ("A", 5), ttl_seconds=86_400), minute=3 * DAY + 1)
    today = minutes(4 * DAY).date()
    found = await stood(pool, "A", today, 30)
    assert (found.reserved, found.held) == (1, 5)
    first, second = found.shelves
    assert (first.node, first.on_hand) == ("N1", 5)
    assert first.days == {4: Day(came=10, went=3), 3: Day(issued=2), 1: Day(issued=1, sent=2, went=2)}
    assert (second.node, second.on_hand, second.days) == ("N2", 4, {4: Day(came=4)})
    assert (await stood(pool, "A", today, 3)).shelves[0].days == {1: first.days[1]}


async def test_parts_that_kits_use_up_are_asked_for(pool: asyncpg.Pool, inventory: Inventory) -> None:
    await inventory.hear(receive("TEA", 9))
    parts = (BundlePart(sku="TEA", quantity=3),)
    await inventory.hear(DefineBundle(sku="HAMPER", parts=parts, kept="assembled"))
    await inventory.hear(AssembleKit(sku="HAMPER", node="N1", quantity=2), minute=1)
    await inventory.hear(TakeKitApart(sku="HAMPER", node="N1", quantity=1), minute=2)
    today = minutes(0).date()
    [tea] = (await stood(pool, "TEA", today, 7)).shelves
    [hamper] = (await stood(pool, "HAMPER", today, 7)).shelves
    assert tea.days == {0: Day(kitted=6, came=12, went=6)}
    assert hamper.days == {0: Day(came=2, went=1)}


async def test_a_lead_time_and_a_supplier_are_of_the_purchase_orders(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    for number, days in enumerate((8, 10, 12)):
        id_, stated = f"P{number}", 100 * DAY * number
        await inventory.hear(expect("A", id_, 6, stated=stated, supplier="kiln"), minute=stated)
        for receipt, quantity, at in (("R1", 2, stated + 60), ("R2", 4, stated + days * DAY)):
            came = ReceiveSupply(
                sku="A",
                supply_id=id_,
                receipt_id=receipt,
                node="N1",
                quantity=quantity,
                effective_at=minutes(at),
            )
            await inventory.hear(came, minute=at + 30)
    async with pool.acquire() as connection:
        facts = (await needs_book.supplied(connection, TENANT, ["A", "B"]))["A"]
    found = lead_time(facts)
    assert found is not None
    assert (round(found.days, 6), round(found.spread_days, 6), found.orders) == (10, 2, 3)
    assert supplier(facts) == "kiln"
    async with pool.acquire() as connection:
        known = await needs_book.suppliers(connection, TENANT, "A")
    assert known == dict.fromkeys(("P0", "P1", "P2"), "kiln")


async def test_who_waits_is_bought_for_and_why_is_told(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(accepted("o1", ("PRE", 500)), receive("A", 10), minute=0)
    await inventory.hear(expect("LATE", "P1", 40, expected_at=BY_THEN, supplier="kiln"))
    await inventory.hear(expect("LATE", "P2", 7, expected_at=SOON), accepted("o2", ("LATE", 50)), minute=1)
    found = await told(pool, tmp_path)
    by_sku = {one["sku"]: one for one in found["needs"]}
    pre = by_sku["PRE"]
    assert (pre["node"], pre["waiting"], pre["propose"]) == ("*", 500, 500)
    assert pre["reasons"] == ["waiting", "runs_out_first", "below_reorder_point"]
    late = by_sku["LATE"]
    assert (late["node"], late["inbound"], late["late"], late["waiting"]) == ("N1", 7, 40, 50)
    assert (late["available"], late["propose"], late["supplier"]) == (-43, 43, "kiln")
    assert "late_supply" in late["reasons"]
    assert by_sku["A"]["propose"] == 0
    first = await told(pool, tmp_path, limit=1)
    assert [one["sku"] for one in first["needs"]] == [first["next"]] == ["A"]
    assert [one["sku"] for one in (await told(pool, tmp_path, after="LATE"))["needs"]] == ["PRE"]


async def test_another_tenants_skus_are_not_told(pool: asyncpg.Pool, inventory: Inventory) -> None:
    await inventory.hear(receive("A", 10), expect("A", "P1", 40))
    async with pool.acquire() as connection:
        assert await needs_book.chosen(connection, TENANT, "", 10) == ["A"]
        assert await needs_book.chosen(connection, "acm", "", 10) == []
        assert await needs_book.stood(connection, "other", ["A"], minutes(0).date(), 7) == {}
        assert await needs_book.supplied(connection, "other", ["A"]) == {}
