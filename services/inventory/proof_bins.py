"""The part of the proof that is about bins: no order is sent to one for units that were never put away there.

For `services.inventory.proof`. What is put away is told in the SKU's lane, an allocation in its order's;
either may be read first. The position that `BinsMoved` names says which came first, so each bin is added up
once all is read. Kept are the changes of SKUs of which units were put away.
"""

from collections.abc import Iterable, Iterator

from libs.events.contract import Event
from libs.events.inventory import StockAllocated
from libs.events.items import BinsMoved
from services.inventory.proof_rows import LogRow
from services.inventory.stock import AnyMovement

_Bin = tuple[str, str, str, str]
"""Tenant, SKU, node and bin."""
_When = tuple[int, bool]
"""Behind which movement of the SKU; False, it is that movement's own change, which comes first."""


class BinsSoFar:
    """What the log says of bins."""

    def __init__(self) -> None:
        self._changes: dict[_Bin, list[tuple[_When, int, LogRow]]] = {}

    def take(self, row: LogRow, event: Event, moves: Iterable[AnyMovement]) -> str:
        """Remember what an event changes of bins; what is wrong with it alone, or nothing."""
        if isinstance(event, BinsMoved):
            for change in event.changes:
                bin_ = (row.tenant, event.sku, event.node, change.bin)
                self._changes.setdefault(bin_, []).append(((event.up_to, True), change.delta, row))
        elif isinstance(event, StockAllocated) and event.picks is not None:
            positions = {(move.sku, move.node): move.position for move in moves}
            for pick in event.picks:
                if pick.put_away:
                    bin_ = (row.tenant, pick.sku, pick.node, pick.bin or "")
                    if (position := positions.get((pick.sku, pick.node))) is None:
                        return f"sends to bin {bin_[3]} at {pick.node}, where it allocates no {pick.sku}"
                    when = position, False
                    self._changes.setdefault(bin_, []).append((when, -pick.quantity, row))
        return ""

    def amiss(self) -> Iterator[tuple[LogRow, str]]:
        """At the end: events that take more from a bin than lies there."""
        for (_, sku, node, bin_), changes in self._changes.items():
            there = 0
            for _, delta, row in sorted(changes, key=lambda one: one[0]):
                there += delta
                if there < 0:
                    lay = there - delta
                    yield row, f"takes {-delta} units of {sku} from bin {bin_} at {node}, where {lay} lie"
                    break
