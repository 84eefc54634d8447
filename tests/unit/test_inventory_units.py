"""Units of measure as sentences: what is stated in cases is booked in units, exactly, or not at all."""

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from libs.events.feeds import StockReported
from libs.events.inventory import AdjustStock, ReceiveStock, StockAdjusted, StockReceived
from libs.events.items import DefineItem, ItemDefined, UnitOfMeasure
from libs.events.measure import Stated
from libs.events.stocktaking import CountRecorded
from libs.events.supply import SupplyExpected, SupplyReceived
from services.inventory import domain
from tests.spec import Spec, given
from tests.unit.inventory_stage import sku
from tests.unit.inventory_supply import arrive, count, expect, feed, supply, told

INNER = UnitOfMeasure(unit="inner", holds=6)
CASE = UnitOfMeasure(unit="case", holds=4, of="inner")
PIECE = UnitOfMeasure(unit="piece", holds=1, per=12)


def packed(*units: UnitOfMeasure) -> Spec:
    """Tea, in these units; an inner of six and a case of four of them without any."""
    return given(domain).heard(DefineItem(sku="TEA", units=units or (INNER, CASE)))


def stated(quantity: int, unit: str = "case", damaged: int | None = None) -> Stated:
    return Stated(unit=unit, quantity=quantity, damaged=damaged, item_version=1)


def cases(quantity: int, unit: str = "case") -> ReceiveStock:
    return ReceiveStock(sku="TEA", node="N1", quantity=quantity, unit=unit)


def test_a_receipt_of_cases_is_booked_in_units_and_keeps_what_was_stated() -> None:
    spec = packed().when(cases(2)).then_one(StockReceived, quantity=48, stated=stated(2))
    assert sku(spec, "TEA").on_hand == {"N1": 48}


def test_each_is_a_unit_of_every_sku() -> None:
    spec = given(domain).when(cases(7, "each"))
    spec.then_one(StockReceived, quantity=7, stated=Stated(unit="each", quantity=7))


def test_a_correction_in_inners() -> None:
    spec = packed().heard(cases(1))
    gone = AdjustStock(sku="TEA", node="N1", delta=-2, unit="inner", reason_code="wet")
    spec.when(gone).then_one(StockAdjusted, delta=-12, stated=stated(-2, "inner"))
    assert sku(spec, "TEA").on_hand == {"N1": 12}
    spec.when(gone.model_copy(update={"delta": -3})).then_refused("not_on_hand")


def test_a_count_in_cases_is_held_against_the_book_in_units() -> None:
    spec = packed().heard(cases(3))
    counted = count("TEA", "C1", 2, book=72, position=1).model_copy(update={"unit": "case"})
    spec.when(counted).then_one(CountRecorded, counted=48, variance=-24, stated=stated(2))


def test_a_purchase_order_and_its_receipt_in_cases() -> None:
    spec = packed()
    bought = expect("TEA", "P", 10).model_copy(update={"unit": "case"})
    spec.when(bought).then_one(SupplyExpected, quantity=240, open=240, stated=stated(10))
    came = arrive("TEA", "P", "R1", 9, damaged=1).model_copy(update={"unit": "case"})
    spec.when(came).then_one(
        SupplyReceived, quantity=216, damaged=24, outcome="complete", stated=stated(9, damaged=1)
    )


def test_a_feed_tells_in_the_skus_unit_or_in_packs_of_its_own() -> None:
    spec = packed().heard(feed())
    spec.when(told("TEA", 2, unit="case")).then_one(StockReported, told=48, stated=stated(2))
    spec.when(told("TEA", 3, stated=1, unit="case", pack_size=12)).then_refused("two_pack_sizes")
    spec.when(told("TEA", 3, stated=1, unit="crate")).then_refused("unknown_unit")


def test_what_does_not_come_out_whole_is_refused_and_moves_nothing() -> None:
    spec = packed(PIECE)
    spec.when(cases(18, "piece")).then_refused("not_whole")
    spec.when(cases(24, "piece")).then_one(StockReceived, quantity=2, stated=stated(24, "piece"))
    assert sku(spec, "TEA").on_hand == {"N1": 2}


def test_a_unit_that_the_sku_does_not_have_is_refused() -> None:
    packed().when(cases(1, "pallet")).then_refused("unknown_unit")
    given(domain).when(cases(1)).then_refused("unknown_unit")


def test_what_comes_to_too_many_units_is_refused() -> None:
    packed().when(cases(1_000_000)).then_refused("too_many_units")


@pytest.mark.parametrize(
    ("units", "code"),
    [
        ((INNER, INNER), "unit_twice"),
        ((UnitOfMeasure(unit="each", holds=2),), "unit_twice"),
        ((CASE, INNER), "unknown_unit"),
        ((UnitOfMeasure(unit="case", holds=2, of="case"),), "unknown_unit"),
        ((INNER, UnitOfMeasure(unit="ship", holds=1_000_000, of="inner")), "unit_too_large"),
        ((PIECE, UnitOfMeasure(unit="dust", holds=1, per=1_000_000, of="piece")), "unit_too_large"),
    ],
)
def test_units_that_say_nothing_or_two_things_are_refused(
    units: tuple[UnitOfMeasure, ...], code: str
) -> None:
    given(domain).when(DefineItem(sku="TEA", units=units)).then_refused(code)


def test_units_change_by_versions_and_what_was_booked_stays() -> None:
    spec = packed().heard(cases(1))
    spec.when(DefineItem(sku="TEA", units=(INNER, CASE))).then_nothing()
    smaller = UnitOfMeasure(unit="case", holds=2, of="inner")
    spec.when(DefineItem(sku="TEA", units=(INNER, smaller))).then_one(ItemDefined, item_version=2)
    assert sku(spec, "TEA").on_hand == {"N1": 24}
    spec.when(cases(1)).then_one(StockReceived, quantity=12)
    assert supply(spec, "TEA").units_of_measure is not None


@given_any(
    levels=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4),
    quantity=st.integers(1, 500),
)
def test_a_conversion_is_exact_or_refused(levels: list[tuple[int, int]], quantity: int) -> None:
    """Against arithmetic of our own: multiply all the way up, then divide once."""
    units = tuple(
        UnitOfMeasure(unit=f"u{n}", holds=holds, per=per, of=f"u{n - 1}" if n else "each")
        for n, (holds, per) in enumerate(levels)
    )
    top, bottom = quantity, 1
    for holds, per in levels:
        top, bottom = top * holds, bottom * per
    answer = packed(*units).when(cases(quantity, units[-1].unit))
    if top % bottom:
        answer.then_refused("not_whole")
    elif top // bottom > 1_000_000:
        answer.then_refused("too_many_units")
    else:
        answer.then_one(StockReceived, quantity=top // bottom)
