"""Contracts of what people do about exceptions of stock: take them, put them off, settle them by hand.

They are intake's, as those about exceptions of orders are, in a stream of the SKU, or of the feed where it is
about that. Under one name (`low_stock`) a thing comes up again and again, so each says since when the one
lasts that it is about.
"""

from typing import ClassVar

from pydantic import AwareDatetime

from libs.events.care import PutOff, SeenTo, Taken
from libs.events.contract import Command, Event, SkuCommand, SkuEvent, Value
from libs.events.feeds import FeedId
from libs.events.intake import ExceptionItem


class OnStockException(Value):
    """One thing about a SKU, or a feed, that a person has to see to, as the console names it:
    `phantom_stock/LON`, `feed_stale/acme`."""

    item: ExceptionItem
    since: AwareDatetime
    """When it began, to the microsecond: `since_at` of GET /v1/exceptions."""


class AssignStockException(Taken, OnStockException, SkuCommand):
    """Somebody takes it; with no assignee it is nobody's again."""

    TYPE: ClassVar[str] = "oms.intake.assign_stock_exception"


class SnoozeStockException(PutOff, OnStockException, SkuCommand):
    """It need not be looked at before then."""

    TYPE: ClassVar[str] = "oms.intake.snooze_stock_exception"


class ResolveStockException(SeenTo, OnStockException, SkuCommand):
    """A person has seen to it, and says how."""

    TYPE: ClassVar[str] = "oms.intake.resolve_stock_exception"


class StockExceptionAssigned(Taken, OnStockException, SkuEvent):
    """Whose it is from now on; nobody's without an assignee."""

    TYPE: ClassVar[str] = "oms.intake.stock_exception_assigned"


class StockExceptionSnoozed(PutOff, OnStockException, SkuEvent):
    """Out of the way until then, and why."""

    TYPE: ClassVar[str] = "oms.intake.stock_exception_snoozed"


class StockExceptionResolved(SeenTo, OnStockException, SkuEvent):
    """Seen to, by hand. What comes up again later is another one."""

    TYPE: ClassVar[str] = "oms.intake.stock_exception_resolved"


class OnFeedException(OnStockException):
    """One thing about a feed that a person has to see to; it is of no one SKU."""

    feed: FeedId

    @property
    def stream(self) -> str:
        return f"feed/{self.feed}"


class AssignFeedException(Taken, OnFeedException, Command):
    """Somebody takes it; with no assignee it is nobody's again."""

    TYPE: ClassVar[str] = "oms.intake.assign_feed_exception"


class SnoozeFeedException(PutOff, OnFeedException, Command):
    """It need not be looked at before then."""

    TYPE: ClassVar[str] = "oms.intake.snooze_feed_exception"


class ResolveFeedException(SeenTo, OnFeedException, Command):
    """A person has seen to it, and says how."""

    TYPE: ClassVar[str] = "oms.intake.resolve_feed_exception"


class FeedExceptionAssigned(Taken, OnFeedException, Event):
    """Whose it is from now on; nobody's without an assignee."""

    TYPE: ClassVar[str] = "oms.intake.feed_exception_assigned"


class FeedExceptionSnoozed(PutOff, OnFeedException, Event):
    """Out of the way until then, and why."""

    TYPE: ClassVar[str] = "oms.intake.feed_exception_snoozed"


class FeedExceptionResolved(SeenTo, OnFeedException, Event):
    """Seen to, by hand. What comes up again later is another one."""

    TYPE: ClassVar[str] = "oms.intake.feed_exception_resolved"


STOCK_EXCEPTION_COMMANDS = (
    AssignStockException,
    SnoozeStockException,
    ResolveStockException,
    AssignFeedException,
    SnoozeFeedException,
    ResolveFeedException,
)
STOCK_EXCEPTION_EVENTS = (
    StockExceptionAssigned,
    StockExceptionSnoozed,
    StockExceptionResolved,
    FeedExceptionAssigned,
    FeedExceptionSnoozed,
    FeedExceptionResolved,
)
