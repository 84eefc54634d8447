"""What nodes with a daily capacity have promised to ship, by day; and what of it is an order's own.

A stream `load/…` of a node is a sum of what orders' events say (`loads`), from whatever lane, so the order in
which lanes are folded does not matter. Nodes that state no capacity have no such stream.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import date, timedelta
from typing import Protocol

from libs.events.places import DayLoad
from libs.events.record import record

LOAD_STREAM = "load/"
KEPT = timedelta(days=60)
"""Days that lie so far before the last one that is promised are forgotten."""
Booked = dict[str, dict[str, int]]
"""Units of an order by node, then by the day (ISO 8601) on which they are to leave it. Nothing at zero."""


class Move(Protocol):
    """A movement at a node."""

    @property
    def node(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def quantity(self) -> int: ...


@record
class LoadPart:
    """State of a stream `load/…`."""

    days: dict[str, int] = field(default_factory=dict)
    """Units promised, by day."""
    last: str = ""
    """The last day that anything was promised for."""


NO_LOAD = LoadPart()


def loaded(loads: Mapping[str, LoadPart], told: Iterable[DayLoad] | None) -> Mapping[str, LoadPart]:
    """The nodes' loads after what an event says of them."""
    for one in told or ():
        before, day = loads.get(one.node, NO_LOAD), one.day.isoformat()
        last = max(before.last, day)
        days = {**before.days, day: before.days.get(day, 0) + one.units}
        oldest = (date.fromisoformat(last) - KEPT).isoformat()
        kept = {name: units for name, units in days.items() if units and name >= oldest}
        loads = {**loads, one.node: LoadPart(kept, last)}
    return loads


def rebooked(booked: Booked | None, told: Iterable[DayLoad] | None) -> Booked | None:
    """What an order has booked after its event; None where nothing."""
    if told is None:
        return booked
    after = {node: dict(days) for node, days in (booked or {}).items()}
    for one in told:
        days, day = after.setdefault(one.node, {}), one.day.isoformat()
        days[day] = days.get(day, 0) + one.units
    return _without_nothing(after)


def shipped(booked: Booked | None, moves: Iterable[Move]) -> Booked | None:
    """What it has still booked once units have left: the first day's are gone first."""
    if booked is None:
        return None
    after = {node: dict(days) for node, days in booked.items()}
    for move in moves:
        if move.target == "issued":
            for day, units in taken(after.get(move.node, {}), move.quantity, last_first=False):
                after[move.node][day] -= units
    return _without_nothing(after)


def taken(days: Mapping[str, int], units: int, *, last_first: bool) -> list[tuple[str, int]]:
    """(day, units) of so many units of these, at most what there is."""
    found: list[tuple[str, int]] = []
    for day in sorted(days, reverse=last_first):
        part = min(units, days[day])
        if part > 0:
            found.append((day, part))
            units -= part
    return found


def _without_nothing(booked: Booked) -> Booked | None:
    kept = {node: {day: units for day, units in days.items() if units} for node, days in booked.items()}
    return {node: days for node, days in kept.items() if days} or None
