"""Lots as of then: inventory's tables against a sum over all movements, in PostgreSQL, and over HTTP."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.events.inventory import SOURCES
from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import Settings
from services.inventory import lots_past, store
from services.inventory.app import all_routes
from services.inventory.past import Asked
from tests.log.stock_history import History
from tests.spec import NOON
from tests.unit.edge_client import TENANT, EdgeClient
from tests.unit.inventory_lots import corrected, day, delivered, milk, recalled
from tests.unit.inventory_supply import land, send
from tests.unit.inventory_trade import receive

TENANTS = (f"lots{number}" for number in count(1))
MINUTES = st.integers(0, 240)
STEP = st.tuples(
    st.sampled_from(("receive", "receive", "adjust", "send", "mug")),
    st.integers(1, 4),
    st.none() | MINUTES,
    st.integers(0, 30),
)


@pytest.fixture(scope="module")
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


def played(steps: list[tuple[str, int, int | None, int]]) -> History:
    """Milk of four lots at two nodes, some of it told late."""
    history, moment = History(), NOON
    history.tell(milk(), NOON)
    for number, (act, units, ago, later) in enumerate(steps):
        moment += timedelta(minutes=later, seconds=1)
        then = None if ago is None else moment - timedelta(minutes=ago)
        if act == "receive":
            history.tell(delivered(f"L{units}", units, 20 + units, f"N{1 + units % 2}"), moment, then)
        elif act == "adjust":
            history.tell(corrected(f"L{units}", -1, f"N{1 + units % 2}"), moment, then)
        elif act == "send":
            history.tell(send("MILK", f"T{number}", 1, "N1", "N2"), moment)
            history.tell(land("MILK", f"T{number}", "R", 1), moment)
        else:
            history.tell(receive("MUG", units), moment, then)
    return history


def of_lots(history: History, asked: Asked) -> dict[tuple[str, str, str], int]:
    """By lot, node and bucket, from every movement of the SKU."""
    sums, known = Counter[tuple[str, str, str]](), None
    for move, recorded_at, stated in history.moved:
        if move.sku != asked.sku:
            continue
        known = recorded_at if known is None else max(known, recorded_at)
        effective = known if stated is None else min(known, stated)
        in_time = effective <= asked.at and (asked.known_at is None or known <= asked.known_at)
        for bucket, sign in ((move.source, -1), (move.target, 1)):
            if in_time and move.lot is not None and bucket not in {*SOURCES, "inbound"}:
                sums[move.lot, move.node, bucket] += sign * move.quantity
    return {place: quantity for place, quantity in sums.items() if quantity}


@given(
    steps=st.lists(STEP, min_size=1, max_size=30),
    moments=st.lists(st.tuples(MINUTES, st.none() | MINUTES), min_size=1, max_size=8),
    every=st.sampled_from((1, 3, 7)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_lots_of_any_moment_are_what_all_movements_say(
    pool: asyncpg.Pool,
    steps: list[tuple[str, int, int | None, int]],
    moments: list[tuple[int, int | None]],
    every: int,
) -> None:
    history, tenant = played(steps), next(TENANTS)
    await history.write(pool, tenant)
    asked = [
        Asked(sku, NOON + timedelta(minutes=at), None if known is None else NOON + timedelta(minutes=known))
        for at, known in moments
        for sku in ("MILK", "MUG")
    ]
    wanted = [of_lots(history, one) for one in asked]
    bare = await store.as_of(pool, tenant, asked)
    assert await lots_past.units_of_lots(pool, tenant, bare) == wanted
    async with pool.acquire() as connection:
        while await store.make_snapshots(connection, at_once=5, every=every):
            pass
        checked = [holds async for _, holds in store.checked_snapshots(connection)]
    assert all(checked)
    again = await store.as_of(pool, tenant, asked)
    assert again == bare
    assert await lots_past.units_of_lots(pool, tenant, again) == wanted


async def test_lots_as_of_then_over_http(pool: asyncpg.Pool, tmp_path: Path) -> None:
    """Ten of OLD came at 12:00. At 15:00 it is told that four of NEW had come at 13:00; at 16:00 OLD is
    recalled."""
    at = {hour: NOON + timedelta(hours=hour - 12) for hour in range(12, 20)}
    history = History()
    history.tell(milk(), at[12])
    history.tell(delivered("OLD", 10, 30), at[12])
    history.tell(send("MILK", "T", 3, due=at[19]), at[14])
    history.tell(delivered("NEW", 4, 40, "N2"), at[15], at[13])
    history.tell(recalled("OLD"), at[16])
    history.tell(receive("MUG", 1), at[12])
    await history.write(pool, TENANT)
    edge = EdgeClient("inventory", all_routes, tmp_path, pool)

    async def lots(moment: datetime, known_at: datetime | None = None) -> list[tuple[str, str, object]]:
        asked = {"at": moment.isoformat()} | ({"known_at": known_at.isoformat()} if known_at else {})
        answer = await edge.call("GET", "/v1/stock/MILK", role="viewer", params=asked)
        return [(one["lot"], one["state"], one["nodes"]) for one in answer.json()["lots"]]

    old = ("OLD", "good", {"N1": {"on_hand": 10}})
    new = ("NEW", "good", {"N2": {"on_hand": 4}})
    assert await lots(at[13], at[13]) == [old]
    assert await lots(at[13]) == [old, new]
    assert await lots(at[15], at[14]) == [("OLD", "good", {"N1": {"on_hand": 7}, "N2": {"in_transit": 3}})]
    assert await lots(at[17]) == [
        ("OLD", "quarantined", {"N1": {"quarantine": 7}, "N2": {"in_transit": 3}}),
        new,
    ]
    now = (await edge.call("GET", "/v1/stock/MILK", params={"node": "N2"})).json()["lots"]
    assert [(one["lot"], one["expires_on"]) for one in now] == [
        ("OLD", day(30).isoformat()),
        ("NEW", day(40).isoformat()),
    ]
    assert "lots" not in (await edge.call("GET", "/v1/stock/MUG")).json()
    book = (
        await edge.call("GET", "/v1/stock/MILK/book", params={"node": "N1", "at": at[13].isoformat()})
    ).json()
    assert (book["book"], book["lots"]) == (10, {"OLD": 10})
