"""Support amends where an order goes, or by which service, whatever else happens to it meanwhile."""

from datetime import timedelta

import pytest

from libs.events.amendments import (
    AllocationOutdated,
    AmendmentDeclined,
    AmendOrder,
    OrderAmended,
    StockDeallocated,
)
from libs.events.changes import PlaceHold
from libs.events.fulfillment import FulfillmentReleased
from libs.events.intake import CancelOrder, OrderAccepted, OrderHeld, ReleaseHold, SubmitOrder
from libs.events.inventory import ReceiveStock
from libs.events.items import DefineItem
from libs.events.notifications import MessageRequested
from libs.events.order import Destination, Sealed
from libs.events.refusal import CommandRefused
from libs.events.routing import DefineNode, OrderRouted
from tests.flow.oracle import balances, check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.terms import released_by_others
from tests.flow.test_bundles import box
from tests.flow.test_lives import issued, on_hand, outcomes, shop
from tests.flow.test_support import cancel
from tests.flow.world import START, World

CONTACT = Sealed(subject="c:7", nonce="A" * 16, ciphertext="A" * 24)
MOVED = Sealed(subject="c:7", nonce="B" * 16, ciphertext="B" * 24)
NORTH = Destination(country="GB", postcode_area="M1", latitude=53.5, longitude=-2.2)
"""Next door to MAN; orders go to London at first."""


def amend(of: SubmitOrder, **terms: object) -> AmendOrder:
    return AmendOrder.model_validate({"order_id": of.order_id, "reason": "moved house", **terms})


def north(of: SubmitOrder, **terms: object) -> AmendOrder:
    return amend(of, destination=NORTH, contact=MOVED, **terms)


def releases(world: World) -> list[FulfillmentReleased]:
    return [e for e in world.events(FulfillmentReleased) if isinstance(e, FulfillmentReleased)]


def holds(world: World) -> None:
    assert list(released_by_others(world.events(OrderAmended, FulfillmentReleased))) == []
    check(world)


@pytest.mark.parametrize("turns", range(14))
async def test_amending_in_the_middle_of_anything_has_one_answer_and_leaves_stock_exact(turns: int) -> None:
    """Declined, and it goes where it went; or agreed to, and all of it goes there, from another node."""
    world = await shop({"LON": {"TEA": 3}, "MAN": {"TEA": 3}})
    bought = order("1", {"TEA": 2}, contact=CONTACT)
    await world.send(bought)
    await world.turns(turns)
    await world.send(north(bought, service="express"))
    await world.settle()
    agreed, declined = world.events(OrderAmended), world.events(AmendmentDeclined)
    assert len(agreed) + len(declined) == 1
    [work] = releases(world)
    if agreed:
        assert (work.node, work.destination, work.contact) == ("MAN", NORTH, MOVED)
        assert work.service == "express"
    else:
        assert (work.node, work.contact, work.service) == ("LON", CONTACT, None)
        assert isinstance(declined[0], AmendmentDeclined)
        assert "released at LON" in declined[0].reason
        assert "order it anew" in declined[0].reason
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    assert (on_hand(world, "TEA"), issued(world, "TEA")) == (4, 2)
    holds(world)


async def test_what_is_allocated_stays_the_orders_while_it_is_planned_anew() -> None:
    """Who waits for the same article gets nothing of it in between."""
    world = await shop({"MAN": {"TEA": 2}})
    bought = order("1", {"TEA": 2}, contact=CONTACT)
    await world.send(bought)
    await world.turn(["intake"])
    await world.send(PlaceHold(order_id=bought.order_id, hold="wait", message="Ask."))
    await world.settle()
    await world.send(order("2", {"TEA": 1}))
    await world.settle()
    await world.send(north(bought))
    await world.settle()
    assert len(world.events(AllocationOutdated)) == len(world.events(StockDeallocated)) == 1
    assert balances(world)["TEA", "MAN", "allocated"] == 2
    assert not releases(world), "the hold still keeps it"
    await world.send(ReleaseHold(order_id=bought.order_id, hold="wait"))
    await world.settle()
    [work] = releases(world)
    assert (work.destination, work.contact, work.order_id) == (NORTH, MOVED, bought.order_id)
    await world.send(ReceiveStock(sku="TEA", node="MAN", quantity=1))
    await world.settle()
    await Warehouse(world).everything()
    holds(world)


async def test_an_address_nearby_keeps_the_plan() -> None:
    world = await shop({"LON": {"TEA": 2}})
    bought = order("1", {"TEA": 2}, contact=CONTACT)
    await world.send(bought)
    await world.turn(["intake"])
    await world.send(PlaceHold(order_id=bought.order_id, hold="wait", message="Ask."))
    await world.settle()
    await world.send(amend(bought, destination=bought.destination, contact=MOVED))
    await world.send(ReleaseHold(order_id=bought.order_id, hold="wait"))
    await world.settle()
    assert not world.events(AllocationOutdated)
    assert len(world.events(OrderRouted)) == 1
    assert [work.contact for work in releases(world)] == [MOVED]
    await Warehouse(world).everything()
    holds(world)


async def test_who_waits_for_goods_can_move_house_meanwhile() -> None:
    world = await shop({"LON": {"TEA": 1}})
    bought = order("1", {"TEA": 2}, contact=CONTACT)
    await world.send(bought)
    await world.settle()
    await world.send(north(bought))
    await world.settle()
    await world.send(ReceiveStock(sku="TEA", node="MAN", quantity=2))
    await world.settle()
    assert {work.destination for work in releases(world)} == {NORTH}
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    holds(world)


async def test_after_a_pick_that_found_nothing_it_can_be_amended() -> None:
    world = await shop({"LON": {"TEA": 2}})
    bought = order("1", {"TEA": 2}, contact=CONTACT)
    await world.send(bought)
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.pick(short={"TEA": 2})
    await world.settle()
    await world.send(north(bought))
    await world.settle()
    await world.send(ReceiveStock(sku="TEA", node="DUB", quantity=2))
    await world.settle()
    assert [work.contact for work in releases(world)] == [CONTACT, MOVED]
    await warehouse.everything()
    holds(world)


async def test_lots_and_the_parts_of_bundles_go_back_to_their_shelf_and_leave_it_again() -> None:
    """Held by hand while it is allocated, amended, and held no more."""
    world = await World().start()
    await world.send(DefineItem(sku="TEA", lot_controlled=True))
    await open_shop(world, {"MAN": {"MUG": 4}})
    for lot, days in (("OLD", 30), ("NEW", 60)):
        expires = START.date() + timedelta(days=days)
        await world.send(ReceiveStock(sku="TEA", node="MAN", quantity=1, lot=lot, expires_on=expires))
    await world.settle()
    await world.send(box())
    await world.settle()
    bought = order("1", {"BOX": 2}, contact=CONTACT)
    await world.send(bought)
    await world.turn(["intake"])
    await world.send(PlaceHold(order_id=bought.order_id, hold="wait", message="Ask."))
    await world.settle()
    assert balances(world)["TEA", "MAN", "allocated"] == 2
    await world.send(north(bought))
    await world.settle()
    assert len(world.events(StockDeallocated)) == 1
    await world.send(ReleaseHold(order_id=bought.order_id, hold="wait"))
    await world.settle()
    [work] = releases(world)
    assert {(pick.sku, pick.lot) for pick in work.picks or ()} == {("TEA", "OLD"), ("TEA", "NEW")}
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    assert (issued(world, "MUG"), issued(world, "TEA")) == (4, 2)
    holds(world)


async def test_a_country_that_no_node_ships_to_is_left_for_one_that_is() -> None:
    """The plan for the first destination fails while the second is asked for: that is no end of the order."""
    world = await shop({"LON": {"TEA": 2}})
    for node in ("LON", "MAN", "DUB"):
        terms = {"name": node, "country": "GB", "latitude": 51.5, "longitude": -0.1, "ships_to": ("GB",)}
        await world.send(DefineNode(node=node, **terms))
    await world.settle()
    bought = order("1", {"TEA": 2}, country="FR", contact=CONTACT)
    await world.send(bought)
    await world.turn(["intake"])
    await world.send(north(bought))
    await world.turn(["intake"])
    await world.turn(["fulfillment"])
    await world.settle()
    assert [work.destination for work in releases(world)] == [NORTH]
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    holds(world)


async def test_an_order_amended_to_where_no_node_ships_is_given_up_and_its_stock_is_free() -> None:
    """As the console warns (`services.console.change_view`), also where it waits for stock."""
    world = await shop({"LON": {"TEA": 2}})
    for node in ("LON", "MAN", "DUB"):
        terms = {"name": node, "country": "GB", "latitude": 51.5, "longitude": -0.1, "ships_to": ("GB",)}
        await world.send(DefineNode(node=node, **terms))
    await world.settle()
    for number, units in (("1", 2), ("2", 3)):
        bought = order(number, {"TEA": units}, contact=CONTACT)
        await world.send(bought)
        await world.turn(["intake"])
        await world.send(PlaceHold(order_id=bought.order_id, hold="wait", message="Ask."))
        await world.settle()
        await world.send(amend(bought, destination=Destination(country="FR"), contact=MOVED))
        await world.settle()
    assert list(outcomes(world).values()) == ["unroutable"], "the other waits until its stock is there"
    await world.send(ReceiveStock(sku="TEA", node="MAN", quantity=1))
    await world.settle()
    assert list(outcomes(world).values()) == ["unroutable", "unroutable"]
    assert [balances(world)["TEA", node, "on_hand"] for node in ("LON", "MAN")] == [2, 1]
    assert not balances(world).get(("TEA", "*", "reserved"))
    holds(world)


async def test_a_held_order_is_amended_at_once_and_its_address_settles_its_hold() -> None:
    world = await shop({"LON": {"TEA": 2}, "MAN": {"TEA": 2}})
    bought = order("1", {"TEA": 2}, country="ZZ", contact=CONTACT)
    await world.send(bought)
    await world.settle()
    [held] = world.events(OrderHeld)
    assert isinstance(held, OrderHeld)
    assert [hold.name for hold in held.holds] == ["address"]
    await world.send(amend(bought, destination=Destination(country="ZZ"), contact=MOVED))
    await world.send(amend(bought), amend(bought, destination=NORTH))
    await world.send(north(bought, service="express"))
    await world.settle()
    told = [e.code for e in world.events(CommandRefused) if isinstance(e, CommandRefused)]
    assert told == ["unknown_country", "nothing_to_amend", "incomplete_address"]
    [accepted] = world.events(OrderAccepted)
    assert isinstance(accepted, OrderAccepted)
    assert (accepted.destination, accepted.contact, accepted.service) == (NORTH, MOVED, "express")
    [work] = releases(world)
    assert (work.node, work.contact) == ("MAN", MOVED)
    await Warehouse(world).everything()
    holds(world)


async def test_the_customer_is_told_where_they_read_it_and_an_order_that_ended_is_left_alone() -> None:
    world = await shop({"LON": {"TEA": 2}})
    bought = order("1", {"TEA": 3}, contact=CONTACT)
    await world.send(bought)
    await world.settle()
    await world.send(amend(bought, service="express"), north(bought, mail=True))
    await world.settle()
    told = [e for e in world.events(MessageRequested) if isinstance(e, MessageRequested)]
    letters = [e for e in told if e.milestone == "confirmed"]
    assert [e.contact for e in letters] == [CONTACT, None, MOVED]
    named = [{fact.name: fact.value for fact in e.facts} for e in letters[1:]]
    assert [(one.get("address"), one.get("service")) for one in named] == [(None, "express"), ("new", None)]
    await world.send(CancelOrder(order_id=bought.order_id), north(bought))
    await world.settle()
    assert outcomes(world) == {bought.order_id: "cancelled"}
    [refused] = world.events(CommandRefused)
    assert isinstance(refused, CommandRefused)
    assert refused.code in ("already_closed", "already_cancelling")
    holds(world)


async def test_who_came_without_a_contact_is_told_from_when_the_order_is_amended_with_one() -> None:
    world = await shop({"MAN": {"TEA": 2}})
    bought = order("1", {"TEA": 3})
    await world.send(bought)
    await world.settle()
    assert not world.events(MessageRequested)
    await world.send(north(bought, mail=True))
    await world.settle()
    await world.send(ReceiveStock(sku="TEA", node="MAN", quantity=1))
    await world.settle()
    await Warehouse(world).everything()
    told = [e for e in world.events(MessageRequested) if isinstance(e, MessageRequested)]
    assert told[0].milestone == "confirmed"
    assert {e.milestone for e in told} >= {"confirmed", "picking", "shipped", "delivered"}
    assert [e.contact for e in told] == [MOVED, *[None] * (len(told) - 1)]
    holds(world)


async def test_a_cancelled_line_and_an_amendment_leave_what_both_of_them_want() -> None:
    for turns in range(10):
        world = await shop({"LON": {"TEA": 3}, "MAN": {"TEA": 3}})
        bought = order("1", {"TEA": 3}, contact=CONTACT)
        await world.send(bought)
        await world.turns(turns)
        await world.send(cancel(bought, (1, 1)), north(bought))
        await world.settle()
        await Warehouse(world).everything()
        assert (on_hand(world, "TEA"), issued(world, "TEA")) == (4, 2), turns
        holds(world)
