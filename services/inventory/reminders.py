"""What an event reminds inventory of: orders whose claims changed, SKUs with free units, queues and supply
that moved, and what is to be looked at again later."""

from datetime import datetime

from libs.events.contract import Event
from libs.events.inventory import ReservationBroken, StockPegged, StockReleased, StockReturned
from libs.events.promise import PROMISE_EVENTS
from libs.events.timer import Timer
from services.inventory import holds, outside, pegging
from services.inventory.touched import frees

_CLAIMS: frozenset[type[Event]] = frozenset(
    {StockPegged, ReservationBroken, StockReleased, StockReturned, *PROMISE_EVENTS, *outside.REMINDS}
)
_REMINDS = _CLAIMS | pegging.REMINDS


def timers(event: Event, at: datetime) -> list[Timer]:
    """Reminders to other streams, due at once, and to look again when something is due."""
    kind = type(event)
    if kind not in _REMINDS:
        return []
    found = _of_claims(event, at) if kind in _CLAIMS else []
    return [*found, *pegging.timers(event, at)] if kind in pegging.REMINDS else found


def _of_claims(event: Event, at: datetime) -> list[Timer]:
    match event:
        case StockPegged() | ReservationBroken():
            return [Timer(claim.order_id, "claims", at) for claim in event.claims]
        case StockReleased() | StockReturned():
            skus = dict.fromkeys(movement.sku for movement in event.movements if frees(movement))
            return [Timer(f"sku/{sku}", "free", at) for sku in skus]
        case _ if type(event) in outside.REMINDS:
            return list(outside.timers(event, at))
        case _:
            return holds.timers(event, at)
