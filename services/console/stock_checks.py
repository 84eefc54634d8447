"""How right the books of stock were, for Measures: counts, differences with other systems, corrections.

A row each, as of the moment that it is about. Pure. What a SKU's stream tells comes through one lane, in
order; a settlement changes the standing of what it settles, and nothing else of its row.
"""

from datetime import datetime
from typing import Any, NamedTuple

from libs.events.envelope import Envelope
from libs.events.inventory import StockAdjusted
from libs.events.stocktaking import (
    AdjustmentProposed,
    CountRecorded,
    DifferenceSettled,
    DifferenceSuperseded,
)
from services.console.deliveries import utc

CHECK_EVENTS = frozenset(
    event.TYPE
    for event in (CountRecorded, AdjustmentProposed, DifferenceSettled, DifferenceSuperseded, StockAdjusted)
)
WAITS, AGREED, WRONG, GONE = "waits", "agreed", "wrong", "gone"
"""What the books turned out to be. A difference may wait for somebody; then the books were wrong and have
followed it, or it is gone: rejected, or overtaken by something newer, and says nothing of them."""
_SETTLED = ""
"""The reason of what tells a standing alone; events have a reason of a letter or more."""
_KEPT = ("node", "at", "reason", "counted", "off_units", "net_units")
STOCK_CHECKS_JOINED = ", ".join(
    [
        *(
            f"{name} = CASE excluded.reason WHEN '' THEN known.{name} ELSE excluded.{name} END"
            for name in _KEPT
        ),
        "standing = excluded.standing",
    ]
)
"""What `joined` does, to a row that is there."""


class StockCheckKey(NamedTuple):
    """`source` is count, snapshot or adjustment; `check_id` the count's, the proposal's or the event's id."""

    tenant: str
    sku: str
    source: str
    check_id: str


class StockCheck(NamedTuple):
    """`reason`: as the count or correction states it, or which system differs; empty where what told it could
    not be read. `counted`: units that a count found. `off_units`: by how many the books were off; of
    a count by lot, of all its lots. `net_units`: by how many there were more (+) or less (-)."""

    node: str
    at: datetime
    reason: str
    counted: int
    off_units: int
    net_units: int
    standing: str


def joined(known: StockCheck | None, now: StockCheck) -> StockCheck:
    """A row after another event of it."""
    if known is None or now.reason != _SETTLED:
        return now
    return known._replace(standing=now.standing)


def stock_check(envelope: Envelope[Any]) -> tuple[StockCheckKey, StockCheck]:
    """What one of `CHECK_EVENTS` tells."""
    event, tenant = envelope.body, envelope.tenant
    match event:
        case CountRecorded():
            key = StockCheckKey(tenant, event.sku, "count", event.count_id)
            at, off = utc(event.effective_at), _off(event)
            standing = WAITS if event.outcome == "held" else WRONG if off else AGREED
            found = (event.reason_code, event.counted, off, event.variance)
        case AdjustmentProposed():
            key = StockCheckKey(tenant, event.sku, "snapshot", event.proposal_id)
            at, standing = utc(event.as_of), WAITS
            found = (event.system, 0, abs(event.variance), event.variance)
        case DifferenceSettled():
            key = StockCheckKey(tenant, event.sku, event.source, event.proposal_id)
            at, standing = utc(event.effective_at), WRONG if event.approved else GONE
            found = (_SETTLED, 0, abs(event.variance), event.variance)
        case DifferenceSuperseded():
            key = StockCheckKey(tenant, event.sku, event.source, event.proposal_id)
            at, standing = utc(event.as_of), GONE
            found = (_SETTLED, 0, abs(event.variance), event.variance)
        case StockAdjusted():
            key = StockCheckKey(tenant, event.sku, "adjustment", str(envelope.id))
            at, standing = utc(event.effective_at or envelope.at), WRONG
            found = (event.reason_code, 0, abs(event.delta), event.delta)
        case _:
            raise AssertionError(f"{event.TYPE} says nothing of the books")
    return key, StockCheck(event.node, at, *found, standing)


def _off(event: CountRecorded) -> int:
    """A shelf whose sum agrees may differ by lot."""
    if event.lots is None:
        return abs(event.variance)
    return sum([abs(one.counted - one.book) for one in event.lots])
