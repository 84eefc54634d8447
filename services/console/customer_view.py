"""What a customer sees of their order: no actor, no internal reason, nothing of how it is done."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from libs.events.record import record
from services.console.amend_view import Amended, amendments
from services.console.facts import State
from services.console.parts import whole_bundles
from services.console.promises import order_promise
from services.console.standing import line_standings, status

_TOLD = {
    "incoming": "received",
    "held": "received",
    "accepted": "received",
    "backordered": "preparing",
    "short_picked": "preparing",
    "reserved": "preparing",
    "in_review": "preparing",
    "routed": "preparing",
    "allocated": "preparing",
    "released": "preparing",
    "picking": "preparing",
    "packed": "preparing",
    "shipped": "on_its_way",
    "in_transit": "on_its_way",
    "delivered": "delivered",
    "partly_delivered": "delivered",
    "cancelled": "cancelled",
    "rejected": "cancelled",
    "unroutable": "ask",
    "lost": "ask",
}
"""Status → what is said of it; of units too."""


@record
class CustomerLine:
    """A line: how many units stand where, and how many may still be sent back."""

    line: int
    sku: str
    description: str
    ordered: int
    units: Mapping[str, int]
    returnable: int


@record
class CustomerParcel:
    """A parcel on its way, or there."""

    carrier: str
    tracking_number: str
    dispatched_at: datetime
    delivered_at: datetime | None


@record
class CustomerReturn:
    """A return that was registered: units that have come back, of those that may."""

    rma_id: str
    came_back: int
    due: int


@record
class CustomerView:
    """All of the page."""

    external_id: str
    placed_at: datetime | None
    standing: str
    lines: Sequence[CustomerLine]
    parcels: Sequence[CustomerParcel]
    returns: Sequence[CustomerReturn]
    changed: str = ""
    """What became of the last change of address or service: done, asked, too_late; empty without one."""
    deliver_by: date | None = None
    """As it is promised now, of what is still to come."""

    @property
    def returnable(self) -> bool:
        return any(line.returnable for line in self.lines)


def customer_view(state: State) -> CustomerView:
    """The page of an order. Total."""
    found, promise = amendments(state), order_promise(state)
    due = promise.expected if found and promise and promise.delivered_on is None else None
    described = {line.line: line.description or "" for line in state.intake.lines}
    rest = returnable(state)
    return CustomerView(
        external_id=state.intake.external_id or "",
        placed_at=state.intake.placed_at or state.intake.captured_at,
        standing=_TOLD[status(state)],
        lines=tuple(
            CustomerLine(
                line.line,
                line.sku,
                described.get(line.line, ""),
                line.ordered,
                _told(line.units),
                rest.get(line.line, 0),
            )
            for line in line_standings(state)
        ),
        parcels=tuple(
            CustomerParcel(s.carrier, parcel.tracking_number or "", s.dispatched_at, s.delivered_at)
            for s in state.fulfillment.shipments.values()
            for parcel in s.packages
        ),
        returns=tuple(
            CustomerReturn(name, sum(unit.quantity for unit in rma.received), sum(rma.lines.values()))
            for name, rma in state.returns.rmas.items()
        ),
        changed=_changed(found[0]) if found else "",
        deliver_by=due.deliver_by if due else None,
    )


def _changed(last: Amended) -> str:
    if last.decided_at is None:
        return "asked"
    return "too_late" if last.declined else "done"


def returnable(state: State) -> dict[int, int]:
    """Units by line that arrived and that no return names yet, of a line of bundles whole ones; the returns
    stage decides in the end."""
    rest = dict(state.returns.returnable)
    for rma in state.returns.rmas.values():
        for line, units in rma.lines.items():
            rest[line] = rest.get(line, 0) - units
    rest = {line: units for line, units in rest.items() if units > 0}
    return rest | whole_bundles(state.inventory.parts, rest)


def _told(units: Mapping[str, int]) -> dict[str, int]:
    told: dict[str, int] = {}
    for name, count in units.items():
        told[_TOLD[name]] = told.get(_TOLD[name], 0) + count
    return told
