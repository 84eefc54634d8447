"""The relay: publishes each lane's log rows in sequence order, then moves the lane's cursor.

One owner per lane. Rows that were just committed come straight from memory; after a start or a failure they
are read from the log. What a crash repeats, consumers drop by lane and sequence.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

import structlog

from libs.events.ids import partition_key
from libs.runtime.log import Log, LogRow, Unavailable

logger = structlog.get_logger()
_KEPT_IN_MEMORY = 20_000
_READ_AT_ONCE = 2_000

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
        self, stage: str, topic: str, log: Log, publisher: Publisher, pause_seconds: float = 0.2
    ) -> None:
        self._source, self._topic, self._log = f"orderlog/{stage}".encode(), topic, log
        self._publisher, self._pause_seconds = publisher, pause_seconds
        self._recent: dict[int, deque[LogRow]] = {}
        self._cursors: dict[int, int] = {}
        self._behind: set[int] = set()
        self._wake = asyncio.Event()
        self.on_published: Callable[[int], None] = lambda _: None

    async def own(self, lanes: Sequence[int]) -> None:
        """Relay these lanes from now on, from where their cursors are."""
        cursors = await self._log.published(lanes)
        for lane in lanes:
            self._cursors[lane] = cursors[lane]
            self._recent[lane] = deque()
            self._behind.add(lane)
        self._wake.set()

    def disown(self, lanes: Sequence[int]) -> None:
        """Leave these lanes to another process."""
        for lane in lanes:
            self._recent.pop(lane, None)
            self._cursors.pop(lane, None)
            self._behind.discard(lane)

    def catch_up(self) -> None:
        """Read from the log what was committed without our being told."""
        self._behind |= set(self._cursors)
        self._wake.set()

    def committed(self, rows: Sequence[LogRow]) -> None:
        """Rows that a transaction just committed, in order within each lane."""
        for row in rows:
            recent = self._recent.get(row.lane)
            if row.origin != "decided" or recent is None or row.lane in self._behind:
                continue
            if len(recent) >= _KEPT_IN_MEMORY:
                recent.clear()
                self._behind.add(row.lane)
                continue
            recent.append(row)
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever; failures are tried again, in order, from the log."""
        while True:
            await self._wake.wait()
            self._wake.clear()
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
        if not pending:
            return 0
        outcomes = await asyncio.gather(
            *(self._publish(lane, rows) for lane, rows in pending.items()), return_exceptions=True
        )
        done = {}
        failure: BaseException | None = None
        for (lane, rows), outcome in zip(pending.items(), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                failure = outcome
                self._behind.add(lane)
            elif lane in self._cursors:
                done[lane] = self._cursors[lane] = rows[-1].seq
        if done:
            await self._log.mark_published(done)
        if failure is not None:
            raise failure
        return sum(len(rows) for rows in pending.values())

    async def _take(self, lane: int) -> list[LogRow]:
        """The next rows of a lane: from memory when it continues the cursor, else from the log."""
        if lane not in self._cursors:
            return []
        recent = self._recent[lane]
        if lane in self._behind:
            recent.clear()
            self._behind.discard(lane)
            rows = await self._log.unpublished(lane, self._cursors[lane], _READ_AT_ONCE)
            if lane not in self._cursors:
                return []
            if len(rows) == _READ_AT_ONCE or recent:
                self._behind.add(lane)
            return rows
        rows = [row for row in recent if row.seq > self._cursors[lane]]
        recent.clear()
        if rows and rows[0].seq != self._cursors[lane] + 1:
            self._behind.add(lane)
            return await self._take(lane)
        return rows

    async def _publish(self, lane: int, rows: Sequence[LogRow]) -> None:
        await self._publisher.publish(self._topic, lane, [message(row, self._source) for row in rows])
        self.on_published(len(rows))


def message(row: LogRow, source: bytes) -> Message:
    """A log row as it travels: the CloudEvents headers of `libs.runtime.wire`, from the row's columns."""
    context = row.context
    headers = [
        *_fixed_headers(source, row.type, row.version),
        ("ce_id", str(row.event_id).encode()),
        ("ce_subject", row.stream.encode()),
        ("ce_time", row.recorded_at.isoformat().encode()),
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
    return key, row.payload, headers, int(row.recorded_at.timestamp() * 1000)


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
