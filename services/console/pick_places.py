"""From where a node was asked to take what it picks: the bins and lots that its pick list names."""

from collections.abc import Iterable

from libs.events.fulfillment import FulfillmentReleased
from libs.events.record import record


@record
class PickPlace:
    """So many units of a SKU, in one place of a node's shelves."""

    sku: str
    quantity: int
    bin: str | None = None
    lot: str | None = None


def pick_places(event: FulfillmentReleased) -> tuple[PickPlace, ...]:
    """Those of released work, in the order of its pick list; none of units whose place nobody named."""
    named = (pick for pick in event.picks or () if pick.bin is not None or pick.lot is not None)
    return tuple(PickPlace(pick.sku, pick.quantity, pick.bin, pick.lot) for pick in named)


def places_said(places: Iterable[PickPlace]) -> str:
    """`2 MUG from A-12-3, 1 TEA from R-7-2 (lot L-1), 1 MILK of lot L-2`; nothing where no place is known."""
    return ", ".join(f"{one.quantity} {one.sku}{_from(one)}" for one in places)


def _from(one: PickPlace) -> str:
    if one.bin is None:
        return f" of lot {one.lot}"
    return f" from {one.bin}" + (f" (lot {one.lot})" if one.lot is not None else "")
