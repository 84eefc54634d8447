"""A node that is switched off, through the real stage loop on PostgreSQL: its SKUs are told. What an older
database is made to know."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from pydantic import TypeAdapter

import services.inventory as inventory_package
from libs.events.routing import NodeDefined
from libs.runtime.log import Snapshot, Writes
from libs.runtime.log_rows import log_row
from libs.runtime.postgres_log import PostgresLog
from services.inventory.app import STAGE
from services.inventory.node_reminders import remind_of_switched
from services.inventory.stock import SkuPart
from tests.log.test_inventory_book import Inventory, inventory, pool
from tests.unit.inventory_supply import expect, minutes
from tests.unit.inventory_trade import accepted, hold, receive

__all__ = ["inventory", "pool"]
READ = TypeAdapter(SkuPart).validate_json
MIGRATION = Path(inventory_package.__file__).parent / "migrations" / "0104.arrivals.sql"


def node(name: str, version: int, **more: Any) -> NodeDefined:
    terms = {"name": name, "country": "GB", "latitude": 51.5, "longitude": -0.1}
    return NodeDefined.model_validate({"node": name, "nodes_version": version, **terms, **more})


async def test_skus_with_units_at_a_switched_node_are_reminded_once(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    await inventory.hear(receive("A", 10), receive("B", 4, "N2"), receive("C", 2, "N2"), receive("C", 2))
    assert await remind_of_switched(pool) == 0
    assert await inventory.hear(node("N2", 2, active=False), minute=1) == ["node_switched"]
    assert await remind_of_switched(pool) == 2
    assert await remind_of_switched(pool) == 0
    assert sorted(await inventory.ring(2)) == ["reach_changed", "reach_changed"]
    assert await inventory.hear(accepted("o1", ("B", 1)), minute=3) == ["stock_backordered"]
    assert await inventory.hear(accepted("o2", ("C", 2)), minute=4) == ["stock_reserved"]
    await inventory.hear(node("N2", 3), minute=5)
    assert await remind_of_switched(pool) == 2
    assert "stock_pegged" in await inventory.ring(6)
    assert await inventory.hear(receive("D", 1, "N2"), minute=7) == ["stock_received"]


async def test_a_node_switched_while_its_skus_are_told_of_another_switch_is_told_too(
    pool: asyncpg.Pool, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nodes are read without a lock: what is switched in another process behind the reading, and noted
    before the ring is written, has a ring of its own."""
    await inventory.hear(receive("A", 2), receive("A", 5, "N2"))
    await inventory.hear(node("N2", 2, active=False), minute=1)
    assert await remind_of_switched(pool) == 1
    log, switched = inventory.log, list[str]()
    read = log.look

    async def look(*asked: Any) -> Any:
        found = await read(*asked)
        if not switched:
            switched.append("N2")
            other = PostgresLog(pool, STAGE)
            async with other.batch() as batch:
                [last] = await pool.fetch("SELECT * FROM log WHERE type = 'oms.inventory.node_switched'")
                # as another lane's owner writes it: on again
                again = replace(
                    log_row(last),
                    lane=1,
                    seq=1,
                    event_id=UUID(int=1),
                    stream_version=last["stream_version"] + 2,
                    recorded_at=minutes(1.5),
                    at=minutes(1.5),
                )
                part = await pool.fetchval("SELECT part::text FROM part WHERE key = 'acme/nodes'")
                on = orjson.dumps(orjson.loads(part) | {"closed": [], "told_closed": [], "version": 3})
                nodes = {"acme/nodes": (1, Snapshot(again.stream_version, on))}
                await batch.write(Writes(rows=[again], parts=nodes))
            assert await remind_of_switched(pool) == 1
        return found

    monkeypatch.setattr(log, "look", look)
    assert await inventory.ring(2) == ["reach_changed", "reach_changed"]
    assert switched
    assert not READ(await _part(pool)).closed


async def test_skus_of_an_older_database_learn_what_is_to_come(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    await inventory.hear(receive("A", 3), hold("b2", ("A", 1)), hold("b1", ("A", 1)))
    await inventory.hear(expect("A", "PO-1", 5), expect("A", "PO-2", 4, "N2"), expect("B", "PO-1", 2))
    written = await _part(pool)
    known = READ(written)
    assert known.arrivals is not None
    assert [units for _, _, units in known.arrivals] == [5, 4]
    older = {name: value for name, value in orjson.loads(written).items() if name != "arrivals"}
    await pool.execute("UPDATE part SET part = $1 WHERE key = 'acme/sku/A'", orjson.dumps(older).decode())
    assert READ(await _part(pool)).arrivals is None
    await pool.execute(MIGRATION.read_text())
    again = await _part(pool)
    assert READ(again) == known
    assert list(READ(again).baskets) == ["b2", "b1"]


async def _part(pool: asyncpg.Pool) -> str:
    part: str = await pool.fetchval("SELECT part::text FROM part WHERE key = 'acme/sku/A'")
    return part
