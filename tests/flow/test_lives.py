"""Lives of orders through all six stages: what a customer, a planner and a support person would see."""

import pytest

from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDelivered
from libs.events.ids import order_id
from libs.events.intake import CancelOrder, OrderAccepted, OrderClosed, OrderHeld, OrderRejected, ReleaseHold
from libs.events.inventory import (
    AdjustStock,
    AllocationFailed,
    ReceiveStock,
    StockBackordered,
    StockPegged,
    StockReserved,
)
from libs.events.notifications import MessageRequested
from libs.events.refusal import CommandRefused
from libs.events.returns import AuthoriseReturn, InspectedUnits, ReceiveReturn, RefundRequested, ReturnLine
from libs.events.routing import OrderRouted
from tests.flow.oracle import balances, check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.world import TENANT, World


def outcomes(world: World) -> dict[str, str]:
    return {e.order_id: e.outcome for e in world.events(OrderClosed) if isinstance(e, OrderClosed)}


def on_hand(world: World, sku: str) -> int:
    return sum(n for (s, _, bucket), n in balances(world).items() if s == sku and bucket == "on_hand")


def issued(world: World, sku: str) -> int:
    return sum(n for (s, _, bucket), n in balances(world).items() if s == sku and bucket == "issued")


async def shop(stock: dict[str, dict[str, int]]) -> World:
    world = await World().start()
    await open_shop(world, stock)
    return world


async def test_an_order_goes_from_submitted_to_delivered() -> None:
    world = await shop({"LON": {"TEA": 10, "MUG": 5}})
    await world.send(order("1", {"TEA": 3, "MUG": 1}))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {order_id(TENANT, "web", "1"): "delivered"}
    assert (on_hand(world, "TEA"), issued(world, "TEA"), on_hand(world, "MUG")) == (7, 3, 4)
    check(world)


async def test_a_held_order_waits_for_its_last_hold() -> None:
    world = await shop({"LON": {"TEA": 10}})
    held = order("1", {"TEA": 1}, payment="pending")
    await world.send(held)
    await world.settle()
    assert [type(e) for e in world.events(OrderHeld, OrderAccepted)] == [OrderHeld]
    await world.send(ReleaseHold(order_id=held.order_id, hold="payment"))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {held.order_id: "delivered"}
    check(world)


async def test_a_wrong_currency_is_rejected_with_its_reason() -> None:
    world = await shop({})
    await world.send(order("1", {"TEA": 1}, currency="XQQ"))
    await world.settle()
    (rejected,) = world.events(OrderRejected)
    assert isinstance(rejected, OrderRejected)
    assert [reason.code for reason in rejected.reasons] == ["unknown_currency"]
    check(world)


async def test_one_order_is_split_over_the_fewest_nodes() -> None:
    world = await shop({"LON": {"TEA": 1}, "MAN": {"MUG": 1, "TEA": 1}, "DUB": {"MUG": 1}})
    await world.send(order("1", {"TEA": 2, "MUG": 1}))
    await world.settle()
    (routed,) = world.events(OrderRouted)
    assert isinstance(routed, OrderRouted)
    assert sorted(part.node for part in routed.nodes) == ["LON", "MAN"]
    await Warehouse(world).everything()
    assert len(world.events(ShipmentDelivered)) == 2
    check(world)


async def test_backorders_are_filled_oldest_first_when_stock_arrives() -> None:
    world = await shop({"LON": {"TEA": 1}})
    for number in ("1", "2", "3"):
        world.clock.advance(minutes=1)
        await world.send(order(number, {"TEA": 2}))
        await world.settle()
    waiting = [e.order_id for e in world.events(StockBackordered) if isinstance(e, StockBackordered)]
    assert set(waiting) == {order_id(TENANT, "web", number) for number in "123"}
    await world.send(ReceiveStock(sku="TEA", node="MAN", quantity=3))
    await world.settle()
    reserved = {e.order_id for e in world.events(StockReserved) if isinstance(e, StockReserved)}
    assert reserved == {order_id(TENANT, "web", "1"), order_id(TENANT, "web", "2")}
    await world.send(ReceiveStock(sku="TEA", node="DUB", quantity=2))
    await world.settle()
    await Warehouse(world).everything()
    assert set(outcomes(world).values()) == {"delivered"}
    assert on_hand(world, "TEA") == 0
    assert world.events(StockPegged)
    check(world)


async def test_a_short_pick_is_sourced_again_from_another_node() -> None:
    world = await shop({"LON": {"TEA": 3}, "MAN": {"TEA": 3}})
    await world.send(order("1", {"TEA": 3}))
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.pick(short={"TEA": 1})
    assert len(world.events(PickShorted)) == 1
    await warehouse.everything()
    assert list(outcomes(world).values()) == ["delivered"]
    assert issued(world, "TEA") == 3
    assert on_hand(world, "TEA") == 2
    check(world)


async def test_a_lost_parcel_closes_the_order_and_is_refunded() -> None:
    world = await shop({"LON": {"TEA": 3}})
    await world.send(order("1", {"TEA": 2}))
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.pick()
    await warehouse.pack()
    await warehouse.dispatch()
    await warehouse.carry("lost")
    assert list(outcomes(world).values()) == ["lost"]
    (refund,) = world.events(RefundRequested)
    assert isinstance(refund, RefundRequested)
    assert (refund.amount_minor, refund.cause) == (2000, "lost")
    check(world)


async def test_a_return_is_restocked_and_scrapped_unit_by_unit() -> None:
    world = await shop({"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 3})
    await world.send(bought)
    await world.settle()
    await Warehouse(world).everything()
    await world.send(
        AuthoriseReturn(
            order_id=bought.order_id, lines=(ReturnLine(line=1, quantity=3, reason="changed mind"),)
        )
    )
    await world.settle()
    units = (
        InspectedUnits(line=1, quantity=2, disposition="restock"),
        InspectedUnits(line=1, quantity=1, disposition="scrap"),
    )
    back = ReceiveReturn(order_id=bought.order_id, rma_id=f"{bought.order_id}-R1", node="MAN", units=units)
    await world.send(back)
    await world.settle()
    assert on_hand(world, "TEA") == 4
    assert sum(n for (_, _, bucket), n in balances(world).items() if bucket == "scrapped") == 1
    refunds = [e.amount_minor for e in world.events(RefundRequested) if isinstance(e, RefundRequested)]
    assert refunds == [3000]
    await world.send(back)
    await world.settle()
    assert [e.code for e in world.events(CommandRefused) if isinstance(e, CommandRefused)]
    assert on_hand(world, "TEA") == 4
    check(world)


STEPS = ("submitted", "routed", "picked", "packed")


@pytest.mark.parametrize("moment", STEPS)
@pytest.mark.parametrize("stock", [0, 1, 5])
async def test_cancelling_before_dispatch_leaves_stock_exact(moment: str, stock: int) -> None:
    world = await shop({"LON": {"TEA": stock}} if stock else {})
    bought = order("1", {"TEA": 2})
    await world.send(bought)
    warehouse = Warehouse(world)
    if moment != "submitted":
        await world.settle()
    if moment in ("picked", "packed"):
        await warehouse.pick()
    if moment == "packed":
        await warehouse.pack()
    await world.send(CancelOrder(order_id=bought.order_id, reason="changed mind"))
    await world.settle()
    assert outcomes(world) == {bought.order_id: "cancelled"}
    assert on_hand(world, "TEA") == stock
    buckets = {bucket for (_, _, bucket), units in balances(world).items() if units}
    assert buckets <= {"on_hand", "supplier"}
    await warehouse.everything()
    assert issued(world, "TEA") == 0
    check(world)


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_in_the_middle_of_anything_leaves_stock_exact(turns: int) -> None:
    """The cancellation overtakes, meets or follows each step: stages take turns one at a time."""
    world = await shop({"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 2})
    await world.send(bought)
    await world.turns(turns)
    await world.send(CancelOrder(order_id=bought.order_id))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "cancelled"}
    assert (on_hand(world, "TEA"), issued(world, "TEA")) == (5, 0)
    check(world)


async def test_after_dispatch_a_cancellation_is_declined_and_the_order_is_delivered() -> None:
    world = await shop({"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 2})
    await world.send(bought)
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.pick()
    await warehouse.pack()
    await warehouse.dispatch()
    await world.send(CancelOrder(order_id=bought.order_id))
    await world.settle()
    await warehouse.carry()
    assert outcomes(world) == {bought.order_id: "delivered"}
    assert not world.events(FulfillmentCancelled)
    check(world)


async def test_two_orders_for_the_last_units_of_a_node_are_both_kept() -> None:
    """Both are promised from the network, both plan the same node: one loses the race and is routed again."""
    world = await shop({"LON": {"TEA": 2}, "MAN": {"TEA": 2}})
    for number in range(8):
        if len({world.lane_of(f"{TENANT}/{order_id(TENANT, 'web', str(n))}") for n in range(number)}) > 1:
            break
    for n in range(2):
        await world.send(order(str(n), {"TEA": 2}))
    await world.settle()
    nodes = {part.node for e in world.events(OrderRouted) if isinstance(e, OrderRouted) for part in e.nodes}
    assert nodes == {"LON", "MAN"}
    assert len(world.events(AllocationFailed)) == 1
    await Warehouse(world).everything()
    assert sorted(outcomes(world).values()) == ["delivered", "delivered"]
    assert on_hand(world, "TEA") == 0
    check(world)


async def test_units_that_turn_out_missing_break_the_youngest_promise() -> None:
    world = await shop({"LON": {"TEA": 4}})
    for number in ("1", "2"):
        world.clock.advance(minutes=1)
        await world.send(order(number, {"TEA": 2}))
        await world.turn(["intake"])
        await world.turn(["inventory"])
    await world.send(AdjustStock(sku="TEA", node="LON", delta=-2, reason_code="damaged"))
    await world.settle()
    waiting = [e.order_id for e in world.events(StockBackordered) if isinstance(e, StockBackordered)]
    assert waiting == [order_id(TENANT, "web", "2")]
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=2))
    await world.settle()
    await Warehouse(world).everything()
    assert sorted(outcomes(world).values()) == ["delivered", "delivered"]
    check(world)


async def test_the_same_sku_on_five_lines_is_summed_first() -> None:
    world = await shop({"LON": {"TEA": 4}})
    await world.send(order("1", [("TEA", 1)] * 5))
    await world.settle()
    (short,) = world.events(StockBackordered)
    assert isinstance(short, StockBackordered)
    assert [(shortage.sku, shortage.quantity) for shortage in short.short] == [("TEA", 1)]
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await world.settle()
    await Warehouse(world).everything()
    assert issued(world, "TEA") == 5
    check(world)


async def test_an_order_of_500_lines_goes_through_whole() -> None:
    world = await shop({"LON": {f"S{n}": 1 for n in range(500)}})
    await world.send(order("1", {f"S{n}": 1 for n in range(500)}))
    await world.settle()
    await Warehouse(world).everything()
    assert list(outcomes(world).values()) == ["delivered"]
    check(world)


async def test_each_milestone_is_told_once() -> None:
    world = await shop({"LON": {"TEA": 5}})
    await world.send(order("1", {"TEA": 1}))
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.everything()
    told = [e.milestone for e in world.events(MessageRequested) if isinstance(e, MessageRequested)]
    assert len(told) == len(set(told))
    check(world)
