"""Facts from outside through the real stage loop on PostgreSQL, and what inventory's edge reads of them."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import asyncpg
import pytest

from libs.events.catalogue import encode
from libs.events.contract import Command, Contract
from libs.events.envelope import Envelope
from libs.events.supply import ReceiveSupply
from libs.runtime import wire
from libs.runtime.kafka import Lanes
from libs.runtime.limits import Limits
from libs.runtime.log import LogRow, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.settings import Settings
from libs.runtime.stage import events_topic
from libs.runtime.wire import Record
from services.inventory import book
from services.inventory.app import STAGE
from services.inventory.reconcile import LOOKBACK, Moved, Shelf
from tests.spec import NOON
from tests.unit.inventory_supply import approve, arrive, count, expect, feed, minutes, rules, run, send, told
from tests.unit.inventory_trade import accepted, dispatched, line, receive, routed

TENANT = "acme"
INPUTS = UUID("0f0c8f6a-1d0f-5a55-8c0e-1f9f5f0f7a22")


class Inventory:
    """The stage on one lane, told one thing after another, each at its time."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._now = NOON
        self._offsets: Counter[str] = Counter()
        self._sequences: Counter[str] = Counter()
        self._inputs = 0
        self.rows: list[LogRow] = []
        self.log = PostgresLog(pool, STAGE)
        self._loop = StageLoop(
            STAGE,
            self.log,
            lane_of=Lanes(1),
            clock=lambda: self._now,
            observer=self,
            fetch=self._fetch,
            limits=Limits(),
        )

    async def open(self) -> None:
        await self._loop.assigned([(topic, 0) for topic in STAGE.topics])

    async def hear(self, *bodies: Contract, minute: float = 0) -> list[str]:
        """The types of the events that answer, in one batch."""
        self._now, before = minutes(minute), len(self.rows)
        await self._loop.handle([self._record(body) for body in bodies])
        return [row.type.rpartition(".")[2] for row in self.rows[before:] if row.origin == "decided"]

    async def ring(self, minute: float) -> list[str]:
        """Let what is due by then ring."""
        self._now, before = minutes(minute), len(self.rows)
        while await self._loop.work():
            pass
        return [row.type.rpartition(".")[2] for row in self.rows[before:]]

    def _record(self, body: Contract) -> Record:
        self._inputs += 1
        id_ = uuid5(INPUTS, str(self._inputs))
        stage = "inventory" if isinstance(body, Command) else body.TYPE.split(".")[1]
        topic, source = f"oms.{stage}.commands", "partner"
        if not isinstance(body, Command):
            topic, source = events_topic(stage), f"orderlog/{stage}"
            self._sequences[source] += 1
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        sequence = self._sequences[source]
        out = Envelope(
            id_, TENANT, body.stream, body, self._now, "a", "", id_, id_, source, sequence=sequence
        )
        key = f"{TENANT}/{body.stream}".encode()
        return Record(topic, 0, offset, key, encode(body), wire.headers(out), int(NOON.timestamp() * 1000))

    async def _fetch(self, topic: str, partition: int, offset: int) -> Record | None:
        raise AssertionError("nothing was parked")

    # What the loop tells (libs.runtime.loop.Observer).

    def committed(self, writes: Writes, records: int, seconds: float) -> None:
        assert not writes.parked, writes.parked
        self.rows += writes.rows

    def halted(self, lane: int, why: str) -> None:
        raise AssertionError(why)

    def uncertain(self) -> None:
        raise AssertionError("nobody else writes here")


@pytest.fixture
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


@pytest.fixture
async def inventory(pool: asyncpg.Pool) -> Inventory:
    inventory = Inventory(pool)
    await inventory.open()
    return inventory


async def shelf(pool: asyncpg.Pool, at: datetime, node: str = "N1") -> Shelf:
    async with pool.acquire() as connection:
        [found] = await book.shelves(connection, TENANT, [("A", node)], at)
    return found


async def test_a_shelf_is_read_as_of_any_moment(pool: asyncpg.Pool, inventory: Inventory) -> None:
    await inventory.hear(receive("A", 10), receive("A", 4, "N2"))
    await inventory.hear(accepted("o1", ("A", 3)), routed("o1", 1, N1=(line(1, "A", 3),)), minute=10)
    await inventory.hear(dispatched("o1", 1, "N1", line(1, "A", 3)), minute=20)
    assert (await shelf(pool, minutes(-1))).units == 0
    assert (await shelf(pool, minutes(15))).units == 10
    assert (await shelf(pool, minutes(20))).units == 7
    assert (await shelf(pool, minutes(20), "N2")).units == 4
    assert (await shelf(pool, minutes(20), "N3")).units == 0
    late = ReceiveSupply(
        sku="A", supply_id="P", receipt_id="R", node="N1", quantity=5, effective_at=minutes(12)
    )
    before = (await shelf(pool, minutes(15))).position
    await inventory.hear(late, minute=30)
    after = await shelf(pool, minutes(15))
    assert (after.units, after.position) == (15, before + 1)
    assert (await shelf(pool, minutes(11))).units == 10


async def test_a_late_count_is_booked_against_what_the_ledger_had_then(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    await inventory.hear(rules(), receive("A", 10))
    await inventory.hear(receive("A", 5), minute=20)
    then = await shelf(pool, minutes(10))
    told_late = count("A", "C1", 8, then.units, then.position, minutes(10))
    assert await inventory.hear(told_late, minute=30) == ["count_recorded"]
    assert (await shelf(pool, minutes(30))).units == 13
    # Two units less from when it was counted on, not from when it was told.
    assert (await shelf(pool, minutes(10))).units == 8
    assert (await shelf(pool, minutes(9))).units == 10


async def test_what_moved_on_a_shelf_is_told_by_event(pool: asyncpg.Pool, inventory: Inventory) -> None:
    await inventory.hear(receive("A", 10), expect("A", "P", 6))
    await inventory.hear(accepted("o1", ("A", 3)), routed("o1", 1, N1=(line(1, "A", 3),)), minute=10)
    await inventory.hear(dispatched("o1", 1, "N1", line(1, "A", 3)), minute=20)
    await inventory.hear(arrive("A", "P", "R1", 1, damaged=1), send("A", "T", 2), minute=30)
    async with pool.acquire() as connection:
        moves = await book.moved(connection, TENANT, ("A", "N1"), minutes(25), LOOKBACK)
        later = await book.moved(connection, TENANT, ("A", "N1"), minutes(25), timedelta(0))
        coming = await book.on_the_way(connection, TENANT, [("A", "N1"), ("A", "N2"), ("B", "N1")])
    seen = [(one.type.rpartition(".")[2], one.document, one.at, one.units) for one in moves]
    assert seen == [
        ("stock_received", "", NOON, 10),
        ("stock_issued", "o1-S1", minutes(20), -3),
        ("supply_received", "P", minutes(30), 1),
        ("transfer_dispatched", "T", minutes(30), -2),
    ]
    assert later == moves[2:]
    assert isinstance(moves[0], Moved)
    assert coming == {("A", "N1"): {"inbound": 4}, ("A", "N2"): {"in_transit": 2}}


async def test_what_waits_for_a_person_is_listed_until_it_is_settled(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    await inventory.hear(rules(count_approval_units=0), receive("A", 10), receive("B_", 10))
    await inventory.hear(count("B_", "C2", 9, 10, 1), count("A", "C1", 9, 10, 1), minute=1)
    async with pool.acquire() as connection:
        found = await book.differences(connection, TENANT, "", 10)
        assert [(one["sku"], one["proposal_id"], one["variance"]) for one in found] == [
            ("A", "C1", -1),
            ("B_", "C2", -1),
        ]
        assert await book.differences(connection, TENANT, "A", 10) == found[1:]
        assert await book.differences(connection, "acm_", "", 10) == []
        shelves = [("A", "N1"), ("A", "N2"), ("C", "N1")]
        assert await book.waiting(connection, TENANT, shelves) == {("A", "N1"): "C1"}
        assert await inventory.hear(approve("A", "C1"), minute=2) == ["difference_settled"]
        assert await book.differences(connection, TENANT, "", 10) == found[1:]


async def test_shelves_on_which_nothing_moves_are_found(pool: asyncpg.Pool, inventory: Inventory) -> None:
    await inventory.hear(receive("A", 10), receive("A", 4, "N2"), receive("B", 1))
    await inventory.hear(send("A", "T", 2, target="N3"), minute=20)
    async with pool.acquire() as connection:
        found = await book.idle(connection, TENANT, minutes(10), ("", ""), 10)
        assert [tuple(one.values()) for one in found] == [("A", "N2", 4), ("B", "N1", 1)]
        assert await book.idle(connection, TENANT, minutes(10), ("A", "N2"), 10) == found[1:]
        assert await book.idle(connection, TENANT, minutes(10), ("", ""), 1) == found[:1]
        assert await book.idle(connection, TENANT, minutes(0), ("", ""), 9) == []


async def test_shelves_that_somebody_counted_or_told_of_are_not_idle(
    pool: asyncpg.Pool, inventory: Inventory
) -> None:
    await inventory.hear(feed(), told("A", 10), receive("A", 4), receive("B", 4), receive("B", 1, "N2"))
    await inventory.hear(told("A", 10, stated=30), count("B", "C1", 4, 4, 2, minutes(30)), minute=40)

    async def idle(since: float) -> list[tuple[str, str]]:
        async with pool.acquire() as connection:
            found = await book.idle(connection, TENANT, minutes(since), ("", ""), 10)
        return [(one["sku"], one["node"]) for one in found]

    assert await idle(20) == [("A", "N1"), ("B", "N2")]
    assert await idle(35) == [("A", "N1"), ("A", "V1"), ("B", "N1"), ("B", "N2")]


async def test_what_is_told_late_has_moved_when_it_was_true(pool: asyncpg.Pool, inventory: Inventory) -> None:
    late = receive("A", 4).model_copy(update={"effective_at": minutes(5)})
    await inventory.hear(receive("A", 10), receive("B", 1))
    await inventory.hear(late, minute=20)
    async with pool.acquire() as connection:
        found = await book.idle(connection, TENANT, minutes(10), ("", ""), 10)
        assert [tuple(one.values()) for one in found] == [("A", "N1", 14), ("B", "N1", 1)]
        found = await book.idle(connection, TENANT, minutes(4), ("", ""), 10)
        assert [tuple(one.values()) for one in found] == [("B", "N1", 1)]


async def test_reminders_come_by_themselves(pool: asyncpg.Pool, inventory: Inventory) -> None:
    await inventory.hear(receive("A", 10), send("A", "T", 4, due=minutes(60)))
    await inventory.hear(feed(stale_minutes=90), run("R1", 7))
    await inventory.hear(told("A", 7, run_id="R1"), minute=1)
    assert await inventory.ring(59) == []
    assert await inventory.ring(61) == ["transfer_overdue"]
    assert await inventory.ring(90) == ["feed_stale"]
    async with pool.acquire() as connection:
        known = await book.documents(connection, TENANT, "A")
        assert (await book.documents(connection, TENANT, "Z"))["expected"] == []
    assert known["units"] == {"in_transit": {"N2": 4}, "vendor": {"V1": 7}}
    assert known["transfers"][0]["transfer_id"] == "T"
    assert datetime.fromisoformat(known["feeds"]["acme"]["stale_at"]).astimezone(UTC) == minutes(90)
