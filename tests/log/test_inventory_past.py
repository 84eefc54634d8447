"""What stood when, as known when: inventory's tables against a sum over all movements, in PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from itertools import count

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.events.inventory import StockReserved
from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from services.inventory import store
from services.inventory.past import Asked
from tests.log.stock_history import History
from tests.spec import NOON
from tests.unit.inventory_trade import accepted, adjust, cancelled, line, receive, routed
from tests.unit.inventory_world import LANES

TENANTS = (f"t{number}" for number in count(1))
MINUTES = st.integers(0, 240)
ACTS = st.sampled_from(("receive", "receive", "adjust", "order", "route", "cancel"))
STEP = st.tuples(ACTS, st.sampled_from("AB"), st.integers(1, 5), st.none() | MINUTES, st.integers(0, 30))
SKEWS = st.lists(st.integers(-90, 90), min_size=LANES, max_size=LANES)
"""Seconds by which the clock of a lane's process is ahead."""


@pytest.fixture(scope="module")
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


def played(steps: list[tuple[str, str, int, int | None, int]], skews: list[int]) -> History:
    """A history, some of it told late: (act, SKU, units, minutes that it was true before, minutes later)."""
    history = History(clocks={lane: timedelta(seconds=ahead) for lane, ahead in enumerate(skews)})
    moment, asks = NOON, list[StockReserved]()
    for number, (act, sku, units, ago, later) in enumerate(steps):
        moment += timedelta(minutes=later, seconds=1)
        effective = None if ago is None else moment - timedelta(minutes=ago)
        if act == "receive":
            history.tell(receive(sku, units, f"N{units % 2}"), moment, effective)
        elif act == "adjust":
            history.tell(adjust(sku, -units, f"N{units % 2}"), moment, effective)
        elif act == "order":
            told = history.tell(accepted(f"o{number}", (sku, units)), moment)
            asks += [event for event in told if isinstance(event, StockReserved)]
        elif asks:
            ask = asks.pop()
            node = ask.availability[0].node
            plan = routed(
                ask.order_id, ask.round, **{node: (line(1, ask.lines[0].sku, ask.lines[0].quantity),)}
            )
            history.tell(plan if act == "route" else cancelled(ask.order_id, *ask.lines), moment)
    return history


@given(
    steps=st.lists(STEP, min_size=1, max_size=40),
    skews=SKEWS,
    moments=st.lists(st.tuples(st.sampled_from("AB"), MINUTES, st.none() | MINUTES), min_size=1, max_size=12),
    every=st.sampled_from((1, 3, 7)),
    until=st.integers(0, 40),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_moment_is_what_all_movements_say(
    pool: asyncpg.Pool,
    steps: list[tuple[str, str, int, int | None, int]],
    skews: list[int],
    moments: list[tuple[str, int, int | None]],
    every: int,
    until: int,
) -> None:
    history, tenant = played(steps, skews), next(TENANTS)
    await history.write(pool, tenant)
    asked = [
        Asked(sku, NOON + timedelta(minutes=at), None if known is None else NOON + timedelta(minutes=known))
        for sku, at, known in moments
    ]
    wanted = [history.units(one) for one in asked]
    bare = await store.as_of(pool, tenant, asked)
    assert [one.units for one in bare] == wanted
    async with pool.acquire() as connection:
        while await store.make_snapshots(connection, at_once=5, every=every):
            pass
    assert [one.units for one in await store.as_of(pool, tenant, asked)] == wanted


async def test_as_known_then_and_as_corrected_since(pool: asyncpg.Pool) -> None:
    """Ten came at 12:00. At 15:00 it is told that four more had come at 12:30, at 16:00 that three of all
    broke at 13:00."""
    history = History()
    at = {hour: NOON + timedelta(hours=hour - 12) for hour in range(12, 20)}
    half_past = at[12] + timedelta(minutes=30)
    history.tell(receive("A", 10), at[12])
    history.tell(accepted("o1", ("A", 8)), at[14])
    history.tell(receive("A", 4), at[15], half_past)
    history.tell(adjust("A", -3), at[16], at[13])
    await history.write(pool, tenant := next(TENANTS))

    async def on_hand(moment: datetime, known_at: datetime | None) -> int:
        (stood,) = await store.as_of(pool, tenant, [Asked("A", moment, known_at)])
        return stood.units.get(("N1", "on_hand"), 0)

    assert [await on_hand(at[14], known) for known in (at[14], at[15], at[16], None)] == [10, 14, 11, 11]
    assert [await on_hand(half_past, known) for known in (half_past, at[15], None)] == [10, 14, 14]
    assert await on_hand(at[18], at[13]) == 10
    assert await on_hand(at[12] - timedelta(seconds=1), None) == 0


async def test_snapshots_are_checked_against_the_ledger(pool: asyncpg.Pool) -> None:
    history = History()
    for number in range(20):
        history.tell(receive("A", number + 1), NOON + timedelta(minutes=number))
    await history.write(pool, tenant := next(TENANTS))
    async with pool.acquire() as connection:
        await store.throw_snapshots_away(connection)
        while await store.make_snapshots(connection, at_once=2, every=6):
            pass

        async def wrong() -> list[tuple[str, int]]:
            checked = [one async for one in store.checked_snapshots(connection, at_once=2)]
            mine = [(found.position, holds) for found, holds in checked if found.tenant == tenant]
            assert [position for position, _ in mine] == [6, 12, 18]
            return [(found.tenant, found.position) for found, holds in checked if not holds]

        assert await wrong() == []
        await connection.execute(
            "UPDATE ledger_snapshot SET units[1] = units[1] + 1 WHERE tenant = $1 AND position = 12", tenant
        )
        assert await wrong() == [(tenant, 12)]
        assert await store.throw_snapshots_away(connection) > 0
        await store.make_snapshots(connection, at_once=500, every=6)
        assert await wrong() == []


async def test_one_process_at_a_time_makes_snapshots(pool: asyncpg.Pool) -> None:
    history = History()
    for number in range(3):
        history.tell(receive("A", 1), NOON + timedelta(minutes=number))
    await history.write(pool, tenant := next(TENANTS))
    made = "SELECT count(*) FROM ledger_snapshot WHERE tenant = $1"
    async with pool.acquire() as one, pool.acquire() as other:
        async with one.transaction():
            await one.execute("SELECT pg_advisory_xact_lock(hashtext('orderlog ledger snapshots'))")
            assert not await store.make_snapshots(other, at_once=500, every=1)
            assert await other.fetchval(made, tenant) == 0
        await store.make_snapshots(other, at_once=500, every=1)
        assert await other.fetchval(made, tenant) == 3
