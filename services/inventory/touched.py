"""Which SKUs an input of an order or a held promise touches, and what an order's events do to them."""

from collections.abc import Iterable

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
from libs.events.promise import HoldStock, PromiseConfirmed, PromiseExpired, PromiseHeld, PromiseReleased
from libs.events.returns import ReturnReceived
from libs.events.routing import OrderRouted
from services.inventory.order import Moving, OrderPart, units
from services.inventory.stock import EMPTY_SKU, SkuPart, Skus, asked, moved


def named_skus(body: Contract) -> Iterable[str]:
    """SKUs that an order's event names, heard or inventory's own."""
    match body:
        case OrderAccepted() | StockReserved():
            return [line.sku for line in body.lines]
        case OrderRouted() | StockAllocated():
            return [line.sku for node in body.nodes for line in node.lines]
        case ReturnReceived():
            return [unit.sku for unit in body.units]
        case StockIssued() | StockReturned():
            return [movement.sku for movement in body.movements]
        case StockReleased() | StockShorted():
            return [*(line.sku for line in body.lines), *(movement.sku for movement in body.movements)]
        case FulfillmentCancelled() | ShipmentDispatched() | PickShorted() | StockBackordered():
            return [line.sku for line in body.lines]
        case HoldStock() | PromiseHeld():
            return [line.sku for line in body.lines]
        case PromiseExpired() | PromiseReleased() | PromiseConfirmed():
            return [move.sku for move in body.movements]
    return ()


def moved_skus(skus: Skus, event: Moving, order: OrderPart) -> dict[str, SkuPart]:
    """The SKUs after an event of an order, `order` being the order after it."""
    by_sku: dict[str, list[Movement]] = {}
    for movement in event.movements:
        by_sku.setdefault(movement.sku, []).append(movement)
    since = None  # as the claims have it
    match event:
        case StockAllocated():
            pass
        case StockReserved() | StockBackordered():
            since = event.since.isoformat().replace("+00:00", "Z")
            for line in event.lines:
                by_sku.setdefault(line.sku, [])
        case StockReleased():
            for line in event.lines:
                by_sku.setdefault(line.sku, [])
        case _:  # at nodes alone: claims stay as they are
            return {**skus, **{sku: moved(skus.get(sku, EMPTY_SKU), by_sku[sku]) for sku in by_sku}}
    after, wanted, order_id = dict(skus), units(order.pending), event.order_id
    for sku, movements in by_sku.items():
        part = after.get(sku, EMPTY_SKU)
        after[sku] = asked(part, movements, order_id, wanted.get(sku, 0), since, order.channel)
    return after


def freed(movements: Iterable[Movement]) -> dict[str, str]:
    """SKUs of which the movements leave units that others may take, and the reminder that looks after them:
    of a SKU that has lots, also at what may not be sold."""
    found: dict[str, str] = {}
    for movement in movements:
        if movement.target == "on_hand" or movement.source == "reserved":
            name = "free" if movement.lot is None else "lots_back"
            found[movement.sku] = max(name, found.get(movement.sku, name))
    return found
