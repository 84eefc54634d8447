"""Facts that are told late: what a command may say of when it was true.

For inventory's decisions. A command that reports a fact may carry `effective_at`. It is refused where that
is later than the command itself, or longer ago than the house allows (`ORDERLOG_BACKDATE_DAYS_MAX`). What
is true earlier than it is told changes no promise that was made in between: it is a new entry, and any
question as of then is answered with it or without it (services/inventory/past.py).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from libs.events.bundles import BundleCommand
from libs.events.catalogue import COMMANDS
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.refusal import CommandRefused, refused

Decide = Callable[[Any, Envelope[Contract], datetime], list[Event]]
_STATES = frozenset(
    command
    for command in COMMANDS["inventory"]
    if "effective_at" in command.model_fields and not issubclass(command, BundleCommand)
)
"""Commands that may say when they were true; of a bundle it is said from when it will be."""


def dated(decide: Decide, days_max: Callable[[], int]) -> Decide:
    """The decisions of `decide`, but for commands that say a time that cannot be: those are refused."""

    def decide_dated(state: Any, heard: Envelope[Contract], at: datetime) -> list[Event]:
        if type(heard.body) in _STATES:
            effective: datetime | None = heard.body.effective_at  # type: ignore[attr-defined]
            if effective is not None and (wrong := _misdated(heard, effective, at, days_max())):
                return [wrong]
        return decide(state, heard, at)

    return decide_dated


def _misdated(
    heard: Envelope[Contract], effective: datetime, at: datetime, days_max: int
) -> CommandRefused | None:
    if effective > at:
        code, message, next_step = (
            "effective_in_future",
            f"It is said to be true from {effective.isoformat()}, later than it was sent ({at.isoformat()}).",
            "Report it when it has happened; check the clock and the time zone of who reports it.",
        )
    elif at - effective > timedelta(days=days_max):
        code, message, next_step = (
            "effective_too_long_ago",
            f"It is said to be true from {effective.isoformat()}, over {days_max} days before it was sent.",
            "Report it with a later effective_at, or have ORDERLOG_BACKDATE_DAYS_MAX raised.",
        )
    else:
        return None
    return refused(heard, code, message, next_step)
