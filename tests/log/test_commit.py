"""A batch that was planned ahead: written where all is as it was read, and else not at all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from cli.bench.fed import FedStage, send
from libs.events.inventory import ReceiveStock
from libs.runtime import one_call
from libs.runtime.log import (
    EffectRow,
    Fenced,
    Handled,
    Lane,
    Log,
    Overtaken,
    Parked,
    Snapshot,
    TimerRow,
    Writes,
)
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.settings import Settings
from services.inventory import ledger
from services.inventory.app import STAGE as INVENTORY
from tests.log.test_log import IDS, NOON, row

PLACE = ("oms.intake.commands", 0)
FRESH = Lane(1, 1, 1)
ALL = Writes(
    offsets={PLACE: (0, 2)},
    rows=[row(1), row(2), row(1, origin="heard"), row(1, lane=1)],
    new_parts={"acme/o-1": (0, Snapshot(2, b'{"new":"\xc3\xa9"}'))},
    parts={"acme/sku/A": (0, Snapshot(1, b'{"a":1}')), "acme/sku/C": (1, Snapshot(4, b'{"c":4}'))},
    handled=[Handled("acme", IDS, b"digest", 0, 1, 2)],
    high_water={("orderlog/routing", 0): 4, ("orderlog/routing", 1): 1},
    timers={("acme/o-1", "claims"): TimerRow(0, "acme/o-1", "claims", NOON + timedelta(days=2))},
    owed={"m-1": EffectRow(0, "m-1", "acme/o-1")},
)
"""A bit of everything."""
ASSUMED = {"acme/sku/A": 0, "acme/sku/B": 0, "acme/sku/C": 3, "acme/o-1": 0}
_TABLES = ("log", "lane", "consumed", "high_water", "handled", "part", "timer")


@pytest.fixture
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether batches are small enough for one call."""
    monkeypatch.setattr(one_call, "ROWS_MAX", 100 if request.param else -1)


either_way = pytest.mark.parametrize("small", [True, False], ids=["in one call", "in steps"], indirect=True)


async def ready(log: Log) -> dict[int, Lane]:
    """Lanes 0 and 1 claimed, an offset to read from, and a stream in its third version."""
    epochs = await log.claim([0, 1])
    await log.offsets([PLACE])
    async with log.batch() as batch:
        await batch.lanes(epochs)
        await batch.load(["acme/sku/C"], lock=True)
        await batch.write(Writes(parts={"acme/sku/C": (1, Snapshot(3, b'{"c":3}'))}))
    return {0: FRESH, 1: FRESH}


@either_way
async def test_all_of_a_batch_is_written_at_once(log: Log, small: None) -> None:
    await log.commit(ALL, await ready(log), ASSUMED)
    assert [found.seq for found in await log.unpublished(0, 0, 10)] == [1, 2]
    assert await log.unpublished(1, 0, 10) == [row(1, lane=1)]
    assert await log.offsets([PLACE]) == {PLACE: 2}
    assert await log.snapshots(list(ASSUMED)) == {
        "acme/o-1": Snapshot(2, b'{"new":"\xc3\xa9"}'),
        "acme/sku/A": Snapshot(1, b'{"a":1}'),
        "acme/sku/B": Snapshot(0, b""),
        "acme/sku/C": Snapshot(4, b'{"c":4}'),
    }
    assert await log.answer("acme", IDS) == [row(1), row(2)]
    assert await log.next_due([0]) == NOON + timedelta(days=2)
    after = {0: Lane(1, 3, 2), 1: Lane(1, 2, 1)}
    async with log.batch() as batch:
        assert await batch.lanes({0: 1, 1: 1}) == after
        assert (await batch.heard([0, 1]))[0] == ALL.high_water
    rung = list(ALL.timers.values())
    again = {key: replace(timer, due_at=NOON) for key, timer in ALL.timers.items()}
    await log.commit(Writes(timers_done=rung, timers=again, settled={"m-1"}), after, {"acme/sku/C": 4})
    assert await log.next_due([0]) == NOON
    assert await log.claim_effects([0], NOON + timedelta(days=9999), 60, 10) == []


@either_way
@pytest.mark.parametrize(
    ("lanes", "assumed", "writes", "refusal"),
    [
        ({0: replace(FRESH, epoch=2), 1: FRESH}, {}, ALL, Fenced),
        ({0: replace(FRESH, next_decided=2), 1: FRESH}, {}, ALL, Fenced),
        ({0: replace(FRESH, next_heard=2), 1: FRESH}, {}, ALL, Fenced),
        ({0: FRESH, 2: FRESH}, {}, ALL, Fenced),
        ({0: FRESH, 1: FRESH}, {"acme/sku/C": 2}, ALL, Overtaken),
        ({0: FRESH, 1: FRESH}, {"acme/sku/C": 0}, ALL, Overtaken),
        (
            {0: FRESH, 1: FRESH},
            {},
            replace(ALL, new_parts={"acme/sku/C": (0, Snapshot(1, b"{}"))}, parts={}),
            Overtaken,
        ),
        ({0: FRESH, 1: FRESH}, {}, replace(ALL, offsets={PLACE: (1, 2)}), Fenced),
        ({0: FRESH, 1: FRESH}, {}, replace(ALL, timers_done=list(ALL.timers.values())), Fenced),
    ],
    ids=[
        "claimed",
        "decided",
        "heard",
        "no such lane",
        "changed",
        "not new",
        "not new to be written",
        "offset",
        "timer",
    ],
)
async def test_nothing_is_written_where_something_is_not_as_it_was(
    log: Log,
    small: None,
    lanes: Mapping[int, Lane],
    assumed: Mapping[str, int],
    writes: Writes,
    refusal: type[Exception],
) -> None:
    before = await ready(log)
    with pytest.raises(refusal):
        await log.commit(writes, lanes, assumed)
    assert await log.unpublished(0, 0, 10) == []
    assert await log.offsets([PLACE]) == {PLACE: 0}
    await log.commit(ALL, before, ASSUMED)


@either_way
async def test_a_timer_that_was_moved_since_it_was_read_stays(log: Log, small: None) -> None:
    """What another process asked for meanwhile is not what rang."""
    await log.commit(ALL, await ready(log), ASSUMED)
    [rung], after = ALL.timers.values(), {0: Lane(1, 3, 2), 1: Lane(1, 2, 1)}
    moved = replace(rung, due_at=NOON)
    await log.commit(Writes(timers={(moved.key, moved.name): moved}), after, {})
    await log.commit(Writes(timers_done=[rung]), after, {})
    assert await log.due([0], NOON + timedelta(days=9), 10) == [moved]
    await log.commit(Writes(timers_done=[moved]), after, {})
    assert await log.next_due([0]) is None


async def test_looking_tells_parts_and_commands_without_a_lock(log: Log) -> None:
    await log.commit(ALL, await ready(log), ASSUMED)
    known = {"acme/sku/A": 1, "acme/sku/C": 3}
    asked = ["acme/o-1", "acme/sku/A", "acme/sku/C", "acme/sku/D"]
    parts = {
        "acme/o-1": Snapshot(2, b'{"new":"\xc3\xa9"}'),
        "acme/sku/A": Snapshot(1, None),
        "acme/sku/C": Snapshot(4, b'{"c":4}'),
    }
    async with log.batch() as batch:  # of whoever holds the locks
        if not isinstance(log, MemoryLog):
            await batch.lanes({0: 1, 1: 1})
            await batch.load(asked[:3], lock=True)
        commands = [("acme", IDS), ("other", IDS)]
        assert await log.look(asked, known, commands) == (parts, {("acme", IDS): b"digest"})
        assert await log.look(asked, known, []) == (parts, {})
        assert await log.look([], {}, commands) == ({}, {("acme", IDS): b"digest"})


@pytest.fixture
async def stock(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


@either_way
async def test_two_processes_that_create_the_same_streams_lock_none_of_each_others(
    stock: asyncpg.Pool, small: None
) -> None:
    """One has the first of them and waits for a third process, the other begins at the other end."""
    log, keys = PostgresLog(stock, INVENTORY), ["acme/sku/A", "acme/sku/M", "acme/sku/Z"]
    claimed = await log.claim([0, 1])
    insert = "INSERT INTO part (key, lane, version, part) VALUES ($1, 1, 1, '{}')"
    waiting = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""

    async def create(lane: int, keys: list[str]) -> None:
        new = {key: (lane, Snapshot(1, b"{}")) for key in keys}
        writes = Writes(rows=[row(1, lane=lane)], new_parts=new)
        await log.commit(writes, {lane: Lane(claimed[lane], 1, 1)}, {})

    async with stock.acquire() as third, stock.acquire() as looks, asyncio.timeout(30):
        transaction = third.transaction()
        await transaction.start()
        await third.execute(insert, keys[1])
        both = [asyncio.create_task(create(0, keys)), asyncio.create_task(create(1, keys[::-1]))]
        while await looks.fetchval(waiting) < len(both):
            assert not any(task.done() for task in both)
        await transaction.rollback()
        outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {type(None), Overtaken}


def moved(position: int, quantity: int, held: int = 0) -> Writes:
    """A SKU's units come in, and so many of them are held."""
    values = ("acme", "A", position, "LON", "supplier", "on_hand", quantity, IDS, 0, 1, NOON)
    return Writes(
        rows=[row(position)],
        table_rows={"ledger": [values]},
        table_sums={
            "balance": {("acme", "A", "LON", "on_hand"): [quantity], ("acme", "A", "*", "held"): [held]},
            "promise": {("acme", "A"): [quantity, held]},
        },
    )


@either_way
async def test_sums_are_made_then_changed_and_never_wrong(stock: asyncpg.Pool, small: None) -> None:
    log = PostgresLog(stock, INVENTORY)
    await log.claim([0])
    await log.commit(moved(1, 5, 2), {0: FRESH}, {})
    await log.commit(moved(2, 3, -1), {0: Lane(1, 2, 1)}, {})
    for wrong in (moved(3, 1, -2), moved(3, 1, 9)):
        with pytest.raises(asyncpg.CheckViolationError):
            await log.commit(wrong, {0: Lane(1, 3, 1)}, {})
    doubled = replace(moved(3, 1), table_rows=moved(2, 1).table_rows)
    with pytest.raises(asyncpg.UniqueViolationError):
        await log.commit(doubled, {0: Lane(1, 3, 1)}, {})
    assert [tuple(found) for found in await stock.fetch("SELECT on_hand, reserved FROM promise")] == [(8, 1)]
    balances = await stock.fetch("SELECT node, bucket, quantity FROM balance ORDER BY node")
    assert [tuple(found) for found in balances] == [("*", "held", 1), ("LON", "on_hand", 8)]
    assert await stock.fetchval("SELECT count(*) FROM ledger") == 2


def test_what_few_batches_write_goes_by_steps() -> None:
    takes = one_call.OneCall(INVENTORY).takes
    lot = replace(moved(1, 1), table_rows={"ledger_lot": [("acme", "A", 1, "L")]})
    assert takes(moved(1, 1))
    assert not takes(lot)
    assert not takes(replace(moved(1, 1), unparked={1: Parked(1, "acme/o-1", "t", 1, 3, "failed", "why")}))
    assert not takes(Writes(rows=[row(1)] * (one_call.ROWS_MAX + 1)))
    assert set(ledger.TABLES_CALL[1]) <= {*ledger.ROW_TABLES, *ledger.SUM_TABLES}


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What every connection says to its server, COPY and BEGIN included."""
    said: list[str] = []

    def note(method: str) -> None:
        real = getattr(asyncpg.Connection, method)

        async def noted(connection: asyncpg.Connection, text: str, *rest: Any, **named: Any) -> Any:
            said.append(" ".join(text.split()))
            return await real(connection, text, *rest, **named)

        monkeypatch.setattr(asyncpg.Connection, method, noted)

    for method in ("_do_execute", "execute", "copy_records_to_table"):
        note(method)
    return said


async def test_a_small_batch_is_a_look_and_a_call(stock: asyncpg.Pool, statements: list[str]) -> None:
    """Once its lane is known, and the types of the call. An event whose streams are kept needs no look."""
    config, broker = Settings(partitions=1), MemoryBroker(1)
    fed = FedStage(INVENTORY, PostgresLog(stock, INVENTORY), broker, config)
    await fed.join()
    said = []
    for number in range(4):
        await send(
            broker, config, "acme", "inventory", [ReceiveStock(sku="A", node="LON", quantity=number + 1)]
        )
        statements.clear()
        await fed.poll()
        said.append(list(statements))
    assert said[0][0].startswith("BEGIN")
    assert [len(batch) for batch in said[2:]] == [2, 2]
    look, call = said[3]
    assert look.startswith("SELECT")
    assert "commit_batch" in call
    assert await stock.fetchval("SELECT on_hand FROM promise") == 10
