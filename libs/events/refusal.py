"""A refused command is an event like any other: whoever published it learns its fate from the topic."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import StringConstraints

from libs.events.contract import Command, Contract, Event
from libs.events.envelope import Envelope


class CommandRefused(Event):
    """Nothing changed. `message` says what was wrong, `next_step` what to do about it."""

    TYPE: ClassVar[str] = "oms.command_refused"

    refused_stream: Annotated[str, StringConstraints(max_length=256)]
    """The stream that the command was addressed to."""
    command_id: UUID
    command_type: str
    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    message: Annotated[str, StringConstraints(max_length=1000)]
    next_step: Annotated[str, StringConstraints(max_length=1000)]

    @property
    def stream(self) -> str:
        return self.refused_stream


def refused(heard: Envelope[Contract], code: str, message: str, next_step: str) -> CommandRefused:
    """The command changes nothing; its sender learns why, and what to do."""
    assert isinstance(heard.body, Command)
    return CommandRefused(
        refused_stream=heard.stream,
        command_id=heard.id,
        command_type=heard.body.TYPE,
        code=code,
        message=message,
        next_step=next_step,
    )


def refuse(heard: Envelope[Contract], code: str, message: str, next_step: str) -> list[Event]:
    """The same as all that a decision comes to."""
    return [refused(heard, code, message, next_step)]
