"""Dates through all stages: what a basket, an order and somebody who waits are told."""

from datetime import timedelta

from libs.events.dates import BackorderDated
from libs.events.fulfillment import FulfillmentReleased, ShipmentDispatched
from libs.events.ids import order_id
from libs.events.notifications import MessageRequested
from libs.events.order import Destination
from libs.events.places import NodeOperations, TransitBand
from libs.events.promise import PromiseConfirmed, PromiseHeld
from libs.events.routing import DefineNode, DefineTransit, OrderRouted
from libs.events.supply import ExpectSupply, ReceiveSupply
from tests.flow.life import CONTACT
from tests.flow.oracle import check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.test_promises import basket
from tests.flow.world import START, TENANT, World

WORKS = NodeOperations(time_zone="Europe/London", cut_off="14:00", receiving_days=1)
LONDON = DefineNode(node="LON", name="London", country="GB", latitude=51.5, longitude=-0.1, operations=WORKS)
STANDARD = DefineTransit(service="standard", bands=(TransitBand(countries=("GB",), days=2),))


async def shop(**stock: int) -> World:
    world = await World().start()
    await world.send(LONDON)
    await open_shop(world, {"LON": stock})
    await world.send(LONDON)  # open_shop's has no calendar
    await world.send(STANDARD)
    await world.settle()
    return world


async def test_a_basket_and_its_order_are_told_the_same_date() -> None:
    world = await shop(TEA=3)
    asked = basket("mine", TEA=1).model_copy(update={"destination": Destination(country="GB")})
    await world.send(asked)
    await world.settle()
    await world.send(order("mine", {"TEA": 1}, promise_id="mine"))
    await world.settle()
    [held], [confirmed], [routed] = (
        world.events(kind) for kind in (PromiseHeld, PromiseConfirmed, OrderRouted)
    )
    assert isinstance(held, PromiseHeld)
    assert isinstance(confirmed, PromiseConfirmed)
    assert isinstance(routed, OrderRouted)
    assert held.delivery is not None
    assert held.delivery.deliver_by is not None
    assert (held.delivery, routed.promised) == (confirmed.delivery, confirmed.delivery)


async def test_an_orders_service_decides_its_date_and_goes_with_it_to_warehouse_and_carrier() -> None:
    world = await shop(TEA=1)
    await world.send(DefineTransit(service="express", bands=(TransitBand(days=1),)))
    await world.settle()
    await world.send(order("fast", {"TEA": 1}, service="express"))
    await world.settle()
    await Warehouse(world).everything()
    [routed], [released], [sent] = (
        world.events(kind) for kind in (OrderRouted, FulfillmentReleased, ShipmentDispatched)
    )
    assert isinstance(routed, OrderRouted)
    assert isinstance(released, FulfillmentReleased)
    assert isinstance(sent, ShipmentDispatched)
    assert routed.promised is not None
    assert routed.promised.service == "express"
    assert routed.promised.deliver_by == routed.promised.ship_by + timedelta(days=1)  # type: ignore[operator]
    assert (released.service, sent.service) == ("express", "express")
    check(world)


async def test_who_waits_is_told_a_date_and_told_again_when_supply_moves_and_then_gets_it() -> None:
    world = await shop(TEA=1)
    await world.send(order("o1", {"TEA": 4}, contact=CONTACT))
    await world.settle()
    for number, days in enumerate((3, 3, 8)):
        stated, expected = START + timedelta(minutes=number), START + timedelta(days=days)
        supply = {"sku": "TEA", "supply_id": "PO-1", "node": "LON", "quantity": 5}
        await world.send(ExpectSupply(**supply, expected_at=expected, stated_at=stated))
        await world.settle()
    first, later = world.events(BackorderDated)
    assert isinstance(first, BackorderDated)
    assert isinstance(later, BackorderDated)
    assert first.stream == order_id(TENANT, "web", "o1")
    assert later.told_before == first.usable_at
    assert first.promised is not None
    assert later.promised is not None
    assert str(first.promised.deliver_by) < str(later.promised.deliver_by)
    world.clock.advance(days=9)
    await world.settle()
    gone = world.events(BackorderDated)[-1]
    assert isinstance(gone, BackorderDated)
    assert gone.usable_at is None, "it is late, and nobody knows"
    asked = [mail for mail in world.events(MessageRequested) if isinstance(mail, MessageRequested)]
    mails = [mail.facts for mail in asked if mail.milestone == "backordered"]
    assert [{fact.name for fact in told} - {"sku", "sku_count"} for told in mails] == [
        set(),
        {"deliver_at"},
        {"deliver_at", "before_at"},
        {"gone_at"},
    ]
    arrival = {"sku": "TEA", "supply_id": "PO-1", "receipt_id": "R-1", "node": "LON", "quantity": 5}
    await world.send(ReceiveSupply.model_validate(arrival))
    await world.settle()
    assert len(world.events(OrderRouted)) == 1
    assert len(world.events(BackorderDated)) == 3
    await Warehouse(world).everything()
    check(world)
