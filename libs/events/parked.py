"""What a stage tells of records that it could not take: each waits for a person, or behind one that does.

One shape for all stages; which of them it is, the sender says (`orderlog/<stage>`). Who had a record decided
again or discarded it, and why, are the event's actor and reason. A record that says not whose it is, is told
of under the tenant `NOBODY`.
"""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.events.contract import Event

NOBODY = "orderlog"
"""The tenant of what belongs to none. No brand or client is called so, for it would see what nobody is said
to own: tokens and commands that name it are refused."""

Place = Annotated[int, Field(strict=True, ge=0)]


class OfParkedRecord(Event):
    """Which record, and how many wait under its key. Nothing of what it says is repeated."""

    parked_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}-[0-9]{1,19}$")]
    """The record's name for as long as it waits: lane and sequence of the first event that tells of it."""
    parked_key: Annotated[str, StringConstraints(max_length=600)]
    """What waits together. Begins with `?` where nothing else can have it: the record's key is not known."""
    topic: Annotated[str, StringConstraints(max_length=249)]
    partition: Place
    offset: Place | None = None
    """Where it lay when this was told; none where its topic lost it. A topic made anew has it elsewhere."""
    record_id: UUID | None = None
    """Its `ce_id`, where it has one."""
    record_type: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Its `ce_type`, where that is known."""
    turn: Annotated[int, Field(strict=True, ge=1)]
    """How many events tell of this record, with this one."""
    waiting: Place
    """How many records wait under the key from now on; with none of them, nobody has to see to it."""

    @property
    def stream(self) -> str:
        return f"parked/{self.parked_id}"


class RecordParked(OfParkedRecord):
    """It waits for a person: it cannot be read, or its decision failed. Told again where it fails again."""

    TYPE: ClassVar[str] = "oms.record_parked"

    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    problem: Annotated[str, StringConstraints(max_length=1000)]


class RecordQueued(OfParkedRecord):
    """It waits behind an earlier one of its key."""

    TYPE: ClassVar[str] = "oms.record_queued"


class RecordReplayed(OfParkedRecord):
    """It was taken after all; what was decided stands before this in the log."""

    TYPE: ClassVar[str] = "oms.record_replayed"


class RecordDiscarded(OfParkedRecord):
    """A person gave it up. What waits behind it goes on."""

    TYPE: ClassVar[str] = "oms.record_discarded"


PARKED_EVENTS = (RecordParked, RecordQueued, RecordReplayed, RecordDiscarded)
