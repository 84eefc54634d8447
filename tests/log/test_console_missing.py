"""What backordered orders lack, in its own table: always what orders and claims say together."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from libs.events.backorders import BackorderRefused, NotAvailable
from libs.events.changes import LinesCancelled, LinesReleased
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentCancelled
from libs.events.intake import OrderAccepted
from libs.events.inventory import Claim, Shortage, StockBackordered, StockPegged, StockReserved
from libs.runtime.pool import Connection
from services.console.missing import FILL_MISSING
from services.console.queries import Queries
from services.console.store import Projector
from services.console.today import read_today
from tests.console_database import console_dsn, pool
from tests.console_lives import LIVES, receipts, terms
from tests.console_parts import GB, at, envelopes, move, units

__all__ = ["console_dsn", "pool"]
WANTED = (units(1, 10, "A"), units(2, 2, "B"))
FULFILLMENT = ("oms.fulfillment.events", 0)
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
    short = [(row["sku"], row["units"], row["orders"]) for row in today.missing]
    assert (short, today.missing_skus) == ([("A", 19, 2), ("B", 4, 2)], 2)
    await apply(projector, OTHER, [pegged("o-1", "A", 9), pegged("o-1", "B", 2)], first=1)
    assert await missing(pool) == of_two
    reserved = StockReserved(
        order_id="o-2", round=1, lines=WANTED, availability=(), since=at(0), destination=GB, movements=()
    )
    await apply(projector, INVENTORY, [reserved], first=2)
    assert await missing(pool) == []


def rest_waits(order_id: str) -> StockBackordered:
    """It waits for two of B alone."""
    waits: dict[str, Any] = {"order_id": order_id, "round": 2, "since": at(0), "destination": GB}
    return StockBackordered(**waits, lines=WANTED[1:], short=(Shortage(sku="B", quantity=2),), movements=())


async def test_a_line_that_was_cancelled_or_refused_leaves_it_while_the_order_waits_for_another(
    pool: asyncpg.Pool,
) -> None:
    projector = Projector(pool)
    await apply(projector, INTAKE, [OrderAccepted(**terms(order_id)) for order_id in ("o-1", "o-2")])
    cut = LinesCancelled(order_id="o-1", cancellation_id="o-1-C1", lines=WANTED[:1])
    given_up = FulfillmentCancelled(order_id="o-2", lines=WANTED[:1], cause="unroutable")
    await apply(projector, FULFILLMENT, [cut, given_up])
    await apply(projector, INVENTORY, backordered("o-1"))
    fewer = LinesReleased(order_id="o-1", lines=WANTED[:1], movements=())
    await apply(projector, INVENTORY, [fewer, rest_waits("o-1")], first=1)
    assert await missing(pool) == [("o-1", "B", 2)]
    why = NotAvailable(sku="A", lacking=10, open=0, reason="backorder_full", terms_version=1)
    refused = BackorderRefused(order_id="o-2", lines=WANTED[:1], why=(why,), rest=WANTED[1:])
    await apply(projector, INVENTORY, [refused, rest_waits("o-2")], first=3)
    assert await missing(pool) == [("o-1", "B", 2), ("o-2", "B", 2)]


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
    """Stands still once it has written all, before it commits."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self.there, self.go, self.begun = asyncio.Event(), asyncio.Event(), False

    async def apply(self, *given: Any, **named: Any) -> None:
        self.begun = True
        await super().apply(*given, **named)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with super().transaction() as connection:
            yield connection
            if self.begun:
                self.there.set()
                await self.go.wait()


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
