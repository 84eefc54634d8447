"""What of a SKU needs a person: it runs low, is perhaps not there, a count or another system differs, a lot
may not be sold.

Pure, and a sum: events of one SKU come through several lanes, and whatever comes first, the row is the same.
An item is open if it was opened after it was last closed; one that is about units (doubted ones, those of a
lot in quarantine or set aside for orders), only while there are any.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from libs.events.availability import StockLow, StockRecovered
from libs.events.envelope import Envelope
from libs.events.lots import LotExpired, LotQuarantined, LotReleased
from libs.events.stocktaking import (
    AdjustmentProposed,
    CountRecorded,
    DifferenceSettled,
    DifferenceSuperseded,
    StockSuspected,
)
from services.console.stock import MOVED
from services.console.storable import storable

STOCK_ITEM_EVENTS = MOVED | {
    StockLow.TYPE,
    StockRecovered.TYPE,
    AdjustmentProposed.TYPE,
    DifferenceSuperseded.TYPE,
}
"""Those that move stock, and those that say something of a SKU and move nothing."""
_OF_LOTS = ("quarantine", "allocated")
_SAID = ("kind", "node", "why")
NETWORK = "*"
_NEWER = """excluded.opened_at IS NOT NULL
    AND (known.opened_at IS NULL OR known.opened_at <= excluded.opened_at)"""
STOCK_ITEMS_JOINED = (
    ", ".join(f"{name} = CASE WHEN {_NEWER} THEN excluded.{name} ELSE known.{name} END" for name in _SAID)
    + ", units = known.units + excluded.units, opened_at = greatest(known.opened_at, excluded.opened_at),"
    " closed_at = greatest(known.closed_at, excluded.closed_at)"
)
"""What `joined` does, to a row that is there."""


class StockItemKey(NamedTuple):
    """`<kind>/<which>` of a tenant's SKU; `lot/<lot>` for both that a lot is past its date and recalled."""

    tenant: str
    sku: str
    item: str


class StockItemChange(NamedTuple):
    """What events add up to: of moments and what they said the latest counts, units are added."""

    kind: str
    units: int = 0
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    node: str = NETWORK
    why: str = ""


def joined(one: StockItemChange | None, other: StockItemChange) -> StockItemChange:
    """Both of one item, the other being told later; as the table joins them."""
    if one is None:
        return other
    newer = other.opened_at is not None and (one.opened_at is None or one.opened_at <= other.opened_at)
    said = other if newer else one
    return StockItemChange(
        said.kind,
        one.units + other.units,
        _latest(one.opened_at, other.opened_at),
        _latest(one.closed_at, other.closed_at),
        said.node,
        said.why,
    )


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)


def stock_item_changes(envelope: Envelope[Any]) -> Iterator[tuple[StockItemKey, StockItemChange]]:
    """What an event means for items of its SKUs."""
    event, tenant, at = envelope.body, envelope.tenant, envelope.at
    for move in getattr(event, "movements", ()):
        if move.lot is not None:
            units = (move.target in _OF_LOTS) - (move.source in _OF_LOTS)
            if units:
                key = StockItemKey(tenant, move.sku, f"lot/{move.lot}")
                yield key, StockItemChange("lot", move.quantity * units)
        if "suspect" in (move.source, move.target):
            key = StockItemKey(tenant, move.sku, f"phantom_stock/{move.node}")
            sign = 1 if move.target == "suspect" else -1
            yield key, StockItemChange("phantom_stock", move.quantity * sign, node=move.node)
    for item, change in _said(event, at):
        yield StockItemKey(tenant, event.sku, item), change


def _said(event: Any, at: datetime) -> Iterator[tuple[str, StockItemChange]]:
    match event:
        case StockLow():
            why = f"{event.free} units are free, and {event.low_at} are low."
            yield "low_stock", StockItemChange("low_stock", 0, at, None, NETWORK, why)
        case StockRecovered():
            yield "low_stock", StockItemChange("low_stock", 0, None, at)
        case StockSuspected():
            picks = f"{event.short_picks} picks found nothing." if event.short_picks else event.reason
            yield (
                f"phantom_stock/{event.node}",
                StockItemChange("phantom_stock", 0, at, None, event.node, _plain(picks)),
            )
        case CountRecorded() if event.outcome == "held":
            why = f"{event.counted} were counted, {event.book} are on the books."
            yield f"difference/{event.count_id}", _differs("count_held", event.variance, at, event.node, why)
        case AdjustmentProposed():
            more = "more" if event.variance > 0 else "fewer"
            why = f"{event.system} has {abs(event.variance)} {more} than the books."
            if event.explanation:
                why += f" {event.explanation}"
            yield (
                f"difference/{event.proposal_id}",
                _differs("stock_differs", event.variance, at, event.node, _plain(why)),
            )
        case DifferenceSettled() | DifferenceSuperseded():
            kind = "count_held" if event.source == "count" else "stock_differs"
            yield f"difference/{event.proposal_id}", StockItemChange(kind, 0, None, at)
        case LotExpired():
            why = f"Its last day was {event.expires_on:%Y-%m-%d}.{_set_aside(event.allocated)}"
            yield f"lot/{event.lot}", StockItemChange("lot_expired", 0, at, None, NETWORK, why)
        case LotQuarantined():
            why = f"{event.reason}{_set_aside(event.allocated)}"
            yield f"lot/{event.lot}", StockItemChange("lot_recalled", 0, at, None, NETWORK, _plain(why))
        case LotReleased():
            yield f"lot/{event.lot}", StockItemChange("lot", 0, None, at)
        case _:
            pass


def _differs(kind: str, variance: int, at: datetime, node: str, why: str) -> StockItemChange:
    return StockItemChange(kind, abs(variance), at, None, node, why)


def _set_aside(units: int) -> str:
    return f" {units} units of it are set aside for orders and have not left." if units else ""


def _plain(text: str) -> str:
    return storable(text.strip())
