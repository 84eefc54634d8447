"""Late orders and those at risk in the queue: when they come, whose they are, and what takes them out."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.events.exception_rules import ExceptionRuleChanged
from libs.events.intake import ExceptionAssigned, ExceptionResolved, ExceptionSnoozed
from services.console.exceptions import NOBODY, QueueFilter, count_queue, place_of, read_queue
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_parts import envelopes
from tests.console_promises import cut, dated, in_sequence, promised
from tests.console_site import People, people
from tests.log.test_console_exceptions import names, queue
from tests.log.test_console_promise_pages import AHEAD
from tests.log.test_console_promises import published
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]
LATE = cut(dated("o-late", date(2026, 3, 4)), 3)
"""Its day is over at midnight in London; it should have left by the end of 2 March."""
OVER = datetime(2026, 3, 5, tzinfo=UTC)
ITEM = f"late/{OVER.isoformat()}"


@pytest.mark.parametrize("hours", [0, 45, 115, 250])
async def test_they_are_those_that_the_log_says_page_by_page(pool: asyncpg.Pool, hours: int) -> None:
    stages = published()
    await feed(Projector(pool), stages, seed=hours)
    now = datetime(2026, 3, 2, 20, tzinfo=UTC) + timedelta(hours=hours)
    said = promised(in_sequence(stages))
    for kind, orders in (
        ("late", {order for order, one in said.items() if one.late(now)}),
        ("at_risk", {order for order, one in said.items() if one.at_risk(now)}),
    ):
        found: list[Any] = []
        async with Queries(pool).reading("acme") as connection:
            while True:
                after = place_of(found[-1]) if found else None
                page = await read_queue(connection, "acme", now, QueueFilter(kind=kind), after, 7)
                found += page
                if len(page) < 7:
                    break
            counts = {row["kind"]: row["open"] for row in await count_queue(connection, "acme", now)}
        assert {one.row["order_id"] for one in found} == orders
        assert len(found) == len(orders) == counts.get(kind, 0)
        assert found == sorted(found, key=place_of)


async def test_one_is_at_risk_then_late_and_over_once_it_is_delivered(pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), by_stage(LATE))
    assert await queue(pool, OVER - timedelta(days=2, seconds=1), kind="at_risk") == []
    [risk] = await queue(pool, OVER - timedelta(seconds=1), kind="at_risk")
    assert (risk.rule.owner, risk.row["since_at"]) == ("operations", OVER - timedelta(days=2))
    [late] = await queue(pool, OVER, kind="late")
    shown = late.document(OVER)
    assert (shown["owner"], shown["since_at"], shown["item"]) == ("support", OVER, ITEM)
    assert (shown["why"], shown["node"]) == ("It was promised for 2026-03-04.", "LON")
    assert shown["due_at"] == OVER + timedelta(minutes=480)
    assert await queue(pool, OVER, kind="at_risk") == []
    assert await names(pool, OVER, kind="late", node="LON") == ["o-late late/2026-03-04"]
    assert await names(pool, OVER, kind="late", node="MAN") == []
    await feed(Projector(pool), by_stage(dated("o-late", date(2026, 3, 4))))
    assert await queue(pool, OVER, kind="late") == []


async def test_it_is_taken_put_off_and_settled(pool: asyncpg.Pool) -> None:
    stages = by_stage(LATE)
    care: list[Any] = [
        ExceptionAssigned(order_id="o-late", item=ITEM, assignee="ann"),
        ExceptionSnoozed(order_id="o-late", item=ITEM, until=OVER + timedelta(hours=4), why="She is called."),
        ExceptionResolved(order_id="o-late", item=ITEM, note="She waits for it."),
    ]
    told = envelopes("intake", care, first=len(stages["intake"]) + 1)

    async def hear(count: int) -> None:
        await feed(Projector(pool), {**stages, "intake": stages["intake"] + told[:count]})

    await hear(1)
    assert await names(pool, OVER, kind="late", assignee="ann") == ["o-late late/2026-03-04"]
    assert await names(pool, OVER, kind="late", assignee=NOBODY) == []
    await hear(2)
    assert await names(pool, OVER, kind="late") == []
    assert await names(pool, OVER, kind="late", snoozed=True) == ["o-late late/2026-03-04"]
    assert await names(pool, OVER + timedelta(hours=5), kind="late") == ["o-late late/2026-03-04"]
    await hear(3)
    assert await names(pool, OVER + timedelta(hours=5), kind="late") == []


async def test_a_tenants_rule_says_whose_it_is_and_from_when(pool: asyncpg.Pool) -> None:
    rule = ExceptionRuleChanged(
        kind="late", owner="operations", after_minutes=60, sla_minutes=90, version=1, note="They ring."
    )
    split = rule.model_copy(update={"which": "standard", "version": 2})
    stages = by_stage(LATE)
    stages["intake"] += envelopes("intake", [rule, split], first=len(stages["intake"]) + 1)
    await feed(Projector(pool), stages)
    assert await queue(pool, OVER + timedelta(minutes=59), kind="late") == []
    [one] = await queue(pool, OVER + timedelta(minutes=60), kind="late")
    assert (one.rule.owner, one.row["due_at"]) == ("operations", OVER + timedelta(minutes=90))


async def test_the_page_shows_them_with_their_buttons(people: People, pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), by_stage(LATE, cut(dated("fine-0", AHEAD), 2)))
    page = await (await people.sign_in("support")).get("/exceptions", kind="late")
    assert 'data-item="o-late late/2026-03-04"' in page
    assert "It was promised for 2026-03-04." in page
    assert f'name="item" value="{ITEM}"' in page.replace("&#43;", "+")
    assert ">Take<" in page
    assert "fine-0" not in page
