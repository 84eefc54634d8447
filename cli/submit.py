"""Submits the orders of a file: batches to intake, an answer for every order, with the line it came from.

The Idempotency-Key of a batch is the digest of its orders, and a row of it adds its place; so the same file
again is the same commands, and its answers are the first ones.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from cli.client import Edges, Refused, error_lines, event_types
from cli.loadfile import Loaded

BATCH_ORDERS_MAX = 500
FAILURES_KEPT_MAX = 1000
"""Failures told in full; those beyond are counted."""
_WRAPPING_BYTES = 64
"""What a batch adds around its orders."""
_WAIT_SECONDS = 30

_ANSWERS = {"order_accepted": "accepted", "order_held": "held", "order_rejected": "rejected"}


@dataclass(frozen=True, slots=True)
class Failure:
    """An order that did not get in. `kind`: unreadable, refused, rejected or undecided."""

    line: int
    kind: str
    what: str
    errors: tuple[str, ...] = ()


@dataclass(slots=True)
class Submission:
    """What became of a file's orders so far. Every order is counted once."""

    orders: int = 0
    accepted: int = 0
    held: int = 0
    rejected: int = 0
    known: int = 0
    """Orders that intake had already, submitted by something else."""
    refused: int = 0
    unreadable: int = 0
    undecided: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether an order is not known to be in: a rejected one is, for good."""
        return bool(self.refused or self.unreadable or self.undecided)

    def fail(self, failure: Failure) -> None:
        self.orders += 1
        setattr(self, failure.kind, getattr(self, failure.kind) + 1)
        if len(self.failures) < FAILURES_KEPT_MAX:
            self.failures.append(failure)

    def answer(self, line: int, result: dict[str, Any]) -> None:
        """Count what intake answered for one order."""
        problem = result.get("problem")
        if problem is not None:
            what = f"{problem['detail']} {problem.get('next_step', '')}".strip()
            self.fail(Failure(line, "refused", what, tuple(error_lines(problem))))
        elif not result.get("decided"):
            self.fail(Failure(line, "undecided", "Taken, and not decided within the time waited."))
        else:
            self._decided(line, result)

    def _decided(self, line: int, result: dict[str, Any]) -> None:
        name = next((_ANSWERS[type_] for type_ in event_types(result) if type_ in _ANSWERS), "known")
        if name == "rejected":
            reasons = result["events"][0]["data"]["reasons"]
            self.fail(Failure(line, "rejected", " ".join(reason["message"] for reason in reasons)))
            return
        self.orders += 1
        setattr(self, name, getattr(self, name) + 1)


Batch = list[tuple[int, bytes]]
"""Line number and JSON of each order."""


def submit(
    edges: Edges,
    loaded: Iterable[Loaded],
    body_bytes_max: int,
    progress: Callable[[int, Submission], None] = lambda line, so_far: None,
) -> Submission:
    """Submit every order that can be read; `progress` hears the last line that was answered.

    A complaint about the way to intake (it does not answer, the role may not) ends it; what was sent before
    stands, and the same file again goes on from there.
    """
    so_far = Submission()
    for batch in _batches(loaded, so_far, body_bytes_max):
        _submit_batch(edges, batch, so_far)
        progress(batch[-1][0], so_far)
    so_far.failures.sort(key=lambda failure: failure.line)
    return so_far


def _batches(loaded: Iterable[Loaded], so_far: Submission, body_bytes_max: int) -> Iterator[Batch]:
    """Orders in batches that intake takes; what cannot be read is counted on the way."""
    batch: Batch = []
    room = body_bytes_max - _WRAPPING_BYTES
    size = 0
    for line, order in loaded:
        if isinstance(order, str):
            so_far.fail(Failure(line, "unreadable", order))
            continue
        try:
            encoded = orjson.dumps(order)
        except (TypeError, orjson.JSONEncodeError) as error:  # an integer beyond 64 bits, say
            so_far.fail(Failure(line, "unreadable", f"cannot be sent as JSON: {error}"))
            continue
        if batch and (len(batch) == BATCH_ORDERS_MAX or size + len(encoded) + 1 > room):
            yield batch
            batch, size = [], 0
        batch.append((line, encoded))
        size += len(encoded) + 1
    if batch:
        yield batch


def _submit_batch(edges: Edges, batch: Batch, so_far: Submission) -> None:
    key = hashlib.blake2b(b"\n".join(encoded for _, encoded in batch), digest_size=20).hexdigest()
    body = {"orders": [orjson.Fragment(encoded) for _, encoded in batch]}
    try:
        answer = edges.send("intake", "/v1/orders/batch", body, wait_seconds=_WAIT_SECONDS, key=f"file-{key}")
    except Refused as refused:
        if refused.status not in (413, 422):
            raise
        if len(batch) == 1:  # this order, and no other, is what intake will not take
            what = f"{refused.sentence} {refused.next_step}"
            so_far.fail(Failure(batch[0][0], "refused", what, tuple(refused.details.splitlines())))
            return
        for row in batch:
            _submit_batch(edges, [row], so_far)
        return
    for (line, _), result in zip(batch, answer["results"], strict=True):
        so_far.answer(line, result)
