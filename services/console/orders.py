"""The fold of one order's read model, for whoever looks at orders: support, operations, integrators.

Topics have no order among themselves, so events of different stages arrive in any interleaving; within one
stage an order's events are in order. The state is therefore one set of facts per stage, each changed by that
stage's events only: any interleaving ends in the same state. What is a matter of several stages (the status,
the milestones, units by state) is derived from the facts in `services.console.standing`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from libs.events.amendments import HeldOrderAmended, OrderAmendmentRequested, StockDeallocated
from libs.events.bundles import BundlesUnpacked
from libs.events.changes import HoldPlaced, LineCancellationRequested, LinesReleased
from libs.events.contract import Event
from libs.events.dates import BackorderDated
from libs.events.envelope import Envelope
from libs.events.intake import (
    ExceptionAssigned,
    ExceptionResolved,
    ExceptionSnoozed,
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
from libs.events.promise import PromiseConfirmed
from libs.events.record import changed
from libs.events.returns import (
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnReceived,
    ReturnWindowOpened,
    VoidRequested,
)
from libs.events.routing import Candidate, OrderRouted, OrderUnroutable, RoutingHeld
from services.console.amended import Changed, asked, laid_over
from services.console.deliveries import fold_delivery, plus, utc
from services.console.facts import (
    Backorder,
    Care,
    ChargedAmount,
    IntakeFacts,
    InventoryFacts,
    LetGo,
    NotificationsFacts,
    OrderedLine,
    OwedMessage,
    OwedRefund,
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
    WaitedFor,
    WeighedCandidate,
)
from services.console.origin import STAGE_OF
from services.console.parts import unpacked
from services.console.promises import promised_date, stated


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
        fold_delivery(state.fulfillment, event, at) if stage == "fulfillment" else state.fulfillment,
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
            holds = tuple([PlacedHold(hold.name, hold.message, at) for hold in event.holds])
            return changed(_captured(facts, event, at), holds=holds)
        case OrderRejected():
            reasons = stated(event.reasons)
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
        case HoldPlaced():
            others = (hold for hold in facts.holds if hold.name != event.hold)
            return changed(facts, holds=(*others, PlacedHold(event.hold, event.message, at)))
        case LineCancellationRequested():
            asked = {**facts.line_cancellations, event.cancellation_id: at}
            return changed(facts, line_cancellations=asked)
        case OrderAmendmentRequested() | HeldOrderAmended():
            return _amended(facts, event, at)
        case OrderCancellationRequested():
            return changed(facts, cancellation_requested_at=at, cancellation_reason=event.reason)
        case OrderClosed():
            return changed(facts, closed_at=at, outcome=event.outcome, close_reason=event.reason)
        case ExceptionAssigned() | ExceptionSnoozed() | ExceptionResolved():
            return changed(facts, care={**facts.care, event.item: _cared(facts.care, event, at)})
        case _:
            return facts


def _amended(
    facts: IntakeFacts, event: OrderAmendmentRequested | HeldOrderAmended, at: datetime
) -> IntakeFacts:
    one = asked(event, at)
    facts = changed(facts, amendments={**(facts.amendments or {}), event.amendment_id: one})
    if not one.done:
        return facts
    now = laid_over(Changed(facts.country, facts.postcode_area, facts.service), one.what)
    return changed(facts, country=now.country, postcode_area=now.postcode_area, service=now.service)


def _cared(
    known: Mapping[str, Care], event: ExceptionAssigned | ExceptionSnoozed | ExceptionResolved, at: datetime
) -> Care:
    care = known.get(event.item, Care())
    match event:
        case ExceptionAssigned():
            return changed(care, assignee=event.assignee)
        case ExceptionSnoozed():
            return changed(care, snoozed_until=utc(event.until), snoozed_why=event.why)
        case ExceptionResolved():
            return changed(care, resolved_at=at, note=event.note)


def _captured(facts: IntakeFacts, event: OrderAccepted | OrderHeld, at: datetime) -> IntakeFacts:
    """The terms, as the latest answer states them; captured when intake first answered."""
    return changed(
        facts,
        channel=event.channel,
        external_id=event.external_id,
        placed_at=utc(event.placed_at),
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
        service=event.service,
    )


def _inventory(facts: InventoryFacts, event: Event, at: datetime) -> InventoryFacts:
    match event:
        case BundlesUnpacked():
            return changed(facts, parts=unpacked(event))
        case StockReserved():
            lines = _sourced(facts.lines, event.lines, event.round, "reserved")
            again = facts.reserved_again
            if event.round > 1:
                again = {**again, event.round: at}
            return changed(
                facts,
                lines=lines,
                waits_for=(),
                awaited=None,
                reserved_at=facts.reserved_at or at,
                reserved_again=again,
                backorders=_ended(facts.backorders, at),
            )
        case StockBackordered():
            lines = _sourced(facts.lines, event.lines, event.round, "backordered")
            waits_for = tuple(WaitedFor(short.sku, short.quantity) for short in event.short)
            units = sum(short.quantity for short in event.short)
            return changed(
                facts,
                lines=lines,
                waits_for=waits_for,
                backordered_at=facts.backordered_at or at,
                backorders=_waiting(_ended(facts.backorders, at), Backorder(event.round, units, at)),
            )
        case StockAllocated():
            allocated = [line for node in event.nodes for line in node.lines]
            lines = _sourced(facts.lines, allocated, event.round, "allocated")
            return changed(facts, lines=lines, allocated_at=facts.allocated_at or at)
        case AllocationFailed() | StockDeallocated():
            return changed(facts, lines=_sourced(facts.lines, event.lines, event.round, "reserved"))
        case StockShorted():
            latest = max((line.round for line in facts.lines.values()), default=1)
            lines = _sourced(facts.lines, event.lines, latest, "short_picked")
            return changed(facts, lines=lines, shorted=plus(facts.shorted, event.lines))
        case StockReleased():
            given_up = (
                facts.lines.keys() if event.cause == "cancelled" else {line.line for line in event.lines}
            )
            lines = {
                line: changed(known, state="freed") if line in given_up else known
                for line, known in facts.lines.items()
            }
            backorders = _ended(facts.backorders, at)
            freed = changed(
                facts, lines=lines, waits_for=(), awaited=None, given_up=_given_up(facts, event, at)
            )
            return changed(freed, freed_at=at, backorders=backorders)
        case LinesReleased():
            return _fewer(facts, event, at)
        case BackorderDated():
            told = promised_date(event.promised)
            return changed(facts, awaited=told, promised=facts.promised or told)
        case PromiseConfirmed():
            return changed(facts, promised=promised_date(event.delivery)) if event.delivery else facts
        case _:
            return facts  # issues and returns move stock, and are told by fulfillment's and returns' events


def _fewer(facts: InventoryFacts, event: LinesReleased, at: datetime) -> InventoryFacts:
    """Fewer units are wanted. Where others still have no node, another round says what they wait for."""
    facts, lines = changed(facts, given_up=_given_up(facts, event, at)), dict(facts.lines)
    for units in event.lines:
        known = lines.get(units.line)
        if known is not None:
            left = max(0, known.quantity - units.quantity)
            lines[units.line] = changed(known, quantity=left, state=known.state if left else "freed")
    if any(line.state in ("backordered", "reserved", "short_picked") for line in lines.values()):
        return changed(facts, lines=lines)
    return changed(facts, lines=lines, waits_for=(), backorders=_ended(facts.backorders, at))


def _given_up(
    facts: InventoryFacts, event: StockReleased | LinesReleased, at: datetime
) -> Mapping[int, datetime]:
    if not (event.lines and facts.lines):
        return facts.given_up
    return {max(line.round for line in facts.lines.values()): at, **facts.given_up}


def _waiting(known: tuple[Backorder, ...], now: Backorder) -> tuple[Backorder, ...]:
    """With what a round lacks now. It may be told so again, and is one all the same, since the first time."""
    first = next((one.since for one in known if one.round == now.round), now.since)
    return (*(one for one in known if one.round != now.round), changed(now, since=first))


def _ended(backorders: tuple[Backorder, ...], at: datetime) -> tuple[Backorder, ...]:
    if not backorders:
        return ()
    return tuple([one if one.ended_at else changed(one, ended_at=at) for one in backorders])


def _sourced(
    known: Mapping[int, SourcedLine], lines: Iterable[LineQuantity], round_: int, state: Sourced
) -> dict[int, SourcedLine]:
    quantities = plus({}, lines)
    skus = {line.line: line.sku for line in lines}
    fresh = {line: SourcedLine(skus[line], round_, state, units) for line, units in quantities.items()}
    return {**known, **fresh}


def _routing(facts: RoutingFacts, event: Event, at: datetime) -> RoutingFacts:
    match event:
        case OrderRouted() | RoutingHeld():
            nodes = {plan.node: plus({}, plan.lines) for plan in event.nodes}
            lines = plus({}, (line for plan in event.nodes for line in plan.lines))
        case OrderUnroutable():
            nodes, lines = {}, plus({}, event.lines)
        case _:
            return facts
    before = facts.decisions
    held = before[-1] if before and before[-1].round == event.round else None
    held_at, review = (held.held_at, held.review) if held else (None, ())
    reasons: tuple[StatedReason, ...] = ()
    if isinstance(event, RoutingHeld):
        held_at, review = at, stated(event.reasons)
    elif isinstance(event, OrderUnroutable):
        reasons = stated(event.reasons)
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
        promised=promised_date(event.promised) if isinstance(event, OrderRouted) else None,
        held_at=held_at,
        review=review,
    )
    return RoutingFacts((*(before[:-1] if held else before), decision))


def _weighed(candidate: Candidate) -> WeighedCandidate:
    return WeighedCandidate(
        candidate.nodes, candidate.chosen, candidate.reason, candidate.units, candidate.distance_km
    )


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
                known := facts.messages.get(event.message_id, OwedMessage(event.milestone, "requested")),
                state="sent" if isinstance(event, MessageSent) else "failed",
                settled_at=at,
                detail=event.detail if isinstance(event, MessageFailed) else "",
                failed_at=at if isinstance(event, MessageFailed) else known.failed_at,
            )
        case _:
            return facts
    return NotificationsFacts({**facts.messages, event.message_id: message})


def _returns(facts: ReturnsFacts, event: Event, at: datetime) -> ReturnsFacts:
    match event:
        case ReturnWindowOpened():
            return changed(facts, returnable=plus(facts.returnable, event.lines))
        case ReturnAuthorised():
            return changed(facts, rmas={**facts.rmas, event.rma_id: Rma(at, plus({}, event.lines))})
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
                event.amount_minor, event.currency, event.cause, at, plus({}, event.lines), event.rma_id
            )
            return changed(facts, refunds={**facts.refunds, event.refund_id: refund})
        case VoidRequested():
            void = LetGo(event.amount_minor, event.currency, at)
            return changed(facts, voids={**facts.voids, event.void_id: void})
        case _:
            return facts
