"""How inventory says no to a command."""

from libs.events.contract import Command, Contract
from libs.events.envelope import Envelope
from libs.events.refusal import CommandRefused


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
