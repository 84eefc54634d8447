"""Inventory's tables on a real PostgreSQL: the sums follow the movements, and no wrong sum can be written."""

from collections.abc import AsyncIterator, Callable, Iterable
from uuid import UUID

import asyncpg
import pytest

from libs.events.bundles import AssembleKit, TakeKitApart
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.inventory import SOURCES, StockReserved
from libs.events.order import LineQuantity
from libs.events.supply import SupplyCancelled
from libs.runtime.log import Writes
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.settings import Settings
from services.inventory import ledger
from services.inventory.app import STAGE
from tests.spec import NOON
from tests.unit.inventory_supply import arrive, expect, land, move, moves, send
from tests.unit.inventory_trade import (
    FRANCE,
    accepted,
    adjust,
    cancelled,
    dispatched,
    line,
    promised,
    receive,
    returned,
    routed,
    shorted,
)
from tests.unit.inventory_world import TENANT, World
from tests.unit.test_inventory_bundles import define


@pytest.fixture
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    """A database as `orderlog migrate` makes inventory's."""
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


def tables(events: Iterable[Event]) -> Writes:
    """What the planner would hand to the log of these events, for the tables alone."""
    writes = Writes()
    for number, event in enumerate(events, 1):
        id_ = UUID(int=number)
        out = Envelope(id_, TENANT, event.stream, event, NOON, "a", "", id_, id_, "s", sequence=number)
        for table, values in ledger.ledger_rows(out):
            writes.table_rows.setdefault(table, []).append(values)
        ledger.add_balances(out, writes.table_sums)
    return writes


async def write(pool: asyncpg.Pool, events: Iterable[Event]) -> None:
    log = PostgresLog(pool, STAGE)
    epochs = await log.claim([0])
    async with log.batch() as batch:
        await batch.lanes(epochs)
        await batch.write(tables(events))


LIFE: tuple[Contract, ...] = (
    receive("A", 4),
    accepted("o1", ("A", 2)),
    routed("o1", 1, N1=(line(1, "A", 2),)),
    shorted("o1", 1, "N1", line(1, "A", 1)),
    cancelled("o1", line(1, "A", 2)),
    adjust("A", -1),
    accepted("o2", ("A", 2)),
)


async def test_the_tables_are_the_sum_of_what_happened(pool: asyncpg.Pool) -> None:
    world = World()
    for body in LIFE:
        await write(pool, world.take(body))
    [promise] = await pool.fetch("SELECT tenant, sku, on_hand, reserved FROM promise")
    assert tuple(promise) == (TENANT, "A", 2, 2)
    balance = await pool.fetch("SELECT sku, node, bucket, quantity FROM balance WHERE quantity <> 0")
    assert {tuple(row)[:3]: row["quantity"] for row in balance} == {
        place: quantity for place, quantity in world.balance.items() if quantity and place[2] not in SOURCES
    }
    summed = await pool.fetch(
        """
        SELECT sku, node, bucket, sum(quantity)::bigint FROM (
            SELECT sku, node, target AS bucket, quantity FROM ledger
            UNION ALL SELECT sku, node, source, -quantity FROM ledger) AS sides
        WHERE bucket <> ALL($1::text[]) GROUP BY sku, node, bucket HAVING sum(quantity) <> 0""",
        list(SOURCES),
    )
    assert {tuple(row) for row in summed} == {tuple(row) for row in balance}


async def test_a_promise_without_units_cannot_be_written(pool: asyncpg.Pool) -> None:
    await write(pool, World().take(receive("A", 1)))
    oversold = StockReserved(
        order_id="o1",
        round=1,
        lines=(LineQuantity(line=1, sku="A", quantity=2),),
        availability=(),
        since=NOON,
        destination=FRANCE,
        movements=(promised("A", 2, 2),),
    )
    with pytest.raises(asyncpg.CheckViolationError, match="promise_has_its_units"):
        await write(pool, [oversold])
    assert await pool.fetchval("SELECT count(*) FROM ledger") == 1


async def test_a_bucket_cannot_be_emptied_below_zero(pool: asyncpg.Pool) -> None:
    world = World()
    for body in (receive("A", 2), accepted("o1", ("A", 1)), routed("o1", 1, N1=(line(1, "A", 1),))):
        events = world.take(body)
    with pytest.raises(asyncpg.CheckViolationError, match="balance_not_below_zero"):
        await write(pool, events)  # the allocation alone, as if the receipt had never been


async def test_what_is_bought_moved_and_set_aside_is_in_the_tables_too(pool: asyncpg.Pool) -> None:
    world = World()
    life: tuple[Contract, ...] = (
        expect("A", "P", 10),
        arrive("A", "P", "R1", 7, damaged=1),
        send("A", "T", 3),
        move("A", 1, "on_hand", "quarantine"),
    )
    for body in life:
        await write(pool, world.take(body))
    found = await pool.fetch("SELECT node, bucket, quantity FROM balance WHERE quantity > 0 ORDER BY 1, 2")
    assert [tuple(row) for row in found] == [
        ("N1", "damaged", 1),
        ("N1", "inbound", 2),
        ("N1", "on_hand", 3),
        ("N1", "quarantine", 1),
        ("N2", "in_transit", 3),
    ]
    landed = world.take(land("A", "T", "L1", 3))
    await write(pool, landed)
    again = SupplyCancelled(
        sku="A",
        supply_id="P",
        node="N1",
        quantity=3,
        movements=(moves("A", 99, 3, "inbound", "supplier"),),
    )
    with pytest.raises(asyncpg.CheckViolationError, match="balance_not_below_zero"):
        await write(pool, [again])


async def test_a_kit_and_its_parts_are_in_the_tables_also_where_more_is_taken_apart_than_was_made(
    pool: asyncpg.Pool,
) -> None:
    world = World()
    life: tuple[Contract, ...] = (
        receive("TEA", 4),
        receive("KIT", 1),
        define(("TEA", 3), name="KIT", kept="assembled"),
        AssembleKit(sku="KIT", node="N1", quantity=1),
        TakeKitApart(sku="KIT", node="N1", quantity=2),
    )
    for body in life:
        await write(pool, world.take(body))
    found = await pool.fetch("SELECT sku, bucket, quantity FROM balance WHERE quantity <> 0 ORDER BY 1, 2")
    assert [tuple(row) for row in found] == [
        ("TEA", "on_hand", 7),
    ]
    assert [tuple(row) for row in await pool.fetch("SELECT sku, on_hand FROM promise ORDER BY 1")] == [
        ("KIT", 0),
        ("TEA", 7),
    ]


async def test_a_position_is_taken_once_and_the_ledger_is_not_edited(pool: asyncpg.Pool) -> None:
    received = World().take(receive("A", 2))
    await write(pool, received)
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(pool, received)
    for statement in ("UPDATE ledger SET quantity = 9", "DELETE FROM ledger", "TRUNCATE ledger"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await pool.execute(statement)


async def test_units_pass_between_nodes(pool: asyncpg.Pool) -> None:
    world = World()
    shipped, came = dispatched("o1", 1, "N1", line(1, "A", 2)), returned("o1", "N2", line(1, "A", 2))
    for body in (*LIFE[:3], shipped, came):
        await write(pool, world.take(body))
    found = await pool.fetch("SELECT node, bucket, quantity FROM balance WHERE node <> '*' AND quantity <> 0")
    assert {tuple(row) for row in found} == {
        ("N1", "on_hand", 2),
        ("N2", "on_hand", 2),
    }
