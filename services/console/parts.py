"""Ordered lines of bundles and the lines of their parts: where the one stands, from where the others stand.

An ordered line stands where the least advanced part of each of its bundles stands: a gift box is on its way
when its last part is, and may come back as a whole as far as all of its parts may.
"""

from collections.abc import Mapping, Sequence

from libs.events.bundles import BundlesUnpacked
from libs.events.record import record

ByState = Mapping[str, int]
"""Units by state."""


@record
class PartOf:
    """A line that stands for one part of the bundles of an ordered line."""

    of_line: int
    bundle: str
    bundles: int
    """Units of the bundle that were ordered."""
    sku: str
    quantity: int
    instead: bool = False
    """It is no bundle: this is sent in place of what was ordered."""


def unpacked(event: BundlesUnpacked) -> dict[int, PartOf]:
    """The part lines of an order, by number."""
    return {
        part.line: PartOf(
            bundle.line,
            bundle.sku,
            bundle.quantity,
            part.sku,
            part.quantity,
            instead=bundle.substituted is not None,
        )
        for bundle in event.bundles
        for part in bundle.parts
    }


def bundle_units(
    parts: Mapping[int, PartOf], line: int, standing: Mapping[int, ByState], worst_first: Sequence[str]
) -> dict[str, int]:
    """Units by state of an ordered line of bundles, from those of its parts' lines."""
    found, told = dict[str, int](), 0
    sums = _summed(parts, line, standing)
    for place, name in enumerate(worst_first, 1):
        # So many bundles have a part that is no further than this.
        so_far = worst_first[:place]
        behind = max(-(-sum(states.get(one, 0) for one in so_far) // each) for each, states in sums)
        if behind > told:
            found[name], told = behind - told, behind
    return found


def whole_bundles(parts: Mapping[int, PartOf], units: Mapping[int, int]) -> dict[int, int]:
    """Bundles by ordered line of which all parts are among these units by part line; none is left out."""
    lines = dict.fromkeys(part.of_line for part in parts.values())
    standing = {line: {"there": quantity} for line, quantity in units.items()}
    sums = {line: _summed(parts, line, standing) for line in lines}
    whole = {line: min(states.get("there", 0) // each for each, states in of) for line, of in sums.items()}
    return {line: bundles for line, bundles in whole.items() if bundles}


def _summed(
    parts: Mapping[int, PartOf], line: int, standing: Mapping[int, ByState]
) -> list[tuple[int, dict[str, int]]]:
    """Of each SKU in the bundle: its units in one bundle, and by state in all of them."""
    totals, states = dict[str, int](), dict[str, dict[str, int]]()
    bundles = 0
    for number, part in parts.items():
        if part.of_line == line:
            bundles = part.bundles
            totals[part.sku] = totals.get(part.sku, 0) + part.quantity
            sums = states.setdefault(part.sku, {})
            for name, units in standing.get(number, {}).items():
                sums[name] = sums.get(name, 0) + units
    return [(totals[sku] // bundles, states[sku]) for sku in totals]
