"""What channels are told of bundles: as many as their parts allow, whichever of them changed, and where."""

import random
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from libs.events.availability import AVAILABILITY_TOPIC
from libs.events.bundles import BundlePart, DefineBundle, RemoveBundle
from libs.events.ids import order_id
from libs.events.intake import CancelOrder
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.promise import ChannelTerms, DefinePromiseTerms, Wanted
from libs.runtime.log import Snapshot
from libs.runtime.memory_log import MemoryLog
from services.inventory.availability import answer, read_sku
from tests.flow.people import open_shop, order
from tests.flow.test_availability import INVENTORY, SlowBroker, _another, _of, _racing, is_told, told
from tests.flow.world import TENANT, World


def box(name: str = "BOX", **parts: int) -> DefineBundle:
    """A bundle of so many units of each part; a box is two mugs and a tea."""
    of = parts or {"MUG": 2, "TEA": 1}
    return DefineBundle(
        sku=name, parts=tuple(BundlePart(sku=sku, quantity=units) for sku, units in of.items())
    )


async def shop(**units: int) -> World:
    """A shop that sells boxes."""
    world = await World().start()
    await open_shop(world, {"LON": units})
    await world.send(box())
    await world.settle()
    return world


def bundle_is_told(world: World, name: str = "BOX") -> None:
    """The topic says of a bundle what `/v1/availability` answers, of the state that is committed."""
    parts = world.logs["inventory"].parts
    skus = {
        key.removeprefix("acme/sku/"): read_sku(one.part)
        for key, one in parts.items()
        if key.startswith("acme/sku/") and one.part
    }
    state = told(world, name)
    figures = {None: (state["available"], state["available"])}
    figures |= {one["channel"]: (one["available"], one["shown"]) for one in state["channels"]}
    for channel, said in figures.items():
        [asked] = answer([Wanted(sku=name, quantity=1)], channel, skus)["skus"]
        assert said == (asked["available"], asked["shown"])
        assert state["bundle_version"] == asked["bundle_version"]


async def test_a_bundle_is_told_when_any_of_its_parts_changes_and_out_when_one_is() -> None:
    world = await shop(MUG=5, TEA=9)
    assert told(world, "BOX")["available"] == 2
    assert told(world, "BOX")["bundle_version"] == 1
    await world.send(order("1", {"TEA": 8}))
    await world.settle()
    assert told(world, "BOX")["available"] == 1, "one tea is left"
    await world.send(order("2", {"BOX": 1}))
    await world.settle()
    assert told(world, "BOX")["available"] == 0
    assert (told(world, "MUG")["available"], told(world, "TEA")["available"]) == (3, 0)
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=7))
    await world.settle()
    assert told(world, "BOX")["available"] == 1, "three mugs are one box"
    await world.send(CancelOrder(order_id=order_id(TENANT, "web", "2")))
    await world.settle()
    assert told(world, "BOX")["available"] == 2
    bundle_is_told(world)
    is_told(world, "MUG", "TEA")


async def test_a_channel_has_its_own_figure_of_a_bundle_by_the_terms_of_its_parts_and_by_its_own() -> None:
    world = await shop(MUG=20, TEA=9)
    await world.send(
        DefinePromiseTerms(sku="TEA", channels=(ChannelTerms(channel="pos", buffer=4),)),
        DefinePromiseTerms(sku="MUG", channels=(ChannelTerms(channel="marketplace", sold_out_at=19),)),
        DefinePromiseTerms(sku="BOX", channels=(ChannelTerms(channel="web", shown_max=3),)),
    )
    await world.settle()
    state = told(world, "BOX")
    assert state["available"] == 9
    assert [(one["channel"], one["available"], one["shown"]) for one in state["channels"]] == [
        ("marketplace", 9, 9),
        ("pos", 5, 5),
        ("web", 9, 3),
    ]
    await world.send(order("1", {"MUG": 1}))
    await world.settle()
    shown = {one["channel"]: one["shown"] for one in told(world, "BOX")["channels"]}
    assert shown == {"marketplace": 0, "pos": 5, "web": 3}, "mugs show as sold out there, and so do boxes"
    bundle_is_told(world)


async def test_a_bundle_that_is_amended_or_removed_is_told_and_its_version_never_falls() -> None:
    """`told` asserts that a reader that drops what is below its own ends with the last record."""
    world = await shop(MUG=8, TEA=9, POT=3)
    for number in range(3):  # mugs change often; the next box has none
        await world.send(order(str(number), {"MUG": 1}))
        await world.settle()
    assert told(world, "BOX")["available"] == 2
    await world.send(box(POT=1))
    await world.settle()
    assert (told(world, "BOX")["available"], told(world, "BOX")["bundle_version"]) == (3, 2)
    before = len(_of(world, "BOX"))
    await world.send(order("mug", {"MUG": 1}))
    await world.settle()
    assert len(_of(world, "BOX")) == before, "mugs are no part of it any more"
    await world.send(RemoveBundle(sku="BOX"))
    await world.settle()
    assert told(world, "BOX")["available"] == 0, "nobody goes on selling it"
    assert "bundle_version" not in told(world, "BOX")
    await world.send(ReceiveStock(sku="BOX", node="LON", quantity=4))
    await world.settle()
    assert told(world, "BOX")["available"] == 4, "it is a SKU like any other now"


async def test_a_bundle_that_is_planned_is_told_from_its_moment_on() -> None:
    world = await shop(MUG=8, TEA=9)
    later = box(TEA=3).model_copy(update={"effective_at": world.clock.now.replace(hour=20)})
    await world.send(later)
    await world.settle()
    assert told(world, "BOX")["available"] == 4
    world.clock.advance(hours=12)
    await world.settle()
    assert told(world, "BOX")["available"] == 3


async def test_each_tenant_is_told_of_its_own_parts() -> None:
    world = await shop(MUG=4, TEA=9)
    for command in (
        ReceiveStock(sku="MUG", node="LON", quantity=100),
        ReceiveStock(sku="TEA", node="LON", quantity=6),
    ):
        await world.send(command, tenant="bolt")
    await world.settle()
    await world.send(box(MUG=2, TEA=2), tenant="bolt")
    await world.settle()
    await world.send(AdjustStock(sku="TEA", node="LON", delta=-8, reason_code="broken"))
    await world.settle()
    assert told(world, "BOX")["available"] == 1
    theirs = [one for one in world.broker.all(AVAILABILITY_TOPIC) if one.key == b"bolt/sku/BOX"]
    assert [orjson.loads(one.value or b"")["available"] for one in theirs] == [3]


class Counted(MemoryLog):
    """A log that counts how often parts are read."""

    reads = 0

    async def snapshots(self, keys: Sequence[str], known: Any = None) -> dict[str, Snapshot]:
        self.reads += 1
        return await super().snapshots(keys, known)


async def test_what_is_no_part_of_a_bundle_costs_no_query() -> None:
    world = await shop(MUG=4, TEA=9, POT=1)
    follower, log = world.processes["inventory"].follower, world.logs["inventory"]
    assert follower is not None
    counted = Counted()
    counted.__dict__ |= log.__dict__
    follower._log = counted
    for sku, reads in (("POT", 0), ("TEA", 2)):
        await world.send(ReceiveStock(sku=sku, node="LON", quantity=1))
        await world.members["inventory"].poll(500)
        counted.reads = 0
        await follower.turn()
        assert counted.reads == reads, f"{sku}: the box that it is in, and its other parts"
        await world.settle()


@pytest.mark.parametrize("of", ["MUG", "TEA"])
async def test_a_figure_that_comes_behind_a_newer_one_does_not_stay(of: str) -> None:
    """A process reads the parts, waits long for the broker, and is overtaken by who changed one of them."""
    world = await shop(MUG=8, TEA=3)
    lane = world.lane_of("acme/sku/TEA")
    slow, late = await _racing(world, lane)
    numbers = (str(number) for number in range(100))
    elsewhere = next(n for n in numbers if world.lane_of(f"acme/{order_id(TENANT, 'web', n)}") != lane)
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    while await world.members["inventory"].poll(500):
        pass
    late.catch_up()
    meanwhile = 0

    async def overtaken() -> None:
        nonlocal meanwhile
        meanwhile += 1
        if meanwhile == 2:  # the tea is told; now the box, of four teas, is under way
            await world.send(order(elsewhere, {of: 4}))
            await world.settle()
            assert told(world, "BOX")["available"] == {"MUG": 2, "TEA": 0}[of]

    slow.meanwhile = overtaken  # type: ignore[method-assign]
    await late.turn()
    assert orjson.loads(_of(world, "BOX")[-1])["available"] == 4, "the race is the one that is meant"
    while await late.turn():
        pass
    bundle_is_told(world)


@pytest.mark.parametrize("seed", range(3))
async def test_two_processes_end_with_what_is_committed_whoever_was_faster(seed: int) -> None:
    world, dice = await World().start(), random.Random(seed)
    other, member = await world.process(INVENTORY)
    skus = ("TEA", "MUG", "POT")
    await open_shop(world, {"LON": dict.fromkeys(skus, 40)})
    slow, first = SlowBroker(world), world.processes["inventory"].follower
    assert first is not None
    assert other.follower is not None

    async def meanwhile() -> None:
        if dice.random() < 0.8:
            await world.members["inventory"].poll(dice.randint(1, 5))
            while dice.random() < 0.9 and await first.turn():
                pass

    slow.meanwhile = meanwhile  # type: ignore[method-assign]
    other.follower._publisher = slow
    for number in range(40):
        if number % 8 == 0:
            await world.send(box("BOX", **{dice.choice(skus): dice.randint(1, 3), "TEA": 1}))
        await world.send(order(str(number), {dice.choice(skus): 1, "POT": 1}))
        await world.turn(["intake"])
        if dice.random() < 0.4:
            await member.poll(dice.randint(1, 5))
            await other.follower.turn()
    while await member.poll(3) + await other.follower.turn():
        pass
    happened = 1
    while happened:
        happened = await world.turn() + await member.poll(500) + await other.loop.work()
        happened += await other.relay.turn() + await other.follower.turn()
    bundle_is_told(world)


async def test_a_part_that_cannot_be_read_keeps_no_other_bundle_from_being_told() -> None:
    world = await shop(MUG=4, TEA=9, POT=1)
    await world.send(box("SET", POT=1))
    await world.settle()
    parts = world.logs["inventory"].parts
    whole = parts["acme/sku/TEA"]
    parts["acme/sku/TEA"] = Snapshot(whole.version + 1, b'{"recipe":{"torn')
    await world.send(
        ReceiveStock(sku="MUG", node="LON", quantity=2), ReceiveStock(sku="POT", node="LON", quantity=4)
    )
    await world.members["inventory"].poll(500)
    follower = world.processes["inventory"].follower
    assert follower is not None
    await follower.turn()
    assert (told(world, "SET")["available"], told(world, "BOX")["available"]) == (5, 2)


async def test_who_takes_over_tells_bundles_that_were_not_told() -> None:
    world = await shop(MUG=4, TEA=9)
    await world.send(ReceiveStock(sku="MUG", node="LON", quantity=2))
    await world.members["inventory"].poll(500)
    await world.broker.leave("inventory", world.members["inventory"], silently=True)
    await _another(world)
    await world.settle()
    assert told(world, "BOX")["available"] == 3
    bundle_is_told(world)
