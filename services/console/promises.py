"""The date of an order: what was promised first, what is to be expected now, and whether it was kept."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from libs.events.order import Reason
from libs.events.places import Delivery
from libs.events.record import record
from services.console.amended import Amendments
from services.console.facts import PromisedDate, RoutingDecision, State, StatedReason
from services.console.standing import milestones

Standing = Literal["open", "at_risk", "kept", "missed"]
"""`at_risk`: it is to be expected later than it was promised."""


@record
class OrderPromise:
    """The promise of an order."""

    promised: PromisedDate
    """The first date that was told: with the basket, or by the first plan, or while it waited."""
    expected: PromisedDate
    """The latest."""
    ends_at: datetime
    """When the day that was promised is over."""
    delivered_on: date | None
    """In the time zone of the node that was to be last."""
    standing: Standing


def promised_date(delivery: Delivery | None) -> PromisedDate | None:
    """The date as an event carries it; None where it says that none is known."""
    if delivery is None or delivery.deliver_by is None:
        return None
    assert delivery.ship_by is not None, "what is delivered has left before"
    assert delivery.node is not None, "what leaves, leaves a node"
    assert delivery.time_zone is not None, "a node with a date has a time zone"
    node, zone, why = delivery.node, delivery.time_zone, stated(delivery.why)
    return PromisedDate(delivery.service, delivery.deliver_by, delivery.ship_by, node, zone, why)


def stated(reasons: Iterable[Reason]) -> tuple[StatedReason, ...]:
    """Reasons as an event carries them."""
    return tuple(StatedReason(reason.code, reason.message) for reason in reasons)


@record
class Due:
    """The promise of an order as a list of many reads it."""

    promised_on: date
    ends_at: datetime
    """When that day is over: delivered before it is on time."""
    risk_at: datetime | None
    """From when on the promise is at risk, if nothing else happens; None, nothing is still to happen."""


def due(state: State, status: str) -> Due | None:
    """When an order of this status is due; None, no date was told.

    At risk is what is to be expected later than was promised, what has not left by the end of the day on
    which its latest plan has it leave, and what the carrier reports trouble with, until it moves on.
    """
    told = _told(state)
    if told is None:
        return None
    promised, expected = told
    ends_at = _end(promised.deliver_by, expected.time_zone)
    intake, work = state.intake, state.fulfillment
    if intake.outcome is not None or intake.rejected_at is not None or work.completed_at is not None:
        return Due(promised.deliver_by, ends_at, None)
    if expected.deliver_by > promised.deliver_by or any(
        one.carrier_status == "exception" and not (one.delivered_at or one.lost_at)
        for one in work.shipments.values()
    ):
        risk_at = intake.captured_at or state.last_at or ends_at
    else:
        left = status in ("shipped", "in_transit")
        risk_at = ends_at if left else _end(expected.ship_by, expected.time_zone)
    return Due(promised.deliver_by, ends_at, min(risk_at, ends_at))


def days_to_ship(state: State, accepted_at: datetime | None, shipped_at: datetime | None) -> int | None:
    """Calendar days from the acceptance to the first shipment, 0 on the same day: by the clock of the node
    that ships last as the latest date has it, and in UTC where no date was told."""
    if accepted_at is None or shipped_at is None:
        return None
    told = _told(state)
    zone = UTC if told is None else _zone(told[1].time_zone)
    days = shipped_at.astimezone(zone).date() - accepted_at.astimezone(zone).date()
    return max(0, days.days)


def missed(state: State) -> bool:
    """Whether what there is of it came later than was promised."""
    if state.fulfillment.completed_at is None:
        return False
    told = _told(state)
    if told is None:
        return False
    arrived = [one.delivered_at for one in state.fulfillment.shipments.values() if one.delivered_at]
    return bool(arrived) and max(arrived) >= _end(told[0].deliver_by, told[1].time_zone)


def _told(state: State) -> tuple[PromisedDate, PromisedDate] | None:
    """The first date that was told (of an order that was amended, since), and the latest; None, none was."""
    inventory, decisions = state.inventory, state.routing.decisions
    told = [one.promised for one in decisions if one.promised is not None]
    first, last = inventory.promised or (told[0] if told else None), told[-1] if told else None
    if (amended := state.fulfillment.amendments) is not None:
        first = next((one.promised for one in decisions if one.promised and _anew(one, amended)), first)
    latest = inventory.awaited or last or first
    first = first or latest
    return None if first is None or latest is None else (first, latest)


def _anew(decision: RoutingDecision, amended: Amendments) -> bool:
    """Whether a plan is by the terms that the order was given last, as far as it tells: what was allocated
    for those of before keeps its time, and comes again in a later round."""
    if amended.outdated_round:
        return decision.round > amended.outdated_round
    return amended.planned_at is not None and decision.at >= amended.planned_at


@lru_cache(4096)
def _end(day: date, time_zone: str) -> datetime:
    """The moment at which the next day begins there, UTC."""
    return datetime.combine(day + timedelta(days=1), time(), _zone(time_zone)).astimezone(UTC)


@lru_cache(1000)
def _zone(name: str) -> tzinfo:
    """A zone that is not known on this machine is taken as UTC: a projection goes on all the same."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def order_promise(state: State) -> OrderPromise | None:
    """The promise as far as it is known; None, no date was told."""
    told = _told(state)
    if told is None:
        return None
    promised, expected = told
    ends_at, delivered_at = _end(promised.deliver_by, expected.time_zone), milestones(state).delivered
    if delivered_at is None:
        late = expected.deliver_by > promised.deliver_by
        return OrderPromise(promised, expected, ends_at, None, "at_risk" if late else "open")
    on = delivered_at.astimezone(_zone(expected.time_zone)).date()
    return OrderPromise(promised, expected, ends_at, on, "kept" if on <= promised.deliver_by else "missed")
