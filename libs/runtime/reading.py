"""From a Kafka record to what a stage can decide: once, outside the transaction, without side effects.

Nothing is dropped here. A record is one of: an input to decide; an event of a type that the stage does not
hear (its sequence still counts); a command that can be refused by name; or something to park.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Literal
from uuid import UUID

from libs.events.catalogue import BY_TYPE, COMMANDS, NewerVersion, Unreadable
from libs.events.contract import Contract
from libs.events.envelope import Envelope
from libs.events.ids import ring_id
from libs.events.parked import NOBODY
from libs.events.record import record
from libs.events.timer import TimerDue
from libs.runtime.log import TimerRow
from libs.runtime.stage import Stage
from libs.runtime.wire import BadHeaders, Context, Record, body, context

Kind = Literal["command", "event", "timer"]
_SEQUENCE_DIGITS_MAX = 18
_STREAM_LENGTH_MAX = 256
"""As `CommandRefused.refused_stream` has it: a longer one could not be answered."""


@record
class Input:
    """Something to decide."""

    kind: Kind
    lane: int
    key: str
    envelope: Envelope[Contract]
    digest: bytes = b""
    """Of a command's type, stream and payload: tells a repeat from another command under its id."""
    raw: bytes = b""
    """An event's payload as it came, where it came in the latest version."""


@record
class Unheard:
    """An event that the stage has no use for. Only its place in its sender's lane matters."""

    lane: int
    source: str
    sequence: int


@record
class Refusable:
    """A command that cannot be understood, from somebody who can be told."""

    lane: int
    key: str
    found: Context
    code: str
    reason: str
    digest: bytes


@record
class Unusable:
    """A record to park. `key` is its own, or one that nobody else has where it must not block others."""

    lane: int
    key: str
    code: str
    reason: str
    tenant: str = ""
    type: str = ""
    source: str = ""
    sequence: int = 0
    id: UUID | None = None


@record
class Discarded:
    """A parked record that a person gives up."""

    lane: int


Item = Input | Unheard | Refusable | Unusable | Discarded


class NewerEvent(Exception):
    """An event of a version that this deployment does not know: upgrade it first; the partition waits."""


def read(stage: Stage, record: Record, *, record_bytes_max: int, lane_of: Callable[[str], int]) -> Item:
    """What a record is to the stage. Raises NewerEvent, which must stop the partition."""
    is_command = record.topic.endswith(".commands")
    headers = dict(record.headers)
    if not is_command:
        unheard = _unheard(stage, record.partition, headers)
        if unheard is not None:
            return unheard
    lane, own_key = record.partition, f"?{record.topic}/{record.partition}/{record.offset}"
    try:
        found = context(record, headers)
    except BadHeaders as error:
        return Unusable(lane, own_key, error.code, str(error))
    key = (record.key or b"").decode()
    if is_command:
        return _command(stage, record, found, key, own_key, record_bytes_max, lane_of)
    if found.sequence < 1 or found.lane != lane:
        return Unusable(
            lane, own_key, "bad_headers", "an event needs ce_lane (its partition) and ce_sequence"
        )
    try:
        understood = body(found, record.value, stage.lean)
        raw = (record.value or b"") if found.version == understood.VERSION else b""
        return Input("event", lane, key, found.envelope(understood), raw=raw)
    except NewerVersion as error:
        raise NewerEvent(f"{error}; upgrade this stage before the one that publishes it") from None
    except Unreadable as error:
        return Unusable(
            lane,
            key,
            error.code,
            str(error),
            found.tenant,
            found.type,
            found.source,
            found.sequence,
            found.id,
        )


def asks_nothing(stage: Stage, record: Record) -> bool:
    """Whether a record is an event that the stage has no use for."""
    if record.topic.endswith(".commands"):
        return False
    return _unheard(stage, record.partition, dict(record.headers)) is not None


def _unheard(stage: Stage, lane: int, found: dict[str, bytes]) -> Unheard | None:
    """The cheap way past events of other types; None when the record needs a closer look."""
    type_, source, sequence = found.get("ce_type"), found.get("ce_source"), found.get("ce_sequence")
    if type_ is None or source is None or sequence is None:
        return None
    if not sequence.isdigit() or len(sequence) > _SEQUENCE_DIGITS_MAX:
        return None
    if type_.decode("utf-8", "replace") in stage.hears:
        return None
    return Unheard(lane, source.decode("utf-8", "replace"), int(sequence))


def command_digest(type_: str, value: bytes) -> bytes:
    """What tells a command from another one under its id."""
    return blake2b(value, digest_size=16, key=type_.encode()[:64], person=b"command").digest()


def _command(
    stage: Stage,
    record: Record,
    found: Context,
    key: str,
    own_key: str,
    record_bytes_max: int,
    lane_of: Callable[[str], int],
) -> Item:
    lane, value = record.partition, record.value or b""
    if lane_of(key) != lane:
        reason = f"key {key!r} belongs to partition {lane_of(key)}; use Kafka's default (murmur2) partitioner"
        return Unusable(lane, own_key, "misrouted", reason, found.tenant, found.type, id=found.id)
    if len(found.stream) > _STREAM_LENGTH_MAX:
        reason = f"ce_subject has {len(found.stream)} characters; {_STREAM_LENGTH_MAX} are allowed"
        return Unusable(lane, own_key, "bad_headers", reason, found.tenant, found.type, id=found.id)
    if found.tenant == NOBODY:
        reason = f"ce_tenant is {NOBODY}, which is kept for what belongs to no tenant; name the command's own"
        return Unusable(lane, own_key, "bad_headers", reason, "", found.type, id=found.id)
    digest = command_digest(found.type, value)

    def refused(code: str, reason: str) -> Refusable:
        return Refusable(lane, key, found, code, reason, digest)

    if len(value) > record_bytes_max:
        return refused("too_large", f"the payload has {len(value)} bytes; {record_bytes_max} are allowed")
    contract = BY_TYPE.get(found.type)
    if contract is None or contract not in COMMANDS[stage.name]:
        return refused("unknown_type", f"{found.type!r} is no command of {stage.name}")
    try:
        understood = body(found, value)
    except Unreadable as error:
        return refused(error.code, str(error))
    if understood.stream != found.stream:
        return refused(
            "wrong_stream", f"ce_subject is {found.stream!r}, the payload's is {understood.stream!r}"
        )
    return Input("command", lane, key, found.envelope(understood), digest)


def timer_input(timer: TimerRow) -> Input:
    """A due timer, as an input of its stream; `rung` gives it the id that its answers are derived from."""
    tenant, _, stream = timer.key.partition("/")
    id_ = timer.id
    due = TimerDue(timer_stream=stream, name=timer.name)
    envelope: Envelope[TimerDue] = Envelope(
        id_, tenant, stream, due, timer.due_at, "orderlog", f"timer {timer.name}", id_, id_, "orderlog/timer"
    )
    return Input("timer", timer.lane, timer.key, envelope)


def rung(item: Input, stage: str, sequence: int) -> Input:
    """A due timer as it rings where the lane's next event has this sequence."""
    heard = item.envelope
    id_ = ring_id(heard.id, stage, item.lane, sequence)
    return replace(item, envelope=replace(heard, id=id_, causation_id=id_, correlation_id=id_))


def commands_of(items: Iterable[Item]) -> dict[tuple[str, UUID], list[bytes]]:
    """(tenant, id) of the commands among the items, and the digests under each."""
    found: dict[tuple[str, UUID], list[bytes]] = {}
    for item in items:
        if isinstance(item, Refusable):
            found.setdefault((item.found.tenant, item.found.id), []).append(item.digest)
        elif isinstance(item, Input) and item.kind == "command":
            found.setdefault((item.envelope.tenant, item.envelope.id), []).append(item.digest)
    return found
