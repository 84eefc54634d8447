"""Lines of bundles: how what is asked of an ordered line is asked of its parts, and what a part is worth.

A bundle comes back by its ordered line, as a whole, or by the line of a part, alone. The price of the ordered
line is shared among the lines of its parts by their weights, to the last minor unit, and a part line's share
among its units, those that come back from the first on: all of all parts are worth the bundles, exactly.
"""

from collections.abc import Iterable, Mapping

from libs.events.order import LineQuantity, PartLine, Unpacked, UnpackedLine, in_parts


def as_parts(bundles: Unpacked | None, line: int, quantity: int, open_: Mapping[int, int]) -> dict[int, int]:
    """Units by line that stand for so many units of a line: its own, or those of a bundle's parts. Of a part
    with several lines the first is taken that has units open."""
    bundle = next((one for one in bundles or () if one.line == line), None)
    if bundle is None:
        return {line: quantity}
    found: dict[int, int] = {}
    for lines in _by_sku(bundle).values():
        left = sum(part.quantity for part in lines) // bundle.quantity * quantity
        for part in lines[:-1]:
            taken = min(left, open_.get(part.line, 0))
            if taken:
                found[part.line] = taken
                left -= taken
        if left:
            found[lines[-1].line] = left
    return found


def left_of(bundles: Unpacked | None, cut: Iterable[Mapping[int, int]]) -> Unpacked | None:
    """Bundles without those that were cancelled whole, as ordered: units by line, by cancellation."""
    gone: dict[int, int] = {}
    for units_by_line in cut:
        for line, units in units_by_line.items():
            gone[line] = gone.get(line, 0) + units
    if bundles is None or not any(bundle.line in gone for bundle in bundles):
        return bundles
    return tuple(_less(bundle, gone.get(bundle.line, 0)) for bundle in bundles)


def _less(bundle: UnpackedLine, boxes: int) -> UnpackedLine:
    left = bundle.quantity - boxes
    if not boxes or left <= 0:
        return bundle
    whole = LineQuantity(line=bundle.line, sku=bundle.sku, quantity=boxes)
    gone = {part.line: part.quantity for part in in_parts((bundle,), (whole,))}
    parts = tuple(
        part.model_copy(update={"quantity": units})
        for part in bundle.parts
        if (units := part.quantity - gone.get(part.line, 0))
    )
    return bundle.model_copy(update={"quantity": left, "parts": parts})


def worth_minor(
    bundles: Unpacked | None, line: int, before: int, quantity: int, unit_prices_minor: Mapping[int, int]
) -> int:
    """What `quantity` units of a line are worth, `before` of whose units count before them."""
    for bundle in bundles or ():
        weighed = 0
        for part in bundle.parts:
            weight = part.quantity * part.price_weight
            if part.line == line:
                total = unit_prices_minor[bundle.line] * bundle.quantity
                whole = sum(one.quantity * one.price_weight for one in bundle.parts)
                share = total * (weighed + weight) // whole - total * weighed // whole
                return share * (before + quantity) // part.quantity - share * before // part.quantity
            weighed += weight
    return unit_prices_minor[line] * quantity


def _by_sku(bundle: UnpackedLine) -> dict[str, list[PartLine]]:
    lines: dict[str, list[PartLine]] = {}
    for part in bundle.parts:
        lines.setdefault(part.sku, []).append(part)
    return lines
