"""Contracts of what people do about exceptions of stock: take them, put them off, settle them by hand.

They are intake's, as those about exceptions of orders are, in a stream of the SKU. Under one name
(`low_stock`) a thing comes up again and again, so each says since when the one lasts that it is about.
"""

from typing import ClassVar

from pydantic import AwareDatetime

from libs.events.contract import Name, SkuCommand, SkuEvent, Value
from libs.events.intake import ExceptionItem, Why


class OnStockException(Value):
    """One thing about a SKU that a person has to see to, as the console names it: `phantom_stock/LON`."""

    item: ExceptionItem
    since: AwareDatetime
    """When it began, to the microsecond: `since_at` of GET /v1/exceptions."""


class AssignStockException(OnStockException, SkuCommand):
    """Somebody takes it; with no assignee it is nobody's again."""

    TYPE: ClassVar[str] = "oms.intake.assign_stock_exception"

    assignee: Name | None = None


class SnoozeStockException(OnStockException, SkuCommand):
    """It need not be looked at before then."""

    TYPE: ClassVar[str] = "oms.intake.snooze_stock_exception"

    until: AwareDatetime
    why: Why


class ResolveStockException(OnStockException, SkuCommand):
    """A person has seen to it, and says how."""

    TYPE: ClassVar[str] = "oms.intake.resolve_stock_exception"

    note: Why


class StockExceptionAssigned(OnStockException, SkuEvent):
    """Whose it is from now on; nobody's without an assignee."""

    TYPE: ClassVar[str] = "oms.intake.stock_exception_assigned"

    assignee: Name | None = None


class StockExceptionSnoozed(OnStockException, SkuEvent):
    """Out of the way until then, and why."""

    TYPE: ClassVar[str] = "oms.intake.stock_exception_snoozed"

    until: AwareDatetime
    why: Why


class StockExceptionResolved(OnStockException, SkuEvent):
    """Seen to, by hand. What comes up again later is another one."""

    TYPE: ClassVar[str] = "oms.intake.stock_exception_resolved"

    note: Why


STOCK_EXCEPTION_COMMANDS = (AssignStockException, SnoozeStockException, ResolveStockException)
STOCK_EXCEPTION_EVENTS = (StockExceptionAssigned, StockExceptionSnoozed, StockExceptionResolved)
