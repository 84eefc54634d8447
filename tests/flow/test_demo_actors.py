"""The demo's actors bring every order of the month to its end, whatever the real stages make of it."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from cli.demo.actors import Buyer, Carrier, Order, Support, Warehouse
from cli.demo.month import Sale, Step, StockCount, TakeBack
from cli.demo.people import order_request
from cli.demo.plan import UNSERVED, plan_stock
from cli.demo.play import adjustment, payment, receipts_of
from cli.demo.run import read_packaged
from libs.events.fulfillment import (
    FulfillmentCompleted,
    FulfillmentReleased,
    ShipmentDelivered,
    ShipmentLost,
)
from libs.events.intake import OrderAccepted, OrderClosed, OrderHeld, OrderRejected, SubmitOrder
from libs.events.inventory import StockBackordered, StockIssued
from libs.events.refusal import CommandRefused
from libs.events.returns import ReturnAuthorised, ReturnClosed
from libs.events.routing import DefineNode
from libs.runtime import wire
from services.intake.capture import OrderRequest, capture
from tests.flow.world import STAGES, TENANT, World

BATCH = 10


def _steps() -> tuple[Step, ...]:
    """Small orders of every kind: plain, unpaid, taken back in part or whole, to where nobody ships."""
    steps = read_packaged().steps
    small = {step.invoice: step for step in steps if isinstance(step, Sale) and len(step.lines) <= 12}
    backs = [step for step in steps if isinstance(step, TakeBack) and step.of_invoice in small]
    chosen = set(list(small)[:15])
    chosen |= {back.of_invoice for back in backs if back.whole} | {back.of_invoice for back in backs[:3]}
    chosen |= {sale.invoice for sale in small.values() if sale.country in UNSERVED}
    chosen |= set([sale.invoice for sale in small.values() if payment(sale) == "pending"][:8])
    return tuple(
        step
        for number, step in enumerate(steps)
        if (isinstance(step, Sale) and step.invoice in chosen)
        or (isinstance(step, TakeBack) and step.of_invoice in chosen)
        or (isinstance(step, StockCount) and number < 500)
    )


STEPS = _steps()
ORDERS = sum(isinstance(step, Sale) for step in STEPS)


class Run:
    """The demo without its I/O: the same steps, plan and actors, on a world in memory."""

    def __init__(self, world: World, steps: Sequence[Step]) -> None:
        self.world, self.steps = world, steps
        self.support, self.buyer = Support(TENANT), Buyer(TENANT)
        self.actors = (Warehouse(), Carrier(), self.support, self.buyer)
        self._read: Counter[tuple[str, int]] = Counter()

    async def send(self, orders: Iterable[Order]) -> None:
        for order in orders:
            await self.world.send(order.body, id_=order.id)

    async def settle(self, repeats: int = 1) -> None:
        """Let stages and actors answer one another until nobody has anything to say."""
        while True:
            await self.world.settle()
            answers = [answer for record in self._new() for answer in self._answer(record)]
            if not answers:
                return
            await self.send(answers * repeats)

    def _new(self) -> list[wire.Record]:
        records = []
        for stage in STAGES:
            for lane in range(self.world.broker.partitions):
                place = (stage.topic, lane)
                fresh = self.world.broker.read(place, self._read[place], 1_000_000)
                self._read[place] += len(fresh)
                records += fresh
        return records

    def _answer(self, record: wire.Record) -> list[Order]:
        context = wire.context(record)
        heard = context.envelope(wire.body(context, record.value))
        return [
            answer
            for actor in self.actors
            if isinstance(heard.body, actor.hears)
            for answer in actor.answer(heard)
        ]

    async def play(self, repeats: int = 1) -> None:
        plan = plan_stock(self.steps)
        for node in plan.nodes:
            terms = {name: getattr(node, name) for name in node.__slots__}
            await self.world.send(DefineNode(**terms))
        await self.send(receipts_of(TENANT, "opening stock", plan.opening))
        await self.world.settle()
        for number, step in enumerate(self.steps):
            match step:
                case Sale():
                    await self.world.send(_submission(step))
                case StockCount():
                    await self.send([adjustment(TENANT, step)])
                case TakeBack():
                    await self.send(self.support.take_back(step))
            if number % BATCH == 0:
                await self.settle(repeats)
        await self.settle(repeats)
        while bought := self.buyer.buy():
            await self.send(bought)
            await self.settle(repeats)


def _submission(sale: Sale) -> SubmitOrder:
    """As intake's edge would publish it, without the sealed contact."""
    captured = capture(TENANT, OrderRequest.model_validate(order_request(sale, payment(sale))))
    return SubmitOrder(order_id=captured.order_id, **dict(captured.terms))


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
    assert outcomes["delivered"] > ORDERS * 0.7
    assert outcomes["cancelled"] > 0
    assert outcomes["unroutable"] > 0
    assert world.events(StockBackordered)
    authorised = world.events(ReturnAuthorised)
    assert len(authorised) == len(world.events(ReturnClosed)) > 0


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
