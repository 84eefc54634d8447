"""What people do about exceptions, of an order, stock, a feed, a parked key: take, put off, settle them.

What is an exception is for the read side to say, which sees all stages; here is who did what about it, with
a reason, in the stream of the order, the SKU, the feed, or the stage whose keys are parked. What another
decision lifts (a hold's release, a difference's approval) leaves by that decision alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, assert_never

from libs.events.care import PutOff, SeenTo, Taken
from libs.events.contract import Event
from libs.events.intake import (
    AssignException,
    ExceptionAssigned,
    ExceptionResolved,
    ExceptionSnoozed,
    ResolveException,
    SnoozeException,
)
from libs.events.parked_exceptions import (
    AssignParkedException,
    OnParkedException,
    ParkedExceptionAssigned,
    ParkedExceptionResolved,
    ParkedExceptionSnoozed,
    ResolveParkedException,
    SnoozeParkedException,
)
from libs.events.record import record
from libs.events.stock_exceptions import (
    AssignFeedException,
    AssignStockException,
    FeedExceptionAssigned,
    FeedExceptionResolved,
    FeedExceptionSnoozed,
    OnFeedException,
    OnStockException,
    ResolveFeedException,
    ResolveStockException,
    SnoozeFeedException,
    SnoozeStockException,
    StockExceptionAssigned,
    StockExceptionResolved,
    StockExceptionSnoozed,
)

SNOOZED_MAX = timedelta(days=90)
HOLD = "hold/"
"""Items that a released hold ends, and nothing else."""
DIFFERENCE = "difference/"
"""Items that end when the difference is approved or rejected, and by nothing else."""
CARED_MAX = 200
"""Exceptions of one SKU, feed or stage about which it is known what was done, those touched last."""

OnException = AssignException | SnoozeException | ResolveException
OnStock = (
    AssignStockException
    | SnoozeStockException
    | ResolveStockException
    | AssignFeedException
    | SnoozeFeedException
    | ResolveFeedException
    | AssignParkedException
    | SnoozeParkedException
    | ResolveParkedException
)
Cared = ExceptionAssigned | ExceptionSnoozed | ExceptionResolved
StockCared = (
    StockExceptionAssigned
    | StockExceptionSnoozed
    | StockExceptionResolved
    | FeedExceptionAssigned
    | FeedExceptionSnoozed
    | FeedExceptionResolved
    | ParkedExceptionAssigned
    | ParkedExceptionSnoozed
    | ParkedExceptionResolved
)
_DONE: Mapping[type[OnException | OnStock], type[Event]] = {
    AssignException: ExceptionAssigned,
    SnoozeException: ExceptionSnoozed,
    ResolveException: ExceptionResolved,
    AssignStockException: StockExceptionAssigned,
    SnoozeStockException: StockExceptionSnoozed,
    ResolveStockException: StockExceptionResolved,
    AssignFeedException: FeedExceptionAssigned,
    SnoozeFeedException: FeedExceptionSnoozed,
    ResolveFeedException: FeedExceptionResolved,
    AssignParkedException: ParkedExceptionAssigned,
    SnoozeParkedException: ParkedExceptionSnoozed,
    ResolveParkedException: ParkedExceptionResolved,
}


@record
class Care:
    """What was done about one item."""

    assignee: str | None = None
    snoozed_until: datetime | None = None
    why: str = ""
    """It was put off until then."""
    resolved: bool = False


class Told(NamedTuple):
    """A refusal: code, what is the matter, what to do."""

    code: str
    message: str
    next_step: str


_NONE = Care()


def taken_care(care: Mapping[str, Care], event: Cared | StockCared) -> dict[str, Care]:
    """After one of its events."""
    name = _key(event)
    before = care.get(name, _NONE)
    match event:
        case Taken():
            after = replace(before, assignee=event.assignee)
        case PutOff():
            after = replace(before, snoozed_until=event.until, why=event.why)
        case SeenTo():
            after = replace(before, resolved=True)
        case _:
            assert_never(event)
    if not isinstance(event, OnStockException | OnParkedException):
        return {**care, name: after}
    others = {known: one for known, one in care.items() if known != name}
    return dict([*others.items(), (name, after)][-CARED_MAX:])


def settle(care: Mapping[str, Care], command: OnException | OnStock, at: datetime) -> list[Event] | Told:
    """What comes of it; [] where all is so already."""
    known = care.get(_key(command), _NONE)
    about = _about(command)
    if isinstance(command, OnStockException | OnParkedException) and command.since > at:
        return Told(
            "invalid_since",
            f"{about} cannot have begun at {command.since.isoformat()}: that is yet to come.",
            "Send since as since_at of GET /v1/exceptions tells it.",
        )
    if known.resolved:
        if isinstance(command, SeenTo):
            return []
        return Told(
            "already_resolved",
            f"{about} was resolved before.",
            "Nothing to do; if it comes up again it is another item.",
        )
    match command:
        case Taken():
            if command.assignee == known.assignee:
                return []
        case PutOff():
            if (command.until, command.why) == (known.snoozed_until, known.why):
                return []
            if not at < command.until <= at + SNOOZED_MAX:
                return Told(
                    "invalid_until",
                    f"until is {command.until.isoformat()}; it must come after now, and within"
                    f" {SNOOZED_MAX.days} days.",
                    "Choose another moment.",
                )
        case ResolveException():
            if command.item.startswith(HOLD):
                return Told(
                    "still_held",
                    f"{about} blocks the order.",
                    "Release the hold, or cancel the order: it leaves the queue with that.",
                )
        case ResolveStockException():
            if command.item.startswith(DIFFERENCE):
                return Told(
                    "still_differs",
                    f"{about} waits for a decision.",
                    "Approve or reject the difference: it leaves the queue with that.",
                )
        case ResolveFeedException() | ResolveParkedException():
            pass
        case _:
            assert_never(command)
    return [_DONE[type(command)].model_validate(vars(command))]


def _key(of: Cared | StockCared | OnException | OnStock) -> str:
    """What care is kept under: of stock and parked keys the same item comes again, so with when it began."""
    if isinstance(of, OnParkedException):
        return f"{of.parked_key} {of.since.astimezone(UTC).isoformat()}"
    if isinstance(of, OnStockException):
        return f"{of.item} {of.since.astimezone(UTC).isoformat()}"
    return of.item


def _about(command: OnException | OnStock) -> str:
    if isinstance(command, OnParkedException):
        return f"key {command.parked_key} of {command.stage}"
    if isinstance(command, OnFeedException):
        return f"{command.item} of feed {command.feed}"
    whose = command.sku if isinstance(command, OnStockException) else f"order {command.order_id}"
    return f"{command.item} of {whose}"
