"""Decides, for customers, which messages an order owes them: one a milestone, or one a shipment or RMA.

The first message asked for carries the order's sealed contact and the facts that all of them name. Milestones
heard before the order was accepted (another topic was faster) wait for it. Message ids:
`{order_id}-{milestone}[-{subject}]`, the subject without the order's id that it begins with.
"""

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias, assert_never, cast

from libs.events.changes import LinesCancelled
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    CarrierEventRecorded,
    FulfillmentReleased,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from libs.events.intake import OrderAccepted, OrderClosed
from libs.events.inventory import StockBackordered
from libs.events.notifications import (
    Fact,
    MessageFailed,
    MessageRequested,
    MessageSent,
    MessageSkipped,
    Milestone,
    RecordMessageOutcome,
)
from libs.events.order import Sealed
from libs.events.record import record
from libs.events.refusal import refuse
from libs.events.returns import RefundRequested, ReturnAuthorised
from libs.events.routing import OrderRouted

# What it hears ------------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (
    OrderAccepted,
    OrderClosed,
    LinesCancelled,
    StockBackordered,
    OrderRouted,
    FulfillmentReleased,
    ShipmentDispatched,
    CarrierEventRecorded,
    ShipmentDelivered,
    ShipmentLost,
    ReturnAuthorised,
    RefundRequested,
)
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    StockBackordered: ("lines", "since", "destination", "contact", "movements"),
    OrderRouted: ("nodes", "candidates", "rule_version", "nodes_version", "promised"),
    FulfillmentReleased: ("lines", "destination", "contact", "bundles", "picks"),
}
"""What notifications has no use for in them."""

Reached: TypeAlias = (
    OrderClosed
    | LinesCancelled
    | StockBackordered
    | OrderRouted
    | FulfillmentReleased
    | ShipmentDispatched
    | CarrierEventRecorded
    | ShipmentDelivered
    | ShipmentLost
    | ReturnAuthorised
    | RefundRequested
)
"""What may mean a milestone of an order that is accepted."""
Heard: TypeAlias = OrderAccepted | Reached | RecordMessageOutcome

LISTED_MAX = 20
"""Tracking numbers or SKUs that a message names; the others are counted."""

# State --------------------------------------------------------------------------------------------------


@record
class Letter:
    """One message, asked for or to be asked for: what it says, and what became of it."""

    milestone: Milestone
    subject_id: str | None = None
    facts: tuple[Fact, ...] = ()
    outcome: Literal["owed", "sent", "failed", "skipped"] = "owed"


@record
class State:
    """One order's messages."""

    order_id: str = ""
    accepted: bool = False
    contact: Sealed | None = None
    facts: tuple[Fact, ...] = ()
    """Of the order: every message may name them."""
    early: dict[str, Letter] = field(default_factory=dict)
    """By message id: milestones that were heard before the order was accepted."""
    letters: dict[str, Letter] = field(default_factory=dict)
    """By message id: every message so far."""


INITIAL = State()

# evolve -------------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    if type(event) in _LETTERS:
        # Heard of an order that is accepted, an event of our own answers it; before, it is only remembered.
        return state if state.accepted else _remembered(state, cast(Reached, event))
    match event:
        case MessageRequested():
            letter = Letter(event.milestone, event.subject_id, event.facts)
            after = _asked(state, event, letter)
            if event.milestone == "confirmed":
                return State(event.order_id, True, event.contact, event.facts, after.early, after.letters)
            return after
        case MessageSkipped():
            letters = {
                **state.letters,
                event.message_id: Letter(event.milestone, event.subject_id, outcome="skipped"),
            }
            return State(event.order_id, True, state.contact, state.facts, {}, letters)
        case MessageSent():
            return _settled(state, event.message_id, "sent")
        case MessageFailed():
            return _settled(state, event.message_id, "failed")
        case _:
            return state


def _remembered(state: State, event: Reached) -> State:
    """With the message that waits for the acceptance."""
    # Intake closes an order after the acceptance, or a held one, which owes no message.
    letter = None if isinstance(event, OrderClosed) else _letter(state, event)
    if letter is None:
        return state
    early = {**state.early, _message_id(event.order_id, letter): letter}
    return State(state.order_id, state.accepted, state.contact, state.facts, early, state.letters)


def _asked(state: State, event: MessageRequested, letter: Letter) -> State:
    early = state.early
    if event.message_id in early:
        early = {id_: waiting for id_, waiting in early.items() if id_ != event.message_id}
    letters = {**state.letters, event.message_id: letter}
    return State(event.order_id, state.accepted, state.contact, state.facts, early, letters)


def _settled(state: State, message_id: str, outcome: Literal["sent", "failed"]) -> State:
    owed = state.letters[message_id]
    letter = Letter(owed.milestone, owed.subject_id, owed.facts, outcome)
    letters = {**state.letters, message_id: letter}
    return State(state.order_id, state.accepted, state.contact, state.facts, state.early, letters)


def _message_id(order_id: str, letter: Letter) -> str:
    if letter.subject_id is None:
        return f"{order_id}-{letter.milestone}"
    return f"{order_id}-{letter.milestone}-{letter.subject_id.removeprefix(f'{order_id}-')}"


# Milestones: what each event means to the customer --------------------------------------------------------


def _facts(**values: object) -> tuple[Fact, ...]:
    return tuple(Fact(name=name, value=str(value)[:500]) for name, value in values.items())


def _listed(name: str, values: list[str]) -> tuple[Fact, ...]:
    """The first of them, one fact each; then how many there are."""
    named = tuple(Fact(name=name, value=value) for value in values[:LISTED_MAX])
    return (*named, Fact(name=f"{name}_count", value=str(len(values))))


def _confirmed(order: OrderAccepted) -> Letter:
    goods = sum(line.unit_price_minor * line.quantity for line in order.lines)
    total = order.total_minor
    if total is None:
        total = goods + sum(charge.amount_minor for charge in order.charges)
    facts = _facts(
        order=order.external_id,
        channel=order.channel,
        placed_at=order.placed_at.isoformat(),
        currency=order.currency,
        total_minor=total,
        units=sum(line.quantity for line in order.lines),
    )
    return Letter("confirmed", None, facts)


def _closed(event: OrderClosed) -> Letter | None:
    # What was delivered or lost was told shipment by shipment.
    if event.outcome not in ("cancelled", "unroutable"):
        return None
    return Letter("cancelled", None, _facts(cause=event.outcome))


def _fewer(event: LinesCancelled) -> Letter:
    skus = list(dict.fromkeys(units.sku for units in event.lines))
    units = _facts(cause="lines", cancelled_units=sum(units.quantity for units in event.lines))
    return Letter("cancelled", event.cancellation_id, (*units, *_listed("sku", skus)))


def _backordered(event: StockBackordered) -> Letter:
    skus = list(dict.fromkeys(shortage.sku for shortage in event.short))
    return Letter("backordered", None, _listed("sku", skus))


def _shipped(event: ShipmentDispatched) -> Letter:
    tracking = list(dict.fromkeys(package.tracking_number for package in event.packages))
    facts = (*_facts(carrier=event.carrier), *_listed("tracking", tracking))
    return Letter("shipped", event.shipment_id, facts)


def _carried(event: CarrierEventRecorded) -> Letter | None:
    if event.status != "picked_up":
        return None
    return Letter("picked_up", event.shipment_id, _facts(occurred_at=event.occurred_at.isoformat()))


def _refunded(event: RefundRequested) -> Letter:
    facts = _facts(amount_minor=event.amount_minor, currency=event.currency, cause=event.cause)
    return Letter("refunded", event.refund_id, facts)


_LETTERS: dict[type[Event], Callable[[Any], Letter | None]] = {
    OrderClosed: _closed,
    LinesCancelled: _fewer,
    StockBackordered: _backordered,
    OrderRouted: lambda _: Letter("routed"),
    FulfillmentReleased: lambda _: Letter("picking"),
    ShipmentDispatched: _shipped,
    CarrierEventRecorded: _carried,
    ShipmentDelivered: lambda event: Letter(
        "delivered", event.shipment_id, _facts(occurred_at=event.occurred_at.isoformat())
    ),
    ShipmentLost: lambda event: Letter(
        "lost", event.shipment_id, _facts(occurred_at=event.occurred_at.isoformat())
    ),
    ReturnAuthorised: lambda event: Letter(
        "return_authorised", event.rma_id, _facts(units=sum(line.quantity for line in event.lines))
    ),
    RefundRequested: _refunded,
}


def _letter(state: State, event: Reached) -> Letter | None:
    """The message that the event calls for, unless it was asked for before or has been overtaken."""
    letter = _LETTERS[type(event)](event)
    if letter is None:
        return None
    if _is_known(state, event.order_id, letter):
        return None
    if letter.milestone == "picked_up":
        ended = (replace(letter, milestone="delivered"), replace(letter, milestone="lost"))
        if any(_is_known(state, event.order_id, end) for end in ended):
            return None
    return letter


def _is_known(state: State, order_id: str, letter: Letter) -> bool:
    message_id = _message_id(order_id, letter)
    return message_id in state.letters or message_id in state.early


# decide -------------------------------------------------------------------------------------------------


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    body = cast(Heard, heard.body)
    match body:
        case OrderAccepted():
            if state.accepted:
                return []
            if body.contact is None:
                # Said once: an order without a contact is owed no message, now or later.
                return [_ask(body.order_id, Letter("confirmed"), None)]
            letters = [_confirmed(body)]
            if body.payment != "on_account":
                # Pending when submitted, accepted now: the hold on its payment was released.
                letters.append(Letter("paid"))
            return [_ask(body.order_id, letter, body.contact) for letter in (*letters, *state.early.values())]
        case RecordMessageOutcome():
            return _settle(state, heard, body)
        case (
            OrderClosed()
            | LinesCancelled()
            | StockBackordered()
            | OrderRouted()
            | FulfillmentReleased()
            | ShipmentDispatched()
            | CarrierEventRecorded()
            | ShipmentDelivered()
            | ShipmentLost()
            | ReturnAuthorised()
            | RefundRequested()
        ):
            due = _letter(state, body) if state.contact is not None else None
            return [] if due is None else [_ask(body.order_id, due, state.contact)]
        case _:
            assert_never(body)


def _ask(order_id: str, letter: Letter, contact: Sealed | None) -> Event:
    message_id = _message_id(order_id, letter)
    if contact is None:
        return MessageSkipped(
            order_id=order_id,
            message_id=message_id,
            milestone=letter.milestone,
            subject_id=letter.subject_id,
            reason="The order came without a contact: none of its messages can be sent.",
        )
    return MessageRequested(
        order_id=order_id,
        message_id=message_id,
        milestone=letter.milestone,
        subject_id=letter.subject_id,
        facts=letter.facts,
        contact=contact if letter.milestone == "confirmed" else None,
    )


def _settle(state: State, heard: Envelope[Contract], body: RecordMessageOutcome) -> list[Event]:
    letter = state.letters.get(body.message_id)
    if letter is None:
        message = f"Order {body.order_id} has no message {body.message_id}."
        return refuse(heard, "unknown_message", message, "Take the message id from `MessageRequested`.")
    if letter.outcome == body.outcome:
        return []
    if letter.outcome != "owed":
        message = f"Message {body.message_id} was {letter.outcome}; it cannot be {body.outcome} as well."
        return refuse(heard, "already_settled", message, "Nothing to do: the first report stands.")
    if body.outcome == "sent":
        return [MessageSent(order_id=body.order_id, message_id=body.message_id, milestone=letter.milestone)]
    failed = MessageFailed(
        order_id=body.order_id,
        message_id=body.message_id,
        milestone=letter.milestone,
        detail=body.detail,
    )
    return [failed]


# Effects ------------------------------------------------------------------------------------------------


def owes(event: Event) -> str | None:
    """Id of the mail that the event asks for."""
    return event.message_id if isinstance(event, MessageRequested) else None


def settles(event: Event) -> str | None:
    """Id of the mail whose outcome the event reports."""
    return event.message_id if isinstance(event, MessageSent | MessageFailed) else None
