"""What may come back of an order, and what authorising a return of it, or receiving one, would come to."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from libs.events.record import record
from libs.events.returns import Disposition
from services.console.customer_view import returnable
from services.console.facts import State
from services.console.order_view import Preview, money

DISPOSITIONS: Mapping[Disposition, str] = {
    "restock": "Restock",
    "quarantine": "Set aside",
    "scrap": "Scrap",
}
"""What may become of a unit, and how people are asked."""
CONDITIONS: Mapping[str, str] = {
    "unopened": "Unopened",
    "opened": "Opened",
    "used": "Used",
    "damaged": "Damaged",
    "incomplete": "Incomplete",
    "wrong_item": "Another article",
}
"""What the console offers to say of a line's units."""


class Came(NamedTuple):
    """Units of one line that came, and what becomes of them."""

    line: int
    disposition: Disposition
    quantity: int
    condition: str = ""
    serials: tuple[str, ...] = ()
    """Of each unit, where the article has serial numbers."""


@record
class Awaited:
    """A line of a return, or of an order: how many units are still to come, or may."""

    line: int
    sku: str
    description: str
    units: int


def awaited(state: State, rma_id: str) -> tuple[Awaited, ...]:
    """Lines of the return that are not here yet; none of one that is closed or unknown."""
    rma = state.returns.rmas.get(rma_id)
    if rma is None:
        return ()
    came: dict[int, int] = {}
    for unit in rma.received:
        came[unit.line] = came.get(unit.line, 0) + unit.quantity
    named = _named(state)
    return tuple(
        Awaited(line, *named.get(line, (f"line {line}", "")), units - came.get(line, 0))
        for line, units in rma.lines.items()
        if units > came.get(line, 0)
    )


def may_come_back(state: State) -> tuple[Awaited, ...]:
    """Lines of which units have arrived that are under no return yet."""
    named = _named(state)
    return tuple(
        Awaited(line, *named.get(line, (f"line {line}", "")), units)
        for line, units in sorted(returnable(state).items())
    )


def preview_return(state: State, asked: Mapping[int, int]) -> Preview:
    """What authorising a return of these units by line would lead to; the returns stage decides."""
    left = {one.line: one for one in may_come_back(state)}
    asked = {line: units for line, units in asked.items() if units}
    if not left:
        return Preview(False, "Nothing of it has arrived that is not under a return already.")
    if not asked:
        return Preview(False, "Nothing is chosen: say of which line how many units may come back.")
    for line, units in asked.items():
        if line not in left:
            return Preview(False, f"Nothing of line {line} has arrived that is not under a return already.")
        if units > left[line].units:
            return Preview(False, f"Of line {line}, {left[line].units} units can come back, not {units}.")
    details = [
        f"{units} of {left[line].sku}: expected back, and received unit by unit."
        for line, units in asked.items()
    ]
    details += [f"Once they are here: {said}" for said in _money(state, asked)]
    return Preview(True, f"{_units(sum(asked.values()))} may come back.", tuple(details))


def shipped_from(state: State) -> tuple[str, ...]:
    """Nodes that shipped something of the order, in the order in which they did."""
    return tuple(dict.fromkeys(shipment.node for shipment in state.fulfillment.shipments.values()))


def preview_receipt(state: State, rma_id: str, node: str, came: Iterable[Came]) -> Preview:
    """What receiving these units at a node would do to stock and money."""
    left = {one.line: one for one in awaited(state, rma_id)}
    if not left:
        return Preview(False, "Nothing of this return is still to come.")
    if not node:
        return Preview(False, "Where did it come? Name the node.")
    came = [units for units in came if units.quantity]
    if not came:
        return Preview(False, "Nothing is chosen: say of which line how many units came.")
    by_line: dict[int, int] = {}
    for units in came:
        by_line[units.line] = by_line.get(units.line, 0) + units.quantity
    for line, total in by_line.items():
        if line not in left:
            return Preview(False, f"Nothing of line {line} is still to come under {rma_id}.")
        if total > left[line].units:
            return Preview(
                False,
                f"Line {line}: {total} units came, {left[line].units} are expected. Receive those, and "
                "authorise a return for the others.",
            )
    details = [_becomes(left[units.line].sku, node, units) for units in came]
    if node not in (shipped := shipped_from(state)):
        details.append(f"{node} shipped none of it ({', '.join(shipped)} did): the books move it there.")
    details += _money(state, by_line)
    rest = sum(one.units for one in left.values()) - sum(by_line.values())
    total = sum(by_line.values())
    ends = "the return is closed" if not rest else f"{rest} still to come"
    return Preview(True, f"{_units(total)} of {rma_id} received at {node}; {ends}.", tuple(details))


def _named(state: State) -> Mapping[int, tuple[str, str]]:
    """SKU and what it is, by line."""
    ordered = {line.line: (line.sku, line.description or "") for line in state.intake.lines}
    parts = {line: (part.sku, f"part of {part.bundle}") for line, part in state.inventory.parts.items()}
    return ordered | parts


def _becomes(sku: str, node: str, units: Came) -> str:
    what = {
        "restock": f"on the shelf at {node}, to be sold at once",
        "quarantine": f"set aside at {node}: not sold until somebody has looked and moved it",
        "scrap": "thrown away, no stock any more",
    }[units.disposition]
    condition = f", {units.condition.replace('_', ' ')}" if units.condition else ""
    named = f" ({', '.join(units.serials)})" if units.serials else ""
    return f"{units.quantity} of {sku}{named}{condition}: {what}."


def _money(state: State, by_line: Mapping[int, int]) -> list[str]:
    """What is owed back; the price of a bundle's part is for returns to work out."""
    prices = {line.line: line.unit_price_minor for line in state.intake.lines}
    if not all(line in prices for line in by_line):
        return ["What was paid for these parts of a bundle goes back."]
    back = sum(units * prices[line] for line, units in by_line.items())
    if not back:
        return []
    return [f"{money(back, state.intake.currency or '')} go back, unless more than was paid has gone back."]


def _units(count: int) -> str:
    return f"{count} unit{'' if count == 1 else 's'}"
