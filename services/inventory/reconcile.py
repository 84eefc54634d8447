"""A snapshot of another system against the ledger as of its moment: each difference, and what explains it.

For the edge, which reads the ledger. Nothing is changed here: what stays unexplained is proposed, and a
person approves it.

The other system's clock is not ours, and what one knows reaches the other late. So a difference is first held
against what moved around the snapshot's moment, in either direction, and against what is on its way to the
node (in flight); then against what was corrected by hand since; then against single events of the days before
(pinned): one that they never booked, or booked twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Literal

from libs.events.feeds import StockReported
from libs.events.inventory import StockAdjusted
from libs.events.record import record
from libs.events.stocktaking import CountRecorded, DifferenceSettled

SHELF = ("on_hand", "allocated", "suspect")
"""Buckets of what somebody sees on a shelf and may sell."""
IN_FLIGHT = timedelta(minutes=30)
"""How far apart two systems may book one thing."""
LOOKBACK = timedelta(days=14)
"""How far back a single event may explain a difference."""

Place = tuple[str, str]
"""SKU and node."""
Outcome = Literal["matched", "in_flight", "corrected", "pinned", "unexplained"]
_CORRECTS = frozenset(
    event.TYPE for event in (StockAdjusted, CountRecorded, DifferenceSettled, StockReported)
)
"""Events that bring the books of a shelf to what is there."""


@record
class Shelf:
    """What the ledger had at a place, and the SKU's position when that was read."""

    units: int
    position: int


@record
class Moved:
    """What one event changed at a place: units more (+) or less (-) on the shelf."""

    event_id: str
    type: str
    document: str
    at: datetime
    units: int


@record
class Finding:
    """What a row of a snapshot comes to. `variance` is theirs minus ours; `events` explain it."""

    outcome: Outcome
    book: int
    variance: int
    explanation: str = ""
    events: tuple[str, ...] = ()


def explain(
    theirs: int, shelf: Shelf, as_of: datetime, moves: Sequence[Moved], on_the_way: Mapping[str, int]
) -> Finding:
    """What a row comes to, given what moved at its place (in order) and what is on its way there."""
    variance = theirs - shelf.units
    if not variance:
        return Finding("matched", shelf.units, 0)
    if around := _around(variance, as_of, moves):
        why, events = around
        return Finding("in_flight", shelf.units, variance, why, events)
    for bucket, said in (("in_transit", "in transit to"), ("inbound", "expected at")):
        if variance == on_the_way.get(bucket):
            return Finding(
                "in_flight",
                shelf.units,
                variance,
                f"{variance} units are {said} the node: they have received them, and have not told us.",
            )
    corrections = [one for one in moves if one.at > as_of and one.type in _CORRECTS]
    if found := _booked_since(variance, corrections):
        said = f"{_listed(found)}: the books were put right since."
        return Finding("corrected", shelf.units, variance, said, tuple(one.event_id for one in found))
    for moved in reversed([one for one in moves if one.at <= as_of]):
        if moved.units in (-variance, variance):
            missed = moved.units == -variance
            return Finding(
                "pinned",
                shelf.units,
                variance,
                f"{_told(moved)}: {'they did not book it' if missed else 'they booked it twice'}.",
                (moved.event_id,),
            )
    if corrections:
        said = f"{_listed(corrections)}: it may be booked in part since. Compare a newer snapshot."
        events = tuple(one.event_id for one in corrections)
        return Finding("corrected", shelf.units, variance, said, events)
    return Finding(
        "unexplained",
        shelf.units,
        variance,
        f"Nothing on its way, and no event of the last {LOOKBACK.days} days, is of {abs(variance)} units.",
    )


def _booked_since(variance: int, corrections: Sequence[Moved]) -> Sequence[Moved]:
    """Those of the corrections since that come to the variance: one of them, or all together."""
    if single := [one for one in corrections if one.units == variance]:
        return single[-1:]
    return corrections if sum(one.units for one in corrections) == variance else ()


def _around(variance: int, as_of: datetime, moves: Sequence[Moved]) -> tuple[str, tuple[str, ...]] | None:
    """The first events after the moment, which they had already, or the last before it, which they had not
    yet; None when neither adds up to the variance."""
    after = [one for one in moves if as_of < one.at <= as_of + IN_FLIGHT]
    before = [one for one in reversed(moves) if as_of - IN_FLIGHT <= one.at <= as_of]
    for some, wanted, said in (
        (after, variance, "they had booked it already"),
        (before, -variance, "they had not booked it yet"),
    ):
        for count, total in enumerate(accumulate(one.units for one in some), 1):
            if total == wanted:
                events = some[:count]
                return f"{_listed(events)}: {said}.", tuple(one.event_id for one in events)
    return None


def _told(moved: Moved) -> str:
    name = moved.type.rpartition(".")[2].replace("_", " ")
    document = f" {moved.document}" if moved.document else ""
    return f"{name}{document} of {moved.units:+} at {moved.at:%Y-%m-%d %H:%M}Z"


def _listed(events: Iterable[Moved]) -> str:
    said = [_told(one) for one in events]
    return said[0] if len(said) == 1 else f"{said[0]} and {len(said) - 1} more"
