"""In which order a lane's own events and what it heard happened, as far as the topics tell; pure.

The lane's own topic gives its own events in their order. What a foreign topic says stands where it must have
stood: right before the events that it caused, else as early as its place on its topic allows, and not before
an own event that it answers. Among what is then still open the order does not matter to a decider: topics
have no order among each other (DESIGN, "No order across topics").
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from libs.events.catalogue import Unreadable
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.runtime import wire
from libs.runtime.complaint import Complaint
from libs.runtime.log import WAITING
from libs.runtime.reading import Input, NewerEvent, Refusable, Unheard, Unusable, read
from libs.runtime.stage import Stage
from libs.runtime.wire import Record

_NEVER_DECIDED = (*WAITING, "discarded")
_RECORD_BYTES_MAX = 12 * 1_048_576


@dataclass(frozen=True, slots=True)
class Own:
    """One of the stage's own events, as published; `version` is that of the payload's form."""

    envelope: Envelope[Event]
    version: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of another stage, or (with a digest, without a body) a command."""

    id: UUID
    tenant: str
    causation_id: UUID
    at: datetime
    key: str
    envelope: Envelope[Contract] | None
    digest: bytes = b""
    topic: str = ""
    offset: int = -1


@dataclass(frozen=True, slots=True)
class LaneStand:
    """How far a lane had come: its last own sequence, and by topic the offset to read next."""

    last_decided: int
    offsets: Mapping[str, int]
    parked: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """(topic, offset) → state, of records that had to be parked."""


class Causes:
    """Which input caused which of a lane's own events, by sequence from 1. About 30 bytes an event."""

    def __init__(self) -> None:
        self._ids, self._causes = array("Q"), array("Q")
        self._id_sequences, self._cause_sequences = array("L"), array("L")

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, event_id: UUID, causation_id: UUID) -> None:
        """The lane's next own event."""
        self._ids.append(event_id.int >> 64)
        self._causes.append(causation_id.int >> 64)

    def seal(self) -> None:
        """All events are in; questions may be asked."""
        self._ids, self._id_sequences = _sorted(self._ids)
        self._causes, self._cause_sequences = _sorted(self._causes)

    def sequence_of(self, event_id: UUID) -> int:
        """An own event's sequence; 0 for an id that is none."""
        wanted = event_id.int >> 64
        place = bisect_left(self._ids, wanted)
        found = place < len(self._ids) and self._ids[place] == wanted
        return self._id_sequences[place] if found else 0

    def block(self, cause: UUID, after: int) -> tuple[int, int] | None:
        """First and last sequence of what an input caused in one go, beyond sequence `after`."""
        wanted = cause.int >> 64
        first = last = 0
        for place in range(bisect_left(self._causes, wanted), bisect_right(self._causes, wanted)):
            sequence = self._cause_sequences[place]
            if sequence > after and (not first or sequence == last + 1):
                first, last = first or sequence, sequence
        return (first, last) if first else None


def _sorted(values: "array[int]") -> tuple["array[int]", "array[int]"]:
    """The values in order, and where each stood, from 1."""
    order = sorted(range(len(values)), key=values.__getitem__)
    return array("Q", (values[place] for place in order)), array("L", (place + 1 for place in order))


@dataclass(slots=True)
class _Queue:
    """What a topic says to the lane, in order.

    `due` is for its head: whether it caused own events, and the own sequence before which it is folded.
    """

    topic: str
    items: deque[Heard] = field(default_factory=deque)
    due: tuple[bool, int] | None = None


class Hungry(Exception):
    """The next step depends on a partition of which nothing is in hand: read on there."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic


class LaneOrder:
    """One lane: offer records of its topics, then ask what comes next until nothing does."""

    def __init__(self, stage: Stage, lane: int, stand: LaneStand, causes: Causes) -> None:
        self.lane, self.applied, self.high_water = lane, 0, dict[str, int]()
        self.offsets = {stage.topic: 0} | dict.fromkeys(stand.offsets, 0)
        # What is heard is kept whole in the log, so it is read whole.
        self._stage, self._stand, self._causes = replace(stage, lean={}), stand, causes
        self.fresh: list[Envelope[Contract]] = []
        """What was offered since whoever folds it last looked here."""
        self._own: deque[Own] = deque()
        self._offered = 0
        self._queues = {topic: _Queue(topic) for topic in stand.offsets}
        self._block: tuple[UUID, datetime] | None = None

    @property
    def done(self) -> bool:
        """Whether all has been folded, own and heard."""
        return (
            self.applied == self._stand.last_decided
            and not any(queue.items for queue in self._queues.values())
            and all(self._ended(topic) for topic in self._stand.offsets)
        )

    def offer(self, record: Record) -> None:
        """The next record of one of the lane's topics. Complaint: it leaves a hole, or cannot be read."""
        self.offsets[record.topic] = record.offset + 1
        if record.topic == self._stage.topic:
            self._offer_own(record)
        elif record.offset < self._stand.offsets[record.topic]:
            self._offer_heard(record)

    def heard(self) -> Heard | None:
        """What must be folded before the next own event; `take` it then. Raises Hungry."""
        if self._continues():
            return None
        queue = self._first_due()
        return queue.items[0] if queue else None

    def take(self) -> tuple[Heard, tuple[int, int] | None]:
        """The same, now folded; with the sequences of the own events that it caused."""
        queue = self._first_due()
        assert queue is not None, "nothing is due"
        heard = queue.items.popleft()
        queue.due = None
        block = self._causes.block(heard.id, self.applied)
        if block is not None:
            self._block = heard.id, heard.at
        return heard, block

    def own(self) -> Own | None:
        """The next own event; None after the last. Raises Hungry."""
        if self.applied == self._stand.last_decided:
            return None
        if not self._own:
            raise Hungry(self._stage.topic)
        return self._own[0]

    def decided_at(self, own: Own) -> datetime | None:
        """The time of the input that caused it; None when the topics do not hold it (a timer)."""
        block = self._block
        return block[1] if block is not None and block[0] == own.envelope.causation_id else None

    def take_own(self, at: datetime) -> None:
        """The next own event is folded; it was decided by `at`, as is what the same input caused after it."""
        own = self._own.popleft()
        self.applied += 1
        self._block = own.envelope.causation_id, at

    def waiting(self) -> Iterable[Envelope[Contract]]:
        """All that was offered and is not folded yet."""
        yield from (own.envelope for own in self._own)
        for queue in self._queues.values():
            yield from (heard.envelope for heard in queue.items if heard.envelope is not None)

    def _continues(self) -> bool:
        """Whether the next own event is of the same decision as the last: nothing was heard between them."""
        own = self.own()
        return own is not None and self._block is not None and self._block[0] == own.envelope.causation_id

    def _first_due(self) -> _Queue | None:
        """The queue whose head comes next, before the next own event; first what caused none of those."""
        found, best = None, (True, self.applied + 2)
        for queue in self._queues.values():
            if not queue.items:
                if queue.topic in self.offsets and not self._ended(queue.topic):
                    raise Hungry(queue.topic)
                continue
            if queue.due is None:
                queue.due = self._due(queue.items[0])
            if queue.due[1] < self.applied + 2 and queue.due < best and not self._waits(queue):
                found, best = queue, queue.due
        return found

    def _waits(self, queue: _Queue) -> bool:
        """Whether a queue's head was parked, and records of its key that came before it are yet to be folded:
        they had been, when it was replayed."""
        head = queue.items[0]
        others = self._queues[head.topic]
        if others is queue:
            return False
        return any(heard.key == head.key and heard.offset < head.offset for heard in others.items)

    def _due(self, heard: Heard) -> tuple[bool, int]:
        block = self._causes.block(heard.id, self.applied)
        if block is not None:
            return True, block[0]
        answered = self._causes.sequence_of(heard.causation_id)
        return False, answered + 1 if answered else 0

    def _ended(self, topic: str) -> bool:
        return self.offsets[topic] >= self._stand.offsets[topic]

    def _offer_own(self, record: Record) -> None:
        found = own_context(self._stage, record)
        if found is None or not self._offered < found.sequence <= self._stand.last_decided:
            return
        if found.sequence != self._offered + 1:
            raise hole(found.source, record.partition, self._offered + 1, found.sequence)
        self._offered = found.sequence
        try:
            body = wire.body(found, record.value)
        except Unreadable as error:
            raise _unreadable(record, str(error)) from None
        if not isinstance(body, Event):
            raise _unreadable(record, f"{found.type} is no event")
        envelope = found.envelope(body)
        self._own.append(Own(envelope, found.version, record.value or b""))
        self.fresh.append(envelope)

    def _offer_heard(self, record: Record) -> None:
        try:
            item = read(self._stage, record, record_bytes_max=_RECORD_BYTES_MAX, lane_of=lambda _: self.lane)
        except NewerEvent as newer:
            raise _unreadable(record, str(newer)) from None
        place = (record.topic, record.offset)
        match item:
            case Unheard() | Unusable():
                if item.sequence:
                    self._is_new(item.source, item.sequence)
            case Refusable():
                found = item.found
                heard = Heard(found.id, found.tenant, found.id, found.at, item.key, None, item.digest, *place)
                self._enqueue(record, heard)
            case Input():
                envelope = item.envelope
                if item.kind == "event" and not self._is_new(envelope.source, envelope.sequence):
                    return
                body = envelope if item.kind == "event" else None
                cause = envelope.causation_id if body else envelope.id
                heard = Heard(
                    envelope.id, envelope.tenant, cause, envelope.at, item.key, body, item.digest, *place
                )
                self._enqueue(record, heard)

    def _enqueue(self, record: Record, heard: Heard) -> None:
        """Behind its topic's others; what was parked first and decided later, behind those of its key."""
        state = self._stand.parked.get((record.topic, record.offset), "")
        if state in _NEVER_DECIDED:
            return
        aside = f"{record.topic} {heard.key}"
        waits = self._queues.get(aside)
        name = aside if state == "replayed" or (waits and waits.items) else record.topic
        self._queues.setdefault(name, _Queue(name)).items.append(heard)
        if heard.envelope is not None:
            self.fresh.append(heard.envelope)

    def _is_new(self, source: str, sequence: int) -> bool:
        before = self.high_water.get(source, 0)
        if sequence > before + 1:
            raise hole(source, self.lane, before + 1, sequence)
        self.high_water[source] = max(before, sequence)
        return sequence > before


def own_context(stage: Stage, record: Record) -> wire.Context | None:
    """The headers of one of the stage's own events; None for a record that it did not write."""
    try:
        found = wire.context(record)
    except wire.BadHeaders:
        return None
    mine = found.source == f"orderlog/{stage.name}" and found.lane == record.partition
    return found if mine and found.sequence else None


def hole(source: str, lane: int, expected: int, found: int | None) -> Complaint:
    """What a sender's lane lacks, by lane and sequence."""
    what = "nothing follows" if found is None else f"{found} follows"
    return Complaint(
        f"The topics have a hole: {source} lane {lane} lacks sequence {expected} ({what}).",
        "Was a topic deleted or its retention shortened? The sender's log still holds the event:"
        " orderlog recover kafka --from log",
    )


def _unreadable(record: Record, why: str) -> Complaint:
    return Complaint(
        f"{record.topic}/{record.partition}@{record.offset} cannot be read: {why}.",
        "Upgrade this installation if it is older than what wrote the record; else see the topic's record.",
    )
