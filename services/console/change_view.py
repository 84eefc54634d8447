"""What a change by support would come to, before anybody confirms it; fulfillment decides in the end."""

from collections.abc import Mapping
from datetime import datetime

from libs.events.record import record
from services.console.amend_view import terms_now
from services.console.facts import State
from services.console.order_view import Preview, money, preview_cancel
from services.console.standing import AT_REST, WITHOUT_WORK, LineStanding, line_standings

FREE = (*WITHOUT_WORK, "unroutable")
"""What a unit can be that has no node's work yet."""
HOLDS: Mapping[str, str] = {
    "customer_request": "The customer asked to wait",
    "fraud_review": "Fraud is suspected",
    "address_check": "The address is in doubt",
    "payment_check": "The payment is in doubt",
    "other": "Something else",
}
"""Holds that the console offers, and what each is for."""
_UNSERVED = (
    "No node ships to {country}. If it is asked for all the same, routing finds no node once its stock is"
    " there: the order is given up, its stock is free for others, the customer is told, and what was paid"
    " goes back."
)


@record
class Choice:
    """A line of which units may be cancelled: how many, and how many are past it."""

    line: int
    sku: str
    description: str
    may: int
    past: int


@record
class Outcome:
    """What came of a cancellation of lines: a sentence; still to be decided without `decided_at`."""

    requested_at: datetime
    decided_at: datetime | None
    cancelled: str
    kept: str


def choices(state: State) -> tuple[Choice, ...]:
    """Each line that has units still to be shipped."""
    named = {line.line: line.description or "" for line in state.intake.lines}
    found = []
    for line in line_standings(state):
        may = _may(line)
        past = sum(units for name, units in line.units.items() if name in AT_REST) - may
        if may + past > 0:
            found.append(Choice(line.line, line.sku, named.get(line.line, ""), may, past))
    return tuple(found)


def changeable(state: State) -> bool:
    """Whether anything of the order can still be changed."""
    intake = state.intake
    return intake.captured_at is not None and intake.closed_at is None and intake.rejected_at is None


def preview_lines(state: State, asked: Mapping[int, int]) -> Preview:
    """What cancelling these units by line would do to stock, work and money."""
    if not changeable(state):
        return Preview(False, "The order has come to its end, or intake's news of it is not here yet.")
    standings = {line.line: line for line in line_standings(state)}
    asked = {line: units for line, units in asked.items() if units}
    if not asked:
        return Preview(False, "Nothing is chosen: say of which line how many units.")
    unknown = [line for line in asked if line not in standings]
    if unknown:
        return Preview(False, f"The order has no line {unknown[0]}.")
    left = {number: _uncancelled(line) for number, line in standings.items()}
    over = [line for line, units in asked.items() if units > left[line]]
    if over:
        return Preview(False, f"Line {over[0]} has {left[over[0]]} units that are not cancelled.")
    if all(asked.get(line, 0) == units for line, units in left.items()):
        whole = preview_cancel(state)
        return Preview(whole.possible, f"That is all that is left. {whole.sentence}", whole.details)
    details: list[str] = []
    stopped = {line: min(units, _may(standings[line])) for line, units in asked.items()}
    for number, units in stopped.items():
        details += _effects(standings[number], units, asked[number] - units)
    details += _money(state, stopped)
    if not any(stopped.values()):
        return Preview(False, "A node has picked all of it, or it has left: ask for a return later.", details)
    total = sum(stopped.values())
    return Preview(True, f"{total} unit{'' if total == 1 else 's'} will not be shipped.", tuple(details))


def preview_hold(state: State) -> Preview:
    """Whether a hold would still come in time."""
    if not changeable(state):
        return Preview(False, "The order has come to its end, or intake's news of it is not here yet.")
    if state.fulfillment.work:
        return Preview(False, "A node has work of it already: cancel lines, or the order.")
    return Preview(True, "It is kept from the nodes until the hold is released; its stock is kept for it.")


def preview_amend(state: State, country: str, service: str, *, unserved: bool = False) -> Preview:
    """What an amendment would come to, as far as the console knows; fulfillment decides. None of the address
    but its country is looked at, which may be `unserved`: no node ships there."""
    intake, now = state.intake, terms_now(state)
    if intake.captured_at is None or intake.closed_at is not None or intake.rejected_at is not None:
        return Preview(False, "The order has come to its end, or intake's news of it is not here yet.")
    if not country and not service:
        return Preview(False, "Nothing is asked for: write the new address, or choose a service.")
    at_nodes = [
        f"{name} is at {work.node}"
        for name, work in state.fulfillment.work.items()
        if work.cancelled_at is None and (work.picked or not work.short)
    ]
    if at_nodes:
        then = "Cancel what is not picked yet, and order it anew with the right address or service."
        return Preview(False, f"Too late: {', '.join(at_nodes[:3])}. {then}")
    details: list[str] = []
    warning = _UNSERVED.format(country=country) if country and unserved else ""
    if country:
        before = f" instead of {now.country}" if now.country and now.country != country else ""
        details.append(f"It goes to the new address in {country}{before}; the customer is told of it.")
    if service:
        before = f" instead of {now.service}" if now.service and now.service != service else ""
        details.append(f"It is sent by {service}{before}.")
    if intake.accepted_at is None:
        return Preview(True, "The order is held: it is amended at once.", tuple(details), warning)
    details.append("Its stock stays promised to it; nodes are chosen and a date is promised anew.")
    details.append("Fulfillment decides: if a node has work of the order by then, it stays as it was.")
    return Preview(True, "Nothing of it is at a node yet: it can be amended.", tuple(details), warning)


def outcomes(state: State) -> tuple[Outcome, ...]:
    """What became of each cancellation of lines, the last one first."""
    skus = {line.line: line.sku for line in state.intake.lines}

    def told(units: Mapping[int, int]) -> str:
        return ", ".join(f"{count} of {skus.get(line, f'line {line}')}" for line, count in units.items())

    found = []
    for name, at in state.intake.line_cancellations.items():
        one = state.fulfillment.line_cancellations.get(name)
        if one is None:
            found.append(Outcome(at, None, "", ""))
        else:
            found.append(Outcome(at, one.at, told(one.cancelled), one.why_kept))
    return tuple(reversed(found))


def _may(line: LineStanding) -> int:
    """Units that no node has picked."""
    return sum(line.units.get(name, 0) for name in (*FREE, "released"))


def _uncancelled(line: LineStanding) -> int:
    return line.ordered - line.units.get("cancelled", 0)


def _effects(line: LineStanding, stopped: int, too_late: int) -> list[str]:
    """What becomes of a line's units, those without a node first."""
    found, left = [], stopped
    for name in (*FREE, "released"):
        units = min(left, line.units.get(name, 0))
        if not units:
            continue
        left -= units
        stock = {
            "backordered": "not waited for any more",
            "released": "taken off the work of its node, back on the shelf",
        }.get(name, "its stock is free for others")
        found.append(f"{units} of {line.sku} {name.replace('_', ' ')}: {stock}.")
    if too_late:
        found.append(f"{too_late} of {line.sku}: picked already or gone, they stay in the order.")
    return found


def _money(state: State, stopped: Mapping[int, int]) -> list[str]:
    """What the customer gets back or does not pay, and what the order comes to then."""
    intake = state.intake
    prices = {line.line: line.unit_price_minor for line in intake.lines}
    back = sum(units * prices.get(line, 0) for line, units in stopped.items())
    currency = intake.currency or ""
    if not back:
        return []
    before = sum(_uncancelled(line) * prices.get(line.line, 0) for line in line_standings(state))
    after = before - back + sum(charge.amount_minor for charge in intake.charges)
    amount, total = money(back, currency), money(after, currency)
    if intake.payment == "on_account":
        return [f"{amount} less is charged; goods and charges then come to {total}."]
    return [f"{amount} of what was paid goes back; goods and charges then come to {total}."]
