"""How an order goes on once it was promised units: planned, shipped, cancelled, or to be sourced again."""

from datetime import datetime

from libs.events.changes import LinesReleased
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDispatched
from libs.events.inventory import StockAllocated, StockReleased
from libs.events.routing import OrderRouted
from services.inventory import waiting
from services.inventory.allocate import allocate, covers, issue, release, write_short
from services.inventory.fewer import Fewer, release_lines
from services.inventory.order import Moving, OrderPart, evolve_order
from services.inventory.queue_changes import with_queue
from services.inventory.reserve import complete, promise
from services.inventory.returned import take_back
from services.inventory.serials import Numbers, evolve_serials
from services.inventory.stock import Skus
from services.inventory.touched import moved_skus


def next_round(order_id: str, order: OrderPart, skus: Skus) -> Event:
    """What is promised of the pending units now; plans for earlier rounds are void."""
    return promise(order_id, order, skus, order.round + 1)


def route(order: OrderPart, skus: Skus, routed: OrderRouted, at: datetime) -> list[Event]:
    """A plan becomes an allocation; what was not asked about waits on."""
    if order.status != "reserved" or routed.round != order.round:
        return []  # a repeat, or a plan that something has overtaken
    if not complete(routed.order_id, order, skus):
        # broken; its timer is on the way and will find it waiting
        return [next_round(routed.order_id, order, skus)]
    allocated = allocate(routed.order_id, order, skus, routed, at)
    if not order.later or not isinstance(allocated, StockAllocated):
        return [allocated]
    return [allocated, next_round(routed.order_id, *_folded(order, skus, allocated))]


def cancel(order: OrderPart, skus: Skus, cancelled: FulfillmentCancelled) -> list[Event]:
    """Fulfillment gave up the order, or lines of it."""
    if order.status == "closed":
        return []
    released = with_queue(skus, release(cancelled.order_id, order, skus, cancelled))
    if cancelled.cause == "unroutable" and not (released.lines or released.movements):
        return []
    return [released, *_asked_again(order, skus, released)]


def give_back(order: OrderPart, skus: Skus, fewer: Fewer) -> list[Event]:
    """The order wants fewer units: their stock, and the round that this opens for what it still waits for."""
    if (released := release_lines(order, skus, fewer)) is None:
        return []
    released = with_queue(skus, released)
    return [released, *_asked_again(order, skus, released)]


def dispatch(order: OrderPart, skus: Skus, dispatched: ShipmentDispatched, numbers: Numbers) -> list[Event]:
    """A shipment left; what was heard to have come back before it left, came back."""
    if dispatched.shipment_id in order.shipments:
        return []
    issued = issue(order, skus, dispatched, numbers)
    events: list[Event] = [issued]
    order, skus = _folded(order, skus, issued)
    numbers = evolve_serials(numbers, issued)
    while order.early_returns and covers(order, order.early_returns[0]):
        for returned in take_back(order, skus, order.early_returns[0], numbers):
            events.append(returned)
            order, skus = _folded(order, skus, returned)
            numbers = evolve_serials(numbers, returned)
    return events


def short(order: OrderPart, skus: Skus, shorted: PickShorted, numbers: Numbers) -> list[Event]:
    """A node lacks units that were allocated to it: they are written off, and sourced again."""
    if shorted.fulfillment_order_id in order.shorted:
        return []
    written = write_short(order, skus, shorted, numbers)
    return [written, next_round(shorted.order_id, *_folded(order, skus, written))]


def remember(name: str, order_id: str, order: OrderPart, skus: Skus) -> list[Event]:
    """Look after an order: its claims changed in a SKU's lane, or it has waited as long as it may."""
    if name == "lapse":
        return waiting.lapse(order_id, order, skus)
    assert name == "claims", f"nobody here asks for a timer {name!r}"
    if order.status == "waiting" and order.policy is not None:
        return waiting.look(order_id, order, skus)
    untold = order.status in ("waiting", "reserved") and waiting.untold(order_id, order, skus)
    if order.status == "waiting" and (untold or complete(order_id, order, skus)):
        return [promise(order_id, order, skus, order.round)]
    if order.status == "reserved" and (untold or not complete(order_id, order, skus)):
        return [next_round(order_id, order, skus)]
    return []


def _asked_again(order: OrderPart, skus: Skus, released: StockReleased | LinesReleased) -> list[Event]:
    """Where units without a node are given up, routing's plan is void: another round for what is left."""
    after, left = _folded(order, skus, released)
    if order.status in ("new", "unpacked") or not released.lines or not after.pending:
        return []
    return [next_round(released.order_id, after, left)]


def _folded(order: OrderPart, skus: Skus, event: Moving) -> tuple[OrderPart, Skus]:
    """The order and its SKUs after an event of it."""
    after = evolve_order(order, event)
    return after, moved_skus(skus, event, after)
