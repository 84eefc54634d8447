"""Inventory's contracts of serial numbers: a SKU may ask for one of each unit.

A movement by which such a unit comes into the house, leaves it, or changes its place names the unit's number.
What stays on a node's shelf (on hand, allocated, suspect) names none: an order is given units, and which they
are is known when somebody takes them.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from libs.events.contract import NodeId, Note, SkuCommand, SkuEvent
from libs.events.measure import SerialNumber, SerialNumbers
from libs.events.supply import Movements


class CorrectSerials(SkuCommand):
    """Serial numbers on a node's shelf are wrong: misread when their units came (`right` has what they are,
    one for one), or of units that left without their number (`right` is empty)."""

    TYPE: ClassVar[str] = "oms.inventory.correct_serials"

    node: NodeId
    wrong: Annotated[SerialNumbers, Field(min_length=1)]
    right: SerialNumbers = ()
    reason: Note = ""


class SerialsCorrected(SkuEvent):
    """The numbers of units on a node's shelf are others, or their units are not there. No unit moved, so the
    movements add up to nothing on hand."""

    TYPE: ClassVar[str] = "oms.inventory.serials_corrected"

    node: NodeId
    wrong: tuple[SerialNumber, ...]
    right: tuple[SerialNumber, ...] = ()
    reason: Note = ""
    movements: Movements


SERIAL_COMMANDS = (CorrectSerials,)
SERIAL_EVENTS = (SerialsCorrected,)
