"""What a bundle can be sold, by what its parts can: as often as the scarcest of them allows.

For the answer about a basket and for the topic that tells every channel, which both go by `availability`.
A bundle has no units of its own, and what is promised is promised of its parts, by their terms. Of its own
terms counts what they say of showing: from how few on it is sold out, and how many are shown at most.
"""

from collections.abc import Mapping
from datetime import datetime

from libs.events.backorders import OpenBackorders
from services.inventory import caps
from services.inventory.recipes import Recipe
from services.inventory.stock import EMPTY_SKU, Skus
from services.inventory.terms import Terms

Figure = tuple[int, int]
"""Units that could be promised, and units that may be shown."""
_GENERATION_BITS = 32
"""Of a version that is told: how many changes a definition may see. The whole of it stays below 2^53, which
every reader of JSON can hold, for a million definitions."""


def bundles_there(
    recipe: Recipe, parts: Mapping[str, Figure], own: Terms | None, channel: str | None
) -> Figure:
    """The figure of a bundle, by those of its parts and by what its own terms say of showing it."""
    available = min(parts[sku][0] // each for sku, each in recipe.parts.items())
    shown = min(parts[sku][1] // each for sku, each in recipe.parts.items())
    if own is not None and channel is not None:
        shown = min(shown, own.shown(channel, available))
    return available, shown


def channels_of(recipe: Recipe, skus: Skus, own: Terms | None) -> list[str]:
    """Channels with a figure of their own: those that the terms of a part name, or the bundle's."""
    terms = [own, *(skus.get(sku, EMPTY_SKU).terms for sku in recipe.parts)]
    return sorted({channel for one in terms if one is not None for channel in one.named()})


def may_wait(
    recipe: Recipe, skus: Skus, available: Mapping[str, int], channel: str | None, at: datetime | None
) -> OpenBackorders | None:
    """Bundles that may still be waited for, beyond those that are there, where the terms of a part limit it;
    `available` has the units of each part. When that is open, is said by the parts of which one more bundle
    would lack units; of one that is not open now no bundle may lack any."""
    there = min(available[sku] // each for sku, each in recipe.parts.items())
    told = {sku: caps.told(skus.get(sku, EMPTY_SKU), channel, at) for sku in recipe.parts}
    capped = {sku: one for sku, one in told.items() if one is not None}
    if not capped:
        return None
    scarce = {sku: one for sku, one in capped.items() if available[sku] // recipe.parts[sku] == there}
    most = list[int]()
    for sku, one in capped.items():
        units = one.units if sku in scarce or at is None or _open(one, at) else 0
        if units is not None:
            most.append((available[sku] + units) // recipe.parts[sku])
    return OpenBackorders(
        units=min(most) - there if most else None,
        opens_at=max((one.opens_at for one in scarce.values() if one.opens_at), default=None),
        closes_at=min((one.closes_at for one in scarce.values() if one.closes_at), default=None),
    )


def _open(one: OpenBackorders, at: datetime) -> bool:
    opened = one.opens_at is None or one.opens_at <= at
    return opened and (one.closes_at is None or at < one.closes_at)


def told_version(recipe: Recipe | None, changes: int) -> int:
    """The version of what is told of a SKU after so many changes: of its own part, and while it is a bundle
    of its parts' too. It never falls, also where a definition leaves out a part that has changed often: each
    definition, and each removal, begins behind all that was told before it."""
    if recipe is None or not recipe.version:
        return changes
    generation = 2 * recipe.version + (not recipe.parts)
    return (generation << _GENERATION_BITS) + changes
