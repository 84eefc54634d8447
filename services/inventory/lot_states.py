"""What becomes of a SKU's lots, but for where their units are, which the movements say; of its bins;
and whether its units have serial numbers."""

from datetime import date, timedelta

from libs.events.contract import Event
from libs.events.items import BinsMoved, ItemDefined, ItemPlaced
from libs.events.lots import LotDefined, LotExpired, LotQuarantined, LotReleased
from libs.events.record import changed
from services.inventory.bins import moved_bins
from services.inventory.lots import Lot, Lots, LotState
from services.inventory.stock import SkuPart

FORGOTTEN_AFTER = timedelta(days=400)
"""A lot that is sold no more is forgotten when one arrives that lasts so much longer."""


def evolve_lots(part: SkuPart, event: Event) -> SkuPart:
    """The SKU after an event of its own stream, whose movements were counted."""
    match event:
        case ItemDefined():
            lots = part.lots or Lots()
            kept = changed(lots, days_min=event.shelf_days_min) if event.lot_controlled else None
            astray = (part.astray or {}) if event.serialised else None
            return changed(part, lots=kept, astray=astray)
        case ItemPlaced():
            bins = {node: place for node, place in (part.bins or {}).items() if node != event.node}
            return changed(part, bins=(bins | ({event.node: event.bin} if event.bin else {})) or None)
        case BinsMoved():
            return moved_bins(part, event)
        case LotDefined():
            return changed(part, lots=_with(part.lots or Lots(), event))
        case LotExpired():
            return _in_state(part, event.lot, "expired")
        case LotQuarantined():
            return _in_state(part, event.lot, "quarantined")
        case LotReleased():
            return _in_state(part, event.lot, "good")
    return part


def _in_state(part: SkuPart, lot: str, state: LotState) -> SkuPart:
    lots = part.lots
    assert lots is not None, "a SKU without lots was told of one"
    return changed(part, lots=changed(lots, named={**lots.named, lot: changed(lots.named[lot], state=state)}))


def _with(lots: Lots, event: LotDefined) -> Lots:
    """The lots with a new one, without those that nobody asks for any more."""
    kept = {
        name: one
        for name, one in lots.named.items()
        if one.state == "good" or event.expires_on - date.fromisoformat(one.expires_on) <= FORGOTTEN_AFTER
    }
    return changed(lots, named={**kept, event.lot: Lot(event.expires_on.isoformat())})
