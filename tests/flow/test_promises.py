"""Held baskets through all stages: what a shop sees that holds one, orders it, or comes too late."""

from datetime import timedelta

from libs.events.ids import order_id
from libs.events.intake import CancelOrder, OrderClosed
from libs.events.inventory import NETWORK, StockBackordered, StockReserved
from libs.events.order import Destination
from libs.events.policy import DefineReservationPolicies, PolicyRule
from libs.events.promise import (
    HoldStock,
    PromiseConfirmed,
    PromiseExpired,
    PromiseHeld,
    PromiseMissed,
    PromiseReleased,
    Wanted,
)
from libs.events.refusal import CommandRefused
from libs.events.supply import ExpectSupply, ReceiveSupply
from tests.flow.oracle import balances, check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.world import TENANT, World


def basket(promise_id: str, ttl_seconds: int = 60, **wanted: int) -> HoldStock:
    lines = tuple(Wanted(sku=sku, quantity=quantity) for sku, quantity in wanted.items())
    return HoldStock(promise_id=promise_id, lines=lines, ttl_seconds=ttl_seconds)


async def shop(**tea: int) -> World:
    world = await World().start()
    await open_shop(world, {"LON": tea})
    return world


def bucket(world: World, sku: str, name: str) -> int:
    return balances(world).get((sku, NETWORK, name), 0)


async def test_the_last_unit_is_held_at_checkout_and_goes_to_who_held_it() -> None:
    world = await shop(TEA=1)
    await world.send(basket("mine", TEA=1))
    await world.settle()
    await world.send(basket("late", TEA=1))
    await world.send(order("other", {"TEA": 1}))
    await world.settle()
    [refused] = world.events(CommandRefused)
    assert isinstance(refused, CommandRefused)
    assert (refused.code, refused.refused_stream) == ("not_available", "promise/late")
    assert "TEA: 1 wanted, 0 can be promised" in refused.message
    await world.send(order("mine", {"TEA": 1}, promise_id="mine"))
    await world.settle()
    mine, other = order_id(TENANT, "web", "mine"), order_id(TENANT, "web", "other")
    assert [event.stream for event in world.events(StockReserved)] == [mine]
    assert [event.stream for event in world.events(StockBackordered)] == [other]
    await world.send(CancelOrder(order_id=other))
    await Warehouse(world).everything()
    world.clock.advance(seconds=61)
    await world.settle()
    assert world.events(PromiseExpired) == [], "an order has confirmed it"
    assert len(world.events(PromiseConfirmed)) == 1
    outcomes = {event.stream: event for event in world.events(OrderClosed)}
    assert {outcomes[mine].outcome, outcomes[other].outcome} == {"delivered", "cancelled"}  # type: ignore[attr-defined]
    check(world)


async def test_nobody_orders_and_who_waits_gets_the_units_when_time_is_up() -> None:
    world = await shop(TEA=2, MUG=1)
    await world.send(basket("gone", TEA=2, MUG=1))
    await world.settle()
    await world.send(order("waits", {"TEA": 2}))
    await world.settle()
    assert world.events(StockReserved) == []
    assert bucket(world, "TEA", "held") == 2
    world.clock.advance(seconds=59)
    await world.settle()
    assert len(world.events(PromiseHeld)) == 1
    assert world.events(PromiseExpired) == []
    world.clock.advance(seconds=1)
    await world.settle()
    assert len(world.events(PromiseExpired)) == 1
    assert [event.stream for event in world.events(StockReserved)] == [order_id(TENANT, "web", "waits")]
    assert (bucket(world, "TEA", "held"), bucket(world, "MUG", "held")) == (0, 0)
    await world.send(order("late", {"MUG": 1}, promise_id="gone"))
    await world.settle()
    [missed] = world.events(PromiseMissed)
    assert isinstance(missed, PromiseMissed)
    assert missed.cause == "expired"
    await Warehouse(world).everything()
    check(world)


async def test_what_was_held_and_is_not_ordered_is_free_at_once() -> None:
    world = await shop(TEA=3, MUG=1)
    await world.send(basket("b", TEA=3, MUG=1))
    await world.settle()
    await world.send(order("1", {"TEA": 1}, promise_id="b"))
    await world.settle()
    [released] = world.events(PromiseReleased)
    assert isinstance(released, PromiseReleased)
    assert (released.cause, sum(move.quantity for move in released.movements)) == ("not_ordered", 3)
    await world.send(order("2", {"TEA": 2, "MUG": 1}))
    await Warehouse(world).everything()
    assert len(world.events(OrderClosed)) == 2
    check(world)


async def test_a_pre_order_is_held_at_checkout_and_its_order_is_served_in_the_baskets_place() -> None:
    world = await shop(TEA=1)
    await world.send(DefineReservationPolicies(rules=(PolicyRule(channel="web", baskets_wait=True),)))
    now = world.clock.now
    due = {"expected_at": now + timedelta(days=2), "stated_at": now}
    await world.send(ExpectSupply(sku="TEA", supply_id="PO-1", node="LON", quantity=4, **due))
    await world.settle()
    asked = basket("mine", TEA=3).model_copy(
        update={"channel": "web", "destination": Destination(country="GB")}
    )
    await world.send(asked)
    await world.settle()
    await world.send(order("between", {"TEA": 2}))
    await world.settle()
    await world.send(order("mine", {"TEA": 3}, promise_id="mine"))
    await world.settle()
    [held], mine = world.events(PromiseHeld), order_id(TENANT, "web", "mine")
    assert isinstance(held, PromiseHeld)
    assert held.usable_at == now + timedelta(days=2)
    await world.send(ReceiveSupply(sku="TEA", supply_id="PO-1", receipt_id="R1", node="LON", quantity=2))
    await world.settle()
    assert [event.stream for event in world.events(StockReserved)] == [mine]
    await world.send(ReceiveSupply(sku="TEA", supply_id="PO-1", receipt_id="R2", node="LON", quantity=2))
    await Warehouse(world).everything()
    assert len(world.events(OrderClosed)) == 2
    check(world)
