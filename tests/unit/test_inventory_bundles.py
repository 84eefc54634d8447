"""Bundles as sentences: of what a SKU may be made, and how an order for one is an order for its parts."""

import pytest

from libs.events.bundles import (
    BundleDefined,
    BundlePart,
    BundleRemoved,
    BundlesUnpacked,
    DefineBundle,
    Kept,
    RemoveBundle,
)
from libs.events.contract import Contract
from libs.events.inventory import StockAllocated, StockBackordered, StockPegged, StockReceived, StockReserved
from libs.events.order import PartLine, UnpackedLine
from libs.events.promise import HoldStock, PromiseConfirmed, Wanted
from services.inventory.bundles import PART_LINES_MAX
from services.inventory.proof import prove
from tests.spec import Spec
from tests.unit.inventory_stage import order, sku, stocked
from tests.unit.inventory_trade import (
    accepted,
    cancelled,
    due,
    hold,
    lacks,
    line,
    of_basket,
    receive,
    routed,
)
from tests.unit.inventory_world import World

BOX = (("MUG", 2), ("TEA", 1))


def define(*parts: tuple[str, int], name: str = "BOX", kept: Kept = "parts") -> DefineBundle:
    made = tuple(BundlePart(sku=part, quantity=quantity) for part, quantity in parts)
    return DefineBundle(sku=name, parts=made, kept=kept)


def boxes(**on_hand: int) -> Spec:
    """Stock, and a box of two mugs and a tea."""
    return stocked(**on_hand).heard(define(*BOX))


def test_a_definition_is_an_event_with_a_version_and_the_same_again_is_none() -> None:
    spec = stocked(MUG=4, TEA=4)
    spec.when(define(*BOX)).then_one(BundleDefined, bundle_version=1, kept="parts")
    spec.when(define(*reversed(BOX))).then_nothing()
    spec.when(define(("MUG", 1))).then_one(BundleDefined, bundle_version=2)
    spec.when(RemoveBundle(sku="BOX")).then(BundleRemoved(sku="BOX", bundle_version=2))
    spec.when(RemoveBundle(sku="BOX")).then_nothing()
    spec.when(define(*BOX)).then_one(BundleDefined, bundle_version=3)


def test_a_removed_bundle_and_its_parts_are_skus_like_any_other() -> None:
    spec = boxes(MUG=4, TEA=4)
    assert sku(spec, "MUG").recipe is not None
    spec.heard(RemoveBundle(sku="BOX"))
    assert sku(spec, "MUG").recipe is None
    spec.when(accepted("o1", ("BOX", 1))).then_one(StockBackordered, short=(lacks("BOX", 1),))
    spec.when(receive("BOX", 1)).then_types(StockReceived, StockPegged)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (define(), "no_parts"),
        (define(("BOX", 1)), "bundle_of_itself"),
        (define(("MUG", 1), ("MUG", 2)), "part_twice"),
        (define(("MUG", 0)), "part_quantity"),
        (define(("MUG", 101)), "part_quantity"),
        (define(*((f"S{number}", 1) for number in range(21))), "too_many_parts"),
        (define(("MUG", 1), ("NEVER", 1)), "unknown_part"),
        (define(("SET", 1)), "bundle_of_bundles"),
        (define(("TEA", 1), name="MUG"), "bundle_of_bundles"),
        (define(("MUG", 1), name="TEA"), "bundle_in_stock"),
        (define(("MUG", 1), name="OWED"), "bundle_in_stock"),
        (RemoveBundle(sku="TEA"), "no_bundle"),
        (receive("SET", 1), "kept_as_parts"),
        (hold("b1", ("SET", 1)), "bundle_in_basket"),
    ],
)
def test_what_cannot_be_is_refused_by_name(command: Contract, code: str) -> None:
    spec = stocked(MUG=4, TEA=4).heard(define(("MUG", 3), name="SET"), accepted("o1", ("OWED", 1)))
    spec.when(command).then_refused(code)


def unpacked(quantity: int, *parts: PartLine, number: int = 1) -> UnpackedLine:
    return UnpackedLine(line=number, sku="BOX", quantity=quantity, bundle_version=1, parts=parts)


def part(number: int, name: str, quantity: int) -> PartLine:
    return PartLine(line=number, sku=name, quantity=quantity)


def test_an_order_for_a_bundle_becomes_one_for_its_parts_summed_with_its_other_lines() -> None:
    spec = boxes(MUG=5, TEA=3)
    asked = accepted("o1", ("BOX", 2), ("MUG", 1))
    bundle = unpacked(2, part(3, "MUG", 4), part(4, "TEA", 2))
    spec.when(asked).then_one(BundlesUnpacked, bundles=(bundle,), others=(line(2, "MUG", 1),))
    spec.when(asked).then_nothing()
    spec.when(due("o1", "unpacked")).then_one(
        StockReserved,
        lines=(line(2, "MUG", 1), line(3, "MUG", 4), line(4, "TEA", 2)),
        bundles=(bundle,),
    )
    spec.when(due("o1", "unpacked")).then_nothing()
    assert (sku(spec, "MUG").free, sku(spec, "TEA").free) == (0, 1)
    assert not sku(spec, "BOX").claims


def test_a_part_that_another_line_takes_is_not_promised_again() -> None:
    spec = boxes(MUG=4, TEA=9).heard(accepted("o1", ("BOX", 2), ("MUG", 1)))
    spec.when(due("o1", "unpacked")).then_one(StockBackordered, short=(lacks("MUG", 1),))


def test_a_plan_allocates_the_parts_and_names_the_bundle() -> None:
    spec = boxes(MUG=4, TEA=2).heard(accepted("o1", ("BOX", 1)), due("o1", "unpacked"))
    plan = routed("o1", 1, N1=(line(2, "MUG", 2), line(3, "TEA", 1)))
    [allocated] = spec.when(plan).events
    assert isinstance(allocated, StockAllocated)
    assert allocated.bundles == (unpacked(1, part(2, "MUG", 2), part(3, "TEA", 1)),)
    assert sku(spec, "MUG").allocated == {"N1": 2}


def test_what_was_cancelled_before_its_parts_were_promised_stays_so() -> None:
    spec = boxes(MUG=4, TEA=2).heard(accepted("o1", ("BOX", 1)), cancelled("o1", line(1, "BOX", 1)))
    assert order(spec, "o1").status == "closed"
    spec.when(due("o1", "unpacked")).then_nothing()
    assert sku(spec, "MUG").free == 4


def test_an_order_under_way_stays_as_it_was_unpacked() -> None:
    spec = boxes(MUG=9, TEA=9).heard(accepted("o1", ("BOX", 1)), define(("TEA", 3)))
    spec.when(due("o1", "unpacked")).then_one(StockReserved, lines=(line(2, "MUG", 2), line(3, "TEA", 1)))


def test_a_basket_of_the_parts_is_taken_over_by_the_order_of_the_bundle() -> None:
    spec = boxes(MUG=2, TEA=1)
    basket = (Wanted(sku="MUG", quantity=2), Wanted(sku="TEA", quantity=1))
    spec.heard(HoldStock(promise_id="b1", lines=basket), of_basket("b1", accepted("o1", ("BOX", 1))))
    confirmed, reserved = spec.when(due("o1", "unpacked")).events
    assert isinstance(confirmed, PromiseConfirmed)
    assert isinstance(reserved, StockReserved)
    assert sku(spec, "MUG").claims["o1"].held == 2


def test_part_lines_have_numbers_that_the_order_does_not_use() -> None:
    spec = boxes(MUG=9, TEA=9)
    last = accepted("o1", ("BOX", 1), ("TEA", 1))
    last = last.model_copy(
        update={
            "lines": (
                last.lines[0].model_copy(update={"line": 1_000_000}),
                last.lines[1].model_copy(update={"line": 1}),
            )
        }
    )
    [told] = spec.when(last).events
    assert isinstance(told, BundlesUnpacked)
    assert [one.line for one in told.bundles[0].parts] == [2, 3]


def test_very_many_units_of_a_part_are_several_lines() -> None:
    [told] = boxes(MUG=9, TEA=9).when(accepted("o1", ("BOX", 900_000))).events
    assert isinstance(told, BundlesUnpacked)
    assert [(one.sku, one.quantity) for one in told.bundles[0].parts] == [
        ("MUG", 1_000_000),
        ("MUG", 800_000),
        ("TEA", 900_000),
    ]


def test_an_order_that_would_be_too_many_lines_waits_as_it_was_ordered() -> None:
    spec = stocked(MUG=9).heard(define(("MUG", 100)))
    huge = accepted("o1", *[("BOX", 1_000_000)] * (PART_LINES_MAX // 100 + 1))
    spec.when(huge).then_one(StockBackordered)


def test_an_order_without_bundles_is_answered_in_one_turn_and_tells_nothing_of_them() -> None:
    [reserved] = boxes(MUG=9, TEA=9).when(accepted("o1", ("MUG", 1))).events
    assert isinstance(reserved, StockReserved)
    assert "bundles" not in reserved.model_dump(exclude_none=True)


def test_orders_for_a_bundle_and_its_part_get_exactly_what_there_is() -> None:
    """Forty boxes of two and forty single mugs, from two doors at once: fifty mugs, and no more."""
    world = World()
    for name, quantity in (("MUG", 50), ("TEA", 100)):
        world.take(receive(name, quantity))
    world.take(define(*BOX))
    for number in range(40):
        world.take(accepted(f"b{number}", ("BOX", 1)))
        world.take(accepted(f"m{number}", ("MUG", 1)))
    while world.timers:
        world.due(next(iter(world.timers.values())))
    assert world.promise["MUG", "reserved"] == world.promise["MUG", "on_hand"] == 50
    assert prove(world.log).holds
