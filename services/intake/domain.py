"""Intake decides, for channels and support, whether an order is ours to fulfil, and when it is over.

An order enters once. What cannot be fulfilled is rejected for good, what a person must look at is held under
named holds, the rest is accepted. An accepted order closes when fulfillment says that its last unit is
delivered, lost or cancelled; a held one may be cancelled here, as nobody else knows it yet, and its terms are
told with that: its customer may have paid.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Literal, assert_never, cast

from libs.events.amendments import AmendOrder, HeldOrderAmended, OrderAmendmentRequested
from libs.events.changes import (
    AddNote,
    CancelLines,
    HoldDeclined,
    HoldPlaced,
    LineCancellationDeclined,
    LineCancellationRequested,
    NoteAdded,
    OrderResumed,
    PlaceHold,
)
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.exception_rules import (
    ChangeExceptionRule,
    DropExceptionRule,
    ExceptionRuleChanged,
    ExceptionRuleDropped,
)
from libs.events.fulfillment import CancellationDeclined, FulfillmentCompleted
from libs.events.ids import order_id
from libs.events.intake import (
    AssignException,
    CancelOrder,
    ExceptionAssigned,
    ExceptionResolved,
    ExceptionSnoozed,
    HoldReleased,
    OrderAccepted,
    OrderCancellationRequested,
    OrderClosed,
    OrderHeld,
    OrderRejected,
    OrderTerms,
    Outcome,
    ReleaseHold,
    ResolveException,
    SnoozeException,
    SubmitOrder,
)
from libs.events.order import LineQuantity
from libs.events.parked_exceptions import OnParkedException
from libs.events.record import record
from libs.events.refusal import refuse
from libs.events.stock_exceptions import OnStockException
from services.intake import amendments, changes
from services.intake.changes import UNCHANGED, Changes
from services.intake.exception_rules import NO_RULES, OwnRules, change_rule, changed_rules
from services.intake.fingerprints import fingerprint
from services.intake.geography import located
from services.intake.queue import Care, OnException, OnStock, StockCared, Told, settle, taken_care
from services.intake.rules import holds, rejections

# --- what it hears ---------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (
    FulfillmentCompleted,
    CancellationDeclined,
    LineCancellationDeclined,
    HoldDeclined,
)
Change = CancelOrder | CancelLines | PlaceHold | AddNote | AmendOrder
Declined = CancellationDeclined | LineCancellationDeclined | HoldDeclined
OnRules = ChangeExceptionRule | DropExceptionRule
Heard = SubmitOrder | Change | ReleaseHold | OnException | OnStock | OnRules | FulfillmentCompleted | Declined

# --- state -----------------------------------------------------------------------------------------------

Status = Literal["unknown", "held", "accepted", "cancelling", "closed", "rejected"]


@record
class Ordered:
    """One line as ordered, as far as a cancellation names it: a `LineQuantity`, at a third of its cost."""

    line: int
    sku: str
    quantity: int


@record
class State:
    """One order, as intake knows it. Terms are kept only as long as a decision may need them."""

    status: Status = "unknown"
    fingerprint: str = ""
    held: OrderHeld | None = None
    """The whole order while holds block it."""
    released: tuple[str, ...] = ()
    lines: tuple[Ordered, ...] = ()
    """While a cancellation may name them."""
    outcome: Outcome | None = None
    care: Mapping[str, Care] = field(default_factory=dict)
    """What people have done about exceptions of the stream's order, SKU, feed or parked keys, by item."""
    changes: Changes | None = None
    """What people have done to the order, if they did."""
    rules: OwnRules | None = None
    """Of the stream of a tenant's exception rules: those."""


INITIAL = State()

# --- evolve ----------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    """The state after one of intake's events, or of fulfillment's that it hears."""
    match event:
        case OrderAccepted():
            return State(
                "accepted",
                event.fingerprint,
                released=state.released,
                lines=_lines(event),
                care=state.care,
                changes=state.changes,
            )
        case OrderHeld():
            return State(status="held", fingerprint=event.fingerprint, held=event)
        case OrderRejected():
            return State(status="rejected", fingerprint=event.fingerprint)
        case HoldReleased():
            if state.changes is not None and event.hold in state.changes.holds:
                return replace(state, changes=changes.after(state.changes, event))
            return replace(state, released=(*state.released, event.hold))
        case (
            LineCancellationRequested()
            | LineCancellationDeclined()
            | HoldPlaced()
            | HoldDeclined()
            | OrderResumed()
            | OrderAmendmentRequested()
            | HeldOrderAmended()
        ):
            if isinstance(event, HeldOrderAmended) and state.held is not None:
                state = replace(state, held=amendments.amended(state.held, event))
            known = state.changes or UNCHANGED
            after = changes.after(known, event)
            return state if after is known or state.status == "closed" else replace(state, changes=after)
        case OrderCancellationRequested():
            return replace(state, status="cancelling")
        case CancellationDeclined() if state.status == "cancelling":
            return replace(state, status="accepted")
        case OrderClosed():
            return State(
                status="closed", fingerprint=state.fingerprint, outcome=event.outcome, care=state.care
            )
        case ExceptionAssigned() | ExceptionSnoozed() | ExceptionResolved():
            return replace(state, care=taken_care(state.care, event))
        case OnStockException() | OnParkedException():
            return replace(state, care=taken_care(state.care, cast(StockCared, event)))
        case ExceptionRuleChanged() | ExceptionRuleDropped():
            return replace(state, rules=changed_rules(state.rules or NO_RULES, event))
        case _:
            return state


def _lines(terms: OrderTerms) -> tuple[Ordered, ...]:
    return tuple([Ordered(line.line, line.sku, line.quantity) for line in terms.lines])


# --- decide ----------------------------------------------------------------------------------------------


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    """Intake's answer to one command or one of fulfillment's events; [] to a repeat."""
    body = cast(Heard, heard.body)
    match body:
        case SubmitOrder():
            return _submit(state, heard, body, at)
        case CancelOrder():
            return _cancel(state, heard, body)
        case CancelLines() | PlaceHold() | AddNote() | AmendOrder():
            return _change(state, heard, body)
        case ReleaseHold():
            return _release(state, heard, body)
        case AssignException() | SnoozeException() | ResolveException():
            if state.status == "unknown":
                return _unknown_order(heard)
            return _care(state, heard, body, at)
        case OnStockException() | OnParkedException():
            return _care(state, heard, body, at)
        case ChangeExceptionRule() | DropExceptionRule():
            changed = change_rule(state.rules or NO_RULES, body)
            return refuse(heard, *changed) if isinstance(changed, Told) else changed
        case FulfillmentCompleted():
            return _complete(state, body)
        case CancellationDeclined() | LineCancellationDeclined() | HoldDeclined():
            return []  # evolve has noted it: the next CancelOrder is a new request
        case _:
            assert_never(body)


def _care(
    state: State, heard: Envelope[Contract], command: OnException | OnStock, at: datetime
) -> list[Event]:
    told = settle(state.care, command, at)
    return refuse(heard, *told) if isinstance(told, Told) else told


def _submit(state: State, heard: Envelope[Contract], order: SubmitOrder, at: datetime) -> list[Event]:
    derived = order_id(heard.tenant, order.channel, order.external_id)
    if order.order_id != derived:
        return refuse(
            heard,
            "wrong_order_id",
            f"order_id {order.order_id} does not belong to channel {order.channel}, external_id "
            f"{order.external_id} of this tenant.",
            f"Send order_id {derived}, or submit over HTTP, where it is derived.",
        )
    print_ = fingerprint(order)
    if state.status != "unknown":
        if state.fingerprint == print_:
            return []
        return refuse(
            heard,
            "conflict",
            f"channel {order.channel}, external_id {order.external_id} was submitted before with other "
            f"terms; that order is {_described(state)}.",
            "Send another order under another external_id. To change where this one goes, or its service, "
            "amend it; for anything else cancel it, and submit it anew under a new external_id.",
        )
    reasons = rejections(order, at)
    if reasons:
        return [
            OrderRejected(
                order_id=order.order_id,
                channel=order.channel,
                external_id=order.external_id,
                reasons=reasons,
                fingerprint=print_,
            )
        ]
    found = holds(order)
    # What an event does not know of another's fields it ignores.
    terms = {**vars(order), "destination": located(order.destination), "fingerprint": print_}
    if found:
        return [OrderHeld.model_validate({**terms, "holds": found})]
    return [OrderAccepted.model_validate(terms)]


def _cancel(state: State, heard: Envelope[Contract], command: CancelOrder) -> list[Event]:
    match state.status:
        case "held":
            return [
                changes.withdrawn(state.held, state.released),
                OrderClosed(order_id=command.order_id, outcome="cancelled", reason=command.reason),
            ]
        case "accepted":
            lines = tuple(
                LineQuantity(line=line.line, sku=line.sku, quantity=line.quantity) for line in state.lines
            )
            return [OrderCancellationRequested(order_id=command.order_id, reason=command.reason, lines=lines)]
        case "cancelling":
            return []
        case "unknown":
            return _unknown_order(heard)
        case "rejected":
            return refuse(
                heard,
                "already_rejected",
                f"order {command.order_id} was rejected; there is nothing to cancel.",
                "Nothing to do.",
            )
        case "closed":
            arrived = state.outcome in ("delivered", "partly_delivered")
            return refuse(
                heard,
                "already_closed",
                f"order {command.order_id} is {_described(state)}; nothing of it can be cancelled any more.",
                "Authorise a return for what was delivered." if arrived else "Nothing to do.",
            )
        case _:
            assert_never(state.status)


def _change(
    state: State, heard: Envelope[Contract], command: CancelLines | PlaceHold | AddNote | AmendOrder
) -> list[Event]:
    """A change short of cancelling everything."""
    if state.status == "unknown":
        return _unknown_order(heard)
    if isinstance(command, AddNote):
        return [NoteAdded(order_id=command.order_id, note=command.note)]
    if state.status not in ("held", "accepted"):
        arrived = state.outcome in ("delivered", "partly_delivered")
        return refuse(
            heard,
            f"already_{state.status}",
            f"order {command.order_id} is {_described(state)}; it cannot be changed any more.",
            "Authorise a return for what was delivered." if arrived else "Nothing to do.",
        )
    known = state.changes or UNCHANGED
    if isinstance(command, AmendOrder):
        return _amend(state, heard, command)
    if isinstance(command, PlaceHold):
        told = changes.place_hold(known, _captured_holds(state), command)
        return refuse(heard, *told) if isinstance(told, Told) else told
    lines = state.held.lines if state.held is not None else state.lines
    ordered = [LineQuantity(line=line.line, sku=line.sku, quantity=line.quantity) for line in lines]
    asked = changes.cancel_lines(known, ordered, command)
    if asked is None:
        return _cancel(state, heard, CancelOrder(order_id=command.order_id, reason=command.reason))
    return refuse(heard, *asked) if isinstance(asked, Told) else asked


def _amend(state: State, heard: Envelope[Contract], command: AmendOrder) -> list[Event]:
    if (wrong := amendments.wrong(command)) is not None:
        return refuse(heard, *wrong)
    event = amendments.asked(state.changes or UNCHANGED, command, state.held is not None)
    release = amendments.settled(command, _captured_holds(state))
    return [event] if release is None else [event, *_release(evolve(state, event), heard, release)]


def _captured_holds(state: State) -> tuple[str, ...]:
    """Open holds of the capture, in its order."""
    if state.held is None:
        return ()
    return tuple(hold.name for hold in state.held.holds if hold.name not in state.released)


def _release(state: State, heard: Envelope[Contract], command: ReleaseHold) -> list[Event]:
    if state.status == "unknown":
        return _unknown_order(heard)
    placed = state.changes or UNCHANGED
    open_ = (*_captured_holds(state), *placed.holds)
    next_step = f"Still to be released: {', '.join(open_)}." if open_ else "Nothing to do: no hold blocks it."
    if command.hold not in open_ and command.hold in (*state.released, *placed.released):
        return refuse(
            heard,
            "already_released",
            f"hold {command.hold} of order {command.order_id} was released before. By whom and when, its "
            f"timeline tells: `orderlog orders show {command.order_id}`.",
            next_step,
        )
    if not open_:
        return refuse(
            heard,
            "not_held",
            f"order {command.order_id} is {_described(state)}; no hold blocks it.",
            "Nothing to do.",
        )
    if command.hold not in open_:
        message = f"hold {command.hold} of order {command.order_id} does not exist."
        return refuse(heard, "unknown_hold", message, next_step)
    left = tuple(name for name in open_ if name != command.hold)
    events: list[Event] = [
        HoldReleased(order_id=command.order_id, hold=command.hold, note=command.note, remaining=left)
    ]
    if left:
        return events
    if state.held is not None:
        events.append(OrderAccepted.model_validate(vars(state.held)))
    if placed.paused:
        events.append(OrderResumed(order_id=command.order_id))
    return events


def _complete(state: State, completed: FulfillmentCompleted) -> list[Event]:
    # Fulfillment only ever completes what intake accepted, and the acceptance was in this state before it
    # was published. So an order in another state is closed already, or no order at all.
    if state.status not in ("accepted", "cancelling"):
        return []
    return [OrderClosed(order_id=completed.order_id, outcome=completed.outcome)]


def _described(state: State) -> str:
    if state.status == "held" and state.held is not None:
        return f"held ({', '.join((*_captured_holds(state), *(state.changes or UNCHANGED).holds))})"
    return f"closed ({state.outcome})" if state.status == "closed" else state.status


def _unknown_order(heard: Envelope[Contract]) -> list[Event]:
    return refuse(
        heard,
        "unknown_order",
        f"order {heard.stream} has not been submitted to this tenant.",
        "Check the order id; it is in the answer to the submitted order.",
    )
