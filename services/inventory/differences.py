"""Differences that wait for a person, and what was booked on their shelves meanwhile.

A difference says what a shelf had more (+) or less (-) than the books, as of its moment. Once somebody else
has put the books right, it would be booked twice; so each remembers what was.
"""

from dataclasses import field
from datetime import datetime

from libs.events.contract import Event, SkuEvent
from libs.events.feeds import StockReported
from libs.events.inventory import StockAdjusted
from libs.events.record import changed, record
from libs.events.stocktaking import CountRecorded, DifferenceSettled, DifferenceSource
from services.inventory.reconcile import SHELF

_CORRECTS = (CountRecorded, DifferenceSettled, StockAdjusted, StockReported)
"""Events that bring the books of a shelf to what is there. So does a pick that found nothing, an order's."""


@record
class Difference:
    """What a person is asked about."""

    node: str
    variance: int
    source: DifferenceSource
    as_of: datetime
    position: int = 0
    """The SKU's, when it was told."""
    corrected: int | None = None
    """Units booked there since that it does not know of, more (+) or less (-); None, nothing was."""
    lots: dict[str, int] = field(default_factory=dict)
    """The variance of each lot, where it was counted by lot."""


def corrected(differences: dict[str, Difference], event: Event) -> dict[str, Difference]:
    """Those of a SKU that wait, after an event; the same where it corrects none of their shelves.

    What is told late, and was true before a difference's moment, is as much news to it as a correction. Picks
    that found nothing come through other lanes, before or after, and are known by their positions.
    """
    if not isinstance(event, SkuEvent):
        return differences
    units: dict[str, int] = {}
    for move in getattr(event, "movements", ()):
        change = move.quantity * ((move.target in SHELF) - (move.source in SHELF))
        units[move.node] = units.get(move.node, 0) + change
    if not any(units.values()):
        return differences
    always, then = isinstance(event, _CORRECTS), getattr(event, "effective_at", None)
    return {
        id_: changed(one, corrected=(one.corrected or 0) + units[one.node])
        if units.get(one.node) and (always or (then is not None and then <= one.as_of))
        else one
        for id_, one in differences.items()
    }
