"""Decides what a node may do with an order, what a cancellation can still stop, and when an order is through.

Warehouses and carriers report by commands; a report that does not fit what is known is refused with the
reason. A fulfillment order goes released → picked → packed → dispatched → delivered or lost; it ends early
as `stopped` (cancelled) or `nothing_picked`. Ids: fulfillment orders `{order_id}-F{n}`, shipments
`{order_id}-S{n}`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, assert_never, cast

from libs.events.amendments import OrderAmendmentRequested
from libs.events.backorders import BackorderRefused, why_refused
from libs.events.changes import (
    HoldDeclined,
    HoldPlaced,
    LineCancellationRequested,
    OrderResumed,
)
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    CancellationDeclined,
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentCancelled,
    FulfillmentReleased,
    RecordCarrierEvent,
)
from libs.events.intake import OrderCancellationRequested
from libs.events.inventory import StockAllocated
from libs.events.order import LineQuantity, NodeLines
from libs.events.policy import BackorderLapsed
from libs.events.refusal import refuse
from libs.events.routing import OrderUnroutable
from services.fulfillment import amendments, changes
from services.fulfillment.accounts import (
    both,
    completion,
    less,
    merged,
    once,
    place,
    resolved,
)
from services.fulfillment.changes import Withheld
from services.fulfillment.numbers import sent_twice
from services.fulfillment.picks import picks_of
from services.fulfillment.state import State, amended, at_nodes, evolve, held, withheld
from services.fulfillment.work import STOPPABLE, NodeReport, report, scanned

# What it hears ------------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (
    StockAllocated,
    BackorderRefused,
    BackorderLapsed,
    OrderUnroutable,
    OrderCancellationRequested,
    LineCancellationRequested,
    HoldPlaced,
    OrderResumed,
    OrderAmendmentRequested,
)
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    StockAllocated: ("movements",),
    OrderUnroutable: ("candidates", "rule_version", "nodes_version"),
}
"""What fulfillment has no use for in them."""

Heard: TypeAlias = (
    StockAllocated
    | BackorderRefused
    | BackorderLapsed
    | OrderUnroutable
    | OrderCancellationRequested
    | LineCancellationRequested
    | HoldPlaced
    | OrderResumed
    | OrderAmendmentRequested
    | ConfirmPick
    | ConfirmPack
    | DispatchShipment
    | RecordCarrierEvent
)

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
        case BackorderRefused():
            return _give_up(state, body, why_refused(body), body.rest or None)
        case OrderCancellationRequested():
            return _cancel(state, body)
        case LineCancellationRequested():
            return _cancel_lines(state, body)
        case HoldPlaced():
            if held(state):
                return []
            reason = changes.why_not_held(at_nodes(state), state.completed is not None or state.cancelled)
            return [HoldDeclined(order_id=body.order_id, hold=body.hold, reason=reason)]
        case OrderResumed():
            return _resume(state)
        case OrderAmendmentRequested():
            return _amend(state, body)
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
    if held(state):
        unwanted = list(changes.surplus(withheld(state), state.accounts)) if state.accounts else []
        return [*unwanted, *_outdated(state, unwanted)]
    first = not state.accounts
    if not amendments.goes_by(amended(state), body):
        return _plan_anew(state, body, first)
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
                contact=amendments.contact_of(amended(state), body),
                bundles=body.bundles,
                picks=picks_of(body.picks, node.node, lines),
                service=body.service,
            )
        )
    if first and body.later and events:
        events[-1] = events[-1].model_copy(update={"awaiting": body.later})
    if not first and not state.cancelled:
        events += changes.surplus([body], state.accounts)
    return events


def _resume(state: State) -> list[Event]:
    """The hold is over: what was allocated meanwhile is released, round by round."""
    events: list[Event] = []
    for allocated in withheld(state):
        released = _release(state, allocated)
        for event in released:
            state = evolve(state, event)
        events += released
    return events


def _amend(state: State, body: OrderAmendmentRequested) -> list[Event]:
    """The order has other terms, unless a node has work of it; what waits for the end of a hold may be for
    those of before."""
    ended = state.completed is not None or state.cancelled
    if ended or at_nodes(state):
        return [amendments.declined(body, at_nodes(state), ended)]
    agreed = amendments.agreed(body)
    return [agreed, *_outdated(evolve(state, agreed), [])]


def _outdated(state: State, after: Sequence[Event]) -> list[Event]:
    """Of what waits for the end of a hold, what is for other terms, once these events have happened."""
    for event in after:
        state = evolve(state, event)
    events: list[Event] = []
    for one in withheld(state):
        if not amendments.goes_by(amended(state), one):
            events.append(amendments.outdated(one, one.nodes, bool(state.accounts)))
            state = evolve(state, events[-1])
    return events


def _plan_anew(state: State, body: StockAllocated | Withheld, first: bool) -> list[Event]:
    """An allocation for terms that the order has no more: of its units, those that are wanted still."""
    awaiting = {line: account.awaiting for line, account in state.accounts.items()}
    nodes: list[NodeLines] = []
    for node in body.nodes:
        lines = once(node.lines) if first else both(node.lines, awaiting)
        if lines:
            nodes.append(NodeLines(node=node.node, lines=lines))
        if not first:
            for units in lines:
                awaiting[units.line] -= units.quantity
    events: list[Event] = [amendments.outdated(body, tuple(nodes), not first)] if nodes else []
    if not first and not state.cancelled:
        events += changes.surplus([body], state.accounts)
    return events


def _give_up(
    state: State,
    body: OrderUnroutable | BackorderLapsed | BackorderRefused,
    why: str,
    more: tuple[LineQuantity, ...] | None,
) -> list[Event]:
    """No node may ship these, or there are none in time; whatever is in work goes on. `more` is all that the
    order has beside them and has no node: new here, as long as nothing of it is known, as is what has a node
    and waits for the end of a hold.

    Where some of an unroutable plan are not awaited any more, it was looked for without knowing it: inventory
    asks again for the others, which may do. Units that have a node, and wait for the end of a hold, are not
    those that were looked for.
    """
    lines = once(body.lines)
    if isinstance(body, OrderUnroutable) and amendments.overtaken(amended(state), body):
        return []
    if state.accounts:
        more = None
        placed = merged(*(node.lines for one in withheld(state) for node in one.nodes))
        without_node = less(place(state.accounts, "awaiting"), placed)
        awaited = both(lines, {units.line: units.quantity for units in without_node})
        if isinstance(body, OrderUnroutable) and less(lines, awaited):
            return []
        lines = awaited
    elif not isinstance(body, BackorderRefused):  # which names all that was ordered
        more = merged(more or (), *(node.lines for one in withheld(state) for node in one.nodes)) or None
    if not lines:
        return []
    reason = why[:500].replace("\x00", " ")
    given_up = FulfillmentCancelled(
        order_id=body.order_id,
        lines=lines,
        cause="unroutable",
        reason=reason,
        awaiting=more,
        bundles=None if state.work else body.bundles,
    )
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
        order_id=body.order_id,
        fulfillment_order_ids=tuple(stop),
        lines=lines,
        reason=body.reason,
        bundles=None if state.work else state.bundles,
    )
    return _and_completed(state, body.order_id, [cancelled])


def _cancel_lines(state: State, body: LineCancellationRequested) -> list[Event]:
    if state.support is not None and body.cancellation_id in state.support.cancellations:
        return []
    events = changes.cancel_lines(state.accounts, state.work, body, state.bundles)
    after = state
    for event in events:
        after = evolve(after, event)
    events += changes.surplus(withheld(after), after.accounts)
    return events if state.completed is not None else _and_completed(state, body.order_id, events)


def _and_completed(state: State, order_id: str, events: Sequence[Event]) -> list[Event]:
    """The events, and that the order is through if they resolve its last unit."""
    for event in events:
        state = evolve(state, event)
    if not resolved(state.accounts):
        return list(events)
    assert state.completed is None, f"a unit of {order_id} moved after its last one was resolved"
    return [*events, completion(order_id, state.accounts, state.bundles)]


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
    events = report(work, heard, body, len(state.shipments) + 1)
    if work.numbers is None or len(state.work) == 1:
        return events
    others = {
        id_: other.numbers.named
        for id_, other in state.work.items()
        if other is not work and other.numbers is not None
    }
    return sent_twice(heard, events, others) or events


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
    events = scanned(state.work[fulfillment_order_id], heard, body, state.bundles)
    return _and_completed(state, body.order_id, events) if len(events) > 1 else events
