"""Units of measure: what somebody states in cases or pallets, in the base units that the ledger counts.

A conversion is a fraction of whole numbers and exact: what does not come out whole is refused, never rounded.
It is made when the statement is decided, by the units that the SKU has then, and the event keeps what was
stated. Packs of a feed, whose size comes with the row, take the same way.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeVar, cast

from libs.events.contract import Contract, Event
from libs.events.feeds import ReportStock
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.items import HOLDS_MAX, DefineItem
from libs.events.measure import BASE_UNIT, Stated
from libs.events.stocktaking import RecordCount
from libs.events.supply import ExpectSupply, ReceiveSupply
from services.inventory.desk import Desk

Measured = ReceiveStock | AdjustStock | RecordCount | ExpectSupply | ReceiveSupply
"""Commands whose quantities may be stated in a unit."""
Command = TypeVar("Command", bound=Measured)
_QUANTITIES: Mapping[type[Contract], tuple[str, ...]] = {
    ReceiveStock: ("quantity",),
    AdjustStock: ("delta",),
    RecordCount: ("counted",),
    ExpectSupply: ("quantity",),
    ReceiveSupply: ("quantity", "damaged"),
    ReportStock: ("packs",),
}
_MOST: Mapping[type[Contract], int] = {RecordCount: 1_000_000_000}
"""Base units that one command may be about; as its contract says of what is stated in them."""
_MOST_OTHERWISE = 1_000_000


def not_to_define(desk: Desk, command: DefineItem) -> list[Event]:
    """A refusal of units that say nothing, or two things."""
    found: dict[str, Fraction] = {BASE_UNIT: Fraction(1)}
    for one in command.units:
        if one.unit in found:
            return desk.refuse(
                "unit_twice",
                f"{one.unit} of {desk.sku} is defined twice.",
                f"Define each unit once; {BASE_UNIT} is the base and needs no definition.",
            )
        if one.of not in found:
            return desk.refuse(
                "unknown_unit",
                f"{one.unit} of {desk.sku} is said to hold {one.of}, which is not defined before it.",
                f"Define {one.of} first, or say how many {BASE_UNIT} it holds.",
            )
        found[one.unit] = ratio = found[one.of] * one.holds / one.per
        if ratio > HOLDS_MAX or ratio.denominator > HOLDS_MAX:
            return desk.refuse(
                "unit_too_large",
                f"One {one.unit} of {desk.sku} would be {ratio} {BASE_UNIT}; at most {HOLDS_MAX} "
                "are allowed, and parts no smaller than one in as many.",
                "Check what it holds, and of which unit.",
            )
    return []


def measured(desk: Desk, command: Command, decide: Callable[[Desk, Command], list[Event]]) -> list[Event]:
    """`decide` on the command in base units; its events keep what was stated."""
    if command.unit is None:
        return decide(desk, command)
    names, converted = _QUANTITIES[type(command)], dict[str, int]()
    for name in names:
        quantity = cast(int, getattr(command, name))
        found = whole(desk, quantity, command.unit, _MOST.get(type(command), _MOST_OTHERWISE))
        if not isinstance(found, int):
            return found
        converted[name] = found
    stated = stated_by(desk, command)
    events = decide(desk, cast(Command, command.model_copy(update=converted)))
    return [
        event.model_copy(update={"stated": stated}) if "stated" in type(event).model_fields else event
        for event in events
    ]


def told_units(desk: Desk, command: ReportStock) -> int | list[Event]:
    """What a feed's row tells, in base units: packs of a size that it says, or of a unit of the SKU."""
    if command.unit is None:
        return command.packs * command.pack_size
    if command.pack_size != 1:
        return desk.refuse(
            "two_pack_sizes",
            f"The row of {desk.sku} says packs of {command.pack_size} and the unit {command.unit}.",
            "Send the pack_size, or the unit.",
        )
    return whole(desk, command.packs, command.unit, 10**15)


def whole(desk: Desk, quantity: int, unit: str, most: int) -> int | list[Event]:
    """A quantity of a unit in base units; or the refusal of one that the SKU does not have, or of a quantity
    that does not come out whole or is more than `most`."""
    units = desk.supply.units_of_measure
    ratios = {} if units is None else units.ratios
    if unit != BASE_UNIT and unit not in ratios:
        known = ", ".join([BASE_UNIT, *sorted(ratios)])
        return desk.refuse(
            "unknown_unit",
            f"{desk.sku} has no unit {unit}; it has {known}.",
            "Check its spelling, or define it: PUT /v1/stock/items/{sku}, `orderlog stock item`.",
        )
    holds, per = ratios.get(unit, (1, 1))
    converted, rest = divmod(quantity * holds, per)
    if rest:
        return desk.refuse(
            "not_whole",
            f"{quantity} {unit} of {desk.sku} are no whole number of {BASE_UNIT}: {per} {unit} are {holds}.",
            "State what is there in the smaller unit, or check what the unit holds.",
        )
    if abs(converted) > most:
        return desk.refuse(
            "too_many_units",
            f"{quantity} {unit} of {desk.sku} are {converted} {BASE_UNIT}; at most {most} are taken at once.",
            "Check the quantity and its unit.",
        )
    return converted


def stated_by(desk: Desk, command: Measured | ReportStock) -> Stated | None:
    """What a command states, as its event keeps it; None for base units."""
    if command.unit is None:
        return None
    first, *more = [cast(int, getattr(command, name)) for name in _QUANTITIES[type(command)]]
    units = desk.supply.units_of_measure
    version = None if units is None or command.unit == BASE_UNIT else units.version
    return Stated(
        unit=command.unit,
        quantity=first,
        damaged=more[0] if more else None,
        item_version=version,
    )
