"""Notifications' contracts: one message per milestone, once."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from libs.events.contract import Name, OrderCommand, OrderEvent, Value
from libs.events.order import Sealed

Milestone = Literal[
    "confirmed",
    "paid",
    "routed",
    "picking",
    "shipped",
    "picked_up",
    "delivered",
    "backordered",
    "cancelled",
    "lost",
    "return_authorised",
    "refunded",
]
"""The seven moments of an order, then what a customer must hear when it goes otherwise."""


class Fact(Value):
    """Something that the message's text names: a tracking number, an amount."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    value: Annotated[str, StringConstraints(max_length=500)]


class RecordMessageOutcome(OrderCommand):
    """The sender's report on one message: the mail server took it, or it will never be tried again."""

    TYPE: ClassVar[str] = "oms.notifications.record_message_outcome"

    message_id: Name
    outcome: Literal["sent", "failed"]
    detail: Annotated[str, StringConstraints(max_length=500)] = ""
    attempts: Annotated[int, Field(ge=1)] = 1


class MessageRequested(OrderEvent):
    """A message is owed. The first one carries the sealed contact for all of the order's messages."""

    TYPE: ClassVar[str] = "oms.notifications.message_requested"

    message_id: Name
    milestone: Milestone
    subject_id: Name | None = None
    """What the milestone is about where an order can have several: a shipment, an RMA."""
    facts: tuple[Fact, ...] = ()
    contact: Sealed | None = None


class MessageSkipped(OrderEvent):
    """Nothing to send to: the order came without a contact. Said once, for all of its messages until it is
    amended with a mail address."""

    TYPE: ClassVar[str] = "oms.notifications.message_skipped"

    message_id: Name
    milestone: Milestone
    subject_id: Name | None = None
    reason: Annotated[str, StringConstraints(max_length=500)]
    facts: tuple[Fact, ...] | None = None
    """Of the order: every message may name them, should it be amended."""


class MessageSent(OrderEvent):
    """The mail server accepted the message."""

    TYPE: ClassVar[str] = "oms.notifications.message_sent"

    message_id: Name
    milestone: Milestone


class MessageFailed(OrderEvent):
    """The message will not be tried again; a person should look."""

    TYPE: ClassVar[str] = "oms.notifications.message_failed"

    message_id: Name
    milestone: Milestone
    detail: Annotated[str, StringConstraints(max_length=500)]


NOTIFICATIONS_COMMANDS = (RecordMessageOutcome,)
NOTIFICATIONS_EVENTS = (MessageRequested, MessageSkipped, MessageSent, MessageFailed)
