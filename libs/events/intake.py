"""Intake's contracts: an order is captured once, accepted, held or rejected, and in the end closed."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from libs.events.contract import (
    AmountMinor,
    Currency,
    Name,
    Note,
    OrderCommand,
    OrderEvent,
    PromiseId,
    Value,
)
from libs.events.order import Charge, Destination, LineQuantity, OrderLine, Reason, Sealed

HoldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
PaymentState = Literal["paid", "pending", "on_account"]
Outcome = Literal["delivered", "partly_delivered", "cancelled", "lost", "unroutable"]


class OrderTerms(Value):
    """What the customer asked for; the same in the command and in the events that answer it."""

    channel: Name
    external_id: Name
    placed_at: AwareDatetime
    """When the customer ordered; with an offset, or an order at midnight would be anybody's guess."""
    currency: Currency
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=1000)]
    charges: Annotated[tuple[Charge, ...], Field(max_length=100)] = ()
    total_minor: AmountMinor | None = None
    """What the channel says the customer pays; checked against lines and charges when given."""
    payment: PaymentState = "paid"
    customer_id: Name | None = None
    """The merchant's pseudonymous customer number; none for a guest."""
    destination: Destination
    contact: Sealed | None = None
    """Name, address lines, phone, mail: sealed at the edge."""
    promise_id: PromiseId | None = None
    """The basket that inventory holds for it (`oms.inventory.promise_held`), if one is held."""


class SubmitOrder(OrderTerms, OrderCommand):
    """Capture an order. `order_id` is derived from tenant, channel and external id."""

    TYPE: ClassVar[str] = "oms.intake.submit_order"


class CancelOrder(OrderCommand):
    """Cancel whatever of the order has not been dispatched."""

    TYPE: ClassVar[str] = "oms.intake.cancel_order"

    reason: Note = ""


class ReleaseHold(OrderCommand):
    """Lift one named hold; the order is accepted with its last one."""

    TYPE: ClassVar[str] = "oms.intake.release_hold"

    hold: HoldName
    note: Note = ""


class Hold(Value):
    """A named release-blocker: why, and who acts."""

    name: HoldName
    message: Annotated[str, StringConstraints(max_length=1000)]


class OrderAccepted(OrderTerms, OrderEvent):
    """The order is ours to fulfil. Every accepted order ends in exactly one `OrderClosed`."""

    TYPE: ClassVar[str] = "oms.intake.order_accepted"

    fingerprint: str = ""
    """Digest of the terms as submitted; tells the same order again from another under its id."""


class OrderHeld(OrderTerms, OrderEvent):
    """Captured, but not to be promised before each hold is released."""

    TYPE: ClassVar[str] = "oms.intake.order_held"

    holds: Annotated[tuple[Hold, ...], Field(min_length=1)]
    fingerprint: str = ""


class OrderRejected(OrderEvent):
    """Captured and refused for good; a corrected order needs a new external id."""

    TYPE: ClassVar[str] = "oms.intake.order_rejected"

    channel: Name
    external_id: Name
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    fingerprint: str = ""


class HoldReleased(OrderEvent):
    """One hold less. `remaining` names those that still block."""

    TYPE: ClassVar[str] = "oms.intake.hold_released"

    hold: HoldName
    note: Note = ""
    remaining: tuple[HoldName, ...] = ()


class OrderCancellationRequested(OrderEvent):
    """The customer or an operator wants it cancelled; fulfillment decides what can still be stopped."""

    TYPE: ClassVar[str] = "oms.intake.order_cancellation_requested"

    reason: Note = ""
    lines: tuple[LineQuantity, ...]
    """All lines as ordered, for a stage that has not met the order yet."""


class OrderClosed(OrderEvent):
    """The one terminal state of an order. A return afterwards has a life of its own."""

    TYPE: ClassVar[str] = "oms.intake.order_closed"

    outcome: Outcome
    reason: Note = ""


INTAKE_COMMANDS = (SubmitOrder, CancelOrder, ReleaseHold)
INTAKE_EVENTS = (
    OrderAccepted,
    OrderHeld,
    OrderRejected,
    HoldReleased,
    OrderCancellationRequested,
    OrderClosed,
)
