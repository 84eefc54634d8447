"""Reservation policies through all stages: what a customer of each gets, and how each order ends."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from libs.events.backorders import BackorderRefused, Backorders
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentCancelled, FulfillmentCompleted, ShipmentDispatched
from libs.events.ids import order_id
from libs.events.intake import CancelOrder, OrderAccepted, OrderClosed
from libs.events.inventory import ReceiveStock, ReservationBroken, StockBackordered, StockReserved
from libs.events.notifications import MessageRequested
from libs.events.policy import (
    POLICIES_STREAM,
    BackorderLapsed,
    DefineReservationPolicies,
    PolicyRule,
    PriorityClass,
)
from libs.events.promise import DefinePromiseTerms
from libs.events.returns import (
    AuthoriseReturn,
    InspectedUnits,
    ReceiveReturn,
    RefundRequested,
    ReturnAuthorised,
    ReturnLine,
)
from libs.events.routing import DefineNode
from libs.events.substitutes import DefineSubstitutes
from libs.runtime.memory_log import MemoryBatch, MemoryLog
from tests.flow.life import CONTACT
from tests.flow.oracle import check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.world import TENANT, World

DAY = 86_400


async def shop(*rules: PolicyRule, **stock: int) -> World:
    world = await World().start()
    await open_shop(world, {"LON": stock} if stock else {})
    classes = (PriorityClass(name="express", rank=10), PriorityClass(name="bulk", rank=70))
    await world.send(DefineReservationPolicies(classes=classes, rules=rules))
    await world.settle()
    return world


async def ordered(world: World, number: str, lines: dict[str, int], **more: Any) -> str:
    await world.send(order(number, lines, contact=CONTACT, **more))
    await world.settle()
    return order_id(TENANT, "web", number)


async def received(world: World, sku: str, quantity: int) -> None:
    await world.send(ReceiveStock(sku=sku, node="LON", quantity=quantity))
    await world.settle()


def told(world: World, kind: type[Event], of: str) -> list[Any]:
    return [event for event in world.events(kind) if event.stream == of]


def parcels(world: World, of: str) -> list[dict[str, int]]:
    return [
        {line.sku: line.quantity for line in event.lines} for event in told(world, ShipmentDispatched, of)
    ]


def outcome(world: World, of: str) -> str:
    [closed] = told(world, OrderClosed, of)
    assert isinstance(closed, OrderClosed)
    return closed.outcome


async def test_all_or_nothing_leaves_what_it_cannot_use_and_ships_in_one_parcel() -> None:
    world = await shop(PolicyRule(order_type="whole", policy="all_or_nothing"), TEA=2)
    whole = await ordered(world, "1", {"TEA": 2, "MUG": 1}, order_type="whole")
    other = await ordered(world, "2", {"TEA": 1})
    assert told(world, StockReserved, other), "the tea is not kept for an order that lacks the mug"
    await received(world, "MUG", 1)
    await received(world, "TEA", 1)
    warehouse = Warehouse(world)
    await warehouse.everything()
    assert parcels(world, whole) == [{"TEA": 2, "MUG": 1}]
    assert (outcome(world, whole), outcome(world, other)) == ("delivered", "delivered")
    letters = [asked.milestone for asked in told(world, MessageRequested, whole)]
    assert letters.count("backordered") == 1, "told once, however often it has looked"
    check(world)


async def test_partial_ships_what_is_there_and_then_the_rest() -> None:
    world = await shop(PolicyRule(policy="partial"), TEA=2)
    of = await ordered(world, "1", {"TEA": 3, "MUG": 1})
    warehouse = Warehouse(world)
    await warehouse.everything()
    assert parcels(world, of) == [{"TEA": 2}]
    assert told(world, OrderClosed, of) == []
    assert [event.milestone for event in told(world, MessageRequested, of)].count("backordered") == 1
    await received(world, "MUG", 1)
    await warehouse.everything()
    await received(world, "TEA", 1)
    await warehouse.everything()
    assert parcels(world, of) == [{"TEA": 2}, {"MUG": 1}, {"TEA": 1}]
    assert outcome(world, of) == "delivered"
    check(world)


async def test_what_still_waits_of_a_partial_order_can_be_cancelled() -> None:
    world = await shop(PolicyRule(policy="partial"), TEA=2)
    of = await ordered(world, "1", {"TEA": 3})
    warehouse = Warehouse(world)
    await warehouse.everything()
    await world.send(CancelOrder(order_id=of))
    await world.settle()
    [completed] = told(world, FulfillmentCompleted, of)
    assert isinstance(completed, FulfillmentCompleted)
    assert [line.quantity for line in (*completed.delivered, *completed.cancelled)] == [2, 1]
    assert outcome(world, of) == "partly_delivered"
    await received(world, "TEA", 1)
    later = await ordered(world, "2", {"TEA": 1})
    assert told(world, StockReserved, later)
    await warehouse.everything()
    check(world)


async def test_a_partial_order_whose_first_part_goes_nowhere_is_not_over_before_the_rest() -> None:
    world = await shop(PolicyRule(policy="partial"), TEA=1)
    place = {"country": "GB", "latitude": 51.5, "longitude": -0.1, "ships_to": ("GB",)}
    await world.send(DefineNode.model_validate({"node": "LON", "name": "LON", **place}))
    await world.settle()
    of = await ordered(world, "1", {"TEA": 1, "MUG": 1}, country="NO")
    [given_up] = told(world, FulfillmentCancelled, of)
    assert [line.sku for line in given_up.lines] == ["TEA"]
    assert told(world, OrderClosed, of) == []
    await world.send(ReceiveStock(sku="MUG", node="DUB", quantity=1))
    await Warehouse(world).everything()
    await Warehouse(world).everything()
    assert (parcels(world, of), outcome(world, of)) == ([{"MUG": 1}], "partly_delivered")
    check(world)


async def test_what_lacks_after_the_wait_is_given_up_and_the_rest_is_delivered() -> None:
    world = await shop(PolicyRule(wait_days=14), TEA=2)
    some = await ordered(world, "1", {"TEA": 1, "MUG": 1})
    none = await ordered(world, "2", {"MUG": 2})
    world.clock.advance(seconds=14 * DAY)
    await world.settle()
    assert [event.stream for event in world.events(BackorderLapsed)] == [some, none]
    await Warehouse(world).everything()
    assert parcels(world, some) == [{"TEA": 1}]
    assert (outcome(world, some), outcome(world, none)) == ("partly_delivered", "unroutable")
    await received(world, "MUG", 5)
    assert len(told(world, StockReserved, some)) == 1
    check(world)


async def test_what_nobody_may_wait_for_is_refused_as_it_is_ordered_and_the_rest_is_delivered() -> None:
    world = await shop(TEA=2)
    await world.send(DefinePromiseTerms(sku="MUG", backorders=Backorders(units_max=1)))
    await world.settle()
    waits = await ordered(world, "1", {"MUG": 1})
    some = await ordered(world, "2", {"TEA": 1, "MUG": 1})
    none = await ordered(world, "3", {"MUG": 2})
    assert {event.stream for event in world.events(BackorderRefused)} == {some, none}
    [given_up] = told(world, FulfillmentCancelled, some)
    assert given_up.reason == "Not available: 1 of MUG lack, and no more than 0 may still be waited for."
    await Warehouse(world).everything()
    assert parcels(world, some) == [{"TEA": 1}]
    assert (outcome(world, some), outcome(world, none)) == ("partly_delivered", "unroutable")
    assert "cancelled" in [asked.milestone for asked in told(world, MessageRequested, none)]
    await received(world, "MUG", 5)
    await Warehouse(world).everything()
    assert (parcels(world, waits), outcome(world, waits)) == ([{"MUG": 1}], "delivered")
    check(world)


async def test_what_is_there_after_the_wait_ships_and_the_rest_waits_on() -> None:
    world = await shop(PolicyRule(wait_days=3, then="ship"), TEA=1)
    of = await ordered(world, "1", {"TEA": 2})
    warehouse = Warehouse(world)
    await warehouse.everything()
    assert parcels(world, of) == []
    world.clock.advance(seconds=3 * DAY)
    await world.settle()
    await warehouse.everything()
    assert parcels(world, of) == [{"TEA": 1}]
    world.clock.advance(seconds=30 * DAY)
    await received(world, "TEA", 1)
    await warehouse.everything()
    assert (parcels(world, of), outcome(world, of)) == ([{"TEA": 1}, {"TEA": 1}], "delivered")
    check(world)


async def test_express_is_served_first_and_takes_what_is_promised_but_not_what_is_allocated() -> None:
    express = PolicyRule(service="express", priority="express", reallocates=True)
    world = await shop(express, TEA=2)
    planned = await ordered(world, "1", {"TEA": 1})  # routed and allocated at once
    waits = await ordered(world, "2", {"TEA": 1, "MUG": 1})  # holds a tea, and waits for a mug
    fast = await ordered(world, "3", {"TEA": 1}, service="express")
    [broken] = world.events(ReservationBroken)
    assert isinstance(broken, ReservationBroken)
    assert (broken.cause, [claim.order_id for claim in broken.claims]) == ("reallocated", [waits])
    backordered = told(world, StockBackordered, waits)
    assert [(one.sku, one.quantity) for one in backordered[-1].short] == [("MUG", 1)]
    await received(world, "MUG", 1)
    assert told(world, StockReserved, waits) == []
    await received(world, "TEA", 1)
    await Warehouse(world).everything()
    assert [outcome(world, of) for of in (planned, waits, fast)] == ["delivered"] * 3
    check(world)


def noted(reads: Callable[..., Awaitable[Any]], loads: list[list[str]]) -> Callable[..., Awaitable[Any]]:
    """What reads streams, and notes which."""

    async def read(where: object, keys: Sequence[str], *more: Any, **named: Any) -> Any:
        loads.append([key.partition("/")[2] for key in keys])
        return await reads(where, keys, *more, **named)

    return read


async def test_policies_are_read_with_the_orders_that_need_them_and_never_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, loads = await shop(PolicyRule(policy="partial"), TEA=9), list[list[str]]()
    for where, method in ((MemoryBatch, "load"), (MemoryLog, "look")):
        monkeypatch.setattr(where, method, noted(getattr(where, method), loads))
    of = [await ordered(world, str(number), {"TEA": 1}) for number in range(3)]
    read = [keys for keys in loads if POLICIES_STREAM in keys]
    assert len(read) >= 3
    assert all(len(keys) > 1 and set(keys) & set(of) for keys in read), read


async def test_a_substitute_is_sent_and_comes_back_for_the_price_of_what_was_bought() -> None:
    world = await shop(PolicyRule(channel="web", substitutes=True), CUP=2, TEA=1)
    await world.send(DefineSubstitutes(sku="MUG", substitutes=("CUP",)))
    await world.settle()
    of = await ordered(world, "1", {"MUG": 2, "TEA": 1})
    await Warehouse(world).everything()
    assert parcels(world, of) == [{"TEA": 1, "CUP": 2}]
    assert outcome(world, of) == "delivered"
    await world.send(AuthoriseReturn(order_id=of, lines=(ReturnLine(line=1, quantity=2),)))
    await world.settle()
    [authorised] = told(world, ReturnAuthorised, of)
    units = tuple(
        InspectedUnits(line=one.line, quantity=one.quantity, disposition="restock")
        for one in authorised.lines
    )
    assert [(one.sku, one.quantity) for one in authorised.lines] == [("CUP", 2)]
    await world.send(ReceiveReturn(order_id=of, rma_id=authorised.rma_id, node="LON", units=units))
    await world.settle()
    [refund] = told(world, RefundRequested, of)
    [bought] = [line for line in told(world, OrderAccepted, of)[0].lines if line.sku == "MUG"]
    assert refund.amount_minor == 2 * bought.unit_price_minor
    check(world)
