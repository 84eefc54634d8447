"""Exception rules of a tenant's own over a real PostgreSQL: what holds, what a change moves, and the page."""

import html
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from libs.events.contract import Command, Event
from libs.events.exception_rules import (
    ChangeExceptionRule,
    DropExceptionRule,
    ExceptionRuleChanged,
    ExceptionRuleDropped,
)
from libs.events.intake import Hold, OrderAccepted, OrderHeld
from services.console.digest import live_digest
from services.console.exceptions import QueueFilter, read_queue
from services.console.queries import Queries
from services.console.rule_book import RuleBook, read_changes, read_rules
from services.console.rule_preview import would_move
from services.console.rules import SHIPPED, in_force, replaced, shipped
from services.console.store import Projector
from services.console.web.actions import Outcome
from services.console.web.sessions import Session
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import terms
from tests.console_parts import at
from tests.console_site import People, people
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

WHY = "Support is out <b>at weekends</b>."
PAYMENT = ExceptionRuleChanged(
    kind="hold",
    which="payment",
    owner="purchasing",
    after_minutes=60,
    sla_minutes=120,
    next_step="Ring the bank.",
    version=1,
    note=WHY,
)
FRAUD = PAYMENT.model_copy(update={"which": "fraud", "owner": "platform", "version": 2, "next_step": None})
HOLD = PAYMENT.model_copy(update={"which": None, "owner": "warehouse", "version": 3})
DROPPED = ExceptionRuleDropped(kind="hold", which="payment", version=4, note="Back again.")
ORDERS: list[Event] = [
    OrderHeld(**terms("o-pay"), holds=(Hold(name="payment", message="Pending."),)),
    OrderHeld(**terms("o-fraud"), holds=(Hold(name="fraud", message="Odd."),)),
    OrderHeld(**terms("o-other"), holds=(Hold(name="other", message="Look."),)),
    OrderAccepted(**terms("o-new")),
]


async def told(pool: asyncpg.Pool, *changes: Event) -> None:
    """Intake's topic: orders, then changes of the rules, the second of which comes again."""
    await feed(Projector(pool), by_stage({"intake": [*ORDERS, *changes]}))


async def book(pool: asyncpg.Pool, tenant: str = "acme") -> RuleBook:
    async with Queries(pool).reading(tenant) as connection:
        return await read_rules(connection, "acme")


async def owners(pool: asyncpg.Pool, now: datetime) -> dict[str, tuple[str, datetime, str]]:
    async with Queries(pool).reading("acme") as connection:
        found = await read_queue(connection, "acme", now, QueueFilter(kind="hold"), None, 100)
    return {one.row["order_id"]: (one.row["owner"], one.row["due_at"], one.rule.next_step) for one in found}


async def test_a_tenants_rule_takes_the_place_of_the_consoles_for_all_open_items(pool: asyncpg.Pool) -> None:
    now = at(1) + timedelta(hours=2)
    await told(pool)
    assert (await book(pool)).rules == tuple(sorted(SHIPPED, key=lambda rule: rule.which is None))
    before = await owners(pool, now)
    assert {name: owner for name, (owner, _, _) in before.items()} == {
        "o-pay": "support",
        "o-fraud": "operations",
        "o-other": "operations",
    }
    await told(pool, PAYMENT, FRAUD)
    after = await owners(pool, now)
    assert after["o-other"] == before["o-other"]
    assert after["o-pay"][::2] == ("purchasing", "Ring the bank.")
    assert after["o-pay"][1] - before["o-pay"][1] == timedelta(minutes=120 - 1440), (
        "since it began, not since the change"
    )
    assert after["o-fraud"][::2] == ("platform", before["o-fraud"][2]), (
        "the console's words, where it has none"
    )
    await told(pool, PAYMENT, FRAUD, HOLD)
    after = await owners(pool, now)
    assert {name: owner for name, (owner, _, _) in after.items()} == {
        "o-pay": "purchasing",
        "o-fraud": "platform",
        "o-other": "warehouse",
    }, "a rule for one hold goes before that for all"
    await told(pool, PAYMENT, FRAUD, HOLD, DROPPED)
    assert (await owners(pool, now))["o-pay"] == before["o-pay"]
    assert (await book(pool)).version == 4


async def test_an_item_comes_no_earlier_than_the_rule_says(pool: asyncpg.Pool) -> None:
    await told(pool, PAYMENT)
    held_at = (await owners(pool, at(1) + timedelta(days=1)))["o-pay"][1] - timedelta(minutes=120)
    assert "o-pay" not in await owners(pool, held_at + timedelta(minutes=59))
    assert "o-pay" in await owners(pool, held_at + timedelta(minutes=60))


async def test_another_tenant_has_the_consoles_and_sees_no_change(pool: asyncpg.Pool) -> None:
    await told(pool, PAYMENT)
    assert (await book(pool, "rival")).own == {}
    async with Queries(pool).reading("rival") as connection:
        assert await read_changes(connection, "acme", None) == []


async def test_who_changed_what_is_kept_and_rebuilt_the_same(pool: asyncpg.Pool) -> None:
    await told(pool, PAYMENT, FRAUD, HOLD, DROPPED)
    async with Queries(pool).reading("acme") as connection:
        changes = await read_changes(connection, "acme", None)
        older = await read_changes(connection, "acme", 3)
    assert [(row["version"], row["owner"]) for row in changes] == [
        (4, None),
        (3, "warehouse"),
        (2, "platform"),
        (1, "purchasing"),
    ]
    assert [row["version"] for row in older] == [2, 1]
    assert {row["note"] for row in older} == {WHY}
    first = await live_digest(pool)
    await pool.execute("DROP SCHEMA live CASCADE")
    await pool.execute("SELECT create_read_models('live')")
    await told(pool, PAYMENT, FRAUD, HOLD, DROPPED)
    assert await live_digest(pool) == first


async def test_a_preview_counts_exactly_what_the_change_then_moves(pool: asyncpg.Pool) -> None:
    await told(pool, PAYMENT)
    now = at(1) + timedelta(hours=9)
    known = (await book(pool)).rules
    base = shipped("hold", None)
    assert base is not None
    rule = base.model_copy(update={"owner": "warehouse", "sla_minutes": 60})
    others = replaced(known, rule, ("hold", None))
    async with Queries(pool).reading("acme") as connection:
        moved = await would_move(connection, "acme", now, known, others)
        assert await would_move(connection, "acme", now, known, known) == []
        later = rule.model_copy(
            update={"owner": "operations", "after_minutes": 10_000, "sla_minutes": 20_000}
        )
        gone = await would_move(connection, "acme", now, known, replaced(known, later, ("hold", None)))
    assert moved == [
        {"kind": "hold", "was": "operations", "is_now": "warehouse", "items": 2}
        | {"overdue_before": 2, "overdue_after": 2}
    ]
    assert [(row["was"], row["is_now"], row["items"]) for row in gone] == [("operations", None, 2)]
    before = await owners(pool, now)
    await told(pool, PAYMENT, HOLD.model_copy(update={"version": 2, "sla_minutes": 60, "after_minutes": 0}))
    after = await owners(pool, now)
    assert sum(before[name][:2] != after[name][:2] for name in before) == 2


def test_a_kind_that_this_console_does_not_know_is_left_out() -> None:
    row: Mapping[str, Any] = {"kind": "of_the_future", "which": None, "owner": "support"}
    assert in_force([row]) == tuple(sorted(SHIPPED, key=lambda rule: rule.which is None))


def test_each_item_has_a_rule_whatever_a_tenant_drops() -> None:
    own = [{"kind": rule.kind, "which": rule.which, "owner": None} for rule in SHIPPED]
    assert {(rule.kind, rule.which) for rule in in_force(own)} == {(r.kind, r.which) for r in SHIPPED}


class Sent(list[tuple[Command, str, UUID | None]]):
    """Stands where intake would be, and keeps what was sent."""

    outcome = Outcome(True, "Done.")

    async def send(
        self, session: Session, command: Command, *, reason: str = "", id_: UUID | None = None
    ) -> Outcome:
        self.append((command, reason, id_))
        return self.outcome


@pytest_asyncio.fixture
async def sent(people: People, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sent]:
    await told(pool, PAYMENT)
    kept = Sent()
    monkeypatch.setattr(
        people.site.actions.__class__, "send", lambda _, *given, **more: kept.send(*given, **more)
    )
    yield kept


def hidden(drawn: str, action: str) -> dict[str, Any]:
    """The hidden fields of the form that is sent there."""
    form = re.search(rf'<form method="post" action="{action}">(.*?)</form>', drawn, re.DOTALL)
    assert form is not None
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[1])
    return {name: html.unescape(value) for name, value in found}


CHANGE = "/exceptions/rules/change"
WANTED: dict[str, Any] = {"kind": "hold", "owner": "warehouse", "after_minutes": 5, "sla_minutes": 90}


async def test_the_page_shows_what_is_in_force_and_who_changed_it(people: People, sent: Sent) -> None:
    viewer = await people.sign_in("viewer")
    drawn = await viewer.get("/exceptions/rules")
    assert "yours, version 1" in drawn
    assert "Support is out &lt;b&gt;at weekends&lt;/b&gt;." in drawn
    assert len(re.findall(r'data-rule="', drawn)) == len(SHIPPED)
    assert "Change …" not in drawn
    assert 'href="/exceptions/rules"' in await viewer.get("/exceptions")
    assert "Nobody has" in await (await people.sign_in("viewer", "rival")).get("/exceptions/rules")


async def test_a_change_is_shown_before_it_is_made_and_made_as_it_was_shown(
    people: People, sent: Sent
) -> None:
    editor = await people.sign_in("rule_editor")
    assert "Change …" in await editor.get("/exceptions/rules")
    drawn = await editor.get(CHANGE, **WANTED, next_step="Ask them.")
    assert "2 open items would move" in drawn
    assert 'data-moves="operations warehouse"' in drawn
    assert sent == []
    form = hidden(drawn, CHANGE)
    for _ in range(2):  # sent twice by a double click: one command
        await editor.post(CHANGE, why="They know best.", **{k: v for k, v in form.items() if k != "csrf"})
    [(command, reason, id_), again] = sent
    assert command == ChangeExceptionRule(**WANTED, next_step="Ask them.", based_on=1, note="They know best.")
    assert reason == "They know best."
    assert id_ is not None
    assert again[2] == id_


async def test_a_rule_of_ones_own_can_be_dropped(people: People, sent: Sent) -> None:
    editor = await people.sign_in("admin")
    drawn = await editor.get(CHANGE, kind="hold", which="payment")
    assert 'value="120"' in drawn
    assert 'value="Ring the bank."' in drawn
    form = {name: value for name, value in hidden(drawn, "/exceptions/rules/drop").items() if name != "csrf"}
    await editor.post("/exceptions/rules/drop", why="Over.", **form)
    assert sent[0][0] == DropExceptionRule(kind="hold", which="payment", based_on=1, note="Over.")
    assert "Drop your rule" not in await editor.get(CHANGE, kind="lost")


async def test_what_intake_refuses_is_told(people: People, sent: Sent) -> None:
    sent.outcome = Outcome(False, "the rules are at version 2.", "Look at them as they are now.")
    editor = await people.sign_in("rule_editor")
    drawn = await editor.post(CHANGE, 409, **WANTED, based_on=1, asked=str(uuid4()), why="So.")
    assert "the rules are at version 2." in drawn


async def test_a_change_without_a_reason_is_none(people: People, sent: Sent) -> None:
    editor = await people.sign_in("rule_editor")
    more = {"based_on": 1, "asked": str(uuid4())}
    for why in ("", "  ", "x" * 501, "a\x00b"):
        await editor.post(CHANGE, 422, **WANTED, **more, why=why)
        await editor.post("/exceptions/rules/drop", 422, kind="hold", **more, why=why)
    assert sent == []


@pytest.mark.parametrize("role", ["viewer", "support", "operator", "auditor"])
async def test_no_other_role_changes_rules(people: People, sent: Sent, role: str) -> None:
    person = await people.sign_in(role)
    await person.get(CHANGE, 403, kind="hold")
    await person.post(CHANGE, 403, **WANTED, based_on=1, asked=str(uuid4()), why="So.")
    await person.post("/exceptions/rules/drop", 403, kind="hold", based_on=1, asked=str(uuid4()), why="So.")
    assert sent == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "nonsense"},
        {"which": "'; DROP TABLE orders; --"},
        {"which": "<script>"},
        {"owner": "the king"},
        {"after_minutes": "soon"},
        {"sla_minutes": 10**9},
        {"next_step": "x" * 201},
        {"next_step": "a\x00b"},
    ],
)
async def test_hostile_rules_get_nowhere(people: People, sent: Sent, wrong: dict[str, Any]) -> None:
    editor = await people.sign_in("rule_editor")
    await editor.get(CHANGE, 422, **WANTED | wrong)
    await editor.post(CHANGE, 422, **WANTED | wrong, based_on=1, asked=str(uuid4()), why="So.")
    assert "&lt;script&gt;alert" in await editor.get(CHANGE, **WANTED, next_step="<script>alert(1)")
    assert "overdue before it comes" in await editor.get(CHANGE, **WANTED | {"sla_minutes": 1})
    await editor.get(CHANGE, 404, kind="stuck")
    assert sent == []
