"""What a decision found of a SKU: where its units are, for routing, and why some of them lack."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from libs.events.inventory import Availability, Shortage
from libs.events.policy import STANDARD_RANK, TermsUsed
from services.inventory.shelf_life import Room, lasting
from services.inventory.stock import SkuPart, Skus

Limit = Mapping[str, int]
"""Units by node."""
_KEPT_MAX = 2_000
"""Values of `_there` that are kept."""


def availability(
    skus: Iterable[str], parts: Skus, channel: str | None, limits: Mapping[str, Limit] | None = None
) -> tuple[Availability, ...]:
    """Unallocated units on hand by SKU and node that an order of a channel may be given, for routing; of some
    SKUs, no more than these `limits` by node. Those at nodes that do not ship there are told as they are."""
    found = [
        (node, sku, quantity)
        for sku in skus
        for node, quantity in sorted(parts[sku].on_hand_for(channel).items())
    ]
    if limits:
        given = [(node, sku, min(units, limits.get(sku, {}).get(node, units))) for node, sku, units in found]
        found = [one for one in given if one[2]]
    return tuple([_there(node, sku, quantity) for node, sku, quantity in found])


@lru_cache(maxsize=_KEPT_MAX)
def _there(node: str, sku: str, quantity: int) -> Availability:
    """Many orders find the same: units on hand change only as they are allocated."""
    return Availability(node=node, sku=sku, quantity=quantity)


def terms_used(skus: Iterable[str], parts: Skus) -> list[TermsUsed]:
    """By which terms these SKUs are promised, of those that have any."""
    return [TermsUsed(sku=sku, version=terms.version) for sku in skus if (terms := parts[sku].terms)]


def shortage(
    sku: str,
    part: SkuPart,
    units: int,
    channel: str | None,
    rank: int = STANDARD_RANK,
    country: str | None = None,
    back: int = 0,
) -> Shortage:
    """Units that an order of a channel and a rank lacks of the SKU, and why, where there is more to say; so
    many it gives `back`, which are nobody's then."""
    terms, reach = part.terms, part.reach()
    if reach is not None and part.offered + back > reach.spare(country):
        return Shortage(sku=sku, quantity=units, reason="not_served")
    if part.free > part.offered and {*(part.closed or ())}.difference(part.untrusted or ()):
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


def too_many(part: SkuPart, order_id: str, channel: str | None, units: int, country: str) -> int:
    """Of units that an order of a channel holds or would, those that it cannot have, as too few are of lots
    that last long enough for it, or at nodes that ship to where it goes: it took over a basket that said
    nothing of that, say."""
    astray = 0
    if (reach := part.reach(but=order_id)) is not None:
        astray = units - min(units, reach.spare(country, surely=False))
    if part.lots is None or channel not in part.lots.limits:
        return astray
    spare = Room(part.lots, part.promised(but=order_id)).spare(channel)
    return astray if spare is None else max(astray, units - min(units, max(0, spare)))
