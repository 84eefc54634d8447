"""The part of the proof that is about lots: each is conserved, and none is allocated once it is stopped.

For `services.inventory.proof`, which walks the log and tells what is wrong. Of a SKU without lots nothing is
kept. That a lot was stopped, or released again, may be read before or after an allocation of it that stands
in another lane; the positions that these events name say which came first.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

from libs.events.contract import Event, OrderEvent
from libs.events.inventory import NETWORK
from libs.events.items import ItemDefined
from libs.events.lots import LotExpired, LotQuarantined, LotReleased
from libs.events.stocktaking import CountRecorded
from services.inventory.lots import LOTLESS, OF_ORDER
from services.inventory.proof_rows import LogRow
from services.inventory.proof_shelf import ShelfLifeSoFar
from services.inventory.stock import AnyMovement

Place = TypeVar("Place", bound=Hashable)
_LotKey = tuple[str, str, str]
"""Tenant, SKU and lot."""
_UNCOUNTED = LOTLESS | {"transfer"}
"""Buckets that may be below zero in a lot."""
_OF_A_LOT = frozenset({"on_hand", "allocated", "issued"})
"""Buckets in which each unit of a SKU that has lots is of one."""


class LotsSoFar:
    """What the log says of lots."""

    def __init__(self) -> None:
        self._with_lots: set[tuple[str, str]] = set()
        self._units: dict[tuple[_LotKey, str, str], int] = {}
        """By lot, node and bucket."""
        self._of_orders: dict[tuple[_LotKey, str, str, str], int] = {}
        """Allocated and issued units by lot, order, node and bucket."""
        self._stopped: dict[_LotKey, int] = {}
        """The position that the lot was stopped behind, as long as it is."""
        self._last: dict[_LotKey, tuple[int, LogRow]] = {}
        """The last allocation of the lot."""
        self._doubted: dict[_LotKey, tuple[int, LogRow]] = {}
        """One that stands behind the stop of its lot; its release may be yet to be read."""
        self._shelf = ShelfLifeSoFar()

    def take(self, row: LogRow, event: Event, moves: Iterable[AnyMovement]) -> str:
        """Apply an event; what is wrong with it, if anything is."""
        if isinstance(event, ItemDefined):
            found = self._with_lots
            (found.add if event.lot_controlled else found.discard)((row.tenant, event.sku))
        elif isinstance(event, LotExpired | LotQuarantined | LotReleased):
            self._stop(row, event)
        if not self._with_lots:
            return ""
        self._shelf.take(row, event)
        if isinstance(event, CountRecorded) and (says := _miscounted(event)):
            return says
        order_id = event.order_id if isinstance(event, OrderEvent) else ""
        for move in moves:
            with_lots = move.node != NETWORK and (row.tenant, move.sku) in self._with_lots
            if with_lots and (says := self._move(row, order_id, move)):
                return says
        return ""

    def amiss(self) -> Iterator[tuple[LogRow, str]]:
        """At the end: allocations of lots that were stopped before."""
        for key, (_, row) in self._doubted.items():
            yield row, f"allocates units of lot {key[2]} of {key[1]} after it was stopped"
        yield from self._shelf.amiss()

    def _stop(self, row: LogRow, event: LotExpired | LotQuarantined | LotReleased) -> None:
        key = (row.tenant, event.sku, event.lot)
        if isinstance(event, LotReleased):
            self._stopped.pop(key, None)
            if key in self._doubted and self._doubted[key][0] > event.up_to:
                del self._doubted[key]
        else:
            self._stopped.setdefault(key, event.up_to)
            if key in self._last and self._last[key][0] > self._stopped[key]:
                self._doubted.setdefault(key, self._last[key])

    def _move(self, row: LogRow, order_id: str, move: AnyMovement) -> str:
        buckets = {move.source, move.target}
        if move.lot is None:
            bare = buckets & _OF_A_LOT
            return f"moves units of {move.sku} into or out of {min(bare)} without their lot" if bare else ""
        key = (row.tenant, move.sku, move.lot)
        for bucket, delta in ((move.source, -move.quantity), (move.target, move.quantity)):
            left = _plus(self._units, (key, move.node, bucket), delta)
            if left < 0 and bucket not in _UNCOUNTED:
                return f"{bucket} of lot {move.lot} of {move.sku} at {move.node} falls to {left}"
            if not order_id or bucket not in OF_ORDER:
                continue
            left = _plus(self._of_orders, (key, order_id, move.node, bucket), delta)
            if left < 0:
                return (
                    f"order {order_id} uses {-left} units of lot {move.lot} of {move.sku} at {move.node} "
                    f"that were not {bucket} to it"
                )
        if move.target == "allocated":
            self._shelf.allocated(row, order_id, move)
            self._last[key] = (move.position, row)
            if move.position > self._stopped.get(key, move.position):
                self._doubted.setdefault(key, self._last[key])
        return ""


def _miscounted(event: CountRecorded) -> str:
    """What a count by lot books that it did not find."""
    if not event.lots or event.outcome == "held":
        return ""
    booked: dict[str, int] = {}
    for move in event.movements:
        change = move.quantity * ((move.target == "on_hand") - (move.source == "on_hand"))
        if move.lot is not None and "suspect" not in (move.source, move.target):
            booked[move.lot] = booked.get(move.lot, 0) + change
    found = {one.lot: one.counted - one.book for one in event.lots}
    for lot in {**found, **booked}:
        low, high = sorted((0, found.get(lot, 0)))
        exact = found.get(lot, 0) > 0
        if not low <= booked.get(lot, 0) <= high or (exact and booked.get(lot, 0) != high):
            return f"books {booked.get(lot, 0):+} of lot {lot} of {event.sku}; {found.get(lot, 0):+} it found"
    lacking = sum(booked.get(lot, 0) - units for lot, units in found.items())
    if lacking != event.allocated_short:
        return f"leaves {lacking} units of {event.sku} to picks, and says {event.allocated_short}"
    return ""


def _plus(sums: dict[Place, int], place: Place, delta: int) -> int:
    """Add to a sum, and tell it; zero is not kept."""
    left = sums.pop(place, 0) + delta
    if left:
        sums[place] = left
    return left
