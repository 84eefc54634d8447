"""A life with all that may happen, in another order for each seed: for what must hold of any."""

import random

from libs.events.contract import Command
from libs.events.fulfillment import (
    ShipmentDelivered,
    ShipmentDispatched,
)
from libs.events.ids import order_id
from libs.events.intake import CancelOrder, ReleaseHold, SubmitOrder
from libs.events.inventory import (
    AdjustStock,
    ReceiveStock,
)
from libs.events.notifications import MessageRequested, RecordMessageOutcome
from libs.events.order import Sealed
from libs.events.promise import HoldStock, Wanted
from libs.events.returns import (
    AuthoriseReturn,
    InspectedUnits,
    ReceiveReturn,
    ReturnAuthorised,
    ReturnLine,
)
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.world import STAGES, TENANT, World

INTAKE, _, _, FULFILLMENT, _, _ = STAGES
CONTACT = Sealed(subject="c:7", nonce="A" * 16, ciphertext="A" * 24)
BASKET = (Wanted(sku="TEA", quantity=1), Wanted(sku="MUG", quantity=1))
LATE = (("notifications", INTAKE), ("inventory", FULFILLMENT), ("returns", INTAKE), ("intake", FULFILLMENT))
"""Who hears of whom only at the end of a stretch: what was caused later arrives earlier."""


async def life(seed: int, partitions: int = 4, world: World | None = None) -> World:
    """A life with all that may happen, in another order for each seed."""
    world = await (world or World(partitions)).start()
    await open_shop(world, {"LON": {"TEA": 20, "MUG": 3}, "MAN": {"TEA": 6, "MUG": 2}, "DUB": {"JAM": 1}})
    dice, warehouse = random.Random(seed), Warehouse(world)
    for stretch, (hearer, of) in enumerate(dice.sample(LATE, len(LATE))):
        position = world.members[hearer].position
        late = {place: position.pop(place) for place in list(position) if place[0] == of.topic}
        await orders(world, dice, range(15 * stretch, 15 * stretch + 15))
        await warehouse.pick(short={"TEA": 1})
        await warehouse.pack()
        await warehouse.dispatch()
        await too_late(world, dice)
        await warehouse.carry(dice.choice(["delivered", "delivered", "lost"]))
        await come_back(world)
        await mail(world)
        position |= late
    await world.settle()
    return world


async def orders(world: World, dice: random.Random, numbers: range) -> None:
    """Orders and what happens to them, while stages take turns at random."""
    stages = list(world.processes)
    some = range(numbers.stop)

    def known() -> str:
        return order_id(TENANT, "web", str(dice.choice(some)))

    for n in numbers:
        world.clock.advance(seconds=1)
        what: Command = dice.choice(
            [
                order(str(n), {"TEA": dice.randint(1, 3), "MUG": 1}, contact=CONTACT),
                order(str(n), {"TEA": 1, "JAM": 2}),
                order(str(n), {"MUG": 1}, payment=dice.choice(["on_account", "pending"]), contact=CONTACT),
                order(str(n), {"TEA": 2}, contact=CONTACT),
                CancelOrder(order_id=known()),
                ReceiveStock(sku=dice.choice(["JAM", "MUG"]), node="DUB", quantity=2),
                AdjustStock(sku="TEA", node="LON", delta=-2, reason_code="broken"),
                ReleaseHold(order_id=known(), hold="payment"),
            ]
        )
        if isinstance(what, SubmitOrder) and n % 3 == 0:
            hold = HoldStock(promise_id=f"basket-{n}", lines=BASKET, ttl_seconds=2 if n % 2 else 60)
            await world.send(hold)
            await world.turn(["inventory"] if n % 4 else [])
            what = what.model_copy(update={"promise_id": f"basket-{n}"})
        await world.send(what)
        for _ in range(dice.randint(0, 9)):
            await world.turn([dice.choice(stages)])


async def too_late(world: World, dice: random.Random) -> None:
    """Some orders that were dispatched are cancelled all the same, some of them twice."""
    for shipped in dice.choices(world.events(ShipmentDispatched) or [None], k=4):
        if isinstance(shipped, ShipmentDispatched):
            await world.send(CancelOrder(order_id=shipped.order_id))
            await world.turn(["intake", "fulfillment"])


async def come_back(world: World) -> None:
    """One unit of line 1 of every shipment's order that arrived and was not returned yet."""
    back = {event.order_id for event in world.events(ReturnAuthorised) if isinstance(event, ReturnAuthorised)}
    for arrived in world.events(ShipmentDelivered):
        assert isinstance(arrived, ShipmentDelivered)
        if arrived.order_id not in back:
            back.add(arrived.order_id)
            line = ReturnLine(line=arrived.lines[0].line, quantity=1, reason="too small")
            unit = InspectedUnits(line=line.line, quantity=1, disposition="restock")
            rma_id = f"{arrived.order_id}-R1"
            await world.send(AuthoriseReturn(order_id=arrived.order_id, lines=(line,)))
            await world.turn(["returns"])
            await world.send(
                ReceiveReturn(order_id=arrived.order_id, rma_id=rma_id, node="LON", units=(unit,))
            )
    await world.settle()


async def mail(world: World) -> None:
    """Every other message that was asked for is sent."""
    for asked in world.events(MessageRequested)[::2]:
        assert isinstance(asked, MessageRequested)
        await world.send(
            RecordMessageOutcome(order_id=asked.order_id, message_id=asked.message_id, outcome="sent")
        )
    await world.settle()
