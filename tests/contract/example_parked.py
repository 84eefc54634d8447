"""A full and a minimal payload of each type about parked records, and about what people do about them."""

from uuid import UUID

from libs.events import parked as p
from libs.events import parked_exceptions as x
from tests.contract.example_parts import ORDER, PLACED_AT, Pairs

_FULL = {
    "parked_id": "3-1204",
    "parked_key": f"acme/{ORDER}",
    "topic": "oms.intake.events",
    "partition": 3,
    "offset": 887,
    "record_id": UUID("5d0b6f1c-2a0e-5c59-9a52-7a1d100b6b0b"),
    "record_type": "oms.intake.order_accepted",
    "turn": 2,
    "waiting": 4,
}
_LEAST = {
    "parked_id": "0-1",
    "parked_key": "?oms.intake.commands/0/17",
    "topic": "oms.intake.commands",
    "partition": 0,
    "turn": 1,
    "waiting": 1,
}
_WHY = {"code": "failed", "problem": "the decision failed: ValueError; see the stage's log"}

PARKED: Pairs = (
    (p.RecordParked.model_validate(_FULL | _WHY), p.RecordParked.model_validate(_LEAST | _WHY)),
    *[
        (kind.model_validate(_FULL), kind.model_validate(_LEAST))
        for kind in (p.RecordQueued, p.RecordReplayed, p.RecordDiscarded)
    ],
)

_OF = {"stage": "inventory", "parked_key": f"acme/{ORDER}", "since": PLACED_AT}
_UNTIL = {"until": PLACED_AT, "why": "The sender is mended on Friday."}
_NOTE = {"note": "The partner sends it anew."}

PARKED_CARE: Pairs = (
    *[
        (kind.model_validate(_OF | {"assignee": "ann@example"}), kind.model_validate(_OF))
        for kind in (x.AssignParkedException, x.ParkedExceptionAssigned)
    ],
    *[
        (kind.model_validate(_OF | _UNTIL), kind.model_validate(_OF | _UNTIL))
        for kind in (x.SnoozeParkedException, x.ParkedExceptionSnoozed)
    ],
    *[
        (kind.model_validate(_OF | _NOTE), kind.model_validate(_OF | _NOTE))
        for kind in (x.ResolveParkedException, x.ParkedExceptionResolved)
    ],
)
