"""An order as its page shows it: its state put into what is to be read, and what an action would do to it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from babel.numbers import format_currency, get_currency_precision

from libs.events.record import record
from services.console.blockers import Blocker, blockers
from services.console.facts import State
from services.console.promises import OrderPromise, order_promise
from services.console.rules import Rule
from services.console.standing import (
    AT_REST,
    LineStanding,
    Milestones,
    line_standings,
    milestones,
    open_holds,
    part_standings,
    returned_units,
    status_of,
)

GONE = ("shipped", "in_transit", "delivered", "lost")


@record
class ShownLine:
    """A line of the order with its money, as text."""

    standing: LineStanding
    description: str
    price: str
    amount: str
    returned: int
    parts: Sequence[LineStanding] = ()
    """The lines that it is fulfilled by, where it is of bundles."""


@record
class OrderView:
    """All that the page reads besides the state itself."""

    order_id: str
    state: State
    status: str
    blocked: Sequence[Blocker]
    lines: Sequence[ShownLine]
    moments: Sequence[tuple[str, datetime | None]]
    charges: Sequence[tuple[str, str]]
    total: str
    declared: str
    refunded: str
    promise: OrderPromise | None


def order_view(
    order_id: str, state: State, rules: Sequence[Rule], parked: Sequence[Blocker] = ()
) -> OrderView:
    """Total: whatever is known of the order so far. `rules`: the tenant's, for exceptions. `parked`: what no
    event of the order says stands in its way."""
    intake, standings, back = state.intake, line_standings(state), returned_units(state)
    ordered = {line.line: line for line in intake.lines}
    currency, parts = intake.currency or "", part_standings(state)
    lines = []
    for standing in standings:
        line = ordered.get(standing.line)
        price = line.unit_price_minor if line else None
        lines.append(
            ShownLine(
                standing,
                (line.description if line else None) or "",
                money(price, currency),
                money(None if price is None else price * standing.ordered, currency),
                back.get(standing.line, 0),
                [one for one in parts if state.inventory.parts[one.line].of_line == standing.line],
            )
        )
    goods = sum(line.quantity * line.unit_price_minor for line in intake.lines)
    total = goods + sum(charge.amount_minor for charge in intake.charges)
    refunds = state.returns.refunds.values()
    return OrderView(
        order_id=order_id,
        state=state,
        status=status_of(state, standings),
        blocked=(*parked, *blockers(state, rules)),
        lines=tuple(lines),
        moments=moments(milestones(state)),
        charges=tuple((charge.kind, money(charge.amount_minor, currency)) for charge in intake.charges),
        total=money(total if intake.lines else None, currency),
        declared=money(intake.declared_total_minor, currency),
        refunded=money(sum(refund.amount_minor for refund in refunds) if refunds else None, currency),
        promise=order_promise(state),
    )


def moments(found: Milestones) -> tuple[tuple[str, datetime | None], ...]:
    """The seven moments by name, in their order."""
    names = ("confirmed", "paid", "routed", "picking", "shipped", "picked_up", "delivered")
    return tuple((name.replace("_", " "), getattr(found, name)) for name in names)


def money(amount_minor: int | None, currency: str, locale: str = "en") -> str:
    """An amount as people write it; empty for none."""
    if amount_minor is None:
        return ""
    amount = (
        Decimal(amount_minor).scaleb(-get_currency_precision(currency)) if currency else Decimal(amount_minor)
    )
    return format_currency(amount, currency or "XXX", locale=locale)


@record
class Preview:
    """What an action would come to, before anybody confirms it. Without `possible` it would be refused."""

    possible: bool
    sentence: str
    details: Sequence[str] = ()
    warning: str = ""
    """What whoever confirms it is to think of first."""


def preview_release(state: State, hold: str) -> Preview:
    """What the release of a hold would lead to."""
    open_ = [one.name for one in open_holds(state)]
    if state.intake.closed_at is not None or hold not in open_:
        return Preview(False, f"No open hold {hold} blocks this order.")
    rest = [name for name in open_ if name != hold]
    if rest:
        return Preview(True, f"Hold {hold} is lifted. {len(rest)} still block: {', '.join(rest)}.")
    if state.intake.accepted_at is not None:
        return Preview(True, f"Hold {hold} is lifted; it is the last. The order goes on to the nodes.")
    return Preview(
        True, f"Hold {hold} is lifted; it is the last. The order is accepted, and stock is promised to it."
    )


def preview_cancel(state: State) -> Preview:
    """What a cancellation could still stop, as far as the console knows; fulfillment decides."""
    intake = state.intake
    if intake.closed_at is not None or intake.rejected_at is not None:
        return Preview(False, "The order has come to its end; nothing of it can be cancelled.")
    if intake.captured_at is None:
        return Preview(False, "Intake's own news of this order has not arrived yet.")
    if intake.accepted_at is None:
        return Preview(True, "The order is held, and nobody else knows it yet: it is closed as cancelled.")
    stopped, gone = _units(state, AT_REST), _units(state, GONE)
    details = [f"{units} of {sku} {name}: can be stopped" for (sku, name), units in stopped.items()]
    details += [f"{units} of {sku} {name}: cannot" for (sku, name), units in gone.items()]
    if not stopped:
        return Preview(False, "Everything has left the nodes; ask for a return instead.", tuple(details))
    units = sum(stopped.values())
    what = f"Up to {units} units are stopped, their stock given back, and what was paid for them refunded."
    return Preview(True, what, tuple(details))


def _units(state: State, names: Sequence[str]) -> Mapping[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for line in line_standings(state):
        for name, units in line.units.items():
            if name in names:
                key = (line.sku, name.replace("_", " "))
                found[key] = found.get(key, 0) + units
    return found
