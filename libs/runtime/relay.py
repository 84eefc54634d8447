"""The relay: publishes each lane's log rows in sequence order, then moves the lane's cursor.

One owner per lane. Rows that were just committed come straight from memory; after a start or a failure they
are read from the log. The cursor is stored a few times a second, not after each turn; what a crash therefore
repeats, consumers drop by lane and sequence.

With its cursor goes the head of the lane's hash chain (docs/audit.md), and once a minute that head is
anchored: written to a table, and published where who can write to the database cannot.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Protocol

import structlog

from libs.events.ids import partition_key
from libs.runtime.lane_chains import LaneChains, anchor_message
from libs.runtime.log import Log, LogRow, Unavailable
from libs.runtime.stage import ANCHORS_TOPIC

logger = structlog.get_logger()
KEPT_BYTES_MAX = 32 * 1_048_576
_ROW_BYTES = 1_500
"""What a row takes in memory besides its payload."""
_READ_AT_ONCE = 2_000
_CHAIN_AT_ONCE = 500
"""Rows of a lane that was published before it was chained, read between two turns."""

Message = tuple[bytes, bytes, list[tuple[str, bytes]], int]
"""Key, value, headers, timestamp in milliseconds."""


class PublishFailed(Exception):
    """The broker did not acknowledge; whether it stored the records is unknown."""


class Publisher(Protocol):
    """Where the relay publishes to."""

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """Publish in order and return once all are acknowledged by all replicas. Raises PublishFailed."""


class Relay:
    """Relays the lanes that this process owns. `run` is its task; `committed` and `own` feed it."""

    def __init__(
        self,
        stage: str,
        topic: str,
        log: Log,
        publisher: Publisher,
        pause_seconds: float = 0.2,
        kept_bytes_max: int = KEPT_BYTES_MAX,
        mark_seconds: float = 0.25,
        chain_seconds: float = 0.1,
        anchor_seconds: float = 60.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stage, self._source = stage, f"orderlog/{stage}".encode()
        self._topic, self._log = topic, log
        self._publisher, self._pause_seconds = publisher, pause_seconds
        self._kept_bytes_max = kept_bytes_max
        self._recent: dict[int, deque[LogRow]] = {}
        self._kept: dict[int, int] = {}
        """Bytes of each lane's recent rows."""
        self._cursors: dict[int, int] = {}
        self._unmarked: dict[int, int] = {}
        """Cursors that are yet to be stored, at `_mark_at`."""
        self._mark_seconds, self._mark_at = mark_seconds, 0.0
        self._chains, self._clock = LaneChains(stage), clock
        self._chain_seconds, self._chain_at = chain_seconds, 0.0
        self._anchor_seconds, self._anchor_at = anchor_seconds, 0.0
        self._behind: set[int] = set()
        self._wake = asyncio.Event()
        self.on_published: Callable[[int], None] = lambda _: None

    async def own(self, lanes: Sequence[int]) -> None:
        """Relay these lanes from now on, from where their cursors are."""
        marks = await self._log.published(lanes)
        self._anchor_at = self._anchor_at or asyncio.get_running_loop().time() + self._anchor_seconds
        for lane in lanes:
            self._cursors[lane] = marks[lane].published
            self._chains.own(lane, marks[lane])
            self._recent[lane] = deque()
            self._kept[lane] = 0
            self._behind.add(lane)
        self._wake.set()

    def disown(self, lanes: Sequence[int]) -> None:
        """Leave these lanes to another process."""
        for lane in lanes:
            self._recent.pop(lane, None)
            self._kept.pop(lane, None)
            self._cursors.pop(lane, None)
            self._unmarked.pop(lane, None)
            self._behind.discard(lane)
            self._chains.disown(lane)

    def catch_up(self) -> None:
        """Read from the log what was committed without our being told."""
        self._behind |= set(self._cursors)
        self._wake.set()

    def committed(self, rows: Sequence[LogRow]) -> None:
        """Rows that a transaction just committed, in order within each lane.

        They are kept up to a number of bytes over all lanes; a lane beyond it is read from the log.
        """
        left = self._kept_bytes_max - sum(self._kept.values())
        for row in rows:
            recent = self._recent.get(row.lane)
            if row.origin != "decided" or recent is None or row.lane in self._behind:
                continue
            size = len(row.payload) + _ROW_BYTES
            if size > left:
                left += self._forget(row.lane)
                self._behind.add(row.lane)
                continue
            recent.append(row)
            left -= size
            self._kept[row.lane] += size
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever; failures are tried again, in order, from the log."""
        while True:
            await self._woken()
            try:
                while await self.turn():
                    pass
            except Exception as error:
                expected = isinstance(error, PublishFailed | Unavailable)
                logger.warning(
                    "relay will try again",
                    topic=self._topic,
                    error=str(error),
                    exc_info=None if expected else error,
                )
                await asyncio.sleep(self._pause_seconds)
                self.catch_up()

    async def turn(self) -> int:
        """Publish what is there once, all lanes at once; how many rows."""
        pending = {}
        for lane in list(self._cursors):
            rows = await self._take(lane)
            if rows:
                pending[lane] = rows
        failure = await self._publish_all(pending)
        now = asyncio.get_running_loop().time()
        if now >= self._chain_at:
            await self._chain()
        if self._unmarked and now >= self._mark_at:
            await self.mark()
        if failure is not None:
            raise failure
        if now >= self._anchor_at:
            await self.anchor()
        return sum(len(rows) for rows in pending.values())

    async def _publish_all(self, pending: Mapping[int, Sequence[LogRow]]) -> BaseException | None:
        """Publish the rows of each lane and move the cursors of those that were stored; a failure, if any."""
        outcomes = await asyncio.gather(
            *(self._publish(lane, rows) for lane, rows in pending.items()), return_exceptions=True
        )
        failure: BaseException | None = None
        now = asyncio.get_running_loop().time()
        for (lane, rows), outcome in zip(pending.items(), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                failure = outcome
                self._behind.add(lane)
            elif lane in self._cursors:
                if not self._unmarked:
                    self._mark_at = now + self._mark_seconds
                self._unmarked[lane] = self._cursors[lane] = rows[-1].seq
        return failure

    async def mark(self) -> None:
        """Store how far each lane is published."""
        stored = dict(self._unmarked)
        await self._log.mark_published({lane: self._chains.mark(lane, at) for lane, at in stored.items()})
        for lane, cursor in stored.items():
            if self._unmarked.get(lane) == cursor:
                del self._unmarked[lane]

    async def anchor(self) -> None:
        """Write down how the chains stand, here and where nobody can rewrite it: once a minute, and when the
        process stops. Where Kafka fails, the next anchors hold for these, too."""
        self._anchor_at = asyncio.get_running_loop().time() + self._anchor_seconds
        anchors = self._chains.unanchored(self._clock())
        if not anchors:
            return
        await self._log.anchor(anchors)
        self._chains.anchored(anchors)
        published = await asyncio.gather(
            *(
                self._publisher.publish(ANCHORS_TOPIC, one.lane, [anchor_message(self._stage, one)])
                for one in anchors
            ),
            return_exceptions=True,
        )
        for failure in published:
            if isinstance(failure, PublishFailed):
                logger.warning("an anchor was not published", topic=self._topic, error=str(failure))
            elif failure is not None:
                raise failure

    async def _chain(self) -> None:
        """Read on in a lane whose chain is behind what is published of it, some rows at a time."""
        behind = self._chains.behind(self._cursors)
        if not behind:
            return
        self._chain_at = asyncio.get_running_loop().time() + self._chain_seconds
        lane = behind[0]
        after, published = self._chains.seq(lane), self._cursors[lane]
        rows = await self._log.unpublished(lane, after, min(_CHAIN_AT_ONCE, published - after))
        self._chains.extend(lane, after + 1, (message(row, self._source) for row in rows))
        if lane in self._cursors:
            self._unmarked.setdefault(lane, self._cursors[lane])

    async def _woken(self) -> None:
        """Wait until there is something to publish or to chain, or a cursor or an anchor to store."""
        times = [self._mark_at] if self._unmarked else []
        if self._chains.behind(self._cursors):
            times.append(self._chain_at)
        if self._chains.moved:
            times.append(self._anchor_at)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(times, default=None)):
                await self._wake.wait()
        self._wake.clear()

    async def _take(self, lane: int) -> list[LogRow]:
        """The next rows of a lane: from memory when it continues the cursor, else from the log."""
        if lane not in self._cursors:
            return []
        recent = self._recent[lane]
        if lane in self._behind:
            self._forget(lane)
            self._behind.discard(lane)
            rows = await self._log.unpublished(lane, self._cursors[lane], _READ_AT_ONCE)
            if lane not in self._cursors:
                return []
            if rows or recent:
                self._behind.add(lane)
            return rows
        rows = [row for row in recent if row.seq > self._cursors[lane]]
        self._forget(lane)
        if rows and rows[0].seq != self._cursors[lane] + 1:
            self._behind.add(lane)
            return await self._take(lane)
        return rows

    def _forget(self, lane: int) -> int:
        """Drop a lane's recent rows; how many bytes they were."""
        self._recent[lane].clear()
        freed, self._kept[lane] = self._kept[lane], 0
        return freed

    async def _publish(self, lane: int, rows: Sequence[LogRow]) -> None:
        messages = [message(row, self._source) for row in rows]
        await self._publisher.publish(self._topic, lane, messages)
        self._chains.extend(lane, rows[0].seq, messages)
        self.on_published(len(rows))


def message(row: LogRow, source: bytes) -> Message:
    """A log row as it travels: the CloudEvents headers of `libs.runtime.wire`, from the row's columns."""
    context = row.context
    recorded_at, timestamp_ms = _moment(row.recorded_at)
    headers = [
        *_fixed_headers(source, row.type, row.version),
        ("ce_id", str(row.event_id).encode()),
        ("ce_subject", row.stream.encode()),
        ("ce_time", recorded_at),
        ("ce_tenant", row.tenant.encode()),
        ("ce_causationid", context["causationid"].encode()),
        ("ce_correlationid", context["correlationid"].encode()),
        ("ce_lane", b"%d" % row.lane),
        ("ce_sequence", b"%d" % row.seq),
    ]
    for name, text in (
        ("ce_actor", context["actor"]),
        ("ce_reason", context["reason"]),
        ("traceparent", context["traceparent"]),
    ):
        if text:
            headers.append((name, text.encode()))
    key = partition_key(row.tenant, row.stream).encode()
    return key, row.payload, headers, timestamp_ms


@lru_cache(maxsize=64)
def _moment(at: datetime) -> tuple[bytes, int]:
    """A time as `ce_time`, and in milliseconds; the rows of a batch share it."""
    return at.isoformat().encode(), int(at.timestamp() * 1000)


@cache
def _fixed_headers(source: bytes, type_: str, version: int) -> tuple[tuple[str, bytes], ...]:
    """What all events of a type and version have in common."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_source", source),
        ("ce_type", type_.encode()),
        ("ce_typeversion", b"%d" % version),
        ("ce_dataschema", f"urn:orderlog:schema:{type_}.v{version}".encode()),
        ("content-type", b"application/json"),
    )
