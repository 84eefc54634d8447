"""What people do about an item of the queue of exceptions, whatever it is about: a form, and its command."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, assert_never

from pydantic import ValidationError

from libs.events.contract import Command
from services.console.pages.reasons import missing

Care = Literal["take", "give_back", "assign", "snooze", "resolve"]


class Commands(NamedTuple):
    """By which commands it is done, for one kind of thing that items are about."""

    assign: Callable[..., Command]
    snooze: Callable[..., Command]
    resolve: Callable[..., Command]


def care_command(
    commands: Commands,
    about: Mapping[str, Any],
    verb: Care,
    why: str,
    hours: int,
    whose: str | None,
    wanted: str,
) -> Command:
    """The command, `about` the item. Raises Problem 422, which says what is `wanted`, where the reason is
    none that can be kept."""
    try:
        match verb:
            case "take" | "assign" | "give_back":
                return commands.assign(**about, assignee=whose)
            case "snooze":
                until = datetime.now(UTC) + timedelta(hours=hours)
                return commands.snooze(**about, until=until, why=why)
            case "resolve":
                return commands.resolve(**about, note=why)
            case _:
                assert_never(verb)
    except ValidationError:
        raise missing(wanted) from None
