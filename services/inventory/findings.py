"""What a decision found of a SKU: where its units are, for routing, and why some of them lack."""

from collections.abc import Iterable

from pydantic import TypeAdapter

from libs.events.inventory import Availability, Shortage
from libs.events.policy import STANDARD_RANK
from services.inventory.shelf_life import Room, lasting
from services.inventory.stock import SkuPart, Skus

_AVAILABILITY = TypeAdapter(tuple[Availability, ...])


def availability(skus: Iterable[str], parts: Skus, channel: str | None) -> tuple[Availability, ...]:
    """Unallocated units on hand by SKU and node that an order of a channel may be given, for routing."""
    return _AVAILABILITY.validate_python(
        [
            {"node": node, "sku": sku, "quantity": quantity}
            for sku in skus
            for node, quantity in sorted(parts[sku].on_hand_for(channel).items())
        ]
    )


def shortage(sku: str, part: SkuPart, units: int, channel: str | None, rank: int = STANDARD_RANK) -> Shortage:
    """Units that an order of a channel and a rank lacks of the SKU, and why, where there is more to say."""
    terms = part.terms
    if part.closed and part.free > part.offered:
        return Shortage(sku=sku, quantity=units, reason="switched_off")
    if terms is None:
        return Shortage(sku=sku, quantity=units)
    if too_old(part, channel, rank):
        return Shortage(sku=sku, quantity=units, reason="shelf_life")
    held_back = terms.held_back(part.offered, channel, rank)
    return Shortage(sku=sku, quantity=units, reason="below_reorder_point" if held_back else None)


def too_old(part: SkuPart, channel: str | None, rank: int) -> bool:
    """Whether units are free that a channel could have, and lots are there that are too old for it."""
    limit = None if part.lots is None else part.lots.limits.get(channel or "")
    if part.terms is None or part.lots is None or limit is None:
        return False
    old = sum(part.on_hand.values()) - lasting(part.lots, limit.expires_from)
    return old > 0 and part.offered > part.terms.withheld(channel, rank)


def too_many(part: SkuPart, order_id: str, channel: str | None, units: int) -> int:
    """Of units that an order of a channel holds or would, those that it cannot have, as too few are of lots
    that last long enough for it: it took over a basket of another channel, say."""
    if part.lots is None or channel not in part.lots.limits:
        return 0
    spare = Room(part.lots, part.promised(but=order_id)).spare(channel)
    return 0 if spare is None else units - min(units, max(0, spare))
