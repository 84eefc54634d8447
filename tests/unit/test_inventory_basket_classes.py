"""A basket is served as its order would be, by the tenant's classes; and what of it is at one node."""

from typing import Any

import pytest
from pydantic import ValidationError

from libs.events.policy import DefineReservationPolicies, PolicyRule, PriorityClass
from libs.events.promise import DefinePromiseTerms, HoldStock, PromiseHeld, ReorderHold, Wanted
from services.inventory.availability import answer
from services.inventory.basket_api import BasketRequest
from services.inventory.policies import NO_POLICIES, PoliciesPart, policy_of
from tests.unit.inventory_trade import accepted, due, hold, receive
from tests.unit.inventory_world import World
from tests.unit.test_inventory_backorders import sku
from tests.unit.test_inventory_proof_queue import holds
from tests.unit.test_inventory_reach import switch

EXPRESS = PriorityClass(name="express", rank=10)
BY_SERVICE = PolicyRule(service="express", policy="together", priority="express")


def shop(on_hand: int = 5, *rules: PolicyRule) -> World:
    """Below three free units only express gets any."""
    world = World()
    world.take(DefineReservationPolicies(classes=(EXPRESS,), rules=rules or (BY_SERVICE,)))
    world.take(receive("A", on_hand))
    world.take(DefinePromiseTerms(sku="A", reorder=ReorderHold(point=3, rank_max=10)))
    return world


def basket(quantity: int, promise_id: str = "b1", **of: Any) -> HoldStock:
    return HoldStock(promise_id=promise_id, lines=(Wanted(sku="A", quantity=quantity),), **of)


def policies(world: World) -> PoliciesPart:
    part = world.parts["order.policies"]
    assert isinstance(part, PoliciesPart)
    return part


def figures(world: World, **asked: Any) -> dict[str, Any]:
    body = BasketRequest.model_validate({"lines": [{"sku": "A", "quantity": 4}], **asked})
    policy = policy_of(policies(world) if "order.policies" in world.parts else NO_POLICIES, body.asks())
    wanted = [Wanted(sku="A", quantity=4)]
    return answer(wanted, body.channel, {"A": sku(world)}, world.now, policy, body.node)


def test_an_express_basket_holds_what_is_kept_for_express() -> None:
    world = shop()
    assert world.take(basket(4, service="standard"))[0].TYPE.endswith("command_refused")
    [held] = world.take(basket(4, "b2", service="express"))
    assert isinstance(held, PromiseHeld)
    assert held.policy is not None
    assert held.policy.rank == 10
    holds(world)


@pytest.mark.parametrize(
    ("rule", "of"),
    [
        (PolicyRule(order_type="vip", policy="together", priority="express"), {"order_type": "vip"}),
        (PolicyRule(channel="pos", policy="together", priority="express"), {"channel": "pos"}),
    ],
)
def test_its_order_type_or_its_channel_choose_the_class_as_well(rule: PolicyRule, of: dict[str, str]) -> None:
    world = shop(5, rule)
    assert isinstance(world.take(basket(4, **of))[0], PromiseHeld)
    assert (figures(shop(5, rule), **of)["skus"][0]["available"], figures(world)["available"]) == (5, False)


def test_an_express_basket_is_held_before_standard_orders_that_wait_and_the_proof_knows_why() -> None:
    world = shop(1)
    world.take(accepted("o1", ("A", 3)))
    world.take(receive("A", 1))
    assert world.take(hold("b1", ("A", 1)))[0].TYPE.endswith("command_refused")
    assert isinstance(world.take(basket(1, "b2", service="express"))[0], PromiseHeld)
    holds(world)


def test_figures_are_those_of_the_class() -> None:
    world = shop()
    assert figures(world)["skus"][0]["available"] == 2
    assert figures(world, service="express")["skus"][0]["available"] == 5


def test_what_can_be_collected_at_a_node_is_there_and_promised_to_nobody() -> None:
    world = World()
    for body in (receive("A", 3), receive("A", 4, "N2"), accepted("o1", ("A", 5))):
        world.take(body)
    at_n1, nowhere = figures(world, node="N1"), figures(world, node="N9")
    assert (at_n1["node"], at_n1["skus"][0]["available"], at_n1["skus"][0]["short"]) == ("N1", 2, 2)
    assert nowhere["skus"][0]["available"] == 0
    world.take(switch("N1", on=False))
    world.take(due("sku/A", "reach"))
    assert figures(world, node="N1")["skus"][0]["available"] == 0


def test_a_node_and_a_destination_are_not_asked_about_at_once() -> None:
    asked = {"lines": [{"sku": "A", "quantity": 1}], "node": "N1", "destination": {"country": "GB"}}
    with pytest.raises(ValidationError, match="not for both"):
        BasketRequest.model_validate(asked)
