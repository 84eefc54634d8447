"""What a sender is told whose command cannot be taken, and what such a command is remembered by."""

from uuid import UUID, uuid5

from libs.events.refusal import CommandRefused


def refusal(stream: str, id_: UUID, type_: str, code: str, message: str, next_step: str) -> CommandRefused:
    """The refusal of a command, cut to what an event may hold."""
    return CommandRefused(
        refused_stream=stream[:256],
        command_id=id_,
        command_type=type_[:200],
        code=code,
        message=message[:1000],
        next_step=next_step,
    )


def reused_id(command_id: UUID, digest: bytes) -> UUID:
    """What a command is remembered by whose id belongs to another."""
    return uuid5(command_id, digest.hex())
