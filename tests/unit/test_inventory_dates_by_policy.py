"""Dates follow who is served when: by class, all or nothing, and a bundle by its parts."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.events.contract import Event
from libs.events.dates import SupplyPegged
from libs.events.intake import OrderAccepted
from libs.events.policy import DefineReservationPolicies, PolicyRule, PriorityClass
from libs.events.promise import Wanted
from services.inventory.availability import answer_dated
from services.inventory.pegging import peg_supply
from services.inventory.places import NO_PLACES
from services.inventory.queue import Turn, shares
from services.inventory.recipes import Recipe
from services.inventory.stock import OrderClaim, SkuPart
from services.inventory.supplies import Expected, SupplyPart
from services.inventory.terms import Terms
from tests.spec import NOON
from tests.unit.inventory_dates import FACTS, asking, day
from tests.unit.inventory_supply import arrive, expect
from tests.unit.inventory_trade import accepted, receive
from tests.unit.inventory_world import World
from tests.unit.test_inventory_pegging import FRIDAY, TUESDAY, orders, settle

POLICIES = DefineReservationPolicies(
    classes=(PriorityClass(name="express", rank=10),),
    rules=(
        PolicyRule(service="express", priority="express", reallocates=True),
        PolicyRule(service="whole", policy="all_or_nothing"),
    ),
)


def shop() -> World:
    started = World()
    started.take(POLICIES)
    return started


def by(service: str, order: OrderAccepted) -> OrderAccepted:
    return order.model_copy(update={"service": service})


def pegged(told: list[Event]) -> dict[str, str]:
    return {
        peg.order_id: peg.supply_id for event in told if isinstance(event, SupplyPegged) for peg in event.pegs
    }


def test_a_class_is_served_before_an_older_order_and_both_are_told() -> None:
    world = shop()
    world.take(accepted("o1", ("A", 2)))
    world.take(expect("A", "PO-1", 2, expected_at=TUESDAY))
    world.take(expect("A", "PO-2", 2, expected_at=FRIDAY))
    assert orders(settle(world)) == {"o1": TUESDAY}
    world.take(by("express", accepted("o2", ("A", 2))))
    assert orders(settle(world)) == {"o1": FRIDAY, "o2": TUESDAY}
    world.take(arrive("A", "PO-1", "R-1", 2))
    assert orders(settle(world)) == {}, "who was to be served is, and nothing changes for the other"
    assert world.parts["o2"].status == "reserved"  # type: ignore[union-attr]


def test_who_loses_units_to_another_order_is_told_when_they_come_again() -> None:
    world = shop()
    world.take(receive("A", 2))
    world.take(expect("A", "PO-1", 9, expected_at=TUESDAY))
    world.take(accepted("o1", ("A", 2)))
    assert orders(settle(world)) == {}
    world.take(by("express", accepted("o2", ("A", 2))))
    assert orders(settle(world))["o1"] == TUESDAY
    assert world.parts["o2"].status == "reserved"  # type: ignore[union-attr]


def test_who_wants_all_or_nothing_is_passed_over_until_there_is_enough() -> None:
    world = shop()
    world.take(by("whole", accepted("o1", ("A", 5))))
    world.take(accepted("o2", ("A", 2)))
    world.take(expect("A", "PO-1", 2, expected_at=TUESDAY))
    world.take(expect("A", "PO-2", 5, expected_at=FRIDAY))
    told = settle(world)
    assert orders(told) == {"o1": FRIDAY, "o2": TUESDAY}
    assert pegged(told) == {"o1": "PO-2", "o2": "PO-1"}
    world.take(arrive("A", "PO-1", "R-1", 2))
    settle(world)
    assert world.parts["o2"].status == "reserved"  # type: ignore[union-attr]
    world.take(arrive("A", "PO-2", "R-2", 5))
    settle(world)
    assert world.parts["o1"].status == "reserved"  # type: ignore[union-attr]


def test_all_or_nothing_waits_for_the_sku_that_lacks_though_it_holds_nothing_of_the_others() -> None:
    world = shop()
    world.take(receive("B", 3))
    world.take(by("whole", accepted("o1", ("A", 2), ("B", 3))))
    world.take(expect("A", "PO-1", 2, expected_at=TUESDAY))
    assert orders(settle(world)) == {"o1": TUESDAY}


def test_a_bundle_comes_with_the_last_of_its_parts_and_as_often_as_the_scarcest_allows() -> None:
    box = SkuPart(recipe=Recipe(1, {"MUG": 2, "TEA": 1}))
    mugs, teas = SkuPart(1, {"N1": 4}), SkuPart(1, {"N1": 1})
    tuesday = NOON + timedelta(days=1)
    bought = SupplyPart(expected={"PO-1": Expected("N1", 5, 0, 5, tuesday, NOON)})
    found = answer_dated(
        [Wanted(sku="BOX", quantity=2), Wanted(sku="TEA", quantity=1)],
        None,
        {"BOX": box, "MUG": mugs, "TEA": teas},
        {"TEA": bought},
        asking(*FACTS),
    )
    boxes, tea = found["skus"]
    assert boxes["delivery"]["deliver_by"] == tea["delivery"]["deliver_by"] == day(4), (
        "of three teas, one is there"
    )
    assert found["delivery"]["deliver_by"] == day(4)
    assert [step["quantity"] for step in boxes["atp"]] == [0, 2], "a tea is wanted beside the boxes"
    assert [step["quantity"] for step in tea["atp"]] == [0, 4]


def test_a_basket_stands_behind_who_wants_all_or_nothing() -> None:
    waits = {"o1": OrderClaim(0, 0, NOON.isoformat())}
    part = SkuPart(1, claims=waits, turns={"o1": Turn(whole=3)})
    bought = SupplyPart(expected={"PO-1": Expected("N1", 4, 0, 4, TUESDAY, NOON)})

    def date_of(units: int) -> dict[str, object]:
        wanted = [Wanted(sku="A", quantity=units)]
        told = answer_dated(wanted, None, {"A": part}, {"A": bought}, asking(*FACTS))
        delivery: dict[str, object] = told["delivery"]
        return delivery

    assert date_of(1)["deliver_by"] == day(4)
    assert "deliver_by" not in date_of(2), "three of the four are for the order"


WAITING = st.lists(
    st.tuples(st.sampled_from([10, 50, 70]), st.integers(1, 5), st.booleans()), min_size=1, max_size=6
)


@given(
    waiting=WAITING,
    free=st.integers(0, 4),
    units=st.lists(st.integers(1, 6), max_size=4),
    kept=st.integers(0, 2),
)
def test_a_date_is_when_the_queue_comes_to_the_order(
    waiting: list[tuple[int, int, bool]], free: int, units: list[int], kept: int
) -> None:
    """What is told is what happens: units given as they arrive, by who is served when one arrives."""
    claims, turns = dict[str, OrderClaim](), dict[str, Turn]()
    for number, (rank, wanted, whole) in enumerate(waiting):
        since = (NOON - timedelta(days=number)).isoformat()
        claims[f"o{number}"] = OrderClaim(0 if whole else wanted, 0, since)
        turns[f"o{number}"] = Turn(rank, wanted if whole else 0)
    total = sum(claim.wanted for claim in claims.values())
    part = SkuPart(1, {"N1": free}, {}, 0, total, claims, Terms(1, kept), turns)
    days = {f"PO-{number}": NOON + timedelta(days=number + 1) for number in range(len(units))}
    bought = SupplyPart(
        expected={
            name: Expected("N1", units[number], 0, units[number], day_, NOON)
            for number, (name, day_) in enumerate(days.items())
        }
    )
    told = pegged(peg_supply("A", part, bought, NO_PLACES, NOON))
    served = dict[str, str]()
    left, claims, turns = free, dict(claims), dict(turns)
    for name, more in zip((None, *days), (0, *units), strict=True):
        left += more
        for holder, got, called in shares(left, claims, turns, part.terms):
            left -= got
            had = claims[holder]
            claims[holder] = OrderClaim(had.wanted, had.held + got, had.since)
            if called:
                turns[holder] = Turn(turns[holder].rank)
            if name is not None and (called or had.wanted == had.held + got):
                served[holder] = name
    assert told == served
