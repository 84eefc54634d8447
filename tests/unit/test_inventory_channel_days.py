"""Days that a channel asks of all SKUs: those that have lots take them up, where they say nothing else."""

from typing import Any

from libs.events.channel_days import ChannelDays, ChannelDaysDefined, DefineChannelDays
from libs.events.inventory import ReservationBroken, StockBackordered, StockReserved
from libs.events.lots import LotsLimited
from libs.events.promise import ChannelTerms, PromiseTermsDefined
from services.inventory.proof import prove
from services.inventory.terms import Terms
from tests.spec import Spec
from tests.unit.inventory_lots import corrected, dairy, delivered, lots, milk
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_trade import accepted, due, receive
from tests.unit.inventory_world import World, fold, known
from tests.unit.test_inventory_backorders import settle
from tests.unit.test_inventory_shelf_life import NEW, OLD, asks, bought, lacks


def of_all(**days: int) -> DefineChannelDays:
    """What channels ask of all SKUs."""
    return DefineChannelDays(
        channels=tuple(ChannelDays(channel=name, shelf_days_min=least) for name, least in days.items())
    )


def reminded(spec: Spec, name: str = "MILK") -> Any:
    return spec.when(due(f"sku/{name}", "lots_back"))


def terms(spec: Spec) -> Terms:
    found = sku(spec, "MILK").terms
    assert found is not None
    return found


def claimable(spec: Spec, *channels: str) -> list[int]:
    return [sku(spec, "MILK").claimable(one) for one in channels or ("wholesale", "web")]


def test_they_are_an_event_with_a_version_and_the_same_again_is_none() -> None:
    spec = dairy()
    first = of_all(wholesale=5)
    spec.when(first).then(ChannelDaysDefined(version=1, channels=first.channels))
    spec.when(first).then_nothing()
    spec.when(of_all()).then(ChannelDaysDefined(version=2, channels=()))
    twice = DefineChannelDays(channels=(*first.channels, *first.channels))
    spec.when(twice).then_refused("channel_twice")


def test_a_sku_that_has_lots_takes_them_up_when_it_is_reminded() -> None:
    spec = dairy(OLD, NEW).heard(of_all(wholesale=5))
    assert claimable(spec) == [10, 10], "nobody has told the SKU"
    told = reminded(spec)
    told.then_types(PromiseTermsDefined, LotsLimited)
    assert told.events[0].shelf_days_of_channels == ("wholesale",)
    assert claimable(spec) == [6, 10]
    reminded(spec).then_nothing()
    spec.when(bought("o1", 8)).then_one(StockBackordered, short=(lacks(2),), channel="wholesale")


def test_lots_that_arrive_later_are_of_the_days_that_hold_and_a_sku_without_lots_has_no_part_in_it() -> None:
    spec = dairy().heard(of_all(wholesale=5), delivered(*OLD), delivered(*NEW))
    assert claimable(spec) == [6, 10]
    spec = stocked(A=5).heard(of_all(wholesale=5))
    spec.heard(due("sku/A", "lots_back"), receive("A", 1))
    assert sku(spec, "A").terms is None


def test_what_a_sku_says_itself_counts_first_also_that_a_channel_asks_for_nothing() -> None:
    spec = dairy(OLD, NEW).heard(of_all(wholesale=20, pos=2), asks({"wholesale": 5}))
    assert terms(spec).shelf_days == {"wholesale": 5, "pos": 2}
    assert claimable(spec, "wholesale", "pos") == [6, 10]
    spec.heard(asks({"wholesale": 0}))
    assert terms(spec).shelf_days == {"pos": 2}
    reminded(spec).then_nothing()
    assert claimable(spec, "wholesale") == [10]
    spec.heard(asks({}))
    assert terms(spec).shelf_days == {"wholesale": 20, "pos": 2}, "without a word of its own, the channel's"


def test_everything_else_of_the_terms_stays_as_it_is() -> None:
    ways = (ChannelTerms(channel="wholesale", buffer=1), ChannelTerms(channel="web", shown_max=4))
    own = asks({}, safety_stock=2, low_at=3).model_copy(update={"channels": ways})
    spec = dairy(OLD, NEW).heard(own)
    before = terms(spec)
    spec.heard(of_all(wholesale=5), due("sku/MILK", "lots_back"))
    after = terms(spec)
    assert (after.buffers, after.shown_max, after.safety_stock) == ({"wholesale": 1}, {"web": 4}, 2)
    assert (after.low_at, after.recovered_at, after.version) == (3, before.recovered_at, before.version + 1)
    spec.when(own).then_nothing()
    spec.heard(of_all(), due("sku/MILK", "lots_back"))
    assert (terms(spec).shelf_days, terms(spec).buffers) == ({}, {"wholesale": 1})


def test_more_days_break_the_promises_of_the_channel_that_cannot_be_kept_any_more() -> None:
    spec = dairy(OLD, NEW).heard(of_all(wholesale=1), due("sku/MILK", "lots_back"), bought("o1", 8))
    spec.heard(of_all(wholesale=5))
    told = reminded(spec)
    told.then_types(PromiseTermsDefined, LotsLimited, ReservationBroken)
    assert told.events[2].cause == "shelf_life"
    spec.when(due("o1", "claims")).then_one(StockBackordered, short=(lacks(2),))


def test_a_default_that_terms_have_no_place_for_is_left_out_and_not_told_for_ever() -> None:
    full = asks({f"c{number}": 1 for number in range(100)})
    spec = dairy(OLD).heard(full, of_all(wholesale=5))
    reminded(spec).then_nothing()
    assert "wholesale" not in terms(spec).shelf_days


def test_a_life_with_days_of_a_channel_is_proven_and_folds_in_any_order() -> None:
    world = World()
    for body in (milk(), delivered(*OLD), of_all(wholesale=5), corrected("OLD", 1), delivered(*NEW)):
        world.take(body)
        settle(world)
    [reserved] = world.take(bought("o1", 4))
    assert isinstance(reserved, StockReserved)
    world.take(accepted("o2", ("MILK", 7)))
    settle(world)
    proof = prove(world.log)
    assert proof.holds, proof.violation
    assert known(fold(world.folded)) == known(world.parts)


def test_lots_say_from_when_on_they_are_given_to_the_channel() -> None:
    spec = dairy(OLD, NEW).heard(of_all(wholesale=5), due("sku/MILK", "lots_back"))
    assert {channel: one.days_min for channel, one in lots(spec).limits.items()} == {"wholesale": 5}
