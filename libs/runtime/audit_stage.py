"""What an audit reads of a stage: its database, its topic, and the heads that were written down of both."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import orjson

from libs.runtime.audit import (
    DATABASE,
    TOPIC,
    Audit,
    Found,
    Known,
    Lane,
    Unreadable,
    audit,
    of_record,
    of_row,
)
from libs.runtime.complaint import Complaint
from libs.runtime.log import Log, LogRow, Mark
from libs.runtime.merging import merged
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.replay_order import own_context
from libs.runtime.settings import Settings
from libs.runtime.stage import ANCHORS_TOPIC, Stage
from libs.runtime.stores import complaints, open_topics
from libs.runtime.topic_lane import log_rows
from libs.runtime.topic_reader import Read, up_to

_KNOWN_MAX = 10_000
DECIDED = "SELECT lane, next_decided - 1 AS last FROM lane ORDER BY lane"
_MARKS = "SELECT lane, published, chained, head FROM relay"
_ANCHORS = "SELECT lane, seq, head FROM anchor ORDER BY lane, seq"
Heads = dict[int, list[Known]]
"""Lane → heads that somebody wrote down."""


async def audit_stage(
    config: Settings,
    stage: Stage,
    sources: Collection[str],
    file: Iterable[Found] = (),
    progress: Callable[[int], None] = lambda done: None,
) -> Audit:
    """Audit a stage by its database, its topic, or both, and by a file, if there is one.

    What is written down is read first, then how far the topic goes, then the log: each is contained in the
    next, while the stage works on. Complaint: PostgreSQL or Kafka cannot be reached.
    """
    lanes = {lane: Lane({}, [], {}) for lane in range(config.partitions)}
    heads: Heads = {}
    marks: Mapping[int, Mark] = {}
    foreign = [0]
    counted = _counting(progress)
    with complaints(config, stage.name):
        async with AsyncExitStack() as stack:
            pool = None
            if DATABASE in sources:
                pool = await open_pool(config.dsn(stage.name), config, "audit")
                stack.push_async_callback(pool.close)
                marks = await _written_down(pool, heads)
            ends: Mapping[tuple[str, int], int] = {}
            if TOPIC in sources:
                await _anchored(config, stage, heads)
                places = [(stage.topic, lane) for lane in lanes]
                reader = await stack.enter_async_context(open_topics(config, places))
                ends = await reader.ends()
            decided: Mapping[int, int] = {}
            if pool is not None:
                decided = {row["lane"]: row["last"] for row in await pool.fetch(DECIDED)}
            for lane, given in lanes.items():
                rows: dict[str, AsyncIterator[Found]] = {}
                at_least: dict[str, tuple[int, str]] = {}
                if pool is not None:
                    log = PostgresLog(pool, stage)
                    rows[DATABASE] = counted(database_rows(log, stage, lane, decided.get(lane, 0)))
                    at_least[DATABASE] = (decided.get(lane, 0), "the table `lane`")
                if TOPIC in sources:
                    rows[TOPIC] = counted(
                        topic_rows(stage, reader.read, lane, ends[stage.topic, lane], foreign)
                    )
                    at_least[TOPIC] = (marks.get(lane, Mark(0)).published, "the relay's cursor")
                given.rows, given.at_least, given.known = rows, at_least, each_once(heads.get(lane, []))
            found = await audit(stage.name, lanes, file)
    found.foreign = foreign[0]
    return found


async def database_rows(log: Log, stage: Stage, lane: int, end: int) -> AsyncIterator[Found]:
    """A lane's decided rows up to a sequence, as they are published."""
    source = f"orderlog/{stage.name}".encode()
    async for row in _rows(log, lane, end):
        try:
            yield of_row(row, source)
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            yield Unreadable(lane, f"its row cannot be published ({type(error).__name__}: {error})")
            return


async def topic_rows(
    stage: Stage, read: Read, lane: int, end: int, foreign: list[int]
) -> AsyncIterator[Found]:
    """A lane's events on the topic up to an offset. Repeats count once, the first; `foreign` counts records
    that are not the stage's own."""
    last = 0
    try:
        async for records in up_to(read, stage.topic, lane, end, _Lacks):
            for record in records:
                own = own_context(stage, record)
                if own is None:
                    foreign[0] += 1
                elif own.sequence > last:
                    last = own.sequence
                    yield of_record(record, own.sequence)
    except _Lacks as lacks:
        yield Unreadable(lane, f"offset {lacks.offset} is not there")


async def in_order_of_recording(log: Log, ends: Mapping[int, int]) -> AsyncIterator[LogRow]:
    """The decided rows of these lanes up to a sequence each, in that sequence, as they were recorded."""
    lanes = [_rows(log, lane, end) for lane, end in sorted(ends.items())]
    async for row in merged(lanes, lambda row: row.recorded_at):
        yield row


def each_once(heads: Iterable[Known]) -> list[Known]:
    """In order of sequence, each head once; of very many some, and the last: it vouches for all before."""
    found: dict[tuple[int, bytes], dict[str, bool]] = {}
    for one in heads:
        found.setdefault((one.seq, one.head), {})[one.where] = one.anchor
    all_ = [
        Known(seq, head, " and ".join(where), any(where.values()))
        for (seq, head), where in sorted(found.items())
    ]
    step = len(all_) // _KNOWN_MAX + 1
    return all_[(len(all_) - 1) % step :: step] if all_ else []


class _Lacks(Complaint):
    def __init__(self, offset: int) -> None:
        super().__init__(f"offset {offset} is not there", "")
        self.offset = offset


async def _rows(log: Log, lane: int, end: int) -> AsyncIterator[LogRow]:
    async for rows in log_rows(log, lane):
        for row in rows:
            if row.seq > end:
                return
            yield row


async def _written_down(pool: Any, heads: Heads) -> dict[int, Mark]:
    """What the database says of its chains: anchors, and what the relay stored."""
    async with pool.acquire() as connection, connection.transaction():
        async for row in connection.cursor(_ANCHORS, prefetch=1000):
            _note(heads, row["lane"], Known(row["seq"], row["head"], "the table `anchor`"))
    marks = {}
    for row in await pool.fetch(_MARKS):
        marks[row["lane"]] = Mark(row["published"], row["chained"], row["head"] or b"")
        if row["chained"]:
            _note(heads, row["lane"], Known(row["chained"], row["head"], "the relay", anchor=False))
    return marks


async def _anchored(config: Settings, stage: Stage, heads: Heads) -> None:
    """The anchors of a stage on their topic."""
    places = [(ANCHORS_TOPIC, lane) for lane in range(config.partitions)]
    async with open_topics(config, places) as reader:
        for (topic, lane), end in (await reader.ends(whole=False)).items():
            async for records in up_to(reader.read, topic, lane, end, _Lacks):
                for record in records:
                    if (known := anchor_known(stage, lane, record.value)) is not None:
                        _note(heads, lane, known)


def anchor_known(stage: Stage, lane: int, value: bytes | None) -> Known | None:
    """An anchor of this stage's lane; None for another's, or what is none."""
    try:
        read = orjson.loads(value or b"")
        if (read["stage"], read["lane"]) != (stage.name, lane):
            return None
        return Known(int(read["sequence"]), bytes.fromhex(read["head"]), ANCHORS_TOPIC)
    except (ValueError, KeyError, TypeError):
        return None


def _note(heads: Heads, lane: int, known: Known) -> None:
    """Keep a head; of very many, every other one: a later head vouches for all before it."""
    held = heads.setdefault(lane, [])
    held.append(known)
    if len(held) > 4 * _KNOWN_MAX:
        del held[:-1:2]


def _counting(
    progress: Callable[[int], None],
) -> Callable[[AsyncIterator[Found]], AsyncIterator[Found]]:
    done = [0]

    async def counted(rows: AsyncIterator[Found]) -> AsyncIterator[Found]:
        async for row in rows:
            done[0] += 1
            if done[0] % 1000 == 0:
                progress(done[0])
            yield row

    return counted
