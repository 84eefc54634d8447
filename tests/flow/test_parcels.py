"""Any life of orders of boxes and single goods, shipped in parts, cancelled, short, lost and sent back.

In the end everything that arrived comes back, one unit at a time: no stage had to park anything, no unit is
anywhere but on a shelf, lost or thrown away, and who paid has their money, but for postage of what arrived.
"""

import random
from collections import Counter

import pytest

from libs.events.bundles import BundlePart, DefineBundle
from libs.events.changes import CancelLines, LineUnits, PlaceHold
from libs.events.contract import Command
from libs.events.fulfillment import FulfillmentCompleted, ShipmentDelivered, ShipmentLost
from libs.events.intake import CancelOrder, OrderAccepted, OrderClosed, ReleaseHold, SubmitOrder
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.order import Charge
from libs.events.policy import DefineReservationPolicies, PolicyRule
from libs.events.returns import (
    AuthoriseReturn,
    Disposition,
    InspectedUnits,
    ReceiveReturn,
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnLine,
)
from libs.events.routing import DefineNode
from tests.flow.oracle import balances, check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.test_lives import issued
from tests.flow.world import World

POSTAGE = (Charge(kind="postage", amount_minor=500),)
SKUS = ("TEA", "MUG", "BOX", "SET")
DISPOSITIONS: tuple[Disposition, ...] = ("restock", "scrap", "quarantine")


async def shop() -> World:
    world = await World().start()
    stock = {"LON": {"TEA": 9, "MUG": 5}, "MAN": {"TEA": 4, "MUG": 2}, "DUB": {"JAM": 4}}
    await open_shop(world, stock)
    await world.send(
        DefineNode(node="DUB", name="DUB", country="IE", latitude=53.3, longitude=-6.3, ships_to=("IE",))
    )
    rules = (PolicyRule(channel="web", policy="partial"),)
    await world.send(DefineReservationPolicies(classes=(), rules=rules))
    for name, second in (("BOX", "MUG"), ("SET", "JAM")):
        parts = (BundlePart(sku="TEA", quantity=2, price_weight=3), BundlePart(sku=second, quantity=1))
        await world.send(DefineBundle(sku=name, parts=parts))
    await world.settle()
    return world


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 156, 218])
async def test_whatever_is_bought_and_sent_back_units_and_money_are_all_there(seed: int) -> None:
    world = await shop()
    dice, warehouse = random.Random(f"parcels {seed}"), Warehouse(world)
    bought: list[SubmitOrder] = []
    for n in range(40):
        await something(world, dice, warehouse, bought, n)
        for _ in range(dice.randint(0, 6)):
            await world.turn([dice.choice(list(world.processes))])
    await come_to_rest(world, warehouse, bought)
    await send_everything_back(world, dice)
    for stage, log in world.logs.items():
        assert not await log.parked(open_only=True, limit=10), f"{stage} could not take a record"
    check(world)
    lost = Counter[str]()
    for event in world.events(ShipmentLost):
        assert isinstance(event, ShipmentLost)
        for line in event.lines:
            lost[line.sku] += line.quantity
    assert {sku: issued(world, sku) for sku in ("TEA", "MUG", "JAM")} == {
        sku: lost[sku] for sku in ("TEA", "MUG", "JAM")
    }
    assert not {key for key in balances(world) if key[2] in ("reserved", "allocated")}
    the_money_is_back(world, bought)


async def something(
    world: World, dice: random.Random, warehouse: Warehouse, bought: list[SubmitOrder], n: int
) -> None:
    world.clock.advance(seconds=1)
    if not bought or dice.random() < 0.35:
        lines = [(dice.choice(SKUS), dice.randint(1, 3)) for _ in range(dice.randint(1, 3))]
        bought.append(order(str(n), lines, charges=POSTAGE, country=dice.choice(("GB", "GB", "IE"))))
        await world.send(bought[-1])
        return
    of = dice.choice(bought[-3:])
    line = dice.choice(of.lines)
    units = (LineUnits(line=line.line, quantity=dice.randint(1, line.quantity)),)
    what: list[Command] = [
        CancelLines(order_id=of.order_id, lines=units),
        CancelLines(order_id=of.order_id, lines=units),
        CancelOrder(order_id=of.order_id),
        PlaceHold(order_id=of.order_id, hold="wait", message="Ask."),
        ReleaseHold(order_id=of.order_id, hold="wait"),
        AdjustStock(sku=dice.choice(("TEA", "MUG")), node="LON", delta=-1, reason_code="broken"),
    ]
    match dice.randint(0, 9):
        case 0:
            await warehouse.pick(short={"TEA": dice.randint(0, 2), "MUG": dice.randint(0, 1)})
        case 1:
            await warehouse.pack()
        case 2:
            await warehouse.dispatch()
        case 3:
            await warehouse.carry(dice.choice(("delivered", "delivered", "lost")))
        case _:
            await world.send(dice.choice(what))


async def come_to_rest(world: World, warehouse: Warehouse, bought: list[SubmitOrder]) -> None:
    """Every hold is released, there is plenty of everything, and the warehouse finishes."""
    await world.settle()
    for one in bought:
        await world.send(ReleaseHold(order_id=one.order_id, hold="wait"))
    for sku in ("TEA", "MUG", "JAM"):
        await world.send(ReceiveStock(sku=sku, node="LON", quantity=200))
    await world.settle()
    await warehouse.everything()


async def send_everything_back(world: World, dice: random.Random) -> None:
    for arrived in world.events(ShipmentDelivered):
        assert isinstance(arrived, ShipmentDelivered)
        lines = tuple(ReturnLine(line=line.line, quantity=line.quantity) for line in arrived.lines)
        await world.send(AuthoriseReturn(order_id=arrived.order_id, lines=lines))
    await world.settle()
    asked = [event for event in world.events(ReturnAuthorised) if isinstance(event, ReturnAuthorised)]
    for rma in asked:
        units = [line.line for line in rma.lines for _ in range(line.quantity)]
        dice.shuffle(units)
        for line in units:
            came = (InspectedUnits(line=line, quantity=1, disposition=dice.choice(DISPOSITIONS)),)
            node = dice.choice(("LON", "MAN"))
            await world.send(ReceiveReturn(order_id=rma.order_id, rma_id=rma.rma_id, node=node, units=came))
    await world.settle()
    assert len(world.events(ReturnClosed)) == len(asked)


def the_money_is_back(world: World, bought: list[SubmitOrder]) -> None:
    ends = {e.order_id: e for e in world.events(FulfillmentCompleted) if isinstance(e, FulfillmentCompleted)}
    closed = {e.order_id for e in world.events(OrderClosed) if isinstance(e, OrderClosed)}
    accepted = {e.order_id for e in world.events(OrderAccepted) if isinstance(e, OrderAccepted)}
    assert closed == accepted == ends.keys() == {one.order_id for one in bought}
    back = Counter[str]()
    for event in world.events(RefundRequested):
        assert isinstance(event, RefundRequested)
        back[event.order_id] += event.amount_minor
    for one in bought:
        goods = sum(line.quantity * line.unit_price_minor for line in one.lines)
        assert back[one.order_id] == goods + (0 if ends[one.order_id].delivered else 500), one.order_id
