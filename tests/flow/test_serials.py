"""Serial numbers through all stages: a node is asked for them, they are shipped, and come back once."""

from libs.events.fulfillment import (
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentReleased,
    LineNumbers,
    Package,
    Pick,
    RecordCarrierEvent,
    ShippedPackage,
)
from libs.events.inventory import ReceiveStock, StockIssued, StockReturned
from libs.events.items import DefineItem
from libs.events.order import PickFrom
from libs.events.refusal import CommandRefused
from libs.events.returns import AuthoriseReturn, InspectedUnits, ReceiveReturn, RefundRequested, ReturnLine
from libs.runtime.digest import memory_digest
from services.inventory.proof import prove
from tests.flow.oracle import check
from tests.flow.people import open_shop, order
from tests.flow.test_rebuild import FULFILLMENT, INVENTORY, RETURNS, again
from tests.flow.world import START, World


def refusals(world: World) -> list[str]:
    return [event.code for event in world.events(CommandRefused) if isinstance(event, CommandRefused)]


async def shipped(world: World, number: str, told: tuple[str, ...]) -> FulfillmentReleased:
    """An order of two cameras and a mug that is picked, and delivered with these numbers."""
    await world.send(order(number, {"CAM": 2, "MUG": 1}))
    await world.settle()
    work = world.events(FulfillmentReleased)[-1]
    assert isinstance(work, FulfillmentReleased)
    of = {"order_id": work.order_id, "fulfillment_order_id": work.fulfillment_order_id}
    parcel = ShippedPackage(package_id="P1", tracking_number="T1")
    leaves = DispatchShipment(**of, carrier="post", packages=(parcel,))
    picks = (Pick(line=1, picked=2), Pick(line=2, picked=1))
    await world.send(ConfirmPick(**of, picks=picks))
    await world.send(ConfirmPack(**of, packages=(Package(package_id="P1", weight_grams=900),)), leaves)
    await world.settle()
    assert refusals(world)[-1] == "serials_required"
    await world.send(leaves.model_copy(update={"serials": (LineNumbers(line=1, serials=told),)}))
    await world.settle()
    arrived = {"shipment_id": f"{work.order_id}-S1", "status": "delivered", "occurred_at": START}
    await world.send(RecordCarrierEvent.model_validate({"order_id": work.order_id, **arrived}))
    await world.send(AuthoriseReturn(order_id=work.order_id, lines=(ReturnLine(line=1, quantity=1),)))
    await world.settle()
    return work


def back(work: FulfillmentReleased, serial: str) -> ReceiveReturn:
    unit = InspectedUnits(line=1, quantity=1, disposition="restock", serials=(serial,))
    return ReceiveReturn(order_id=work.order_id, rma_id=f"{work.order_id}-R1", node="LON", units=(unit,))


async def test_a_unit_is_asked_for_shipped_and_taken_back_from_its_own_order_alone() -> None:
    world = await World().start()
    await world.send(DefineItem(sku="CAM", serialised=True))
    await open_shop(world, {"LON": {"MUG": 2}})
    await world.send(ReceiveStock(sku="CAM", node="LON", quantity=4, serials=("A", "B", "C", "D")))
    await world.settle()
    first = await shipped(world, "1", ("A", "C"))
    assert first.picks == (PickFrom(node="LON", sku="CAM", quantity=2, serialised=True),)
    second = await shipped(world, "2", ("B", "D"))
    issued = [event for event in world.events(StockIssued) if isinstance(event, StockIssued)]
    assert [[m.serials for m in event.movements if m.sku == "CAM"] for event in issued] == [
        [("A", "C")],
        [("B", "D")],
    ]
    await world.send(back(second, "A"))
    await world.settle()
    assert refusals(world)[-1] == "serial_not_sent"
    assert not world.events(RefundRequested), "somebody else's unit is not paid for"
    await world.send(back(first, "A"))
    await world.settle()
    [returned] = world.events(StockReturned)
    assert isinstance(returned, StockReturned)
    assert [(m.target, m.serials) for m in returned.movements] == [("on_hand", ("A",))]
    assert len(world.events(RefundRequested)) == 1
    check(world)
    for stage in (INVENTORY, FULFILLMENT, RETURNS):
        rebuilt = await again(world, stage)
        assert memory_digest(rebuilt, stage) == memory_digest(world.logs[stage.name], stage)
    rows = [
        row for (_, kind), rows in world.logs["inventory"].rows.items() if kind == "decided" for row in rows
    ]
    proof = prove(rows)
    assert proof.holds, proof.violation
