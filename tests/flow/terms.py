"""What must hold of amended orders: a node is only ever given work by the terms that the order has then."""

from collections.abc import Iterable, Iterator

from libs.events.amendments import OrderAmended
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentReleased
from libs.events.places import STANDARD


def released_by_others(events: Iterable[Event]) -> Iterator[str]:
    """Work that was released by terms of before; `events` are fulfillment's, in the order of its log."""
    now: dict[str, dict[str, object]] = {}
    for event in events:
        if isinstance(event, OrderAmended):
            terms = {name: getattr(event, name) for name in ("destination", "contact", "service")}
            known = now.setdefault(event.order_id, {})
            known |= {name: value for name, value in terms.items() if value is not None}
        elif isinstance(event, FulfillmentReleased):
            there = {
                "destination": event.destination,
                "contact": event.contact,
                "service": event.service or STANDARD,
            }
            for name, value in now.get(event.order_id, {}).items():
                if there[name] != value:
                    yield f"{event.fulfillment_order_id} is released with another {name} than was amended"
