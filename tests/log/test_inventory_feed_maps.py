"""A feed's map through the real stage loop on PostgreSQL: rows in their words, read back over HTTP."""

from typing import Any

import asyncpg

from libs.events.feed_maps import MapFeedSku, TellStock
from tests.log.test_inventory_book import Inventory, inventory, pool
from tests.log.test_inventory_defined import edge, read
from tests.unit.edge_client import EdgeClient
from tests.unit.inventory_supply import feed, maps, minutes, tells

__all__ = ["edge", "inventory", "pool"]

MAP = "/v1/stock/feeds/acme/map"


async def balances(pool: asyncpg.Pool) -> dict[tuple[str, str], int]:
    rows = await pool.fetch("SELECT sku, bucket, quantity FROM balance WHERE quantity > 0")
    return {(row["sku"], row["bucket"]): row["quantity"] for row in rows}


async def test_rows_in_their_words_reach_our_skus_and_what_is_unmapped_is_reported(
    pool: asyncpg.Pool, inventory: Inventory, edge: EdgeClient
) -> None:
    """The entry and the row that needs it come in one batch, as a partner may publish them."""
    told = await inventory.hear(
        feed(mapped=True, buffer_units=2),
        maps("EACH", "A"),
        maps("CASE/12", "A", 12),
        tells("EACH", 5),
        tells("CASE/12", 2),
        tells("NEW_1", 1),
        tells("NEW%", 1),
        tells("NEW_1", 2),
    )
    assert told[1:5] == ["feed_sku_mapped", "feed_sku_mapped", "stock_told", "stock_told"]
    assert told[5:] == ["command_refused"] * 3
    assert await inventory.ring(0.1) == ["stock_reported"], "one sum of both"
    assert await balances(pool) == {("A", "on_hand"): 27, ("A", "vendor"): 2}
    assert await read(edge, f"{MAP}/summary") == {"feed": "acme", "mapped": 2, "changes": 2}
    found = await read(edge, MAP)
    assert [(one["theirs"], one["sku"], one["pack_size"]) for one in found["skus"]] == [
        ("CASE/12", "A", 12),
        ("EACH", "A", 1),
    ]
    assert found["skus"][0]["told"] == {"units": 24, "stated_at": "2026-03-02T12:00:00+00:00"}
    page = await read(edge, f"{MAP}?limit=1")
    assert (page["next"], len(page["skus"])) == ("CASE/12", 1)
    assert [one["theirs"] for one in (await read(edge, f"{MAP}?after=CASE/12"))["skus"]] == ["EACH"]
    assert [one["sku"] for one in (await read(edge, f"{MAP}?theirs=EACH"))["skus"]] == ["A"]
    assert (await read(edge, f"{MAP}?theirs=each"))["skus"] == []
    lacking = (await read(edge, "/v1/stock/feeds/acme/unmapped"))["unmapped"]
    assert [(one["theirs"], one["rows"]) for one in lacking] == [("NEW%", 1), ("NEW_1", 2)]
    await inventory.hear(maps("NEW_1", "B"), tells("NEW_1", 3, stated=1), minute=1)
    await inventory.ring(1)
    assert (await balances(pool))["B", "on_hand"] == 1
    assert [one["theirs"] for one in (await read(edge, "/v1/stock/feeds/acme/unmapped"))["unmapped"]] == [
        "NEW%"
    ]
    await inventory.hear(maps("EACH", None), minute=2)
    await inventory.ring(2)
    assert (await balances(pool))["A", "on_hand"] == 22
    assert (await read(edge, MAP))["skus"][-1]["theirs"] == "NEW_1"
    for what in ("map", "map/summary", "unmapped"):
        unknown = await edge.call("GET", f"/v1/stock/feeds/ACME/{what}", role="viewer")
        assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (404, "unknown_feed")
        assert "orderlog stock feeds" in unknown.json()["next_step"]


async def test_a_map_of_thousands_is_as_many_small_parts(pool: asyncpg.Pool, inventory: Inventory) -> None:
    """Nothing grows with the map: neither a stream's part nor an event."""
    await inventory.hear(feed(mapped=True))
    commands: list[Any] = [
        MapFeedSku(feed="acme", theirs=f"T-{number}", sku=f"S-{number}", pack_size=6)
        for number in range(2_000)
    ]
    await inventory.hear(*commands)
    rows = [
        TellStock(feed="acme", theirs=f"T-{number}", packs=2, stated_at=minutes(0)) for number in range(2_000)
    ]
    await inventory.hear(*rows, minute=1)
    await inventory.ring(1)
    assert await pool.fetchval("SELECT sum(quantity) FROM balance WHERE bucket = 'on_hand'") == 24_000
    largest = await pool.fetchval("SELECT max(octet_length(part::text)) FROM part")
    assert largest < 1_500
    assert await pool.fetchval("SELECT max(octet_length(payload::text)) FROM log") < 1_500
