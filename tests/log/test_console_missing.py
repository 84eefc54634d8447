"""What backordered orders lack, in its own table: always what orders and claims say together."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from libs.events.contract import Event
from libs.events.dates import BackorderDated, Due
from libs.events.intake import OrderAccepted
from libs.events.inventory import Claim, Shortage, StockBackordered, StockPegged, StockReserved
from libs.events.order import OrderLine
from libs.events.policy import OrderPolicy
from services.console.claims import read_waiting
from services.console.missing import FILL_MISSING
from services.console.queries import Queries
from services.console.store import Connection, Projector
from services.console.today import read_today
from tests.console_database import console_dsn, pool
from tests.console_lives import LIVES, receipts, terms
from tests.console_parts import GB, at, envelopes, move, units

__all__ = ["console_dsn", "pool"]
WANTED = (units(1, 10, "A"), units(2, 2, "B"))
INTAKE, INVENTORY, OTHER = ("oms.intake.events", 0), ("oms.inventory.events", 0), ("oms.inventory.events", 1)


def backordered(order_id: str) -> list[Event]:
    """It wants ten of A and two of B, and there is none of either."""
    short = (Shortage(sku="A", quantity=10), Shortage(sku="B", quantity=2))
    waits: dict[str, Any] = {"order_id": order_id, "round": 1, "since": at(0), "destination": GB}
    return [StockBackordered(**waits, lines=WANTED, short=short, movements=())]


def pegged(order_id: str, sku: str, quantity: int) -> StockPegged:
    moved = (move(sku, "*", "unreserved", "reserved", quantity),)
    return StockPegged(sku=sku, claims=(Claim(order_id=order_id, quantity=quantity),), movements=moved)


async def apply(
    projector: Projector, place: tuple[str, int], events: Sequence[Event], first: int = 0
) -> None:
    """Events of a lane, from that offset on."""
    stage = place[0].split(".")[1]
    found = envelopes(stage, list(events), first=first + 1, lane=place[1])
    await projector.positions([place])
    await projector.apply(found, {place: (first, first + len(events))})


async def missing(pool: asyncpg.Pool) -> list[tuple[Any, ...]]:
    """The table, once it was compared with what it is made of."""
    async with Projector(pool).transaction() as connection:
        kept = await connection.fetch("SELECT * FROM missing ORDER BY tenant, order_id, sku")
        await connection.execute("CREATE TEMPORARY TABLE afresh (LIKE missing) ON COMMIT DROP")
        await connection.execute(FILL_MISSING.replace("INTO missing", "INTO afresh"))
        assert kept == await connection.fetch("SELECT * FROM afresh ORDER BY tenant, order_id, sku")
    return [(row["order_id"], row["sku"], row["units"]) for row in kept]


async def test_what_comes_in_and_who_goes_on_leave_it(pool: asyncpg.Pool) -> None:
    projector = Projector(pool)
    accepted = [OrderAccepted(**terms(order_id)) for order_id in ("o-1", "o-2")]
    await apply(projector, INVENTORY, backordered("o-1"))
    assert await missing(pool) == [], "what it wants is told by intake"
    await apply(projector, INTAKE, accepted)
    await apply(projector, INVENTORY, backordered("o-2"), first=1)
    of_two = [("o-2", "A", 10), ("o-2", "B", 2)]
    assert await missing(pool) == [("o-1", "A", 10), ("o-1", "B", 2), *of_two]
    await apply(projector, OTHER, [pegged("o-1", "A", 1)])
    assert await missing(pool) == [("o-1", "A", 9), ("o-1", "B", 2), *of_two]
    async with Queries(pool).reading("acme") as connection:
        today = await read_today(connection, "acme", at(0), at(9))
        waiting = await read_waiting(connection, "acme", "A", 9)
    short = [(row["sku"], row["units"], row["orders"]) for row in today.missing]
    assert (short, today.missing_skus) == ([("A", 19, 2), ("B", 4, 2)], 2)
    found = [(row["order_id"], row["held"], row["missing"]) for row in waiting]
    assert found == [("o-1", 1, 9), ("o-2", 0, 10)]
    await apply(projector, OTHER, [pegged("o-1", "A", 9), pegged("o-1", "B", 2)], first=1)
    assert await missing(pool) == of_two
    reserved = StockReserved(
        order_id="o-2", round=1, lines=WANTED, availability=(), since=at(0), destination=GB, movements=()
    )
    await apply(projector, INVENTORY, [reserved], first=2)
    assert await missing(pool) == []


@pytest.mark.parametrize("life", sorted(LIVES))
async def test_it_says_what_orders_and_claims_say_after_each_event(pool: asyncpg.Pool, life: str) -> None:
    projector = Projector(pool)
    seen = set()
    told = dict(LIVES[life]("o-1"))
    told["inventory"] = [*told.get("inventory", ()), *receipts("o-1")]
    for stage, events in told.items():
        for offset, event in enumerate(events):
            await apply(projector, (f"oms.{stage}.events", 0), [event], first=offset)
            seen.update(await missing(pool))
    assert bool(seen) == (life == "troubled"), "there is a life in which something lacks"


_WAITS = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"


class _Held(Projector):
    """Stands still once it has written all but how far it has come."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self.there, self.go = asyncio.Event(), asyncio.Event()

    async def put(self, connection: Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        if table == "high_water":
            self.there.set()
            await self.go.wait()
        await super().put(connection, table, rows)


@pytest.mark.parametrize("order_first", [True, False])
async def test_an_order_that_begins_to_wait_and_units_for_it_at_once(
    pool: asyncpg.Pool, *, order_first: bool
) -> None:
    await apply(Projector(pool), INTAKE, [OrderAccepted(**terms("o-1"))])
    both: list[tuple[tuple[str, int], Sequence[Event]]] = [
        (INVENTORY, backordered("o-1")),
        (OTHER, [pegged("o-1", "A", 1)]),
    ]
    (place, events), (other, later) = both if order_first else both[::-1]
    held = _Held(pool)
    async with asyncio.TaskGroup() as lanes:
        lanes.create_task(apply(held, place, events))
        await held.there.wait()
        second = lanes.create_task(apply(Projector(pool), other, later))
        while not (second.done() or await pool.fetchval(_WAITS)):
            pass
        held.go.set()
    assert await missing(pool) == [("o-1", "A", 9), ("o-1", "B", 2)]


def waits(order_id: str, minute: int, rank: int | None = None, **terms_: Any) -> StockBackordered:
    """It was accepted at that minute, and goes by a policy where a rank is given."""
    policy = None if rank is None else OrderPolicy(version=1, rank=rank, **terms_)
    short = (Shortage(sku="A", quantity=1),)
    lines = (units(1, 1, "A"),)
    stated: dict[str, Any] = {"order_id": order_id, "round": 1, "since": at(minute), "destination": GB}
    return StockBackordered(**stated, lines=lines, short=short, policy=policy, movements=())


def ordered(order_id: str) -> OrderAccepted:
    line = OrderLine(line=1, sku="A", quantity=1, unit_price_minor=1)
    return OrderAccepted(**terms(order_id) | {"lines": (line,)})


async def test_who_waits_is_listed_in_the_order_of_service_with_who_came_later(pool: asyncpg.Pool) -> None:
    projector, day = Projector(pool), 24 * 60
    queue = [
        waits("o-1", 0),
        waits("o-2", 1, 90),
        waits("o-3", 2, 10),
        waits("o-4", 3, 45, step_days=1),
        waits("o-5", 4, policy="all_or_nothing", rank=50),
        waits("o-6", 10 * day, 45, step_days=1),
    ]
    await apply(projector, INTAKE, [ordered(one.order_id) for one in queue])
    await apply(projector, INVENTORY, queue)
    assert len(await missing(pool)) == 6
    due = (Due(sku="A", quantity=1, supply_id="PO-1", usable_at=at(99)),)
    told = [BackorderDated(order_id="o-1", skus=due, usable_at=at(99))]
    await apply(projector, INVENTORY, told, first=len(queue))
    async with Queries(pool).reading("acme") as connection:
        found = await read_waiting(connection, "acme", "A", 9)
        front = await read_waiting(connection, "acme", "A", 2)
    assert [(row["place"], row["order_id"], row["ahead"]) for row in found] == [
        (1, "o-3", {}),
        (2, "o-4", {}),
        (3, "o-1", {10: 1, 45: 1}),
        (4, "o-5", {}),
        (5, "o-6", {}),
        (6, "o-2", {10: 1, 45: 2, 50: 1}),
    ]
    assert [row["order_id"] for row in front] == ["o-3", "o-4"]
    first = next(row for row in found if row["order_id"] == "o-1")
    assert (first["served_from"].supply_id, first["served_from"].usable_at) == ("PO-1", at(99))
    assert [row["whole"] for row in found] == [False, False, False, True, False, False]
    reserved = StockReserved(
        order_id="o-3", round=1, lines=(units(1, 1, "A"),), availability=(), since=at(0), destination=GB,
        movements=(move("A", "*", "unreserved", "reserved", 1),),
    )  # fmt: skip
    await apply(projector, INVENTORY, [reserved], first=len(queue) + 1)
    assert [order_id for order_id, _, _ in await missing(pool)] == ["o-1", "o-2", "o-4", "o-5", "o-6"]
