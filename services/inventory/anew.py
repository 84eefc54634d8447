"""How an amended order goes on: asked about anew, told its new date while it waits, or planned again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from libs.events.amendments import AllocationOutdated, AmendedTerms, OrderAmended
from libs.events.contract import Event
from libs.events.inventory import StockBackordered
from services.inventory import pegging
from services.inventory.amended import deallocate, given, promised_others
from services.inventory.order import OrderPart, evolve_order
from services.inventory.places import NO_PLACES, PlacesPart
from services.inventory.progress import next_round
from services.inventory.reserve import promise
from services.inventory.stock import Skus
from services.inventory.supplies import SupplyPart
from services.inventory.touched import moved_skus


def amend(order: OrderPart, event: OrderAmended) -> OrderPart:
    """The order with its new terms. Whatever is heard before or after, they are the same."""
    before = {} if order.amended is None else given(order.amended)
    terms = AmendedTerms.model_validate({**before, **given(event)})
    return order if terms == order.amended else replace(order, amended=terms)


class Known(Protocol):
    """The order, and what its decisions are made on."""

    @property
    def order(self) -> OrderPart: ...
    @property
    def skus(self) -> Skus: ...
    @property
    def supplies(self) -> Mapping[str, SupplyPart]: ...
    @property
    def places(self) -> PlacesPart | None: ...


def answer(known: Known, heard: OrderAmended | AllocationOutdated, at: datetime) -> list[Event]:
    """What the order is promised by its new terms; the plan for those of before is void."""
    order, skus = known.order, known.skus
    if isinstance(heard, OrderAmended):
        return _amend(heard.order_id, known, at)
    if (deallocated := deallocate(order, skus, heard)) is None:
        return []
    after = evolve_order(order, deallocated)
    return [deallocated, next_round(heard.order_id, after, moved_skus(skus, deallocated, after))]


def _amend(order_id: str, known: Known, at: datetime) -> list[Event]:
    order, skus = known.order, known.skus
    if not promised_others(order) or not order.pending:
        return []
    if order.status == "reserved":
        return [next_round(order_id, order, skus)]
    if order.status != "waiting":
        return []
    waits = promise(order_id, order, skus, order.round)
    if not isinstance(waits, StockBackordered):
        return [waits]
    places = known.places or NO_PLACES
    return [waits, *pegging.tell_date(order_id, order, skus, known.supplies, places, at, anew=True)]
