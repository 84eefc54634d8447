"""From a Kafka record to an event of the projection: decoded once, outside the transaction."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, cast

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from libs.events.catalogue import NewerVersion, Unreadable
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import FulfillmentReleased
from libs.events.inventory import AllocationFailed, StockAllocated, StockBackordered, StockReserved
from libs.runtime import wire
from libs.runtime.wire import Context, Record


class UnreadableEvent(NamedTuple):
    """A record that is no event to us: where it stays, and why. Its content is not repeated here."""

    topic: str
    partition: int
    record_offset: int
    code: str
    reason: str


class NewerEvent(Exception):
    """Published by a newer deployment than this one. Its partition waits; upgrade the console first."""


def _without(event: type[Event], names: Collection[str]) -> SchemaValidator:
    """A validator of the event that passes over some of its fields; what it makes lacks them."""
    schema = cast(dict[str, Any], event.__pydantic_core_schema__)
    fields = schema["schema"]["fields"]
    assert fields.keys() >= set(names), f"{event.__name__} lacks one of {names}"
    kept = {name: field for name, field in fields.items() if name not in names}
    lean = schema | {"schema": schema["schema"] | {"fields": kept}}
    # Else pydantic-core takes the validator that the class has already, with all its fields.
    return SchemaValidator(cast(Any, lean), _use_prebuilt=False)


_UNSHOWN: Mapping[type[Event], Collection[str]] = {
    StockReserved: ("availability", "since", "destination", "contact"),
    StockBackordered: ("since", "destination", "contact"),
    StockAllocated: ("destination", "contact"),
    AllocationFailed: ("availability", "destination"),
    FulfillmentReleased: ("destination", "contact"),
}
"""What frequent events carry for the next stage alone, and no read model shows. It need not be looked at."""
_LEAN = {(event.TYPE, event.VERSION): _without(event, names) for event, names in _UNSHOWN.items()}


def _body(found: Context, value: bytes | None) -> Contract:
    lean = _LEAN.get((found.type, found.version))
    if lean is not None:
        try:
            return cast(Contract, lean.validate_json(value or b""))
        except ValidationError:
            pass  # the whole of it is looked at, so that all that is wrong is named
    return wire.body(found, value)


def read(record: Record) -> Envelope[Event] | UnreadableEvent:
    """The event, or why there is none. Raises NewerEvent, which must stop the partition."""
    place = (record.topic, record.partition, record.offset)
    try:
        found = wire.context(record)
        body = _body(found, record.value)
    except NewerVersion as error:
        raise NewerEvent(f"{record.topic}/{record.partition}@{record.offset}: {error}") from None
    except Unreadable as error:
        return UnreadableEvent(*place, error.code, str(error)[:1000].replace("\x00", "\ufffd"))
    if not isinstance(body, Event):
        return UnreadableEvent(*place, "not_an_event", f"{found.type} is a command")
    if found.sequence < 1 or found.lane != record.partition:
        return UnreadableEvent(
            *place, "bad_headers", "an event needs ce_lane (its partition) and ce_sequence"
        )
    return found.envelope(body)
