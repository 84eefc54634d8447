"""Where an order stands: its status, its seven milestones and its units by state, derived from the facts.

Nothing here is stored knowledge; each function is a pure reading of `State`, so it cannot depend on which
stage's news came first.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from libs.events.record import record
from services.console.facts import FulfillmentFacts, NodeWork, PlacedHold, RoutingDecision, State, Units
from services.console.parts import ByState, bundle_units, whole_bundles

WITHOUT_WORK = (
    "accepted",
    "backordered",
    "short_picked",
    "reserved",
    "in_review",
    "routed",
    "allocated",
)
"""What a unit can be that no node has work of yet, from the least advanced on."""

AT_REST = (*WITHOUT_WORK, "released", "picking", "packed")
"""What a unit can be that a cancellation may still stop: it has not left."""

OPEN = (*AT_REST, "shipped", "in_transit")
"""What an unfinished unit can be, from the least advanced on. An order's status is that of its last unit."""

ENDED = ("delivered", "lost", "unroutable", "cancelled")
"""What a unit can have come to."""

STATUSES = ("incoming", "held", *OPEN, *ENDED, "partly_delivered", "rejected")
"""Every status of an order. `incoming`: a later stage's news came first, intake's own has not arrived yet."""


_WORST_FIRST = (*OPEN, *reversed(ENDED))


@record
class Milestones:
    """The seven moments of an order; none where it has not happened. A first time, but for `delivered`:
    that is the last delivery, once nothing more is to come."""

    confirmed: datetime | None
    paid: datetime | None
    routed: datetime | None
    picking: datetime | None
    shipped: datetime | None
    picked_up: datetime | None
    delivered: datetime | None


@record
class LineStanding:
    """One line: units ordered, and units by state (only states that have units)."""

    line: int
    sku: str
    ordered: int
    units: Mapping[str, int]


def status(state: State) -> str:
    """One of `STATUSES`; that of the least advanced unit until the order is closed, then its outcome."""
    return status_of(state, line_standings(state))


def status_of(state: State, lines: tuple[LineStanding, ...]) -> str:
    """`status`, from lines that the caller has at hand."""
    intake, fulfillment = state.intake, state.fulfillment
    if intake.outcome is not None:
        return intake.outcome
    if intake.rejected_at is not None:
        return "rejected"
    if not fulfillment.work and intake.holds and open_holds(state):
        return "held"
    there = {name for line in lines for name in line.units}
    for name in OPEN:
        if name in there:
            return name
    if fulfillment.outcome is not None:
        return fulfillment.outcome
    ended = [name for name in ENDED if name in there]
    if not ended:
        return "incoming" if intake.accepted_at is None else "accepted"
    return "partly_delivered" if ended[0] == "delivered" and len(ended) > 1 else ended[0]


def open_holds(state: State) -> tuple[PlacedHold, ...]:
    """Holds that keep the order from the nodes: not released, and not placed too late."""
    return tuple(
        hold for hold in state.intake.holds if hold.released_at is None and declined_at(state, hold) is None
    )


def declined_at(state: State, hold: PlacedHold) -> datetime | None:
    """When it turned out that the hold came too late, if it did; one of its name may have before."""
    at = state.fulfillment.holds_declined.get(hold.name)
    return at if at is not None and at >= hold.placed_at else None


def in_review(state: State) -> RoutingDecision | None:
    """The plan that a person has to see before it is carried out, if there is one."""
    decisions = state.routing.decisions
    last = decisions[-1] if decisions else None
    return last if last is not None and last.held and overtaken_at(state, last) is None else None


def overtaken_at(state: State, held: RoutingDecision) -> datetime | None:
    """When something made a plan void that was held for review: its units were promised anew or given up, or
    the order ended. None while it stands; of one that was approved, this has no meaning."""
    inventory, closed_at = state.inventory, state.intake.closed_at
    times = [at for round_, at in inventory.reserved_again.items() if round_ > held.round]
    times += [one.since for one in inventory.backorders if one.round > held.round]
    times += [at for round_, at in inventory.given_up.items() if round_ >= held.round]
    return min([*times, closed_at] if closed_at else times, default=None)


def milestones(state: State) -> Milestones:
    """When each of the seven moments was; see `Milestones`."""
    intake, facts = state.intake, state.fulfillment
    shipments = facts.shipments.values()
    handed_over = [one.delivered_at for one in shipments if one.delivered_at] if facts.completed_at else []
    return Milestones(
        intake.accepted_at,
        intake.captured_at if intake.payment == "paid" else None,
        _first([decision.at for decision in state.routing.decisions if decision.routable]),
        _first([work.released_at for work in facts.work.values()]),
        _first([shipment.dispatched_at for shipment in shipments]),
        _first([one.picked_up_at for one in shipments if one.picked_up_at]),
        max(handed_over) if handed_over else None,
    )


def line_standings(state: State) -> tuple[LineStanding, ...]:
    """Each line with its units by state, in order of line number.

    What is at a node or beyond is counted from fulfillment's facts; the rest of what was ordered stands
    where its sourcing stands. A line that only a later stage has mentioned yet counts as far as it is known.
    """
    told = _units_by_line(state.fulfillment)
    ordered = _ordered(state, told)
    standings = [
        LineStanding(number, *ordered[number], units)
        for number, units in _standing(state, ordered, told).items()
    ]
    return tuple(standings)


def part_standings(state: State) -> tuple[LineStanding, ...]:
    """Each line that stands for a part of a bundle, with its units by state."""
    told = _units_by_line(state.fulfillment)
    ordered = {
        number: (part.sku, part.quantity)
        for number, part in state.inventory.parts.items()
        if part.of_line not in told  # it was cancelled as ordered, before any part of it was released
    }
    standing = _standing(state, ordered, told)
    return tuple([LineStanding(number, *ordered[number], standing[number]) for number in standing])


def _ordered(state: State, at_nodes: Mapping[int, ByState]) -> dict[int, tuple[str, int]]:
    """SKU and units by line; `at_nodes`: what fulfillment accounts for."""
    ordered = {line.line: (line.sku, line.quantity) for line in state.intake.lines}
    if not ordered:
        for number, known in state.inventory.lines.items():
            counted = sum(at_nodes.get(number, {}).values())
            ordered[number] = (known.sku, max(known.quantity, counted))
    return ordered


def _standing(
    state: State, ordered: Mapping[int, tuple[str, int]], at_nodes: Mapping[int, ByState]
) -> dict[int, ByState]:
    """Units by state, by line, in order of its number; `at_nodes`: what fulfillment accounts for."""
    routed = _routed_rounds(state)
    unpacked = _unpacked(state, ordered) if state.inventory.parts else frozenset()
    parts = {one.line: one.units for one in part_standings(state)} if unpacked else {}
    found: dict[int, ByState] = {}
    for number in sorted(ordered):
        told = at_nodes.get(number)
        units = dict(told) if told else {}
        rest = ordered[number][1] - sum(units.values())
        if number in unpacked and not units:
            units = bundle_units(state.inventory.parts, number, parts, _WORST_FIRST)
        elif rest > 0:
            name = _rest_state(state, number, routed)
            units[name] = units.get(name, 0) + rest
        found[number] = units
    return found


def _unpacked(state: State, ordered: Mapping[int, object]) -> frozenset[int]:
    """Ordered lines that others stand for."""
    return frozenset(part.of_line for part in state.inventory.parts.values()) & ordered.keys()


def work_state(work: NodeWork) -> str:
    """released, picking, packed, dispatched or cancelled."""
    if work.dispatched_at:
        return "dispatched"
    if work.cancelled_at:
        return "cancelled"
    if work.packed_at:
        return "packed"
    return "picking" if work.picked_at else "released"


def nodes(state: State) -> list[str]:
    """The nodes that the order concerns: those it was last routed to, and those that worked on it."""
    last = state.routing.decisions[-1] if state.routing.decisions else None
    routed = last.nodes if last is not None and not last.held else ()
    worked = (work.node for work in state.fulfillment.work.values())
    sent = (shipment.node for shipment in state.fulfillment.shipments.values())
    returned = (unit.node for rma in state.returns.rmas.values() for unit in rma.received)
    return sorted({*routed, *worked, *sent, *returned})


def returned_units(state: State) -> dict[int, int]:
    """Units by line that came back; of a line of bundles, whole ones."""
    back: Counter[int] = Counter()
    for rma in state.returns.rmas.values():
        for unit in rma.received:
            back[unit.line] += unit.quantity
    parts = state.inventory.parts
    return dict(back) | whole_bundles(parts, back) if parts else dict(back)


def _units_by_line(facts: FulfillmentFacts) -> dict[int, dict[str, int]]:
    """Units that fulfillment accounts for, by line and state."""
    by_line: dict[int, dict[str, int]] = {}

    def count(lines: Units, name: str, *less: Units) -> None:
        for line, quantity in lines.items():
            rest = quantity
            for taken in less:
                if taken:
                    rest -= taken.get(line, 0)
            if rest > 0:
                units = by_line.setdefault(line, {})
                units[name] = units.get(name, 0) + rest

    for work in facts.work.values():
        name = work_state(work)
        if name not in ("dispatched", "cancelled"):
            count(work.lines, name, work.short)
    for shipment in facts.shipments.values():
        name = "in_transit" if shipment.carrier_status else "shipped"
        count(shipment.lines, name, shipment.delivered, shipment.lost)
        count(shipment.delivered, "delivered")
        count(shipment.lost, "lost")
    count(facts.cancelled, "cancelled")
    count(facts.unroutable, "unroutable")
    return by_line


def _routed_rounds(state: State) -> dict[int, tuple[int, str]]:
    """Per line: the latest round that routing decided, and where that leaves it."""
    return {line: (d.round, _decided(d)) for d in state.routing.decisions for line in d.lines}


def _decided(decision: RoutingDecision) -> str:
    if decision.held:
        return "in_review"
    return "routed" if decision.routable else "unroutable"


def _rest_state(state: State, line: int, routed: Mapping[int, tuple[int, str]]) -> str:
    """Where the units of a line stand that are at no node: inventory is the authority on promises, and
    routing's word counts for a round that inventory has promised and not yet allocated."""
    intake = state.intake
    if intake.closed_at is not None and intake.accepted_at is None:
        return "cancelled"
    shorted = sum([work.short.get(line, 0) for work in state.fulfillment.work.values() if work.short])
    if shorted > state.inventory.shorted.get(line, 0):
        return "short_picked"
    known = state.inventory.lines.get(line)
    round_, decided = routed.get(line, (0, "accepted"))
    if known is None or round_ > known.round or (round_ == known.round and known.state == "reserved"):
        return decided
    return "accepted" if known.state == "freed" else known.state


def _first(times: Collection[datetime]) -> datetime | None:
    return min(times) if times else None
