"""Which streams an input of an order, a promise or a SKU touches, and what an order's events do to SKUs."""

from collections.abc import Iterable, Iterator
from typing import cast

from libs.events.amendments import AllocationOutdated, StockDeallocated
from libs.events.bundles import BundleCommand, BundleEvent
from libs.events.changes import AllocationDeclined, LinesCancelled, LinesReleased
from libs.events.contract import Contract
from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDispatched
from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    Movement,
    StockAllocated,
    StockBackordered,
    StockIssued,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShorted,
)
from libs.events.policy import POLICIES_STREAM, KeptPlace
from libs.events.promise import (
    DefinePromiseTerms,
    HoldStock,
    PromiseConfirmed,
    PromiseExpired,
    PromiseHeld,
    PromiseMissed,
    PromiseReleased,
    promise_stream,
)
from libs.events.returns import ReturnReceived
from libs.events.routing import NODES_STREAM, OrderRouted
from libs.events.set_aside import ReturnMovement, ReturnQuarantined
from libs.events.supply import RULES_STREAM
from libs.events.timer import TimerDue
from services.inventory import bundle_plans, bundles, outside
from services.inventory.bins import taken
from services.inventory.holds import PromisePart
from services.inventory.order import Moving, OrderPart, units
from services.inventory.queue import NO_TURN, as_text
from services.inventory.queue_changes import counted
from services.inventory.stock import EMPTY_SKU, SkuPart, Skus, asked, moved
from services.inventory.supplies import SUPPLY_STREAM
from services.inventory.waiting import turn_of

SKU_STREAM = "sku/"
REACH = "reach"
"""The timer by which a SKU is asked whether its nodes are switched on."""
_MAY_NAME_A_PROMISE = frozenset({OrderAccepted, PromiseConfirmed, PromiseMissed})


def streams_of_order(body: Contract, home: OrderPart | PromisePart) -> tuple[str, ...]:
    """Streams of the SKUs that an order's input may move: those it names, and the order's own."""
    more = home.units if isinstance(home, PromisePart) else home.skus
    named = tuple([SKU_STREAM + sku for sku in dict.fromkeys((*named_skus(body), *more))])
    if type(body) in _MAY_NAME_A_PROMISE:
        promise_id = cast(OrderAccepted, body).promise_id
        if type(body) is OrderAccepted:
            named = (*named, POLICIES_STREAM)
        return named if promise_id is None else (*named, promise_stream(promise_id))
    if isinstance(body, ReturnReceived | ReturnQuarantined | ShipmentDispatched):
        return (*named, *[SUPPLY_STREAM + sku for sku in dict.fromkeys(_set_aside(body, home))])
    if isinstance(body, HoldStock):
        if body.service is not None or body.order_type is not None or body.channel is not None:
            named = (*named, POLICIES_STREAM)
        return named if body.destination is None else (*named, NODES_STREAM)
    if isinstance(body, PickShorted | StockShorted):
        return (*named, *outside.streams_of_short_pick(body))
    if isinstance(body, TimerDue) and isinstance(home, OrderPart) and home.promise_id is not None:
        return (*named, promise_stream(home.promise_id))
    return named


def _set_aside(
    body: ReturnReceived | ReturnQuarantined | ShipmentDispatched, home: OrderPart | PromisePart
) -> Iterator[str]:
    """SKUs of which an input sets returned units aside, which changes their supply."""
    if isinstance(body, ReturnQuarantined):
        yield from (move.sku for move in body.movements)
        return
    early = home.early_returns if isinstance(home, OrderPart) else ()
    for received in (body,) if isinstance(body, ReturnReceived) else early:
        yield from (unit.sku for unit in received.units if unit.disposition == "quarantine")


def streams_of_sku(body: Contract, home: SkuPart) -> tuple[str, ...]:
    """What an input of a SKU's stream needs beside the SKU: an ordinary one, nothing."""
    if isinstance(body, BundleCommand | BundleEvent):
        return bundles.streams(body, home)
    if isinstance(body, TimerDue) and body.name == bundles.PLANNED:
        return bundle_plans.streams(body.stream.removeprefix(SKU_STREAM), home)
    if isinstance(body, TimerDue) and body.name == REACH:
        return (NODES_STREAM,)
    if isinstance(body, DefinePromiseTerms):
        return (RULES_STREAM,)
    return outside.streams(body)


def named_skus(body: Contract) -> Iterable[str]:
    """SKUs that an order's event names, heard or inventory's own."""
    match body:
        case OrderAccepted() | StockBackordered() | LinesCancelled():
            return [line.sku for line in body.lines]
        case StockReserved():
            return [line.sku for line in (*body.lines, *(body.later or ()))]
        case OrderRouted() | StockAllocated() | AllocationDeclined() | AllocationOutdated():
            return [line.sku for node in body.nodes for line in node.lines]
        case ReturnReceived():
            return [unit.sku for unit in body.units]
        case StockIssued() | StockReturned() | ReturnQuarantined():
            return [movement.sku for movement in body.movements]
        case StockReleased() | LinesReleased() | StockShorted() | StockDeallocated():
            return [*(line.sku for line in body.lines), *(movement.sku for movement in body.movements)]
        case FulfillmentCancelled() | ShipmentDispatched() | PickShorted():
            return [line.sku for line in body.lines]
        case HoldStock() | PromiseHeld():
            return [line.sku for line in body.lines]
        case PromiseExpired() | PromiseReleased() | PromiseConfirmed():
            moved_, waited = (move.sku for move in body.movements), (one.sku for one in body.waited or ())
            return [*moved_, *waited]
    return ()


def moved_skus(skus: Skus, event: Moving, order: OrderPart) -> dict[str, SkuPart]:
    """The SKUs after an event of an order, `order` being the order after it."""
    if order.status == "unpacked":
        return dict(skus)  # nothing was asked for it yet
    by_sku: dict[str, list[Movement | ReturnMovement]] = {}
    for movement in event.movements:
        by_sku.setdefault(movement.sku, []).append(movement)
    since, queue, served, tells = None, None, None, False  # as the claims have it
    match event:
        case StockAllocated():
            pass
        case StockDeallocated():  # its claim may have ended with the allocation
            assert order.since is not None, f"{event.order_id} was never accepted"
            since = as_text(order.since)
        case StockReserved() | StockBackordered():
            served, tells = event.served, True
            since, queue = as_text(event.since), event.queue
            later = event.later if isinstance(event, StockReserved) else None
            for line in event.lines if later is None else (*event.lines, *later):
                by_sku.setdefault(line.sku, [])
        case StockReleased() | LinesReleased():
            queue = event.queue
            for line in event.lines:
                by_sku.setdefault(line.sku, [])
        case _:  # at nodes alone: claims stay as they are
            return {**skus, **{sku: moved(skus.get(sku, EMPTY_SKU), by_sku[sku]) for sku in by_sku}}
    after, wanted, order_id = dict(skus), units(order.pending), event.order_id
    if isinstance(event, StockAllocated) and event.picks is not None:
        after = taken(after, event.picks)
    kept = {} if order.places is None or since is None else places_of(order.places)
    for sku, movements in by_sku.items():
        part, wants, turn = after.get(sku, EMPTY_SKU), wanted.get(sku, 0), None
        if order.policy is not None:
            passed = _passed(event, part, sku)
            turn = turn_of(order, wants, passed)
        named, stood = sku if tells else None, kept.get(sku, since)
        after[sku] = asked(part, movements, order_id, wants, stood, order.channel, turn, served, named)
    return counted(after, queue)


def _passed(event: Moving, part: SkuPart, sku: str) -> bool:
    """Whether the order has found enough of the SKU, and lacks others."""
    if isinstance(event, StockBackordered):
        return all(one.sku != sku for one in event.short)
    return part.turns.get(event.order_id, NO_TURN).passed


def places_of(places: Iterable[KeptPlace]) -> dict[str, str]:
    """Since when an order waits for SKUs of which it took over the place of a basket."""
    return {place.sku: as_text(place.since) for place in places}


def freed(movements: Iterable[Movement]) -> dict[str, str]:
    """SKUs of which the movements leave units that others may take, and the reminder that looks after them:
    of a SKU that has lots, also at what may not be sold."""
    found: dict[str, str] = {}
    for movement in movements:
        if movement.target == "on_hand" or movement.source == "reserved":
            name = "free" if movement.lot is None else "lots_back"
            found[movement.sku] = max(name, found.get(movement.sku, name))
    return found
