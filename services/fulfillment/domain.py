"""Decides what a node may do with an order, what a cancellation can still stop, and when an order is through.

Warehouses and carriers report by commands; a report that does not fit what is known is refused with the
reason. A fulfillment order goes released → picked → packed → dispatched → delivered or lost; it ends early
as `stopped` (cancelled) or `nothing_picked`. Ids: fulfillment orders `{order_id}-F{n}`, shipments
`{order_id}-S{n}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import TypeAlias, assert_never, cast

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    CancellationDeclined,
    CarrierEventRecorded,
    CarrierStatus,
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentCancelled,
    FulfillmentCompleted,
    FulfillmentReleased,
    PackConfirmed,
    PickConfirmed,
    PickShorted,
    RecordCarrierEvent,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from libs.events.intake import OrderCancellationRequested, Outcome
from libs.events.inventory import StockAllocated
from libs.events.order import LineQuantity, Unpacked
from libs.events.policy import BackorderLapsed
from libs.events.record import record
from libs.events.routing import OrderUnroutable
from services.fulfillment.accounts import Account, both, entered, less, merged, moved, once, place, resolved
from services.fulfillment.picks import picks_of
from services.fulfillment.work import STOPPABLE, NodeReport, Scan, Work, refuse, report

# What it hears ------------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (
    StockAllocated,
    BackorderLapsed,
    OrderUnroutable,
    OrderCancellationRequested,
)
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    StockAllocated: ("movements",),
    OrderUnroutable: ("candidates", "rule_version", "nodes_version"),
}
"""What fulfillment has no use for in them."""

Heard: TypeAlias = (
    StockAllocated
    | BackorderLapsed
    | OrderUnroutable
    | OrderCancellationRequested
    | ConfirmPick
    | ConfirmPack
    | DispatchShipment
    | RecordCarrierEvent
)

ONCE: frozenset[CarrierStatus] = frozenset({"picked_up", "delivered", "lost"})
"""Scans that a shipment has at most once; the others may come again at another time."""

YEARS = range(1970, 3000)
"""When a scan may have been."""

# State --------------------------------------------------------------------------------------------------


@record
class State:
    """One order, as far as its goods go."""

    accounts: dict[int, Account] = field(default_factory=dict)
    """By line. Empty until the first allocation, which names all that was ordered."""
    work: dict[str, Work] = field(default_factory=dict)
    """By fulfillment order id."""
    shipments: dict[str, str] = field(default_factory=dict)
    """Shipment id → fulfillment order id."""
    round: int = 0
    """The last sourcing round that was released."""
    cancelled: bool = False
    completed: Outcome | None = None
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by lines of their parts, for who hears of the order's end."""


INITIAL = State()

# evolve -------------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    """Own events only: what is heard is answered by one of them, or means nothing here."""
    match event:
        case FulfillmentReleased():
            return _released(state, event)
        case PickConfirmed():
            return _with(state, event.fulfillment_order_id, step="picked", picked=event.lines)
        case PickShorted():
            work = state.work[event.fulfillment_order_id]
            step = work.step if work.picked else "nothing_picked"
            after = _with(state, event.fulfillment_order_id, step=step, short=event.lines)
            return replace(after, accounts=moved(state.accounts, event.lines, "in_work", "awaiting"))
        case PackConfirmed():
            return _with(state, event.fulfillment_order_id, step="packed", packages=event.packages)
        case ShipmentDispatched():
            after = _with(
                state,
                event.fulfillment_order_id,
                step="dispatched",
                shipment_id=event.shipment_id,
                carrier=event.carrier,
                parcels=event.packages,
            )
            return replace(
                after, shipments={**state.shipments, event.shipment_id: event.fulfillment_order_id}
            )
        case CarrierEventRecorded():
            scans = state.work[state.shipments[event.shipment_id]].scans
            scan = Scan(event.status, event.occurred_at)
            return _with(state, state.shipments[event.shipment_id], scans=(*scans, scan))
        case ShipmentDelivered():
            after = _with(state, state.shipments[event.shipment_id], step="delivered")
            return replace(after, accounts=moved(state.accounts, event.lines, "in_work", "delivered"))
        case ShipmentLost():
            after = _with(state, state.shipments[event.shipment_id], step="lost")
            return replace(after, accounts=moved(state.accounts, event.lines, "in_work", "lost"))
        case FulfillmentCancelled():
            return _stopped(state, event)
        case FulfillmentCompleted():
            return replace(state, completed=event.outcome)
        case _:
            return state


def _with(state: State, fulfillment_order_id: str, **changes: object) -> State:
    work = replace(state.work[fulfillment_order_id], **changes)  # type: ignore[arg-type]
    return replace(state, work={**state.work, fulfillment_order_id: work})


def _released(state: State, event: FulfillmentReleased) -> State:
    """Units that were awaited go back to work; in the first round they are new."""
    accounts, fresh = state.accounts, event.lines
    if accounts:
        awaited = both(fresh, {line: account.awaiting for line, account in accounts.items()})
        if awaited:
            accounts = moved(accounts, awaited, "awaiting", "in_work")
            fresh = less(fresh, awaited)
    accounts = entered(accounts, fresh, "in_work")
    if event.awaiting:
        accounts = entered(accounts, event.awaiting, "awaiting")
    work = {**state.work, event.fulfillment_order_id: Work(event.node, event.lines)}
    bundles = state.bundles or event.bundles
    return State(accounts, work, state.shipments, event.round, state.cancelled, state.completed, bundles)


def _stopped(state: State, event: FulfillmentCancelled) -> State:
    stopped = merged(*(state.work[id_].units for id_ in event.fulfillment_order_ids))
    rest = less(event.lines, stopped)
    if state.accounts:
        accounts = moved(state.accounts, stopped, "in_work", event.cause)
        accounts = moved(accounts, rest, "awaiting", event.cause)
    else:
        accounts = entered(entered(state.accounts, rest, event.cause), event.awaiting or (), "awaiting")
    work = dict(state.work)
    for id_ in event.fulfillment_order_ids:
        work[id_] = replace(work[id_], step="stopped")
    cancelled = state.cancelled or event.cause == "cancelled"
    return replace(state, accounts=accounts, work=work, cancelled=cancelled)


# decide -------------------------------------------------------------------------------------------------


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    body = cast(Heard, heard.body)
    match body:
        case StockAllocated():
            return _release(state, body)
        case OrderUnroutable():
            return _give_up(state, body, body.reasons[0].message, body.later)
        case BackorderLapsed():
            why = f"Not in stock {body.wait_days} days after the order was accepted."
            return _give_up(state, body, why, body.rest or None)
        case OrderCancellationRequested():
            return _cancel(state, body)
        case ConfirmPick() | ConfirmPack() | DispatchShipment():
            return _report(state, heard, body)
        case RecordCarrierEvent():
            return _scan(state, heard, body)
        case _:
            assert_never(body)


def _release(state: State, body: StockAllocated) -> list[Event]:
    """One fulfillment order a node. After the first round only units still awaited: others were cancelled."""
    if body.round <= state.round:
        return []
    first = not state.accounts
    awaiting = {line: account.awaiting for line, account in state.accounts.items()}
    events: list[Event] = []
    for node in body.nodes:
        lines = once(node.lines) if first else both(node.lines, awaiting)
        if not lines:
            continue
        if not first:
            for units in lines:
                awaiting[units.line] -= units.quantity
        number = len(state.work) + len(events) + 1
        events.append(
            FulfillmentReleased(
                order_id=body.order_id,
                fulfillment_order_id=f"{body.order_id}-F{number}",
                node=node.node,
                round=body.round,
                lines=lines,
                destination=body.destination,
                contact=body.contact,
                bundles=body.bundles,
                picks=picks_of(body.picks, node.node, lines),
            )
        )
    if first and body.later and events:
        events[-1] = events[-1].model_copy(update={"awaiting": body.later})
    return events


def _give_up(
    state: State,
    body: OrderUnroutable | BackorderLapsed,
    why: str,
    more: tuple[LineQuantity, ...] | None,
) -> list[Event]:
    """No node may ship these, or there are none in time; whatever is in work goes on. `more` is all that the
    order has beside them: new here, as long as nothing of it is known."""
    lines = once(body.lines)
    if state.accounts:
        more = None
        lines = both(lines, {line: account.awaiting for line, account in state.accounts.items()})
    if not lines:
        return []
    reason = why[:500].replace("\x00", " ")
    given_up = FulfillmentCancelled(
        order_id=body.order_id, lines=lines, cause="unroutable", reason=reason, awaiting=more
    )
    return _and_completed(replace(state, bundles=state.bundles or body.bundles), body.order_id, [given_up])


def _cancel(state: State, body: OrderCancellationRequested) -> list[Event]:
    if state.cancelled:
        return []
    stop = [id_ for id_, work in state.work.items() if work.step in STOPPABLE]
    lines = merged(*(state.work[id_].units for id_ in stop), place(state.accounts, "awaiting"))
    if not state.accounts:
        lines = once(body.lines)
    if not lines:
        why = (
            "every unit has been dispatched" if state.completed is None else f"the order is {state.completed}"
        )
        reason = f"Too late to cancel: {why}. Authorise a return for what the customer does not want."
        return [CancellationDeclined(order_id=body.order_id, reason=reason)]
    cancelled = FulfillmentCancelled(
        order_id=body.order_id, fulfillment_order_ids=tuple(stop), lines=lines, reason=body.reason
    )
    return _and_completed(state, body.order_id, [cancelled])


def _and_completed(state: State, order_id: str, events: Sequence[Event]) -> list[Event]:
    """The events, and that the order is through if they resolve its last unit."""
    for event in events:
        state = evolve(state, event)
    if not resolved(state.accounts):
        return list(events)
    assert state.completed is None, f"a unit of {order_id} moved after its last one was resolved"
    delivered, lost = place(state.accounts, "delivered"), place(state.accounts, "lost")
    cancelled, unroutable = place(state.accounts, "cancelled"), place(state.accounts, "unroutable")
    outcome: Outcome = (
        ("partly_delivered" if lost or cancelled or unroutable else "delivered")
        if delivered
        else "lost"
        if lost
        else "cancelled"
        if cancelled
        else "unroutable"
    )
    completed = FulfillmentCompleted(
        order_id=order_id,
        outcome=outcome,
        delivered=delivered,
        lost=lost,
        cancelled=cancelled,
        unroutable=unroutable,
        bundles=state.bundles,
    )
    return [*events, completed]


def _report(state: State, heard: Envelope[Contract], body: NodeReport) -> list[Event]:
    """A node's report on one of its fulfillment orders."""
    work = state.work.get(body.fulfillment_order_id)
    if work is None:
        known = ", ".join(list(state.work)[:10]) or "none yet"
        message = f"Order {body.order_id} has no fulfillment order {body.fulfillment_order_id}."
        return refuse(
            heard,
            "unknown_fulfillment_order",
            message,
            f"Released to nodes so far: {known}. Use one of these ids, or wait for the release.",
        )
    return report(work, heard, body, len(state.shipments) + 1)


def _scan(state: State, heard: Envelope[Contract], body: RecordCarrierEvent) -> list[Event]:
    fulfillment_order_id = state.shipments.get(body.shipment_id)
    if fulfillment_order_id is None:
        message = (
            f"Order {body.order_id} has no shipment {body.shipment_id}: nothing was dispatched under it."
        )
        known = ", ".join(list(state.shipments)[:10]) or "none yet"
        return refuse(
            heard, "unknown_shipment", message, f"Dispatched so far: {known}. Report the dispatch first."
        )
    if body.occurred_at.year not in YEARS:
        message = f"Shipment {body.shipment_id} cannot be {body.status} in the year {body.occurred_at.year}."
        return refuse(heard, "impossible_time", message, "Correct occurred_at, or the scanner's clock.")
    work = state.work[fulfillment_order_id]
    once = body.status in ONCE
    if any(s.status == body.status and (once or s.occurred_at == body.occurred_at) for s in work.scans):
        return []
    if (work.step, body.status) in (("delivered", "lost"), ("lost", "delivered")):
        message = (
            f"Shipment {body.shipment_id} was recorded as {work.step}; it cannot be {body.status} as well."
        )
        next_step = (
            "If the customer does not have it, open a claim with the carrier and authorise a return."
            if work.step == "delivered"
            else "Its value has been dealt with as lost; settle the late arrival with the customer."
        )
        return refuse(heard, f"already_{work.step}", message, next_step)
    recorded = CarrierEventRecorded(
        order_id=body.order_id,
        shipment_id=body.shipment_id,
        status=body.status,
        occurred_at=body.occurred_at,
        note=body.note,
    )
    names = {"order_id": body.order_id, "shipment_id": body.shipment_id}
    if body.status == "delivered":
        delivered = ShipmentDelivered(
            **names, occurred_at=body.occurred_at, lines=work.picked, bundles=state.bundles
        )
        return _and_completed(state, body.order_id, [recorded, delivered])
    if body.status == "lost":
        lost = ShipmentLost(**names, occurred_at=body.occurred_at, lines=work.picked)
        return _and_completed(state, body.order_id, [recorded, lost])
    return [recorded]
