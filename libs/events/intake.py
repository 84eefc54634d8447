"""Intake's contracts: an order is captured once, accepted, held or rejected, and in the end closed."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from libs.events.care import PutOff, SeenTo, Taken
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
ExceptionItem = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}(/[^\x00-\x1f\x7f]{1,128})?$")]
"""What kind of thing it is, and which of them: the console's `services.console.items.Item.name`."""
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
    order_type: Name | None = None
    """What kind of order it is to the merchant: consumer, wholesale, marketplace, …"""
    service: Name | None = None
    """What was promised to the customer about speed: express, standard, …"""


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


class OnException(Value):
    """One thing about an order that a person has to see to, as the console names it: `short_picked/…`."""

    item: ExceptionItem


class AssignException(Taken, OnException, OrderCommand):
    """Somebody takes it; with no assignee it is nobody's again."""

    TYPE: ClassVar[str] = "oms.intake.assign_exception"


class SnoozeException(PutOff, OnException, OrderCommand):
    """It need not be looked at before then."""

    TYPE: ClassVar[str] = "oms.intake.snooze_exception"


class ResolveException(SeenTo, OnException, OrderCommand):
    """A person has seen to it, and says how."""

    TYPE: ClassVar[str] = "oms.intake.resolve_exception"


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


class HeldOrderCancelled(OrderEvent):
    """Cancelled before it was accepted, and so before any other stage knew it: what it would have cost."""

    TYPE: ClassVar[str] = "oms.intake.held_order_cancelled"

    currency: Currency
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=1000)]
    charges: Annotated[tuple[Charge, ...], Field(max_length=100)] = ()
    total_minor: AmountMinor | None = None
    """What the channel said that the customer pays; else lines and charges."""
    payment: PaymentState
    """As it stood then: `pending` until the hold on its payment is released, `paid` from then on."""
    channel: Name | None = None
    external_id: Name | None = None
    placed_at: AwareDatetime | None = None
    contact: Sealed | None = None
    """Whom to tell; with the three above it, as the order was captured."""


class OrderClosed(OrderEvent):
    """The one terminal state of an order. A return afterwards has a life of its own."""

    TYPE: ClassVar[str] = "oms.intake.order_closed"

    outcome: Outcome
    reason: Note = ""


class ExceptionAssigned(Taken, OnException, OrderEvent):
    """Whose it is from now on; nobody's without an assignee."""

    TYPE: ClassVar[str] = "oms.intake.exception_assigned"


class ExceptionSnoozed(PutOff, OnException, OrderEvent):
    """Out of the way until then, and why."""

    TYPE: ClassVar[str] = "oms.intake.exception_snoozed"


class ExceptionResolved(SeenTo, OnException, OrderEvent):
    """Seen to, by hand. What comes up again is another item."""

    TYPE: ClassVar[str] = "oms.intake.exception_resolved"


INTAKE_COMMANDS = (SubmitOrder, CancelOrder, ReleaseHold, AssignException, SnoozeException, ResolveException)
INTAKE_EVENTS = (
    OrderAccepted,
    OrderHeld,
    OrderRejected,
    HoldReleased,
    OrderCancellationRequested,
    HeldOrderCancelled,
    OrderClosed,
    ExceptionAssigned,
    ExceptionSnoozed,
    ExceptionResolved,
)
