"""Lots through all stages: what a node is told to pick, what is shipped and expires, and a rebuild."""

from datetime import date, timedelta

from libs.events.conditions import MoveStock
from libs.events.fulfillment import FulfillmentReleased, ShipmentDelivered
from libs.events.inventory import ReceiveStock, StockIssued, StockPegged, StockReturned
from libs.events.items import DefineItem, PlaceItem
from libs.events.lots import LotExpired, LotQuarantined, QuarantineLot
from libs.events.order import PickFrom
from libs.events.refusal import CommandRefused
from libs.events.returns import AuthoriseReturn, InspectedUnits, ReceiveReturn, ReturnAuthorised, ReturnLine
from libs.runtime.digest import memory_digest
from services.inventory.lots import Lots
from services.inventory.proof import prove
from services.inventory.stock import SkuPart
from tests.flow.oracle import balances, check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.test_rebuild import FULFILLMENT, INVENTORY, again
from tests.flow.world import START, TENANT, World


def delivered(lot: str, quantity: int, days: int) -> ReceiveStock:
    last: date = START.date() + timedelta(days=days)
    return ReceiveStock(sku="MILK", node="LON", quantity=quantity, lot=lot, expires_on=last)


def lots(world: World) -> Lots:
    snapshot = world.logs["inventory"].parts[f"{TENANT}/sku/MILK"]
    part = INVENTORY.adapter("sku/MILK").validate_json(snapshot.part or b"")
    assert isinstance(part, SkuPart)
    assert part.lots is not None
    return part.lots


async def test_returned_units_are_set_aside_and_go_back_on_the_shelf_once_somebody_has_looked() -> None:
    world = await World().start()
    await world.send(DefineItem(sku="MILK", lot_controlled=True))
    await open_shop(world, {"LON": {"MUG": 2}})
    await world.send(delivered("OLD", 3, 30))
    bought = order("1", {"MILK": 3, "MUG": 2})
    await world.send(bought)
    await world.settle()
    await Warehouse(world).everything()
    asked = (ReturnLine(line=1, quantity=2), ReturnLine(line=2, quantity=2))
    await world.send(AuthoriseReturn(order_id=bought.order_id, lines=asked))
    await world.settle()
    units = (
        InspectedUnits(line=1, quantity=2, disposition="quarantine", condition="opened"),
        InspectedUnits(line=2, quantity=1, disposition="quarantine"),
        InspectedUnits(line=2, quantity=1, disposition="restock"),
    )
    back = ReceiveReturn(order_id=bought.order_id, rma_id=f"{bought.order_id}-R1", node="MAN", units=units)
    await world.send(back, back, order("2", {"MUG": 2, "MILK": 1}))
    await world.settle()
    assert lots(world).units["quarantine/MAN"] == {"OLD": 2}
    set_aside = {key: units for key, units in balances(world).items() if key[2] == "quarantine"}
    assert set_aside == {("MILK", "MAN", "quarantine"): 2, ("MUG", "MAN", "quarantine"): 1}
    looked = {"node": "MAN", "source": "quarantine", "target": "on_hand", "reason_code": "inspected"}
    await world.send(
        MoveStock.model_validate({"sku": "MUG", "quantity": 1, **looked}),
        MoveStock.model_validate({"sku": "MILK", "quantity": 1, "lot": "OLD", **looked}),
        MoveStock.model_validate({"sku": "MUG", "quantity": 1, **looked}),
    )
    await world.settle()
    refused = [event.code for event in world.events(CommandRefused) if isinstance(event, CommandRefused)]
    assert sorted(refused) == ["not_expected", "not_there"]
    await Warehouse(world).everything()
    assert len(world.events(ShipmentDelivered)) == 2, "the other order has what was put back"
    check(world)
    rebuilt = await again(world, INVENTORY)
    assert memory_digest(rebuilt, INVENTORY) == memory_digest(world.logs["inventory"], INVENTORY)
    proof = prove(
        [row for (_, kind), rows in world.logs["inventory"].rows.items() if kind == "decided" for row in rows]
    )
    assert proof.holds, proof.violation


async def test_a_lot_is_picked_shipped_returned_and_leaves_when_its_time_is_up() -> None:
    world = await World().start()
    await world.send(DefineItem(sku="MILK", lot_controlled=True))
    await world.send(PlaceItem(sku="MILK", node="LON", bin="COLD-1"))
    await open_shop(world, {"LON": {"MUG": 2}})
    await world.send(delivered("NEW", 5, 30), delivered("OLD", 4, 3))
    await world.settle()
    await world.send(order("1", {"MILK": 6, "MUG": 1}))
    await world.settle()
    [work] = world.events(FulfillmentReleased)
    assert isinstance(work, FulfillmentReleased)
    assert work.picks == (
        PickFrom(node="LON", sku="MILK", quantity=4, lot="OLD", bin="COLD-1"),
        PickFrom(node="LON", sku="MILK", quantity=2, lot="NEW", bin="COLD-1"),
    )
    await Warehouse(world).everything()
    [issued] = world.events(StockIssued)
    assert isinstance(issued, StockIssued)
    assert {(move.sku, move.lot): move.quantity for move in issued.movements} == {
        ("MILK", "OLD"): 4,
        ("MILK", "NEW"): 2,
        ("MUG", None): 1,
    }
    assert world.events(ShipmentDelivered)
    await world.send(AuthoriseReturn(order_id=work.order_id, lines=(ReturnLine(line=1, quantity=1),)))
    await world.settle()
    [rma] = world.events(ReturnAuthorised)
    assert isinstance(rma, ReturnAuthorised)
    unit = InspectedUnits(line=1, quantity=1, disposition="restock")
    await world.send(
        ReceiveReturn(order_id=work.order_id, rma_id=rma.rma_id, node="LON", units=(unit,)),
        order("2", {"MILK": 9}),
    )
    await world.settle()
    [back] = world.events(StockReturned)
    assert isinstance(back, StockReturned)
    assert [(move.target, move.lot) for move in back.movements] == [("on_hand", "OLD")]
    world.clock.advance(days=4)
    await world.settle()
    [expired] = world.events(LotExpired)
    assert isinstance(expired, LotExpired)
    assert (expired.lot, sum(move.quantity for move in expired.movements)) == ("OLD", 1)
    await world.send(QuarantineLot(sku="MILK", lot="NEW"), delivered("NEXT", 9, 60))
    await world.settle()
    assert world.events(LotQuarantined)
    last = world.events(StockPegged)[-1]
    assert isinstance(last, StockPegged)
    assert last.claims[0].quantity == 9, "all of it had to be promised anew"
    assert lots(world).units["quarantine/LON"] == {"OLD": 1, "NEW": 3}
    await Warehouse(world).everything()
    assert lots(world).units == {"quarantine/LON": {"OLD": 1, "NEW": 3}}
    check(world)
    for stage in (INVENTORY, FULFILLMENT):
        rebuilt = await again(world, stage)
        assert memory_digest(rebuilt, stage) == memory_digest(world.logs[stage.name], stage)
    rows = [
        row for (_, kind), rows in world.logs["inventory"].rows.items() if kind == "decided" for row in rows
    ]
    proof = prove(rows)
    assert proof.holds, proof.violation
