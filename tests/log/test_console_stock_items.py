"""Exceptions of stock: when they are there, whatever comes first, and what their buttons ask for."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import asyncpg
import pytest

from libs.events import inventory as v
from libs.events.availability import StockLow, StockRecovered
from libs.events.conditions import StockMoved
from libs.events.contract import Command, Event
from libs.events.envelope import Envelope
from libs.events.lots import LotExpired, LotQuarantined, LotReleased, ReleaseLot
from libs.events.stock_exceptions import (
    AssignStockException,
    ResolveStockException,
    SnoozeStockException,
    StockExceptionAssigned,
    StockExceptionResolved,
    StockExceptionSnoozed,
)
from libs.events.stocktaking import (
    AdjustmentProposed,
    CountRecorded,
    DifferenceSettled,
    DifferenceSuperseded,
    SettleDifference,
    StockSuspected,
)
from libs.events.supply import SupplyMovement as Movement
from services.console.digest import live_digest
from services.console.exceptions import NOBODY, QueueFilter, count_queue, read_queue
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


def moved(source: Any, target: Any, quantity: int, lot: str | None = None) -> tuple[Movement, ...]:
    return (
        Movement(sku="A 1", node="LON", source=source, target=target, quantity=quantity, position=1, lot=lot),
    )


LOW = StockLow(sku="A 1", free=2, low_at=5, terms_version=1)
RECOVERED = StockRecovered(sku="A 1", free=9, terms_version=1)
SUSPECTED = StockSuspected(
    sku="A 1", node="LON", quantity=3, short_picks=2, movements=moved("on_hand", "suspect", 3)
)
COUNT: dict[str, Any] = {"sku": "A 1", "count_id": "C-1", "node": "LON", "effective_at": at(1), "up_to": 0}
COUNTED = CountRecorded(
    **COUNT, counted=3, book=3, variance=0, outcome="matched", movements=moved("suspect", "on_hand", 3)
)
HELD = CountRecorded(**COUNT, counted=1, book=9, variance=-8, outcome="held", movements=())
PROPOSED = AdjustmentProposed(
    sku="A 1", proposal_id="P-1", node="LON", variance=4, as_of=at(1), system="wms", explanation="<b>?</b>"
)
EXPIRED = LotExpired(
    sku="A 1",
    lot="L1",
    up_to=1,
    expires_on=date(2026, 3, 1),
    movements=moved("on_hand", "quarantine", 6, "L1"),
)
RECALLED = LotQuarantined(
    sku="A 1", lot="L1", up_to=1, reason="Glass.", movements=moved("on_hand", "quarantine", 6, "L1")
)
GOOD = LotReleased(sku="A 1", lot="L1", up_to=2, movements=moved("quarantine", "on_hand", 6, "L1"))
SCRAPPED = StockMoved(
    sku="A 1",
    node="LON",
    source="quarantine",
    target="scrapped",
    quantity=6,
    reason_code="expired",
    movements=moved("quarantine", "scrapped", 6, "L1"),
)


def settled(id_: str, source: Any) -> DifferenceSettled:
    return DifferenceSettled(
        sku="A 1",
        proposal_id=id_,
        node="LON",
        source=source,
        approved=True,
        variance=1,
        effective_at=at(1),
        movements=(),
    )


def superseded(id_: str, source: Any) -> DifferenceSuperseded:
    return DifferenceSuperseded(
        sku="A 1",
        proposal_id=id_,
        node="LON",
        source=source,
        variance=-9,
        as_of=at(1),
        cause="feed",
        by="acme",
    )


async def told(pool: asyncpg.Pool, *events: Event) -> None:
    await feed(Projector(pool), {"inventory": envelopes("inventory", events)})


async def kinds(pool: asyncpg.Pool, **more: Any) -> list[str]:
    async with Queries(pool).reading("acme") as connection:
        found = await read_queue(connection, "acme", NOW, QueueFilter(**more), None, 100)
        counts = await count_queue(connection, "acme", NOW)
    assert more or sum(row["open"] for row in counts) == len(found)
    return [one.row["kind"] for one in found]


@pytest.mark.parametrize(
    ("begins", "ends", "kind", "owner"),
    [
        (LOW, RECOVERED, "low_stock", "purchasing"),
        (SUSPECTED, COUNTED, "phantom_stock", "warehouse"),
        (HELD, settled("C-1", "count"), "count_held", "operations"),
        (PROPOSED, settled("P-1", "snapshot"), "stock_differs", "operations"),
        (HELD, superseded("C-1", "count"), "count_held", "operations"),
        (PROPOSED, superseded("P-1", "snapshot"), "stock_differs", "operations"),
        (EXPIRED, SCRAPPED, "lot_expired", "warehouse"),
        (RECALLED, GOOD, "lot_recalled", "warehouse"),
        (RECALLED, SCRAPPED, "lot_recalled", "warehouse"),
    ],
)
async def test_it_comes_by_an_event_and_goes_by_an_event(
    pool: asyncpg.Pool, begins: Event, ends: Event, kind: str, owner: str
) -> None:
    await told(pool, begins)
    async with Queries(pool).reading("acme") as connection:
        [one] = await read_queue(connection, "acme", NOW, QueueFilter(), None, 100)
    shown = one.document(NOW)
    assert (shown["kind"], shown["owner"], shown["sku"], shown["order_id"]) == (kind, owner, "A 1", None)
    assert shown["since_at"] == envelopes("inventory", [begins])[0].at
    assert shown["why"]
    assert begins is not PROPOSED or shown["why"].startswith("wms has 4 more than the books.")
    assert shown["overdue"] == (shown["due_at"] < NOW)
    assert await kinds(pool, node="LON") == ([] if shown["node"] == "*" else [kind])
    await told(pool, begins, ends)
    assert await kinds(pool) == []


async def test_what_a_lot_has_set_aside_for_orders_keeps_it_there(pool: asyncpg.Pool) -> None:
    nothing_left = EXPIRED.model_copy(update={"movements": (), "allocated": 2})
    taken = v.Movement(
        sku="A 1", node="LON", source="on_hand", target="allocated", quantity=2, position=1, lot="L1"
    )
    allocated = EXAMPLES["oms.inventory.stock_allocated"]["minimal"]
    assert isinstance(allocated, v.StockAllocated)
    issued = v.StockIssued(
        order_id=allocated.order_id,
        shipment_id="S-1",
        movements=(taken.model_copy(update={"source": "allocated", "target": "issued"}),),
    )
    of_order = allocated.model_copy(update={"movements": (taken,)})
    await told(pool, of_order, nothing_left)
    assert await kinds(pool, kind="lot_expired") == ["lot_expired"]
    await told(pool, of_order, nothing_left, issued)
    assert await kinds(pool, kind="lot_expired") == []


async def test_lanes_may_tell_of_it_in_any_order(pool: asyncpg.Pool) -> None:
    """An order's lane moves units of the lot while the SKU's own says that it is recalled."""
    sent, digests = envelopes("inventory", [SUSPECTED, RECALLED, COUNTED, EXPIRED, SCRAPPED]), set()
    for order in list(permutations(sent))[::17]:
        await pool.execute("DROP SCHEMA live CASCADE")
        await pool.execute("SELECT create_read_models('live')")
        topic = [replace(one, sequence=number) for number, one in enumerate(order, 1)]
        await feed(Projector(pool), {"inventory": topic[:2]})  # joined in memory, then in the table
        await feed(Projector(pool), {"inventory": topic})
        digests.add(await live_digest(pool))
    assert len(digests) == 1


async def test_people_of_some_nodes_see_what_is_there_alone(pool: asyncpg.Pool) -> None:
    await told(pool, LOW, SUSPECTED, RECALLED)
    for nodes, seen in ((("LON",), ["phantom_stock"]), (("MAN",), []), (None, 3)):
        async with Queries(pool).within(nodes).reading("acme") as connection:
            found = await read_queue(connection, "acme", NOW, QueueFilter(), None, 100)
        assert [one.row["kind"] for one in found] == seen or len(found) == seen
    async with Queries(pool).reading("rival") as connection:
        assert await read_queue(connection, "acme", NOW, QueueFilter(), None, 100) == []


async def test_it_is_taken_put_off_and_settled_until_it_comes_up_again(pool: asyncpg.Pool) -> None:
    sent = envelopes("inventory", [LOW, RECOVERED, LOW])
    first, _, again = (one.at for one in sent)
    low: dict[str, Any] = {"sku": "A 1", "item": "low_stock", "since": first}
    care: list[Event] = [
        StockExceptionAssigned(**low, assignee="ann"),
        StockExceptionSnoozed(**low, until=NOW + timedelta(hours=4), why="The ship is late."),
        StockExceptionAssigned(**low),
        StockExceptionResolved(**low, note="Bought 40."),
    ]
    told_by_intake = envelopes("intake", care)

    async def hear(inventory: int, intake: int) -> None:
        topics = {"inventory": sent[:inventory], "intake": told_by_intake[:intake]}
        await feed(Projector(pool), topics)

    await hear(1, 1)
    assert await kinds(pool, assignee="ann") == ["low_stock"]
    assert await kinds(pool, assignee=NOBODY) == []
    await hear(1, 2)
    assert await kinds(pool) == []
    assert await kinds(pool, snoozed=True, assignee="ann") == ["low_stock"]
    await hear(1, 3)
    assert await kinds(pool, snoozed=True, assignee=NOBODY) == ["low_stock"]
    await hear(1, 4)
    assert await kinds(pool) == await kinds(pool, snoozed=True) == []
    await hear(3, 4)
    assert again > first
    assert await kinds(pool, assignee=NOBODY) == ["low_stock"], "what comes up again is another"


async def test_care_may_be_told_before_what_it_is_about(pool: asyncpg.Pool) -> None:
    """A rebuild reads the topics as they come; care of two kinds is joined in memory or in the table."""
    sent = envelopes("inventory", [SUSPECTED])
    of: dict[str, Any] = {"sku": "A 1", "item": "phantom_stock/LON", "since": sent[0].at}
    care: list[Event] = [
        StockExceptionAssigned(**of, assignee="ann"),
        StockExceptionSnoozed(**of, until=at(2), why="Counted tonight."),
    ]
    cared, digests = envelopes("intake", care), set()
    steps: list[list[dict[str, list[Envelope[Any]]]]] = [
        [{"inventory": sent}, {"inventory": sent, "intake": cared}],
        [{"intake": cared[:1]}, {"intake": cared}, {"intake": cared, "inventory": sent}],
    ]
    for order in steps:
        await pool.execute("DROP SCHEMA live CASCADE")
        await pool.execute("SELECT create_read_models('live')")
        for topics in order:
            await feed(Projector(pool), topics)
        assert await kinds(pool, assignee="ann") == ["phantom_stock"]
        digests.add(await live_digest(pool))
    assert len(digests) == 1


async def test_who_sees_some_nodes_sees_care_of_what_is_there_alone(pool: asyncpg.Pool) -> None:
    sent = envelopes("inventory", [LOW, SUSPECTED])
    of = [("low_stock", sent[0].at), ("phantom_stock/LON", sent[1].at)]
    care = [StockExceptionAssigned(sku="A 1", item=item, since=since, assignee="ann") for item, since in of]
    await feed(Projector(pool), {"inventory": sent, "intake": envelopes("intake", care)})
    for tenant, nodes, seen in (
        ("acme", None, 2),
        ("acme", ("LON",), 1),
        ("acme", ("MAN",), 0),
        ("rival", None, 0),
    ):
        async with Queries(pool).within(nodes).reading(tenant) as connection:
            assert await connection.fetchval("SELECT count(*) FROM stock_care") == seen


DIFFERENCE: dict[str, Any] = {"sku": "A 1", "item": "difference/C-1"}


@pytest.fixture
def sent(people: People, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Command, str]]:
    """Commands that pages send, with their reasons; each is done."""
    commands: list[tuple[Command, str]] = []

    async def send(_: Any, session: Any, command: Command, *, reason: str = "", id_: Any = None) -> Outcome:
        commands.append((command, reason))
        return Outcome(True, "Done.")

    monkeypatch.setattr(people.site.actions.__class__, "send", send)
    return commands


async def test_the_buttons_ask_inventory_in_the_persons_name(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await told(pool, HELD, RECALLED, LOW, PROPOSED)
    operator = await people.sign_in("operator")
    drawn = await operator.get("/exceptions")
    assert ">Approve<" in drawn
    assert "Release the lot" in drawn
    assert 'href="/stock/A%201"' in drawn
    assert "&lt;b&gt;?&lt;/b&gt;" in drawn
    assert ">Approve<" not in await (await people.sign_in("viewer")).get("/exceptions")
    await operator.post("/exceptions/stock/approve", **DIFFERENCE, why="Counted twice.")
    await operator.post("/exceptions/stock/reject", sku="A 1", item="difference/P-1", why="Theirs is old.")
    await operator.post("/exceptions/stock/release", sku="A 1", item="lot/L1", why="It was another.")
    assert [command for command, _ in sent] == [
        SettleDifference(sku="A 1", proposal_id="C-1", approve=True, note="Counted twice."),
        SettleDifference(sku="A 1", proposal_id="P-1", approve=False, note="Theirs is old."),
        ReleaseLot(sku="A 1", lot="L1", reason="It was another."),
    ]
    assert sent[0][1] == "Counted twice."
    for wrong in ({"item": "lot/L2"}, {"sku": "B"}, {"item": "low_stock"}, {"item": "lot/L1"}):
        await operator.post("/exceptions/stock/approve", 404, **DIFFERENCE | wrong, why="So.")
    await operator.post("/exceptions/stock/approve", 422, **DIFFERENCE, why=" ")
    await operator.post("/exceptions/stock/approve", 422, sku="a\x00b", item="lot/L1", why="So.")
    await operator.post("/exceptions/stock/scrap", 422, **DIFFERENCE, why="So.")
    for role in ("viewer", "support", "rule_editor", "auditor"):
        person = await people.sign_in(role)
        await person.post("/exceptions/stock/approve", 403, **DIFFERENCE, why="So.")
    elsewhere = await people.sign_in("operator", nodes=("MAN",))
    await elsewhere.post("/exceptions/stock/approve", 404, **DIFFERENCE, why="So.")
    rival = await people.sign_in("operator", "rival")
    await rival.post("/exceptions/stock/approve", 404, **DIFFERENCE, why="So.")
    assert len(sent) == 3


async def test_care_asks_intake_in_the_persons_name_and_of_what_they_see(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    begun = envelopes("inventory", [LOW, SUSPECTED, HELD])
    me = "support@acme"
    support = await people.sign_in("support")
    mine = StockExceptionAssigned(sku="A 1", item="low_stock", since=begun[0].at, assignee=me)
    await feed(Projector(pool), {"inventory": begun, "intake": envelopes("intake", [mine])})
    page = await support.get("/exceptions")
    assert page.count(">Take<") == 2
    assert page.count(">Give back<") == 1
    assert page.count(">Resolve<") == 2, "a difference is approved or rejected"
    assert ">Approve<" not in page
    low: dict[str, Any] = {"sku": "A 1", "item": "low_stock", "since": begun[0].at.isoformat()}
    doubt: dict[str, Any] = {"sku": "A 1", "item": "phantom_stock/LON", "since": begun[1].at.isoformat()}
    since = {"item": "phantom_stock/LON", "since": begun[1].at}
    path = "/exceptions/stock/care"
    await support.post(f"{path}/give_back", **low, why="Not mine.")
    await support.post(f"{path}/take", **doubt, why="Mine.")
    await support.post(f"{path}/snooze", **doubt, why="Counted tonight.", hours="4")
    await support.post(f"{path}/resolve", **doubt, why="It was behind the pillar.")
    commands = [command for command, _ in sent]
    assert commands[0] == AssignStockException(sku="A 1", item="low_stock", since=begun[0].at)
    assert commands[1] == AssignStockException(sku="A 1", **since, assignee=me)
    assert isinstance(commands[2], SnoozeStockException)
    assert commands[2].why == "Counted tonight."
    assert commands[3] == ResolveStockException(sku="A 1", **since, note="It was behind the pillar.")
    await support.post(f"{path}/resolve", 422, **doubt, why=" ")
    for wrong in ({"item": "low_stock"}, {"since": begun[0].at.isoformat()}, {"sku": "B"}):
        await support.post(f"{path}/take", 404, **doubt | wrong, why="Mine.")
    await support.post(f"{path}/take", 422, **doubt | {"since": "yesterday"})
    for role in ("viewer", "rule_editor", "auditor"):
        await (await people.sign_in(role)).post(f"{path}/take", 403, **doubt)
    await (await people.sign_in("support", "rival")).post(f"{path}/take", 404, **doubt, why="Mine.")
    elsewhere = await people.sign_in("support", nodes=("MAN",))
    await elsewhere.post(f"{path}/take", 404, **doubt, why="Mine.")
    assert len(sent) == 4
    await (await people.sign_in("support", nodes=("LON",))).post(f"{path}/take", **doubt, why="Mine.")
    assert len(sent) == 5
