"""The demo's actors bring every order of the month to its end, whatever the real stages make of it."""

from collections import Counter

import pytest

from libs.events.bundles import KitAssembled, KitTakenApart
from libs.events.changes import (
    HoldPlaced,
    LineCancellationRequested,
    LinesCancelled,
    NoteAdded,
    OrderResumed,
)
from libs.events.fulfillment import (
    FulfillmentCompleted,
    FulfillmentReleased,
    ShipmentDelivered,
    ShipmentLost,
)
from libs.events.intake import OrderAccepted, OrderClosed, OrderHeld, OrderRejected
from libs.events.inventory import StockBackordered, StockIssued
from libs.events.refusal import CommandRefused
from libs.events.returns import ReturnAuthorised, ReturnClosed, ReturnReceived
from libs.events.stocktaking import CountRecorded
from libs.events.supply import SupplyReceived, TransferClosed, TransferDispatched
from tests.flow.demo_run import ORDERS, STEPS, Run
from tests.flow.world import World


@pytest.fixture(scope="module")
async def played() -> Run:
    run = Run(await World().start(), STEPS)
    await run.play()
    return run


async def test_every_order_comes_to_one_end(played: Run) -> None:
    run, world = played, played.world
    first = world.events(OrderAccepted, OrderHeld, OrderRejected)
    closed = [event for event in world.events(OrderClosed) if isinstance(event, OrderClosed)]
    assert len({event.stream for event in first}) == len(closed) == ORDERS
    assert len({event.order_id for event in closed}) == ORDERS
    assert world.events(OrderRejected) == []
    assert (run.support.returns_open, run.buyer.waiting) == (0, 0)
    outcomes = Counter(event.outcome for event in closed)
    assert outcomes["delivered"] + outcomes["partly_delivered"] > ORDERS * 0.7
    assert outcomes["cancelled"] > 0
    assert outcomes["unroutable"] > 0
    assert world.events(StockBackordered)
    authorised = world.events(ReturnAuthorised)
    assert len(authorised) == len(world.events(ReturnClosed)) > 0


async def test_the_month_has_something_of_everything_that_people_do(played: Run) -> None:
    run, world = played, played.world
    assert not run.stockroom.busy
    assert world.events(CommandRefused) == []
    assert world.events(NoteAdded)
    assert len(world.events(HoldPlaced)) == len(world.events(OrderResumed)) > 0
    assert len(world.events(LinesCancelled)) == len(world.events(LineCancellationRequested)) > 0
    received = [event for event in world.events(SupplyReceived) if isinstance(event, SupplyReceived)]
    assert {event.outcome for event in received} == {"complete", "over", "short"}
    assert any(event.damaged for event in received)
    counts = [event for event in world.events(CountRecorded) if isinstance(event, CountRecorded)]
    assert sorted((event.variance, event.outcome) for event in counts) == [(-5, "held"), (-1, "booked")]
    [lost] = world.events(TransferClosed)
    assert isinstance(lost, TransferClosed)
    assert lost.quantity == 1
    assert len(world.events(TransferDispatched)) == 2
    assert world.events(KitAssembled)
    assert world.events(KitTakenApart)
    back = [event for event in world.events(ReturnReceived) if isinstance(event, ReturnReceived)]
    assert {unit.disposition for event in back for unit in event.units} >= {"restock", "quarantine"}


async def test_what_left_arrived_or_was_lost_and_was_taken_from_stock(played: Run) -> None:
    units: Counter[str] = Counter()
    for event in played.world.events(ShipmentDelivered, ShipmentLost):
        assert isinstance(event, ShipmentDelivered | ShipmentLost)
        units["arrived or lost"] += sum(line.quantity for line in event.lines)
    for issued in played.world.events(StockIssued):
        assert isinstance(issued, StockIssued)
        units["issued"] += sum(movement.quantity for movement in issued.movements)
    for completed in played.world.events(FulfillmentCompleted):
        assert isinstance(completed, FulfillmentCompleted)
        units["completed"] += sum(line.quantity for line in (*completed.delivered, *completed.lost))
    assert units["issued"] == units["arrived or lost"] == units["completed"] > 0


async def test_an_actor_that_says_everything_twice_changes_nothing(played: Run) -> None:
    once, twice = played, Run(await World().start(), STEPS)
    await twice.play(repeats=2)
    for types in ((OrderClosed,), (FulfillmentReleased,), (ReturnClosed,), (CommandRefused,)):
        assert len(once.world.events(*types)) == len(twice.world.events(*types))


async def test_no_event_id_is_used_twice_in_any_log_nor_by_two_stages(played: Run) -> None:
    ids = [
        row.event_id
        for log in played.world.logs.values()
        for (_, origin), rows in log.rows.items()
        if origin == "decided"
        for row in rows
    ]
    assert len(ids) > 1000
    assert len(set(ids)) == len(ids)
