"""Returns' contracts: what was delivered may come back, is disposed of unit by unit, and is refunded."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from libs.events.contract import (
    AmountMinor,
    Currency,
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
from libs.events.measure import SerialNumber, SerialNumbers
from libs.events.order import LineQuantity, LineSerials, Unpacked

Disposition = Literal["restock", "scrap", "quarantine"]
"""What becomes of a unit: on the shelf again, thrown away, or set aside until somebody has looked at it."""
Condition = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""In what condition it came, in the house's own words: `unopened`, `damaged`, …"""


class ReturnLine(Value):
    """Units of one line that the customer wants to send back."""

    line: LineNumber
    quantity: Quantity
    reason: Note = ""


class AuthoriseReturn(OrderCommand):
    """Let the customer send back delivered units."""

    TYPE: ClassVar[str] = "oms.returns.authorise_return"

    lines: Annotated[tuple[ReturnLine, ...], Field(min_length=1, max_length=1000)]


class InspectedUnits(Value):
    """Units of one line that arrived, and what becomes of them."""

    line: LineNumber
    quantity: Quantity
    disposition: Disposition
    serials: SerialNumbers | None = None
    """Of each unit, where the SKU has serial numbers."""
    condition: Condition | None = None


class ReceiveReturn(OrderCommand):
    """Goods under an RMA arrived at a node and were inspected."""

    TYPE: ClassVar[str] = "oms.returns.receive_return"

    rma_id: Name
    node: NodeId
    units: Annotated[tuple[InspectedUnits, ...], Field(min_length=1, max_length=2000)]


class ReturnWindowOpened(OrderEvent):
    """Delivered units that may be returned from now on."""

    TYPE: ClassVar[str] = "oms.returns.return_window_opened"

    shipment_id: Name
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""
    serials: tuple[LineSerials, ...] | None = None
    """Of these units, where their SKU has serial numbers."""


class AuthorisedLine(LineQuantity):
    """Units of one line that may come back, and why they do."""

    reason: Note = ""


class ReturnAuthorised(OrderEvent):
    """The RMA: these units may come back."""

    TYPE: ClassVar[str] = "oms.returns.return_authorised"

    rma_id: Name
    lines: Annotated[tuple[AuthorisedLine, ...], Field(min_length=1)]


class ReturnedUnits(Value):
    """Units of one line with their disposition."""

    line: LineNumber
    sku: Sku
    quantity: Quantity
    disposition: Disposition
    serials: tuple[SerialNumber, ...] | None = None
    """Of each unit, where the SKU has serial numbers."""
    condition: Condition | None = None


class ReturnReceived(OrderEvent):
    """Units came back at a node, disposed unit by unit."""

    TYPE: ClassVar[str] = "oms.returns.return_received"
    VERSION: ClassVar[int] = 2

    rma_id: Name
    node: NodeId
    units: Annotated[tuple[ReturnedUnits, ...], Field(min_length=1)]


class RefundRequested(OrderEvent):
    """The customer is owed money; whoever holds the payment pays it out once per `refund_id`."""

    TYPE: ClassVar[str] = "oms.returns.refund_requested"

    refund_id: Name
    rma_id: Name | None = None
    amount_minor: AmountMinor
    currency: Currency
    cause: Literal["returned", "lost", "cancelled", "unroutable"]
    lines: tuple[LineQuantity, ...]


class VoidRequested(OrderEvent):
    """The order will never be charged: whoever holds the payment lets its authorisation go, where there is
    one, once per `void_id`. Money that arrives in spite of it goes back."""

    TYPE: ClassVar[str] = "oms.returns.void_requested"

    void_id: Name
    amount_minor: AmountMinor
    """What the customer would have paid."""
    currency: Currency


class ReturnClosed(OrderEvent):
    """Everything under the RMA has come back and been disposed of."""

    TYPE: ClassVar[str] = "oms.returns.return_closed"

    rma_id: Name


RETURNS_COMMANDS = (AuthoriseReturn, ReceiveReturn)
RETURNS_EVENTS = (
    ReturnWindowOpened,
    ReturnAuthorised,
    ReturnReceived,
    RefundRequested,
    VoidRequested,
    ReturnClosed,
)
