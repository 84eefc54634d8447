"""The part of the proof that is about days left: no channel is allocated a lot that was too old for it.

For `services.inventory.proof_lots`. Which lots a channel is given is told in the SKU's lane, an allocation in
its order's; either may be read first. The position that `LotsLimited` names says which came first, so an
allocation is held to the last that stands before it, once all is read. Kept are the channels of orders of
SKUs that have lots, and of each lot and channel the last allocation between two that are read of these.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from libs.events.contract import Event
from libs.events.inventory import StockReserved
from libs.events.lots import LotDefined, LotsLimited
from services.inventory.proof_rows import LogRow
from services.inventory.stock import AnyMovement

_Key = tuple[str, str]
"""Tenant and SKU; or tenant and order."""


@dataclass(slots=True)
class _Asked:
    """What channels asked of a SKU's lots, in the order of positions."""

    behind: list[int] = field(default_factory=list)
    limits: list[dict[str, str]] = field(default_factory=list)
    """The first last day, by channel."""
    given: dict[tuple[str, str, int], tuple[int, LogRow]] = field(default_factory=dict)
    """By lot, channel, and how many limits were read by then, the last allocation and its position."""
    lasts: dict[str, str] = field(default_factory=dict)
    """The last day, by lot."""


class ShelfLifeSoFar:
    """What the log says of days that channels ask for."""

    def __init__(self) -> None:
        self._skus: dict[_Key, _Asked] = {}
        self._channels: dict[_Key, str] = {}

    def take(self, row: LogRow, event: Event) -> None:
        """Apply an event, but for its movements."""
        match event:
            case StockReserved() if event.channel is not None:
                if any((row.tenant, line.sku) in self._skus for line in event.lines):
                    self._channels[row.tenant, event.order_id] = event.channel
            case LotDefined():
                known = self._skus.setdefault((row.tenant, event.sku), _Asked())
                known.lasts[event.lot] = event.expires_on.isoformat()
            case LotsLimited():
                known = self._skus.setdefault((row.tenant, event.sku), _Asked())
                known.behind.append(event.up_to)
                known.limits.append({one.channel: one.expires_from.isoformat() for one in event.limits})

    def allocated(self, row: LogRow, order_id: str, move: AnyMovement) -> None:
        """Remember units that were allocated to an order."""
        known = self._skus.get((row.tenant, move.sku))
        channel = self._channels.get((row.tenant, order_id))
        if known is not None and channel is not None and move.lot is not None:
            known.given[move.lot, channel, len(known.behind)] = move.position, row

    def amiss(self) -> Iterator[tuple[LogRow, str]]:
        """At the end: allocations of lots that were too old for their channel."""
        for (_, sku), known in self._skus.items():
            for (lot, channel, _), (position, row) in known.given.items():
                # of several that stand behind one position, the last holds
                before = bisect_left(known.behind, position) - 1
                day = known.limits[before].get(channel, "") if before >= 0 else ""
                lasts = known.lasts.get(lot, day)
                if lasts < day:
                    yield (
                        row,
                        f"allocates to {channel} lot {lot} of {sku}, which lasts until {lasts}, not {day}",
                    )
