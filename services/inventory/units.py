"""A SKU's units of measure as the state keeps them: exact fractions of the base unit."""

from dataclasses import field
from fractions import Fraction

from libs.events.items import ItemDefined
from libs.events.measure import BASE_UNIT
from libs.events.record import record


@record
class Units:
    """A SKU's units of measure, as of their version."""

    version: int
    ratios: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each unit but the base: how many base units so many of it are."""


def units_of(event: ItemDefined) -> Units:
    """The units as the state keeps them."""
    found: dict[str, Fraction] = {BASE_UNIT: Fraction(1)}
    for one in event.units:
        found[one.unit] = found[one.of] * one.holds / one.per
    ratios = {name: ratio.as_integer_ratio() for name, ratio in found.items() if name != BASE_UNIT}
    return Units(event.item_version, ratios)
