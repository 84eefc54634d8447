"""What people did about exceptions of stock: who has one, until when it is put off, whether it is settled.

Pure. Care is of an item of a SKU or a feed as it was opened at one moment: when it comes up again, nobody has
done anything about it yet. What intake tells of one of them comes in order, so of each thing the last that
was told counts.
"""

from datetime import datetime
from typing import Any, NamedTuple, TypeVar, assert_never

from libs.events.care import PutOff, SeenTo, Taken
from libs.events.envelope import Envelope
from libs.events.stock_exceptions import STOCK_EXCEPTION_EVENTS, OnFeedException
from services.console.supply_items import NO_SKU

STOCK_CARE_EVENTS = frozenset(event.TYPE for event in STOCK_EXCEPTION_EVENTS)


class StockCareKey(NamedTuple):
    """An item of a SKU, or of a feed, which has none, and since when it lasts."""

    tenant: str
    sku: str
    item: str
    since_at: datetime


class StockCare(NamedTuple):
    """What was told of it; none of what was not. The assignee '' is nobody again."""

    assignee: str | None = None
    snoozed_until_at: datetime | None = None
    snoozed_why: str | None = None
    resolved_at: datetime | None = None
    note: str | None = None


Said = TypeVar("Said", bound=NamedTuple)
STOCK_CARE_JOINED = ", ".join(
    f"{name} = coalesce(excluded.{name}, known.{name})" for name in StockCare._fields
)
"""What `with_more` does, to a row that is there."""


def with_more(one: Said | None, other: Said) -> Said:
    """Both of one thing, the other being told later: of each field what was told last, None being nothing."""
    if one is None:
        return other
    said = [before if after is None else after for before, after in zip(one, other, strict=True)]
    return type(other)._make(said)


def care_told(event: Taken | PutOff | SeenTo, at: datetime) -> StockCare:
    """What is told of an item by what somebody did about it at a moment."""
    match event:
        case Taken():
            return StockCare(assignee=event.assignee or "")
        case PutOff():
            return StockCare(snoozed_until_at=event.until, snoozed_why=event.why)
        case SeenTo():
            return StockCare(resolved_at=at, note=event.note)
        case _:
            assert_never(event)


def stock_care(envelope: Envelope[Any]) -> tuple[StockCareKey, StockCare]:
    """What one of `STOCK_CARE_EVENTS` tells."""
    event = envelope.body
    sku = NO_SKU if isinstance(event, OnFeedException) else event.sku
    key = StockCareKey(envelope.tenant, sku, event.item, event.since)
    return key, care_told(event, envelope.at)
