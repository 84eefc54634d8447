"""Parked records, and their rows in the stage's log, which tells what becomes of them as it happens.

Pure. A record's stream is its own (`parked/<lane>-<sequence>`) and has no part: nothing is decided from it.
An event's place in it stands in the event, so that whoever makes the log anew from the topic needs nothing
else. It is caused by nothing: what a record caused tells that it was decided (`libs.runtime.lane_trace`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from libs.events.catalogue import encode
from libs.events.ids import derived
from libs.events.parked import (
    NOBODY,
    OfParkedRecord,
    RecordDiscarded,
    RecordParked,
    RecordQueued,
    RecordReplayed,
)
from libs.events.record import record
from libs.runtime.log import LogRow, Parked
from libs.runtime.reading import Discarded, Input, Item, Refusable, Unheard, Unusable
from libs.runtime.wire import Record

Told = Literal["parked", "queued", "replayed", "discarded"]
_TOLD = UUID("b0a4d2a6-63f1-5d0e-8a51-0f3c7f5c9e21").bytes
_BY_STATE: Mapping[str, type[OfParkedRecord]] = {
    "parked": RecordParked,
    "queued": RecordQueued,
    "replayed": RecordReplayed,
    "discarded": RecordDiscarded,
}
_STATES: Mapping[str, Told] = {kind.TYPE: cast(Told, state) for state, kind in _BY_STATE.items()}
_BY_ITSELF = "orderlog"
WAITS_BEHIND = "waits behind an earlier record of its key"


@record
class Place:
    """Where an item was read, for a record that must be parked; offset -1 for a timer."""

    topic: str
    partition: int
    offset: int
    parked: Parked | None = None
    """Of a parked record that is being replayed."""


def parked(item: Unusable, place: Place) -> Parked:
    """A record that waits for a person."""
    at = (place.topic, place.partition, place.offset)
    about = (item.code, reason_of(item), item.tenant, item.type)
    return Parked(item.lane, item.key, *at, *about, record_id=item.id)


def queued(item: Input | Refusable, place: Place) -> Parked:
    """One that waits behind it."""
    at = (place.topic, place.partition, place.offset)
    if isinstance(item, Input):
        heard = item.envelope
        about = (heard.tenant, heard.body.TYPE)
    else:
        about = (item.found.tenant, item.found.type)
    id_ = item.envelope.id if isinstance(item, Input) else item.found.id
    return Parked(item.lane, item.key, *at, "queued", WAITS_BEHIND, *about, state="queued", record_id=id_)


def failed(record: Record, item: Item, error: Exception) -> Unusable:
    """A record of which the decision failed."""
    why = f"the decision failed: {type(error).__name__}; see the stage's log"
    match item:
        case Input():
            heard = item.envelope
            sequence = heard.sequence if item.kind == "event" else 0
            about = (heard.tenant, heard.body.TYPE, heard.source, sequence, heard.id)
            return Unusable(record.partition, item.key, "failed", why, *about)
        case Refusable():
            found = item.found
            about = (found.tenant, found.type, "", 0, found.id)
            return Unusable(record.partition, item.key, "failed", why, *about)
        case Unusable():
            return replace(item, code="failed", reason=why, source="", sequence=0)
        case Unheard() | Discarded():
            return Unusable(record.partition, f"?{record.topic}/{record.offset}", "failed", why)


def reason_of(item: Unusable) -> str:
    """Why it is parked, as the tables can hold it."""
    return item.reason[:1000].replace("\x00", "\ufffd")


def told(row: Parked, sequence: int) -> Parked:
    """The record once its next event is told, at this sequence of its lane."""
    return replace(row, told=row.told + 1, told_seq=row.told_seq or sequence)


def told_row(stage: str, row: Parked, sequence: int, waiting: int, at: datetime) -> LogRow:
    """The log row that tells what became of a record, already `told`: by its state, by whom and why, and how
    many wait under its key from then on."""
    parked_id = f"{row.lane}-{row.told_seq}"
    said: dict[str, Any] = {
        "parked_id": parked_id,
        "parked_key": row.key,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset if row.offset >= 0 else None,
        "record_id": row.record_id,
        "record_type": row.type or None,
        "turn": row.told,
        "waiting": waiting,
    }
    if row.state == "parked":
        said |= {"code": row.code, "problem": row.reason}
    event = _BY_STATE[row.state](**said)
    about = f"{stage}/{parked_id}/{row.topic}/{row.partition}/{row.offset}"
    id_ = UUID(bytes=derived(_TOLD, f"{about}/{row.told}"))
    decided = row.state in ("replayed", "discarded") and bool(row.decided_by)
    context: dict[str, Any] = {
        "actor": row.decided_by if decided else _BY_ITSELF,
        "reason": row.note if decided else "",
        "causationid": str(id_),
        "correlationid": str(UUID(bytes=derived(_TOLD, about))),
        "traceparent": "",
    }
    return LogRow(
        row.lane,
        "decided",
        sequence,
        id_,
        row.tenant or NOBODY,
        event.stream,
        row.told,
        event.TYPE,
        event.VERSION,
        encode(event),
        context,
        at,
        at,
    )


def told_state(type_: str) -> Told | None:
    """How a parked record stands of which an event of this type tells; None for all other types."""
    return _STATES.get(type_)


def parked_of(event: OfParkedRecord, tenant: str) -> Parked:
    """The record as it stands once the event is told, as far as that one says."""
    lane, _, sequence = event.parked_id.partition("-")
    return Parked(
        int(lane),
        event.parked_key,
        event.topic,
        event.partition,
        -1 if event.offset is None else event.offset,
        event.code if isinstance(event, RecordParked) else "queued",
        event.problem if isinstance(event, RecordParked) else WAITS_BEHIND,
        "" if tenant == NOBODY else tenant,
        event.record_type or "",
        state=_STATES[event.TYPE],
        record_id=event.record_id,
        told=event.turn,
        told_seq=int(sequence),
    )
