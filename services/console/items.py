"""What about an order needs a person: exceptions, each with when it began, and when and how it ended.

A pure reading of `State`. Only what events say is here; that an order has stood still too long is a matter of
the moment at which somebody asks (`services.console.exceptions`). An item, once there, stays: it ends.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from libs.events.record import record
from services.console.facts import Care, Dispatch, NodeWork, State, Units
from services.console.promise_items import OF_PROMISES
from services.console.segments import broken
from services.console.standing import declined_at, overtaken_at
from services.console.storable import storable

STUCK = "stuck"
"""The kind of item that time makes; people's care of it is here, the rest is not."""


@record
class Item:
    """`name` is `<kind>/<which>`, and what a command names; `ended_at`: by the order's own events."""

    kind: str
    which: str
    since: datetime
    ended_at: datetime | None
    reason: str
    node: str = ""
    units: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.which}"


class ItemRow(NamedTuple):
    """One item, as the table has it."""

    tenant: str
    order_id: str
    item: str
    kind: str
    since_at: datetime
    ended_at: datetime | None
    node: str
    units: int
    why: str
    assignee: str | None
    snoozed_until_at: datetime | None
    snoozed_why: str
    note: str


_UNTOUCHED = Care()


def items(state: State) -> tuple[Item, ...]:
    """All that the order ever had, ended or not."""
    intake, inventory, work = state.intake, state.inventory, state.fulfillment
    found: list[Item] = []
    for hold in intake.holds:
        ended = hold.released_at or declined_at(state, hold) or intake.closed_at
        found.append(Item("hold", hold.name, hold.placed_at, ended, hold.message))
    for one in inventory.backorders:
        ended, why = one.ended_at or intake.closed_at, f"{one.units} units are missing."
        found.append(Item("backordered", str(one.round), one.since, ended, why, "", one.units))
    for decision in state.routing.decisions:
        if decision.held_at is not None:
            why = " ".join(reason.message for reason in decision.review)
            units = sum(decision.lines.values())
            ended = decision.at if decision.routable else overtaken_at(state, decision)
            found.append(Item("review", str(decision.round), decision.held_at, ended, why, "", units))
        elif not decision.routable:
            why = "; ".join(reason.message for reason in decision.reasons)
            units = sum(decision.lines.values())
            ended = _routed_after(state, decision.round, decision.lines)
            if intake.cancellation_requested_at is not None:
                ended = ended or intake.closed_at
            found.append(Item("unroutable", str(decision.round), decision.at, ended, why, "", units))
    for name, one_work in work.work.items():
        if one_work.short and one_work.picked_at:
            units = sum(one_work.short.values())
            why = f"{one_work.node} found {units} units fewer than promised."
            ended = _found_after(state, one_work) or intake.closed_at
            found.append(Item("short_picked", name, one_work.picked_at, ended, why, one_work.node, units))
    for name, shipment in work.shipments.items():
        if shipment.lost_at or shipment.exception_at:
            found += _of_shipment(name, shipment)
    for name, message in state.notifications.messages.items():
        if message.failed_at:
            ended = message.settled_at if message.state == "sent" else None
            why = f"The message about {message.milestone.replace('_', ' ')} was not sent: {message.detail}"
            found.append(Item("failed_message", name, message.failed_at, ended, why))
    return tuple(found)


def _routed_after(state: State, round_: int, lines: Units) -> datetime | None:
    """When a later round found nodes for any of these lines."""
    return min(
        (
            one.at
            for one in state.routing.decisions
            if one.routable and one.round > round_ and not lines.keys().isdisjoint(one.lines)
        ),
        default=None,
    )


def _found_after(state: State, work: NodeWork) -> datetime | None:
    """When another node was given work for any of what this one did not find."""
    return min(
        (
            one.released_at
            for one in state.fulfillment.work.values()
            if one.round > work.round and not work.short.keys().isdisjoint(one.lines)
        ),
        default=None,
    )


def unsettled(state: State) -> list[Item]:
    """Units that no node may ship and that were given up, until a person has seen to them: the close of the
    order is no answer to that."""
    care = state.intake.care
    return [
        one
        for one in items(state)
        if one.kind == "unroutable"
        and one.ended_at is None
        and not care.get(one.name, _UNTOUCHED).resolved_at
    ]


def _of_shipment(name: str, shipment: Dispatch) -> Iterator[Item]:
    if shipment.lost_at:
        units = sum(shipment.lost.values())
        why = f"{shipment.carrier} has lost {units} units."
        yield Item("lost", name, shipment.lost_at, None, why, shipment.node, units)
    if shipment.exception_at:
        moved_on = None if shipment.carrier_status == "exception" else shipment.carrier_status_at
        ended = shipment.delivered_at or shipment.lost_at or moved_on
        note = f": {shipment.carrier_note}" if shipment.carrier_note else "."
        why = f"{shipment.carrier} reports that something is the matter{note}"
        yield Item("carrier_exception", name, shipment.exception_at, ended, why, shipment.node)


def item_rows(tenant: str, order_id: str, state: State) -> list[ItemRow]:
    """The order's items with what people did about them; and what they did about its standing still."""
    care = state.intake.care
    if not care and not broken(state):
        return []
    rows = [_row(tenant, order_id, item, care.get(item.name, _UNTOUCHED)) for item in items(state)]
    for name, done in care.items():
        kind, _, which = name.partition("/")
        since = _since(kind, which)
        if since is not None:
            rows.append(_row(tenant, order_id, Item(kind, which, since, None, ""), done))
    return rows


def stuck_name(segment: str, since: datetime) -> str:
    """The item of an order that has stood in a segment since then: `stuck/pick 2026-03-02T09:00:00+00:00`."""
    return f"{STUCK}/{segment} {since.isoformat()}"


def _since(kind: str, which: str) -> datetime | None:
    """Since when an item lasts that time made; none, it is no name of such a one."""
    if kind in OF_PROMISES:
        which = f"{kind} {which}"
    return stuck_since(which) if kind == STUCK or kind in OF_PROMISES else None


def stuck_since(which: str) -> datetime | None:
    """Since when, of such a name; none if it is no such name."""
    try:
        since = datetime.fromisoformat(which.partition(" ")[2])
    except ValueError:
        return None
    return since if since.tzinfo else None


def _row(tenant: str, order_id: str, item: Item, care: Care) -> ItemRow:
    ends = [at for at in (item.ended_at, care.resolved_at) if at]
    return ItemRow(
        tenant,
        order_id,
        item.name,
        item.kind,
        item.since,
        min(ends, default=None),
        item.node,
        item.units,
        storable(item.reason),
        care.assignee,
        care.snoozed_until,
        care.snoozed_why,
        care.note,
    )
