"""Parts with so many units that they have several lines: of what is given up of bundles, each stage leaves
the same units on the same lines, whatever it heard first, and in however many steps.

The lines here hold four units; in an order they hold a million.
"""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from libs.events.order import LineQuantity, PartLine, UnpackedLine, in_parts
from services.fulfillment.accounts import Account, place, unpacked, without_boxes
from services.inventory.allocate import among
from services.inventory.order import minus, plus

LINE_UNITS = 4


def bundle(boxes: int, each: int) -> UnpackedLine:
    """So many boxes of some mugs and a tea."""
    lines = [("MUG", LINE_UNITS)] * (boxes * each // LINE_UNITS) + [("MUG", boxes * each % LINE_UNITS)]
    parts = [PartLine(line=9 + n, sku=sku, quantity=units) for n, (sku, units) in enumerate(lines) if units]
    tea = PartLine(line=8, sku="TEA", quantity=boxes)
    return UnpackedLine(line=1, sku="BOX", quantity=boxes, bundle_version=1, parts=(*parts, tea))


def box(units: int) -> LineQuantity:
    return LineQuantity(line=1, sku="BOX", quantity=units)


def by_line(lines: tuple[LineQuantity, ...]) -> dict[int, int]:
    return {line.line: line.quantity for line in lines}


@given(
    boxes=st.integers(2, 9),
    each=st.integers(1, 5),
    wished=st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_stages_agree_on_which_lines_what_is_left_of_bundles_lies(
    boxes: int, each: int, wished: list[int]
) -> None:
    told = (bundle(boxes, each),)
    cut = [box(units) for units, total in zip(wished, accumulate(wished), strict=True) if total < boxes]
    gone = sum(one.quantity for one in cut)
    whole = tuple(LineQuantity(line=one.line, sku=one.sku, quantity=one.quantity) for one in told[0].parts)

    inventory_before = minus(whole, in_parts(told, plus((), cut)))
    inventory_after = whole
    for one in cut:
        there = by_line(inventory_after)
        inventory_after = minus(inventory_after, among(inventory_after, in_parts(told, (one,), there)))
    ordered = {1: Account(1, "BOX", boxes, awaiting=boxes - gone, cancelled=gone)}
    fulfillment_before = unpacked(ordered, told)
    fulfillment_after = unpacked({1: Account(1, "BOX", boxes, awaiting=boxes)}, told)
    for one in cut:
        fulfillment_after = without_boxes(fulfillment_after, told, (one,))

    left = by_line(inventory_before)
    assert sum(left.values()) == (boxes - gone) * (each + 1)
    assert by_line(inventory_after) == left
    assert by_line(place(fulfillment_before, "awaiting")) == left
    assert by_line(place(fulfillment_after, "awaiting")) == left
    assert by_line(plus((), in_parts(told, cut))) == by_line(in_parts(told, plus((), cut)))
