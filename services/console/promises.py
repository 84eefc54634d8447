"""The date of an order: what was promised first, what is to be expected now, and whether it was kept."""

from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from libs.events.places import Delivery
from libs.events.record import record
from services.console.facts import PromisedDate, State, StatedReason
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
    why = tuple(StatedReason(one.code, one.message) for one in delivery.why)
    return PromisedDate(
        delivery.service, delivery.deliver_by, delivery.ship_by, delivery.node, delivery.time_zone, why
    )


def order_promise(state: State) -> OrderPromise | None:
    """The promise as far as it is known; None, no date was told."""
    plans = [decision.promised for decision in state.routing.decisions if decision.promised is not None]
    told = [one for one in (state.inventory.promised, *plans) if one is not None]
    if state.inventory.awaited is not None:
        told.append(state.inventory.awaited)
    if not told:
        return None
    promised, expected = told[0], told[-1]
    delivered_at = milestones(state).delivered
    if delivered_at is None:
        late = expected.deliver_by > promised.deliver_by
        return OrderPromise(promised, expected, None, "at_risk" if late else "open")
    on = delivered_at.astimezone(ZoneInfo(expected.time_zone)).date()
    return OrderPromise(promised, expected, on, "kept" if on <= promised.deliver_by else "missed")
