"""The log's promises, held by the memory and the PostgreSQL implementation alike."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid5

import asyncpg
import pytest

from libs.runtime.log import (
    READ_BYTES_MAX,
    Anchor,
    EffectRow,
    Fenced,
    Handled,
    Log,
    LogRow,
    Mark,
    Origin,
    Parked,
    Snapshot,
    TimerRow,
    Writes,
)
from libs.runtime.memory_log import MemoryLog
from libs.runtime.postgres_log import PostgresLog
from libs.runtime.refusals import reused_id
from tests.log.conftest import postgres_log

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
IDS = UUID("5a1f7a52-0c63-5b4e-8a3d-7c1f0c2f7e11")


async def anchors(log: Log) -> list[Anchor]:
    """All that were written down."""
    if isinstance(log, MemoryLog):
        return list(log.anchors.values())
    assert isinstance(log, PostgresLog)
    found = await log._fetch("SELECT lane, seq, head, at FROM anchor")
    return [Anchor(*row) for row in found]


def row(seq: int, lane: int = 0, origin: Origin = "decided", version: int | None = None) -> LogRow:
    context = {
        "actor": "a",
        "reason": "",
        "causationid": str(IDS),
        "correlationid": str(IDS),
        "traceparent": "",
    }
    return LogRow(
        lane,
        origin,
        seq,
        uuid5(IDS, f"{lane}/{origin}/{seq}"),
        "acme",
        f"o-{lane}-{origin}",
        version or seq,
        "oms.intake.order_closed",
        1,
        b'{"order_id":"o-1","outcome":"lost"}',
        context,
        NOON,
        NOON,
    )


async def write(log: Log, writes: Writes, epochs: dict[int, int]) -> None:
    async with log.batch() as batch:
        await batch.lanes(epochs)
        await batch.write(writes)


async def test_rows_come_back_in_order_and_advance_their_lane(log: Log) -> None:
    epochs = await log.claim([0, 1])
    await write(log, Writes(rows=[row(1), row(2), row(1, lane=1), row(1, origin="heard")]), epochs)
    assert [found.seq for found in await log.unpublished(0, 0, 10)] == [1, 2]
    assert await log.unpublished(0, 1, 10) == [row(2)]
    async with log.batch() as batch:
        lanes = await batch.lanes(epochs)
    assert (lanes[0].next_decided, lanes[0].next_heard, lanes[1].next_decided) == (3, 2, 2)


async def test_large_rows_are_read_few_at_a_time_and_one_at_least(log: Log) -> None:
    epochs, chance = await log.claim([0]), Random(7)
    thirds = (1, 1, 1, 1, 4, 0, 1)
    # What is by chance cannot be packed.
    texts = [chance.randbytes(third * READ_BYTES_MAX // 6).hex() for third in thirds]
    written = [replace(row(seq), payload=f'"{text}"'.encode()) for seq, text in enumerate(texts, 1)]
    await write(log, Writes(rows=written), epochs)
    found, at_once = list[LogRow](), list[int]()
    while rows := await log.unpublished(0, len(found), 100):
        found += rows
        at_once.append(len(rows))
    assert found == written
    assert at_once == [2, 2, 1, 2]


async def test_the_first_event_of_a_stream_is_found_by_its_type(log: Log) -> None:
    epochs = await log.claim([0, 1])
    await write(log, Writes(rows=[row(1), row(2), row(1, lane=1)]), epochs)
    closed = ["oms.intake.order_held", "oms.intake.order_closed"]
    assert await log.first("acme", "o-0-decided", closed) == row(1)
    assert await log.first("acme", "o-0-decided", ["oms.intake.order_held"]) is None
    assert await log.first("other", "o-0-decided", closed) is None


async def test_an_offset_moves_only_from_where_its_owner_left_it(log: Log) -> None:
    place = ("oms.intake.commands", 0)
    assert await log.offsets([place]) == {place: 0}
    epochs = await log.claim([0])
    await write(log, Writes(offsets={place: (0, 7)}), epochs)
    with pytest.raises(Fenced):
        await write(log, Writes(offsets={place: (0, 5)}, rows=[row(1)]), epochs)
    assert await log.offsets([place]) == {place: 7}
    assert await log.unpublished(0, 0, 10) == []


async def test_a_former_owner_is_fenced(log: Log) -> None:
    zombie = await log.claim([0])
    owner = await log.claim([0])
    with pytest.raises(Fenced):
        await write(log, Writes(rows=[row(1)]), zombie)
    await write(log, Writes(rows=[row(1)]), owner)
    assert len(await log.unpublished(0, 0, 10)) == 1


async def test_an_exception_writes_nothing(log: Log) -> None:
    epochs = await log.claim([0])

    async def crash_after_writing() -> None:
        async with log.batch() as batch:
            await batch.lanes(epochs)
            await batch.write(Writes(rows=[row(1)], parts={"acme/o": (0, Snapshot(1, b'{"a":1}'))}))
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        await crash_after_writing()
    assert await log.unpublished(0, 0, 10) == []
    assert await log.snapshots(["acme/o"]) == {}


async def test_two_writers_do_not_interleave_in_a_lane(log: Log) -> None:
    epochs = await log.claim([0])

    async def append(times: int) -> None:
        for _ in range(times):
            async with log.batch() as batch:
                lane = (await batch.lanes(epochs))[0]
                await asyncio.sleep(0)
                rows = [row(lane.next_decided), row(lane.next_decided + 1)]
                await batch.write(Writes(rows=rows))

    await asyncio.gather(append(10), append(10))
    assert [found.seq for found in await log.unpublished(0, 0, 100)] == list(range(1, 41))


async def test_parts_are_created_locked_and_saved(log: Log) -> None:
    epochs = await log.claim([0])
    async with log.batch() as batch:
        await batch.lanes(epochs)
        found = await batch.load(["acme/sku/b", "acme/sku/a"], lock=True)
        assert found == {"acme/sku/a": Snapshot(0, b""), "acme/sku/b": Snapshot(0, b"")}
        await batch.write(Writes(parts={"acme/sku/a": (0, Snapshot(3, b'{"on_hand":{}}'))}))
    async with log.batch() as batch:
        assert await batch.load(["acme/sku/a", "acme/x"], lock=False) == {
            "acme/sku/a": Snapshot(3, b'{"on_hand":{}}')
        }
    assert await log.snapshots(["acme/sku/a", "acme/x"]) == {"acme/sku/a": Snapshot(3, b'{"on_hand":{}}')}


async def test_a_command_is_known_by_its_id_within_its_tenant(log: Log) -> None:
    epochs = await log.claim([0])
    done = Handled("acme", IDS, b"digest", 0, 1, 2)
    await write(log, Writes(rows=[row(1), row(2)], handled=[done]), epochs)
    async with log.batch() as batch:
        assert await batch.handled([("acme", IDS), ("other", IDS)]) == {("acme", IDS): b"digest"}
    assert [found.seq for found in await log.answer("acme", IDS) or []] == [1, 2]
    assert await log.answer("other", IDS) is None


async def test_another_command_under_an_id_has_an_answer_of_its_own(log: Log) -> None:
    epochs = await log.claim([0])
    first, other = Handled("acme", IDS, b"digest", 0, 1, 1), reused_id(IDS, b"another")
    await write(log, Writes(rows=[row(1)], handled=[first]), epochs)
    assert await log.answer("acme", IDS, b"another") is None
    refused = Handled("acme", other, b"another", 0, 2, 1)
    await write(log, Writes(rows=[row(2)], handled=[refused]), epochs)
    assert [found.seq for found in await log.answer("acme", IDS, b"another") or []] == [2]
    assert [found.seq for found in await log.answer("acme", IDS, b"digest") or []] == [1]


async def test_a_command_id_decided_in_another_lane_meanwhile_rolls_back(
    migrated_dsn: Callable[[str], str],
) -> None:
    pool, log = await postgres_log(migrated_dsn("intake"))
    epochs = await log.claim([0, 1])
    await write(log, Writes(rows=[row(1)], handled=[Handled("acme", IDS, b"digest", 0, 1, 1)]), epochs)
    late = Writes(rows=[row(1, lane=1)], handled=[Handled("acme", IDS, b"digest", 1, 1, 1)])
    with pytest.raises(Fenced):
        await write(log, late, epochs)
    assert await log.unpublished(1, 0, 10) == []
    await pool.close()


async def test_high_water_and_published_cursors_only_rise(log: Log) -> None:
    epochs = await log.claim([0])
    await write(log, Writes(high_water={("orderlog/intake", 0): 5}), epochs)
    async with log.batch() as batch:
        assert await batch.heard([0, 1]) == ({("orderlog/intake", 0): 5}, {})
    await log.mark_published({0: Mark(9)})
    await log.mark_published({0: Mark(4)})
    assert await log.published([0, 1]) == {0: Mark(9), 1: Mark(0)}


async def test_a_head_stays_with_its_sequence_whoever_marks_last(log: Log) -> None:
    """Two owners for a while, and a process that knows no chain: as after an upgrade or a rebuild."""
    await log.mark_published({0: Mark(9), 1: Mark(3, 3, b"three")})
    assert await log.published([0, 1]) == {0: Mark(9), 1: Mark(3, 3, b"three")}
    await log.mark_published({0: Mark(9, 4, b"four"), 1: Mark(5)})
    assert await log.published([0, 1]) == {0: Mark(9, 4, b"four"), 1: Mark(5, 3, b"three")}
    await log.mark_published({0: Mark(12, 2, b"two"), 1: Mark(4, 4, b"four")})
    assert await log.published([0, 1]) == {0: Mark(12, 4, b"four"), 1: Mark(5, 4, b"four")}


async def test_nothing_to_mark_or_anchor_is_nothing_to_do(log: Log) -> None:
    """A process that stops after all was marked."""
    await log.mark_published({})
    await log.anchor([])
    assert await log.published([0]) == {0: Mark(0)}
    assert await anchors(log) == []


async def test_an_anchor_is_written_once(log: Log) -> None:
    first = Anchor(0, 7, b"seven", NOON)
    await log.anchor([first, Anchor(1, 7, b"other", NOON)])
    await log.anchor([replace(first, head=b"changed"), Anchor(0, 9, b"nine", NOON)])
    found = {(one.lane, one.seq): one.head for one in await anchors(log)}
    assert found == {(0, 7): b"seven", (0, 9): b"nine", (1, 7): b"other"}


async def test_anchors_are_read_one_after_the_other(log: Log) -> None:
    seven, nine = Anchor(0, 7, b"seven", NOON), Anchor(0, 9, b"nine", NOON)
    await log.anchor([nine, seven, Anchor(1, 8, b"other", NOON)])
    assert await log.next_anchor(0, 0) == seven
    assert await log.next_anchor(0, 7) == nine
    assert await log.next_anchor(0, 9) is None
    assert await log.next_anchor(2, 0) is None


async def test_timers_ring_when_due_and_once_per_name(log: Log) -> None:
    epochs = await log.claim([0])
    first = TimerRow(0, "acme/o-1", "claims", NOON)
    moved = TimerRow(0, "acme/o-1", "claims", NOON + timedelta(minutes=5))
    await write(log, Writes(timers={("acme/o-1", "claims"): first}), epochs)
    await write(log, Writes(timers={("acme/o-1", "claims"): moved}), epochs)
    assert await log.due([0], NOON + timedelta(minutes=4), 10) == []
    assert await log.next_due([0]) == NOON + timedelta(minutes=5)
    assert await log.due([0], NOON + timedelta(minutes=5), 10) == [moved]
    assert await log.due([1], NOON + timedelta(hours=1), 10) == []
    await write(log, Writes(timers_done=[moved]), epochs)
    assert await log.due([0], NOON + timedelta(hours=1), 10) == []


async def test_a_timer_that_is_gone_is_not_rung_again(log: Log) -> None:
    """Its ring was committed, and whoever rings it again was not told; what rings with it is rung later."""
    epochs = await log.claim([0])
    rung, due = (TimerRow(0, f"acme/o-{n}", "claims", NOON) for n in (1, 2))
    await write(log, Writes(timers={(due.key, due.name): due, (rung.key, rung.name): rung}), epochs)
    await write(log, Writes(timers_done=[rung], rows=[row(1)]), epochs)
    with pytest.raises(Fenced, match="timer"):
        await write(log, Writes(timers_done=[rung, due], rows=[row(2)]), epochs)
    assert await log.due([0], NOON, 10) == [due]
    assert await log.unpublished(0, 0, 10) == [row(1)]


async def test_a_timer_that_was_moved_while_it_rang_stays(log: Log) -> None:
    """Who moved it may tell of what the ring has not seen; what rings with it is gone."""
    epochs = await log.claim([0])
    first, other = TimerRow(0, "acme/o-1", "claims", NOON), TimerRow(0, "acme/o-2", "claims", NOON)
    moved = replace(first, due_at=NOON + timedelta(minutes=5))
    for timer in (first, other, moved):
        await write(log, Writes(timers={(timer.key, timer.name): timer}), epochs)
    await write(log, Writes(timers_done=[first, other], rows=[row(1)]), epochs)
    assert await log.due([0], NOON + timedelta(hours=1), 10) == [moved]
    assert await log.unpublished(0, 0, 10) == [row(1)]


async def test_a_timer_is_put_off_unless_it_was_moved_since_it_was_read(log: Log) -> None:
    epochs = await log.claim([0])
    first, later = TimerRow(0, "acme/o-1", "claims", NOON), NOON + timedelta(minutes=1)
    await write(log, Writes(timers={(first.key, first.name): first}), epochs)
    await log.postpone_timer(first, later)
    assert await log.next_due([0]) == later
    moved = replace(first, due_at=NOON + timedelta(minutes=5))
    await write(log, Writes(timers={(first.key, first.name): moved}), epochs)
    await log.postpone_timer(replace(first, due_at=later), NOON + timedelta(minutes=2))
    assert await log.next_due([0]) == moved.due_at
    await write(log, Writes(timers_done=[moved]), epochs)
    await log.postpone_timer(moved, later)
    assert await log.next_due([0]) is None


async def test_a_timer_that_its_own_ring_asks_for_again_stays(log: Log) -> None:
    epochs = await log.claim([0])
    timer = TimerRow(0, "acme/o-1", "claims", NOON)
    asked = {(timer.key, timer.name): timer}
    await write(log, Writes(timers=asked), epochs)
    await write(log, Writes(timers_done=[timer], timers=asked), epochs)
    assert await log.due([0], NOON, 10) == [timer]


async def test_an_effect_is_claimed_once_per_lease_until_settled(log: Log) -> None:
    epochs = await log.claim([0])
    await write(log, Writes(owed={"m-1": EffectRow(0, "m-1", "acme/o-1")}), epochs)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    assert await log.claim_effects([0], soon, 60, 10) == [EffectRow(0, "m-1", "acme/o-1", 1)]
    assert await log.claim_effects([0], soon + timedelta(seconds=59), 60, 10) == []
    again = await log.claim_effects([0], soon + timedelta(seconds=61), 60, 10)
    assert [effect.attempts for effect in again] == [2]
    await write(log, Writes(settled={"m-1"}), epochs)
    assert await log.claim_effects([0], soon + timedelta(hours=1), 60, 10) == []


async def test_effects_of_a_stream_are_claimed_in_the_order_in_which_they_were_decided(log: Log) -> None:
    """None while an earlier one is put off, or claimed; another stream's are not held up."""
    epochs, now = await log.claim([0]), datetime.now(UTC) + timedelta(seconds=1)

    async def owe(key: str, *ids: str) -> None:
        await write(log, Writes(owed={id_: EffectRow(0, id_, key) for id_ in ids}), epochs)

    async def claimed(seconds: float, limit: int = 10) -> list[str]:
        found = await log.claim_effects([0], now + timedelta(seconds=seconds), 60, limit)
        return [effect.effect_id for effect in found]

    await owe("acme/o-1", "m-9", "m-3")
    await owe("acme/o-2", "m-4")
    await owe("acme/o-1", "m-2")
    assert await claimed(0, limit=1) == ["m-9"]
    assert await claimed(1) == ["m-4"]
    await log.postpone_effect("m-9", now + timedelta(seconds=1))
    assert await claimed(1, limit=1) == ["m-9"], "although the others were due before"
    await log.postpone_effect("m-9", now + timedelta(seconds=4), with_later=True)
    assert await claimed(3) == []
    assert await claimed(5) == ["m-9", "m-3", "m-2"]
    await log.postpone_effect("m-9", now + timedelta(hours=1), with_later=True)
    await owe("acme/o-1", "m-1")
    await owe("acme/o-2", "m-0")
    await write(log, Writes(settled={"m-4"}), epochs)
    assert await claimed(10, limit=1) == ["m-0"], "many that wait for others are no obstacle"
    assert await claimed(3599) == ["m-0"]
    assert await claimed(3600) == ["m-9", "m-3", "m-2", "m-1"]
    await log.postpone_effect("m-9", now + timedelta(hours=9))
    await write(log, Writes(settled={"m-3"}), epochs)
    assert await claimed(3700) == ["m-0"]
    await write(log, Writes(settled={"m-9", "m-0"}), epochs)
    assert await claimed(9 * 3600, limit=1) == ["m-2"]
    assert await claimed(9 * 3600 + 1) == []
    await write(log, Writes(settled={"m-2"}), epochs)
    assert await claimed(9 * 3600 + 2) == ["m-1"], "due soon after what was under way is done"


def became(row: Parked, state: str) -> dict[int, Parked]:
    """What the lane's owner writes once he has told it."""
    return {row.id: replace(row, state=state, told=row.told + 1, told_seq=row.told_seq or 7)}  # type: ignore[arg-type]


async def test_a_record_that_failed_again_says_why_and_is_not_settled_by_who_read_it_before(log: Log) -> None:
    epochs = await log.claim([0])
    id_ = UUID("0e67af92-6480-5ae4-a3fd-f088c735a90f")
    head = Parked(0, "acme/o-1", "t", 0, 3, "queued", "waits", state="queued", record_id=id_)
    await write(log, Writes(parked=[replace(head, told=1, told_seq=4)]), epochs)
    (read,) = await log.replaying([0], 9)
    assert (read.record_id, read.told, read.told_seq) == (id_, 1, 4)
    again = became(replace(read, code="failed", reason="it broke"), "parked")
    await write(log, Writes(unparked=again), epochs)
    assert isinstance(log, MemoryLog | PostgresLog)
    (row,) = await log.parked(open_only=True, limit=9)
    assert (row.state, row.code, row.reason, row.told, row.told_seq) == ("parked", "failed", "it broke", 2, 4)
    await log.resolve_parked(row.key, replay=False, actor="ann", note="")
    with pytest.raises(Fenced, match="discarded"):
        await write(log, Writes(unparked=became(read, "replayed")), epochs)


async def test_a_parked_key_is_replayed_in_order_or_its_head_discarded(log: Log) -> None:
    epochs = await log.claim([0])
    head = Parked(0, "acme/o-1", "t", 0, 3, "malformed", "no JSON")
    behind = Parked(0, "acme/o-1", "t", 0, 4, "queued", "waits", state="queued")
    await write(log, Writes(parked=[head, behind]), epochs)
    assert await log.replaying([0], 10) == []
    async with log.batch() as batch:
        assert (await batch.heard([0]))[1] == {"acme/o-1": 2}
    assert isinstance(log, MemoryLog | PostgresLog)
    assert await log.resolve_parked("acme/o-1", replay=False, actor="ann", note="broken") == 2
    first, second = await log.replaying([0], 10)
    assert (first.offset, first.state, first.decided_by, first.note) == (3, "discarding", "ann", "broken")
    assert (second.offset, second.state, second.decided_by, second.note) == (4, "queued", "", "")
    await write(log, Writes(unparked=became(first, "discarded")), epochs)
    async with log.batch() as batch:
        assert (await batch.heard([0]))[1] == {"acme/o-1": 1}
    await write(log, Writes(unparked=became(second, "replayed")), epochs)
    async with log.batch() as batch:
        assert (await batch.heard([0]))[1] == {}
    assert await log.resolve_parked("acme/o-1", replay=True, actor="ann", note="") == 0


async def test_a_parked_record_is_replayed_once_and_not_after_it_was_discarded(log: Log) -> None:
    epochs = await log.claim([0])
    for state in ("replayed", "discarded"):
        await write(log, Writes(parked=[Parked(0, "acme/o-1", "t", 0, 3, "failed", "why")]), epochs)
        assert isinstance(log, MemoryLog | PostgresLog)
        (row,) = await log.parked(open_only=True, limit=9)
        await log.resolve_parked(row.key, replay=state == "replayed", actor="ann", note="")
        (row,) = await log.replaying([0], 9)
        await write(log, Writes(unparked=became(row, state)), epochs)
        with pytest.raises(Fenced, match="replayed"):
            await write(log, Writes(unparked=became(row, "replayed")), epochs)
        assert [found.state for found in await log.parked(open_only=False, limit=9)][-1] == state


async def test_parked_records_are_told_by_tenant(log: Log) -> None:
    theirs = Parked(0, "globex/o-1", "t", 0, 3, "failed", "why", "globex")
    await write(
        log, Writes(parked=[theirs, replace(theirs, key="acme/o-1", tenant="acme")]), await log.claim([0])
    )
    assert isinstance(log, MemoryLog | PostgresLog)
    assert [row.key for row in await log.parked(open_only=True, limit=1, tenant="acme")] == ["acme/o-1"]
    assert len(await log.parked(open_only=False, limit=9)) == 2


async def test_the_log_table_refuses_changes(migrated_dsn: Callable[[str], str]) -> None:
    pool, log = await postgres_log(migrated_dsn("intake"))
    await write(log, Writes(rows=[row(1)]), await log.claim([0]))
    await log.anchor([Anchor(0, 1, b"head", NOON)])
    changes = ("UPDATE log SET type = 'x'", "DELETE FROM log", "TRUNCATE log")
    for statement in (*changes, "UPDATE anchor SET head = ''", "DELETE FROM anchor", "TRUNCATE anchor"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await pool.execute(statement)
    await pool.close()
