"""Of what a SKU is made, as its part keeps it: so an order's decision knows a bundle when it meets one."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC

from libs.events.bundles import BundleDefined, BundlePart, BundlePlanDropped, BundlePlanned, BundleRemoved
from libs.events.record import changed, record

Planned = tuple[bool, dict[str, int], dict[str, int]]
"""Whether it is kept assembled, units of each part, and the price weights that are not 1."""


@record
class Recipe:
    """What is known of a SKU that is made of others, or is a part of one that is.

    What the SKU's own events say is set; `within` is a sum, as those of other SKUs come from other lanes.
    """

    version: int = 0
    """Of the last definition; 0 when there never was any."""
    parts: dict[str, int] = field(default_factory=dict)
    """Units in one unit, by SKU; empty when it is made of nothing any more."""
    price_weights: dict[str, int] = field(default_factory=dict)
    """Those that are not 1."""
    assembled: bool = False
    """A kit: stock of its own, and not unpacked."""
    within: dict[str, int] = field(default_factory=dict)
    """SKUs that are made of this one: 1 each."""
    planned: dict[str, Planned] = field(default_factory=dict)
    """What it is to be made of, by the moment (ISO 8601, UTC) from which that holds."""

    @property
    def unpacked(self) -> bool:
        """Whether orders for it are orders for its parts."""
        return bool(self.parts) and not self.assembled


NO_RECIPE = Recipe()
OfRecipe = BundleDefined | BundlePlanned | BundlePlanDropped | BundleRemoved
"""Events that change of what a SKU is made, or will be."""


def redefined(recipe: Recipe | None, event: OfRecipe) -> Recipe:
    """The SKU's recipe after an event of its own."""
    known = recipe or NO_RECIPE
    if isinstance(event, BundleRemoved):
        return Recipe(event.bundle_version, within=known.within, planned=known.planned)
    moment = None if event.effective_at is None else event.effective_at.astimezone(UTC).isoformat()
    planned = {key: plan for key, plan in known.planned.items() if key != moment}
    if isinstance(event, BundlePlanDropped):
        return changed(known, planned=planned)
    made = composition(event.parts)
    assembled = event.kept == "assembled"
    if isinstance(event, BundlePlanned):
        assert moment is not None, "a plan has its moment"
        return changed(known, planned={**planned, moment: (assembled, *made)})
    return Recipe(event.bundle_version, *made, assembled, known.within, planned)


def composition(parts: Iterable[BundlePart]) -> tuple[dict[str, int], dict[str, int]]:
    """Units of each part, and the price weights that are not 1."""
    named = tuple(parts)
    weights = {part.sku: part.price_weight for part in named if part.price_weight != 1}
    return {part.sku: part.quantity for part in named}, weights


def used(recipe: Recipe | None, bundle: str, more: int) -> Recipe | None:
    """A part's recipe once a bundle names it once more, or less; none when nothing is known of it."""
    known = recipe or NO_RECIPE
    within = plus_one(known.within, bundle, more)
    after = changed(known, within=within)
    return None if after == NO_RECIPE else after


def plus_one(sums: Mapping[str, int], key: str, delta: int) -> dict[str, int]:
    """A copy with `delta` added at `key`; a sum of zero is left out."""
    after = dict(sums)
    total = after.pop(key, 0) + delta
    if total:
        after[key] = total
    return after
