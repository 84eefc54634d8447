"""What lies where on a node's shelves: in the bin in which it keeps a SKU, and put away in others beside it.

Counted are units that were put away, as long as no order has them (`SkuPart.put_away`). All others lie
where the node keeps the SKU, also what arrives, what comes back, and what an order gives up: so what lies in
a node's bins always adds up to what is on hand there, and of a SKU that nobody put away nothing is counted.

Units leave the place where the node keeps the SKU first, then bin by bin, by their names. Those that an order
is allocated name their bin; of what leaves for another reason `straightened` tells it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from libs.events.contract import Event
from libs.events.items import BinChange, BinsMoved
from libs.events.order import PickFrom
from libs.events.record import changed
from services.inventory.balances import added
from services.inventory.stock import EMPTY_SKU, SkuPart

_NOTHING: Mapping[str, int] = {}
_NOWHERE: Mapping[str, str] = {}


class Lying(NamedTuple):
    """Units of a SKU in one place of a node's shelves."""

    bin: str | None
    """None, nowhere in particular."""
    units: int
    put_away: bool
    """The bin is not that in which the node keeps the SKU."""


def put_away_at(put_away: Mapping[str, int] | None, node: str) -> dict[str, int]:
    """Units by bin, as they were put away at a node, by the bins' names."""
    prefix = node + "/"
    found = (put_away or _NOTHING).items()
    return dict(sorted((key.removeprefix(prefix), n) for key, n in found if key.startswith(prefix)))


def lying(node: str, there: int, kept_in: str | None, put_away: Mapping[str, int] | None) -> list[Lying]:
    """Where `there` units that no order has lie at a node, in the order in which they are taken."""
    beside = put_away_at(put_away, node)
    found = [Lying(kept_in, max(0, there - sum(beside.values())), False)]
    left = there - found[0].units
    for bin_, units in beside.items():
        found.append(Lying(bin_, min(units, left), True))
        left -= found[-1].units
    return [one for one in found if one.units > 0]


def of_sku(part: SkuPart, node: str) -> list[Lying]:
    """`lying`, of a SKU at a node."""
    return lying(node, part.on_hand.get(node, 0), (part.bins or _NOWHERE).get(node), part.put_away)


def shared(part: SkuPart, node: str, quantity: int) -> list[Lying]:
    """From where so many of the units that lie at a node are taken."""
    if part.put_away is None:
        return [Lying((part.bins or _NOWHERE).get(node), quantity, False)]
    found = list[Lying]()
    for place in of_sku(part, node):
        if units := min(quantity, place.units):
            found.append(place._replace(units=units))
            quantity -= units
    return found


def moved_bins(part: SkuPart, event: BinsMoved) -> SkuPart:
    """The SKU after what was put away is other than it was: a sum, in whatever order lanes are folded."""
    after = part.put_away or _NOTHING
    for change in event.changes:
        after = added(after, f"{event.node}/{change.bin}", change.delta)
    return changed(part, put_away=dict(after) or None)


def taken(skus: Mapping[str, SkuPart], picks: Iterable[PickFrom]) -> dict[str, SkuPart]:
    """The SKUs after an order was allocated what lies in bins."""
    after = dict(skus)
    for pick in picks:
        if pick.put_away:
            part = after.get(pick.sku, EMPTY_SKU)
            left = added(part.put_away or _NOTHING, f"{pick.node}/{pick.bin}", -pick.quantity)
            after[pick.sku] = changed(part, put_away=left or None)
    return after


def straightened(sku: str, part: SkuPart) -> list[Event]:
    """What is to be told where fewer units are on hand at a node than were put away there."""
    if part.put_away is None:
        return []
    told = list[Event]()
    for node in sorted({key.partition("/")[0] for key in part.put_away}):
        left = {one.bin: one.units for one in of_sku(part, node) if one.put_away}
        beside = put_away_at(part.put_away, node).items()
        changes = [BinChange(bin=bin_, delta=left.get(bin_, 0) - units) for bin_, units in beside]
        gone = tuple([change for change in changes if change.delta])
        if gone:
            told.append(BinsMoved(sku=sku, node=node, cause="gone", changes=gone, up_to=part.position))
    return told
