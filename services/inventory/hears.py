"""What inventory hears of the other stages, and what of it it passes over."""

from collections.abc import Mapping

from libs.events.changes import AllocationDeclined, LinesCancelled
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDispatched
from libs.events.intake import OrderAccepted
from libs.events.returns import ReturnReceived
from libs.events.routing import NodeDefined, OrderRouted, TransitDefined

HEARS: tuple[type[Event], ...] = (
    OrderAccepted,
    OrderRouted,
    FulfillmentCancelled,
    LinesCancelled,
    AllocationDeclined,
    ShipmentDispatched,
    PickShorted,
    ReturnReceived,
    NodeDefined,
    TransitDefined,
)
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    OrderAccepted: (
        "external_id",
        "placed_at",
        "currency",
        "charges",
        "total_minor",
        "payment",
        "customer_id",
        "fingerprint",
    ),
    OrderRouted: ("candidates", "rule_version", "nodes_version", "promised", "service"),
}
"""What inventory has no use for in them."""
