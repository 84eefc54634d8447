"""The fold of one order's read model, for whoever looks at orders: support, operations, integrators.

Topics have no order among themselves, so events of different stages arrive in any interleaving; within one
stage an order's events are in order. The state is therefore one set of facts per stage, each changed by that
stage's events only: any interleaving ends in the same state. What is a matter of several stages (the status,
the milestones, units by state) is derived from the facts in `services.console.standing`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    CancellationDeclined,
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
    ShortLine,
)
from libs.events.intake import (
    HoldReleased,
    OrderAccepted,
    OrderCancellationRequested,
    OrderClosed,
    OrderHeld,
    OrderRejected,
)
from libs.events.inventory import (
    AllocationFailed,
    StockAllocated,
    StockBackordered,
    StockReleased,
    StockReserved,
    StockShorted,
)
from libs.events.notifications import MessageFailed, MessageRequested, MessageSent, MessageSkipped
from libs.events.order import LineQuantity
from libs.events.record import changed
from libs.events.returns import (
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnReceived,
    ReturnWindowOpened,
)
from libs.events.routing import Candidate, OrderRouted, OrderUnroutable
from services.console.facts import (
    ChargedAmount,
    Dispatch,
    FulfillmentFacts,
    IntakeFacts,
    InventoryFacts,
    NodeWork,
    NotificationsFacts,
    OrderedLine,
    OwedMessage,
    OwedRefund,
    Parcel,
    PlacedHold,
    ReceivedUnits,
    ReturnsFacts,
    Rma,
    RoutingDecision,
    RoutingFacts,
    Sourced,
    SourcedLine,
    State,
    StatedReason,
    Units,
    WaitedFor,
    WeighedCandidate,
)
from services.console.origin import STAGE_OF


def evolve(state: State, envelope: Envelope[Event]) -> State:
    """Fold one event of the order. A refused command changed nothing, so it changes nothing here."""
    event, at = envelope.body, envelope.at
    stage = STAGE_OF.get(event.TYPE)
    if stage is None:
        return state
    return State(
        _intake(state.intake, event, at) if stage == "intake" else state.intake,
        _inventory(state.inventory, event, at) if stage == "inventory" else state.inventory,
        _routing(state.routing, event, at) if stage == "routing" else state.routing,
        _fulfillment(state.fulfillment, event, at) if stage == "fulfillment" else state.fulfillment,
        _notifications(state.notifications, event, at) if stage == "notifications" else state.notifications,
        _returns(state.returns, event, at) if stage == "returns" else state.returns,
        state.events + 1,
        at if state.last_at is None or at > state.last_at else state.last_at,
    )


def _intake(facts: IntakeFacts, event: Event, at: datetime) -> IntakeFacts:
    match event:
        case OrderAccepted():
            return changed(_captured(facts, event, at), accepted_at=at)
        case OrderHeld():
            holds = tuple(PlacedHold(hold.name, hold.message, at) for hold in event.holds)
            return changed(_captured(facts, event, at), holds=holds)
        case OrderRejected():
            reasons = tuple(StatedReason(reason.code, reason.message) for reason in event.reasons)
            return changed(
                facts,
                channel=event.channel,
                external_id=event.external_id,
                captured_at=facts.captured_at or at,
                rejected_at=at,
                reasons=reasons,
            )
        case HoldReleased():
            holds = tuple(
                changed(hold, released_at=at, note=event.note)
                if hold.name == event.hold and hold.released_at is None
                else hold
                for hold in facts.holds
            )
            return changed(facts, holds=holds)
        case OrderCancellationRequested():
            return changed(facts, cancellation_requested_at=at, cancellation_reason=event.reason)
        case OrderClosed():
            return changed(facts, closed_at=at, outcome=event.outcome, close_reason=event.reason)
        case _:
            return facts


def _captured(facts: IntakeFacts, event: OrderAccepted | OrderHeld, at: datetime) -> IntakeFacts:
    """The terms, as the latest answer states them; captured when intake first answered."""
    return changed(
        facts,
        channel=event.channel,
        external_id=event.external_id,
        placed_at=_utc(event.placed_at),
        currency=event.currency,
        payment=event.payment,
        customer_id=event.customer_id,
        subject=event.contact.subject if event.contact else None,
        country=event.destination.country,
        postcode_area=event.destination.postcode_area,
        declared_total_minor=event.total_minor,
        lines=tuple(
            OrderedLine(line.line, line.sku, line.quantity, line.unit_price_minor, line.description)
            for line in event.lines
        ),
        charges=tuple(ChargedAmount(charge.kind, charge.amount_minor) for charge in event.charges),
        captured_at=facts.captured_at or at,
    )


def _inventory(facts: InventoryFacts, event: Event, at: datetime) -> InventoryFacts:
    match event:
        case StockReserved():
            lines = _sourced(facts.lines, event.lines, event.round, "reserved")
            return changed(facts, lines=lines, waits_for=(), reserved_at=facts.reserved_at or at)
        case StockBackordered():
            lines = _sourced(facts.lines, event.lines, event.round, "backordered")
            waits_for = tuple(WaitedFor(short.sku, short.quantity) for short in event.short)
            return changed(facts, lines=lines, waits_for=waits_for, backordered_at=facts.backordered_at or at)
        case StockAllocated():
            allocated = [line for node in event.nodes for line in node.lines]
            lines = _sourced(facts.lines, allocated, event.round, "allocated")
            return changed(facts, lines=lines, allocated_at=facts.allocated_at or at)
        case AllocationFailed():
            return changed(facts, lines=_sourced(facts.lines, event.lines, event.round, "reserved"))
        case StockShorted():
            latest = max((line.round for line in facts.lines.values()), default=1)
            lines = _sourced(facts.lines, event.lines, latest, "short_picked")
            return changed(facts, lines=lines, shorted=_plus(facts.shorted, event.lines))
        case StockReleased():
            given_up = (
                facts.lines.keys() if event.cause == "cancelled" else {line.line for line in event.lines}
            )
            lines = {
                line: changed(known, state="freed") if line in given_up else known
                for line, known in facts.lines.items()
            }
            return changed(facts, lines=lines, waits_for=(), freed_at=at)
        case _:
            return facts  # issues and returns move stock, and are told by fulfillment's and returns' events


def _sourced(
    known: Mapping[int, SourcedLine], lines: Iterable[LineQuantity], round_: int, state: Sourced
) -> dict[int, SourcedLine]:
    quantities = _plus({}, lines)
    skus = {line.line: line.sku for line in lines}
    fresh = {line: SourcedLine(skus[line], round_, state, units) for line, units in quantities.items()}
    return {**known, **fresh}


def _routing(facts: RoutingFacts, event: Event, at: datetime) -> RoutingFacts:
    match event:
        case OrderRouted():
            nodes = {plan.node: _plus({}, plan.lines) for plan in event.nodes}
            lines = _plus({}, (line for plan in event.nodes for line in plan.lines))
            reasons: tuple[StatedReason, ...] = ()
        case OrderUnroutable():
            nodes, lines = {}, _plus({}, event.lines)
            reasons = tuple(StatedReason(reason.code, reason.message) for reason in event.reasons)
        case _:
            return facts
    decision = RoutingDecision(
        round=event.round,
        at=at,
        routable=isinstance(event, OrderRouted),
        nodes=nodes,
        lines=lines,
        candidates=tuple(_weighed(candidate) for candidate in event.candidates),
        rule_version=event.rule_version,
        nodes_version=event.nodes_version,
        reasons=reasons,
    )
    return RoutingFacts((*facts.decisions, decision))


def _weighed(candidate: Candidate) -> WeighedCandidate:
    return WeighedCandidate(
        candidate.nodes, candidate.chosen, candidate.reason, candidate.units, candidate.distance_km
    )


def _fulfillment(facts: FulfillmentFacts, event: Event, at: datetime) -> FulfillmentFacts:
    match event:
        case FulfillmentReleased():
            work = NodeWork(event.node, event.round, at, _plus({}, event.lines))
            return changed(facts, work={**facts.work, event.fulfillment_order_id: work})
        case PickConfirmed() | PickShorted() | PackConfirmed():
            return _worked(facts, event, at)
        case ShipmentDispatched():
            return _dispatched(facts, event, at)
        case CarrierEventRecorded() | ShipmentDelivered() | ShipmentLost():
            return _under_way(facts, event)
        case FulfillmentCancelled():
            return _given_up(facts, event, at)
        case CancellationDeclined():
            return changed(facts, cancellation_declined_at=at, cancellation_declined_reason=event.reason)
        case FulfillmentCompleted():
            return changed(facts, completed_at=at, outcome=event.outcome)
        case _:
            return facts


def _given_up(facts: FulfillmentFacts, event: FulfillmentCancelled, at: datetime) -> FulfillmentFacts:
    if event.cause == "unroutable":
        return changed(facts, unroutable=_plus(facts.unroutable, event.lines))
    known = (name for name in event.fulfillment_order_ids if name in facts.work)
    stopped = {name: changed(facts.work[name], cancelled_at=at) for name in known}
    return changed(
        facts,
        work={**facts.work, **stopped},
        cancelled=_plus(facts.cancelled, event.lines),
        cancelled_at=at,
    )


def _worked(
    facts: FulfillmentFacts, event: PickConfirmed | PickShorted | PackConfirmed, at: datetime
) -> FulfillmentFacts:
    work = facts.work.get(event.fulfillment_order_id)
    if work is None:
        return facts
    match event:
        case PickConfirmed():
            work = changed(work, picked=_plus(work.picked, event.lines), picked_at=work.picked_at or at)
        case PickShorted():
            work = changed(work, short=_plus(work.short, event.lines), picked_at=work.picked_at or at)
        case PackConfirmed():
            packages = tuple(Parcel(package.package_id, package.weight_grams) for package in event.packages)
            work = changed(work, packages=packages, packed_at=at)
    return changed(facts, work={**facts.work, event.fulfillment_order_id: work})


def _dispatched(facts: FulfillmentFacts, event: ShipmentDispatched, at: datetime) -> FulfillmentFacts:
    work = facts.work.get(event.fulfillment_order_id)
    weights = {parcel.package_id: parcel.weight_grams for parcel in work.packages} if work else {}
    shipment = Dispatch(
        fulfillment_order_id=event.fulfillment_order_id,
        node=event.node,
        carrier=event.carrier,
        packages=tuple(
            Parcel(package.package_id, weights.get(package.package_id), package.tracking_number)
            for package in event.packages
        ),
        lines=_plus({}, event.lines),
        dispatched_at=at,
    )
    gone = {event.fulfillment_order_id: changed(work, dispatched_at=at)} if work else {}
    shipments = {**facts.shipments, event.shipment_id: shipment}
    return changed(facts, work={**facts.work, **gone}, shipments=shipments)


def _under_way(
    facts: FulfillmentFacts, event: CarrierEventRecorded | ShipmentDelivered | ShipmentLost
) -> FulfillmentFacts:
    shipment = facts.shipments.get(event.shipment_id)
    if shipment is None:
        return facts
    at = _utc(event.occurred_at)
    match event:
        case ShipmentDelivered():
            shipment = changed(shipment, delivered=_plus(shipment.delivered, event.lines), delivered_at=at)
        case ShipmentLost():
            shipment = changed(shipment, lost=_plus(shipment.lost, event.lines), lost_at=at)
        case CarrierEventRecorded():
            if shipment.carrier_status_at is None or at >= shipment.carrier_status_at:
                shipment = changed(
                    shipment, carrier_status=event.status, carrier_status_at=at, carrier_note=event.note
                )
            if event.status == "picked_up" and shipment.picked_up_at is None:
                shipment = changed(shipment, picked_up_at=at)
    return changed(facts, shipments={**facts.shipments, event.shipment_id: shipment})


def _notifications(facts: NotificationsFacts, event: Event, at: datetime) -> NotificationsFacts:
    match event:
        case MessageRequested():
            message = OwedMessage(event.milestone, "requested", event.subject_id, requested_at=at)
        case MessageSkipped():
            message = OwedMessage(
                event.milestone, "skipped", event.subject_id, settled_at=at, detail=event.reason
            )
        case MessageSent() | MessageFailed():
            message = changed(
                facts.messages.get(event.message_id, OwedMessage(event.milestone, "requested")),
                state="sent" if isinstance(event, MessageSent) else "failed",
                settled_at=at,
                detail=event.detail if isinstance(event, MessageFailed) else "",
            )
        case _:
            return facts
    return NotificationsFacts({**facts.messages, event.message_id: message})


def _returns(facts: ReturnsFacts, event: Event, at: datetime) -> ReturnsFacts:
    match event:
        case ReturnWindowOpened():
            return changed(facts, returnable=_plus(facts.returnable, event.lines))
        case ReturnAuthorised():
            return changed(facts, rmas={**facts.rmas, event.rma_id: Rma(at, _plus({}, event.lines))})
        case ReturnReceived() | ReturnClosed():
            rma = facts.rmas.get(event.rma_id)
            if rma is None:
                return facts
            if isinstance(event, ReturnClosed):
                rma = changed(rma, closed_at=at)
            else:
                units = tuple(
                    ReceivedUnits(unit.line, unit.sku, unit.quantity, unit.disposition, event.node, at)
                    for unit in event.units
                )
                rma = changed(rma, received=(*rma.received, *units))
            return changed(facts, rmas={**facts.rmas, event.rma_id: rma})
        case RefundRequested():
            refund = OwedRefund(
                event.amount_minor, event.currency, event.cause, at, _plus({}, event.lines), event.rma_id
            )
            return changed(facts, refunds={**facts.refunds, event.refund_id: refund})
        case _:
            return facts


def _plus(units: Units, lines: Iterable[LineQuantity | ShortLine]) -> dict[int, int]:
    """Units by line number, with these added."""
    total = dict(units)
    for line in lines:
        total[line.line] = total.get(line.line, 0) + line.quantity
    return total


def _utc(at: datetime) -> datetime:
    """The same instant in UTC; a time that came without a zone is taken as UTC."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:  # an offset that leads out of the calendar: less than a day is lost
        return at.replace(tzinfo=UTC)
