"""What fulfillment knows of an order, and how its events change that."""

from dataclasses import field, replace
from typing import assert_never

from libs.events.amendments import AllocationOutdated, AmendedTerms, OrderAmended
from libs.events.backorders import BackorderRefused
from libs.events.changes import (
    AllocationDeclined,
    HoldDeclined,
    HoldPlaced,
    LineCancellationDeclined,
    LineCancellationRequested,
    LinesCancelled,
    OrderResumed,
)
from libs.events.contract import Event
from libs.events.fulfillment import (
    CarrierEventRecorded,
    FulfillmentCancelled,
    FulfillmentCompleted,
    FulfillmentReleased,
    PackConfirmed,
    PickConfirmed,
    PickShorted,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from libs.events.intake import Outcome
from libs.events.inventory import StockAllocated
from libs.events.order import Unpacked
from libs.events.policy import BackorderLapsed
from libs.events.record import record
from libs.events.routing import OrderUnroutable
from services.fulfillment import amendments, changes
from services.fulfillment.accounts import (
    Account,
    both,
    entered,
    less,
    merged,
    moved,
    unpacked,
    without_boxes,
)
from services.fulfillment.changes import NO_SUPPORT, Changing, Support, Withheld
from services.fulfillment.numbers import Numbers, asked
from services.fulfillment.work import NOWHERE, Scan, Work

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
            state = _in_parts(state, event.bundles)
            if not held(state) or state.cancelled or event.round <= state.round:
                return state
            return _supported(state, withheld=(*withheld(state), changes.withheld(event)))
        case OrderUnroutable() | BackorderLapsed() | BackorderRefused():
            return _in_parts(state, event.bundles)
        case PickConfirmed():
            return _with(
                state,
                event.fulfillment_order_id,
                step="picked",
                picked=event.lines,
                numbers=_numbered(state, event),
            )
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
                numbers=_numbered(state, event),
                charge=event.charge,
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
            after = replace(state, completed=event.outcome)
            return _supported(after, held=False) if held(state) else after
        case OrderAmended():
            return _supported(state, amended=amendments.amended(amended(state), event))
        case AllocationOutdated():
            return _outdated(state, event)
        case HoldDeclined():
            # Of a log from before orders could be held again after a pick that found nothing.
            return _supported(state, held=False) if held(state) else state
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
            after = replace(state, accounts=entered({}, event.ordered, "awaiting"))
            for allocated in withheld(state):
                after = _in_parts(after, allocated.bundles)
            return after
        case LinesCancelled():
            stopped = merged(*(units.lines for units in event.work))
            accounts = moved(state.accounts, stopped, "in_work", "cancelled")
            rest = less(event.lines, stopped)
            boxes = [units for units in rest if units.line not in accounts]
            if boxes:
                accounts = without_boxes(accounts, state.bundles or (), boxes)
            accounts = moved(accounts, less(rest, boxes), "awaiting", "cancelled")
            after = replace(state, accounts=accounts, work=changes.off_work(state.work, event.work))
            return _answered(after, event.cancellation_id)
        case LineCancellationDeclined():
            return _answered(state, event.cancellation_id)
        case AllocationDeclined():
            if not known.withheld:
                return replace(state, round=event.round)
            return _supported(state, withheld=changes.reduced(known.withheld, event))
        case HoldPlaced():
            late = state.completed is not None or state.cancelled or at_nodes(state)
            return state if late or known.held else _supported(state, held=True)
        case OrderResumed():
            return _supported(state, held=False) if known.held else state
        case _:
            assert_never(event)


def at_nodes(state: State) -> dict[str, Work]:
    """Work for which a hold or an amendment comes too late: all but what ended before anything of it left."""
    return {id_: work for id_, work in state.work.items() if work.step not in NOWHERE}


def held(state: State) -> bool:
    """Whether a person keeps it from the nodes."""
    return state.support is not None and state.support.held


def withheld(state: State) -> tuple[Withheld, ...]:
    """What was allocated meanwhile."""
    return () if state.support is None else state.support.withheld


def amended(state: State) -> AmendedTerms | None:
    """What of its terms is other than it was when it was placed."""
    return None if state.support is None else state.support.amended


def _outdated(state: State, event: AllocationOutdated) -> State:
    """Units that had a node have none again, and are awaited; with the first of them the order is known."""
    state = _in_parts(state, event.bundles)
    accounts = state.accounts
    if not accounts:
        accounts = entered(accounts, (line for node in event.nodes for line in node.lines), "awaiting")
        accounts = entered(accounts, event.awaiting or (), "awaiting")
    after = replace(state, accounts=accounts, bundles=state.bundles or event.bundles)
    if not withheld(state):
        return replace(after, round=event.round)
    return _supported(after, withheld=changes.reduced(withheld(state), event))


def _in_parts(state: State, bundles: Unpacked | None) -> State:
    """Once it is told that lines are bundles: what is awaited of them is their parts. Where nothing is so
    any more, it changes nothing: what is heard too late to matter leaves the state as it was."""
    if bundles is None or not state.accounts or state.bundles is not None:
        return state
    if not any((known := state.accounts.get(one.line)) and known.awaiting for one in bundles):
        return state
    return replace(state, accounts=unpacked(state.accounts, bundles), bundles=bundles)


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


def _numbered(state: State, event: PickConfirmed | ShipmentDispatched) -> Numbers | None:
    """The serial numbers of the fulfillment order, once some were told."""
    numbers = state.work[event.fulfillment_order_id].numbers
    if numbers is None or event.serials is None:
        return numbers
    if isinstance(event, PickConfirmed):
        return replace(numbers, named=event.serials, at_pick=event.serials)
    return replace(numbers, named=event.serials)


def _released(state: State, event: FulfillmentReleased) -> State:
    """Units that were awaited go back to work; in the first round they are new."""
    state = _in_parts(state, event.bundles)
    accounts, fresh = state.accounts, event.lines
    if accounts:
        awaited = both(fresh, {line: account.awaiting for line, account in accounts.items()})
        if awaited:
            accounts = moved(accounts, awaited, "awaiting", "in_work")
            fresh = less(fresh, awaited)
    accounts = entered(accounts, fresh, "in_work")
    if event.awaiting:
        accounts = entered(accounts, event.awaiting, "awaiting")
    fresh_work = Work(event.node, event.lines, numbers=asked(event.picks), service=event.service)
    work = {**state.work, event.fulfillment_order_id: fresh_work}
    support = state.support
    if support is not None and support.withheld:
        left = tuple(one for one in support.withheld if one.round > event.round)
        support = replace(support, withheld=left)
    bundles = state.bundles or event.bundles
    done = (state.cancelled, state.completed)
    return State(accounts, work, state.shipments, event.round, *done, bundles, support)


def _stopped(state: State, event: FulfillmentCancelled) -> State:
    state = _in_parts(state, event.bundles)
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
    bundles = state.bundles or event.bundles
    after = replace(state, accounts=accounts, work=work, cancelled=cancelled, bundles=bundles)
    return _supported(after, held=False, withheld=()) if cancelled and state.support else after
