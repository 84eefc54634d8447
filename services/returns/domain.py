"""Decides, for customers and support, what may come back, and what is owed for units that did not stay.

Units may be returned once they were delivered, each unit once. A refund is owed for returned units, and, when
the order was paid, for units lost, cancelled or unroutable. Prices come with `OrderAccepted`; what is owed
before it is heard is remembered, and requested when it comes. Of an order that was cancelled before it was
accepted all that was paid goes back; where nothing was, the authorisation is to be voided. Ids: RMAs
`{order_id}-R{n}`, refunds `{rma_id}-refund-{n}` and `{order_id}-refund-{cause}`, voids `{order_id}-void`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias, assert_never, cast

from libs.events.changes import LinesCancelled
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import FulfillmentCompleted, ShipmentDelivered
from libs.events.intake import HeldOrderCancelled, OrderAccepted
from libs.events.refusal import refuse
from libs.events.returns import (
    AuthorisedLine,
    AuthoriseReturn,
    Disposition,
    ReceiveReturn,
    ReturnAuthorised,
    ReturnClosed,
    ReturnedUnits,
    ReturnReceived,
    ReturnWindowOpened,
    VoidRequested,
)
from services.returns.numbers import Came
from services.returns.parts import as_parts
from services.returns.state import State, cut_off, lost, owed_for, plus, refunds, withdrawn

# What it hears ------------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (
    OrderAccepted,
    HeldOrderCancelled,
    ShipmentDelivered,
    LinesCancelled,
    FulfillmentCompleted,
)
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    OrderAccepted: (
        "channel",
        "external_id",
        "placed_at",
        "customer_id",
        "destination",
        "contact",
        "fingerprint",
    ),
    HeldOrderCancelled: ("channel", "external_id", "placed_at", "contact"),
}
"""What returns has no use for in them."""

Heard: TypeAlias = (
    OrderAccepted
    | HeldOrderCancelled
    | ShipmentDelivered
    | LinesCancelled
    | FulfillmentCompleted
    | AuthoriseReturn
    | ReceiveReturn
)

# decide -------------------------------------------------------------------------------------------------


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    body = cast(Heard, heard.body)
    match body:
        case OrderAccepted():
            return refunds(state, body.order_id, state.owed) if state.owed else []
        case HeldOrderCancelled():
            return _withdraw(state, body)
        case FulfillmentCompleted():
            return refunds(state, body.order_id, lost(state, body)) if state.terms else []
        case LinesCancelled():
            return refunds(state, body.order_id, [cut_off(body)]) if state.terms else []
        case ShipmentDelivered():
            if body.shipment_id in state.shipments:
                return []
            opened = ReturnWindowOpened(
                order_id=body.order_id,
                shipment_id=body.shipment_id,
                lines=body.lines,
                bundles=body.bundles,
                serials=body.serials,
            )
            return [opened]
        case AuthoriseReturn():
            return _authorise(state, heard, body)
        case ReceiveReturn():
            return _receive(state, heard, body)
        case _:
            assert_never(body)


def _withdraw(state: State, cancelled: HeldOrderCancelled) -> list[Event]:
    """Money that was paid goes back; what was only authorised is let go; on account there is neither."""
    terms = state.terms
    assert terms is not None, f"{cancelled.order_id} is cancelled and its prices are not known"
    if cancelled.payment != "pending":
        return refunds(state, cancelled.order_id, [*state.owed, withdrawn(state, cancelled)])
    if state.void_requested or terms.total_minor <= 0:
        return []
    void = VoidRequested(
        order_id=cancelled.order_id,
        void_id=f"{cancelled.order_id}-void",
        amount_minor=terms.total_minor,
        currency=terms.currency,
    )
    return [void]


def _authorise(state: State, heard: Envelope[Contract], body: AuthoriseReturn) -> list[Event]:
    if not state.delivered:
        message = f"Nothing of order {body.order_id} has been delivered yet."
        next_step = "Wait for its delivery; to stop it before dispatch, cancel the order."
        return refuse(heard, "nothing_delivered", message, next_step)
    wanted: dict[int, int] = {}
    asked: list[tuple[int, int, str]] = []
    for line in body.lines:
        left = {n: units - _authorised(state, n) - wanted.get(n, 0) for n, units in state.delivered.items()}
        for number, quantity in as_parts(state.bundles, line.line, line.quantity, left).items():
            wanted[number] = wanted.get(number, 0) + quantity
            asked.append((number, quantity, line.reason))
    for number, quantity in wanted.items():
        delivered, authorised = state.delivered.get(number, 0), _authorised(state, number)
        if quantity > delivered - authorised:
            message = (
                f"Line {number}: {quantity} units are asked for, {delivered - authorised} can still be "
                f"returned ({delivered} delivered, {authorised} under a return already)."
            )
            next_step = f"Ask for at most {delivered - authorised}, or leave the line out."
            return refuse(heard, "not_returnable", message, next_step)
    lines = tuple(
        AuthorisedLine(line=number, sku=state.skus[number], quantity=quantity, reason=reason)
        for number, quantity, reason in asked
    )
    rma_id = f"{body.order_id}-R{len(state.rmas) + 1}"
    return [ReturnAuthorised(order_id=body.order_id, rma_id=rma_id, lines=lines)]


def _authorised(state: State, line: int) -> int:
    return sum(rma.authorised.get(line, 0) for rma in state.rmas.values())


def _receive(state: State, heard: Envelope[Contract], body: ReceiveReturn) -> list[Event]:
    rma = state.rmas.get(body.rma_id)
    if rma is None:
        known = ", ".join(list(state.rmas)[:10]) or "none yet"
        message = f"Order {body.order_id} has no return {body.rma_id}."
        next_step = f"Authorised so far: {known}. Authorise the return first."
        return refuse(heard, "unknown_rma", message, next_step)
    came: dict[tuple[int, Disposition, str | None], int] = {}
    by_line: dict[int, int] = {}
    numbers = Came(state.serials)
    for units in body.units:
        left = {n: one - rma.received.get(n, 0) - by_line.get(n, 0) for n, one in rma.authorised.items()}
        lines = as_parts(state.bundles, units.line, units.quantity, left)
        if wrong := numbers.take(units, lines):
            return refuse(heard, *wrong)
        for number, quantity in lines.items():
            by_line[number] = by_line.get(number, 0) + quantity
            kind = (number, units.disposition, units.condition)
            came[kind] = came.get(kind, 0) + quantity
    for number, quantity in by_line.items():
        authorised, received = rma.authorised.get(number, 0), rma.received.get(number, 0)
        if quantity > authorised - received:
            message = (
                f"{body.rma_id}, line {number}: {quantity} units came, {authorised - received} are still "
                f"expected ({authorised} authorised, {received} received before)."
            )
            next_step = "Report the expected units only, and authorise a return for the others."
            return refuse(heard, "not_expected", message, next_step)
    returned = tuple(
        ReturnedUnits(
            line=line,
            sku=state.skus[line],
            quantity=quantity,
            disposition=disposition,
            serials=numbers.of(line, disposition, condition),
            condition=condition,
        )
        for (line, disposition, condition), quantity in came.items()
    )
    received_now = ReturnReceived(order_id=body.order_id, rma_id=body.rma_id, node=body.node, units=returned)
    events: list[Event] = [received_now]
    if state.terms:
        events += refunds(state, body.order_id, [owed_for(state, received_now)])
    if plus(rma.received, returned) == rma.authorised:
        events.append(ReturnClosed(order_id=body.order_id, rma_id=body.rma_id))
    return events
