"""One hash of a lane's events, from its log or from its topic: equal when both say the same.

SHA-256 over the lane's events in sequence: sequence, id, tenant, stream, type, version, cause, correlation,
actor, reason, time, payload as bytes. Repeats on a topic count once, the first of them.
"""

import hashlib
from datetime import UTC, datetime

import orjson

from libs.runtime.log import LogRow
from libs.runtime.wire import Context


class LaneDigest:
    """Feed it a lane's events in sequence, from 1. `first_hexdigest` is that of the first `first` events."""

    def __init__(self, first: int = 0) -> None:
        self.events = 0
        self._hash, self._first = hashlib.sha256(), first
        self._at_first = self._hash.hexdigest() if first == 0 else ""

    def record(self, found: Context, payload: bytes) -> None:
        """The next event, as it is on its topic."""
        self._add(
            found.sequence,
            str(found.id),
            found.tenant,
            found.stream,
            found.type,
            found.version,
            str(found.causation_id),
            str(found.correlation_id),
            found.actor,
            found.reason,
            found.at,
            payload,
        )

    def row(self, row: LogRow) -> None:
        """The next event, as it is in its log."""
        context = row.context
        self._add(
            row.seq,
            str(row.event_id),
            row.tenant,
            row.stream,
            row.type,
            row.version,
            context["causationid"],
            context["correlationid"],
            context["actor"],
            context["reason"],
            row.recorded_at,
            row.payload,
        )

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def first_hexdigest(self) -> str:
        """Of the first events asked for; empty when the lane has fewer."""
        return self._at_first

    def _add(self, sequence: int, *values: object) -> None:
        *about, at, payload = values
        assert sequence == self.events + 1, f"sequence {sequence} came after {self.events}"
        assert isinstance(at, datetime)
        assert isinstance(payload, bytes)
        self._hash.update(orjson.dumps([sequence, *about, at.astimezone(UTC).isoformat(), len(payload)]))
        self._hash.update(payload)
        self.events = sequence
        if sequence == self._first:
            self._at_first = self._hash.hexdigest()
