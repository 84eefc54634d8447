"""Logs as a proof is shown them: a good one, and the same with one event changed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from services.inventory.proof import Proof
from tests.unit.inventory_world import Logged

Change = Callable[[dict[str, Any]], object]


def nth_event(log: Sequence[Logged], type_: str, nth: int = 0) -> int:
    """Where the nth event of a type stands."""
    return [index for index, row in enumerate(log) if row.type == type_][nth]


def tampered(log: Sequence[Logged], index: int, change: Change) -> list[Logged]:
    """The log with one event's payload changed."""
    rows = list(log)
    payload = orjson.loads(rows[index].payload)
    change(payload)
    rows[index] = replace(rows[index], payload=orjson.dumps(payload))
    return rows


def violation(proof: Proof) -> str:
    """What the proof says of the first event that does not hold; that there is one is asserted."""
    assert not proof.holds
    assert proof.violation is not None, "it holds"
    return proof.violation.message
