"""What the channels are told: the last unit is out everywhere at once; nothing is lost or stays stale."""

import random
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from libs.events.availability import AVAILABILITY_TOPIC, StockLow, StockRecovered
from libs.events.ids import order_id
from libs.events.intake import CancelOrder
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.promise import ChannelTerms, DefinePromiseTerms, Share, Wanted
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.state_topic import Follower
from services.inventory.availability import answer, read_sku
from tests.flow.marks import MemoryMarks
from tests.flow.oracle import check
from tests.flow.people import open_shop, order
from tests.flow.world import STAGES, TENANT, Process, World

INVENTORY = STAGES[1]
SHARES = (Share(channel="web", units=1, lends_to=("pos",)),)


def told(world: World, sku: str) -> dict[str, Any]:
    """What a channel that reads the topic knows of a SKU: the last record of its key, and it alone."""
    records = [one for one in world.broker.all(AVAILABILITY_TOPIC) if one.key == f"acme/sku/{sku}".encode()]
    state: dict[str, Any] = orjson.loads(records[-1].value or b"")
    versions = [orjson.loads(one.value or b"")["version"] for one in records]
    assert state["version"] == max(versions), "a reader that drops stale states would not end with the last"
    return state


def records(world: World) -> int:
    return len(world.broker.all(AVAILABILITY_TOPIC))


def shown(world: World, sku: str) -> dict[str, int]:
    return {one["channel"]: one["shown"] for one in told(world, sku)["channels"]}


def is_told(world: World, *skus: str) -> None:
    """The topic says what `/v1/availability` answers, of the state that is committed."""
    for sku in skus:
        snapshot = world.logs["inventory"].parts[f"acme/sku/{sku}"]
        part, state = read_sku(snapshot.part or b""), told(world, sku)
        assert (state["version"], state["position"]) == (snapshot.version, part.position)
        figures = {None: state["available"]}
        figures |= {one["channel"]: one["available"] for one in state["channels"]}
        for channel, available in figures.items():
            [asked] = answer([Wanted(sku=sku, quantity=1)], channel, {sku: part})["skus"]
            assert available == asked["available"]
        for one in state["channels"]:
            [asked] = answer([Wanted(sku=sku, quantity=1)], one["channel"], {sku: part})["skus"]
            assert one["shown"] == asked["shown"]


async def shop(**units: int) -> World:
    world = await World().start()
    await open_shop(world, {"LON": units})
    return world


async def test_the_last_unit_sold_shows_as_out_everywhere_at_once() -> None:
    world = await shop(TEA=1, MUG=5)
    await world.send(DefinePromiseTerms(sku="TEA", shares=SHARES))
    await world.settle()
    assert shown(world, "TEA") == {"pos": 1, "web": 1}, "what a share keeps is not there for others"
    assert told(world, "TEA")["available"] == 0
    await world.send(order("1", {"TEA": 1}))
    await world.settle()
    assert shown(world, "TEA") == {"pos": 0, "web": 0}
    assert told(world, "TEA")["available"] == 0
    assert told(world, "MUG") == {
        "sku": "MUG",
        "version": 1,
        "position": 1,
        "available": 5,
        "channels": [],
        "low": False,
    }
    await world.send(CancelOrder(order_id=order_id(TENANT, "web", "1")))
    await world.settle()
    assert shown(world, "TEA") == {"pos": 1, "web": 1}, "and it is back as soon as it is free"
    is_told(world, "TEA", "MUG")
    check(world)


async def test_a_channel_shows_by_its_own_terms_and_its_buffer_is_kept_from_it() -> None:
    world = await shop(TEA=10)
    ways = (
        ChannelTerms(channel="marketplace", buffer=2, sold_out_at=3),
        ChannelTerms(channel="web", shown_max=5),
    )
    await world.send(DefinePromiseTerms(sku="TEA", channels=ways))
    await world.settle()
    assert told(world, "TEA")["available"] == 10
    assert shown(world, "TEA") == {"marketplace": 8, "web": 5}
    await world.send(order("1", {"TEA": 5}))
    await world.settle()
    assert shown(world, "TEA") == {"marketplace": 0, "web": 5}, "three are available there, which is sold out"
    is_told(world, "TEA")
    id_ = order_id(TENANT, "marketplace", "2")
    await world.send(order("2", {"TEA": 4}, channel="marketplace", order_id=id_))
    await world.settle()
    [asked] = answer([Wanted(sku="TEA", quantity=4)], "marketplace", _parts(world, "TEA"))["skus"]
    assert asked["waiting"] == 1, "it was promised three: a threshold hides, a buffer keeps"


async def test_many_orders_between_two_looks_are_one_record() -> None:
    world = await shop(TEA=500)
    await world.send(*(order(str(number), {"TEA": 1}) for number in range(200)))
    for stage in ("intake", "intake"):
        await world.turn([stage])
    process, before = world.processes["inventory"], records(world)
    while await world.members["inventory"].poll(500):
        pass
    assert process.follower is not None
    await process.follower.turn()
    assert records(world) == before + 1
    await world.settle()
    is_told(world, "TEA")


async def test_what_was_committed_and_not_told_when_a_process_died_is_told_by_who_takes_over() -> None:
    world = await shop(TEA=3, MUG=1)
    await world.send(AdjustStock(sku="TEA", node="LON", delta=4, reason_code="found"))
    await world.members["inventory"].poll(500)
    before = records(world)
    await world.broker.leave("inventory", world.members["inventory"], silently=True)
    await _another(world)
    await world.settle()
    assert told(world, "TEA")["available"] == 7
    assert records(world) - before <= 2, "what was told and settled before is not told again"
    is_told(world, "TEA", "MUG")


async def test_a_database_made_anew_tells_everything_again() -> None:
    world = await shop(TEA=3, MUG=1, POT=2)
    world.followed.clear()
    before = records(world)
    await world.broker.leave("inventory", world.members["inventory"])
    await _another(world)
    await world.settle()
    assert records(world) == before + 3
    is_told(world, "TEA", "MUG", "POT")


class SlowBroker:
    """Publishes what one process tells only when it is let to, and may fail when it has."""

    def __init__(self, world: World) -> None:
        self.world, self.kept, self.fails = world, list[tuple[str, int, Sequence[Message]]](), False

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        await self.meanwhile()
        await self.world.broker.publish(topic, partition, messages)
        if self.fails:
            raise PublishFailed("no answer")

    async def meanwhile(self) -> None:
        """What others do between a look and what is told of it."""


async def _racing(world: World, lane: int) -> tuple[SlowBroker, Follower]:
    """A follower of one lane beside the first one's of all, with a broker that keeps it waiting."""
    slow, log = SlowBroker(world), world.logs["inventory"]
    assert INVENTORY.states is not None
    marks = MemoryMarks(log, world.followed)
    follower = Follower(INVENTORY.states, "inventory", log, marks, slow, world.lane_of, clock=world.clock)
    await follower.own([lane])
    while await follower.turn():
        pass
    return slow, follower


@pytest.mark.parametrize("fails", [False, True])
async def test_a_state_that_comes_behind_a_newer_one_does_not_stay(fails: bool) -> None:
    """A process reads, waits long for the broker, and is overtaken by another that changed the SKU."""
    world = await shop(TEA=3)
    lane = world.lane_of("acme/sku/TEA")
    slow, late = await _racing(world, lane)
    numbers = (str(number) for number in range(100))
    elsewhere = next(n for n in numbers if world.lane_of(f"acme/{order_id(TENANT, 'web', n)}") != lane)
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    while await world.members["inventory"].poll(500):
        pass
    late.catch_up()

    async def overtaken() -> None:
        slow.meanwhile = SlowBroker(world).meanwhile  # type: ignore[method-assign]
        await world.send(order(elsewhere, {"TEA": 4}))
        await world.settle()
        assert told(world, "TEA")["available"] == 0

    slow.meanwhile, slow.fails = overtaken, fails  # type: ignore[method-assign]
    if fails:
        with pytest.raises(PublishFailed):
            await late.turn()
    else:
        await late.turn()
    last = world.broker.all(AVAILABILITY_TOPIC)[-1]
    assert orjson.loads(last.value or b"")["available"] == 4, "the race is the one that is meant"
    slow.fails = False
    while await late.turn():
        pass
    assert told(world, "TEA")["available"] == 0
    is_told(world, "TEA")


@pytest.mark.parametrize("seed", range(3))
async def test_two_processes_end_with_what_is_committed_whoever_was_faster(seed: int) -> None:
    world, dice = await World().start(), random.Random(seed)
    other, member = await world.process(INVENTORY)
    skus = ("TEA", "MUG", "POT")
    await open_shop(world, {"LON": dict.fromkeys(skus, 40)})
    slow, first = SlowBroker(world), world.processes["inventory"].follower
    assert first is not None

    async def meanwhile() -> None:
        if dice.random() < 0.8:
            await world.members["inventory"].poll(dice.randint(1, 5))
            while dice.random() < 0.9 and await first.turn():
                pass

    slow.meanwhile = meanwhile  # type: ignore[method-assign]
    assert other.follower is not None
    other.follower._publisher = slow
    for number in range(60):
        await world.send(order(str(number), {dice.choice(skus): 1, dice.choice(skus): 2}))
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
    for sku in skus:
        part = read_sku(world.logs["inventory"].parts[f"acme/sku/{sku}"].part or b"")
        last = orjson.loads(_of(world, sku)[-1])
        assert (last["position"], last["available"]) == (part.position, part.claimable(None))


async def test_a_sku_that_runs_low_is_told_once_and_once_when_it_has_recovered() -> None:
    world = await shop(TEA=12)
    await world.send(DefinePromiseTerms(sku="TEA", low_at=10, recovered_at=13))
    await world.settle()
    assert world.events(StockLow, StockRecovered) == []
    await world.send(order("1", {"TEA": 2}))
    await world.settle()
    assert world.events(StockLow) == [StockLow(sku="TEA", free=10, low_at=10, terms_version=1)]
    assert told(world, "TEA")["low"] is True
    for number in range(2, 5):  # up and down between the levels: nobody wants to hear of it
        await world.send(order(str(number), {"TEA": 1}))
        await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
        await world.settle()
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=2))
    await world.settle()
    assert len(world.events(StockLow, StockRecovered)) == 1
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await world.settle()
    assert world.events(StockRecovered) == [StockRecovered(sku="TEA", free=13, terms_version=1)]
    assert told(world, "TEA")["low"] is False
    is_told(world, "TEA")
    check(world, all_closed=False)


async def test_a_level_that_is_taken_away_ends_the_alert_and_a_new_one_begins_another() -> None:
    world = await shop(TEA=3)
    await world.send(DefinePromiseTerms(sku="TEA", low_at=5))
    await world.settle()
    await world.send(DefinePromiseTerms(sku="TEA", low_at=4, safety_stock=1))
    await world.settle()
    assert len(world.events(StockLow)) == 1, "it is low by the new level, too, and was told to be"
    await world.send(DefinePromiseTerms(sku="TEA"))
    await world.settle()
    assert [event.terms_version for event in world.events(StockRecovered)] == [3]  # type: ignore[attr-defined]
    await world.send(DefinePromiseTerms(sku="TEA", low_at=3))
    await world.settle()
    assert [event.terms_version for event in world.events(StockLow)] == [1, 4]  # type: ignore[attr-defined]


async def _another(world: World) -> Process:
    """A process that takes inventory's place."""
    process, member = await world.process(INVENTORY)
    world.processes["inventory"], world.members["inventory"] = process, member
    return process


def _of(world: World, sku: str) -> list[bytes]:
    key = f"acme/sku/{sku}".encode()
    return [one.value or b"" for one in world.broker.all(AVAILABILITY_TOPIC) if one.key == key]


def _parts(world: World, sku: str) -> dict[str, Any]:
    return {sku: read_sku(world.logs["inventory"].parts[f"acme/sku/{sku}"].part or b"")}
