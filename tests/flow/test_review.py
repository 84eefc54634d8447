"""Plans held for review, through all stages: approved, overtaken, cancelled; stock exact each time."""

import random

import pytest

from libs.events.contract import Command
from libs.events.fulfillment import FulfillmentReleased
from libs.events.intake import CancelOrder, SubmitOrder
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.order import Destination
from libs.events.refusal import CommandRefused
from libs.events.routing import ApproveRouting, DefineReview, OrderRouted, RoutingHeld
from tests.flow.oracle import check
from tests.flow.people import Warehouse, order
from tests.flow.test_amendments import north
from tests.flow.test_lives import issued, on_hand, outcomes, shop
from tests.flow.test_support import cancel
from tests.flow.world import World

APART = {"LON": {"TEA": 5}, "MAN": {"MUG": 5}, "DUB": {"TEA": 5, "MUG": 5}}
"""Near the customer only together; all at once far away."""


async def reviewed(stock: dict[str, dict[str, int]] = APART) -> World:
    """A shop that reviews what is far."""
    world = await shop(stock)
    await world.send(DefineReview(distance_km_max=350))
    await world.settle()
    return world


async def held_order(world: World, number: str = "1") -> SubmitOrder:
    bought = order(number, {"TEA": 2, "MUG": 1})
    await world.send(bought)
    await world.settle()
    return bought


def approve(of: SubmitOrder, round: int = 1, *nodes: str) -> ApproveRouting:
    return ApproveRouting(order_id=of.order_id, round=round, nodes=nodes or None, reason="a good customer")


def rounds(world: World) -> list[int]:
    return [event.round for event in world.events(RoutingHeld) if isinstance(event, RoutingHeld)]


def refused(world: World) -> list[str]:
    return [event.code for event in world.events(CommandRefused) if isinstance(event, CommandRefused)]


async def test_a_held_plan_waits_with_its_stock_until_it_is_approved() -> None:
    world = await reviewed()
    bought = await held_order(world)
    assert rounds(world) == [1]
    assert not world.events(OrderRouted, FulfillmentReleased)
    assert on_hand(world, "TEA") == 10, "promised, and at no node yet"
    await world.send(approve(bought))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    assert (issued(world, "TEA"), issued(world, "MUG")) == (2, 1)
    check(world)


async def test_other_nodes_that_a_person_names_ship_it() -> None:
    world = await reviewed()
    bought = await held_order(world)
    await world.send(approve(bought, 1, "LON", "MAN"))
    await world.settle()
    released = [one.node for one in world.events(FulfillmentReleased) if isinstance(one, FulfillmentReleased)]
    assert sorted(released) == ["LON", "MAN"]
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    check(world)


async def test_a_cancellation_ends_what_is_held_and_an_approval_comes_too_late() -> None:
    world = await reviewed()
    bought = await held_order(world)
    await world.send(CancelOrder(order_id=bought.order_id, reason="took too long"))
    await world.settle()
    assert outcomes(world) == {bought.order_id: "cancelled"}
    await world.send(approve(bought))
    await world.settle()
    assert refused(world) == ["order_cancelled"]
    assert not world.events(OrderRouted)
    check(world)


async def test_lines_that_are_cancelled_or_an_address_that_is_changed_open_another_round() -> None:
    for change in (cancel(order("1", {"TEA": 2, "MUG": 1}), (1, 1)), north(order("1", {"TEA": 1}))):
        world = await reviewed()
        bought = await held_order(world)
        await world.send(change)
        await world.settle()
        await world.send(approve(bought, 1))
        await world.settle()
        assert "round_past" in refused(world)
        if 2 in rounds(world):
            await world.send(approve(bought, 2))
            await world.settle()
        await Warehouse(world).everything()
        assert list(outcomes(world).values()) in (["delivered"], ["partly_delivered"])
        check(world)


async def test_units_that_are_lost_while_it_is_held_are_looked_for_and_it_is_held_again() -> None:
    world = await reviewed({"DUB": {"TEA": 5, "MUG": 1}})
    bought = await held_order(world)
    await world.send(AdjustStock(sku="MUG", node="DUB", delta=-1, reason_code="lost"))
    await world.settle()
    await world.send(approve(bought, 1))
    await world.settle()
    assert refused(world) == ["round_past"]
    await world.send(ReceiveStock(sku="MUG", node="DUB", quantity=3))
    await world.settle()
    assert rounds(world) == [1, 2]
    await world.send(approve(bought, 2))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    check(world)


async def test_who_is_first_at_the_node_meanwhile_sends_the_approved_order_to_another_round() -> None:
    """Its units are promised of the network; those at the node that was planned went to another order."""
    world = await reviewed({"DUB": {"TEA": 3, "MUG": 1}, "LON": {"TEA": 2}, "MAN": {"MUG": 1}})
    bought = await held_order(world)
    near = order("2", {"MUG": 1}, destination=Destination(country="GB", latitude=53.3, longitude=-6.2))
    await world.send(DefineReview())
    await world.settle()
    await world.send(near)
    await world.settle()
    await world.send(approve(bought))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered", near.order_id: "delivered"}
    plans = [one for one in world.events(OrderRouted) if isinstance(one, OrderRouted)]
    mine = [(one.round, one.reviewed is not None) for one in plans if one.order_id == bought.order_id]
    assert mine == [(1, True), (2, False)]
    check(world)


@pytest.mark.parametrize("turns", range(12))
async def test_an_approval_and_a_cancellation_in_any_order_have_one_end(turns: int) -> None:
    world = await reviewed()
    bought = order("1", {"TEA": 2, "MUG": 1})
    await world.send(bought)
    await world.turns(turns)
    await world.send(approve(bought))
    await world.turns(turns % 5)
    await world.send(CancelOrder(order_id=bought.order_id))
    await world.settle()
    await world.send(approve(bought))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "cancelled"}
    assert on_hand(world, "TEA") == 10
    check(world)


@pytest.mark.parametrize("seed", range(12))
async def test_in_random_lives_each_order_is_planned_as_often_as_it_needs_and_ends_once(seed: int) -> None:
    """Approvals, repeated and late ones among them, cancellations, counts and new addresses, whatever comes
    first; in the end somebody approves what is still held."""
    dice, world = random.Random(seed), await reviewed()
    bought = [order(str(number), {"TEA": 1, "MUG": dice.randint(1, 2)}) for number in range(6)]
    steps: list[Command] = list(bought)
    for one in bought:
        steps += [approve(one, dice.choice((1, 1, 2))) for _ in range(dice.randint(0, 2))]
        if dice.random() < 0.5:
            named = dice.choice(
                (approve(one, 1, "LON", "MAN"), CancelOrder(order_id=one.order_id), north(one))
            )
            steps.append(named)
    steps += [AdjustStock(sku="MUG", node="DUB", delta=-1, reason_code="lost") for _ in range(2)]
    steps[len(bought) :] = dice.sample(steps[len(bought) :], len(steps) - len(bought))
    for step in steps:
        await world.send(step)
        await world.turns(dice.randint(0, 4))
    await world.settle()
    await world.send(ReceiveStock(sku="MUG", node="LON", quantity=50))
    await world.settle()
    for _ in range(6):
        for event in world.events(RoutingHeld):
            assert isinstance(event, RoutingHeld)
            await world.send(ApproveRouting(order_id=event.order_id, round=event.round, reason="all of them"))
        await world.settle()
        await Warehouse(world).everything()
    assert set(outcomes(world)) == {one.order_id for one in bought}
    check(world)
