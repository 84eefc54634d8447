"""Whose event it is: the stage that published it, the order whose life it belongs to."""

from collections.abc import Mapping

from libs.events.catalogue import EVENTS
from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.parked import PARKED_EVENTS
from libs.events.refusal import CommandRefused

_OF_ANY = {CommandRefused, *PARKED_EVENTS}
STAGE_OF: Mapping[str, str] = {
    event.TYPE: stage for stage, events in EVENTS.items() for event in events if event not in _OF_ANY
}
"""Event type → the stage that publishes it. What any of them may (refusals, parked records) is missing here.

Also the cheap way to the right group of types: `match` over pydantic classes costs half a microsecond a miss.
"""


def stage_of(envelope: Envelope[Event]) -> str:
    """The stage that published it; of what any may say, its sender alone tells (`orderlog/<stage>`)."""
    return STAGE_OF.get(envelope.body.TYPE) or envelope.source.rpartition("/")[2]


def order_of(envelope: Envelope[Event]) -> str | None:
    """The order that the event belongs to; none for a SKU's, the nodes' or a configuration's stream."""
    stream = envelope.stream
    return None if "/" in stream or "." in stream or stream == "nodes" else stream
