"""From a Kafka record to an event of the projection: decoded once, outside the transaction."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from libs.events.catalogue import EVENTS, NewerVersion, Unreadable
from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import FulfillmentReleased
from libs.events.inventory import AllocationFailed, StockAllocated, StockBackordered, StockReserved
from libs.events.lean import lean
from libs.events.routing import RoutingHeld
from libs.runtime import wire
from libs.runtime.wire import Record
from services.console.storable import storable


class UnreadableEvent(NamedTuple):
    """A record that is no event to us: where it stays, and why. Its content is not repeated here."""

    topic: str
    partition: int
    record_offset: int
    code: str
    reason: str


class NewerEvent(Exception):
    """Published by a newer deployment than this one. Its partition waits; upgrade the console first."""


_UNSHOWN: Mapping[type[Event], Collection[str]] = {
    StockReserved: (
        "availability",
        "since",
        "destination",
        "contact",
        "channel",
        "terms",
        "policy",
        "bundles",
        "service",
        "queue",
        "places",
        "served",
    ),
    StockBackordered: ("destination", "contact", "channel", "terms", "service", "queue", "places", "served"),
    StockAllocated: ("destination", "contact", "bundles", "service", "loads"),
    AllocationFailed: ("availability", "destination"),
    RoutingHeld: ("lines", "availability", "destination", "promised", "capacity", "service"),
    FulfillmentReleased: ("destination", "contact", "bundles", "service"),
}
"""What frequent events carry for the next stage alone, and no read model shows. It need not be looked at."""
_LEAN = lean(
    {event: _UNSHOWN.get(event, ()) for events in EVENTS.values() for event in events}, plain_values=True
)


def read(record: Record) -> Envelope[Event] | UnreadableEvent:
    """The event, or why there is none. Raises NewerEvent, which must stop the partition."""
    place = (record.topic, record.partition, record.offset)
    try:
        found = wire.context(record)
        body = wire.body(found, record.value, _LEAN)
    except NewerVersion as error:
        raise NewerEvent(f"{record.topic}/{record.partition}@{record.offset}: {error}") from None
    except Unreadable as error:
        return UnreadableEvent(*place, error.code, storable(str(error)[:1000]))
    if not isinstance(body, Event):
        return UnreadableEvent(*place, "not_an_event", f"{found.type} is a command")
    if found.sequence < 1 or found.lane != record.partition:
        return UnreadableEvent(
            *place, "bad_headers", "an event needs ce_lane (its partition) and ce_sequence"
        )
    return found.envelope(body)
