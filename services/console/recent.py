"""Orders that this projector wrote lately, decoded, so that their next event need not read them again.

What is kept of a lane is what its rows said when this projector's last transaction there committed. It holds
as long as the lane's offsets stand where that transaction left them, in the same table: whoever else writes
rows of the lane moves them in the same transaction. Nobody needs to be told of a rebalance, a failed batch,
a commit of unknown outcome or a swap of the tables: the offsets, read under lock as each batch begins, tell.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from services.console.projection import OrderKey
from services.console.stored import Written

ORDERS_MAX = 5_000
"""Some 6 kB each. More than are under way at once, so that an order is seldom read while it moves fast."""

Stand: TypeAlias = frozenset[tuple[str, int, int]]
"""Where a lane's topics stand: topic, next offset, and the table that says so."""


@dataclass(slots=True, eq=False)
class LaneOrders:
    """What is kept of one lane, the latest last."""

    stand: Stand
    orders: dict[OrderKey, Written] = field(default_factory=dict)


class RecentOrders:
    """By lane. One per projector. Of batches that overlap in a lane, one at most keeps what it wrote."""

    def __init__(self, orders_max: int = ORDERS_MAX) -> None:
        self._orders_max = orders_max
        self._lanes: dict[int, LaneOrders] = {}

    def of(self, lane: int, stand: Stand) -> LaneOrders:
        """What is known of a lane that stands there: nothing, unless it stands where we left it."""
        found = self._lanes.get(lane)
        if found is None or found.stand != stand:
            found = self._lanes[lane] = LaneOrders(stand)
        return found

    def keep(
        self, lane: int, known: LaneOrders, stand: Stand, written: Iterable[tuple[OrderKey, Written]]
    ) -> None:
        """A transaction committed that began with `known` and left the lane at `stand`.

        Where another batch has looked at the lane since, nothing is kept: they may have ended in any order.
        """
        if self._lanes.get(lane) is not known:
            return
        known.stand = stand
        for key, order in written:
            known.orders.pop(key, None)
            known.orders[key] = order
        self._forget()

    def _forget(self) -> None:
        """Let the oldest go, of the lane that has most."""
        while sum(len(lane.orders) for lane in self._lanes.values()) > self._orders_max:
            largest = max(self._lanes.values(), key=lambda lane: len(lane.orders)).orders
            del largest[next(iter(largest))]
