"""Contracts of what people do about parked keys in the queue of exceptions: take, put off, settle them.

As those about exceptions of stock, they are intake's, in one stream for each stage whose keys they are. They
replay and discard nothing: that is done at the stage, which tells it (`libs.events.parked`).
"""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, StringConstraints

from libs.events.care import PutOff, SeenTo, Taken
from libs.events.contract import Command, Event, Value


class OnParkedException(Value):
    """One parked key of a stage."""

    stage: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}$")]
    parked_key: Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,600}$")]
    since: AwareDatetime
    """When it was parked, to the microsecond: `since_at` of GET /v1/exceptions."""

    @property
    def stream(self) -> str:
        return f"parked.{self.stage}"


class AssignParkedException(Taken, OnParkedException, Command):
    """Somebody takes it; with no assignee it is nobody's again."""

    TYPE: ClassVar[str] = "oms.intake.assign_parked_exception"


class SnoozeParkedException(PutOff, OnParkedException, Command):
    """It need not be looked at before then."""

    TYPE: ClassVar[str] = "oms.intake.snooze_parked_exception"


class ResolveParkedException(SeenTo, OnParkedException, Command):
    """A person has seen to it, and says how; the key waits as before."""

    TYPE: ClassVar[str] = "oms.intake.resolve_parked_exception"


class ParkedExceptionAssigned(Taken, OnParkedException, Event):
    """Whose it is from now on; nobody's without an assignee."""

    TYPE: ClassVar[str] = "oms.intake.parked_exception_assigned"


class ParkedExceptionSnoozed(PutOff, OnParkedException, Event):
    """Out of the way until then, and why."""

    TYPE: ClassVar[str] = "oms.intake.parked_exception_snoozed"


class ParkedExceptionResolved(SeenTo, OnParkedException, Event):
    """Seen to, by hand. A key that is parked again later is another one."""

    TYPE: ClassVar[str] = "oms.intake.parked_exception_resolved"


PARKED_EXCEPTION_COMMANDS = (AssignParkedException, SnoozeParkedException, ResolveParkedException)
PARKED_EXCEPTION_EVENTS = (ParkedExceptionAssigned, ParkedExceptionSnoozed, ParkedExceptionResolved)
