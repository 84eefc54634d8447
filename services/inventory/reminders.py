"""What an event reminds inventory of: orders whose claims changed, SKUs with free units, queues and supply
that moved, and what is to be looked at again later."""

from datetime import datetime

from libs.events.amendments import StockDeallocated
from libs.events.bundles import BundleEvent, BundlesUnpacked
from libs.events.changes import LinesReleased
from libs.events.contract import Event
from libs.events.inventory import (
    ReservationBroken,
    StockAllocated,
    StockBackordered,
    StockPegged,
    StockReleased,
    StockReserved,
    StockReturned,
)
from libs.events.policy import BackordersCalled
from libs.events.promise import PROMISE_EVENTS
from libs.events.substitutes import SubstitutesSought
from libs.events.timer import Timer
from services.inventory import bundles, capacity, holds, outside, pegging, waiting
from services.inventory.order import units
from services.inventory.touched import REACH, SKU_STREAM, freed

_CLAIMS: frozenset[type[Event]] = frozenset(
    {
        StockPegged,
        ReservationBroken,
        StockReleased,
        LinesReleased,
        StockDeallocated,
        StockReturned,
        StockBackordered,
        BackordersCalled,
        SubstitutesSought,
        *PROMISE_EVENTS,
        *outside.REMINDS,
        *bundles.REMINDS,
    }
)
_REMINDS = _CLAIMS | pegging.REMINDS | capacity.TELLS


def timers(event: Event, at: datetime) -> list[Timer]:
    """Reminders to other streams, due at once, and to look again when something is due."""
    kind = type(event)
    if kind not in _REMINDS:
        return _given_back(event, at) if isinstance(event, StockReserved) and event.served else []
    found = _of_claims(event, at) if kind in _CLAIMS else []
    if kind in capacity.TELLS:
        found += capacity.timers(event, at)
    if isinstance(event, StockAllocated) and event.frees is not None:
        found += [Timer(SKU_STREAM + sku, "free", at) for sku in event.frees]
    return [*found, *pegging.timers(event, at)] if kind in pegging.REMINDS else found


def _given_back(event: StockReserved, at: datetime) -> list[Timer]:
    """SKUs of which an order gives units back that cannot be sent where it goes, or took over a basket's: it
    may go elsewhere, and leave units that can be sent to who waits."""
    found = {move.sku for move in event.movements if move.source == "reserved"}
    if event.round == 1 and event.served is not None:
        lines, moved = units(event.lines), {move.sku: move.quantity for move in event.movements}
        named = {one.sku for one in event.served.skus}
        found |= {sku for sku in named if lines.get(sku, 0) > moved.get(sku, 0)}
    return [Timer(SKU_STREAM + sku, "free", at) for sku in sorted(found)]


def _of_claims(event: Event, at: datetime) -> list[Timer]:
    match event:
        case StockPegged() | ReservationBroken():
            told = [Timer(claim.order_id, "claims", at) for claim in event.claims]
            # who lost units may have free ones that the terms keep from who won them
            return [*told, Timer(event.stream, "free", at)] if event.cause else told
        case StockReleased() | LinesReleased() | StockReturned() | StockDeallocated():
            found = freed(event.movements)
            if isinstance(event, StockReleased) and event.waited is not None:
                found = dict.fromkeys(event.waited, "free") | found
            elif isinstance(event, LinesReleased):  # who has not told where it goes had more kept for it
                found = {change.sku: "free" for change in event.queue or ()} | found
            elif isinstance(event, StockReturned):  # perhaps to a node where the SKU never was
                found = {sku: REACH if name == "free" else name for sku, name in found.items()}
            return [Timer(SKU_STREAM + sku, name, at) for sku, name in found.items()]
        case StockBackordered() | BackordersCalled():
            return waiting.timers(event, at)
        case SubstitutesSought():
            return [Timer(event.order_id, bundles.UNPACKED, at)]
        case BundleEvent() | BundlesUnpacked():
            return bundles.timers(event, at)
        case _ if type(event) in outside.REMINDS:
            return list(outside.timers(event, at))
        case _:
            return holds.timers(event, at)
