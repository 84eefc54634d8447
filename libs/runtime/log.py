"""The log: event store and outbox in one, per stage; and what one transaction on it may do.

`Log` has two implementations under one test suite: `libs.runtime.postgres_log`, the real one, and
`libs.runtime.memory_log`, beneath tests and the simulator. All methods raise `Unavailable` when the store
cannot be reached; none retries by itself.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from libs.events.ids import timer_id
from libs.events.record import record

Origin = Literal["decided", "heard"]
TopicPartition = tuple[str, int]
WAITING = ("parked", "queued", "replaying", "discarding")
"""States of a parked record that is yet to be settled."""
Sums = dict[str, dict[tuple[str, ...], list[int]]]
"""Table → key of a row → what to add to each of its quantities."""


@record
class LogRow:
    """One row. `seq` counts from 1 without a gap per (lane, origin); only `decided` rows are relayed.

    `stream_version` counts the rows of the stream, of both origins. `context` holds actor, reason,
    causationid, correlationid, traceparent and, for a heard row, the sender's source, lane and sequence.
    """

    lane: int
    origin: Origin
    seq: int
    event_id: UUID
    tenant: str
    stream: str
    stream_version: int
    type: str
    version: int
    payload: bytes
    context: Mapping[str, Any]
    at: datetime
    """The time that it was decided by: its input's."""
    recorded_at: datetime
    """When it was decided; on the wire, `ce_time`, and so the time that the next stage decides by."""


@record
class Lane:
    """A lane as its owner finds it: what comes next in it. `epoch` fences former owners."""

    epoch: int
    next_decided: int
    next_heard: int


READ_BYTES_MAX = 2 * 1_048_576
"""What is read of a lane's log at once. Stored payloads may be compressed, to a third or less."""


@record
class Mark:
    """How far a lane is published, and its hash chain known: `head` is the one at `chained`. A chain that is
    not known has no head; it begins with the lane."""

    published: int
    chained: int = 0
    head: bytes = b""


@record
class Anchor:
    """A head of a lane's chain, written down for ever."""

    lane: int
    seq: int
    head: bytes
    at: datetime


@record
class Snapshot:
    """A stream's part as stored: the fold of its first `version` rows. None: as the reader knows it."""

    version: int
    part: bytes | None


@record
class Parked:
    """A record that waits for a person, or behind one that does. It stays on its topic: this is where."""

    lane: int
    key: str
    topic: str
    partition: int
    offset: int
    code: str
    reason: str
    tenant: str = ""
    type: str = ""
    id: int = 0
    state: Literal["parked", "queued", "replaying", "discarding", "replayed", "discarded"] = "parked"
    at: datetime | None = None
    record_id: UUID | None = None
    """Its `ce_id`, where it has one."""
    told: int = 0
    """How many rows of the log tell of it (`libs.runtime.parking`), and the sequence of the first."""
    told_seq: int = 0
    decided_by: str = ""
    """Who had it replayed or discarded, and why."""
    note: str = ""


@record
class Handled:
    """A command that has been decided: its digest, and which rows of its lane answered it."""

    tenant: str
    command_id: UUID
    digest: bytes
    lane: int
    first_seq: int
    rows: int


@record
class TimerRow:
    """A reminder of a stream (`key` is tenant/stream); one per (key, name)."""

    lane: int
    key: str
    name: str
    due_at: datetime

    @property
    def id(self) -> UUID:
        """Id of the reminder as asked for. What is decided when it rings is caused by `ids.ring_id`."""
        return timer_id(self.key, self.name, self.due_at)


@record
class EffectRow:
    """Something owed to the outside world, claimed by the stage's sender."""

    lane: int
    effect_id: str
    key: str
    attempts: int = 0


@dataclass(slots=True)
class Writes:
    """Everything that one batch changes, in one transaction."""

    offsets: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)
    """(expected, next): the compare-and-swap."""
    rows: list[LogRow] = field(default_factory=list)
    parts: dict[str, tuple[int, Snapshot]] = field(default_factory=dict)
    """key → (lane, snapshot)."""
    new_parts: dict[str, tuple[int, Snapshot]] = field(default_factory=dict)
    """Those of `parts` whose key has none yet, which is cheaper to write."""
    handled: list[Handled] = field(default_factory=list)
    repeated: list[tuple[str, UUID]] = field(default_factory=list)
    """(tenant, id) of commands that had been decided before; nothing is written of them."""
    high_water: dict[tuple[str, int], int] = field(default_factory=dict)
    """(source, its lane) → the last sequence heard."""
    timers_done: list[TimerRow] = field(default_factory=list)
    """Those that rang. `timers` are set after they are gone. One that was set meanwhile for another moment is
    not gone: who set it may tell of what the ring has not seen."""
    timers: dict[tuple[str, str], TimerRow] = field(default_factory=dict)
    owed: dict[str, EffectRow] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    parked: list[Parked] = field(default_factory=list)
    unparked: dict[int, Parked] = field(default_factory=dict)
    """Parked records that were decided after all, or failed again, by id: as they are now."""
    table_rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    table_sums: Sums = field(default_factory=dict)


class Fenced(Exception):
    """Another has moved on, or this owner without knowing it: an epoch, an offset, a timer or a parked
    record is not what it expects. Roll back, seek."""


class Overtaken(Exception):
    """A stream that several lanes change was changed since it was read. Nothing was written: decide again."""


class Unavailable(Exception):
    """The store cannot be reached, or was cut off, the outcome unknown. Try again from the stored offset."""


class Batch(Protocol):
    """One transaction. Leaving the block without an exception commits it; any exception rolls it back."""

    async def lanes(self, epochs: Mapping[int, int]) -> dict[int, Lane]:
        """Lock these lanes for the transaction. Raises Fenced when an epoch has moved."""

    async def heard(self, lanes: Sequence[int]) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
        """The last sequence heard of each (source, lane), and how many records wait under each key that has
        one parked: later ones queue behind it."""

    async def handled(self, ids: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], bytes]:
        """Digests of those commands, (tenant, id), that were decided before."""

    async def load(
        self, keys: Sequence[str], *, lock: bool, known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        """Snapshots of streams. With `lock`, missing rows are created and all locked in key order.

        `known` are versions that the reader holds: such a part is not sent again (its snapshot has None).
        """

    async def write(self, writes: Writes) -> None:
        """Write everything. Raises Fenced when an offset's compare-and-swap fails, or a timer that rang
        is not there, or a parked record is not to be replayed: that was committed before. Raises Overtaken
        when a part that is to be new is there."""


class Log(Protocol):
    """One stage's log."""

    def batch(self) -> AbstractAsyncContextManager[Batch]:
        """A transaction, whose statements go one by one."""

    async def look(
        self, keys: Sequence[str], known: Mapping[str, int], ids: Sequence[tuple[str, UUID]]
    ) -> tuple[dict[str, Snapshot], dict[tuple[str, UUID], bytes]]:
        """Parts of streams, and digests of commands that were decided before, as they are committed now:
        `snapshots` and `Batch.handled` at once, without a lock."""

    async def commit(self, writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]) -> None:
        """Lock the lanes, and the streams that other lanes change too, in key order; write everything, if
        they are where they are assumed (a stream's version; 0, never written). One transaction.

        Raises Fenced when a lane is elsewhere, and Overtaken when a stream is; else what `Batch.write` does.
        """

    async def claim(self, lanes: Sequence[int]) -> dict[int, int]:
        """Become the owner of lanes: a new epoch each."""

    async def offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to read on; 0 for a partition never read."""

    async def published(self, lanes: Sequence[int]) -> dict[int, Mark]:
        """The relay's cursor: how far each lane is published, and chained."""

    async def unpublished(self, lane: int, after: int, limit: int) -> list[LogRow]:
        """Decided rows of a lane after a sequence, in order: at most `limit`, and of at most `READ_BYTES_MAX`
        of payload as it is stored, but one if there is one."""

    async def mark_published(self, marks: Mapping[int, Mark]) -> None:
        """Move the relay's cursors and chains forward, each by itself; a head stays with its sequence. May be
        lost in a crash: rows are then published and chained again."""

    async def anchor(self, anchors: Sequence[Anchor]) -> None:
        """Write heads down, once each."""

    async def next_anchor(self, lane: int, after: int) -> Anchor | None:
        """The first head of a lane that was written down behind a sequence."""

    async def due(self, lanes: Sequence[int], now: datetime, limit: int) -> list[TimerRow]:
        """Timers that are due, oldest first."""

    async def next_due(self, lanes: Sequence[int]) -> datetime | None:
        """When the next timer of these lanes is due."""

    async def postpone_timer(self, timer: TimerRow, until: datetime) -> None:
        """Ring a timer later, unless it was asked for again, for another moment, since it was read."""

    async def replaying(self, lanes: Sequence[int], limit: int) -> list[Parked]:
        """Parked records that a person asked to be decided again, or to be discarded, in order."""

    async def answer(self, tenant: str, command_id: UUID, digest: bytes = b"") -> list[LogRow] | None:
        """The rows that answered a command, or None while it is undecided.

        `digest` says which command is meant, where the id may have been used for another one.
        """

    async def first(self, tenant: str, stream: str, types: Sequence[str]) -> LogRow | None:
        """The first event of a stream that is of one of these types, of either origin."""

    async def snapshots(
        self, keys: Sequence[str], known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        """Parts of streams, those that exist, as they are committed now; `known` as for `Batch.load`."""

    async def claim_effects(
        self, lanes: Sequence[int], now: datetime, lease_seconds: float, limit: int
    ) -> list[EffectRow]:
        """Effects that are due, claimed for the length of the lease; each claim counts an attempt.

        Those of one key stand in the order in which they were decided, and none is claimed while an earlier
        one of its key is put off, or claimed by a call before. What was seen to wait so may wait as long
        although that one is settled meanwhile.
        """

    async def postpone_effect(self, effect_id: str, until: datetime, *, with_later: bool = False) -> None:
        """Try an effect again later; `with_later`, all behind it of its key as well, whoever claimed them."""


async def commit_in_steps(
    log: Log, writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]
) -> None:
    """`Log.commit`, by the statements of a `Batch`."""
    async with log.batch() as batch:
        if await batch.lanes({number: lane.epoch for number, lane in lanes.items()}) != lanes:
            raise Fenced("a lane is not where this owner left it")
        held = held_of(writes, assumed)
        found = await batch.load(sorted(held), lock=True, known=held)
        if any(found[key].version != version for key, version in held.items()):
            raise Overtaken("a stream was changed since it was read")
        await batch.write(writes)


def held_of(writes: Writes, assumed: Mapping[str, int]) -> dict[str, int]:
    """Of the streams that are assumed to be so, those to lock: what is new is locked by being written."""
    return {key: version for key, version in assumed.items() if key not in writes.new_parts}
