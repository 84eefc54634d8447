"""The log in memory, beneath flow tests and the simulator; it passes the same suite as PostgreSQL's.

A batch's writes are applied at once when its block ends without an exception, and one batch runs at a time,
as if every row were locked.
"""

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from uuid import UUID

from libs.runtime.log import (
    READ_BYTES_MAX,
    WAITING,
    Anchor,
    EffectRow,
    Fenced,
    Handled,
    Lane,
    LogRow,
    Mark,
    Overtaken,
    Parked,
    Snapshot,
    Sums,
    TimerRow,
    TopicPartition,
    Writes,
    commit_in_steps,
)
from libs.runtime.refusals import reused_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNDER_WAY = ("queued", "replaying", "discarding")


class MemoryLog:
    """`libs.runtime.log.Log` of one stage, for one event loop."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, str], list[LogRow]] = {}
        self.parts: dict[str, Snapshot] = {}
        self.timers: dict[tuple[str, str], TimerRow] = {}
        self.effects: dict[str, tuple[EffectRow, datetime]] = {}
        self.parked_rows: list[Parked] = []
        self.table_rows: dict[str, list[tuple[object, ...]]] = {}
        self.table_sums: Sums = {}
        self._epochs: dict[int, int] = {}
        self._offsets: dict[TopicPartition, int] = {}
        self.marks: dict[int, Mark] = {}
        self.anchors: dict[tuple[int, int], Anchor] = {}
        self._high_water: dict[tuple[str, int], int] = {}
        self._handled: dict[tuple[str, UUID], Handled] = {}
        self._one_at_a_time = asyncio.Lock()

    @property
    def consumed(self) -> Mapping[TopicPartition, int]:
        """Where to read on, by partition ever read."""
        return self._offsets

    @asynccontextmanager
    async def batch(self) -> AsyncIterator["MemoryBatch"]:
        async with self._one_at_a_time:
            open_batch = MemoryBatch(self)
            yield open_batch
            for writes in open_batch.written:
                self._apply(writes)

    async def look(
        self, keys: Sequence[str], known: Mapping[str, int], ids: Sequence[tuple[str, UUID]]
    ) -> tuple[dict[str, Snapshot], dict[tuple[str, UUID], bytes]]:
        return await self.snapshots(keys, known), self.decided(ids)

    def decided(self, ids: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], bytes]:
        """Digests of those commands that were decided before."""
        return {id_: self._handled[id_].digest for id_ in ids if id_ in self._handled}

    async def commit(self, writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]) -> None:
        await commit_in_steps(self, writes, lanes, assumed)

    async def claim(self, lanes: Sequence[int]) -> dict[int, int]:
        async with self._one_at_a_time:
            for lane in lanes:
                self._epochs[lane] = self._epochs.get(lane, 0) + 1
            return {lane: self._epochs[lane] for lane in lanes}

    async def offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._offsets.setdefault(partition, 0) for partition in partitions}

    async def published(self, lanes: Sequence[int]) -> dict[int, Mark]:
        return {lane: self.marks.get(lane, Mark(0)) for lane in lanes}

    async def unpublished(self, lane: int, after: int, limit: int) -> list[LogRow]:
        found = self.rows.get((lane, "decided"), [])[after : after + limit]
        sizes = list(accumulate(len(row.payload) for row in found))
        return found[: max(1, bisect_right(sizes, READ_BYTES_MAX))]

    async def mark_published(self, marks: Mapping[int, Mark]) -> None:
        for lane, mark in marks.items():
            before = self.marks.get(lane, Mark(0))
            chain = max(before, mark, key=lambda one: one.chained)
            self.marks[lane] = Mark(max(before.published, mark.published), chain.chained, chain.head)

    async def anchor(self, anchors: Sequence[Anchor]) -> None:
        for anchor in anchors:
            self.anchors.setdefault((anchor.lane, anchor.seq), anchor)

    async def next_anchor(self, lane: int, after: int) -> Anchor | None:
        found = [one for one in self.anchors.values() if one.lane == lane and one.seq > after]
        return min(found, key=lambda one: one.seq, default=None)

    async def due(self, lanes: Sequence[int], now: datetime, limit: int) -> list[TimerRow]:
        due = [timer for timer in self.timers.values() if timer.lane in lanes and timer.due_at <= now]
        return sorted(due, key=lambda timer: (timer.due_at, timer.key, timer.name))[:limit]

    async def next_due(self, lanes: Sequence[int]) -> datetime | None:
        dues = (timer.due_at for timer in self.timers.values() if timer.lane in lanes)
        return min(dues, default=None)

    async def postpone_timer(self, timer: TimerRow, until: datetime) -> None:
        if self.timers.get((timer.key, timer.name)) == timer:
            self.timers[timer.key, timer.name] = replace(timer, due_at=until)

    async def replaying(self, lanes: Sequence[int], limit: int) -> list[Parked]:
        stuck: set[str] = set()
        found = []
        for row in self.parked_rows:
            if row.state == "parked":
                stuck.add(row.key)
            elif row.lane in lanes and row.state in _UNDER_WAY and row.key not in stuck:
                found.append(row)
        return found[:limit]

    async def answer(self, tenant: str, command_id: UUID, digest: bytes = b"") -> list[LogRow] | None:
        found = self._handled.get((tenant, command_id))
        if found is not None and digest and found.digest != digest:
            found = self._handled.get((tenant, reused_id(command_id, digest)))
        if found is None:
            return None
        first = found.first_seq - 1
        return self.rows.get((found.lane, "decided"), [])[first : first + found.rows]

    async def first(self, tenant: str, stream: str, types: Sequence[str]) -> LogRow | None:
        found = [
            row
            for rows in self.rows.values()
            for row in rows
            if (row.tenant, row.stream) == (tenant, stream) and row.type in types
        ]
        return min(found, key=lambda row: row.stream_version, default=None)

    async def snapshots(
        self, keys: Sequence[str], known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        found = {key: self.parts[key] for key in keys if key in self.parts}
        same = [
            key for key, version in (known or {}).items() if key in found and found[key].version == version
        ]
        return found | {key: Snapshot(found[key].version, None) for key in same}

    async def claim_effects(
        self, lanes: Sequence[int], now: datetime, lease_seconds: float, limit: int
    ) -> list[EffectRow]:
        due, waited_for = list[EffectRow](), set[str]()
        for effect, at in self.effects.values():  # as they were decided
            if at > now:
                waited_for.add(effect.key)
            elif effect.lane in lanes and effect.key not in waited_for:
                due.append(effect)
        due = due[:limit]
        claimed = [replace(effect, attempts=effect.attempts + 1) for effect in due]
        for effect in claimed:
            self.effects[effect.effect_id] = (effect, now + timedelta(seconds=lease_seconds))
        return claimed

    async def postpone_effect(self, effect_id: str, until: datetime, *, with_later: bool = False) -> None:
        if effect_id not in self.effects:
            return
        ids = list(self.effects)
        of_key = [id_ for id_ in ids[ids.index(effect_id) :] if self._same_key(id_, effect_id)]
        for id_ in of_key if with_later else of_key[:1]:
            self.effects[id_] = (self.effects[id_][0], until)

    def _same_key(self, one: str, other: str) -> bool:
        return self.effects[one][0].key == self.effects[other][0].key

    async def parked(self, *, open_only: bool, limit: int, tenant: str | None = None) -> list[Parked]:
        """Parked records, oldest first: those that wait, or all; of one tenant, or of everybody."""
        found = [row for row in self.parked_rows if not open_only or row.state in WAITING]
        return [row for row in found if tenant is None or row.tenant == tenant][:limit]

    async def resolve_parked(self, key: str, *, replay: bool, actor: str, note: str) -> int:
        """Have a key's first parked record decided again, or discarded; how many wait under the key."""
        head = next((row for row in self.parked_rows if row.key == key and row.state == "parked"), None)
        if head is None:
            return 0
        asked = replace(head, state="replaying" if replay else "discarding", decided_by=actor, note=note)
        self.parked_rows[head.id - 1] = asked
        return self.waiting_by_key([head.lane])[key]

    def waiting_by_key(self, lanes: Sequence[int]) -> dict[str, int]:
        """How many records wait under each key."""
        return Counter(row.key for row in self.parked_rows if row.lane in lanes and row.state in WAITING)

    def _apply(self, writes: Writes) -> None:
        for partition, (_, following) in writes.offsets.items():
            self._offsets[partition] = following
        for row in writes.rows:
            rows = self.rows.setdefault((row.lane, row.origin), [])
            assert row.seq == len(rows) + 1, f"lane {row.lane} would have a hole at {row.seq}"
            rows.append(row)
        for key, (_, snapshot) in writes.new_parts.items():
            assert key not in self.parts, f"{key} is not new"
            self.parts[key] = snapshot
        for key, (_, snapshot) in writes.parts.items():
            self.parts[key] = snapshot
        self._high_water |= writes.high_water
        for handled in writes.handled:
            assert (handled.tenant, handled.command_id) not in self._handled
            self._handled[handled.tenant, handled.command_id] = handled
        for done in writes.timers_done:
            if (there := self.timers.get((done.key, done.name))) and there.due_at == done.due_at:
                del self.timers[done.key, done.name]
        self.timers |= writes.timers
        for effect_id, effect in writes.owed.items():
            self.effects.setdefault(effect_id, (effect, _EPOCH))
        for effect_id in writes.settled:
            self.effects.pop(effect_id, None)
        for parked in writes.parked:
            self.parked_rows.append(replace(parked, id=len(self.parked_rows) + 1))
        for parked_id, became in writes.unparked.items():
            self.parked_rows[parked_id - 1] = became
        for table, table_rows in writes.table_rows.items():
            self.table_rows.setdefault(table, []).extend(table_rows)
        for table, sums in writes.table_sums.items():
            held = self.table_sums.setdefault(table, {})
            for sum_key, deltas in sums.items():
                before = held.get(sum_key, [0] * len(deltas))
                held[sum_key] = [a + b for a, b in zip(before, deltas, strict=True)]


class MemoryBatch:
    """`libs.runtime.log.Batch` over a MemoryLog."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.written: list[Writes] = []

    async def lanes(self, epochs: Mapping[int, int]) -> dict[int, Lane]:
        found = {}
        for lane, epoch in epochs.items():
            if self._log._epochs.get(lane) != epoch:
                raise Fenced(f"lane {lane} has another owner")
            decided = len(self._log.rows.get((lane, "decided"), [])) + 1
            heard = len(self._log.rows.get((lane, "heard"), [])) + 1
            found[lane] = Lane(epoch, decided, heard)
        return found

    async def heard(self, lanes: Sequence[int]) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
        marks = {place: mark for place, mark in self._log._high_water.items() if place[1] in lanes}
        return marks, dict(self._log.waiting_by_key(lanes))

    async def handled(self, ids: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], bytes]:
        return self._log.decided(ids)

    async def load(
        self, keys: Sequence[str], *, lock: bool, known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        if lock:
            for key in keys:
                self._log.parts.setdefault(key, Snapshot(0, b""))
        held = known or {}
        found = {key: self._log.parts[key] for key in keys if key in self._log.parts}
        return {
            key: Snapshot(stored.version, None) if held.get(key) == stored.version else stored
            for key, stored in found.items()
        }

    async def write(self, writes: Writes) -> None:
        for partition, (expected, _) in writes.offsets.items():
            if self._log._offsets.get(partition, 0) != expected:
                raise Fenced("an offset is not where this owner left it")
        if any((done.key, done.name) not in self._log.timers for done in writes.timers_done):
            raise Fenced("a timer that rang is not there: it was rung before")
        for parked_id, became in writes.unparked.items():
            row = self._log.parked_rows[parked_id - 1]
            if row.state not in _UNDER_WAY or row.told != became.told - 1:
                raise Fenced("a parked record is not to be replayed: it was before, or is discarded")
        if any(key in self._log.parts for key in writes.new_parts):
            raise Overtaken("a stream that is to be new is there")
        self.written.append(writes)
