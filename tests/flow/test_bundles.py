"""Bundles through all stages: a gift box and its part in one order, from shop to customer and back."""

from typing import TypeVar

from libs.events.bundles import AssembleKit, BundlePart, BundlesUnpacked, DefineBundle, Kept, TakeKitApart
from libs.events.contract import Event
from libs.events.fulfillment import (
    FulfillmentCompleted,
    FulfillmentReleased,
    RecordCarrierEvent,
    ShipmentDelivered,
    ShipmentDispatched,
)
from libs.events.ids import order_id
from libs.events.intake import CancelOrder, OrderClosed
from libs.events.inventory import StockBackordered, StockReserved
from libs.events.refusal import CommandRefused
from libs.events.returns import (
    AuthoriseReturn,
    InspectedUnits,
    ReceiveReturn,
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnLine,
)
from libs.events.routing import DefineNode
from tests.flow.oracle import balances, check
from tests.flow.people import NODES, Warehouse, open_shop, order
from tests.flow.world import TENANT, World

ORDER = order_id(TENANT, "web", "1")
E = TypeVar("E", bound=Event)


def box(kept: Kept = "parts", name: str = "BOX") -> DefineBundle:
    """Two mugs and a tea; a mug is worth three times as much."""
    parts = (BundlePart(sku="MUG", quantity=2, price_weight=3), BundlePart(sku="TEA", quantity=1))
    return DefineBundle(sku=name, parts=parts, kept=kept)


async def shop(**on_hand: int) -> World:
    world = await World().start()
    await open_shop(world, {"LON": on_hand})
    await world.send(box())
    await world.settle()
    return world


def told(world: World, kind: type[E]) -> list[E]:
    return [event for event in world.events(kind) if isinstance(event, kind)]


def by_line(event: FulfillmentReleased | ShipmentDelivered) -> dict[int, tuple[str, int]]:
    return {line.line: (line.sku, line.quantity) for line in event.lines}


async def delivered(world: World) -> None:
    """An order of two boxes and a mug of its own, at 10.00 each, is with the customer."""
    await world.send(order("1", [("BOX", 2), ("MUG", 1)]))
    await world.settle()
    await Warehouse(world).everything()


async def come_back(world: World, rma: int, *lines: tuple[int, int]) -> None:
    await world.send(
        AuthoriseReturn(
            order_id=ORDER, lines=tuple(ReturnLine(line=line, quantity=quantity) for line, quantity in lines)
        )
    )
    await world.settle()
    units = tuple(
        InspectedUnits(line=line, quantity=quantity, disposition="restock") for line, quantity in lines
    )
    await world.send(ReceiveReturn(order_id=ORDER, rma_id=f"{ORDER}-R{rma}", node="LON", units=units))
    await world.settle()


async def test_a_box_and_its_part_go_from_order_to_delivery_as_what_is_picked() -> None:
    world = await shop(MUG=5, TEA=3)
    await delivered(world)
    [unpacked] = told(world, BundlesUnpacked)
    lines = {2: ("MUG", 1), 3: ("MUG", 4), 4: ("TEA", 2)}
    [released], [arrived] = told(world, FulfillmentReleased), told(world, ShipmentDelivered)
    assert by_line(released) == by_line(arrived) == lines
    assert released.bundles == arrived.bundles == unpacked.bundles, "whoever packs or asks knows the box"
    [closed] = told(world, OrderClosed)
    assert closed.outcome == "delivered"
    assert balances(world)["MUG", "LON", "issued"] == 5
    assert ("MUG", "LON", "on_hand") not in balances(world)
    check(world)


async def test_a_box_comes_back_whole_and_is_worth_what_it_cost() -> None:
    world = await shop(MUG=5, TEA=3)
    await delivered(world)
    await come_back(world, 1, (1, 1))
    [authorised], [refund] = told(world, ReturnAuthorised), told(world, RefundRequested)
    assert [(one.sku, one.quantity) for one in authorised.lines] == [("MUG", 2), ("TEA", 1)]
    assert refund.amount_minor == 1000
    assert len(told(world, ReturnClosed)) == 1
    assert balances(world)["MUG", "LON", "on_hand"] == 2
    check(world)


async def test_parts_that_come_back_one_by_one_are_worth_the_boxes_to_the_penny() -> None:
    """2000 for two boxes: 12 of 14 shares are the mugs', 2 the teas'."""
    world = await shop(MUG=5, TEA=3)
    await delivered(world)
    for rma, (line, quantity) in enumerate([(3, 1), (4, 1), (3, 3), (4, 1), (2, 1)], 1):
        await come_back(world, rma, (line, quantity))
    amounts = [refund.amount_minor for refund in told(world, RefundRequested)]
    assert amounts == [428, 143, 1286, 143, 1000]
    assert sum(amounts) == 3000
    await world.send(AuthoriseReturn(order_id=ORDER, lines=(ReturnLine(line=1, quantity=1),)))
    await world.settle()
    [refused] = told(world, CommandRefused)
    assert refused.code == "not_returnable"
    check(world)


async def test_a_box_of_which_a_part_is_not_found_is_cancelled_as_far_as_it_has_not_left() -> None:
    world = await shop(MUG=5, TEA=3)
    warehouse = Warehouse(world)
    await world.send(order("1", [("BOX", 2), ("MUG", 1)]))
    await world.settle()
    await warehouse.pick(short={"TEA": 2})
    [short] = told(world, StockBackordered)
    assert [(one.sku, one.quantity) for one in short.short] == [("TEA", 1)]
    await warehouse.pack()
    await warehouse.dispatch()
    await world.send(CancelOrder(order_id=ORDER))
    await world.settle()
    await warehouse.carry()
    [completed], [refund] = told(world, FulfillmentCompleted), told(world, RefundRequested)
    assert completed.outcome == "partly_delivered"
    assert [(one.line, one.sku, one.quantity) for one in completed.cancelled] == [(4, "TEA", 2)]
    assert refund.amount_minor == 2000 - 2000 * 12 // 14, "both teas' share of two boxes"
    assert balances(world)["TEA", "LON", "on_hand"] == 1
    check(world)


async def test_a_box_whose_parts_come_from_two_nodes_is_half_lost() -> None:
    world = await World().start()
    await open_shop(world, {"LON": {"MUG": 4}, "MAN": {"TEA": 2}})
    await world.send(box())
    await world.settle()
    await world.send(order("1", {"BOX": 2}))
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.pick()
    await warehouse.pack()
    await warehouse.dispatch()
    for shipped in told(world, ShipmentDispatched):
        scan = {"order_id": ORDER, "shipment_id": shipped.shipment_id, "occurred_at": world.clock.now}
        status = "delivered" if shipped.node == "LON" else "lost"
        await world.send(RecordCarrierEvent.model_validate(scan | {"status": status}))
    await world.settle()
    [completed], [refund] = told(world, FulfillmentCompleted), told(world, RefundRequested)
    assert completed.outcome == "partly_delivered"
    assert [(one.sku, one.quantity) for one in completed.lost] == [("TEA", 2)]
    assert refund.amount_minor == 2000 - 2000 * 12 // 14
    await come_back(world, 1, (2, 4))
    assert [one.amount_minor for one in told(world, RefundRequested)] == [286, 1714]
    check(world)


async def test_a_box_that_is_cancelled_before_it_is_released_is_refunded_as_it_was_ordered() -> None:
    world = await shop(MUG=3, TEA=3)
    await world.send(order("1", {"BOX": 2}))
    await world.settle()
    assert len(told(world, StockBackordered)) == 1
    await world.send(CancelOrder(order_id=ORDER))
    await world.settle()
    [refund], [completed] = told(world, RefundRequested), told(world, FulfillmentCompleted)
    assert (refund.amount_minor, completed.outcome) == (2000, "cancelled")
    assert balances(world)["MUG", "LON", "on_hand"] == 3
    check(world)


async def test_a_box_that_no_node_ships_is_refunded_by_its_parts() -> None:
    world = await shop(MUG=4, TEA=3)
    for node, (latitude, longitude) in NODES.items():
        place = {"node": node, "name": node, "country": "GB", "latitude": latitude, "longitude": longitude}
        await world.send(DefineNode.model_validate(place | {"ships_to": ("GB",)}))
    await world.settle()
    await world.send(order("1", {"BOX": 2}, country="NZ"))
    await world.settle()
    [refund], [completed] = told(world, RefundRequested), told(world, FulfillmentCompleted)
    assert (refund.amount_minor, completed.outcome) == (2000, "unroutable")
    assert [one.sku for one in completed.unroutable] == ["MUG", "TEA"]
    check(world)


async def test_boxes_and_their_parts_are_promised_exactly_as_often_as_there_are() -> None:
    world = await shop(MUG=20, TEA=100)
    for number in range(12):
        await world.send(order(f"b{number}", [("BOX", 1), ("MUG", 1), ("BOX", 1)]))
        await world.send(order(f"m{number}", {"MUG": 1}))
    await world.settle()
    reserved = [line for event in told(world, StockReserved) for line in event.lines]
    assert sum(line.quantity for line in reserved if line.sku == "MUG") <= 20
    promised = {sku: units for (sku, _, bucket), units in balances(world).items() if bucket == "allocated"}
    held = {sku: units for (sku, _, bucket), units in balances(world).items() if bucket == "reserved"}
    assert promised["MUG"] + held.get("MUG", 0) == 20, "what is left of them is held by who waits"
    check(world, all_closed=False)


async def test_kits_are_made_sold_returned_and_taken_apart() -> None:
    world = await shop(MUG=6, TEA=3)
    await world.send(box("assembled", "KIT"))
    await world.send(AssembleKit(sku="KIT", node="LON", quantity=2))
    await world.settle()
    await world.send(order("1", {"KIT": 1}))
    await world.settle()
    await Warehouse(world).everything()
    assert told(world, BundlesUnpacked) == []
    await come_back(world, 1, (1, 1))
    await world.send(TakeKitApart(sku="KIT", node="LON", quantity=2))
    await world.settle()
    on_hand = {sku: units for (sku, _, bucket), units in balances(world).items() if bucket == "on_hand"}
    assert on_hand == {"MUG": 6, "TEA": 3}
    assert not [sku for sku, _, bucket in balances(world) if bucket == "kitted"]
    check(world)
