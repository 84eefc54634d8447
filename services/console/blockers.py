"""What an order waits for, since when, and who acts next: the first thing that anybody wants to know of it.

A pure reading of `State`, for each status that an order can have. Who acts is a role, not a person: of what
is an exception too, whoever the tenant's rules give it to, so that the order and the queue name the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from libs.events.record import record
from services.console.amend_view import amendments
from services.console.facts import State
from services.console.items import unsettled
from services.console.rules import Kind, Rule, rule_of
from services.console.standing import in_review, line_standings, open_holds, status_of, work_state

Owner = Literal[
    "support", "operations", "purchasing", "warehouse", "platform", "carrier", "customer", "system"
]

OWNERS: dict[Owner, str] = {
    "support": "Support",
    "operations": "Operations",
    "purchasing": "Purchasing",
    "warehouse": "The warehouse",
    "platform": "Platform",
    "carrier": "The carrier",
    "customer": "The customer",
    "system": "Nobody: Orderlog goes on by itself",
}
"""As people read them."""


@record
class Blocker:
    """One thing that stands between the order and its end; `hold`: the hold that a release would lift;
    `review`: the round of the plan that an approval would let pass."""

    what: str
    since: datetime | None
    owner: Owner
    next_step: str
    hold: str | None = None
    review: int | None = None


def blockers(state: State, rules: Sequence[Rule]) -> tuple[Blocker, ...]:
    """What the order waits for, what a person must settle first. Empty once nothing more is to come.
    `rules`: the tenant's, which say whose an exception is and what to do about it."""
    found = [*_cancellation(state), *_review(state, rules), *_way(state, rules), *_afterwards(state, rules)]
    # A stage's news may be here before that of the stage that it waits for: then it has waited since that.
    found = [one if one.since else replace(one, since=state.last_at) for one in found]
    by_hand = [one for one in found if one.owner not in ("system", "carrier")]
    return (*by_hand, *(one for one in found if one not in by_hand))


def _way(state: State, rules: Sequence[Rule]) -> tuple[Blocker, ...]:
    """By status: what keeps the least advanced units where they are."""
    intake, inventory = state.intake, state.inventory
    status = status_of(state, line_standings(state))
    if intake.outcome is not None:
        return ()
    match status:
        case "incoming":
            what = "A later stage's news has come; intake's own is still under way to the console."
            return (Blocker(what, state.last_at, "system", "Wait a moment, then look again."),)
        case "held":
            return tuple(_hold(state, rules))
        case "accepted":
            since = inventory.freed_at or intake.accepted_at
            return (_by_itself("Stock is being looked for.", since),)
        case "backordered":
            short = ", ".join(f"{want.quantity} of {want.sku}" for want in inventory.waits_for[:5])
            more = f" and {len(inventory.waits_for) - 5} more" if len(inventory.waits_for) > 5 else ""
            what = f"It waits for stock: {short or 'units'}{more}."
            return (_ruled(rules, "backordered", "", what, inventory.backordered_at),)
        case "short_picked":
            since = max(
                (w.picked_at for w in state.fulfillment.work.values() if w.short and w.picked_at),
                default=None,
            )
            return (
                _by_itself("A node found less than was promised; the rest is looked for elsewhere.", since),
            )
        case "reserved":
            return (_by_itself("Routing is choosing the nodes.", inventory.reserved_at),)
        case "in_review":
            return ()  # that it is reviewed is told of any order of which some is
        case "routed":
            return (_by_itself("The plan is being allocated at its nodes.", _routed_at(state)),)
        case "allocated":
            return (_by_itself("Its work is being released to the nodes.", inventory.allocated_at),)
        case "released" | "picking" | "packed":
            return tuple(_at_nodes(state))
        case "shipped" | "in_transit":
            return tuple(_under_way(state, rules))
        case "unroutable":
            reasons = "; ".join(
                r.message for d in state.routing.decisions if not d.routable for r in d.reasons
            )
            what = f"No node may ship it: {reasons or 'none serves the destination'}"
            return (_ruled(rules, "unroutable", "", what, _decided_at(state)),)
        case _:  # its units have all come to an end, and intake is about to close it
            return (
                _by_itself("All units have come to their end; the order is being closed.", state.last_at),
            )


def _ruled(rules: Sequence[Rule], kind: Kind, which: str, what: str, since: datetime | None) -> Blocker:
    """What is an exception: it is whose the rules say."""
    rule = rule_of(rules, kind, which)
    return Blocker(what, since, rule.owner, rule.next_step)


def _hold(state: State, rules: Sequence[Rule]) -> Iterable[Blocker]:
    for hold in open_holds(state):
        what = f"Hold {hold.name}: {hold.message}"
        yield replace(_ruled(rules, "hold", hold.name, what, hold.placed_at), hold=hold.name)


def _review(state: State, rules: Sequence[Rule]) -> Iterable[Blocker]:
    if (held := in_review(state)) is not None:
        which, why = str(held.round), " ".join(reason.message for reason in held.review)
        what = f"Its plan is to be reviewed before it is carried out. {why}"
        yield replace(_ruled(rules, "review", which, what, held.held_at), review=held.round)


def _at_nodes(state: State) -> Iterable[Blocker]:
    told = {
        "released": ("is to be picked", "Pick it."),
        "picking": ("is being picked and packed", "Pack it."),
        "packed": ("is packed", "Hand it to the carrier."),
    }
    for name, work in state.fulfillment.work.items():
        stands = work_state(work)
        if stands in told:
            what, step = told[stands]
            since = work.packed_at or work.picked_at or work.released_at
            yield Blocker(f"{name} {what} at {work.node}.", since, "warehouse", step)


def _under_way(state: State, rules: Sequence[Rule]) -> Iterable[Blocker]:
    for name, shipment in state.fulfillment.shipments.items():
        if shipment.delivered_at or shipment.lost_at:
            continue
        since = shipment.carrier_status_at or shipment.dispatched_at
        if shipment.carrier_status == "exception":
            note = f": {shipment.carrier_note}" if shipment.carrier_note else ""
            what = f"{shipment.carrier} reports a delivery exception with {name}{note}."
            yield _ruled(rules, "carrier_exception", name, what, since)
        else:
            status = (shipment.carrier_status or "dispatched").replace("_", " ")
            what = f"{name} is with {shipment.carrier} ({status})."
            yield Blocker(what, since, "carrier", "Wait for its next scan; after some days, ask the carrier.")


def _cancellation(state: State) -> Iterable[Blocker]:
    intake, work = state.intake, state.fulfillment
    asked = intake.cancellation_requested_at
    answered = (work.cancelled_at, work.cancellation_declined_at)
    if asked and intake.outcome is None and not any(at and at >= asked for at in answered):
        yield _by_itself("Its cancellation is being decided: what can still be stopped, will be.", asked)
    for name, since in intake.line_cancellations.items():
        if intake.outcome is None and name not in work.line_cancellations:
            yield _by_itself("A cancellation of lines is being decided.", since)
    for one in amendments(state):
        if intake.outcome is None and one.decided_at is None:
            yield _by_itself(f"A change of {one.what} is being decided.", one.requested_at)


def _afterwards(state: State, rules: Sequence[Rule]) -> Iterable[Blocker]:
    if state.fulfillment.unroutable:
        for item in unsettled(state):
            what = f"No node may ship {item.units} units, and they were given up: {item.reason}"
            yield _ruled(rules, "unroutable", "", what, item.since)
    for name, rma in state.returns.rmas.items():
        if rma.closed_at is None:
            back, due = sum(unit.quantity for unit in rma.received), sum(rma.lines.values())
            what = f"Return {name}: {back} of {due} units have come back."
            yield Blocker(what, rma.authorised_at, "customer", "Wait for the goods, then receive them.")
    for name, message in state.notifications.messages.items():
        if message.state == "failed":
            what = (
                f"The message about {message.milestone.replace('_', ' ')} could not be sent: {message.detail}"
            )
            yield _ruled(rules, "failed_message", name, what, message.settled_at)


def _by_itself(what: str, since: datetime | None) -> Blocker:
    step = "Nothing to do. If it stays so for minutes, see whether the stage is well."
    return Blocker(what, since, "system", step)


def _routed_at(state: State) -> datetime | None:
    return max((d.at for d in state.routing.decisions if d.routable), default=None)


def _decided_at(state: State) -> datetime | None:
    return max((d.at for d in state.routing.decisions), default=None)
