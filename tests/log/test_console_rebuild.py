"""Rebuilding the read models beside the live ones: exact, and up to where the live ones stand."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from libs.events.catalogue import encode
from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.ids import partition_key
from libs.runtime import wire
from libs.runtime.complaint import Complaint
from libs.runtime.seek import Seek
from libs.runtime.wire import Record
from services.console import projection
from services.console.digest import live_digest
from services.console.follow import Follower, ReadBatch
from services.console.lanes import Done, Ends, Read, fold_in_bulk
from services.console.processes import in_processes
from services.console.rebuild import InBulk, rebuild
from services.console.refold import Refold, Undone, begin, finish
from services.console.store import Projector, TopicPartition
from tests.console_counts import stocktaking
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES, receipts
from tests.console_nodes import NODES
from tests.console_parts import envelopes
from tests.console_promises import cut, dated

__all__ = ["console_dsn", "pool"]

Topics = dict[TopicPartition, list[Record]]


def record(envelope: Envelope[Event], topic: str, offset: int) -> Record:
    """The event as it lies on its topic."""
    key = partition_key(envelope.tenant, envelope.stream).encode()
    return Record(topic, envelope.lane, offset, key, encode(envelope.body), wire.headers(envelope))


@pytest.fixture
def topics() -> Topics:
    """Two lanes of lives, receipts, in one of them nodes and counts, and a record that nobody can read."""
    found: Topics = {}
    for lane in range(2):
        at_work = [cut(dated(f"o-{lane}-at-work-{n}", date(2026, 3, 2)), n) for n in (1, 2, 3)]
        stages = by_stage(*at_work, *(life(f"o-{lane}-{n}") for n, life in enumerate(LIVES.values())))
        stages["inventory"] += envelopes(
            "inventory", receipts(f"o-{lane}-0"), first=len(stages["inventory"]) + 1
        )
        if lane == 0:
            stages["routing"] += envelopes("routing", NODES, first=len(stages["routing"]) + 1)
            counts = envelopes("inventory", stocktaking(), first=len(stages["inventory"]) + 1)
            stages["inventory"] += counts
        for stage, events in stages.items():
            topic = f"oms.{stage}.events"
            found[topic, lane] = [
                record(replace(event, lane=lane), topic, offset) for offset, event in enumerate(events)
            ]
    spoiled = found["oms.routing.events", 1]
    spoiled.append(replace(spoiled[-1], offset=len(spoiled), value=b'{"order_id": 7}\x00'))
    return found


def reading(topics: Topics, size: int = 7) -> Read:
    """The topics as a source for a rebuild, partition by partition."""

    async def read(ends: Mapping[TopicPartition, int]) -> AsyncIterator[Sequence[Record]]:
        for place in sorted(ends, reverse=True):
            for start in range(0, ends[place], size):
                yield topics[place][start : min(start + size, ends[place])]

    return read


@pytest_asyncio.fixture
async def follower(pool: asyncpg.Pool, topics: Topics) -> Follower:
    """The live projector, which has read everything, a record of each topic at a time."""
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    for turn in range(max(map(len, topics.values()))):
        await follower.handle([records[turn] for records in topics.values() if turn < len(records)])
    return follower


async def test_the_rebuilt_tables_say_the_same(
    pool: asyncpg.Pool, topics: Topics, follower: Follower
) -> None:
    seen: list[tuple[int, int]] = []
    rebuilt = await rebuild(pool, reading(topics), progress=lambda done, total: seen.append((done, total)))
    total = sum(map(len, topics.values()))
    assert rebuilt.match
    assert rebuilt.live_digest == rebuilt.rebuilt_digest == await live_digest(pool)
    assert (rebuilt.events, seen[-1]) == (total, (total, total))
    assert await pool.fetchval("SELECT to_regnamespace('rebuild')") is None


@pytest.mark.parametrize("seed", range(3))
async def test_orders_that_do_not_fit_in_memory_are_written_and_read_again(
    pool: asyncpg.Pool, topics: Topics, follower: Follower, seed: int
) -> None:
    await pool.execute("SELECT create_read_models('rebuild')")
    turn, ends = random.Random(seed), dict.fromkeys(topics, 0)
    undone = await begin(pool, "rebuild", logged=bool(seed))
    refolds = [Refold(pool, "rebuild", undone, 100, orders_max=2) for _ in range(2)]
    while ahead := [place for place, end in ends.items() if end < len(topics[place])]:
        place = turn.choice(ahead)
        batch = ReadBatch()
        for one in topics[place][ends[place] : ends[place] + turn.randint(1, 4)]:
            batch.take(one)
        await refolds[place[1]].take(batch.envelopes, batch.unreadable)
        ends[place] += len(batch.records)
    for refold in refolds:
        await refold.close()
    await finish(pool, "rebuild", undone, ends)
    assert await live_digest(pool, "rebuild") == await live_digest(pool)
    assert await shape(pool, "rebuild") == await shape(pool, "live"), "keys, indexes and policies are back"
    assert await Projector(pool, "rebuild").positions(topics) == follower.positions()


def in_forks(
    console_dsn: str, topics: Topics, broken: Mapping[int, Callable[[], object]] | None = None
) -> InBulk:
    """Each lane in a process of its own; a lane that is `broken` does that after its first batch."""

    async def in_bulk(schema: str, undone: Undone, ends: Ends, done: Done) -> None:
        async def share(part: Ends, done: Done) -> None:
            [lane] = {partition for _, partition in part}

            def and_then(more: int) -> None:
                done(more)
                if broken and lane in broken:
                    broken[lane]()

            async with asyncpg.create_pool(console_dsn, min_size=1, max_size=1) as own:
                await fold_in_bulk(own, schema, undone, reading(topics), part, and_then)

        lanes = sorted({lane for _, lane in ends})
        await in_processes(
            share, [{place: end for place, end in ends.items() if place[1] == lane} for lane in lanes], done
        )

    return in_bulk


async def test_lanes_fold_side_by_side_in_processes(
    pool: asyncpg.Pool, console_dsn: str, topics: Topics, follower: Follower
) -> None:
    seen: list[tuple[int, int]] = []
    rebuilt = await rebuild(
        pool,
        reading(topics),
        in_bulk=in_forks(console_dsn, topics),
        swap=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    total = sum(map(len, topics.values()))
    assert rebuilt.match
    assert (rebuilt.events, seen[-1]) == (total, (total, total))
    assert await live_digest(pool) == rebuilt.live_digest
    unlogged = """SELECT count(*) FROM pg_class
        WHERE relpersistence <> 'p' AND relnamespace = 'live'::regnamespace"""
    assert await pool.fetchval(unlogged) == 0, "tables that are swapped in outlive a crash of the server"


async def test_what_stops_one_process_stops_the_rebuild(
    pool: asyncpg.Pool, console_dsn: str, topics: Topics, follower: Follower
) -> None:
    def complain() -> None:
        raise Complaint("Kafka went away.", "Start it.")

    for broken, told in ((complain, "Kafka went away. Start it."), (lambda: os._exit(9), "was killed")):
        with pytest.raises(Complaint, match=told):
            await rebuild(pool, reading(topics), in_bulk=in_forks(console_dsn, topics, {0: broken}))


async def test_an_order_in_two_lanes_is_rebuilt_as_the_live_tables_were(
    pool: asyncpg.Pool, console_dsn: str, topics: Topics
) -> None:
    here, there = ("oms.returns.events", 0), ("oms.returns.events", 1)
    strays = [one for one in topics[here] if one.key and b"o-0-" in one.key]
    assert strays
    topics[here] = []
    for one in strays:
        headers = [(name, b"1" if name == "ce_lane" else value) for name, value in one.headers]
        headers = [(name, b"orderlog/elsewhere" if name == "ce_source" else value) for name, value in headers]
        # Their places in the timeline must not be those of the lane's own.
        headers = [(name, b"9%s" % value if name == "ce_sequence" else value) for name, value in headers]
        topics[there].append(replace(one, partition=1, offset=len(topics[there]), headers=headers))
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    for records in topics.values():
        await follower.handle(records)
    with capture_logs() as told:
        rebuilt = await rebuild(pool, reading(topics), in_bulk=in_forks(console_dsn, topics))
    assert rebuilt.match
    assert any("orders_pkey" in entry.get("why", "") for entry in told)


async def test_two_events_in_one_place_are_rebuilt_as_the_live_tables_were(
    pool: asyncpg.Pool, topics: Topics
) -> None:
    place = ("oms.routing.events", 0)
    doubled = topics[place][0]
    headers = [
        (name, b"orderlog/impostor" if name == "ce_source" else value) for name, value in doubled.headers
    ]
    topics[place].append(replace(doubled, offset=len(topics[place]), headers=headers))
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    for records in topics.values():
        await follower.handle(records)
    async with pool.acquire() as connection, connection.transaction():
        assert await connection.fetchval("SELECT count(*) FROM live.unreadable WHERE code = 'failed'") == 1
    with capture_logs() as told:
        rebuilt = await rebuild(pool, reading(topics))
    assert rebuilt.match
    assert any("timeline_pkey" in entry.get("why", "") for entry in told)


async def shape(pool: asyncpg.Pool, schema: str) -> list[str]:
    rows = await pool.fetch(
        """SELECT replace(indexdef, $1 || '.', '') FROM pg_indexes WHERE schemaname = $1
        UNION ALL SELECT relname || relrowsecurity || relforcerowsecurity FROM pg_class
            WHERE relnamespace = $1::regnamespace AND relkind = 'r'
        UNION ALL SELECT tablename || policyname || roles::text || replace(qual, $1 || '.', '')
            FROM pg_policies WHERE schemaname = $1
        UNION ALL SELECT conname || replace(conrelid::regclass::text, $1 || '.', '') || contype::text
            FROM pg_constraint WHERE connamespace = $1::regnamespace
        ORDER BY 1""",
        schema,
    )
    return [row[0] for row in rows]


async def test_a_rebuild_stops_exactly_where_the_live_tables_stand(
    pool: asyncpg.Pool, topics: Topics
) -> None:
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    for records in topics.values():
        await follower.handle(records[: len(records) // 2])
    rebuilt = await rebuild(pool, reading(topics))
    assert rebuilt.match
    assert rebuilt.events == sum(len(records) // 2 for records in topics.values())


async def test_tables_that_were_tampered_with_do_not_match_and_a_swap_heals_them(
    pool: asyncpg.Pool, topics: Topics, follower: Follower
) -> None:
    true = await live_digest(pool)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL orderlog.projector = 'on'")
        await connection.execute("DELETE FROM live.timeline WHERE sequence = 2 AND stage = 'intake'")
    assert not (await rebuild(pool, reading(topics))).match
    assert await live_digest(pool) != true
    healed = await rebuild(pool, reading(topics), swap=True)
    assert (healed.match, healed.swapped) == (False, True)
    assert await live_digest(pool) == true


async def test_after_a_swap_the_live_projector_trusts_nothing_that_it_kept(
    pool: asyncpg.Pool, topics: Topics
) -> None:
    """The rebuilt tables stand where the live ones stood, so no offset says that they are others."""
    place = ("oms.inventory.events", 0)
    before = Follower(Projector(pool))
    await before.assigned(list(topics))
    await before.handle(topics[place][:2])
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL orderlog.projector = 'on'")
        await connection.execute("UPDATE live.orders SET facts = replace(facts, 'reserved', 'freed')")
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    await follower.handle(topics["oms.intake.events", 0][:1])  # of the same order: reads and keeps it
    assert not (await rebuild(pool, reading(topics), swap=True)).match
    await follower.handle(topics["oms.intake.events", 0][1:2])
    assert (await rebuild(pool, reading(topics))).match


async def test_the_live_projector_goes_on_where_a_swap_left_the_tables(
    pool: asyncpg.Pool, topics: Topics
) -> None:
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    for records in topics.values():
        await follower.handle(records[:2])
    ends: list[Mapping[TopicPartition, int]] = []

    async def read(upto: Mapping[TopicPartition, int]) -> AsyncIterator[Sequence[Record]]:
        ends.append(upto)
        async for records in reading(topics)(upto):
            yield records
        for records in topics.values():  # meanwhile the live projector goes on
            await follower.handle(records[2:3])

    await rebuild(pool, read, swap=True)
    place = ("oms.intake.events", 0)
    with pytest.raises(Seek) as seek:
        await follower.handle(topics[place][3:4])
    assert seek.value.offsets[place] == ends[0][place] == 2
    for place, records in topics.items():
        await follower.handle(records[follower.positions()[place] :])
    assert (await rebuild(pool, reading(topics))).match


async def test_a_record_that_cannot_be_read_is_noted_and_the_others_go_on(
    pool: asyncpg.Pool, topics: Topics, follower: Follower
) -> None:
    [noted] = await pool.fetch("SELECT * FROM live.unreadable")
    assert (noted["topic"], noted["partition"], noted["code"]) == ("oms.routing.events", 1, "malformed")
    assert noted["record_offset"] == len(topics["oms.routing.events", 1]) - 1
    assert "7" not in noted["reason"], "the content is not repeated"


async def test_a_newer_event_halts_its_partition_only(pool: asyncpg.Pool, topics: Topics) -> None:
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    place, other = ("oms.intake.events", 0), ("oms.intake.events", 1)
    first, second, third = topics[place][:3]
    newer = replace(second, headers=[*second.headers, ("ce_typeversion", b"99")])
    await follower.handle([first, newer, third, topics[other][0]])
    assert (follower.positions()[place], follower.positions()[other]) == (1, 1)
    assert list(follower.halted) == [place]
    assert "99" in follower.halted[place]
    await follower.handle([second, topics[other][1]])
    assert (follower.positions()[place], follower.positions()[other]) == (1, 2)


async def test_a_hole_in_what_was_delivered_is_read_again(pool: asyncpg.Pool, topics: Topics) -> None:
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    place = ("oms.intake.events", 0)
    with pytest.raises(Seek) as seek:
        await follower.handle([topics[place][0], topics[place][2]])
    assert seek.value.offsets == dict.fromkeys(topics, 0) | {place: 1}, "nothing else of the poll was taken"
    await follower.handle(topics[place][1:3])
    assert follower.positions()[place] == 3


async def test_topics_that_lost_records_are_complained_about(
    pool: asyncpg.Pool, topics: Topics, follower: Follower
) -> None:
    async def nothing(ends: Mapping[TopicPartition, int]) -> AsyncIterator[Sequence[Record]]:
        for place in list(ends)[:1]:
            yield topics[place][1:]

    with pytest.raises(Complaint, match="offset 0 was expected, 1 came"):
        await rebuild(pool, nothing)


async def test_one_rebuild_at_a_time(pool: asyncpg.Pool, topics: Topics, follower: Follower) -> None:
    running = asyncio.Event()
    go_on = asyncio.Event()

    async def read(ends: Mapping[TopicPartition, int]) -> AsyncIterator[Sequence[Record]]:
        running.set()
        await go_on.wait()
        async for records in reading(topics)(ends):
            yield records

    first = asyncio.create_task(rebuild(pool, read))
    await running.wait()
    with pytest.raises(Complaint, match="Another rebuild"):
        await rebuild(pool, reading(topics))
    go_on.set()
    assert (await first).match


async def test_an_event_that_cannot_be_projected_is_noted_and_stops_no_other(
    pool: asyncpg.Pool, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = projection.fold

    def fails_once_in_a_while(new: Sequence[Envelope[Event]], *more: Any) -> Any:
        if any(event.body.TYPE == "oms.routing.order_routed" for event in new):
            raise RuntimeError("a fault of the fold")
        return fold(new, *more)

    monkeypatch.setattr(projection, "fold", fails_once_in_a_while)
    follower = Follower(Projector(pool))
    await follower.assigned(list(topics))
    with capture_logs() as told_of:
        for records in topics.values():
            await follower.handle(records)
    assert follower.positions() == {place: len(records) for place, records in topics.items()}
    routed = sum(
        dict(record.headers)["ce_type"] == b"oms.routing.order_routed"
        for records in topics.values()
        for record in records
    )
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL orderlog.projector = 'on'")
        noted = await connection.fetchval("SELECT count(*) FROM live.unreadable WHERE code = 'failed'")
        told = await connection.fetchval("SELECT count(*) FROM live.timeline WHERE stage = 'intake'")
    assert noted == routed > 0
    assert sum(entry["event"] == "event could not be projected" for entry in told_of) == routed
    assert told
