"""What each event means to the customer: the message that it calls for, with the facts that it names."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from libs.events.amendments import OrderAmended
from libs.events.changes import LinesCancelled
from libs.events.contract import Event
from libs.events.fulfillment import (
    CarrierEventRecorded,
    FulfillmentReleased,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from libs.events.intake import HeldOrderCancelled, OrderAccepted, OrderClosed
from libs.events.inventory import StockBackordered
from libs.events.notifications import Fact, Milestone
from libs.events.record import record
from libs.events.returns import RefundRequested, ReturnAuthorised
from libs.events.routing import OrderRouted

LISTED_MAX = 20
"""Tracking numbers or SKUs that a message names; the others are counted."""


@record
class Letter:
    """One message, asked for or to be asked for: what it says, and what became of it."""

    milestone: Milestone
    subject_id: str | None = None
    facts: tuple[Fact, ...] = ()
    outcome: Literal["owed", "sent", "failed", "skipped"] = "owed"


@record
class Instead:
    """A SKU that is sent, and the one that was ordered."""

    sku: str
    ordered: str


GOES_ON: frozenset[Milestone] = frozenset({"confirmed", "routed", "picking", "backordered"})


def goes_on(letter: Letter) -> bool:
    """Whether it says that the order, or the rest of it, goes on: of a cancelled order nobody is told so.
    What became of parcels and of money is told then, too."""
    return letter.milestone in GOES_ON or (letter.milestone == "cancelled" and letter.subject_id is not None)


_UP_TO_A_PARCEL = frozenset[Milestone]({"routed", "picking"})
_OF_PARCELS = frozenset[Milestone]({"shipped", "picked_up", "delivered", "lost"})


def overtakes(known: Letter, late: Letter) -> bool:
    """Whether nobody is to be told of `late` once they were told of `known`.

    A milestone says what comes next; who was told of a parcel knows better. Routing and picking follow so
    closely that either may be heard first, and both are told. An order is backordered anew after a parcel,
    too, so that is told whenever it is heard.
    """
    return late.milestone in _UP_TO_A_PARCEL and known.milestone in _OF_PARCELS


def facts(**values: object) -> tuple[Fact, ...]:
    return tuple(Fact(name=name, value=str(value)[:500]) for name, value in values.items())


def _listed(name: str, values: list[str]) -> tuple[Fact, ...]:
    """The first of them, one fact each; then how many there are."""
    named = tuple(Fact(name=name, value=value) for value in values[:LISTED_MAX])
    return (*named, Fact(name=f"{name}_count", value=str(len(values))))


def of_order(order: OrderAccepted | HeldOrderCancelled) -> tuple[Fact, ...]:
    """What every message of the order may name."""
    goods = sum(line.unit_price_minor * line.quantity for line in order.lines)
    total = order.total_minor
    if total is None:
        total = goods + sum(charge.amount_minor for charge in order.charges)
    assert order.placed_at is not None, "an order is told of without its terms"
    return facts(
        order=order.external_id,
        channel=order.channel,
        placed_at=order.placed_at.isoformat(),
        currency=order.currency,
        total_minor=total,
        units=sum(line.quantity for line in order.lines),
    )


def _closed(event: OrderClosed) -> Letter | None:
    # What was delivered or lost was told shipment by shipment.
    if event.outcome not in ("cancelled", "unroutable"):
        return None
    return Letter("cancelled", None, facts(cause=event.outcome))


def _fewer(event: LinesCancelled) -> Letter:
    skus = list(dict.fromkeys(units.sku for units in event.lines))
    units = facts(cause="lines", cancelled_units=sum(units.quantity for units in event.lines))
    return Letter("cancelled", event.cancellation_id, (*units, *_listed("sku", skus)))


def _amended(event: OrderAmended) -> Letter:
    """The order is confirmed as it is now; what an address is, stays in the sealed contact."""
    what: dict[str, object] = {} if event.destination is None else {"address": "new"}
    if event.service is not None:
        what["service"] = event.service
    return Letter("confirmed", event.amendment_id, facts(cause="amended", **what))


def _backordered(event: StockBackordered) -> Letter:
    skus = list(dict.fromkeys(shortage.sku for shortage in event.short))
    return Letter("backordered", None, _listed("sku", skus))


def _shipped(event: ShipmentDispatched) -> Letter:
    tracking = list(dict.fromkeys(package.tracking_number for package in event.packages))
    told = (*facts(carrier=event.carrier), *_listed("tracking", tracking))
    return Letter("shipped", event.shipment_id, told)


def _carried(event: CarrierEventRecorded) -> Letter | None:
    if event.status != "picked_up":
        return None
    return Letter("picked_up", event.shipment_id, facts(occurred_at=event.occurred_at.isoformat()))


def substituted(pairs: Iterable[Instead]) -> tuple[Fact, ...]:
    """What is sent in place of what was ordered, each once; nothing where nothing is."""
    found = list(dict.fromkeys(pairs))
    if not found:
        return ()
    named = found[:LISTED_MAX]
    ordered = tuple(Fact(name="ordered", value=one.ordered) for one in named)
    return (*_listed("substitute", [one.sku for one in found]), *ordered)


def replaced(event: FulfillmentReleased) -> dict[int, Instead]:
    """By line: what is sent in place of what was ordered; of all the order, as each of its nodes hears it."""
    return {
        part.line: Instead(part.sku, line.sku)
        for line in event.bundles or ()
        if line.substituted is not None
        for part in line.parts
    }


def _refunded(event: RefundRequested) -> Letter:
    told = facts(amount_minor=event.amount_minor, currency=event.currency, cause=event.cause)
    return Letter("refunded", event.refund_id, told)


LETTERS: dict[type[Event], Callable[[Any], Letter | None]] = {
    OrderClosed: _closed,
    LinesCancelled: _fewer,
    OrderAmended: _amended,
    StockBackordered: _backordered,
    OrderRouted: lambda _: Letter("routed"),
    FulfillmentReleased: lambda event: Letter("picking", None, substituted(replaced(event).values())),
    ShipmentDispatched: _shipped,
    CarrierEventRecorded: _carried,
    ShipmentDelivered: lambda event: Letter(
        "delivered", event.shipment_id, facts(occurred_at=event.occurred_at.isoformat())
    ),
    ShipmentLost: lambda event: Letter(
        "lost", event.shipment_id, facts(occurred_at=event.occurred_at.isoformat())
    ),
    ReturnAuthorised: lambda event: Letter(
        "return_authorised", event.rma_id, facts(units=sum(line.quantity for line in event.lines))
    ),
    RefundRequested: _refunded,
}
