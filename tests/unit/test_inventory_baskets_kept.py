"""What a SKU keeps of each basket that holds some of it: little, the youngest last; and as it was before."""

from libs.events.contract import Event
from libs.events.promise import HeldUnits, HoldsBroken, PromiseConfirmed
from libs.runtime.stage import dump_part
from services.inventory.app import STAGE
from services.inventory.stock import SkuPart
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_trade import accepted, adjust, hold, of_basket

UUID_CHARACTERS = 36
BEFORE = b"""{"position":4,"on_hand":{"N1":9},"allocated":{},"reserved":5,"wanted":6,"claims":{
    "promise/young":{"wanted":1,"held":1,"since":"2026-06-02T12:00:01+00:00","channel":null},
    "o1":{"wanted":3,"held":2,"since":"2026-06-02T12:00:02Z","channel":"web"},
    "promise/old":{"wanted":2,"held":2,"since":"2026-06-02T12:00:00+00:00","channel":null}}}"""
"""A SKU's part as it was written when a basket was a claim like an order's."""


def broken(events: list[Event]) -> tuple[HeldUnits, ...]:
    [first, *_] = events
    assert isinstance(first, HoldsBroken)
    return first.holds


def test_a_basket_more_is_its_id_and_its_units() -> None:
    few = stocked(A=100).heard(*(hold(f"{number:036}", ("A", 1)) for number in range(10)))
    many = stocked(A=100).heard(*(hold(f"{number:036}", ("A", 1)) for number in range(60)))
    grown = len(dump_part(sku(many, "A"))) - len(dump_part(sku(few, "A")))
    assert grown <= 50 * (UUID_CHARACTERS + len('"":1,')) + 4


def test_a_basket_of_which_an_order_took_some_becomes_no_younger() -> None:
    spec = stocked(A=4).heard(hold("old", ("A", 2)), hold("young", ("A", 2)))
    spec.heard(of_basket("old", accepted("o1", ("A", 1))))
    assert broken(spec.when(adjust("A", -1)).events) == (HeldUnits(promise_id="young", quantity=1),)


def test_what_was_written_before_is_read_and_goes_on() -> None:
    part = STAGE.adapter("sku/A").validate_json(BEFORE)
    assert isinstance(part, SkuPart)
    assert (list(part.baskets.items()), list(part.claims)) == ([("old", 2), ("young", 1)], ["o1"])
    assert (part.reserved, part.wanted, part.free) == (5, 6, 4)
    again = STAGE.adapter("sku/A").validate_json(dump_part(part))
    assert again == part, "once written anew, it is read as it is"


def test_a_basket_that_was_held_before_is_confirmed() -> None:
    spec = stocked(A=9).heard(hold("old", ("A", 2)))
    spec.parts["sku/A"] = STAGE.adapter("sku/A").validate_json(BEFORE)
    confirmed = spec.when(of_basket("old", accepted("o2", ("A", 2)))).events[0]
    assert isinstance(confirmed, PromiseConfirmed)
    assert [(move.quantity, move.target) for move in confirmed.movements] == [(2, "reserved")]
    assert list(sku(spec, "A").baskets) == ["young"]
