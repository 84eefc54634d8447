"""Inventory's contracts about when: which supply serves an order that waits, and so by which date."""

from datetime import date
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from libs.events.contract import Event, Name, NodeId, OrderEvent, OrderId, PromiseId, Sku, SkuEvent, Value
from libs.events.inventory import Units
from libs.events.places import Delivery
from libs.events.routing import NODES_STREAM

PEGS_MAX = 500
"""Orders of one event; more are told in several."""


class Pegged(Value):
    """An order's missing units of a SKU, and the supply that brings the last of them."""

    order_id: OrderId
    quantity: Units
    supply_id: Name
    """Of the purchase order, or of the transfer."""
    node: NodeId
    usable_at: AwareDatetime
    """When they can be sold: the arrival, and what the node takes to put them on the shelf."""


class PeggedBasket(Value):
    """The same of a held basket that waits."""

    promise_id: PromiseId
    quantity: Units
    supply_id: Name
    node: NodeId
    usable_at: AwareDatetime


class SupplyPegged(SkuEvent):
    """The queue of a SKU, served in its order from what is to come. Only what changed is told: a claim on
    units that have not arrived is a plan, and moves nothing."""

    TYPE: ClassVar[str] = "oms.inventory.supply_pegged"

    pegs: Annotated[tuple[Pegged, ...], Field(max_length=PEGS_MAX)] = ()
    lost: Annotated[tuple[OrderId, ...], Field(max_length=PEGS_MAX)] = ()
    """Orders that wait, and for which nothing is to come any more."""
    done: Annotated[tuple[OrderId, ...], Field(max_length=PEGS_MAX)] = ()
    """Orders that do not wait any more."""
    check_at: AwareDatetime | None = None
    """When the first of the supplies that orders wait for is late."""
    baskets: Annotated[tuple[PeggedBasket, ...], Field(max_length=PEGS_MAX)] | None = None
    """Held baskets stand in the queue among the orders: what changed for them."""
    baskets_lost: Annotated[tuple[PromiseId, ...], Field(max_length=PEGS_MAX)] | None = None
    baskets_done: Annotated[tuple[PromiseId, ...], Field(max_length=PEGS_MAX)] | None = None


class Due(Value):
    """What an order waits for of one SKU."""

    sku: Sku
    quantity: Units
    supply_id: Name | None = None
    """None: nothing is to come that it could be served from."""
    usable_at: AwareDatetime | None = None


class BackorderDated(OrderEvent):
    """When an order that waits can be served, as is known now. Told again only when that changes."""

    TYPE: ClassVar[str] = "oms.inventory.backorder_dated"

    skus: Annotated[tuple[Due, ...], Field(min_length=1)]
    usable_at: AwareDatetime | None = None
    """When the last of its units can be sold; None, nobody knows any more."""
    told_before: AwareDatetime | None = None
    """The `usable_at` that was told last."""
    promised: Delivery | None = None
    """When it is delivered then; its reasons say so where nobody can know."""


class NodeDaysFull(Event):
    """The days, from today on, on which a node can ship no more than is promised: dates pass over them. They
    replace those that were told of it before; none, all its days are open."""

    TYPE: ClassVar[str] = "oms.inventory.node_days_full"

    node: NodeId
    full: Annotated[tuple[date, ...], Field(max_length=400)] = ()
    """In the node's time zone, in order."""

    @property
    def stream(self) -> str:
        return NODES_STREAM


DATES_EVENTS = (SupplyPegged, BackorderDated, NodeDaysFull)
