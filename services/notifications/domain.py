"""Decides, for customers, which messages an order owes them: one a milestone, or one a shipment or RMA.

The first message asked for carries the order's sealed contact and the facts that all of them name.
Milestones heard before the order was accepted (another topic was faster) wait for it. Of an order that is
cancelled while it is held, the cancellation is the first. Of one that is cancelled as a whole nothing is told
any more that says it goes on, however late it was heard; nor a milestone that another has overtaken. Message
ids: `{order_id}-{milestone}[-{subject}]`, the subject without the order's id that it begins with; of a
backorder's date it is the day on which it is told (`services.notifications.dates`).

Messages go to the last contact that names a mail address, as far as that is known: an order that is amended
without one, while it is held too, is written to where it was before. One that came without a contact is
written to once it is amended with a mail address; what happened before is not told any more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import date, datetime
from typing import Literal, TypeAlias, assert_never, cast

from libs.events.amendments import HeldOrderAmended, OrderAmended
from libs.events.changes import LinesCancelled
from libs.events.contract import Contract, Event
from libs.events.dates import BackorderDated
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    CarrierEventRecorded,
    FulfillmentReleased,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from libs.events.intake import HeldOrderCancelled, OrderAccepted, OrderClosed, OrderHeld
from libs.events.inventory import StockBackordered
from libs.events.notifications import (
    Fact,
    MessageFailed,
    MessageRequested,
    MessageSent,
    MessageSkipped,
    RecordMessageOutcome,
)
from libs.events.order import Sealed
from libs.events.record import record
from libs.events.refusal import refuse
from libs.events.returns import RefundRequested, ReturnAuthorised
from libs.events.routing import OrderRouted
from services.notifications import dates
from services.notifications.letters import (
    LETTERS,
    Instead,
    Letter,
    facts,
    goes_on,
    of_order,
    overtakes,
    replaced,
    substituted,
)

# What it hears ------------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (
    OrderAccepted,
    OrderHeld,
    HeldOrderAmended,
    HeldOrderCancelled,
    OrderClosed,
    LinesCancelled,
    OrderAmended,
    StockBackordered,
    BackorderDated,
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
    OrderAccepted: ("customer_id", "destination", "promise_id", "order_type", "service", "fingerprint"),
    OrderHeld: tuple(name for name in OrderHeld.model_fields if name not in ("order_id", "contact")),
    HeldOrderAmended: ("destination", "service", "amendment_id", "reason"),
    StockBackordered: ("lines", "since", "destination", "contact", "movements"),
    BackorderDated: ("skus", "usable_at", "told_before"),
    OrderRouted: ("nodes", "candidates", "rule_version", "nodes_version", "promised", "reviewed"),
    FulfillmentReleased: ("lines", "destination", "contact", "picks"),
}
"""What notifications has no use for in them."""

Reached: TypeAlias = (
    OrderClosed
    | LinesCancelled
    | OrderAmended
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
OfHeld: TypeAlias = OrderHeld | HeldOrderAmended
Heard: TypeAlias = (
    OrderAccepted | OfHeld | HeldOrderCancelled | Reached | BackorderDated | RecordMessageOutcome
)

# State --------------------------------------------------------------------------------------------------


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
    instead: dict[int, Instead] | None = None
    """By line: what is sent in place of what was ordered, where anything is."""
    moved: Sealed | None = None
    """Where messages go instead, as long as the order is not accepted here."""
    held: Sealed | None = None
    """Where messages will go to that are asked for with the end of its holds: as it came, or was amended with
    a mail address."""
    dated: date | None = None
    """By when it will be delivered, as long as it is not accepted here, and was not heard to wait."""


INITIAL = State()

# evolve -------------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    if type(event) in LETTERS:
        if type(event) is FulfillmentReleased and event.bundles is not None:
            state = _with_substitutes(state, event)
        # Heard of an order that is accepted, an event of our own answers it; before, it is only remembered.
        return state if state.accepted else _remembered(state, cast(Reached, event))
    match event:
        case OrderHeld() | HeldOrderAmended():
            return _captured(state, event)
        case BackorderDated():
            return state if state.accepted else _dated(state, event)
        case MessageRequested():
            letter = Letter(event.milestone, event.subject_id, event.facts)
            after = _asked(state, event, letter)
            if event.contact is not None:
                told = (event.order_id, True, event.contact, state.facts if state.accepted else event.facts)
                return State(*told, after.early, after.letters, after.instead)
            return after
        case MessageSkipped():
            letters = {
                **state.letters,
                event.message_id: Letter(event.milestone, event.subject_id, outcome="skipped"),
            }
            return State(event.order_id, True, state.contact, event.facts or (), {}, letters, state.instead)
        case MessageSent():
            return _settled(state, event.message_id, "sent")
        case MessageFailed():
            return _settled(state, event.message_id, "failed")
        case _:
            return state


def _remembered(state: State, event: Reached) -> State:
    """With the message that waits for the acceptance."""
    # Intake closes an order after the acceptance, or a held one, of which `HeldOrderCancelled` told before.
    letter = None if isinstance(event, OrderClosed) else _letter(state, event)
    if letter is None:
        return state
    dated = state.dated
    if isinstance(event, StockBackordered) and dated is not None:
        letter, dated = dates.with_date(letter, dated), None
    early = {**state.early, _message_id(event.order_id, letter): letter}
    moved = event.contact if isinstance(event, OrderAmended) and event.mail else state.moved
    return replace(state, early=early, moved=moved, dated=dated)


def _captured(state: State, event: OfHeld) -> State:
    """With the contact of an order that is held: an address without a mail address takes no other's place."""
    without = isinstance(event, HeldOrderAmended) and not event.mail
    if state.accepted or without or event.contact in (None, state.held):
        return state
    return replace(state, held=event.contact)


def _dated(state: State, event: BackorderDated) -> State:
    """With the date in the message that waits for the acceptance, or for one of its own."""
    id_, by = _message_id(event.order_id, Letter(dates.MILESTONE)), dates.date_of(event)
    if id_ not in state.early:
        return state if by == state.dated else replace(state, dated=by)
    letter = dates.with_date(state.early[id_], by)
    return state if letter == state.early[id_] else replace(state, early={**state.early, id_: letter})


def _with_substitutes(state: State, event: FulfillmentReleased) -> State:
    found = {**(state.instead or {}), **replaced(event)}
    return state if found == (state.instead or {}) else replace(state, instead=found)


def _asked(state: State, event: MessageRequested, letter: Letter) -> State:
    over, early = event.milestone == "cancelled" and event.subject_id is None, state.early
    if early:
        # A rebuild, which knows no order across topics, may have folded before what was heard behind it.
        early = {
            id_: waiting
            for id_, waiting in early.items()
            if id_ != event.message_id and not (goes_on(waiting) if over else overtakes(letter, waiting))
        }
    letters = {**state.letters, event.message_id: letter}
    return State(event.order_id, state.accepted, state.contact, state.facts, early, letters, state.instead)


def _settled(state: State, message_id: str, outcome: Literal["sent", "failed"]) -> State:
    owed = state.letters[message_id]
    letter = Letter(owed.milestone, owed.subject_id, owed.facts, outcome)
    letters = {**state.letters, message_id: letter}
    early = state.early
    return State(state.order_id, state.accepted, state.contact, state.facts, early, letters, state.instead)


def _message_id(order_id: str, letter: Letter) -> str:
    if letter.subject_id is None:
        return f"{order_id}-{letter.milestone}"
    return f"{order_id}-{letter.milestone}-{letter.subject_id.removeprefix(f'{order_id}-')}"


def _letter(state: State, event: Reached) -> Letter | None:
    """The message that the event calls for, unless it was asked for before or has been overtaken."""
    letter = LETTERS[type(event)](event)
    if letter is None:
        return None
    if _is_known(state, event.order_id, letter) or (goes_on(letter) and _is_over(state, event.order_id)):
        return None
    if any(overtakes(known, letter) for known in (*state.letters.values(), *state.early.values())):
        return None
    if state.instead is not None and isinstance(event, ShipmentDispatched):
        sent = substituted(state.instead[line.line] for line in event.lines if line.line in state.instead)
        return replace(letter, facts=(*letter.facts, *sent))
    if letter.milestone == "picked_up":
        ended = (replace(letter, milestone="delivered"), replace(letter, milestone="lost"))
        if any(_is_known(state, event.order_id, end) for end in ended):
            return None
    return letter


def _is_known(state: State, order_id: str, letter: Letter) -> bool:
    message_id = _message_id(order_id, letter)
    return message_id in state.letters or message_id in state.early


def _is_over(state: State, order_id: str) -> bool:
    """Whether the customer knows that the order was cancelled as a whole."""
    return _message_id(order_id, Letter("cancelled")) in state.letters


# decide -------------------------------------------------------------------------------------------------


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    body = cast(Heard, heard.body)
    match body:
        case OrderAccepted():
            return [] if state.accepted else _accepted(state, body, at)
        case OrderHeld() | HeldOrderAmended():
            return []  # evolve has noted it
        case HeldOrderCancelled():
            return _withdrawn(state, body)
        case RecordMessageOutcome():
            return _settle(state, heard, body)
        case BackorderDated():
            if state.contact is None or _is_over(state, body.order_id):
                return []
            news = dates.moved(state.letters, body, at)
            if news is None or _is_known(state, body.order_id, news):
                return []
            return [_ask(body.order_id, news, state.contact)]
        case (
            OrderClosed()
            | LinesCancelled()
            | OrderAmended()
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
            moved = body.contact if isinstance(body, OrderAmended) and body.mail else None
            # Without facts it is not accepted yet, or was skipped before those were kept.
            contact = state.contact or (moved if state.facts else None)
            due = _letter(state, body) if contact is not None else None
            if due is None:
                return []
            return [_ask(body.order_id, due, moved or contact, carries=moved is not None)]
        case _:
            assert_never(body)


def _accepted(state: State, order: OrderAccepted, at: datetime) -> list[Event]:
    """The first messages of an order, and all that waited for it."""
    contact = state.moved or state.held or order.contact
    letters = [Letter("confirmed", None, of_order(order))]
    if contact is None:
        return [_ask(order.order_id, letters[0], None)]
    if order.payment != "on_account":
        # Pending when submitted, accepted now: the hold on its payment was released.
        letters.append(Letter("paid"))
    letters += state.early.values()
    if state.dated is not None:
        letters.append(dates.first(state.dated, at))
    return _first(order.order_id, letters, contact)


def _withdrawn(state: State, held: HeldOrderCancelled) -> list[Event]:
    """The one message of an order that was never accepted, but for what it is refunded."""
    if state.accepted or held.external_id is None:
        return []
    letter = Letter("cancelled", None, (*of_order(held), *facts(cause="cancelled")))
    contact = state.held or held.contact
    if contact is None:
        return [_ask(held.order_id, letter, None)]
    early = [one for one in state.early.values() if not goes_on(one)]
    return _first(held.order_id, (letter, *early), contact)


def _first(order_id: str, letters: Iterable[Letter], contact: Sealed) -> list[Event]:
    """The messages with which an order becomes known; the first carries the contact for all that follow."""
    return [_ask(order_id, letter, contact, carries=number == 0) for number, letter in enumerate(letters)]


def _ask(order_id: str, letter: Letter, contact: Sealed | None, *, carries: bool = False) -> Event:
    message_id = _message_id(order_id, letter)
    if contact is None:
        return MessageSkipped(
            order_id=order_id,
            message_id=message_id,
            milestone=letter.milestone,
            subject_id=letter.subject_id,
            reason="The order came without a contact: nobody is written to unless it is amended with one.",
            facts=letter.facts,
        )
    return MessageRequested(
        order_id=order_id,
        message_id=message_id,
        milestone=letter.milestone,
        subject_id=letter.subject_id,
        facts=letter.facts,
        contact=contact if carries else None,
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
