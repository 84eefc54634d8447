"""What parts of a bundle are worth, and which lines stand for bundles that come back."""

from hypothesis import given
from hypothesis import strategies as st

from libs.events.order import PartLine, UnpackedLine
from services.returns.parts import as_parts, worth_minor


@st.composite
def bundles(draw: st.DrawFn) -> UnpackedLine:
    quantity = draw(st.integers(1, 5))
    each = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), min_size=1, max_size=4))
    parts = tuple(
        PartLine(line=number, sku=f"S{number}", quantity=units * quantity, price_weight=weight)
        for number, (units, weight) in enumerate(each, 2)
    )
    return UnpackedLine(line=1, sku="BOX", quantity=quantity, bundle_version=1, parts=parts)


@given(bundles(), st.integers(-1000, 100_000), st.data())
def test_all_parts_together_are_worth_what_the_line_cost_however_they_come(
    bundle: UnpackedLine, price: int, data: st.DataObject
) -> None:
    units = data.draw(st.permutations([part.line for part in bundle.parts for _ in range(part.quantity)]))
    came, total = dict[int, int](), 0
    while units:
        count = data.draw(st.integers(1, len(units)))
        some, units = units[:count], units[count:]
        for line in set(some):
            total += worth_minor((bundle,), line, came.get(line, 0), some.count(line), {1: price})
            came[line] = came.get(line, 0) + some.count(line)
    assert total == price * bundle.quantity


@given(bundles(), st.data())
def test_a_whole_bundle_is_all_of_its_parts(bundle: UnpackedLine, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, bundle.quantity))
    asked = as_parts((bundle,), 1, count, {part.line: part.quantity for part in bundle.parts})
    assert asked == {part.line: part.quantity // bundle.quantity * count for part in bundle.parts}


def test_any_other_line_stands_for_itself() -> None:
    assert as_parts(None, 7, 2, {}) == {7: 2}
    assert worth_minor(None, 7, 3, 2, {7: 250}) == 500


def test_of_a_part_with_several_lines_those_are_taken_that_have_units_open() -> None:
    parts = tuple(PartLine(line=line, sku="MUG", quantity=3) for line in (2, 3))
    bundle = UnpackedLine(line=1, sku="BOX", quantity=3, bundle_version=1, parts=parts)
    assert as_parts((bundle,), 1, 2, {2: 1, 3: 3}) == {2: 1, 3: 3}
