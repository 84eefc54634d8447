"""Where an order's time goes: from its capture to its last delivery, cut into segments without a gap.

The segments follow the way of the shipment that was delivered last, through each round of sourcing that led
to it. Bounds that lie out of order (a carrier's clock) are moved to the bound before: no segment is negative,
and they add up to the whole, exactly, in microseconds.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from libs.events.record import record
from services.console.facts import Dispatch, IntakeFacts, NodeWork, RoutingDecision, State
from services.console.promises import missed
from services.console.standing import declined_at, in_review, open_holds, overtaken_at

SEGMENTS = ("hold", "payment", "stock", "routing", "queue", "pick", "pack", "carrier")
"""Held for a person, before it was accepted, while its plan was reviewed or it was queued · held for the
payment alone · until all was reserved · until nodes were chosen · until the node had the work · until
picked · until handed to the carrier · until delivered."""
_US = timedelta(microseconds=1)


@record
class Delays:
    """Microseconds by segment, in the order of SEGMENTS, and whose shipment came last."""

    us: tuple[int, ...]
    node: str
    carrier: str

    def text(self) -> str:
        """As the table has them."""
        return ",".join(map(str, self.us))


def delays(state: State) -> Delays | None:
    """Of an order that is delivered, all of it or in part; none before."""
    begin, done = state.intake.captured_at, state.fulfillment.completed_at
    if begin is None or done is None:
        return None
    arrived = [
        (shipment.delivered_at, name, shipment)
        for name, shipment in state.fulfillment.shipments.items()
        if shipment.delivered_at
    ]
    if not arrived:
        return None
    end, _, last = max(arrived, key=lambda one: one[:2])
    spent, so_far = dict.fromkeys(SEGMENTS, 0), begin
    by_hand = _placed_by_hand(state) if state.intake.holds else []
    for segment, until in _bounds(state, last):
        bound = min(max(until, so_far), max(end, begin))
        spent[segment] += (bound - so_far) // _US
        if segment == "queue" and by_hand:
            on_hold = _common(by_hand, so_far, bound) // _US
            spent["queue"] -= on_hold
            spent["hold"] += on_hold
        so_far = bound
    spent["carrier"] += (max(end, begin) - so_far) // _US
    return Delays(tuple(spent.values()), last.node, last.carrier)


def _bounds(state: State, last: Dispatch) -> Iterator[tuple[str, datetime]]:
    """Segments in the order in which they were passed, each with its end."""
    work = state.fulfillment.work.get(last.fulfillment_order_id)
    yield from _held(state.intake)
    final = work.round if work else 1
    for decision in state.routing.decisions:
        if decision.round <= final:
            yield from _round(state, decision)
            if decision.round < final:
                yield from _failed(state, decision.round)
    if work:
        yield "queue", work.released_at
        yield "pick", work.picked_at or last.dispatched_at
    yield "pack", last.dispatched_at


def _held(intake: IntakeFacts) -> Iterator[tuple[str, datetime]]:
    """Until accepted: as long as another hold than that for the payment is open, it waits for that."""
    accepted_at = intake.accepted_at
    others = [
        hold.released_at
        for hold in intake.holds
        if hold.name != "payment"
        and hold.released_at
        and (accepted_at is None or hold.placed_at < accepted_at)
    ]
    if others:
        yield "hold", max(others)
    if accepted_at:
        yield "payment", accepted_at


def _placed_by_hand(state: State) -> list[tuple[datetime, datetime]]:
    """When holds were open that were placed on the accepted order and not too late: spans, none in another.

    They keep what is allocated from the nodes: of all segments they lengthen the queue alone."""
    accepted_at, found = state.intake.accepted_at, list[tuple[datetime, datetime]]()
    if accepted_at is None:
        return found
    for hold in sorted(state.intake.holds, key=lambda hold: hold.placed_at):
        until = hold.released_at
        if hold.placed_at < accepted_at or until is None or declined_at(state, hold) is not None:
            continue
        begin = max(hold.placed_at, found[-1][1]) if found else hold.placed_at
        if begin < until:
            found.append((begin, until))
    return found


def _common(spans: list[tuple[datetime, datetime]], begin: datetime, end: datetime) -> timedelta:
    """How much of the time from `begin` to `end` lies in the spans."""
    inside = (min(until, end) - max(since, begin) for since, until in spans)
    return sum((one for one in inside if one > timedelta(0)), timedelta(0))


def _round(state: State, decision: RoutingDecision) -> Iterator[tuple[str, datetime]]:
    inventory = state.inventory
    first = inventory.reserved_at if decision.round == 1 else None
    reserved = inventory.reserved_again.get(decision.round, first)
    if reserved:
        yield "stock", reserved
    if decision.held_at is None:
        yield "routing", decision.at
        return
    yield "routing", decision.held_at
    until = decision.at if decision.routable else overtaken_at(state, decision)
    if until is not None:
        yield "hold", until


def _failed(state: State, round_: int) -> Iterator[tuple[str, datetime]]:
    """What a round came to that another had to follow: a pick that found too little, if it got so far."""
    short: list[NodeWork] = [
        work for work in state.fulfillment.work.values() if work.round == round_ and work.short
    ]
    for work in short[:1]:
        yield "queue", work.released_at
        if work.picked_at:
            yield "pick", work.picked_at


_WAITS = {
    "accepted": "stock",
    "backordered": "stock",
    "short_picked": "stock",
    "reserved": "routing",
    "routed": "queue",
    "allocated": "queue",
    "released": "pick",
    "picking": "pack",
    "packed": "pack",
    "shipped": "carrier",
    "in_transit": "carrier",
}
"""By status: the segment that an open order is in."""


def waiting(state: State, status: str) -> tuple[str, datetime | None]:
    """The segment that an open order is in, and since when; ("", None) once it is closed."""
    intake = state.intake
    if intake.outcome is not None or intake.rejected_at is not None:
        return "", None
    if status == "held":
        holds = open_holds(state)
        names = {hold.name for hold in holds}
        since = min(hold.placed_at for hold in holds) if intake.accepted_at else intake.captured_at
        return ("payment" if names == {"payment"} else "hold"), since
    if status == "in_review":
        held = in_review(state)
        return "hold", (held.held_at if held else None) or state.last_at
    segment = _WAITS.get(status, "")
    return (segment, _since(state, segment) or state.last_at) if segment else ("", None)


def _since(state: State, segment: str) -> datetime | None:
    inventory, work = state.inventory, state.fulfillment
    match segment:
        case "stock":
            short = (one.picked_at for one in work.work.values() if one.short)
            return max((at for at in (state.intake.accepted_at, *short) if at), default=None)
        case "routing":
            return max(inventory.reserved_again.values(), default=inventory.reserved_at)
        case "queue":
            return state.routing.decisions[-1].at if state.routing.decisions else None
        case "pick":
            return min(
                (
                    one.released_at
                    for one in work.work.values()
                    if not (one.picked_at or one.packed_at or one.dispatched_at or one.cancelled_at)
                ),
                default=None,
            )
        case "pack":
            return min(
                (
                    at
                    for one in work.work.values()
                    for at in (one.picked_at or one.released_at,)
                    if not (one.dispatched_at or one.cancelled_at)
                ),
                default=None,
            )
        case _:
            return min(
                (
                    one.dispatched_at
                    for one in work.shipments.values()
                    if not (one.delivered_at or one.lost_at)
                ),
                default=None,
            )


def broken(state: State) -> str:
    """What kept the order from being perfect, in words with blanks between: empty for a perfect one."""
    work, notes = state.fulfillment, state.notifications.messages
    found = []
    decisions = state.routing.decisions
    if state.intake.holds or any(decision.held_at for decision in decisions):
        found.append("held")
    if state.inventory.backorders:
        found.append("backordered")
    if work.work and any(one.short for one in work.work.values()):
        found.append("short_picked")
    if len(work.shipments) > 1:
        found.append("split")
    if work.shipments and any(one.lost_at or one.exception_at for one in work.shipments.values()):
        found.append("carrier")
    unroutable = not all(decision.routable or decision.held for decision in decisions)
    if work.cancelled or work.unroutable or unroutable:
        found.append("not_delivered")
    if missed(state):
        found.append("late")
    if notes and any(one.failed_at for one in notes.values()):
        found.append("failed_message")
    if state.returns.rmas and any(one.received for one in state.returns.rmas.values()):
        found.append("returned")
    return " ".join(found)
