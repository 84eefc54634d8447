"""Contracts of an order that is amended after it was placed: where it goes, and by which service.

Intake records the wish, fulfillment says whether it still can be, as nothing of the order may be at a node.
Inventory gives up what it allocated for the terms that the order had before, and routing plans it anew.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from libs.events.contract import Name, Note, OrderCommand, OrderEvent, Value
from libs.events.inventory import Movement
from libs.events.order import Destination, LineQuantity, NodeLines, Sealed, Unpacked
from libs.events.places import DayLoad


class AmendedTerms(Value):
    """What an order has from now on; what is none stays as it was."""

    destination: Destination | None = None
    """Where it goes, as coarse as a sourcing decision needs it: together with `contact`."""
    contact: Sealed | None = None
    """Who receives it and where, all of it, sealed at the edge under the order's data subject."""
    mail: Literal[True] | None = None
    """The contact names a mail address: messages go there from now on."""
    service: Name | None = None
    """What was promised to the customer about speed: express, standard, …"""


class AmendOrder(AmendedTerms, OrderCommand):
    """Change where an order goes, or by which service; possible while nothing of it is at a node."""

    TYPE: ClassVar[str] = "oms.intake.amend_order"

    reason: Note = ""


class OrderAmendmentRequested(AmendedTerms, OrderEvent):
    """These terms are wanted of an accepted order; fulfillment decides whether they still can be."""

    TYPE: ClassVar[str] = "oms.intake.order_amendment_requested"

    amendment_id: Name
    """`{order_id}-A{n}`."""
    reason: Note = ""


class HeldOrderAmended(AmendedTerms, OrderEvent):
    """An order that is held has these terms. No other stage knows it yet: its acceptance will tell them."""

    TYPE: ClassVar[str] = "oms.intake.held_order_amended"

    amendment_id: Name
    reason: Note = ""


class OrderAmended(AmendedTerms, OrderEvent):
    """The order has these terms: nothing is released by others from now on."""

    TYPE: ClassVar[str] = "oms.fulfillment.order_amended"

    amendment_id: Name
    reason: Note = ""


class AmendmentDeclined(OrderEvent):
    """Too late: a node has work of the order, or it has come to its end. It stays as it was."""

    TYPE: ClassVar[str] = "oms.fulfillment.amendment_declined"

    amendment_id: Name
    reason: Note


class AllocationOutdated(OrderEvent):
    """Units that were allocated for the order's former terms: they are no node's work, and planned anew."""

    TYPE: ClassVar[str] = "oms.fulfillment.allocation_outdated"

    round: Annotated[int, Field(ge=1)]
    nodes: Annotated[tuple[NodeLines, ...], Field(min_length=1)]
    awaiting: Annotated[tuple[LineQuantity, ...], Field(min_length=1)] | None = None
    """Units of the order that wait for stock, where they were not named before."""
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""


class StockDeallocated(OrderEvent):
    """Allocated units are promised to their order without a node again; nobody else gets in between."""

    TYPE: ClassVar[str] = "oms.inventory.stock_deallocated"

    round: Annotated[int, Field(ge=1)]
    """That of the allocation."""
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    loads: tuple[DayLoad, ...] | None = None
    """What it gives back of the days of nodes that state a capacity."""
    movements: tuple[Movement, ...]


AMENDMENT_COMMANDS = (AmendOrder,)
INTAKE_AMENDMENTS = (OrderAmendmentRequested, HeldOrderAmended)
FULFILLMENT_AMENDMENTS = (OrderAmended, AmendmentDeclined, AllocationOutdated)
INVENTORY_AMENDMENTS = (StockDeallocated,)
