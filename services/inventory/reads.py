"""Which streams an input needs beside its own, given the part of that: what its decision is made on."""

from collections.abc import Iterable

from libs.events.amendments import OrderAmended
from libs.events.contract import Contract
from libs.events.timer import TimerDue
from services.inventory import capacity, feed_maps, pegging
from services.inventory.feed_skus import FeedSku
from services.inventory.holds import PromisePart
from services.inventory.order import OrderPart
from services.inventory.places import PlacesPart
from services.inventory.stock import SkuPart
from services.inventory.touched import streams_of_order, streams_of_sku


def streams(body: Contract, home: object) -> tuple[str, ...]:
    """Streams of the SKUs that an order's input may move, and what else it reads; `home` is any part."""
    if isinstance(body, TimerDue) and body.name in pegging.REMINDERS:
        return pegging.streams(body, _skus_of(home))
    if isinstance(body, OrderAmended) and isinstance(home, OrderPart):
        return pegging.streams(body, home.skus)
    if isinstance(home, OrderPart):
        loads = capacity.streams_of_order(body, home)
        return (*streams_of_order(body, home), *loads) if loads else streams_of_order(body, home)
    if isinstance(home, PromisePart):
        return streams_of_order(body, home)
    if isinstance(home, PlacesPart):
        return capacity.streams_of_nodes(body, home)
    if isinstance(home, FeedSku):
        return feed_maps.streams(body, home)
    return streams_of_sku(body, home) if isinstance(home, SkuPart) else ()


def _skus_of(home: object) -> Iterable[str]:
    if isinstance(home, PromisePart):
        return home.units
    return home.skus if isinstance(home, OrderPart) else ()
