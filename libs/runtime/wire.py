"""Records on the wire: CloudEvents 1.0 in Kafka binary mode, both ways.

Headers carry the context attributes (`ce_` prefix, Kafka protocol binding 3.2.1), the value carries the
payload. Extensions: typeversion, tenant, actor, reason, causationid, correlationid, lane, sequence,
partitionkey; traceparent as the distributed tracing extension.
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID

from libs.events.catalogue import Unreadable
from libs.events.contract import Contract
from libs.events.envelope import Envelope
from libs.events.ids import TENANT
from libs.events.lean import Lean, decode_lean
from libs.events.record import record

Headers = Sequence[tuple[str, bytes]]
_WHOLE: Lean = {}
B = TypeVar("B", bound=Contract)


@record
class Record:
    """One Kafka record, whichever client read it. `timestamp_ms` is the broker's or producer's."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int = 0


class BadHeaders(Unreadable):
    """The context attributes are missing or wrong, so that nobody can be told."""

    code = "bad_headers"


@record
class Context:
    """The context attributes of a record, before its payload is looked at."""

    id: UUID
    source: str
    type: str
    version: int
    tenant: str
    stream: str
    at: datetime
    actor: str
    reason: str
    causation_id: UUID
    correlation_id: UUID
    lane: int
    sequence: int
    traceparent: str

    def envelope(self, body: B) -> Envelope[B]:
        """The record's envelope around its payload."""
        return Envelope(
            self.id,
            self.tenant,
            self.stream,
            body,
            self.at,
            self.actor,
            self.reason,
            self.causation_id,
            self.correlation_id,
            self.source,
            self.lane,
            self.sequence,
            self.traceparent,
        )


def context(record: Record, found: dict[str, bytes] | None = None) -> Context:
    """The context attributes in a record's headers. Raises BadHeaders: which one, and what it should hold.

    `found` are the headers as a dict, from whoever has them already.
    """
    if found is None:
        found = dict(record.headers)
    try:
        id_: UUID = FastUUID(_text(found, "ce_id"))
        causation, correlation = found.get("ce_causationid"), found.get("ce_correlationid")
        stream = _text(found, "ce_subject")
        tenant = _tenant(found.get("ce_tenant"))
        if record.key != b"%s/%s" % (found["ce_tenant"], found["ce_subject"]):
            raise BadHeaders("the record's key must be <ce_tenant>/<ce_subject>")
        get = found.get
        return Context(
            id_,
            _name("ce_source", get("ce_source")),
            _name("ce_type", get("ce_type")),
            int(get("ce_typeversion", b"1")),
            tenant,
            stream,
            _time(_text(found, "ce_time")),
            get("ce_actor", b"").decode(),
            get("ce_reason", b"").decode(),
            FastUUID(causation.decode()) if causation else id_,
            FastUUID(correlation.decode()) if correlation else id_,
            int(get("ce_lane", b"0")),
            int(get("ce_sequence", b"0")),
            get("traceparent", b"").decode(),
        )
    except UnicodeDecodeError as error:
        raise BadHeaders(f"a header is not UTF-8: {error.reason}") from None
    except (ValueError, OverflowError) as error:
        raise BadHeaders(f"a header has the wrong form: {error}") from None
    except (AttributeError, TypeError):
        raise BadHeaders("a header has no value: leave it out instead") from None


def body(found: Context, value: bytes | None, readers: Lean = _WHOLE) -> Contract:
    """The payload, upcast and validated; lean where `readers` say so. Raises catalogue.Unreadable."""
    return decode_lean(found.type, found.version, value or b"", readers)


def headers(envelope: Envelope[Contract]) -> list[tuple[str, bytes]]:
    """Context attributes of an envelope that is about to be published."""
    contract = envelope.body
    found = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(envelope.id).encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_type", contract.TYPE.encode()),
        ("ce_typeversion", b"%d" % contract.VERSION),
        ("ce_subject", envelope.stream.encode()),
        ("ce_time", envelope.at.isoformat().encode()),
        ("ce_dataschema", f"urn:orderlog:schema:{contract.TYPE}.v{contract.VERSION}".encode()),
        ("content-type", b"application/json"),
        ("ce_tenant", envelope.tenant.encode()),
        ("ce_causationid", str(envelope.causation_id).encode()),
        ("ce_correlationid", str(envelope.correlation_id).encode()),
    ]
    if envelope.sequence:
        found += [("ce_lane", b"%d" % envelope.lane), ("ce_sequence", b"%d" % envelope.sequence)]
    optional = (
        ("ce_actor", envelope.actor),
        ("ce_reason", envelope.reason),
        ("traceparent", envelope.traceparent),
    )
    found += [(name, text.encode()) for name, text in optional if text]
    return found


def _text(found: dict[str, bytes], name: str) -> str:
    return _checked(name, found.get(name))


def _checked(name: str, value: bytes | None) -> str:
    if not value:
        raise BadHeaders(f"header {name} is missing")
    if len(value) > 512:
        raise BadHeaders(f"header {name} is longer than 512 bytes")
    text = value.decode()
    if "\x00" in text:
        raise BadHeaders(f"header {name} holds a NUL byte")
    return text


@lru_cache(maxsize=4096)
def _name(name: str, value: bytes | None) -> str:
    """A header of which there are few different values."""
    return _checked(name, value)


@lru_cache(maxsize=4096)
def _tenant(value: bytes | None) -> str:
    tenant = _checked("ce_tenant", value)
    if not TENANT.fullmatch(tenant):
        raise BadHeaders("ce_tenant must match [a-z0-9][a-z0-9-]{0,31}")
    return tenant


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is UTC:
        return at
    if at.tzinfo is None:
        raise BadHeaders("ce_time needs a time zone")
    return at.astimezone(UTC)
