"""Serial numbers through the real stage loop on PostgreSQL, and what inventory's edge reads of them."""

from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from services.inventory import serial_book
from services.inventory.proof import prove
from tests.log.test_inventory_book import TENANT, Inventory
from tests.unit.inventory_serials import CAM, back, came, cameras, sent
from tests.unit.inventory_trade import accepted, line, receive, routed


@pytest.fixture
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


async def test_where_a_unit_is_and_was_is_read_from_the_log(pool: asyncpg.Pool) -> None:
    inventory = Inventory(pool)
    await inventory.open()
    assert await inventory.hear(cameras(), came("A", "B", "C"), receive("MUG", 3)) == [
        "item_defined",
        "stock_received",
        "stock_received",
    ]
    assert await inventory.hear(came("B"), minute=1) == ["command_refused"]
    await inventory.hear(accepted("o1", (CAM, 1)), accepted("o2", (CAM, 1)), minute=2)
    plan = line(1, CAM, 1)
    await inventory.hear(routed("o1", 1, N1=(plan,)), routed("o2", 1, N1=(plan,)), minute=3)
    await inventory.hear(sent("o1", 1, "A"), minute=4)
    await inventory.hear(sent("o2", 1, "A"), minute=5)
    await inventory.hear(back("o1", "A", node="N2"), minute=6)
    async with pool.acquire() as connection:
        assert await serial_book.astray(connection, TENANT, "MUG") is None
        assert await serial_book.astray(connection, TENANT, CAM) == {"N1": 1}
        assert await serial_book.history(connection, TENANT, CAM, "Z") == []
        first = await serial_book.history(connection, TENANT, CAM, "A")
        units = await serial_book.units(connection, TENANT, CAM, None, "", 2)
        rest = await serial_book.units(connection, TENANT, CAM, None, "B", 2)
        there = await serial_book.units(connection, TENANT, CAM, "N2", "", 10)
        with pytest.raises(asyncpg.PostgresError, match="append-only"):
            await connection.execute("DELETE FROM ledger_serial")
    assert [(one["type"].rpartition(".")[2], one["node"], one["target"]) for one in first] == [
        ("stock_received", "N1", "on_hand"),
        ("stock_issued", "N1", "issued"),
        ("stock_returned", "N1", "transfer"),
        ("stock_returned", "N2", "on_hand"),
    ]
    assert [one["order_id"] for one in first] == [None, "o1", "o1", "o1"]
    where = serial_book.place(first)
    assert (where["place"], where["node"], where["order_id"]) == ("shelf", "N2", None)
    assert serial_book.place(first[:2])["order_id"] == "o1"
    assert [(one["serial"], one["node"]) for one in units] == [("A", "N2"), ("B", "N1")]
    assert [one["serial"] for one in rest] == ["C"]
    assert there == units[:1]
    proof = prove([row for row in inventory.rows if row.origin == "decided"])
    assert proof.holds, proof.violation
