"""Inventory's contracts of the state that units of a node are in: sellable, quarantined, broken, scrapped."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from libs.events.contract import Name, NodeId, Quantity, SkuCommand, SkuEvent
from libs.events.measure import LotId, SerialNumbers
from libs.events.supply import Movements

Condition = Literal["on_hand", "quarantine", "damaged", "scrapped"]
"""In which state units of a node are."""


class MoveStock(SkuCommand):
    """Units of a node are in another state: quarantined, released, broken, mended, scrapped."""

    TYPE: ClassVar[str] = "oms.inventory.move_stock"

    node: NodeId
    source: Condition
    target: Condition
    quantity: Quantity
    reason_code: Name
    reference: Name | None = None
    effective_at: AwareDatetime | None = None
    lot: LotId | None = None
    """Which one, where the SKU has lots."""
    serials: SerialNumbers | None = None
    """Of each unit, where the SKU has serial numbers."""


class StockMoved(SkuEvent):
    """Units of a node are in another state."""

    TYPE: ClassVar[str] = "oms.inventory.stock_moved"

    node: NodeId
    source: Condition
    target: Condition
    quantity: Quantity
    reason_code: Name
    reference: Name | None = None
    effective_at: AwareDatetime | None = None
    movements: Movements


CONDITION_COMMANDS = (MoveStock,)
CONDITION_EVENTS = (StockMoved,)
