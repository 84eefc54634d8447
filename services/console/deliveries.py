"""What fulfillment tells of an order, folded: work at nodes, shipments and their way, how it all ended."""

from collections.abc import Iterable
from datetime import UTC, datetime

from libs.events.amendments import AllocationOutdated, AmendmentDeclined, OrderAmended
from libs.events.changes import (
    FULFILLMENT_CHANGES,
    HoldDeclined,
    KeptUnits,
    LineCancellationDeclined,
    LinesCancelled,
)
from libs.events.contract import Event
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
from libs.events.order import LineQuantity
from libs.events.record import changed
from services.console.amended import answered
from services.console.facts import (
    ChargedBy,
    Dispatch,
    FulfillmentFacts,
    LineCancellation,
    NodeWork,
    Parcel,
    Units,
)
from services.console.pick_places import pick_places


def fold_delivery(facts: FulfillmentFacts, event: Event, at: datetime) -> FulfillmentFacts:
    match event:
        case FulfillmentReleased():
            work = NodeWork(event.node, event.round, at, plus({}, event.lines), places=pick_places(event))
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
        case OrderAmended() | AmendmentDeclined() | AllocationOutdated():
            return changed(facts, amendments=answered(facts.amendments, event, at))
        case FulfillmentCompleted():
            return changed(facts, completed_at=at, outcome=event.outcome)
        case _:
            return _fewer(facts, event, at) if type(event) in FULFILLMENT_CHANGES else facts


def _fewer(facts: FulfillmentFacts, event: Event, at: datetime) -> FulfillmentFacts:
    """After what became of a change by support."""
    match event:
        case LinesCancelled():
            work = dict(facts.work)
            for stopped in event.work:
                known = work.get(stopped.fulfillment_order_id)
                if known is None:
                    continue
                off = plus({}, stopped.lines)
                left = {n: units for n, all_ in known.lines.items() if (units := all_ - off.get(n, 0))}
                known = changed(known, lines=left) if left else changed(known, lines=left, cancelled_at=at)
                work[stopped.fulfillment_order_id] = known
            answer = _answer(facts, event.cancellation_id, at)
            answer = changed(answer, cancelled=plus(answer.cancelled, event.lines))
            facts = changed(facts, work=work, cancelled=plus(facts.cancelled, event.lines))
        case LineCancellationDeclined():
            answer = _answer(facts, event.cancellation_id, at)
            answer = changed(answer, kept=plus(answer.kept, event.lines), why_kept=event.reason)
        case HoldDeclined():
            return changed(facts, holds_declined={**facts.holds_declined, event.hold: at})
        case _:
            return facts
    return changed(facts, line_cancellations={**facts.line_cancellations, event.cancellation_id: answer})


def _answer(facts: FulfillmentFacts, cancellation_id: str, at: datetime) -> LineCancellation:
    return facts.line_cancellations.get(cancellation_id) or LineCancellation(at)


def _given_up(facts: FulfillmentFacts, event: FulfillmentCancelled, at: datetime) -> FulfillmentFacts:
    if event.cause == "unroutable":
        return changed(facts, unroutable=plus(facts.unroutable, event.lines))
    known = (name for name in event.fulfillment_order_ids if name in facts.work)
    stopped = {name: changed(facts.work[name], cancelled_at=at) for name in known}
    return changed(
        facts,
        work={**facts.work, **stopped},
        cancelled=plus(facts.cancelled, event.lines),
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
            work = changed(work, picked=plus(work.picked, event.lines), picked_at=work.picked_at or at)
        case PickShorted():
            work = changed(work, short=plus(work.short, event.lines), picked_at=work.picked_at or at)
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
        lines=plus({}, event.lines),
        dispatched_at=at,
        charge=ChargedBy(event.charge.amount_minor, event.charge.currency) if event.charge else None,
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
    at = utc(event.occurred_at)
    match event:
        case ShipmentDelivered():
            shipment = changed(shipment, delivered=plus(shipment.delivered, event.lines), delivered_at=at)
        case ShipmentLost():
            shipment = changed(shipment, lost=plus(shipment.lost, event.lines), lost_at=at)
        case CarrierEventRecorded():
            if shipment.carrier_status_at is None or at >= shipment.carrier_status_at:
                shipment = changed(
                    shipment, carrier_status=event.status, carrier_status_at=at, carrier_note=event.note
                )
            if event.status == "exception" and shipment.exception_at is None:
                shipment = changed(shipment, exception_at=at)
            if event.status == "picked_up" and shipment.picked_up_at is None:
                shipment = changed(shipment, picked_up_at=at)
    return changed(facts, shipments={**facts.shipments, event.shipment_id: shipment})


def plus(units: Units, lines: Iterable[LineQuantity | ShortLine | KeptUnits]) -> dict[int, int]:
    """Units by line number, with these added."""
    total = dict(units)
    for line in lines:
        total[line.line] = total.get(line.line, 0) + line.quantity
    return total


def utc(at: datetime) -> datetime:
    """The same instant in UTC; a time that came without a zone is taken as UTC."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:  # an offset that leads out of the calendar: less than a day is lost
        return at.replace(tzinfo=UTC)
