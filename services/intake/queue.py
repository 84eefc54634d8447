"""What people do about exceptions of an order: take them, put them off, settle them.

What is an exception is for the read side to say, which sees all stages; here is who did what about it, with a
reason, in the order's own stream. Blockers that a decision here lifts (holds) leave by that decision alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never

from libs.events.contract import Event
from libs.events.intake import (
    AssignException,
    ExceptionAssigned,
    ExceptionResolved,
    ExceptionSnoozed,
    ResolveException,
    SnoozeException,
)
from libs.events.record import record

SNOOZED_MAX = timedelta(days=90)
HOLD = "hold/"
"""Items that a released hold ends, and nothing else."""


@record
class Care:
    """What was done about one item."""

    assignee: str | None = None
    snoozed_until: datetime | None = None
    resolved: bool = False


class Told(NamedTuple):
    """A refusal: code, what is the matter, what to do."""

    code: str
    message: str
    next_step: str


_NONE = Care()


def taken_care(
    care: Mapping[str, Care], event: ExceptionAssigned | ExceptionSnoozed | ExceptionResolved
) -> dict[str, Care]:
    """After one of its events."""
    before = care.get(event.item, _NONE)
    match event:
        case ExceptionAssigned():
            after = replace(before, assignee=event.assignee)
        case ExceptionSnoozed():
            after = replace(before, snoozed_until=event.until)
        case ExceptionResolved():
            after = replace(before, resolved=True)
        case _:
            assert_never(event)
    return {**care, event.item: after}


def settle(
    care: Mapping[str, Care],
    command: AssignException | SnoozeException | ResolveException,
    at: datetime,
) -> list[Event] | Told:
    """What comes of it; [] where all is so already."""
    known = care.get(command.item, _NONE)
    if known.resolved:
        if isinstance(command, ResolveException):
            return []
        return Told(
            "already_resolved",
            f"{command.item} of order {command.order_id} was resolved before.",
            "Nothing to do; if it comes up again it is another item.",
        )
    match command:
        case AssignException():
            if command.assignee == known.assignee:
                return []
            return [
                ExceptionAssigned(order_id=command.order_id, item=command.item, assignee=command.assignee)
            ]
        case SnoozeException():
            if not at < command.until <= at + SNOOZED_MAX:
                return Told(
                    "invalid_until",
                    f"until is {command.until.isoformat()}; it must come after now, and within"
                    f" {SNOOZED_MAX.days} days.",
                    "Choose another moment.",
                )
            return [
                ExceptionSnoozed(
                    order_id=command.order_id, item=command.item, until=command.until, why=command.why
                )
            ]
        case ResolveException():
            if command.item.startswith(HOLD):
                return Told(
                    "still_held",
                    f"{command.item} of order {command.order_id} blocks the order.",
                    "Release the hold, or cancel the order: it leaves the queue with that.",
                )
            return [ExceptionResolved(order_id=command.order_id, item=command.item, note=command.note)]
        case _:
            assert_never(command)
