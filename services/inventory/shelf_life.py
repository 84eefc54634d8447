"""How many of a SKU's units a channel may be promised that asks for lots with days left, and where they are.

A channel's minimum is a last day that a lot has to have, so what one channel may have is all, or what lasts
longest: whoever asks for more days may have less of the same. So every promise can be kept if, for each of
these days, no more units are promised to who asks for it or a later one than are on hand of lots that last so
long: who asks for less can always be given what is older. A promise of somebody who asks for nothing counts
against the whole alone; and an allocation to him may not take units that are promised to who asks for more.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from libs.events.record import record
from services.inventory.lots import Lots

NO_DAY = ""
"""Before any last day."""


Promised = Iterable[tuple[str | None, int]]
"""Channel and units of each promise."""


class Room:
    """Units on hand that last until each day that some channel asks for, less those that are promised to who
    asks for that day or a later one. Below zero, too many are promised. It counts down as units are given.
    Units at nodes that are `closed` are none."""

    def __init__(self, lots: Lots, promised: Promised, closed: Collection[str] = ()) -> None:
        self._days = days_asked(lots)
        self.left = dict.fromkeys(sorted(set(self._days.values())), 0)
        """By last day, the first in front."""
        for place, units in lots.units.items():
            if place.startswith("on_hand/") and place.partition("/")[2] not in closed:
                for lot, quantity in units.items():
                    self._add(lots.lasts(lot), quantity)
        for channel, quantity in promised:
            self._add(self.day(channel), -quantity)

    def day(self, channel: str | None) -> str:
        """The last day that a lot has to have for a channel."""
        return self._days.get(channel or "", NO_DAY)

    def spare(self, channel: str | None) -> int | None:
        """Units that may yet be promised to a channel, for their age; None, as many as are free. Below zero,
        so many are promised too many."""
        day = self.day(channel)
        return min((left for asked, left in self.left.items() if asked <= day), default=None)

    def give(self, channel: str | None, units: int) -> None:
        """So many are promised to a channel."""
        self._add(self.day(channel), -units)

    def kept(self, free: int, channel: str | None, buffer: int) -> int:
        """Free units that a channel may not have for their age, and its buffer of the others."""
        spare = self.spare(channel)
        return 0 if spare is None else free - spare + buffer

    def _add(self, day: str, units: int) -> None:
        for asked in self.left:
            if asked <= day:
                self.left[asked] += units


def days_asked(lots: Lots) -> dict[str, str]:
    """The last day that a lot has to have, by channel that asks for one."""
    return {channel: limit.expires_from for channel, limit in lots.limits.items()}


def lasting(lots: Lots, day: str) -> int:
    """Units on hand of lots that may be sold on a day (an ISO date)."""
    return sum(
        quantity
        for place, units in lots.units.items()
        if place.startswith("on_hand/")
        for lot, quantity in units.items()
        if lots.lasts(lot) >= day
    )


@record
class Overdrawn:
    """Units of lots that last until a day of which too many are promised, and to whose channels."""

    units: int
    channels: frozenset[str]


def overdrawn(lots: Lots, promised: Promised) -> Overdrawn | None:
    """Of the latest such day; None where all promises can be kept."""
    left = Room(lots, promised).left
    for day, units in reversed(left.items()):
        if units < 0:
            asking = frozenset(channel for channel, asked in days_asked(lots).items() if asked >= day)
            return Overdrawn(-units, asking)
    return None


def by_node(
    lots: Lots,
    promised: Promised,
    channel: str | None,
    at: datetime | None = None,
    first: Iterable[str] = (),
    closed: Collection[str] = (),
) -> dict[str, int]:
    """Units on hand at each node that an order of the channel may be allocated, all of them together: of lots
    that last long enough for it, and that nobody was promised who asks for more. With `at`, as they
    are at that moment, whatever was looked at; nodes of `first` have what is scarce before others, and those
    that are `closed` have none."""
    room = Room(lots, promised, closed)
    mine = room.day(channel)
    scarce = {day: max(0, left) for day, left in room.left.items() if day > mine}
    found = dict[str, int]()
    nodes = [place.partition("/")[2] for place in lots.units if place.startswith("on_hand/")]
    for node in dict.fromkeys([*first, *sorted(nodes)]):
        if node in closed:
            continue
        there = lots.there("on_hand", node)
        for lot in lots.first_expired(there):
            lasts = lots.lasts(lot)
            if lasts < mine:
                continue
            if at is not None and (lots.stopped(lot, at) or lots.too_old(lot, channel, at)):
                continue
            days = [day for day in scarce if day <= lasts]
            units = min([there[lot], *(scarce[day] for day in days)])
            for day in days:
                scarce[day] -= units
            if units:
                found[node] = found.get(node, 0) + units
    return found
