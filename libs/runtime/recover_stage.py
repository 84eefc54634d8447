"""Makes a stage's database anew from the topics alone, and puts it in the old one's place, if there is one.

Built beside, compared with the stage's topic lane by lane, then renamed into place; the old database stays
under a dated name. What the topics cannot tell is taken from the old database where its log agrees with them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from libs.runtime import groups, migrate, old_database
from libs.runtime.beginning import HOLD_EFFECTS
from libs.runtime.complaint import Complaint
from libs.runtime.digest import database_digest
from libs.runtime.kafka import Lanes
from libs.runtime.lane_digest import LaneDigest
from libs.runtime.lane_trace import LaneTrace
from libs.runtime.log import Log, Parked, TopicPartition, Writes
from libs.runtime.old_database import PARKED_COLUMNS, OldDatabase
from libs.runtime.postgres_log import PostgresLog
from libs.runtime.rebuild import Progress, replay
from libs.runtime.replay_order import LaneStand
from libs.runtime.retrace import retrace
from libs.runtime.settings import Settings
from libs.runtime.stage import Stage
from libs.runtime.stores import complaints, connect, open_beside, open_topics
from libs.runtime.topic_lane import log_rows
from libs.runtime.topic_reader import TopicReader

_CONTINUE_IDS = "SELECT setval(pg_get_serial_sequence('parked', 'id'), max(id)) FROM parked"
_COUNTS = """
    SELECT (SELECT count(*) FROM parked WHERE state NOT IN ('replayed', 'discarded')) AS parked,
        (SELECT count(*) FROM effect) AS effects, (SELECT count(*) FROM timer) AS timers"""
Told = Callable[[str], Progress]
"""Told what begins; returns who is told how far it is."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery did. `match`: the new log says what the stage's topic says, lane by lane.

    `old` is what the old database was: gone, empty, same, behind (its log is the topic's beginning), differs.
    `conflicts` counts records on the stage's topic under a sequence that another event had before.
    """

    stage: str
    match: bool
    digest: str
    old: str
    old_digest: str
    kept_as: str
    events: int
    lanes: dict[int, dict[str, object]]
    conflicts: int
    parked: int
    effects: int
    timers: int
    seconds: float


async def recover_stage(
    config: Settings,
    stage: Stage,
    *,
    discard: bool = False,
    told: Told = lambda _: lambda done, total: None,
) -> Recovered:
    """Recover a stopped stage. With `discard`, events that only its old database holds are given up.

    Complaint: it is running; Kafka or PostgreSQL cannot be reached; the topics have a hole; the old database
    holds events that its topic lacks; the recovered log is not what the topic says (nothing was swapped).
    """
    started = time.monotonic()
    beside = f"{stage.name}_recovery"
    await groups.ensure_stopped(config, [stage.name])
    with complaints(config, stage.name), migrate.alone(config, f"recover {stage.name}"):
        async with AsyncExitStack() as stack:
            reader = await stack.enter_async_context(open_topics(config, _places(config, stage)))
            past = await _look_back(config, stage, reader, told, discard)
            await asyncio.to_thread(migrate.create_beside, config, beside, stage.name)
            pool = await stack.enter_async_context(open_beside(config, beside))
            log, stands = PostgresLog(pool, stage), past.stands()
            folding = told("folding the topics")
            await replay(stage, stands, reader.read, log, Lanes(config.partitions), folding)
            await _take_over_parked(pool, log, past)
            counts = await _finish(pool)
            lanes = await _compare(log, past.traces)
            async with pool.acquire() as connection, connection.transaction():
                digest = await database_digest(connection, stage)
        if not all(lane["topic"] == lane["log"] for lane in lanes.values()):
            raise Complaint(
                f"The log recovered for {stage.name} is not what its topic says; nothing was replaced.",
                f"Compare {stage.topic} with database orderlog_{beside}, which was left for that.",
            )
        await groups.ensure_stopped(config, [stage.name])
        kept = await asyncio.to_thread(_swap, config, stage.name, beside)
    return Recovered(
        stage=stage.name,
        match=True,
        digest=digest,
        old=past.verdict(digest) if kept else "gone",
        old_digest=past.old.digest if past.old else "",
        kept_as=kept,
        events=sum(trace.digest.events for trace in past.traces.values()),
        lanes=lanes,
        conflicts=sum(trace.conflicts for trace in past.traces.values()),
        seconds=round(time.monotonic() - started, 3),
        **counts,
    )


@dataclass(frozen=True, slots=True)
class _Past:
    """All that is known of where a stage stood."""

    traces: Mapping[int, LaneTrace]
    committed: Mapping[TopicPartition, int]
    """What its group committed. It does so only once what the records led to is published."""
    old: OldDatabase | None
    trusted: OldDatabase | None
    """The old database, if its log is the topic's beginning, or all of it."""

    def stands(self) -> dict[int, LaneStand]:
        return {lane: self._stand(lane, trace) for lane, trace in self.traces.items()}

    def new_parked(self) -> list[Parked]:
        """Records that must wait for a person and are not in the old database."""
        return [
            row
            for lane, stand in self.stands().items()
            for place, row in self.traces[lane].parked.items()
            if place in stand.parked and not self._is_sure(lane, place)
        ]

    def verdict(self, digest: str) -> str:
        """What the old database was, beside the recovered one."""
        if self.old is None:
            return "empty"
        if self.trusted is None:
            return "differs"
        ends = {lane: trace.digest.events for lane, trace in self.traces.items() if trace.digest.events}
        if self.trusted.ends != ends:
            return "behind"
        return "same" if self.trusted.digest == digest else "differs"

    def _stand(self, lane: int, trace: LaneTrace) -> LaneStand:
        old = self.trusted.consumed if self.trusted else {}
        known = {
            topic: max(self.committed.get((topic, lane), 0), old.get((topic, lane), 0))
            for topic in trace.stage.topics
        }
        states = self.trusted.parked_states(lane) if self.trusted else {}
        states |= {place: row.state for place, row in trace.parked.items() if not self._is_sure(lane, place)}
        return trace.stand(known, states)

    def _is_sure(self, lane: int, place: tuple[str, int]) -> bool:
        """Whether the old database had consumed that record: what it does not hold as parked, was decided."""
        return self.trusted is not None and place[1] < self.trusted.consumed.get((place[0], lane), 0)


async def _look_back(config: Settings, stage: Stage, reader: TopicReader, told: Told, discard: bool) -> _Past:
    """Read the topics whole, and the old database as far as there is one."""
    ends = await reader.ends()
    async with _old_connection(config, stage) as connection:
        old = await old_database.look(connection, stage) if connection else None
        first = old.ends if old else {}
        reading = told("reading the topics")
        traces = await retrace(stage, ends, reader.read, Lanes(config.partitions), first, reading)
        if old is not None and connection is not None:
            if lost := _consumed_beyond(old.consumed, ends):
                raise Complaint(
                    f"{lost} holds less than the database of {stage.name} has read of it.",
                    "The topic was emptied: run `orderlog recover kafka --from log` first.",
                )
            ahead = old.ahead(traces)
            if ahead and not discard:
                raise _ahead(stage, ahead)
            differs = ahead or await old_database.differing(connection, old, traces)
            trusted = None if differs else old
        else:
            trusted = None
    committed = {
        place: offset
        for place, (offset, _) in (await groups.committed(config, stage.name)).items()
        if offset <= ends.get(place, 0)
    }
    return _Past(traces, committed, old, trusted)


def _consumed_beyond(consumed: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> str:
    """The first partition that ends before what was consumed of it."""
    beyond = [place for place, offset in sorted(consumed.items()) if offset > ends.get(place, 0)]
    return f"{beyond[0][0]}/{beyond[0][1]}" if beyond else ""


def _ahead(stage: Stage, ahead: Mapping[int, int]) -> Complaint:
    lanes = ", ".join(f"lane {lane} from sequence {first}" for lane, first in ahead.items())
    return Complaint(
        f"The database of {stage.name} holds events that {stage.topic} lacks: {lanes}.",
        "If the stage can start, `orderlog up` publishes them; `orderlog recover kafka --from log`"
        " does so without it. --discard gives them up: what they were decided from is decided again.",
    )


async def _take_over_parked(pool: asyncpg.Pool, log: Log, past: _Past) -> None:
    """Parked records, with what people decided of them where the old database tells."""
    async with pool.acquire() as connection, connection.transaction():
        if past.trusted is not None and past.trusted.parked:
            await connection.copy_records_to_table(
                "parked", records=past.trusted.parked, columns=PARKED_COLUMNS
            )
            await connection.execute(_CONTINUE_IDS)
    found = past.new_parked()
    if found:
        async with log.batch() as batch:
            await batch.write(Writes(parked=found))


async def _finish(pool: asyncpg.Pool) -> dict[str, int]:
    """Hold what is owed until the stage starts, and wait for the disk; how much of what there is."""
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = on")
            await connection.execute(HOLD_EFFECTS)
            await connection.execute(
                "UPDATE relay SET published = published"
            )  # without a row no disk is waited for
        await connection.execute("ANALYZE")
        row = await connection.fetchrow(_COUNTS)
        assert row is not None
        return dict(row)


async def _compare(log: Log, traces: Mapping[int, LaneTrace]) -> dict[int, dict[str, object]]:
    """By lane how many events, and the digests of topic and log."""
    lanes: dict[int, dict[str, object]] = {}
    for lane, trace in sorted(traces.items()):
        digest = LaneDigest()
        async for rows in log_rows(log, lane):
            for row in rows:
                digest.row(row)
        lanes[lane] = {
            "events": digest.events,
            "topic": trace.digest.hexdigest(),
            "log": digest.hexdigest(),
        }
    return lanes


def _swap(config: Settings, live: str, beside: str) -> str:
    """Put the database beside in the live one's place; the name that the old one has now, or nothing."""
    kept = ""
    if migrate.exists(config, live):
        kept = f"{live}_before_{datetime.now(UTC):%Y%m%d_%H%M%S}"
        migrate.rename(config, live, kept)
    try:
        migrate.rename(config, beside, live)
    except BaseException:
        if kept:
            migrate.rename(config, kept, live)
        raise
    return f"orderlog_{kept}" if kept else ""


def _places(config: Settings, stage: Stage) -> list[TopicPartition]:
    return [(topic, lane) for topic in (stage.topic, *stage.topics) for lane in range(config.partitions)]


@asynccontextmanager
async def _old_connection(config: Settings, stage: Stage) -> AsyncIterator[asyncpg.Connection | None]:
    """A connection to the stage's database, if there is one. Closed before the swap."""
    if not await asyncio.to_thread(migrate.exists, config, stage.name):
        yield None
        return
    connection = await connect(config, stage.name)
    try:
        yield connection
    finally:
        await connection.close()
