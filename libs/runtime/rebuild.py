"""Rebuilds a stage's database beside the live one, from the topics alone, and compares digests.

The live database is read once, in one snapshot: where it stands, and its digest. The topics are then folded
from their beginning up to exactly there, into a database of its own, while the stage goes on.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from libs.runtime import migrate
from libs.runtime.complaint import Complaint
from libs.runtime.digest import database_digest
from libs.runtime.kafka import Lanes
from libs.runtime.log import Log, Mark
from libs.runtime.postgres_log import PostgresLog
from libs.runtime.refold import Missing, Refold
from libs.runtime.replay_order import Causes, LaneOrder, LaneStand, hole, own_context
from libs.runtime.settings import Settings
from libs.runtime.stage import Stage
from libs.runtime.stores import complaints, connect, open_beside, open_topics
from libs.runtime.topic_reader import Read
from libs.runtime.wire import Record

Progress = Callable[[int, int], None]
"""Told events folded and events in all."""

_ROWS_AT_ONCE = 2000
_PARTS_IN_HAND = 20_000
_LOCK = "SELECT pg_try_advisory_lock(hashtext('orderlog rebuild'))"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found. `events` counts the stage's own events."""

    stage: str
    match: bool
    live_digest: str
    rebuilt_digest: str
    events: int
    seconds: float


async def rebuild_stage(
    config: Settings, stage: Stage, *, keep: bool = False, progress: Progress = lambda done, total: None
) -> Rebuilt:
    """Rebuild one stage from Kafka into `orderlog_<stage>_rebuild`, and compare; `keep` leaves that database.

    Complaint: another rebuild of the stage is running; PostgreSQL or Kafka cannot be reached; the topics do
    not hold what the live database was made from, naming the lane and sequence that lacks.
    """
    started = time.monotonic()
    beside = f"{stage.name}_rebuild"
    with complaints(config, stage.name):
        async with AsyncExitStack() as stack:
            live = await connect(config, stage.name)
            stack.push_async_callback(live.close)
            if not await live.fetchval(_LOCK):
                raise Complaint(
                    f"Another rebuild of {stage.name} is running.", "Wait for it, then try again."
                )
            lanes, live_digest = await _live(live, stage)
            await asyncio.to_thread(migrate.create_beside, config, beside, stage.name)
            if not keep:
                stack.push_async_callback(asyncio.to_thread, migrate.drop, config, beside)
            places = [(stage.topic, lane) for lane in lanes]
            places += [(topic, lane) for lane, stand in lanes.items() for topic in stand.offsets]
            reader = await stack.enter_async_context(open_topics(config, places))
            pool = await stack.enter_async_context(open_beside(config, beside))
            events = await replay(
                stage, lanes, reader.read, PostgresLog(pool, stage), Lanes(config.partitions), progress
            )
            async with pool.acquire() as connection, connection.transaction():
                rebuilt_digest = await database_digest(connection, stage)
    seconds = round(time.monotonic() - started, 3)
    return Rebuilt(stage.name, live_digest == rebuilt_digest, live_digest, rebuilt_digest, events, seconds)


async def replay(
    stage: Stage,
    lanes: Mapping[int, LaneStand],
    read: Read,
    log: Log,
    lane_of: Callable[[str], int],
    progress: Progress = lambda done, total: None,
) -> int:
    """Fold the topics, up to where `lanes` stand, into an empty log; how many own events.

    Complaint: the topics have a hole, or hold what does not fit together.
    """
    replaying = _Replay(stage, lanes, read, log, lane_of, progress)
    await log.claim(list(lanes))
    for lane, stand in lanes.items():
        causes = await replaying.causes(lane, stand.last_decided)
        replaying.orders[lane] = LaneOrder(stage, lane, stand, causes)
    return await replaying.run()


@dataclass(slots=True)
class _Replay:
    """One replay under way."""

    stage: Stage
    stands: Mapping[int, LaneStand]
    read: Read
    log: Log
    lane_of: Callable[[str], int]
    progress: Progress
    orders: dict[int, LaneOrder] = field(default_factory=dict)

    async def causes(self, lane: int, last: int) -> Causes:
        """What caused what, from the headers of the lane's own topic."""
        causes, offset = Causes(), 0
        while len(causes) < last:
            for record in await self._records(self.stage.topic, lane, offset):
                offset = record.offset + 1
                found = own_context(self.stage, record)
                if found is None or not len(causes) < found.sequence <= last:
                    continue
                if found.sequence > len(causes) + 1:
                    raise hole(found.source, lane, len(causes) + 1, found.sequence)
                causes.add(found.id, found.causation_id)
        causes.seal()
        return causes

    async def run(self) -> int:
        refold = Refold(self.stage, self.orders.values(), self.lane_of)
        total = sum(stand.last_decided for stand in self.stands.values())
        while not refold.done:
            try:
                hungry = refold.advance(_ROWS_AT_ONCE)
            except Missing as missing:
                await self._load(refold, missing.keys)
                continue
            for topic, lane in sorted(hungry):
                await self._feed(topic, lane)
            if refold.rows >= _ROWS_AT_ONCE or refold.held > _PARTS_IN_HAND:
                await self._write(refold, forget=refold.held > _PARTS_IN_HAND)
                self.progress(sum(order.applied for order in self.orders.values()), total)
            while wanted := refold.wanted():
                await self._load(refold, wanted)
        await self._write(refold, forget=True, last=True)
        self.progress(total, total)
        return total

    async def _feed(self, topic: str, lane: int) -> None:
        order = self.orders[lane]
        for record in await self._records(topic, lane, order.offsets[topic]):
            order.offer(record)

    async def _records(self, topic: str, lane: int, offset: int) -> Sequence[Record]:
        records = await self.read(topic, lane, offset)
        if not records or records[0].offset != offset:
            found = f"{records[0].offset} came" if records else "nothing came"
            raise Complaint(
                f"{topic}/{lane} does not hold what the live database of {self.stage.name} was made from: "
                f"offset {offset} was expected, {found}.",
                "Is the stage up (`orderlog status`)? Was the topic deleted, its retention shortened?",
            )
        return records

    async def _load(self, refold: Refold, keys: Sequence[str]) -> None:
        async with self.log.batch() as batch:
            refold.give(keys, await batch.load(keys, lock=False))

    async def _write(self, refold: Refold, *, forget: bool, last: bool = False) -> None:
        writes = refold.finish(forget=forget)
        if last:
            ends = {
                (topic, lane): offset
                for lane, stand in self.stands.items()
                for topic, offset in stand.offsets.items()
            }
            starts = await self.log.offsets(list(ends))
            writes.offsets = {place: (starts[place], end) for place, end in ends.items()}
            writes.timers = refold.timers()
        async with self.log.batch() as batch:
            known = await batch.handled([(row.tenant, row.command_id) for row in writes.handled])
            writes.handled = [row for row in writes.handled if (row.tenant, row.command_id) not in known]
            await batch.write(writes)
        if last:
            marks = {lane: Mark(stand.last_decided) for lane, stand in self.stands.items()}
            await self.log.mark_published(marks)


async def _live(connection: Any, stage: Stage) -> tuple[dict[int, LaneStand], str]:
    """Where the live database stands and what it says, in one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        last = {
            row["lane"]: row["next_decided"] - 1
            for row in await connection.fetch("SELECT lane, next_decided FROM lane")
        }
        offsets: dict[int, dict[str, int]] = {lane: {} for lane in last}
        for row in await connection.fetch("SELECT topic, partition, next_offset FROM consumed"):
            offsets.setdefault(row["partition"], {})[row["topic"]] = row["next_offset"]
        parked: dict[int, dict[tuple[str, int], str]] = {}
        for row in await connection.fetch('SELECT topic, partition, "offset", state FROM parked'):
            parked.setdefault(row["partition"], {})[row["topic"], row["offset"]] = row["state"]
        lanes = {
            lane: LaneStand(last.get(lane, 0), found, parked.get(lane, {})) for lane, found in offsets.items()
        }
        return lanes, await database_digest(connection, stage)
