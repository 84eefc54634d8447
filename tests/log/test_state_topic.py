"""States told from a real PostgreSQL: what is committed is told once, and again where it was not settled."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

import asyncpg
import orjson
import pytest

from libs.events.bundles import RemoveBundle
from libs.events.inventory import ReceiveStock
from libs.runtime.kafka import Lanes
from libs.runtime.log import Log, LogRow, Snapshot, TimerRow, Writes
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.relay import Message
from libs.runtime.settings import Settings
from libs.runtime.stage import dump_part
from libs.runtime.state_topic import Follower, PostgresMarks
from services.inventory.app import STAGE
from services.inventory.shelf import received
from services.inventory.stock import EMPTY_SKU, evolve_sku
from tests.spec import NOON
from tests.unit.inventory_trade import accepted
from tests.unit.test_inventory_bundles import boxes

assert STAGE.states is not None
STATES = STAGE.states
LANE_OF = Lanes(4)
KEY = "acme/sku/TEA"
LANE = LANE_OF(KEY)


class Topic:
    """What was published, the last record of each key."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.last: dict[bytes, dict[str, object]] = {}

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        for key, value, _, _ in messages:
            assert (topic, partition) == (STATES.topic, LANE_OF(key.decode()))
            self.records.append(value)
            self.last[key] = orjson.loads(value)


@pytest.fixture
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


def follower(pool: asyncpg.Pool, log: Log, topic: Topic) -> Follower:
    marks = PostgresMarks(pool, STATES.topic)
    return Follower(STATES, "inventory", log, marks, topic, LANE_OF, clock=lambda: NOON)


async def commit(log: PostgresLog, seq: int, quantity: int) -> Writes:
    """The `seq`th receipt of the lane, of so many units."""
    part = EMPTY_SKU
    for _ in range(seq):
        event = received(part, ReceiveStock(sku="TEA", node="LON", quantity=quantity))
        part = evolve_sku(part, event)
    writes = Writes()
    payload = event.model_dump_json(exclude_none=True).encode()
    context = dict.fromkeys(("actor", "reason", "causationid", "correlationid", "traceparent"), "")
    where = (event.TYPE, event.VERSION, payload, context, NOON, NOON)
    id_ = (await log._fetch("SELECT gen_random_uuid() AS id"))[0]["id"]
    writes.rows.append(LogRow(LANE, "decided", seq, id_, "acme", "sku/TEA", seq, *where))
    writes.parts[KEY] = (LANE, Snapshot(seq, dump_part(part)))
    async with log.batch() as batch:
        await batch.write(writes)
    return writes


async def settle(telling: Follower) -> None:
    while await telling.turn():
        pass
    await telling.mark()


async def test_what_is_committed_is_told_and_who_comes_later_begins_behind_it(pool: asyncpg.Pool) -> None:
    log, topic = PostgresLog(pool, STAGE), Topic()
    await log.claim([LANE])
    first = follower(pool, log, topic)
    await first.own([LANE])
    await settle(first)
    first.committed(await commit(log, 1, 5))
    first.committed(await commit(log, 2, 5))
    await settle(first)
    assert len(topic.records) == 1, "two changes before a look are one record"
    assert topic.last[KEY.encode()]["available"] == 10
    await settle(first)
    await commit(log, 3, 5)  # and it died before it was told
    second = follower(pool, log, topic)
    await second.own([LANE])
    await settle(second)
    assert topic.last[KEY.encode()] | {"available": 15, "version": 3} == topic.last[KEY.encode()]
    assert len(topic.records) == 2
    third = follower(pool, log, topic)
    await third.own([LANE])
    await settle(third)
    assert len(topic.records) == 2, "what is settled is not told again"


async def test_what_was_written_before_another_process_wrote_is_not_the_last_word(pool: asyncpg.Pool) -> None:
    log, topic = PostgresLog(pool, STAGE), Topic()
    await log.claim([LANE])
    late, quick = follower(pool, log, topic), follower(pool, log, topic)
    late.committed(await commit(log, 1, 5))
    quick.committed(await commit(log, 2, 5))
    await settle(quick)
    assert topic.last[KEY.encode()]["available"] == 10
    await settle(late)
    assert topic.last[KEY.encode()]["available"] == 10
    assert topic.last[KEY.encode()]["version"] == 2


async def test_a_bundle_is_told_with_each_of_its_parts_and_as_often_as_these_change(
    pool: asyncpg.Pool,
) -> None:
    log, topic, spec = PostgresLog(pool, STAGE), Topic(), boxes(MUG=5, TEA=9)
    await log.claim(range(4))
    telling = follower(pool, log, topic)
    await telling.own(range(4))
    for version, change in enumerate((None, accepted("o1", ("TEA", 8)), RemoveBundle(sku="BOX")), 1):
        writes, before = Writes(), dict(spec.parts)
        if change is not None:
            spec.heard(change)
        for stream, part in spec.parts.items():
            if stream.startswith("sku/") and (version == 1 or part != before[stream]):
                key = f"acme/{stream}"
                writes.parts[key] = (LANE_OF(key), Snapshot(version, dump_part(part)))
        async with log.batch() as batch:
            await batch.write(writes)
        telling.committed(writes)
        await settle(telling)
        assert topic.last[b"acme/sku/BOX"]["available"] == (2, 1, 0)[version - 1]
    assert len(topic.records) == 3 + 2 + 3, "mugs, teas and the box; teas and the box; all three"
    assert topic.last[b"acme/sku/TEA"]["available"] == 1


async def test_a_mark_never_moves_back_and_a_timer_that_is_due_stays(pool: asyncpg.Pool) -> None:
    marks = PostgresMarks(pool, "a.topic")
    assert await marks.followed([0, 1]) == {}
    await marks.mark({0: 7, 1: 3})
    await marks.mark({0: 5})
    assert await marks.followed([0, 1, 2]) == {0: 7, 1: 3}
    log = PostgresLog(pool, STAGE)
    for later in (0, 60):
        await marks.remind([TimerRow(LANE, KEY, "level", NOON + timedelta(seconds=later))])
    assert [timer.due_at for timer in await log.due([LANE], NOON, 10)] == [NOON]
