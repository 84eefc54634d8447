"""How many bundles can be sold, and waited for: what is told is what an order is answered."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.availability import SkuAvailability
from libs.events.backorders import BackorderRefused, Backorders, OpenBackorders
from libs.events.bundles import BundleRemoved
from libs.events.contract import Event
from libs.events.inventory import StockReserved
from libs.events.promise import ChannelTerms, DefinePromiseTerms, Wanted
from libs.runtime.stage import dump_part
from services.inventory.availability import answer, bundle_state, made_of, told_with
from services.inventory.bundle_figures import told_version
from services.inventory.recipes import Recipe, redefined
from services.inventory.stock import SkuPart
from tests.spec import NOON
from tests.unit.inventory_trade import accepted, receive
from tests.unit.inventory_world import World
from tests.unit.test_inventory_backorders import settle
from tests.unit.test_inventory_bundles import define


def shop(**on_hand: int) -> World:
    """Stock, and a box of two mugs and a tea."""
    world = World()
    for sku, units in on_hand.items():
        world.take(receive(sku, units))
    world.take(define(("MUG", 2), ("TEA", 1)))
    return world


def told(world: World, name: str = "BOX") -> SkuAvailability:
    """What the topic says of a bundle."""
    parts = {
        stream: (1, dump_part(part)) for stream, part in world.parts.items() if stream.startswith("sku/")
    }
    of = (f"sku/{name}", *made_of(f"sku/{name}", parts[f"sku/{name}"][1]))
    state = bundle_state(f"sku/{name}", {stream: parts[stream] for stream in of}, world.now)
    assert state is not None
    return state


def asked(world: World, channel: str | None = None) -> dict[str, object]:
    """What `/v1/availability` says of it."""
    skus = {
        stream.removeprefix("sku/"): part for stream, part in world.parts.items() if isinstance(part, SkuPart)
    }
    [one] = answer([Wanted(sku="BOX", quantity=1)], channel, skus, world.now)["skus"]
    return dict(one)


def ordered(world: World, boxes: int) -> list[Event]:
    """What an order of so many boxes is answered."""
    return [*world.take(accepted("1", ("BOX", boxes))), *settle(world)]


def capped(world: World, sku: str, units: int | None, **dates: object) -> None:
    caps = Backorders.model_validate({"units_max": units, **dates})
    world.take(DefinePromiseTerms(sku=sku, backorders=caps))


def test_a_part_knows_the_bundles_that_it_makes_and_others_are_not_decoded() -> None:
    world = shop(MUG=5, TEA=5, POT=1)
    for sku, bundles in (("MUG", {"sku/BOX"}), ("BOX", {"sku/BOX"}), ("POT", set())):
        assert told_with(f"sku/{sku}", dump_part(world.parts[f"sku/{sku}"])) == bundles
    assert told_with("sku/X", b'{"recipe":null, and nobody reads on') == set()


def test_a_bundle_has_the_least_figure_of_each_channel_that_a_part_or_its_own_terms_name() -> None:
    world = shop(MUG=21, TEA=9)
    world.take(DefinePromiseTerms(sku="TEA", channels=(ChannelTerms(channel="pos", buffer=4),)))
    world.take(DefinePromiseTerms(sku="BOX", channels=(ChannelTerms(channel="web", sold_out_at=9),)))
    state = told(world)
    figures = {one.channel: (one.available, one.shown) for one in state.channels}
    assert (state.available, figures) == (9, {"pos": (5, 5), "web": (9, 0)})
    for channel, (available, shown) in figures.items():
        row = asked(world, channel)
        assert (row["available"], row["shown"]) == (available, shown)


def test_with_no_caps_any_number_may_be_waited_for_and_nothing_is_said_of_it() -> None:
    world = shop(MUG=2, TEA=1)
    assert told(world).backorders is None
    assert "backorders" not in asked(world)


@given(
    mugs=st.integers(0, 9),
    teas=st.integers(0, 5),
    mugs_wait=st.none() | st.integers(0, 7),
    teas_wait=st.none() | st.integers(0, 4),
)
@settings(max_examples=60, deadline=None)
def test_as_many_bundles_may_be_waited_for_as_an_order_is_not_refused(
    mugs: int, teas: int, mugs_wait: int | None, teas_wait: int | None
) -> None:
    world = shop(MUG=mugs + 1, TEA=teas + 1)
    for sku, units in (("MUG", mugs_wait), ("TEA", teas_wait)):
        if units is not None:
            capped(world, sku, units)
    state = told(world)
    assert asked(world).get("backorders") == (state.backorders and state.backorders.model_dump())
    open_ = 3 if state.backorders is None or state.backorders.units is None else state.backorders.units
    for more, refused in ((0, False), (1, True)):
        boxes = state.available + open_ + more
        if boxes and (not refused or state.backorders is not None):
            events = ordered(deepcopy(world), boxes)
            assert any(isinstance(event, BackorderRefused) for event in events) == refused
            if not refused and not open_:
                assert any(isinstance(event, StockReserved) for event in events)


def test_when_a_bundle_can_be_waited_for_is_said_by_the_part_that_lacks_first() -> None:
    world = shop(MUG=4, TEA=7)
    capped(world, "MUG", 6, opens_at=NOON + timedelta(days=2))
    capped(world, "TEA", 9, closes_at=NOON - timedelta(days=1))
    waits = told(world).backorders
    assert waits == OpenBackorders(units=3, opens_at=NOON + timedelta(days=2)), "mugs for three more boxes"
    world.take(accepted("1", ("TEA", 3)))
    assert told(world).backorders == waits.model_copy(update={"units": 2}), (
        "teas are four, and none may be waited for"
    )
    world.take(accepted("2", ("TEA", 4)))
    waits = told(world).backorders
    assert waits is not None
    assert (waits.opens_at, waits.closes_at) == (None, NOON - timedelta(days=1)), (
        "teas lack first, and are over"
    )


def test_the_version_never_falls_whatever_a_bundle_becomes() -> None:
    mugs = Recipe(1, {"MUG": 2})
    gone = redefined(mugs, BundleRemoved(sku="BOX", bundle_version=1))
    teas = replace(mugs, version=2, parts={"TEA": 1})
    assert told_version(None, 7) == 7
    assert told_version(Recipe(within={"BOX": 1}), 7) == 7, "a part of others counts its own changes"
    versions = [
        told_version(mugs, 5 + 1_000_000),  # of its own part, and of mugs that changed often
        told_version(gone, 6),
        told_version(teas, 7 + 3),
        told_version(replace(teas, version=3, assembled=True), 8),
        told_version(replace(teas, version=1_000_000), 2**32 - 1),
    ]
    assert versions == sorted(set(versions))
    assert versions[-1] < 2**53, "a reader of JSON may hold numbers as floats"
