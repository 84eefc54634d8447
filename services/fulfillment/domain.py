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

from libs.events.changes import (
    AllocationDeclined,
    HoldDeclined,
    HoldPlaced,
    LineCancellationDeclined,
    LineCancellationRequested,
    LinesCancelled,
    OrderResumed,
)
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    CancellationDeclined,
    CarrierEventRecorded,
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
from libs.events.record import record
from libs.events.routing import OrderUnroutable
from services.fulfillment import changes
from services.fulfillment.accounts import (
    Account,
    both,
    completion,
    entered,
    less,
    merged,
    moved,
    once,
    place,
    resolved,
)
from services.fulfillment.changes import NO_SUPPORT, Changing, Support, Withheld
from services.fulfillment.work import STOPPABLE, NodeReport, Scan, Work, refuse, report, scanned

# What it hears ------------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (
    StockAllocated,
    OrderUnroutable,
    OrderCancellationRequested,
    LineCancellationRequested,
    HoldPlaced,
    OrderResumed,
)
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    StockAllocated: ("movements",),
    OrderUnroutable: ("candidates", "rule_version", "nodes_version"),
}
"""What fulfillment has no use for in them."""

Heard: TypeAlias = (
    StockAllocated
    | OrderUnroutable
    | OrderCancellationRequested
    | LineCancellationRequested
    | HoldPlaced
    | OrderResumed
    | ConfirmPick
    | ConfirmPack
    | DispatchShipment
    | RecordCarrierEvent
)

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
    support: Support | None = None
    """What support did to it, if it did."""


INITIAL = State()

# evolve -------------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    """Own events, and what support does to the order; what else is heard is answered by one of them."""
    match event:
        case FulfillmentReleased():
            return _released(state, event)
        case StockAllocated():
            if not _held(state) or state.cancelled or event.round <= state.round:
                return state
            return _supported(state, withheld=changes.withheld(event))
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
        case _ if isinstance(event, Changing):
            return _changed(state, event)
        case _:
            return state


def _changed(state: State, event: Changing) -> State:
    """After something that support did, or what came of it."""
    known = state.support or NO_SUPPORT
    match event:
        case LineCancellationRequested():
            if state.accounts:
                return state
            return replace(state, accounts=entered({}, event.ordered, "awaiting"))
        case LinesCancelled():
            stopped = merged(*(units.lines for units in event.work))
            accounts = moved(state.accounts, stopped, "in_work", "cancelled")
            accounts = moved(accounts, less(event.lines, stopped), "awaiting", "cancelled")
            after = replace(state, accounts=accounts, work=changes.off_work(state.work, event.work))
            return _answered(after, event.cancellation_id)
        case LineCancellationDeclined():
            return _answered(state, event.cancellation_id)
        case AllocationDeclined():
            left = changes.reduced(known.withheld, event) if known.withheld else None
            if known.withheld:
                state = _supported(state, withheld=left)
            return state if left else replace(state, round=event.round)
        case HoldPlaced():
            may = not state.work and state.completed is None and not state.cancelled
            return _supported(state, held=True) if may else state
        case OrderResumed():
            return _supported(state, held=False) if known.held else state
        case _:
            assert_never(event)


def _held(state: State) -> bool:
    return state.support is not None and state.support.held


def _supported(state: State, **changed: object) -> State:
    return replace(state, support=replace(state.support or NO_SUPPORT, **changed))  # type: ignore[arg-type]


def _answered(state: State, cancellation_id: str) -> State:
    known = (state.support or NO_SUPPORT).cancellations
    if cancellation_id in known:
        return state
    return _supported(state, cancellations=(*known, cancellation_id))


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
    work = {**state.work, event.fulfillment_order_id: Work(event.node, event.lines)}
    support = state.support
    if support is not None and support.withheld is not None:
        support = replace(support, withheld=None)
    return State(accounts, work, state.shipments, event.round, state.cancelled, state.completed, support)


def _stopped(state: State, event: FulfillmentCancelled) -> State:
    stopped = merged(*(state.work[id_].units for id_ in event.fulfillment_order_ids))
    rest = less(event.lines, stopped)
    if state.accounts:
        accounts = moved(state.accounts, stopped, "in_work", event.cause)
        accounts = moved(accounts, rest, "awaiting", event.cause)
    else:
        accounts = entered(state.accounts, rest, event.cause)
    work = dict(state.work)
    for id_ in event.fulfillment_order_ids:
        work[id_] = replace(work[id_], step="stopped")
    cancelled = state.cancelled or event.cause == "cancelled"
    after = replace(state, accounts=accounts, work=work, cancelled=cancelled)
    return _supported(after, held=False, withheld=None) if cancelled and state.support else after


# decide -------------------------------------------------------------------------------------------------


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    body = cast(Heard, heard.body)
    match body:
        case StockAllocated():
            return _release(state, body)
        case OrderUnroutable():
            return _give_up(state, body)
        case OrderCancellationRequested():
            return _cancel(state, body)
        case LineCancellationRequested():
            return _cancel_lines(state, body)
        case HoldPlaced():
            if _held(state):
                return []
            reason = changes.why_not_held(state.work, state.completed is not None or state.cancelled)
            return [HoldDeclined(order_id=body.order_id, hold=body.hold, reason=reason)]
        case OrderResumed():
            withheld = state.support.withheld if state.support else None
            return [] if withheld is None else _release(state, withheld)
        case ConfirmPick() | ConfirmPack() | DispatchShipment():
            return _report(state, heard, body)
        case RecordCarrierEvent():
            return _scan(state, heard, body)
        case _:
            assert_never(body)


def _release(state: State, body: StockAllocated | Withheld) -> list[Event]:
    """One fulfillment order a node. Of an order that is known, only units that are awaited still."""
    if body.round <= state.round:
        return []
    if _held(state):
        declined = changes.surplus(body, state.accounts) if state.accounts else None
        return [declined] if declined else []
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
            )
        )
    if not first and not state.cancelled and (declined := changes.surplus(body, state.accounts)):
        events.append(declined)
    return events


def _give_up(state: State, body: OrderUnroutable) -> list[Event]:
    """No node may ship these; whatever is in work goes on. Where some are not awaited any more, the plan was
    looked for without knowing it: inventory asks again for the others, which may do."""
    lines = once(body.lines)
    if state.accounts:
        awaited = both(lines, {line: account.awaiting for line, account in state.accounts.items()})
        if not awaited or less(lines, awaited):
            return []
    reason = body.reasons[0].message[:500].replace("\x00", " ")
    given_up = FulfillmentCancelled(order_id=body.order_id, lines=lines, cause="unroutable", reason=reason)
    return _and_completed(state, body.order_id, [given_up])


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


def _cancel_lines(state: State, body: LineCancellationRequested) -> list[Event]:
    if state.support is not None and body.cancellation_id in state.support.cancellations:
        return []
    events = changes.cancel_lines(state.accounts, state.work, body)
    after = state
    for event in events:
        after = evolve(after, event)
    withheld = after.support.withheld if after.support else None
    if withheld is not None and (declined := changes.surplus(withheld, after.accounts)):
        events.append(declined)
    return events if state.completed is not None else _and_completed(state, body.order_id, events)


def _and_completed(state: State, order_id: str, events: Sequence[Event]) -> list[Event]:
    """The events, and that the order is through if they resolve its last unit."""
    for event in events:
        state = evolve(state, event)
    if not resolved(state.accounts):
        return list(events)
    assert state.completed is None, f"a unit of {order_id} moved after its last one was resolved"
    return [*events, completion(order_id, state.accounts)]


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
    events = scanned(state.work[fulfillment_order_id], heard, body)
    return _and_completed(state, body.order_id, events) if len(events) > 1 else events
