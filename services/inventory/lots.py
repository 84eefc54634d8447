"""Where the lots of a SKU are: counted from its movements, each of which names the lot that it moves.

The units of a lot are in the same buckets as those of the SKU, and add up to them. What comes into the house
(from a supplier, on a purchase order, found) says its lot; what moves on takes the lot that expires first, of
those that are where it is taken from, or that the order has.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, Protocol

from libs.events.inventory import NETWORK
from libs.events.lots import LotsLimited
from libs.events.record import record

LotState = Literal["good", "expired", "quarantined"]
LotUnits = dict[str, dict[str, int]]
"""Units by place (bucket/node, of an order bucket/node/SKU), then by lot. Nothing at zero is kept."""
LOTLESS = frozenset({"supplier", "adjustment", "inbound"})
"""Buckets from which a unit comes into the house, or has not come yet: no lot is known of it there."""
OF_SKU = frozenset({"on_hand", "allocated", "in_transit", "quarantine", "damaged", "suspect"})
OF_ORDER = frozenset({"allocated", "issued"})
NO_LOT = ""
"""Units that came without one, too many on a transfer: in quarantine, and never on hand."""
_LAST = "9999-12-31"


class AnyMove(Protocol):
    """A movement at a node."""

    @property
    def sku(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def lot(self) -> str | None: ...
    @property
    def serials(self) -> tuple[str, ...] | None: ...


@record
class Lot:
    """One lot of a SKU."""

    expires_on: str
    """ISO date: the last day on which it may be sold."""
    state: LotState = "good"


@record
class Limit:
    """What a channel asks of the lots that it is given."""

    days_min: int
    """So many days before its last a lot is not given to the channel any more."""
    expires_from: str
    """ISO date: the first last day of which a lot was given to it, when that was last looked at."""


@record
class Lots:
    """The lots of a SKU that has some."""

    days_min: int = 0
    """So many days before its last a lot is sold no more."""
    named: dict[str, Lot] = field(default_factory=dict)
    units: LotUnits = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=dict)
    """By channel, where the SKU's terms ask for days that are left."""
    baskets: dict[str, str] = field(default_factory=dict)
    """Channels of held baskets, by promise id, where the SKU has terms."""

    def leaves_at(self, lot: str) -> datetime:
        """From when on it is sold no more: the end of its last day, or so many days before."""
        return leaves_at(date.fromisoformat(self.named[lot].expires_on), self.days_min)

    def stopped(self, lot: str, at: datetime) -> bool:
        """Whether units of it may not be sold at a moment."""
        one = self.named.get(lot)
        return one is None or one.state != "good" or self.leaves_at(lot) <= at

    def too_old(self, lot: str, channel: str | None, at: datetime) -> bool:
        """Whether a channel may not be given units of it at a moment, which others may."""
        limit = self.limits.get(channel or "")
        if limit is None:
            return False
        return self.lasts(lot) < max(limit.expires_from, expires_from(limit.days_min, at))

    def lasts(self, lot: str) -> str:
        """Its last day, an ISO date; before any other where it is not known."""
        one = self.named.get(lot)
        return "" if one is None else one.expires_on

    def there(self, bucket: str, node: str) -> Mapping[str, int]:
        """Units in a bucket of a node, by lot."""
        return self.units.get(f"{bucket}/{node}", {})

    def sellable(self, node: str, at: datetime) -> int:
        """Units on hand at a node that may be sold at a moment."""
        return sum(n for lot, n in self.there("on_hand", node).items() if not self.stopped(lot, at))

    def nodes(self, bucket: str, lot: str) -> list[tuple[str, int]]:
        """(node, units) of a lot in a bucket, by node."""
        prefix = bucket + "/"
        return [
            (place.removeprefix(prefix), units[lot])
            for place, units in sorted(self.units.items())
            if place.startswith(prefix) and lot in units
        ]

    def next_check(self) -> datetime | None:
        """When the next good lot is sold no more, or is too old for a channel."""
        good = [(lot, one) for lot, one in self.named.items() if one.state == "good"]
        found = [self.leaves_at(lot) for lot, _ in good]
        for limit in self.limits.values():
            found += [
                leaves_at(date.fromisoformat(one.expires_on), limit.days_min)
                for _, one in good
                if one.expires_on >= limit.expires_from
            ]
        return min(found, default=None)

    def first_expired(self, units: Mapping[str, int]) -> list[str]:
        """Lots in the order in which they are taken; those without one last."""

        def last_day(lot: str) -> tuple[str, str]:
            one = self.named.get(lot)
            return (one.expires_on if one else _LAST, lot)

        return sorted(units, key=last_day)


def expires_from(days_min: int, at: datetime) -> str:
    """The first last day (an ISO date) of lots that have so many days left at a moment."""
    return (at.date() + timedelta(days=days_min)).isoformat()


def leaves_at(expires_on: date, days_min: int) -> datetime:
    """The end of a lot's last day in UTC, less so many days."""
    return datetime.combine(expires_on, time(), UTC) + timedelta(days=1 - days_min)


def moved_lots(lots: Lots, moves: Iterable[AnyMove]) -> Lots:
    """The lots after movements of their SKU."""
    units = lots.units
    for move in moves:
        if move.node == NETWORK:
            continue
        for bucket, delta in ((move.source, -move.quantity), (move.target, move.quantity)):
            if bucket in OF_SKU:
                units = _added(units, f"{bucket}/{move.node}", move.lot or NO_LOT, delta)
    return lots if units is lots.units else Lots(lots.days_min, lots.named, units, lots.limits, lots.baskets)


def limited(lots: Lots, event: LotsLimited) -> Lots:
    """The lots once it was looked at which of them channels are given."""
    limits = {one.channel: Limit(one.shelf_days_min, one.expires_from.isoformat()) for one in event.limits}
    return Lots(lots.days_min, lots.named, lots.units, limits, lots.baskets)


def of_baskets(lots: Lots, held: Mapping[str, int], before: Mapping[str, int], channel: str | None) -> Lots:
    """The lots with the channel of baskets that are new, and without those of baskets that are over."""
    kept = {id_: known for id_, known in lots.baskets.items() if id_ in held}
    if channel is not None:
        kept |= {id_: channel for id_ in held if id_ not in before}
    return Lots(lots.days_min, lots.named, lots.units, lots.limits, kept)


def lots_of_order(units: LotUnits | None, moves: Iterable[AnyMove]) -> LotUnits | None:
    """Which lots an order has, and was sent, after movements; None while no SKU of it has lots."""
    for move in moves:
        if move.lot is None:
            continue
        for bucket, delta in ((move.source, -move.quantity), (move.target, move.quantity)):
            if bucket in OF_ORDER:
                units = _added(units or {}, f"{bucket}/{move.node}/{move.sku}", move.lot, delta)
    return units or None


class LotPicks:
    """Which lots the movements of one event take of one SKU."""

    def __init__(
        self,
        sku: str,
        lots: Lots,
        of_order: LotUnits | None,
        at: datetime | None,
        channel: str | None = None,
    ) -> None:
        """`of_order`: the event is an order's, which has these; `at`: nothing that is stopped by then, or
        too old for the channel, leaves the shelf."""
        self._sku, self._lots, self._of_order, self._at = sku, lots, of_order, at
        self._channel = channel
        self._left: LotUnits = {}

    def split(
        self, node: str, source: str, target: str, quantity: int, lot: str | None
    ) -> Iterator[tuple[str | None, int]]:
        """(lot, units) of a movement: of the lot that is named, else those that expire first."""
        taken = [(lot or NO_LOT, quantity)]
        if source not in LOTLESS:
            taken = list(self._take(source, node, quantity, lot))
        for name, units in taken:
            place = self._place(target, node)
            place[name] = place.get(name, 0) + units
            yield name or None, units

    def _take(self, source: str, node: str, quantity: int, lot: str | None) -> Iterator[tuple[str, int]]:
        place = self._place(source, node)
        for name in self._lots.first_expired(place) if lot is None else (lot,):
            if source == "on_hand" and self._at is not None and self._kept(name, self._at):
                continue
            units = min(quantity, place.get(name, 0))
            if units:
                place[name] -= units
                quantity -= units
                yield name, units
        assert not quantity, f"{self._sku}: {quantity} units more leave {source} of {node} than its lots have"

    def _kept(self, lot: str, at: datetime) -> bool:
        return self._lots.stopped(lot, at) or self._lots.too_old(lot, self._channel, at)

    def _place(self, bucket: str, node: str) -> dict[str, int]:
        """What of a place is left in this event; units between nodes are nowhere else."""
        key = bucket if bucket == "transfer" else f"{bucket}/{node}"
        if key not in self._left:
            known: Mapping[str, int] = self._lots.units.get(key, {})
            if self._of_order is not None and bucket in OF_ORDER:
                known = self._of_order.get(f"{key}/{self._sku}", {})
            self._left[key] = dict(known)
        return self._left[key]


def _added(units: LotUnits, place: str, lot: str, delta: int) -> LotUnits:
    there = dict(units.get(place, {}))
    total = there.pop(lot, 0) + delta
    if total:
        there[lot] = total
    rest = {key: found for key, found in units.items() if key != place}
    return {**rest, place: there} if there else rest
