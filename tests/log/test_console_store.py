"""The read models in a real PostgreSQL: exact under repeats, fences, races; one tenant never sees another."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import pytest

from libs.events.contract import Event
from libs.events.envelope import Envelope
from services.console.digest import live_digest
from services.console.store import OffsetMoved, Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES, delivered, receipts, received, rejected, troubled
from tests.console_parts import envelopes

__all__ = ["console_dsn", "pool"]
INTAKE = ("oms.intake.events", 0)


async def feed(projector: Projector, topics: dict[str, list[Envelope[Event]]], seed: int = 0) -> None:
    """Read the topics to their ends, in batches of any size, mixed as the seed has it."""
    turn = random.Random(seed)
    places = {(f"oms.{stage}.events", 0): events for stage, events in topics.items()}
    position = await projector.positions(places)
    while ahead := [place for place, events in places.items() if position[place] < len(events)]:
        offsets, batch = {}, list[Envelope[Event]]()
        for place in turn.sample(ahead, turn.randint(1, len(ahead))):
            end = min(len(places[place]), position[place] + turn.randint(1, 7))
            offsets[place] = (position[place], end)
            batch += places[place][position[place] : end]
        await projector.apply(batch, offsets)
        position |= {place: end for place, (_, end) in offsets.items()}


async def rows(pool: asyncpg.Pool, query: str, tenant: str = "acme") -> Sequence[asyncpg.Record]:
    """What the query API's role sees of a tenant."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE orderlog_console_reader")
        await connection.execute("SET LOCAL search_path = live")
        await connection.execute("SELECT set_config('orderlog.tenant', $1, true)", tenant)
        found: Sequence[asyncpg.Record] = await connection.fetch(query)
        return found


async def test_every_life_ends_in_its_status(pool: asyncpg.Pool) -> None:
    ids = {f"o-{number}": name for number, name in enumerate(LIVES)}
    await feed(Projector(pool), by_stage(*(LIVES[name](order_id) for order_id, name in ids.items())))
    found = await rows(pool, "SELECT order_id, status FROM orders")
    assert {row["order_id"]: row["status"] for row in found} == ids


@pytest.mark.parametrize("seed", range(4))
async def test_the_digest_does_not_depend_on_arrival(pool: asyncpg.Pool, seed: int) -> None:
    topics = by_stage(delivered("o-1"), troubled("o-2"), LIVES["cancelled"]("o-3"))
    topics["inventory"] += envelopes("inventory", receipts("o-2"), first=len(topics["inventory"]) + 1)
    await feed(Projector(pool), topics, seed)
    await pool.execute("SELECT create_read_models('rebuild')")
    straight = Projector(pool, "rebuild")
    everything = [event for events in topics.values() for event in events]
    ends = {(f"oms.{stage}.events", 0): (0, len(events)) for stage, events in topics.items()}
    await straight.positions(ends)
    await straight.apply(everything, ends)
    assert await live_digest(pool) == await live_digest(pool, "rebuild")


async def test_the_digest_shows_a_single_wrong_unit(pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), by_stage(delivered("o-1")))
    before = await live_digest(pool)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL orderlog.projector = 'on'")
        await connection.execute(
            "UPDATE live.stock SET quantity = quantity + 1 WHERE sku = 'B' AND bucket = 'issued'"
        )
    assert await live_digest(pool) != before


async def test_stock_and_reservations_are_the_sums_of_the_movements(pool: asyncpg.Pool) -> None:
    topics = by_stage(delivered("o-1"))
    topics["inventory"] += envelopes("inventory", receipts("o-1"), first=len(topics["inventory"]) + 1)
    await feed(Projector(pool), topics, seed=3)
    stock = await rows(pool, "SELECT node, bucket, quantity FROM stock WHERE sku = 'A' AND quantity <> 0")
    assert {(row["node"], row["bucket"]): row["quantity"] for row in stock} == {
        ("LON", "supplier"): -10,
        ("LON", "on_hand"): 3,
        ("LON", "issued"): 5,
        ("LON", "scrapped"): 1,
        ("LON", "written_off"): 1,
    }
    [claim] = await rows(pool, "SELECT wanted, held, issued, returned FROM reservations WHERE sku = 'A'")
    assert tuple(claim) == (10, 0, 10, 5)


async def test_repeats_change_nothing(pool: asyncpg.Pool) -> None:
    topics = by_stage(delivered("o-1"))
    projector = Projector(pool)
    await feed(projector, topics)
    before = await live_digest(pool)
    again = topics["intake"] + topics["inventory"]
    end = len(topics["intake"])
    await projector.apply(again, {INTAKE: (end, end + len(again))})
    assert await live_digest(pool) == before
    assert await projector.positions([INTAKE]) == {INTAKE: end + len(again)}


async def test_a_batch_that_starts_elsewhere_is_refused_whole(pool: asyncpg.Pool) -> None:
    topics = by_stage(delivered("o-1"), rejected("o-2"))
    projector = Projector(pool)
    with pytest.raises(OffsetMoved):
        await projector.apply(topics["intake"], {INTAKE: (0, 3)})
    await projector.positions([INTAKE])
    await projector.apply(topics["intake"][:1], {INTAKE: (0, 1)})
    before = await live_digest(pool)
    with pytest.raises(OffsetMoved) as moved:
        await projector.apply(topics["intake"], {INTAKE: (0, 3)})
    assert moved.value.stored[INTAKE] == 1
    assert await live_digest(pool) == before


async def test_of_two_projectors_in_one_lane_one_wins(pool: asyncpg.Pool) -> None:
    topics = by_stage(*(delivered(f"o-{n}") for n in range(20)))
    one, other = Projector(pool), Projector(pool)
    await one.positions([INTAKE])
    ends = {INTAKE: (0, len(topics["intake"]))}
    outcomes = await asyncio.gather(
        one.apply(topics["intake"], ends), other.apply(topics["intake"], ends), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "OffsetMoved"]
    [events] = await rows(pool, "SELECT sum(events), count(*) FROM orders")
    assert tuple(events) == (40, 20)


@pytest.mark.parametrize("seed", range(4))
async def test_two_projectors_that_take_turns_in_a_lane_fold_as_one(pool: asyncpg.Pool, seed: int) -> None:
    """Each keeps what it wrote of an order, and must notice that the other has written it since."""
    topics = by_stage(delivered("o-1"), troubled("o-2"))
    places = {(f"oms.{stage}.events", 0): events for stage, events in topics.items()}
    turn, projectors = random.Random(seed), (Projector(pool), Projector(pool))
    position = await projectors[0].positions(places)
    while ahead := [place for place, events in places.items() if position[place] < len(events)]:
        place = turn.choice(ahead)
        start, end = position[place], min(len(places[place]), position[place] + turn.randint(1, 3))
        await turn.choice(projectors).apply(places[place][start:end], {place: (start, end)})
        position[place] = end
    await pool.execute("SELECT create_read_models('rebuild')")
    await feed(Projector(pool, "rebuild"), topics)
    assert await live_digest(pool) == await live_digest(pool, "rebuild")


async def test_topics_of_a_lane_in_two_hands_lose_nothing(pool: asyncpg.Pool) -> None:
    """During a rebalance one process may still have a topic of the lane while another has the next one."""
    topics = by_stage(*(delivered(f"o-{n}") for n in range(30)))
    projector = Projector(pool)
    places = {stage: (f"oms.{stage}.events", 0) for stage in topics}
    await projector.positions(places.values())
    await asyncio.gather(
        *(Projector(pool).apply(topics[s], {place: (0, len(topics[s]))}) for s, place in places.items())
    )
    [events] = await rows(pool, "SELECT sum(events), count(*) FROM orders")
    assert tuple(events) == (sum(len(events) for events in topics.values()), 30)


async def test_lanes_that_share_skus_add_up(pool: asyncpg.Pool) -> None:
    """Stock rows are common to all lanes: batches that touch them at once, in opposite order, neither
    deadlock nor lose units."""
    skus = [f"SKU-{number:04}" for number in range(1500)]
    lanes = {}
    for lane in range(4):
        order = skus if lane % 2 else list(reversed(skus))
        lanes[lane] = envelopes("inventory", [received(sku, 3) for sku in order], lane=lane)
    await Projector(pool).positions([("oms.inventory.events", lane) for lane in lanes])
    await asyncio.gather(
        *(
            Projector(pool).apply(e, {("oms.inventory.events", lane): (0, len(e))})
            for lane, e in lanes.items()
        )
    )
    found = await rows(pool, "SELECT DISTINCT quantity, count(*) OVER () FROM stock WHERE bucket = 'on_hand'")
    assert [tuple(row) for row in found] == [(12, 1500)]


async def test_a_tenant_sees_its_own_rows_only(pool: asyncpg.Pool) -> None:
    projector = Projector(pool)
    await feed(projector, by_stage(delivered("o-1")))
    foreign = [replace(e, tenant="rival", lane=1) for e in by_stage(delivered("o-2"))["intake"]]
    place = ("oms.intake.events", 1)
    await projector.positions([place])
    await projector.apply(foreign, {place: (0, len(foreign))})
    assert [row["order_id"] for row in await rows(pool, "SELECT order_id FROM orders", "acme")] == ["o-1"]
    assert [row["order_id"] for row in await rows(pool, "SELECT order_id FROM orders", "rival")] == ["o-2"]
    assert await rows(pool, "SELECT order_id FROM orders", "") == []
    for table in ("timeline", "stock", "reservations", "order_skus"):
        tenants = await rows(pool, f"SELECT DISTINCT tenant FROM {table}", "rival")  # noqa: S608
        assert [row["tenant"] for row in tenants] in (["rival"], []), table


async def test_the_query_role_can_neither_write_nor_widen_its_view(pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), by_stage(delivered("o-1")))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await rows(pool, "UPDATE orders SET status = 'lost' RETURNING order_id")
    seen = await rows(
        pool, "SELECT order_id FROM orders WHERE set_config('orderlog.projector', 'on', true) = 'on'", "rival"
    )
    assert seen == []
