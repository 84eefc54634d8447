"""Parked keys in the queue: they come and go by what the stage tells, and are for who may see Platform."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import asyncpg
import pytest

from libs.events.contract import Command, Event
from libs.events.envelope import Envelope
from libs.events.intake import OrderAccepted
from libs.events.parked import NOBODY, RecordDiscarded, RecordParked, RecordQueued, RecordReplayed
from libs.events.parked_exceptions import (
    AssignParkedException,
    ParkedExceptionAssigned,
    ParkedExceptionResolved,
    ParkedExceptionSnoozed,
    ResolveParkedException,
    SnoozeParkedException,
)
from services.console.digest import live_digest
from services.console.exceptions import NOBODY as UNASSIGNED
from services.console.exceptions import QueueFilter, Work, count_queue, read_queue
from services.console.parked_items import unclaimed
from services.console.queries import Queries
from services.console.store import Projector
from services.console.web.actions import Outcome
from tests.console_database import console_dsn, pool
from tests.console_parts import at, envelopes
from tests.console_site import People, people
from tests.contract.examples import EXAMPLES
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

NOW = at(500)
ACCEPTED = cast(OrderAccepted, EXAMPLES["oms.intake.order_accepted"]["minimal"])
KEY = f"acme/{ACCEPTED.order_id}"


def of(name: int, turn: int, waiting: int, key: str = KEY) -> dict[str, Any]:
    return {
        "parked_id": f"0-{name}",
        "parked_key": key,
        "topic": "oms.intake.events",
        "partition": 0,
        "offset": name,
        "turn": turn,
        "waiting": waiting,
    }


def parked(name: int, turn: int, waiting: int, code: str = "malformed", key: str = KEY) -> Event:
    return RecordParked(**of(name, turn, waiting, key), code=code, problem="<b>no JSON</b>")


LIFE: tuple[Event, ...] = (
    parked(1, 1, 1),
    RecordQueued(**of(2, 1, 2)),
    RecordQueued(**of(3, 1, 3)),
    RecordDiscarded(**of(1, 2, 2)),
    parked(2, 2, 2, "failed"),
    RecordReplayed(**of(2, 3, 1)),
    RecordReplayed(**of(3, 2, 0)),
    parked(8, 1, 1),
)


async def told(pool: asyncpg.Pool, *events: Event, stage: str = "inventory") -> None:
    await feed(Projector(pool), {stage: envelopes(stage, events)})


async def queue(
    pool: asyncpg.Pool,
    tenant: str = "acme",
    role: str = "operator",
    nodes: Sequence[str] | None = None,
    **more: Any,
) -> list[Work]:
    async with Queries(pool).within(nodes).reading(tenant) as connection:
        await unclaimed(connection, role)
        found = await read_queue(connection, tenant, NOW, QueueFilter(platform=True, **more), None, 100)
        counts = await count_queue(connection, tenant, NOW, platform=True)
    assert more or sum(row["open"] for row in counts) == len(found)
    return found


async def test_a_key_comes_and_goes_by_what_its_stage_tells(pool: asyncpg.Pool) -> None:
    seen = []
    for number in range(1, len(LIFE) + 1):
        await told(pool, *LIFE[:number])
        found = await queue(pool)
        seen.append(
            [(one.row["units"], str(one.row["why"]).partition(":")[0], one.row["since_at"]) for one in found]
        )
    first, again = at(1), at(8)
    assert seen == [
        [(1, "malformed", first)],
        [(2, "malformed", first)],
        [(3, "malformed", first)],
        [(2, "malformed", first)],
        [(2, "failed", first)],
        [(1, "failed", first)],
        [],
        [(1, "malformed", again)],
    ]
    [one] = await queue(pool)
    shown = one.document(NOW)
    assert (shown["kind"], shown["owner"], shown["item"]) == ("parked", "platform", "parked/inventory")
    assert (shown["stage"], shown["parked_key"], shown["order_id"]) == ("inventory", KEY, ACCEPTED.order_id)
    assert shown["due_at"] == again + timedelta(hours=4)


async def test_batches_of_any_size_come_to_the_same_rows(pool: asyncpg.Pool) -> None:
    digests = set()
    for steps in ([8], [1, 8], [3, 4, 7, 8], [2, 5, 6, 8]):
        await pool.execute("DROP SCHEMA live CASCADE")
        await pool.execute("SELECT create_read_models('live')")
        for number in steps:
            await told(pool, *LIFE[:number])
        digests.add(await live_digest(pool))
    assert len(digests) == 1


async def test_who_may_not_see_platform_or_all_nodes_sees_none(pool: asyncpg.Pool) -> None:
    await told(pool, *LIFE)
    async with Queries(pool).reading("acme") as connection:
        assert await read_queue(connection, "acme", NOW, QueueFilter(), None, 100) == []
        assert await count_queue(connection, "acme", NOW) == []
    assert await queue(pool, nodes=("LON",)) == []
    assert await queue(pool, "rival") == []


async def test_what_says_not_whose_it_is_is_for_an_admin(pool: asyncpg.Pool) -> None:
    lost = parked(1, 1, 1, key="?oms.intake.commands/0/1")
    await feed(Projector(pool), {"intake": envelopes("intake", [lost], tenant=NOBODY)})
    assert await queue(pool) == []
    [one] = await queue(pool, role="admin")
    assert one.document(NOW)["order_id"] is None


async def test_it_is_taken_put_off_and_settled_until_it_is_parked_again(pool: asyncpg.Pool) -> None:
    sent = envelopes("inventory", LIFE)
    this: dict[str, Any] = {"stage": "inventory", "parked_key": KEY, "since": sent[0].at}
    care: list[Event] = [
        ParkedExceptionAssigned(**this, assignee="ann"),
        ParkedExceptionSnoozed(**this, until=NOW + timedelta(hours=4), why="The sender is asleep."),
        ParkedExceptionAssigned(**this),
        ParkedExceptionResolved(**this, note="They send it anew."),
    ]
    by_intake = envelopes("intake", care)

    async def hear(inventory: int, intake: int) -> None:
        await feed(Projector(pool), {"inventory": sent[:inventory], "intake": by_intake[:intake]})

    await hear(1, 1)
    assert len(await queue(pool, assignee="ann")) == 1
    assert await queue(pool, assignee=UNASSIGNED) == []
    await hear(1, 2)
    assert await queue(pool) == []
    assert len(await queue(pool, snoozed=True, assignee="ann")) == 1
    await hear(1, 4)
    assert await queue(pool) == await queue(pool, snoozed=True) == []
    await hear(8, 4)
    assert len(await queue(pool, assignee=UNASSIGNED)) == 1, "what is parked again is another"


@pytest.fixture
def sent(people: People, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Command, str]]:
    """Commands that pages send, with their reasons; each is done."""
    commands: list[tuple[Command, str]] = []

    async def send(_: Any, session: Any, command: Command, *, reason: str = "", id_: Any = None) -> Outcome:
        commands.append((command, reason))
        return Outcome(True, "Done.")

    monkeypatch.setattr(people.site.actions.__class__, "send", send)
    return commands


async def test_the_page_shows_them_to_platform_people_who_take_them_in_their_own_name(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await told(pool, *LIFE[:2])
    operator = await people.sign_in("operator")
    drawn = await operator.get("/exceptions")
    assert KEY in drawn
    assert "&lt;b&gt;no JSON&lt;/b&gt;" in drawn
    assert "1 behind it" in drawn
    assert f'href="/platform#key-inventory-{KEY}"' in drawn
    form: dict[str, Any] = {"stage": "inventory", "key": KEY, "since": at(1).isoformat()}
    for verb in ("take", "snooze", "resolve"):
        await operator.post(f"/exceptions/parked/care/{verb}", **form, why="So.")
    this: dict[str, Any] = {"stage": "inventory", "parked_key": KEY, "since": at(1)}
    taken, snoozed, resolved = (command for command, _ in sent)
    assert taken == AssignParkedException(**this, assignee="operator@acme")
    assert isinstance(snoozed, SnoozeParkedException)
    assert resolved == ResolveParkedException(**this, note="So.")
    await operator.post("/exceptions/parked/care/take", 404, **form | {"since": at(2).isoformat()}, why="So.")
    rival = await people.sign_in("operator", "rival")
    await rival.post("/exceptions/parked/care/take", 404, **form, why="So.")
    for role in ("viewer", "support", "rule_editor", "auditor"):
        person = await people.sign_in(role)
        assert (KEY in await person.get("/exceptions")) == (role == "auditor")
        await person.post("/exceptions/parked/care/take", 403, **form, why="So.")
    assert len(sent) == 3


async def test_an_order_of_which_a_record_is_parked_says_so_on_its_page(
    people: People, pool: asyncpg.Pool
) -> None:
    topics: dict[str, list[Envelope[Event]]] = {
        "intake": envelopes("intake", [ACCEPTED]),
        "inventory": envelopes("inventory", LIFE[:2]),
    }
    await feed(Projector(pool), topics)
    viewer = await people.sign_in("viewer")
    says = "A record of it is parked in inventory (malformed), and 1 behind it."
    assert says in await viewer.get(f"/orders/{ACCEPTED.order_id}")
    topics["inventory"] = envelopes("inventory", LIFE[:7])
    await feed(Projector(pool), topics)
    assert "is parked in" not in await viewer.get(f"/orders/{ACCEPTED.order_id}")
