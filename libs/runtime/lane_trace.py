"""Where a lane of a stage stood, as far as the topics alone tell; pure.

What a stage consumed stands in its database. When that is gone, its own topic still says what every published
event was caused by: whatever lies on a topic up to the last record that caused one was consumed, and all that
it led to was published. What lies beyond is decided again: nobody has heard what it was decided to before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID

from libs.events.catalogue import Unreadable
from libs.events.parked import OfParkedRecord
from libs.runtime.complaint import Complaint
from libs.runtime.lane_digest import LaneDigest
from libs.runtime.log import Parked
from libs.runtime.parking import WAITS_BEHIND, parked_of, told_state
from libs.runtime.reading import Input, NewerEvent, Refusable, Unusable, read
from libs.runtime.replay_order import Causes, LaneStand, hole, own_context
from libs.runtime.stage import Stage
from libs.runtime.wire import Context, Record, body

_RECORD_BYTES_MAX = 12 * 1_048_576
Place = tuple[str, int]
"""Topic and offset."""


@dataclass(slots=True)
class LaneTrace:
    """Offer it the lane's own topic whole, then every topic that it hears; then ask where it stood."""

    stage: Stage
    lane: int
    lane_of: Callable[[str], int]
    first: int = 0
    """`digest` notes what it was after so many events: what an older log is compared with."""
    digest: LaneDigest = field(init=False)
    conflicts: int = 0
    """Records under a sequence that another event had before. Whoever hears them drops them."""
    parked: dict[Place, Parked] = field(default_factory=dict)
    """Records that must wait for a person, as far as the topics tell, and those that did, where the stage
    told what became of them. An older release told nothing: what was discarded then is among them."""
    _causes: Causes = field(default_factory=Causes)
    _ids: list[int] = field(default_factory=list)
    _reached: dict[str, int] = field(default_factory=dict)
    _high_water: dict[str, int] = field(default_factory=dict)
    _commands: set[int] = field(default_factory=set)
    _told: dict[UUID, Parked] = field(default_factory=dict)
    """Parked records by their id, as they stand after all that was told."""
    _sealed: bool = False

    def __post_init__(self) -> None:
        self.digest = LaneDigest(self.first)

    def own(self, record: Record) -> None:
        """The next record of the stage's own topic. Complaint: it leaves a hole."""
        found = own_context(self.stage, record)
        if found is None:
            return
        if found.sequence > len(self._ids) + 1:
            raise hole(found.source, self.lane, len(self._ids) + 1, found.sequence)
        if found.sequence <= len(self._ids):
            self.conflicts += self._ids[found.sequence - 1] != hash(found.id)
            return
        self._ids.append(hash(found.id))
        self._causes.add(found.id, found.causation_id)
        self.digest.record(found, record.value or b"")
        if told_state(found.type) is not None:
            self._note(record, found)

    def heard(self, record: Record) -> None:
        """The next record of a topic that the lane hears, after its own topic was offered whole."""
        if not self._sealed:
            self._causes.seal()
            self._ids, self._sealed = [], True
        headers = dict(record.headers)
        id_ = _uuid(headers.get("ce_id", b""))
        if id_ is not None and not self._is_new(record, headers, id_):
            return
        told = self._told.get(id_) if id_ is not None else None
        if told is not None and told.topic == record.topic:
            self._reached[record.topic] = record.offset + 1
            self.parked[record.topic, record.offset] = replace(told, offset=record.offset)
        elif id_ is not None and self._causes.block(id_, 0) is not None:
            self._reached[record.topic] = record.offset + 1
            self._resolved(record)
        else:
            self._answered_by_nothing(record)

    def stand(self, known: Mapping[str, int], parked: Mapping[Place, str] | None = None) -> LaneStand:
        """Where it stood. `known` are offsets that are certain to have been consumed, with all that they led
        to published; `parked` are states of parked records, in place of what can be told from the topics."""
        offsets = {
            topic: max(self._reached.get(topic, 0), known.get(topic, 0)) for topic in self.stage.topics
        }
        if parked is None:
            parked = {place: row.state for place, row in self.parked.items()}
        before = {place: state for place, state in parked.items() if place[1] < offsets.get(place[0], 0)}
        return LaneStand(self.digest.events, offsets, before)

    def _is_new(self, record: Record, headers: Mapping[str, bytes], id_: UUID) -> bool:
        """Whether the record comes for the first time: a repeat may lie far behind where the stage stood."""
        if record.topic.endswith(".commands"):
            seen = id_.int in self._commands
            self._commands.add(id_.int)
            return not seen
        self._commands.clear()  # their topic comes first, and is over
        source = headers.get("ce_source", b"").decode("utf-8", "replace")
        sequence = headers.get("ce_sequence", b"")
        if not sequence.isdigit():
            return True
        before = self._high_water.get(source, 0)
        self._high_water[source] = max(before, int(sequence))
        return int(sequence) > before

    def _note(self, record: Record, found: Context) -> None:
        """The stage told what became of a record that it had parked."""
        try:
            event = body(found, record.value)
        except Unreadable as error:
            raise _unreadable(record, str(error)) from None
        if isinstance(event, OfParkedRecord) and event.record_id is not None:
            self._told[event.record_id] = parked_of(event, found.tenant)

    def _resolved(self, record: Record) -> None:
        """It was decided: nothing of its key before it on the topic waits any more."""
        key = (record.key or b"").decode("utf-8", "replace")
        for place, row in list(self.parked.items()):
            if row.key == key and row.topic == record.topic and not row.told:
                del self.parked[place]

    def _answered_by_nothing(self, record: Record) -> None:
        try:
            item = read(self.stage, record, record_bytes_max=_RECORD_BYTES_MAX, lane_of=self.lane_of)
        except NewerEvent as newer:
            raise _unreadable(record, str(newer)) from None
        if isinstance(item, Unusable):
            self._park(record, item.key, item.code, item.reason, (item.tenant, item.type), "parked")
        elif isinstance(item, Input | Refusable) and any(
            row.key == item.key and not row.told for row in self.parked.values()
        ):
            found = item.envelope if isinstance(item, Input) else item.found
            type_ = item.envelope.body.TYPE if isinstance(item, Input) else item.found.type
            self._park(record, item.key, "queued", WAITS_BEHIND, (found.tenant, type_), "queued")

    def _park(
        self,
        record: Record,
        key: str,
        code: str,
        why: str,
        whose: tuple[str, str],
        state: Literal["parked", "queued"],
    ) -> None:
        self.parked[record.topic, record.offset] = Parked(
            self.lane,
            key,
            record.topic,
            record.partition,
            record.offset,
            code,
            why[:1000].replace("\x00", "\ufffd"),
            *whose,
            state=state,
        )


def _unreadable(record: Record, why: str) -> Complaint:
    where = f"{record.topic}/{record.partition}@{record.offset}"
    return Complaint(f"{where} cannot be read: {why}.", "Upgrade this installation first.")


def _uuid(text: bytes) -> UUID | None:
    try:
        return UUID(text.decode())
    except ValueError:
        return None
