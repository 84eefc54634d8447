"""Decides, for customers and support, what may come back, and what is owed for units that did not stay.

Units may be returned once they were delivered, each unit once. A refund is owed for returned units, and, when
the order was paid, for units lost, cancelled or unroutable. Prices come with `OrderAccepted`; what is owed
before it is heard is remembered, and requested when it comes. Ids: RMAs `{order_id}-R{n}`, refunds
`{rma_id}-refund-{n}` and `{order_id}-refund-{cause}`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Literal, TypeAlias, assert_never, cast

from libs.events.changes import LinesCancelled
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import FulfillmentCompleted, ShipmentDelivered
from libs.events.intake import OrderAccepted
from libs.events.order import LineQuantity
from libs.events.record import record
from libs.events.refusal import CommandRefused
from libs.events.returns import (
    AuthorisedLine,
    AuthoriseReturn,
    Disposition,
    ReceiveReturn,
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnedUnits,
    ReturnReceived,
    ReturnWindowOpened,
)

# What it hears ------------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (OrderAccepted, ShipmentDelivered, LinesCancelled, FulfillmentCompleted)
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    OrderAccepted: (
        "channel",
        "external_id",
        "placed_at",
        "customer_id",
        "destination",
        "contact",
        "fingerprint",
    )
}
"""What returns has no use for in it."""

Heard: TypeAlias = (
    OrderAccepted
    | ShipmentDelivered
    | LinesCancelled
    | FulfillmentCompleted
    | AuthoriseReturn
    | ReceiveReturn
)
Cause: TypeAlias = Literal["returned", "lost", "cancelled", "unroutable"]

# State --------------------------------------------------------------------------------------------------


@record
class Terms:
    """What the customer was charged, in the currency's minor unit."""

    currency: str
    paid: bool
    """Not on account: the money was there before the goods went."""
    unit_prices_minor: dict[int, int]
    """By line."""
    charges_minor: int
    total_minor: int
    """What the customer pays: as the channel said it, else goods and charges. Refunds never exceed it."""


@record
class Owed:
    """Units to be refunded. The amount follows from the terms."""

    refund_id: str
    cause: Cause
    lines: tuple[LineQuantity, ...]
    rma_id: str | None = None
    whole_order: bool = False
    """Nothing of the order arrived: its charges (postage) are owed too."""


@record
class Rma:
    """One return authorisation: units by line, that may come and that came."""

    authorised: dict[int, int]
    received: dict[int, int] = field(default_factory=dict)
    receipts: int = 0


@record
class State:
    """One order, as far as coming back goes."""

    terms: Terms | None = None
    skus: dict[int, str] = field(default_factory=dict)
    """By line, of delivered lines."""
    delivered: dict[int, int] = field(default_factory=dict)
    shipments: tuple[str, ...] = ()
    """Those whose delivery was answered."""
    rmas: dict[str, Rma] = field(default_factory=dict)
    owed: tuple[Owed, ...] = ()
    """What came before the prices."""
    refunds_minor: dict[str, int] = field(default_factory=dict)
    """Requested, by refund id."""
    cut: dict[str, dict[int, int]] = field(default_factory=dict)
    """Units by line that were cancelled while the rest went on, by cancellation."""


INITIAL = State()

# evolve -------------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    match event:
        case OrderAccepted():
            return state if state.terms else _priced(state, event)
        case FulfillmentCompleted():
            # Its answer needs the prices. With them it is an event of our own; without, it is remembered.
            known = {owed.refund_id for owed in state.owed}
            owed = () if state.terms else tuple(o for o in _lost(state, event) if o.refund_id not in known)
            return replace(state, owed=(*state.owed, *owed)) if owed else state
        case LinesCancelled():
            if event.cancellation_id in state.cut:
                return state
            owed = () if state.terms else (_cut(event),)
            cut = {**state.cut, event.cancellation_id: _plus({}, event.lines)}
            return replace(state, cut=cut, owed=(*state.owed, *owed))
        case ReturnWindowOpened():
            return replace(
                state,
                skus={**state.skus, **{units.line: units.sku for units in event.lines}},
                delivered=_plus(state.delivered, event.lines),
                shipments=(*state.shipments, event.shipment_id),
            )
        case ReturnAuthorised():
            rma = Rma(authorised=_plus({}, event.lines))
            return replace(state, rmas={**state.rmas, event.rma_id: rma})
        case ReturnReceived():
            return _received(state, event)
        case RefundRequested():
            return replace(
                state,
                owed=tuple(owed for owed in state.owed if owed.refund_id != event.refund_id),
                refunds_minor={**state.refunds_minor, event.refund_id: event.amount_minor},
            )
        case _:
            return state


def _priced(state: State, order: OrderAccepted) -> State:
    """With the prices known, only what will be paid back is owed, as if they had been known before."""
    after = State(
        _terms(order),
        state.skus,
        state.delivered,
        state.shipments,
        state.rmas,
        state.owed,
        state.refunds_minor,
        state.cut,
    )
    if not state.owed:
        return after
    paid_back = {
        event.refund_id
        for event in _refunds(after, order.order_id, after.owed)
        if isinstance(event, RefundRequested)
    }
    return replace(after, owed=tuple(owed for owed in after.owed if owed.refund_id in paid_back))


def _terms(order: OrderAccepted) -> Terms:
    charges = goods = 0
    unit_prices_minor: dict[int, int] = {}
    for charge in order.charges:
        charges += charge.amount_minor
    for line in order.lines:
        unit_prices_minor[line.line] = line.unit_price_minor
        goods += line.unit_price_minor * line.quantity
    return Terms(
        currency=order.currency,
        # Pending when submitted, accepted now: the hold on its payment was released.
        paid=order.payment != "on_account",
        unit_prices_minor=unit_prices_minor,
        charges_minor=charges,
        total_minor=goods + charges if order.total_minor is None else order.total_minor,
    )


def _plus(units_by_line: Mapping[int, int], lines: Iterable[LineQuantity | ReturnedUnits]) -> dict[int, int]:
    after = dict(units_by_line)
    for units in lines:
        after[units.line] = after.get(units.line, 0) + units.quantity
    return after


def _cut(cancelled: LinesCancelled) -> Owed:
    number = cancelled.cancellation_id.removeprefix(f"{cancelled.order_id}-")
    return Owed(f"{cancelled.order_id}-refund-{number}", "cancelled", cancelled.lines)


def _lost(state: State, completed: FulfillmentCompleted) -> tuple[Owed, ...]:
    """What a completed order owes to one who paid: one refund a cause, without what is owed already."""
    causes: tuple[tuple[Cause, tuple[LineQuantity, ...]], ...] = (
        ("lost", completed.lost),
        ("cancelled", completed.cancelled),
        ("unroutable", completed.unroutable),
    )
    owed: list[Owed] = []
    for cause, lines in causes:
        whole = bool(lines) and not completed.delivered and not owed
        if cause == "cancelled" and state.cut:
            lines = _uncut(lines, state.cut)
        if lines or whole:
            refund_id = f"{completed.order_id}-refund-{cause}"
            owed.append(Owed(refund_id, cause, lines, whole_order=whole))
    return tuple(owed)


def _uncut(lines: tuple[LineQuantity, ...], cut: Mapping[str, Mapping[int, int]]) -> tuple[LineQuantity, ...]:
    """Cancelled units that no cancellation of lines has named."""
    return tuple(
        LineQuantity(line=units.line, sku=units.sku, quantity=left)
        for units in lines
        if (left := units.quantity - sum(known.get(units.line, 0) for known in cut.values())) > 0
    )


def _returned(state: State, received: ReturnReceived) -> Owed:
    number = state.rmas[received.rma_id].receipts + 1
    total = _plus({}, received.units)
    lines = tuple(
        LineQuantity(line=line, sku=state.skus[line], quantity=quantity) for line, quantity in total.items()
    )
    return Owed(f"{received.rma_id}-refund-{number}", "returned", lines, rma_id=received.rma_id)


def _received(state: State, event: ReturnReceived) -> State:
    rma = state.rmas[event.rma_id]
    owed = state.owed if state.terms else (*state.owed, _returned(state, event))
    rma = replace(rma, received=_plus(rma.received, event.units), receipts=rma.receipts + 1)
    return replace(state, rmas={**state.rmas, event.rma_id: rma}, owed=owed)


# decide -------------------------------------------------------------------------------------------------


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    body = cast(Heard, heard.body)
    match body:
        case OrderAccepted():
            return _refunds(state, body.order_id, state.owed) if state.owed else []
        case FulfillmentCompleted():
            return _refunds(state, body.order_id, _lost(state, body)) if state.terms else []
        case LinesCancelled():
            return _refunds(state, body.order_id, [_cut(body)]) if state.terms else []
        case ShipmentDelivered():
            if body.shipment_id in state.shipments:
                return []
            opened = ReturnWindowOpened(
                order_id=body.order_id, shipment_id=body.shipment_id, lines=body.lines
            )
            return [opened]
        case AuthoriseReturn():
            return _authorise(state, heard, body)
        case ReceiveReturn():
            return _receive(state, heard, body)
        case _:
            assert_never(body)


def _refunds(state: State, order_id: str, owed: Iterable[Owed]) -> list[Event]:
    """Requests for what is owed and was not requested. Nothing is paid back that was not charged."""
    terms = state.terms
    assert terms is not None, f"a refund of {order_id} is worked out before its prices are known"
    left_minor = terms.total_minor - sum(state.refunds_minor.values())
    events: list[Event] = []
    for due in owed:
        if due.refund_id in state.refunds_minor or (due.cause != "returned" and not terms.paid):
            continue
        amount = sum(terms.unit_prices_minor[units.line] * units.quantity for units in due.lines)
        amount = min(amount + (terms.charges_minor if due.whole_order else 0), left_minor)
        if amount <= 0:
            continue
        left_minor -= amount
        events.append(
            RefundRequested(
                order_id=order_id,
                refund_id=due.refund_id,
                rma_id=due.rma_id,
                amount_minor=amount,
                currency=terms.currency,
                cause=due.cause,
                lines=due.lines,
            )
        )
    return events


def _refuse(heard: Envelope[Contract], code: str, message: str, next_step: str) -> list[Event]:
    refused = CommandRefused(
        refused_stream=heard.stream,
        command_id=heard.id,
        command_type=heard.body.TYPE,
        code=code,
        message=message,
        next_step=next_step,
    )
    return [refused]


def _authorise(state: State, heard: Envelope[Contract], body: AuthoriseReturn) -> list[Event]:
    if not state.delivered:
        message = f"Nothing of order {body.order_id} has been delivered yet."
        next_step = "Wait for its delivery; to stop it before dispatch, cancel the order."
        return _refuse(heard, "nothing_delivered", message, next_step)
    wanted: dict[int, int] = {}
    for line in body.lines:
        wanted[line.line] = wanted.get(line.line, 0) + line.quantity
    for number, quantity in wanted.items():
        delivered = state.delivered.get(number, 0)
        authorised = sum(rma.authorised.get(number, 0) for rma in state.rmas.values())
        if quantity > delivered - authorised:
            message = (
                f"Line {number}: {quantity} units are asked for, {delivered - authorised} can still be "
                f"returned ({delivered} delivered, {authorised} under a return already)."
            )
            next_step = f"Ask for at most {delivered - authorised}, or leave the line out."
            return _refuse(heard, "not_returnable", message, next_step)
    lines = tuple(
        AuthorisedLine(line=line.line, sku=state.skus[line.line], quantity=line.quantity, reason=line.reason)
        for line in body.lines
    )
    rma_id = f"{body.order_id}-R{len(state.rmas) + 1}"
    return [ReturnAuthorised(order_id=body.order_id, rma_id=rma_id, lines=lines)]


def _receive(state: State, heard: Envelope[Contract], body: ReceiveReturn) -> list[Event]:
    rma = state.rmas.get(body.rma_id)
    if rma is None:
        known = ", ".join(list(state.rmas)[:10]) or "none yet"
        message = f"Order {body.order_id} has no return {body.rma_id}."
        next_step = f"Authorised so far: {known}. Authorise the return first."
        return _refuse(heard, "unknown_rma", message, next_step)
    came: dict[tuple[int, Disposition], int] = {}
    by_line: dict[int, int] = {}
    for units in body.units:
        by_line[units.line] = by_line.get(units.line, 0) + units.quantity
        came[units.line, units.disposition] = came.get((units.line, units.disposition), 0) + units.quantity
    for number, quantity in by_line.items():
        authorised, received = rma.authorised.get(number, 0), rma.received.get(number, 0)
        if quantity > authorised - received:
            message = (
                f"{body.rma_id}, line {number}: {quantity} units came, {authorised - received} are still "
                f"expected ({authorised} authorised, {received} received before)."
            )
            next_step = "Report the expected units only, and authorise a return for the others."
            return _refuse(heard, "not_expected", message, next_step)
    returned = tuple(
        ReturnedUnits(line=line, sku=state.skus[line], quantity=quantity, disposition=disposition)
        for (line, disposition), quantity in came.items()
    )
    received_now = ReturnReceived(order_id=body.order_id, rma_id=body.rma_id, node=body.node, units=returned)
    events: list[Event] = [received_now]
    if state.terms:
        events += _refunds(state, body.order_id, [_returned(state, received_now)])
    if _plus(rma.received, returned) == rma.authorised:
        events.append(ReturnClosed(order_id=body.order_id, rma_id=body.rma_id))
    return events
