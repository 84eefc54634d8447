"""Days on which a node can ship no more than is promised, as inventory told them last: dates pass over them.

Pure. All of a node is told by one lane, in order, so the last that was told counts.
"""

from datetime import datetime
from typing import Any, NamedTuple

from libs.events.dates import NodeDaysFull
from libs.events.envelope import Envelope

FULL_DAYS_EVENT = NodeDaysFull.TYPE


class FullDaysKey(NamedTuple):
    """A node of a tenant."""

    tenant: str
    node: str


class FullDays(NamedTuple):
    """`days`: in the node's time zone, in order, as ISO 8601 with commas between."""

    days: str
    told_at: datetime


def full_days(envelope: Envelope[Any]) -> tuple[FullDaysKey, FullDays]:
    """What the event tells."""
    event = envelope.body
    days = ",".join([day.isoformat() for day in event.full])
    return FullDaysKey(envelope.tenant, event.node), FullDays(days, envelope.at)
