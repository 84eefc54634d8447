"""Exceptions of supply: each comes by its event into the one queue, and goes by the event that settles it."""

import shlex
from dataclasses import replace
from itertools import permutations
from typing import Any

import asyncpg
import pytest

from libs.events.conditions import StockMoved
from libs.events.contract import Command, Event
from libs.events.feeds import FeedRetired, FeedRunApproved, FeedRunOpened, FeedStale, StockReported
from libs.events.stock_exceptions import (
    AssignFeedException,
    FeedExceptionAssigned,
    FeedExceptionResolved,
    FeedExceptionSnoozed,
    ResolveFeedException,
    SnoozeFeedException,
)
from libs.events.supply import (
    SupplyExpected,
    SupplyMovement,
    SupplyReceived,
    TransferClosed,
    TransferDispatched,
    TransferOverdue,
    TransferReceiptHeld,
    TransferReceived,
)
from services.console.exceptions import QueueFilter, count_queue, read_queue
from services.console.feeds_heard import read_feeds
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import console_dsn, pool
from tests.console_parts import at, envelopes
from tests.console_site import People, people
from tests.log.test_console_stock_items import kinds, moved, sent, told
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool", "sent"]
NOW = at(2000)
TRANSFER: dict[str, Any] = {"sku": "A 1", "transfer_id": "T-1"}
ENDS: dict[str, Any] = {"source_node": "LEE", "target_node": "LON"}
SENT = TransferDispatched(**TRANSFER, **ENDS, quantity=6, due_at=at(1), movements=())
OVERDUE = TransferOverdue(**TRANSFER, **ENDS, open=6, due_at=at(1))
EARLY = TransferReceiptHeld(**TRANSFER, receipt_id="R-1", quantity=6)
LOST = TransferClosed(**TRANSFER, outcome="lost", quantity=6, movements=())


def came(outcome: Any, *, open_: int = 0, over: int = 0, short: int = 0) -> TransferReceived:
    movements: tuple[SupplyMovement, ...] = moved("adjustment", "quarantine", over) if over else ()
    return TransferReceived(
        **TRANSFER,
        receipt_id="R-1",
        node="LON",
        quantity=6 + over - short - open_,
        outcome=outcome,
        over=over,
        short=short,
        open=open_,
        movements=movements,
    )


def received(outcome: Any, **more: int) -> SupplyReceived:
    return SupplyReceived(
        sku="A 1",
        supply_id="PO-1",
        receipt_id="R-1",
        node="LON",
        quantity=6,
        outcome=outcome,
        open=0,
        movements=(),
        **more,
    )


def bought(quantity: int, open_: int) -> SupplyExpected:
    return SupplyExpected(
        sku="A 1",
        supply_id="PO-1",
        node="LON",
        quantity=quantity,
        open=open_,
        expected_at=at(1),
        stated_at=at(1),
        document="purchase_order",
        movements=(),
    )


def out_of_quarantine(quantity: int, reference: str | None) -> StockMoved:
    return StockMoved(
        sku="A 1",
        node="LON",
        source="quarantine",
        target="on_hand",
        quantity=quantity,
        reason_code="ours",
        reference=reference,
        movements=moved("quarantine", "on_hand", quantity),
    )


def run(run_id: str, *, held: bool = False) -> FeedRunOpened:
    return FeedRunOpened(
        feed="acme", run_id=run_id, rows=2, units=3, stated_at=at(1), held=held, units_before=90
    )


RETIRED = FeedRetired(feed="acme", node="LON")
GONE = FeedStale(sku="A 2", feed="acme", node="LON", stated_at=at(-9), movements=(), retired=True)
STALE = FeedStale(sku="A 1", feed="acme", node="LON", stated_at=at(-9), movements=())


def row(sku: str, stale_minutes: float) -> StockReported:
    return StockReported(
        sku=sku,
        feed="acme",
        node="LON",
        mode="full",
        told=3,
        withheld=0,
        stated_at=at(1),
        stale_at=at(stale_minutes),
        movements=(),
    )


@pytest.mark.parametrize(
    ("begins", "ends", "kind", "owner", "why"),
    [
        (OVERDUE, came("complete"), "transfer_overdue", "warehouse", "6 units of transfer T-1 from LEE"),
        (OVERDUE, LOST, "transfer_overdue", "warehouse", "were due at LON"),
        (EARLY, SENT, "transfer_undispatched", "warehouse", "nobody has dispatched"),
        (
            came("over", over=4),
            out_of_quarantine(4, "T-1"),
            "over_receipt",
            "warehouse",
            "sent under transfer T-1",
        ),
        (received("over", over=2), bought(6, 0), "supply_over", "purchasing", "2 units more than were"),
        (STALE, row("B", 999), "feed_stale", "purchasing", "too old"),
        (STALE, RETIRED, "feed_stale", "purchasing", "too old"),
        (STALE, GONE, "feed_stale", "purchasing", "too old"),
        (run("2", held=True), RETIRED, "feed_held", "purchasing", "Run 2 tells 3 units, where"),
        (run("2", held=True), run("3"), "feed_held", "purchasing", "Run 2 tells 3 units, where"),
        (
            run("2", held=True),
            FeedRunApproved(feed="acme", run_id="2"),
            "feed_held",
            "purchasing",
            "told 90: its rows are refused",
        ),
    ],
)
async def test_it_comes_by_an_event_and_goes_by_an_event(
    pool: asyncpg.Pool, begins: Event, ends: Event, kind: str, owner: str, why: str
) -> None:
    await told(pool, begins)
    async with Queries(pool).reading("acme") as connection:
        [one] = await read_queue(connection, "acme", NOW, QueueFilter(), None, 100)
        [count] = await count_queue(connection, "acme", NOW)
    shown = one.document(NOW)
    assert (shown["kind"], shown["owner"], count["open"]) == (kind, owner, 1)
    assert why in shown["why"]
    assert shown["since_at"] == envelopes("inventory", [begins])[0].at
    assert shown["due_at"] > shown["since_at"]
    assert shown["next_step"]
    assert (shown["sku"], shown["order_id"]) == (None if kind.startswith("feed") else "A 1", None)
    await told(pool, begins, ends)
    assert await at_the_end(pool) == []


async def at_the_end(pool: asyncpg.Pool) -> list[str]:
    async with Queries(pool).reading("acme") as connection:
        found = await read_queue(connection, "acme", NOW, QueueFilter(), None, 100)
    return [one.row["kind"] for one in found]


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([OVERDUE, came("partial", open_=2)], ["transfer_overdue"]),
        ([came("over", over=4), out_of_quarantine(3, "T-1")], ["over_receipt"]),
        ([came("over", over=4), out_of_quarantine(4, None)], ["over_receipt"]),
        ([came("short", short=2), SENT], ["transfer_short"]),
        ([received("short", short=2), bought(9, 9)], ["supply_short"]),
        ([received("over", over=2), bought(9, 9)], ["supply_over"]),
        ([received("complete"), SENT, came("complete"), bought(6, 6), run("1")], []),
        ([STALE, row("B", 1)], ["feed_stale"]),
        ([row("B", 999), STALE, run("2")], ["feed_stale"]),
    ],
)
async def test_what_does_not_settle_it_leaves_it(
    pool: asyncpg.Pool, events: list[Event], left: list[str]
) -> None:
    await told(pool, *events)
    assert await at_the_end(pool) == left


async def test_a_feed_of_many_skus_is_one_item_whatever_lane_tells_first(pool: asyncpg.Pool) -> None:
    sent = envelopes("inventory", [STALE, STALE.model_copy(update={"sku": "B"}), row("C", 999)])
    found = []
    for order in permutations(sent):
        await pool.execute("DROP SCHEMA live CASCADE")
        await pool.execute("SELECT create_read_models('live')")
        topic = [replace(one, sequence=number) for number, one in enumerate(order, 1)]
        await feed(Projector(pool), {"inventory": topic[:2]})
        await feed(Projector(pool), {"inventory": topic})
        found.append(await at_the_end(pool))
    assert found == [[]] * 6, "rows were the last that was heard of it"


async def test_the_page_says_what_to_do_and_who_may_see_some_nodes_sees_theirs(
    people: People, pool: asyncpg.Pool
) -> None:
    await told(pool, OVERDUE, run("a file.csv-2", held=True), STALE)
    page = await (await people.sign_in("operator")).get("/exceptions")
    for text in (
        "Transfer is overdue",
        "orderlog stock close-transfer",
        "Feed run waits for approval",
        "<bdi>orderlog stock approve-feed acme &#39;a file.csv-2&#39; --tenant acme</bdi>",
        "<bdi>orderlog stock feed FILE --feed acme --tenant acme</bdi>",
        "feed <bdi>acme</bdi>",
        "Feed has gone silent",
    ):
        assert text in page, text
    assert page.count(">Take<") == 3, "a transfer's, and what is the matter with a feed"
    assert "/orders/None" not in page
    async with Queries(pool).within(("LEE",)).reading("acme") as connection:
        assert await read_queue(connection, "acme", NOW, QueueFilter(), None, 100) == []
    async with Queries(pool).within(("LON",)).reading("acme") as connection:
        found = await read_queue(connection, "acme", NOW, QueueFilter(), None, 100)
    assert {one.row["kind"] for one in found} == {"transfer_overdue", "feed_stale"}


async def test_what_is_the_matter_with_a_feed_is_taken_put_off_and_settled(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    begun = envelopes("inventory", [STALE, run("2", held=True)])
    silent: dict[str, Any] = {"feed": "acme", "item": "feed_stale/acme", "since": begun[0].at}
    held: dict[str, Any] = {"feed": "acme", "item": "feed_held/acme", "since": begun[1].at}
    me = "support@acme"
    mine = FeedExceptionAssigned(**held, assignee=me)
    await feed(Projector(pool), {"inventory": begun, "intake": envelopes("intake", [mine])})
    support = await people.sign_in("support")
    page = await support.get("/exceptions")
    assert [page.count(f">{name}<") for name in ("Take", "Give back", "Snooze", "Resolve")] == [1, 1, 2, 2]
    form = silent | {"since": begun[0].at.isoformat()}
    path = "/exceptions/feed/care"
    await support.post(f"{path}/take", **form, why="Mine.")
    await support.post(f"{path}/snooze", **form, why="They are on holiday.", hours="72")
    await support.post(f"{path}/resolve", **form, why="Their file came by mail.")
    commands = [command for command, _ in sent]
    assert commands[0] == AssignFeedException(**silent, assignee=me)
    assert isinstance(commands[1], SnoozeFeedException)
    assert commands[2] == ResolveFeedException(**silent, note="Their file came by mail.")
    await support.post(f"{path}/resolve", 422, **form, why=" ")
    for wrong in ({"item": "feed_held/acme"}, {"item": "feed_stale/other"}, {"feed": "other"}):
        await support.post(f"{path}/take", 404, **form | wrong, why="Mine.")
    await (await people.sign_in("viewer")).post(f"{path}/take", 403, **form)
    await (await people.sign_in("support", "rival")).post(f"{path}/take", 404, **form, why="Mine.")
    assert len(sent) == 3


async def test_care_of_a_feed_is_of_the_time_that_it_came_up(pool: asyncpg.Pool) -> None:
    begun = envelopes("inventory", [STALE, run("2", held=True)])
    silent: dict[str, Any] = {"feed": "acme", "item": "feed_stale/acme", "since": begun[0].at}
    held: dict[str, Any] = {"feed": "acme", "item": "feed_held/acme", "since": begun[1].at}
    care: list[Event] = [
        FeedExceptionResolved(**silent, note="Their file came by mail."),
        FeedExceptionSnoozed(**held, until=at(9000), why="They are on holiday."),
    ]
    await feed(Projector(pool), {"intake": envelopes("intake", care)})
    await feed(Projector(pool), {"inventory": begun})
    assert await kinds(pool) == []
    assert await kinds(pool, snoozed=True) == ["feed_held"]
    again = envelopes("inventory", [STALE, run("2", held=True), STALE])
    await feed(Projector(pool), {"inventory": again})
    assert await kinds(pool) == ["feed_stale"]


async def test_when_a_feed_was_heard_and_since_when_it_is_silent(pool: asyncpg.Pool) -> None:
    async def feeds() -> list[Any]:
        async with Queries(pool).reading("acme") as connection:
            return [tuple(one.values()) for one in await read_feeds(connection, "acme")]

    told = envelopes("inventory", [row("A 1", 999), run("2", held=True), STALE, row("B", 999)])
    one, _, three, four = told
    await feed(Projector(pool), {"inventory": told[:2]})
    assert await feeds() == [("acme", one.at, None)]
    await feed(Projector(pool), {"inventory": told[:3]})
    assert await feeds() == [("acme", one.at, three.at)]
    await feed(Projector(pool), {"inventory": told})
    assert await feeds() == [("acme", four.at, None)]
    async with Queries(pool).reading("rival") as connection:
        assert await read_feeds(connection, "rival") == []


@pytest.mark.parametrize("name", ["2", "stock.csv-0f1e", "it tells 3 units, it tells", "Run tells "])
async def test_what_is_to_be_typed_about_a_held_run_names_it_whole(pool: asyncpg.Pool, name: str) -> None:
    await told(pool, run(name, held=True))
    async with Queries(pool).reading("acme") as connection:
        [one] = await read_queue(connection, "acme", NOW, QueueFilter(), None, 100)
    approve, load = (shlex.split(command) for command in one.commands("main"))
    assert approve == ["orderlog", "stock", "approve-feed", "acme", name]
    assert load == ["orderlog", "stock", "feed", "FILE", "--feed", "acme"]
