"""What returns knows of an order, and how its events change that."""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Literal, TypeAlias

from libs.events.changes import LinesCancelled
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentCompleted
from libs.events.intake import HeldOrderCancelled, OrderAccepted
from libs.events.order import LineQuantity, Unpacked
from libs.events.record import record
from libs.events.returns import (
    RefundRequested,
    ReturnAuthorised,
    ReturnedUnits,
    ReturnReceived,
    ReturnWindowOpened,
    VoidRequested,
)
from services.returns.numbers import delivered, kept
from services.returns.parts import left_of, worth_minor

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
    all_paid: bool = False
    """Whatever was paid and not refunded, whether lines and charges make it or not."""
    before: dict[int, int] | None = None
    """Of an order with bundles, units by line that count before these where a part's share is split: those
    that came back earlier, and of what never arrived all that is left. Some may have been worth nothing."""


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
    bundles: Unpacked | None = None
    """Ordered lines that were delivered as lines of their parts."""
    cut: dict[str, dict[int, int]] = field(default_factory=dict)
    """Units by line that were cancelled while the rest went on, by cancellation."""
    serials: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Serial numbers that the customer has, by line."""
    void_requested: bool = False


INITIAL = State()

# evolve -------------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    match event:
        case OrderAccepted() | HeldOrderCancelled():
            return state if state.terms else _priced(state, event)
        case FulfillmentCompleted():
            # Its answer needs the prices. With them it is an event of our own; without, it is remembered.
            known = {owed.refund_id for owed in state.owed}
            owed = () if state.terms else tuple(o for o in lost(state, event) if o.refund_id not in known)
            if event.bundles is not None and state.bundles is None:
                state = replace(state, bundles=event.bundles)
            return replace(state, owed=(*state.owed, *owed)) if owed else state
        case LinesCancelled():
            if event.cancellation_id in state.cut:
                return state
            owed = () if state.terms else (cut_off(event),)
            cut = {**state.cut, event.cancellation_id: plus({}, event.lines)}
            return replace(state, cut=cut, owed=(*state.owed, *owed))
        case ReturnWindowOpened():
            return replace(
                state,
                skus={**state.skus, **{units.line: units.sku for units in event.lines}},
                delivered=plus(state.delivered, event.lines),
                shipments=(*state.shipments, event.shipment_id),
                bundles=state.bundles or event.bundles,
                serials=delivered(state.serials, event.serials),
            )
        case ReturnAuthorised():
            rma = Rma(authorised=plus({}, event.lines))
            return replace(state, rmas={**state.rmas, event.rma_id: rma})
        case ReturnReceived():
            return _received(state, event)
        case RefundRequested():
            return replace(
                state,
                owed=tuple(owed for owed in state.owed if owed.refund_id != event.refund_id),
                refunds_minor={**state.refunds_minor, event.refund_id: event.amount_minor},
            )
        case VoidRequested():
            return replace(state, void_requested=True)
        case _:
            return state


def _priced(state: State, order: OrderAccepted | HeldOrderCancelled) -> State:
    """With the prices known, only what will be paid back is owed, as if they had been known before."""
    after = State(
        _terms(order),
        state.skus,
        state.delivered,
        state.shipments,
        state.rmas,
        state.owed,
        state.refunds_minor,
        state.bundles,
        state.cut,
        state.serials,
    )
    if not state.owed:
        return after
    paid_back = {
        event.refund_id
        for event in refunds(after, order.order_id, after.owed)
        if isinstance(event, RefundRequested)
    }
    return replace(after, owed=tuple(owed for owed in after.owed if owed.refund_id in paid_back))


def _terms(order: OrderAccepted | HeldOrderCancelled) -> Terms:
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
        paid=order.payment == "paid" or (order.payment == "pending" and isinstance(order, OrderAccepted)),
        unit_prices_minor=unit_prices_minor,
        charges_minor=charges,
        total_minor=goods + charges if order.total_minor is None else order.total_minor,
    )


def plus(units_by_line: Mapping[int, int], lines: Iterable[LineQuantity | ReturnedUnits]) -> dict[int, int]:
    """Units by line, with those of `lines`."""
    after = dict(units_by_line)
    for units in lines:
        after[units.line] = after.get(units.line, 0) + units.quantity
    return after


def cut_off(cancelled: LinesCancelled) -> Owed:
    """What cancelled lines owe to one who paid."""
    number = cancelled.cancellation_id.removeprefix(f"{cancelled.order_id}-")
    return Owed(f"{cancelled.order_id}-refund-{number}", "cancelled", cancelled.lines)


def withdrawn(state: State, cancelled: HeldOrderCancelled) -> Owed:
    """What an order that was never accepted owes to one who paid: all of it, but for units of lines that were
    cancelled before and are owed by themselves."""
    lines = tuple(
        LineQuantity(line=line.line, sku=line.sku, quantity=line.quantity) for line in cancelled.lines
    )
    refund_id = f"{cancelled.order_id}-refund-cancelled"
    return Owed(refund_id, "cancelled", _uncut(lines, state.cut), all_paid=True)


def lost(state: State, completed: FulfillmentCompleted) -> tuple[Owed, ...]:
    """What a completed order owes to one who paid: one refund a cause, without what is owed already. Where
    nothing arrived, the last of them is of all that is left: the channel may have said another total."""
    causes: tuple[tuple[Cause, tuple[LineQuantity, ...]], ...] = (
        ("lost", completed.lost),
        ("cancelled", completed.cancelled),
        ("unroutable", completed.unroutable),
    )
    owed: list[Owed] = []
    bundles = left_of(state.bundles or completed.bundles, state.cut.values())
    left = {part.line: part.quantity for bundle in bundles or () for part in bundle.parts}
    for cause, lines in causes:
        parts = [units for units in lines if units.line in left]
        for units in parts:
            left[units.line] -= units.quantity
        whole = bool(lines) and not completed.delivered and not owed
        if cause == "cancelled" and state.cut:
            lines = _uncut(lines, state.cut)
        if lines or whole:
            refund_id = f"{completed.order_id}-refund-{cause}"
            before = {units.line: left[units.line] for units in parts} or None
            owed.append(Owed(refund_id, cause, lines, whole_order=whole, before=before))
    if owed and not completed.delivered:
        owed[-1] = replace(owed[-1], all_paid=True)
    return tuple(owed)


def _uncut(lines: tuple[LineQuantity, ...], cut: Mapping[str, Mapping[int, int]]) -> tuple[LineQuantity, ...]:
    """Cancelled units that no cancellation of lines has named."""
    return tuple(
        LineQuantity(line=units.line, sku=units.sku, quantity=left)
        for units in lines
        if (left := units.quantity - sum(known.get(units.line, 0) for known in cut.values())) > 0
    )


def owed_for(state: State, received: ReturnReceived) -> Owed:
    """What came back, to be refunded."""
    number = state.rmas[received.rma_id].receipts + 1
    total = plus({}, received.units)
    lines = tuple(
        LineQuantity(line=line, sku=state.skus[line], quantity=quantity) for line, quantity in total.items()
    )
    before = None
    if state.bundles:
        before = {line: sum(rma.received.get(line, 0) for rma in state.rmas.values()) for line in total}
    refund_id = f"{received.rma_id}-refund-{number}"
    return Owed(refund_id, "returned", lines, rma_id=received.rma_id, before=before)


def _received(state: State, event: ReturnReceived) -> State:
    rma = state.rmas[event.rma_id]
    owed = state.owed if state.terms else (*state.owed, owed_for(state, event))
    rma = replace(rma, received=plus(rma.received, event.units), receipts=rma.receipts + 1)
    serials = kept(state.serials, event.units)
    return replace(state, rmas={**state.rmas, event.rma_id: rma}, owed=owed, serials=serials)


def refunds(state: State, order_id: str, owed: Iterable[Owed]) -> list[Event]:
    """Requests for what is owed and was not requested. Nothing is paid back that was not charged."""
    terms = state.terms
    assert terms is not None, f"a refund of {order_id} is worked out before its prices are known"
    left_minor = terms.total_minor - sum(state.refunds_minor.values())
    events: list[Event] = []
    bundles = left_of(state.bundles, state.cut.values()) if state.cut else state.bundles
    for due in owed:
        if due.refund_id in state.refunds_minor or (due.cause != "returned" and not terms.paid):
            continue
        before = due.before or {}
        amount = sum(
            worth_minor(
                bundles, units.line, before.get(units.line, 0), units.quantity, terms.unit_prices_minor
            )
            for units in due.lines
        )
        amount = min(amount + (terms.charges_minor if due.whole_order else 0), left_minor)
        if due.all_paid:
            amount = left_minor
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
