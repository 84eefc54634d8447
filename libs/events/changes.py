"""Contracts of what support does to an order that is under way: cancel lines, place a hold, write a note.

Intake records the wish, fulfillment decides what can still be stopped, inventory frees what is stopped. An
order that is cancelled as a whole goes the way of `OrderCancellationRequested` instead.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from libs.events.contract import (
    LineNumber,
    Name,
    NodeId,
    Note,
    OrderCommand,
    OrderEvent,
    Quantity,
    Sku,
    Value,
)
from libs.events.intake import HoldName
from libs.events.inventory import Movement, QueueChange
from libs.events.order import LineQuantity, NodeLines, Sealed
from libs.events.places import DayLoad

HoldMessage = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,500}$")]
"""Why it is held and what settles it; never personal data."""
Kept = Literal["bundle", "picked", "dispatched", "ended"]
"""Why units are past a line's cancellation: bundles whose parts have nodes; picked or packed; with a carrier;
or at their end."""


class LineUnits(Value):
    """So many units of one line."""

    line: LineNumber
    quantity: Quantity


class CancelLines(OrderCommand):
    """Cancel units of some lines, as far as no node has picked them. What is left of the order goes on."""

    TYPE: ClassVar[str] = "oms.intake.cancel_lines"

    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=1000)]
    reason: Note = ""


class PlaceHold(OrderCommand):
    """Keep an order from the nodes until the hold is released; possible while nothing is at a node."""

    TYPE: ClassVar[str] = "oms.intake.place_hold"

    hold: HoldName
    message: HoldMessage


class AddNote(OrderCommand):
    """Write something on the order, for people. No stage reads it."""

    TYPE: ClassVar[str] = "oms.intake.add_note"

    note: Sealed
    """`text`, sealed at the edge under the order's data subject: it may name a person."""


class LineCancellationRequested(OrderEvent):
    """Units of some lines are to be cancelled; fulfillment decides which of them still can be."""

    TYPE: ClassVar[str] = "oms.intake.line_cancellation_requested"

    cancellation_id: Name
    """`{order_id}-C{n}`."""
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    ordered: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    """All lines as ordered, for a stage that has not met the order yet."""
    reason: Note = ""


class HoldPlaced(OrderEvent):
    """A person wants the order held. It is, unless fulfillment says `hold_declined`."""

    TYPE: ClassVar[str] = "oms.intake.hold_placed"

    hold: HoldName
    message: HoldMessage


class OrderResumed(OrderEvent):
    """The last hold of an order on which a person had placed one was released: nodes may have it."""

    TYPE: ClassVar[str] = "oms.intake.order_resumed"


class NoteAdded(OrderEvent):
    """What a person wrote on the order."""

    TYPE: ClassVar[str] = "oms.intake.note_added"

    note: Sealed


class StoppedUnits(Value):
    """Units that were taken off the work of one node before it picked them."""

    fulfillment_order_id: Name
    node: NodeId
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]


class LinesCancelled(OrderEvent):
    """These units will not be released or picked; the customer is not charged for them.

    `work` names those that were at a node already, the other units of `lines` had none. Fulfillment orders
    that are left with nothing are at their end.
    """

    TYPE: ClassVar[str] = "oms.fulfillment.lines_cancelled"

    cancellation_id: Name
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    work: tuple[StoppedUnits, ...] = ()
    reason: Note = ""


class KeptUnits(Value):
    """Units of one line that can no longer be cancelled, and why."""

    line: LineNumber
    sku: Sku
    quantity: Quantity
    code: Kept


class LineCancellationDeclined(OrderEvent):
    """Too late for these units; the others that were asked for are in `lines_cancelled`."""

    TYPE: ClassVar[str] = "oms.fulfillment.line_cancellation_declined"

    cancellation_id: Name
    lines: Annotated[tuple[KeptUnits, ...], Field(min_length=1)]
    reason: Note


class HoldDeclined(OrderEvent):
    """Too late to hold: a node has work of the order, or it has come to its end."""

    TYPE: ClassVar[str] = "oms.fulfillment.hold_declined"

    hold: HoldName
    reason: Note


class AllocationDeclined(OrderEvent):
    """Units that were allocated while they were being cancelled: they are no node's work."""

    TYPE: ClassVar[str] = "oms.fulfillment.allocation_declined"

    round: Annotated[int, Field(ge=1)]
    nodes: Annotated[tuple[NodeLines, ...], Field(min_length=1)]


class LinesReleased(OrderEvent):
    """Stock of cancelled units is free again, and the order wants so much less.

    `lines` are units that had no node, promised or waited for; it may come before any other event of the
    order.
    """

    TYPE: ClassVar[str] = "oms.inventory.lines_released"

    lines: tuple[LineQuantity, ...] = ()
    loads: tuple[DayLoad, ...] | None = None
    """What it gives back of the days of nodes that state a capacity."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    movements: tuple[Movement, ...]


CHANGE_COMMANDS = (CancelLines, PlaceHold, AddNote)
INTAKE_CHANGES = (LineCancellationRequested, HoldPlaced, OrderResumed, NoteAdded)
FULFILLMENT_CHANGES = (LinesCancelled, LineCancellationDeclined, HoldDeclined, AllocationDeclined)
INVENTORY_CHANGES = (LinesReleased,)
