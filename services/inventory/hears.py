"""What inventory hears, what of it it passes over, and which events its state is folded of."""

from collections.abc import Mapping

from libs.events.amendments import AllocationOutdated, OrderAmended, StockDeallocated
from libs.events.availability import StockLow, StockRecovered
from libs.events.backorders import BACKORDER_EVENTS
from libs.events.bundles import BUNDLE_EVENTS, BundleCommand
from libs.events.changes import AllocationDeclined, LinesCancelled, LinesReleased
from libs.events.contract import Event
from libs.events.dates import DATES_EVENTS
from libs.events.feed_maps import MapFeedSku, TellStock
from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDispatched
from libs.events.intake import OrderAccepted
from libs.events.inventory import INVENTORY_EVENTS, AdjustStock, ReceiveStock
from libs.events.outside import OUTSIDE_EVENTS
from libs.events.policy import POLICY_EVENTS, DefineReservationPolicies
from libs.events.promise import PROMISE_EVENTS, DefinePromiseTerms, HoldStock, ReleasePromise
from libs.events.reach import REACH_EVENTS
from libs.events.returns import ReturnReceived
from libs.events.routing import NodeDefined, OrderRouted, TransitDefined
from libs.events.set_aside import ReturnQuarantined
from libs.events.substitutes import SUBSTITUTE_EVENTS, DefineSubstitutes
from libs.events.timer import TimerDue
from services.inventory import outside
from services.inventory.fewer import Fewer
from services.inventory.rules import RulesInput

HEARS: tuple[type[Event], ...] = (
    OrderAccepted,
    OrderRouted,
    FulfillmentCancelled,
    LinesCancelled,
    AllocationDeclined,
    OrderAmended,
    AllocationOutdated,
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
    OrderRouted: ("candidates", "rule_version", "nodes_version", "promised", "service", "reviewed"),
}
"""What inventory has no use for in them."""
Heard = (
    ReceiveStock
    | AdjustStock
    | HoldStock
    | ReleasePromise
    | DefinePromiseTerms
    | OrderAccepted
    | OrderRouted
    | FulfillmentCancelled
    | Fewer
    | OrderAmended
    | AllocationOutdated
    | ShipmentDispatched
    | PickShorted
    | ReturnReceived
    | NodeDefined
    | TransitDefined
    | TimerDue
    | outside.Told
    | MapFeedSku
    | TellStock
    | RulesInput
    | DefineReservationPolicies
    | DefineSubstitutes
    | BundleCommand
)
"""What is decided: commands, what other stages did, and reminders."""
FOLDED = frozenset(
    {
        StockLow,
        StockRecovered,
        LinesReleased,
        OrderAmended,
        StockDeallocated,
        ReturnReceived,
        ReturnQuarantined,
        NodeDefined,
        TransitDefined,
    }
).union(
    INVENTORY_EVENTS,
    PROMISE_EVENTS,
    POLICY_EVENTS,
    BACKORDER_EVENTS,
    SUBSTITUTE_EVENTS,
    OUTSIDE_EVENTS,
    BUNDLE_EVENTS,
    DATES_EVENTS,
    REACH_EVENTS,
)
"""What `domain.evolve` folds; most of what is heard tells nothing that its answer does not."""
