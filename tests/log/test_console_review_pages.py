"""A plan held for review, over a real PostgreSQL: the queue, the order's page, and who may approve."""

import re

import asyncpg

from libs.events.contract import Command, Event
from libs.events.exception_rules import ExceptionRuleChanged
from libs.events.intake import OrderAccepted
from libs.events.routing import ApproveRouting
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import terms
from tests.console_reviews import FAR, held, passed, reserved
from tests.console_site import People, people
from tests.log.test_console_stock_items import sent
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool", "sent"]

TO_SUPPORT = ExceptionRuleChanged(
    kind="review",
    owner="support",
    after_minutes=0,
    sla_minutes=60,
    next_step="Ask the customer.",
    version=1,
    note="They know them.",
)
PLAN = "/orders/o-1/review/1"
QUEUE = "/exceptions/review/approve"


async def told(pool: asyncpg.Pool, *more: Event, decided: tuple[Event, ...] = ()) -> None:
    stages: dict[str, list[Event]] = {
        "intake": [OrderAccepted(**terms("o-1")), *more],
        "inventory": [reserved("o-1")],
        "routing": [held("o-1"), *decided],
    }
    await feed(Projector(pool), by_stage(stages))


async def test_an_operator_approves_it_from_the_queue_and_from_the_order(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await told(pool)
    operator = await people.sign_in("operator")
    queue = await operator.get("/exceptions")
    assert "Plan to be reviewed" in queue
    assert FAR.message in queue
    assert re.findall(r'name="round" value="(\w+)"', queue) == ["1"]
    page = await operator.get("/orders/o-1")
    assert f"Its plan is to be reviewed before it is carried out. {FAR.message}" in page
    assert "Acts next: Operations." in page
    assert f'href="{PLAN}"' in page
    plan = await operator.get(PLAN)
    assert re.findall(r'name="node" value="(\w+)"', plan) == ["LON", "MAN"]
    await operator.post(QUEUE, order_id="o-1", round="1", why="A good customer.")
    await operator.post(PLAN, note="Ring first.", node=["MAN", "LON"])
    assert [command for command, _ in sent] == [
        ApproveRouting(order_id="o-1", round=1, reason="A good customer."),
        ApproveRouting(order_id="o-1", round=1, nodes=("MAN", "LON"), reason="Ring first."),
    ]
    assert "o-1" in await operator.get("/orders?status=in_review")


async def test_a_reason_is_needed_and_a_stage_that_is_silent_says_so(
    people: People, pool: asyncpg.Pool
) -> None:
    await told(pool)
    operator = await people.sign_in("operator")
    await operator.post(PLAN, 422, note=" ")
    await operator.post(QUEUE, 422, order_id="o-1", round="1")
    assert "Routing does not answer. Nothing was changed." in await operator.post(PLAN, 409, note="Fine.")
    queue = await operator.post(QUEUE, 409, order_id="o-1", round="1", why="Fine.")
    assert "Routing does not answer. Nothing was changed." in queue


async def test_support_approves_only_where_the_rules_give_it_to_support(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await told(pool)
    support = await people.sign_in("support")
    assert "Plan to be reviewed" in await support.get("/exceptions")
    assert 'name="round"' not in await support.get("/exceptions")
    assert PLAN not in await support.get("/orders/o-1")
    refused = await support.post(PLAN, 403, note="Fine.")
    assert "it is for operations: Plan to be reviewed. Nothing was changed." in refused
    await support.get(PLAN, 403)
    await support.post(QUEUE, 403, order_id="o-1", round="1", why="Fine.")
    for role in ("viewer", "rule_editor", "auditor"):
        await (await people.sign_in(role)).post(PLAN, 403, note="Fine.")
    assert not sent
    await told(pool, TO_SUPPORT)
    page = await support.get("/orders/o-1")
    assert "Acts next: Support. Ask the customer." in page
    await support.post(PLAN, note="He waits for it.")
    assert [command for command, _ in sent] == [
        ApproveRouting(order_id="o-1", round=1, reason="He waits for it.")
    ]


async def test_what_was_approved_leaves_the_queue_and_its_page_says_so(
    people: People, pool: asyncpg.Pool
) -> None:
    await told(pool, decided=(passed("o-1"),))
    operator = await people.sign_in("operator")
    assert "Plan to be reviewed" not in await operator.get("/exceptions")
    page = await operator.get("/orders/o-1")
    assert PLAN not in page
    assert "It passed" in page
    assert "approved in review: A good customer." in page
    assert "No plan of round 1 waits for a review." in await operator.get(PLAN)
