"""Units at nodes that are switched off are not promised, and are again once the node is switched on."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from libs.events.availability import SkuAvailability, StockLow
from libs.events.inventory import ReceiveStock, StockBackordered, StockPegged, StockReserved
from libs.events.order import Destination
from libs.events.promise import DefinePromiseTerms, HoldStock, PromiseHeld, Wanted
from libs.events.reach import NodeSwitched, ReachChanged
from libs.events.routing import NodeDefined
from libs.events.supply import DispatchTransfer
from libs.events.timer import Timer
from services.inventory import domain, reminders
from services.inventory.availability import answer, read_sku, state
from services.inventory.stock import SkuPart
from tests.spec import NOON, Spec, given
from tests.unit.inventory_stage import sku
from tests.unit.inventory_trade import (
    accepted,
    adjust,
    dispatched,
    due,
    hold,
    line,
    receive,
    returned,
    routed,
)
from tests.unit.inventory_world import World
from tests.unit.test_inventory_proof_queue import holds

written = TypeAdapter(SkuPart).dump_json
GB, US = Destination(country="GB"), Destination(country="US")


def node(name: str, version: int = 1, **more: Any) -> NodeDefined:
    terms = {"name": name, "country": "GB", "latitude": 51.5, "longitude": -0.1}
    return NodeDefined.model_validate({"node": name, "nodes_version": version, **terms, **more})


def switch(name: str, on: bool, version: int = 2) -> NodeDefined:
    return node(name, version, active=on)


def look(spec: Spec, name: str = "A") -> Spec:
    """The SKU is reminded of a switch."""
    return spec.heard(due(f"sku/{name}", "reach"))


def closed(**on_hand: int) -> Spec:
    """So many units of A by node, N2 being switched off."""
    spec = given(domain).heard(*(receive("A", units, at) for at, units in on_hand.items()))
    return look(spec.heard(switch("N2", on=False)))


def test_units_at_a_node_that_is_switched_off_are_promised_to_nobody() -> None:
    spec = closed(N1=3, N2=5)
    assert (sku(spec, "A").free, sku(spec, "A").claimable(None)) == (8, 3)
    spec.when(hold("b1", ("A", 4))).then_refused("not_available")
    [short] = spec.when(accepted("o1", ("A", 4))).events
    assert isinstance(short, StockBackordered)
    [lacking] = short.short
    assert (lacking.quantity, lacking.reason) == (1, "switched_off")


def test_a_switch_is_told_once_and_each_sku_says_what_it_means_for_it() -> None:
    spec = given(domain).heard(node("N2"), receive("A", 5, "N2"), receive("B", 5))
    spec.when(switch("N2", on=False)).then(NodeSwitched(node="N2", active=False, nodes_version=2))
    spec.when(node("N2", 3, active=False, country="FR")).then_nothing()
    spec.when(due("sku/A", "reach")).then_one(ReachChanged, closed=("N2",), nodes_version=2)
    spec.when(due("sku/A", "reach")).then_nothing()
    spec.when(due("sku/B", "reach")).then_nothing()
    spec.when(switch("N2", on=True, version=4)).then(NodeSwitched(node="N2", active=True, nodes_version=4))
    spec.when(due("sku/A", "reach")).then_one(ReachChanged, closed=())
    assert sku(spec, "A").claimable(None) == 5


def test_who_waits_is_given_the_units_of_a_node_that_is_switched_on_again() -> None:
    spec = closed(N1=1, N2=5).heard(accepted("o1", ("A", 4)))
    spec.heard(switch("N2", on=True, version=3))
    told, pegged = spec.when(due("sku/A", "reach")).events
    assert isinstance(told, ReachChanged)
    assert isinstance(pegged, StockPegged)
    assert [(one.order_id, one.quantity) for one in pegged.claims] == [("o1", 3)]
    [reserved] = spec.when(due("o1", "claims")).events
    assert isinstance(reserved, StockReserved)


def test_routing_is_not_told_of_units_that_nobody_may_ship() -> None:
    [reserved] = closed(N1=3, N2=5).when(accepted("o1", ("A", 2))).events
    assert isinstance(reserved, StockReserved)
    assert [(one.node, one.quantity) for one in reserved.availability] == [("N1", 3)]


def test_promises_made_before_stand_and_count_against_what_can_be_shipped() -> None:
    spec = given(domain).heard(receive("A", 3), receive("A", 5, "N2"), accepted("o1", ("A", 6)))
    look(spec.heard(switch("N2", on=False)))
    assert sku(spec, "A").claims["o1"].held == 6
    assert (sku(spec, "A").claimable(None), sku(spec, "A").free) == (0, 2)


@pytest.mark.parametrize("fact", [receive("A", 5, "N2"), adjust("A", 5, "N2")])
def test_units_that_arrive_at_a_node_that_is_off_already_are_not_promised_either(fact: ReceiveStock) -> None:
    spec = given(domain).heard(switch("N2", on=False), accepted("o1", ("A", 2)))
    spec.when(fact).then_types(type(fact_answer(fact)), ReachChanged)
    assert sku(spec, "A").claimable(None) == 0
    assert sku(spec, "A").claims["o1"].held == 0


def fact_answer(fact: Any) -> Any:
    """What the fact is answered with where every node is on."""
    [event] = given(domain).when(fact).events
    return event


def test_units_that_come_back_to_a_node_that_is_off_are_looked_at() -> None:
    spec = given(domain).heard(receive("A", 2), accepted("o1", ("A", 2)), switch("N2", on=False))
    spec.heard(routed("o1", 1, N1=(line(1, "A", 2),)), dispatched("o1", 1, "N1", line(1, "A", 2)))
    [back] = spec.when(returned("o1", "N2", line(1, "A", 2))).events
    assert Timer("sku/A", "reach", NOON) in reminders.timers(back, NOON)
    look(spec)
    assert sku(spec, "A").claimable(None) == 0


def test_a_tenant_whose_nodes_are_all_on_has_nothing_of_it() -> None:
    spec = given(domain).heard(node("N1"), node("N2"))
    spec.when(receive("A", 5, "N2")).then_types(type(fact_answer(receive("A", 5))))
    assert sku(spec, "A").closed is None
    assert spec.parts["nodes"].served() is None


def test_what_promises_need_may_not_leave_a_node_that_ships() -> None:
    spec = closed(N1=3, N2=5).heard(accepted("o1", ("A", 2)))
    spec.when(move("N1", 2)).then_refused("promised")
    assert spec.when(move("N2", 5)).events[0].TYPE.endswith("transfer_dispatched")


def move(source: str, quantity: int) -> DispatchTransfer:
    to = {"target_node": "N3", "due_at": NOON + timedelta(days=1)}
    return DispatchTransfer.model_validate(
        {"transfer_id": f"T-{source}", "sku": "A", "source_node": source, "quantity": quantity, **to}
    )


def test_shops_and_channels_are_told_what_can_be_promised_and_where_the_rest_is() -> None:
    spec = closed(N1=3, N2=5)
    part = read_sku(written(sku(spec, "A")))
    [told] = answer([Wanted(sku="A", quantity=4)], None, {"A": part})["skus"]
    assert (told["available"], told["short"], told["on_hand"]) == (3, 1, 8)
    assert told["nodes"] == [
        {"node": "N1", "on_hand": 3},
        {"node": "N2", "on_hand": 5, "switched_off": True},
    ]
    found = state("sku/A", 4, written(sku(spec, "A")))
    assert found is not None
    assert isinstance(found[0], SkuAvailability)
    assert found[0].available == 3


def test_a_sku_is_low_by_what_can_be_promised() -> None:
    spec = closed(N1=3, N2=5).heard(DefinePromiseTerms(sku="A", low_at=4))
    spec.when(due("sku/A", "level")).then_one(StockLow, free=3)


def test_the_proof_follows_the_switches() -> None:
    world = World()
    for body in (
        receive("A", 5, "N2"),
        receive("A", 1),
        DefinePromiseTerms(sku="A", safety_stock=1),
        switch("N2", on=False),
        due("sku/A", "reach"),
        accepted("o1", ("A", 4)),
        accepted("o2", ("A", 1)),
        receive("A", 2),
    ):
        world.take(body)
    part = world.parts["sku/A"]
    assert isinstance(part, SkuPart)
    assert {order: claim.held for order, claim in part.claims.items()} == {"o1": 2, "o2": 0}
    holds(world)


def bound_for(where: Destination, quantity: int, promise_id: str = "b1") -> HoldStock:
    return HoldStock(promise_id=promise_id, lines=(Wanted(sku="A", quantity=quantity),), destination=where)


def test_a_basket_for_a_country_that_no_node_with_stock_serves_is_not_held() -> None:
    spec = given(domain).heard(node("N1", ships_to=("GB",)), receive("A", 5), receive("A", 2, "N2"))
    [refused] = spec.when(bound_for(US, 3)).events
    spec.when(bound_for(US, 3)).then_refused("not_served")
    assert "2 of 3 units of A" in refused.message  # type: ignore[attr-defined]
    spec.when(bound_for(US, 2)).then_types(PromiseHeld)
    spec.when(bound_for(GB, 5, "b2")).then_types(PromiseHeld)
