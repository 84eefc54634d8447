"""Units are promised only where nodes that have them ship to, counted with all other promises of the SKU."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    AllocationFailed,
    ReservationBroken,
    StockAllocated,
    StockBackordered,
    StockPegged,
    StockReserved,
)
from libs.events.order import Destination
from libs.events.policy import BackordersCalled
from libs.events.promise import HoldsBroken, HoldStock, PromiseHeld, Wanted
from libs.events.reach import NodeSwitched, ReachChanged
from libs.events.serving import Bound
from libs.events.timer import Timer
from services.inventory import domain, reminders
from services.inventory.availability import answer_dated, read_sku
from services.inventory.dates import Question
from services.inventory.places import PlacesPart
from services.inventory.serving import Reach
from services.inventory.standing import Asked, rows
from services.inventory.standing import line as queue_line
from services.inventory.stock import SkuPart
from services.inventory.supplies import NO_SUPPLY
from tests.spec import NOON, Spec, given
from tests.unit.inventory_stage import sku
from tests.unit.inventory_trade import accepted, adjust, cancelled, due, line, receive, routed
from tests.unit.inventory_world import World
from tests.unit.test_inventory_proof_queue import found, holds
from tests.unit.test_inventory_reach import move, node

written = TypeAdapter(SkuPart).dump_json


def to(country: str, order_id: str, *wanted: tuple[str, int]) -> OrderAccepted:
    """An order that goes there."""
    return accepted(order_id, *wanted).model_copy(update={"destination": Destination(country=country)})


def basket(country: str | None, promise_id: str, quantity: int) -> HoldStock:
    where = None if country is None else Destination(country=country)
    return HoldStock(promise_id=promise_id, lines=(Wanted(sku="A", quantity=quantity),), destination=where)


def stocked(**on_hand: int) -> Spec:
    """So many units of A by node: GB ships to Great Britain only, N1 everywhere."""
    spec = given(domain).heard(node("GB", ships_to=("GB",)), node("N1"))
    return spec.heard(*(receive("A", units, at) for at, units in on_hand.items()))


def held(spec: Spec) -> dict[str, int]:
    return {order_id: claim.held for order_id, claim in sku(spec, "A").claims.items()}


def test_an_order_is_promised_no_units_of_a_node_that_does_not_ship_there() -> None:
    spec = stocked(GB=5, N1=1)
    [short] = spec.when(to("IE", "o1", ("A", 2))).events
    assert isinstance(short, StockBackordered)
    [lacking] = short.short
    assert (lacking.quantity, lacking.reason) == (1, "not_served")
    spec.when(to("GB", "o2", ("A", 5))).then_types(StockReserved)
    assert held(spec) == {"o1": 1, "o2": 5}


def open_to(spec: Spec) -> list[int]:
    """What could be promised to GB, and to IE."""
    return [sku(spec, "A").claimable(None, country=there) for there in ("GB", "IE")]


def test_the_worked_example_of_the_documentation() -> None:
    """docs/inventory.md, nodes that do not ship everywhere."""
    spec = stocked(GB=1, N1=2)
    figures = [open_to(spec), open_to(spec.heard(to("GB", "o1", ("A", 2))))]
    figures.append(open_to(spec.heard(to("IE", "o2", ("A", 1)))))
    assert figures == [[3, 2], [1, 1], [0, 0]]
    page = (Path(__file__).parents[2] / "docs/inventory.md").read_text()
    table = page.partition("### Nodes that do not ship everywhere")[2].partition("After o1")[0]
    rows = [line.split("|")[2:4] for line in table.splitlines() if line.startswith("| ")][2:]
    assert [[int(units) for units in row] for row in rows] == figures
    [failed] = spec.when(routed("o1", 1, N1=(line(1, "A", 2),))).events
    assert isinstance(failed, AllocationFailed)
    assert {one.node: one.quantity for one in failed.availability} == {"GB": 1, "N1": 1}
    plan = routed("o1", 2, GB=(line(1, "A", 1),), N1=(line(1, "A", 1),))
    spec.when(plan).then_types(StockAllocated)


def test_who_stands_behind_is_promised_what_the_first_cannot_be_sent() -> None:
    spec = stocked(GB=1).heard(to("IE", "o1", ("A", 1)))
    spec.when(to("GB", "o2", ("A", 1))).then_types(StockReserved)
    spec.when(to("GB", "o3", ("A", 1))).then_types(StockBackordered)
    [_, pegged] = spec.when(receive("A", 1, "GB")).events
    assert isinstance(pegged, StockPegged)
    assert [claim.order_id for claim in pegged.claims] == ["o3"]
    [_, pegged] = spec.when(receive("A", 1, "N1")).events
    assert isinstance(pegged, StockPegged)
    assert [claim.order_id for claim in pegged.claims] == ["o1"]


def test_routing_is_told_of_no_unit_that_another_order_cannot_do_without() -> None:
    spec = stocked(GB=1, N1=1).heard(to("IE", "o1", ("A", 1)))
    [reserved] = spec.when(to("GB", "o2", ("A", 1))).events
    assert isinstance(reserved, StockReserved)
    assert [(one.node, one.quantity) for one in reserved.availability] == [("GB", 1)]


def test_a_plan_that_would_leave_another_order_without_is_made_again() -> None:
    """Routing planned from what it was told before the other order came."""
    spec = stocked(GB=1, N1=1).heard(to("GB", "o1", ("A", 1)), to("IE", "o2", ("A", 1)))
    [failed] = spec.when(routed("o1", 1, N1=(line(1, "A", 1),))).events
    assert isinstance(failed, AllocationFailed)
    [short] = failed.short
    assert (short.node, short.quantity, short.reason) == ("N1", 1, "not_served")
    assert [(one.node, one.quantity) for one in failed.availability] == [("GB", 1)]
    spec.when(routed("o1", 2, GB=(line(1, "A", 1),))).then_types(StockAllocated)
    spec.when(routed("o2", 1, N1=(line(1, "A", 1),))).then_types(StockAllocated)


def test_a_basket_with_an_address_is_counted_where_it_goes() -> None:
    spec = stocked(GB=2, N1=1)
    spec.when(basket("IE", "b1", 2)).then_refused("not_served")
    spec.when(basket("IE", "b2", 1)).then_types(PromiseHeld)
    assert [sku(spec, "A").claimable(None, country=there) for there in ("GB", "IE")] == [2, 0]
    spec.when(to("IE", "o1", ("A", 1))).then_types(StockBackordered)


def test_an_order_that_takes_over_a_basket_without_an_address_is_promised_what_is_sent_there() -> None:
    spec = stocked(GB=2, N1=1).heard(basket(None, "b1", 3))
    order = to("IE", "o1", ("A", 3)).model_copy(update={"promise_id": "b1"})
    _, short = spec.when(order).events
    assert isinstance(short, StockBackordered)
    assert held(spec) == {"o1": 1}
    assert sku(spec, "A").claimable(None, country="GB") == 2


def test_who_waits_since_before_a_node_was_bound_is_asked_where_it_goes() -> None:
    spec = given(domain).heard(to("IE", "o1", ("A", 1)), to("GB", "o2", ("A", 1)))
    spec.heard(node("GB", ships_to=("GB",)), node("N1"))
    _, told, called = spec.when(receive("A", 1, "GB")).events
    assert isinstance(told, ReachChanged)
    assert told.bound == (Bound(nodes=("GB",), ships_to=("GB",)),)
    assert isinstance(called, BackordersCalled)
    assert called.orders == ("o1", "o2")
    spec.when(to("GB", "o3", ("A", 1))).then_types(StockBackordered)
    for order_id in called.orders:
        [waits] = spec.when(due(order_id, "claims")).events
        assert Timer("sku/A", "free", NOON) in reminders.timers(waits, NOON)
    [pegged] = spec.when(due("sku/A", "free")).events
    assert isinstance(pegged, StockPegged)
    assert [claim.order_id for claim in pegged.claims] == ["o2"]
    spec.when(due("o2", "claims")).then_types(StockReserved)


def test_a_node_that_ships_elsewhere_is_told_and_each_sku_says_so() -> None:
    spec = stocked(GB=2)
    spec.when(node("GB", 2, ships_to=("IE", "GB"))).then(
        NodeSwitched(node="GB", active=True, ships_to=("IE", "GB"), nodes_version=2)
    )
    spec.when(due("sku/A", "reach")).then_one(
        ReachChanged, bound=(Bound(nodes=("GB",), ships_to=("GB", "IE")),)
    )
    spec.when(due("sku/A", "reach")).then_nothing()
    assert sku(spec, "A").claimable(None, country="IE") == 2
    spec.heard(node("GB", 3)).when(due("sku/A", "reach")).then_one(ReachChanged, bound=None)
    assert sku(spec, "A").serving is None


def test_what_leaves_a_shelf_breaks_the_youngest_promise_that_no_other_node_keeps() -> None:
    spec = stocked(GB=3, N1=3).heard(to("IE", "o1", ("A", 1)), to("IE", "o2", ("A", 2)))
    spec.heard(to("GB", "o3", ("A", 1)))
    broken, _ = spec.when(adjust("A", -1, "N1")).events
    assert isinstance(broken, ReservationBroken)
    assert [(one.order_id, one.quantity) for one in broken.claims] == [("o2", 1)]
    assert broken.cause == "not_served"
    [waits] = spec.when(due("o2", "claims")).events
    assert isinstance(waits, StockBackordered)
    assert [one.reason for one in waits.short] == ["not_served"]


def test_baskets_lose_what_is_gone_before_orders_do() -> None:
    spec = stocked(GB=3, N1=2).heard(basket("IE", "b1", 1), to("IE", "o1", ("A", 1)))
    broken, _ = spec.when(adjust("A", -1, "N1")).events
    assert isinstance(broken, HoldsBroken)


def test_what_promises_need_does_not_leave_by_a_transfer() -> None:
    spec = stocked(GB=3, N1=2).heard(to("IE", "o1", ("A", 2)))
    spec.when(move("N1", 1)).then_refused("promised")
    assert spec.when(move("GB", 3)).events[0].TYPE.endswith("transfer_dispatched")


@pytest.mark.parametrize(("country", "there"), [("GB", 4), ("IE", 1)])
def test_availability_for_a_destination_is_what_an_order_would_be_promised(country: str, there: int) -> None:
    spec = stocked(GB=3, N1=2).heard(to("FR", "o1", ("A", 1)))
    part = read_sku(written(sku(spec, "A")))
    question = Question(Destination(country=country), "standard", NOON, PlacesPart())
    told: dict[str, Any] = answer_dated([Wanted(sku="A", quantity=5)], None, {"A": part}, {}, question)
    [one] = told["skus"]
    assert (one["available"], one["short"], one["atp"][0]["quantity"]) == (there, 5 - there, there)
    assert one["nodes"][0] == {"node": "GB", "on_hand": 3} | ({} if country == "GB" else {"not_served": True})
    spec.when(to(country, "o2", ("A", there + 1))).then_types(StockBackordered)
    assert held(spec)["o2"] == there


def test_where_all_nodes_ship_everywhere_nothing_is_said_of_it() -> None:
    spec = given(domain).heard(node("N1"), receive("A", 5))
    [reserved] = spec.when(accepted("o1", ("A", 2))).events
    assert isinstance(reserved, StockReserved)
    assert reserved.served is None
    assert sku(spec, "A").serving is None


def test_an_order_that_is_gone_is_forgotten() -> None:
    spec = stocked(GB=1, N1=1).heard(to("IE", "o1", ("A", 1)), basket("GB", "b1", 1))
    spec.heard(cancelled("o1", line(1, "A", 1)), due("promise/b1", "expire"))
    serving = sku(spec, "A").serving
    assert serving is not None
    assert (serving.orders, serving.baskets) == ({}, {})


def test_the_proof_names_a_promise_that_cannot_be_sent_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for body in (
        node("GB", ships_to=("GB",)),
        receive("A", 3, "GB"),
        receive("A", 1),
        to("GB", "o1", ("A", 3)),
    ):
        world.take(body)
    holds(world)
    monkeypatch.setattr(Reach, "spare", lambda *_, **__: 99)
    world.take(to("IE", "o2", ("A", 1)))
    holds(world)
    world.take(receive("A", 1, "GB"))
    world.take(to("IE", "o3", ("A", 1)))
    says = "promises 1 units of A for IE; nodes that ship there have 0 beside what others were promised"
    assert found(world) == says


def test_the_queue_says_whom_free_units_cannot_be_sent_to() -> None:
    spec = stocked(GB=2).heard(to("IE", "o1", ("A", 1)))
    part = sku(spec, "A")
    asked = Asked("A", part, NO_SUPPLY, (), NOON)
    [row] = rows([*queue_line(part)], asked)
    assert [reason["code"] for reason in row["reasons"]][-1] == "not_served"


def test_an_order_to_a_country_that_no_node_at_all_serves_is_for_routing_to_end() -> None:
    """Waiting would be of no use; a basket, which costs nothing to refuse, is not held."""
    spec = given(domain).heard(node("GB", ships_to=("GB", "IE")), receive("A", 2, "GB"))
    spec.when(to("FR", "o1", ("A", 1))).then_types(StockReserved)
    spec.when(basket("FR", "b1", 1)).then_refused("not_served")
    part = read_sku(written(sku(spec, "A")))
    question = Question(Destination(country="FR"), "standard", NOON, PlacesPart())
    [one] = answer_dated([Wanted(sku="A", quantity=1)], None, {"A": part}, {}, question)["skus"]
    assert one["available"] == 0
    spec.heard(node("N1", 2), due("sku/A", "reach"))
    spec.heard(cancelled("o1", line(1, "A", 1))).when(to("FR", "o2", ("A", 1))).then_types(StockBackordered)
