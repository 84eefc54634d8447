"""Who may release which hold over a real PostgreSQL: whom the rules give it to, on each page alike."""

import re

import asyncpg

from libs.events.contract import Command, Event
from libs.events.exception_rules import ExceptionRuleChanged
from libs.events.intake import Hold, OrderHeld, ReleaseHold
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import terms
from tests.console_site import People, people
from tests.log.test_console_stock_items import sent
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool", "sent"]

PAYMENT, FRAUD = Hold(name="payment", message="Pending."), Hold(name="fraud_review", message="Odd.")
SUM = Hold(name="total_mismatch", message="The sum differs.")
HELD: list[Event] = [
    OrderHeld(**terms("o-pay"), holds=(PAYMENT,)),
    OrderHeld(**terms("o-fraud"), holds=(FRAUD,)),
    OrderHeld(**terms("o-both"), holds=(PAYMENT, SUM)),
]
TO_PURCHASING = ExceptionRuleChanged(
    kind="hold",
    which="payment",
    owner="purchasing",
    after_minutes=0,
    sla_minutes=120,
    next_step="Ring the bank.",
    version=1,
    note="They know the banks.",
)
RELEASE = "/orders/{}/holds/{}/release"


async def told(pool: asyncpg.Pool, *more: Event) -> None:
    await feed(Projector(pool), by_stage({"intake": [*HELD, *more]}))


async def test_support_releases_what_the_rules_give_it_and_nothing_else(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await told(pool)
    support = await people.sign_in("support")
    queue = await support.get("/exceptions")
    assert re.findall(r'name="hold" value="(\w+)"', queue) == ["payment", "payment"]
    page = await support.get("/orders/o-pay")
    assert "Acts next: Support." in page
    assert RELEASE.format("o-pay", "payment") in page
    page = await support.get("/orders/o-both")
    assert "Acts next: Operations." in page
    assert RELEASE.format("o-both", "payment") in page
    assert RELEASE.format("o-both", "total_mismatch") not in page
    await support.get(RELEASE.format("o-pay", "payment"))
    await support.post(RELEASE.format("o-pay", "payment"), note="Paid by wire.")
    await support.post("/exceptions/hold/release", order_id="o-both", hold="payment", why="Paid too.")
    released = [ReleaseHold(order_id=id_, hold="payment", note=why) for id_, why in (
        ("o-pay", "Paid by wire."), ("o-both", "Paid too."))]  # fmt: skip
    assert [command for command, _ in sent] == released
    refused = await support.post(RELEASE.format("o-fraud", "fraud_review"), 403, note="Fine.")
    assert "it is for operations: Held. Nothing was changed." in refused
    await support.get(RELEASE.format("o-fraud", "fraud_review"), 403)
    await support.post("/exceptions/hold/release", 403, order_id="o-fraud", hold="fraud_review", why="Fine.")
    await support.post("/orders/o-pay/holds", 403, hold="other", note="Wait.")
    page = await support.post(
        "/orders/bulk/release", order_id=["o-both", "o-fraud"], note="Paid.", confirmed="true"
    )
    assert page.count("It is for operations to release: Held.") == 2
    assert [command for command, _ in sent[2:]] == [
        ReleaseHold(order_id="o-both", hold="payment", note="Paid.")
    ]


async def test_an_operator_releases_any(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await told(pool)
    operator = await people.sign_in("operator")
    queue = await operator.get("/exceptions")
    assert len(re.findall(r'name="hold"', queue)) == 4
    await operator.post(RELEASE.format("o-fraud", "fraud_review"), note="He is real.")
    await operator.post(RELEASE.format("o-pay", "payment"), note="Paid.")
    assert len(sent) == 2


async def test_a_changed_rule_changes_who_acts_next_and_who_may(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await told(pool, TO_PURCHASING)
    support = await people.sign_in("support")
    page = await support.get("/orders/o-pay")
    assert "Acts next: Purchasing. Ring the bank." in page
    assert "/release" not in page
    assert 'name="hold"' not in await support.get("/exceptions")
    await support.post(RELEASE.format("o-pay", "payment"), 403, note="Paid.")
    await support.post("/exceptions/hold/release", 403, order_id="o-pay", hold="payment", why="Paid.")
    assert not sent


async def test_no_other_role_releases_a_hold(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await told(pool)
    for role in ("viewer", "rule_editor", "auditor"):
        person = await people.sign_in(role)
        assert "/release" not in await person.get("/orders/o-pay")
        await person.post(RELEASE.format("o-pay", "payment"), 403, note="Paid.")
        await person.post("/exceptions/hold/release", 403, order_id="o-pay", hold="payment", why="Paid.")
        await person.post("/orders/bulk/release", 403, order_id="o-pay", note="Paid.", confirmed="true")
    assert not sent
