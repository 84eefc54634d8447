"""A state topic: what some of a stage's streams are now, on a compacted topic, following its committed log.

Each process follows the lanes that it owns. Which streams a commit changed it learns in memory as the commit
ends, and what they are then; where it does not know, it reads the log and the stage's parts. It tells a short
while later and all at once, so that a stream which changed a hundred times meanwhile is one record. How far
the log has been followed is stored now and then; after a crash the rest is followed again, and told again.

Streams are changed from several lanes, so several processes may tell of one, and the last record of a key is
all that a compacted topic keeps: an older state that came behind a newer one would stay. So whoever has
told reads once more after Kafka has it, and tells again where the stream has moved on. Of all who changed a
stream, the one whose last look comes last has told what it saw, and nothing newer came before that. A state
that is made of several streams is told whenever one of them changed, and all of them are looked at again.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import asyncpg
import structlog

from libs.events.catalogue import Unreadable, decode, encode
from libs.events.contract import Contract, Event
from libs.events.ids import derived_text, partition_key
from libs.events.release import schema_id
from libs.runtime.health import Health
from libs.runtime.log import Log, LogRow, Snapshot, TimerRow, Unavailable, Writes
from libs.runtime.postgres_log import reachable
from libs.runtime.relay import Message, Publisher, PublishFailed
from libs.runtime.stage import Composed, StateTopic

logger = structlog.get_logger()
_STATES_BYTES = UUID("0c7d5b0e-3f19-5b64-9a3e-6d1c5f3b8a47").bytes
_READ_AT_ONCE = 1_000
_TOLD_AT_ONCE = 1_000
"""Streams of one turn; more of them wait for the next."""
_KEPT_MAX = 1_000
"""Streams that are kept as they were written, until they are told; others are read."""
_COMPOSED_AT_ONCE = 100
"""States made of several streams that are read and told together."""
_REST = 4
"""It rests so many times as long as the process was at work meanwhile: where much is to do it looks less
often, and many changes are one record. Waiting for Kafka and the database is no work."""
_REST_SECONDS_MAX = 1.0
_MARK_SECONDS = 1.0
_AGAIN_SECONDS = 1.0
_LAST_TURNS = 20
_MARK = """
    WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO state_topic (topic, lane, followed)
    SELECT $1, n.* FROM soon, unnest($2::int[], $3::bigint[]) AS n
    ON CONFLICT (topic, lane) DO UPDATE SET followed = greatest(state_topic.followed, excluded.followed)"""
_MARKS = "SELECT lane, followed FROM state_topic WHERE topic = $1 AND lane = ANY($2::int[])"
_REMIND = """
    INSERT INTO timer SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[])
    ON CONFLICT DO NOTHING"""


class _State(NamedTuple):
    """What is told of a stream."""

    key: str
    body: Contract
    version: int
    timers: Iterable[str] = ()


class Marks(Protocol):
    """Where a follower keeps how far it came. All raise Unavailable."""

    async def followed(self, lanes: Sequence[int]) -> Mapping[int, int]:
        """The last sequence of each lane that is followed; lanes that never were are left out."""

    async def mark(self, followed: Mapping[int, int]) -> None:
        """Lanes are followed up to these sequences; never moved back."""

    async def remind(self, timers: Sequence[TimerRow]) -> None:
        """Set timers where there is none of their key and name."""


class PostgresMarks:
    """`Marks` in the stage's database."""

    def __init__(self, pool: asyncpg.Pool, topic: str) -> None:
        self._pool, self._topic = pool, topic

    async def followed(self, lanes: Sequence[int]) -> Mapping[int, int]:
        with reachable():
            rows = await self._pool.fetch(_MARKS, self._topic, list(lanes))
        return {row["lane"]: row["followed"] for row in rows}

    async def mark(self, followed: Mapping[int, int]) -> None:
        with reachable():
            await self._pool.execute(_MARK, self._topic, list(followed), list(followed.values()))

    async def remind(self, timers: Sequence[TimerRow]) -> None:
        columns: list[list[Any]] = [
            list(column) for column in zip(*((t.key, t.name, t.lane, t.due_at) for t in timers), strict=True)
        ]
        with reachable():
            await self._pool.execute(_REMIND, *columns)


class Follower:
    """Follows the lanes that this process owns. `run` is its task; `committed` and `own` feed it."""

    def __init__(
        self,
        states: StateTopic,
        stage: str,
        log: Log,
        marks: Marks,
        publisher: Publisher,
        lane_of: Callable[[str], int],
        reminded: Callable[[], None] = lambda: None,
        health: Health | None = None,
        pause_seconds: float = 0.01,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`reminded` is called after timers were set. `pause_seconds` is how long changes are collected."""
        self._states, self._log, self._marks = states, log, marks
        self._source = f"orderlog/{stage}".encode()
        self._publisher, self._lane_of, self._reminded = publisher, lane_of, reminded
        self._pause_seconds, self._clock, self._health = pause_seconds, clock, health
        self._infix = f"/{states.prefix}"
        self._headers: dict[type[Contract], list[tuple[str, bytes]]] = {}
        self._changed: set[str] = set()
        self._written: dict[str, Snapshot] = {}
        """Of these, streams as this process last committed them."""
        self._told: dict[str, int] = {}
        """Version by key, of what was told in the last turn and is to be looked at again."""
        self._seen: dict[int, int] = {}
        """By lane, the last row whose changes are in `_changed`, or were."""
        self._seen_then: dict[int, int] = {}
        """The same, when the last turn began."""
        self._settled: dict[int, int] = {}
        """By lane, the last row whose changes are told, whatever happens now; yet to be stored."""
        self._unsure = False
        """The last turn failed: what it may have told is to be looked at before anything is settled."""
        self._mark_at = 0.0
        self._behind: set[int] = set()
        self._wake, self._one_at_a_time = asyncio.Event(), asyncio.Lock()

    async def own(self, lanes: Sequence[int]) -> None:
        """Follow these lanes from now on, from where they were followed; others' marks are theirs."""
        followed = await self._marks.followed(lanes)
        for lane in lanes:
            self._seen[lane] = followed.get(lane, 0)
            self._behind.add(lane)
        self._wake.set()

    def disown(self, lanes: Sequence[int]) -> None:
        """Leave these lanes to another process."""
        for lane in lanes:
            for known in (self._seen, self._seen_then, self._settled):
                known.pop(lane, None)
            self._behind.discard(lane)

    def catch_up(self) -> None:
        """Read from the log what was committed without our being told."""
        self._written.clear()
        self._behind |= set(self._seen)
        self._wake.set()

    def committed(self, writes: Writes) -> None:
        """What a transaction just wrote. A lane of which something is missing is read from the log."""
        infix = self._infix
        for parts in (writes.parts, writes.new_parts):
            for key, (_, written) in parts.items():
                if infix in key:
                    self._changed.add(key)
                    self._keep(key, written)
        for row in writes.rows:
            if row.origin == "decided" and row.lane in self._seen:
                if row.seq == self._seen[row.lane] + 1:
                    self._seen[row.lane] = row.seq
                elif row.seq > self._seen[row.lane]:
                    self._behind.add(row.lane)
        if self._changed:
            self._wake.set()

    def _keep(self, key: str, written: Snapshot) -> None:
        if key in self._written or len(self._written) < _KEPT_MAX:
            self._written[key] = written

    async def run(self) -> None:
        """Tell for ever; what fails is told later."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(self._pause_seconds)
            began = time.thread_time()
            try:
                if await self.turn():
                    self._wake.set()
                self._tell_health(None)
            except Exception as error:
                expected = isinstance(error, PublishFailed | Unavailable)
                logger.warning(
                    "states will be told later",
                    topic=self._states.topic,
                    error=str(error),
                    exc_info=None if expected else error,
                )
                self._tell_health(None if expected else error)
                self._wake.set()
                await asyncio.sleep(_AGAIN_SECONDS)
            await asyncio.sleep(min(_REST_SECONDS_MAX, (time.thread_time() - began) * _REST))

    def _tell_health(self, error: Exception | None) -> None:
        if self._health is not None and error is None:
            self._health.well("states")
        elif self._health is not None and error is not None:
            self._health.failing("states", error)

    async def turn(self) -> int:
        """Follow on, and tell what changed; how much there was to do. Raises PublishFailed and Unavailable,
        and has forgotten nothing then."""
        async with self._one_at_a_time:
            return await self._turn()

    async def _turn(self) -> int:
        done = sum([await self._catch_up(lane) for lane in sorted(self._behind)])
        changed = {self._changed.pop() for _ in range(min(len(self._changed), _TOLD_AT_ONCE))}
        before, seen = self._told, dict(self._seen_then if self._changed else self._seen)
        if not changed and not before:
            self._settle(seen)
            await self._mark()
            return done
        try:
            self._told, moved = await self._tell(changed, before)
        except BaseException:
            self._changed |= changed | set(before)
            self._told, self._unsure = {}, True
            raise
        # What was told and then changed by others alone may have come behind what they told: look once more.
        if not self._unsure and not moved - changed:
            self._settle(self._seen_then)
        self._unsure = False
        self._seen_then = {lane: at for lane, at in seen.items() if lane in self._seen}
        await self._mark()
        return done + len(changed) + len(before)

    async def _tell(self, changed: set[str], before: Mapping[str, int]) -> tuple[dict[str, int], set[str]]:
        """Tell what the changed streams are, and those told before that have moved on. Returns the versions
        of all that was told or read for it, and which of those told before have moved on. What this process
        wrote is told as that: who changed it since tells of it too, and it is looked at again."""
        here = {key: self._written.pop(key) for key in changed if key in self._written}
        if unknown := sorted((changed | before.keys()) - here.keys()):
            found = await self._log.snapshots(unknown, before)
            here |= {key: one for key, one in found.items() if one.part}  # the others are as they were told
        states = [
            _State(key, state[0], one.version, state[1])
            for key, one in here.items()
            if (state := self._read(key, self._states.read, one.version, one.part or b"")) is not None
        ]
        await self._publish(states)
        told = {state.key: state.version for state in states}
        if self._states.composed is not None:
            told |= await self._tell_composed(self._states.composed, here)
        return told, here.keys() & before.keys()

    async def _tell_composed(self, composed: Composed, here: Mapping[str, Snapshot]) -> dict[str, int]:
        """Tell the states that these parts make with others; the versions of all that they are made of."""
        told = dict[str, int]()
        keys = sorted(
            {
                partition_key(key.partition("/")[0], stream)
                for key, one in here.items()
                for stream in self._read(key, composed.told_with, one.part) or ()
            }
        )
        while keys:
            some, keys = keys[:_COMPOSED_AT_ONCE], keys[_COMPOSED_AT_ONCE:]
            known = await self._with(here, some)
            makes = {key: self._made_of(composed, key, known[key]) for key in some if key in known}
            known = await self._with(known, {one for of in makes.values() for one in of})
            states = list[_State]()
            for key, of in makes.items():
                parts = {name: known[name] for name in of if name in known and known[name].part}
                told |= {name: one.version for name, one in parts.items()}
                streams = {name.partition("/")[2]: (one.version, one.part) for name, one in parts.items()}
                state = self._read(key, composed.read, streams)
                if state is not None:
                    states.append(_State(key, *state))
            await self._publish(states)
        return told

    async def _with(self, known: Mapping[str, Snapshot], keys: Iterable[str]) -> dict[str, Snapshot]:
        """What is known, and what the other keys are now."""
        more = sorted({key for key in keys if key not in known})
        return {**known, **(await self._log.snapshots(more) if more else {})}

    def _made_of(self, composed: Composed, key: str, own: Snapshot) -> list[str]:
        """The keys of all that a state is made of, its own in front."""
        tenant, streams = key.partition("/")[0], self._read(key, composed.made_of, own.part or b"") or ()
        return [key, *(partition_key(tenant, stream) for stream in streams)]

    def _read(self, key: str, read: Callable[..., Any], *known: object) -> Any:
        """What `read` makes of a stream; None where it fails: one stream's fault must not keep the others'
        states."""
        try:
            return read(key.partition("/")[2], *known)
        except Exception as error:
            logger.error("a state cannot be told", topic=self._states.topic, key=key, exc_info=error)
            return None

    async def _publish(self, states: Sequence[_State]) -> None:
        """Publish states, and set the timers that they want."""
        now = self._clock()
        time_, millis = now.isoformat().encode(), int(now.timestamp() * 1000)
        by_lane: dict[int, list[Message]] = {}
        for state in states:
            by_lane.setdefault(self._lane_of(state.key), []).append(self._message(state, time_, millis))
        await asyncio.gather(
            *(self._publisher.publish(self._states.topic, lane, some) for lane, some in by_lane.items())
        )
        timers = [
            TimerRow(self._lane_of(state.key), state.key, name, now)
            for state in states
            for name in state.timers
        ]
        if timers:
            await self._marks.remind(timers)
            self._reminded()

    async def _catch_up(self, lane: int) -> int:
        """Read on in a lane's log; how many rows."""
        self._behind.discard(lane)
        rows = await self._log.unpublished(lane, self._seen[lane], _READ_AT_ONCE)
        if not rows or lane not in self._seen:
            return 0
        for row in rows:
            self._changed.update(partition_key(row.tenant, stream) for stream in self._touched(row))
        self._seen[lane] = max(self._seen[lane], rows[-1].seq)
        self._behind.add(lane)
        return len(rows)

    def _touched(self, row: LogRow) -> Iterable[str]:
        try:
            event = decode(row.type, row.version, row.payload)
        except Unreadable:  # of a newer deployment, whose own processes tell of it
            return ()
        return self._states.touched(event) if isinstance(event, Event) else ()

    def _settle(self, followed: Mapping[int, int]) -> None:
        self._settled |= {lane: at for lane, at in followed.items() if lane in self._seen}

    async def _mark(self) -> None:
        now = time.monotonic()
        if self._settled and now >= self._mark_at:
            self._mark_at = now + _MARK_SECONDS
            await self.mark()

    async def finish(self) -> None:
        """Tell what there is to tell, and store how far that is. Where others go on changing what was told,
        the rest is left to who takes the lanes over."""
        for _ in range(_LAST_TURNS):
            if not await self.turn():
                break
        await self.mark()

    async def mark(self) -> None:
        """Store how far the lanes are followed."""
        settled, self._settled = self._settled, {}
        if settled:
            await self._marks.mark(settled)

    def _message(self, state: _State, time_: bytes, millis: int) -> Message:
        """A state as it travels: CloudEvents headers, without what belongs to a lane's sequence."""
        key, body = state.key, state.body
        tenant, _, stream = key.partition("/")
        id_ = derived_text(_STATES_BYTES, f"{body.TYPE}\x1f{key}\x1f{state.version}")
        headers = [
            *self._headers_of(type(body)),
            ("ce_id", id_.encode()),
            ("ce_subject", stream.encode()),
            ("ce_time", time_),
            ("ce_tenant", tenant.encode()),
        ]
        return key.encode(), encode(body), headers, millis

    def _headers_of(self, kind: type[Contract]) -> list[tuple[str, bytes]]:
        """Headers that all states of a kind have in common."""
        if kind not in self._headers:
            self._headers[kind] = [
                ("ce_specversion", b"1.0"),
                ("ce_source", self._source),
                ("ce_type", kind.TYPE.encode()),
                ("ce_typeversion", b"%d" % kind.VERSION),
                ("ce_dataschema", schema_id(kind.TYPE, kind.VERSION).encode()),
                ("content-type", b"application/json"),
            ]
        return self._headers[kind]
