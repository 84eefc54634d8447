"""What travels with a contract: who, why, when, caused by what. On the wire: CloudEvents headers."""

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from libs.events.contract import Contract
from libs.events.record import record

B = TypeVar("B", bound=Contract, covariant=True)


@record
class Envelope(Generic[B]):
    """One input of a decider (`heard`), or one event on its way out.

    `at` is UTC: when an event happened, when a command was sent, when a timer was due. A decision takes
    its time from here, never from a clock. `id` is the event's id, or the command's id, which is also its
    idempotency key. `lane` and `sequence` name an event's place in its sender's log for ever; a command
    and a timer have none (`sequence` 0).
    """

    id: UUID
    tenant: str
    stream: str
    body: B
    at: datetime
    actor: str
    reason: str
    causation_id: UUID
    correlation_id: UUID
    source: str
    lane: int = 0
    sequence: int = 0
    traceparent: str = ""
