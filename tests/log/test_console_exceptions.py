"""The queue of exceptions over a real PostgreSQL: what is in it when, and what takes it out."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.events.intake import (
    ExceptionAssigned,
    ExceptionResolved,
    ExceptionSnoozed,
    OrderAccepted,
    OrderHeld,
)
from libs.events.intake import Hold as PlacedHold
from services.console.exceptions import NOBODY, QueueFilter, Work, count_queue, place_of, read_queue
from services.console.queries import Queries
from services.console.rules import KINDS, OWNERS, SHIPPED
from services.console.segments import SEGMENTS
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import delivered, terms, troubled
from tests.console_parts import at, envelopes
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "pool"]

HELD = OrderHeld(**terms("o-held"), holds=(PlacedHold(name="payment", message="Payment is pending."),))


async def queue(pool: asyncpg.Pool, now: datetime, **wanted: Any) -> list[Work]:
    async with Queries(pool).reading("acme") as connection:
        return await read_queue(connection, "acme", now, QueueFilter(**wanted), None, 100)


async def names(pool: asyncpg.Pool, now: datetime, **wanted: Any) -> list[str]:
    return [f"{one.row['order_id']} {one.row['item']}" for one in await queue(pool, now, **wanted)]


def test_each_kind_has_its_rule() -> None:
    assert {rule.kind for rule in SHIPPED if rule.which is None} | {"stuck"} == set(KINDS)
    stuck = [rule.which for rule in SHIPPED if rule.kind == "stuck"]
    assert sorted(set(SEGMENTS) - set(stuck)) == ["hold", "payment"], "a hold is an item of its own"
    assert len(stuck) == len(set(stuck))
    assert {rule.owner for rule in SHIPPED} == set(OWNERS)
    assert all(rule.after_minutes <= rule.sla_minutes for rule in SHIPPED)


async def test_items_come_by_events_and_by_time_the_first_due_before_all(pool: asyncpg.Pool) -> None:
    stages = by_stage(delivered("o-0"), {"intake": [HELD, OrderAccepted(**terms("o-new"))]})
    await feed(Projector(pool), stages)
    assert await names(pool, at(4)) == ["o-0 failed_message/o-0-M2", "o-held hold/payment"]
    later = await queue(pool, at(4) + timedelta(minutes=4320))
    assert [(one.row["order_id"], one.row["item"], one.rule.owner) for one in later] == [
        ("o-0", "failed_message/o-0-M2", "support"),
        ("o-held", "hold/payment", "support"),
        ("o-new", "stuck/stock", "purchasing"),
    ]
    assert later[-1].item == f"stuck/stock {at(4).isoformat()}"


async def test_it_is_taken_put_off_and_settled_by_events(pool: asyncpg.Pool) -> None:
    stages = by_stage({"intake": [OrderAccepted(**terms("o-new")), HELD]})
    projector = Projector(pool)
    await feed(projector, stages)
    late = at(1) + timedelta(days=5)
    [stuck] = await queue(pool, late, kind="stuck")
    care: list[Any] = [
        ExceptionAssigned(order_id="o-new", item=stuck.item, assignee="ann"),
        ExceptionSnoozed(
            order_id="o-new", item=stuck.item, until=late + timedelta(hours=4), why="Ship is late."
        ),
        ExceptionResolved(order_id="o-new", item=stuck.item, note="Bought elsewhere."),
    ]
    first = len(stages["intake"]) + 1
    told = envelopes("intake", care, first=first)
    await feed(projector, {"intake": stages["intake"] + told[:1]})
    assert await names(pool, late, assignee="ann") == ["o-new stuck/stock"]
    assert await names(pool, late, assignee=NOBODY) == ["o-held hold/payment"]
    await feed(projector, {"intake": stages["intake"] + told[:2]})
    assert await names(pool, late, kind="stuck") == []
    assert await names(pool, late, snoozed=True) == ["o-new stuck/stock"]
    assert await names(pool, late + timedelta(hours=5), kind="stuck") == ["o-new stuck/stock"]
    await feed(projector, {"intake": stages["intake"] + told})
    assert await names(pool, late + timedelta(hours=5), kind="stuck") == []


async def test_counts_are_those_of_the_lists_and_pages_are_the_whole(pool: asyncpg.Pool) -> None:
    await feed(
        Projector(pool),
        by_stage(*(troubled(f"o-{n}") for n in range(3)), delivered("o-9"), {"intake": [HELD]}),
    )
    now = at(10) + timedelta(days=4)
    whole = await queue(pool, now)
    async with Queries(pool).reading("acme") as connection:
        counts = await count_queue(connection, "acme", now)
        paged, place = [], None
        while page := await read_queue(connection, "acme", now, QueueFilter(), place, 1):
            paged += page
            place = place_of(page[-1])
    assert [one.row for one in paged] == [one.row for one in whole]
    assert sum(row["open"] for row in counts) == len(whole) == 2
    for row in counts:
        listed = await queue(pool, now, owner=row["owner"], kind=row["kind"])
        assert row["open"] == len(listed)
        assert row["overdue"] == sum(one.row["due_at"] < now for one in listed)


@pytest.mark.parametrize("tenant", ["rival", ""])
async def test_another_tenant_has_none(pool: asyncpg.Pool, tenant: str) -> None:
    await feed(Projector(pool), by_stage(delivered("o-0")))
    async with Queries(pool).reading(tenant) as connection:
        assert await read_queue(connection, "acme", at(9_999), QueueFilter(), None, 10) == []
        assert await connection.fetchval("SELECT count(*) FROM exceptions") == 0
