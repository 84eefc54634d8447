"""What a decision found of a SKU: where its units are, for routing, and why some of them lack."""

from collections.abc import Iterable

from pydantic import TypeAdapter

from libs.events.inventory import Availability, Shortage
from libs.events.policy import STANDARD_RANK
from services.inventory.stock import SkuPart, Skus

_AVAILABILITY = TypeAdapter(tuple[Availability, ...])


def availability(skus: Iterable[str], parts: Skus) -> tuple[Availability, ...]:
    """Unallocated units on hand by SKU and node, for routing."""
    return _AVAILABILITY.validate_python(
        [
            {"node": node, "sku": sku, "quantity": quantity}
            for sku in skus
            for node, quantity in sorted(parts[sku].on_hand.items())
        ]
    )


def shortage(sku: str, part: SkuPart, units: int, channel: str | None, rank: int = STANDARD_RANK) -> Shortage:
    """Units that an order of a channel and a rank lacks of the SKU, and why, where there is more to say."""
    terms = part.terms
    held_back = terms is not None and terms.held_back(part.free, channel, rank)
    return Shortage(sku=sku, quantity=units, reason="below_reorder_point" if held_back else None)
