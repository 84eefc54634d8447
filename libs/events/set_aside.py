"""Inventory's contract for returned units that somebody has to look at before they are stock again."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from libs.events.contract import Name, NodeId, OrderEvent, Sku, Value
from libs.events.inventory import Units
from libs.events.measure import LotId, SerialNumber, Unnamed


class ReturnMovement(Value):
    """Units from one bucket to another, as `libs.events.inventory.Movement`: one ledger holds all."""

    sku: Sku
    node: NodeId
    source: Literal["issued", "transfer"]
    target: Literal["transfer", "quarantine"]
    quantity: Units
    position: Annotated[int, Field(strict=True, ge=1)]
    lot: LotId | None = None
    """Whose units they are, where the SKU has lots."""
    serials: tuple[SerialNumber, ...] | None = None
    """Of each unit, where the SKU has serial numbers."""


class ReturnQuarantined(OrderEvent):
    """Returned units were put in quarantine at the node that received them; the others of the receipt are in
    `oms.inventory.stock_returned`."""

    TYPE: ClassVar[str] = "oms.inventory.return_quarantined"

    rma_id: Name
    movements: Annotated[tuple[ReturnMovement, ...], Field(min_length=1)]
    unnamed: tuple[Unnamed, ...] | None = None
    """Units that came back without a serial number that the order was sent: somebody should look."""


SET_ASIDE_EVENTS = (ReturnQuarantined,)
