"""An order that was amended: what it is promised goes elsewhere, or goes by another service, from now on.

Fulfillment says that it is amended, and gives back what is allocated for the terms of before. Units that had
a node stay promised to their order while routing plans anew: nobody who waits for them gets in between. An
amendment may be heard of before the order itself, as topics have no order among themselves.
"""

from libs.events.amendments import AllocationOutdated, AmendedTerms, StockDeallocated
from libs.events.intake import OrderAccepted
from libs.events.inventory import NETWORK
from libs.events.order import Destination, LineQuantity, Sealed
from libs.events.places import STANDARD
from services.inventory.allocate import must_hold
from services.inventory.order import OrderPart, plus, units
from services.inventory.posting import Posting
from services.inventory.stock import Skus


def promised_others(order: OrderPart) -> bool:
    """Whether what it was promised last goes elsewhere than it does now, or by another service."""
    service = order.service_now or STANDARD
    return (order.destination_now, service) != (order.destination, order.service or STANDARD)


def as_amended(known: OrderPart, accepted: OrderAccepted) -> OrderAccepted:
    """An order's acceptance, with the terms of amendments that were heard of before it."""
    return accepted if known.amended is None else accepted.model_copy(update=given(known.amended))


def deallocate(order: OrderPart, skus: Skus, outdated: AllocationOutdated) -> StockDeallocated | None:
    """What was allocated is promised without a node again; None of an order that holds nothing any more."""
    if order.status == "closed":
        return None
    posting = Posting(skus, order.lots or {})
    lines: tuple[LineQuantity, ...] = ()
    for at_node in outdated.nodes:
        lines = plus(lines, at_node.lines)
        for sku, quantity in units(at_node.lines).items():
            must_hold(order, outdated.order_id, at_node.node, sku, quantity)
            posting.post(sku, at_node.node, "allocated", "on_hand", quantity)
    for sku, quantity in units(lines).items():
        posting.post(sku, NETWORK, "unreserved", "reserved", quantity)
    return StockDeallocated(
        order_id=outdated.order_id, round=outdated.round, lines=lines, movements=posting.movements()
    )


def given(terms: AmendedTerms) -> dict[str, Destination | Sealed | str]:
    """What an amendment changes."""
    found = (("destination", terms.destination), ("contact", terms.contact), ("service", terms.service))
    return {name: value for name, value in found if value is not None}
