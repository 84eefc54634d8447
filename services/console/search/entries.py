"""What each event adds to the search index. Pure; the same event again adds the same again."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from libs.events.amendments import HeldOrderAmended, OrderAmended
from libs.events.contract import Event
from libs.events.fulfillment import ShipmentDispatched
from libs.events.intake import OrderAccepted, OrderHeld
from libs.events.order import Sealed
from services.console.search.terms import words_of

CONTACT = "contact"
ORDER = "order"
HEARS: Mapping[str, tuple[type[Event], ...]] = {
    "intake": (OrderAccepted, OrderHeld, HeldOrderAmended),
    "fulfillment": (ShipmentDispatched, OrderAmended),
}
"""By stage. All other events are passed over unread."""
_WORDS_MAX = 200


class Part(NamedTuple):
    """Words of an order that can be found together; of a contact, what has to be opened for them. `at`: when
    the order was placed; none of what is told without it, to which its order tells it."""

    tenant: str
    order_id: str
    part: str
    words: tuple[str, ...] = ()
    sealed: Sealed | None = None
    customer_id: str | None = None
    at: datetime | None = None
    newness: str = ""
    """Of contacts of one order, the one that is last in this order holds, whatever is read first."""


class Article(NamedTuple):
    """A SKU under a description that it was sold by."""

    tenant: str
    sku: str
    description: str


def entries(tenant: str, event: Event) -> tuple[list[Part], list[Article]]:
    """Parts of the order, and its articles."""
    match event:
        case OrderAccepted() | OrderHeld():
            numbers, at = (event.external_id, event.customer_id or ""), event.placed_at.astimezone(UTC)
            parts = [Part(tenant, event.order_id, ORDER, _words(numbers), None, event.customer_id, at)]
            if event.contact is not None:
                parts.append(Part(tenant, event.order_id, CONTACT, sealed=event.contact, at=at))
            articles = {Article(tenant, line.sku, line.description or "") for line in event.lines}
            return parts, sorted(articles)
        case HeldOrderAmended() | OrderAmended():
            if event.contact is None:
                return [], []
            number = event.amendment_id.rpartition("-A")[2].rjust(9, "0")
            return [Part(tenant, event.order_id, CONTACT, sealed=event.contact, newness=number)], []
        case ShipmentDispatched():
            tracking = [package.tracking_number for package in event.packages]
            part = f"shipment {event.shipment_id}"
            # What begins with its order's id is found by that.
            own = () if event.shipment_id.startswith(event.order_id) else (event.shipment_id,)
            return [Part(tenant, event.order_id, part, _words((*own, *tracking)))], []
        case _:
            return [], []


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    found = dict.fromkeys(word for text in texts for word in words_of(text))
    return tuple(found)[:_WORDS_MAX]
