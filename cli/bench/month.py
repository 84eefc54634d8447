"""Two months of a real retailer's orders through all stages, in memory, for benches of what people look at.

The stages' loops, deciders and relays are the real ones, and who picks, carries and sends back is the demo's.
Only the clock is ours: what a warehouse or a carrier answers comes hours or days later. The month ends as the
last order comes in, so those of the last days are under way.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from cli.bench.drive import message
from cli.bench.fed import FedStage
from cli.demo.actors import Buyer, Carrier, Order, Support
from cli.demo.invoices import Sale, TakeBack
from cli.demo.people import order_request, share
from cli.demo.plan import TRANSIT, plan_stock
from cli.demo.play import payment, receipts_of
from cli.demo.run import read_packaged
from cli.demo.warehouse import Warehouse
from libs.events.catalogue import Unreadable
from libs.events.contract import Command, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import ConfirmPack, ConfirmPick, DispatchShipment, RecordCarrierEvent
from libs.events.intake import CancelOrder, ReleaseHold, SubmitOrder
from libs.events.inventory import ReceiveStock
from libs.events.returns import AuthoriseReturn, ReceiveReturn
from libs.events.routing import DefineNode, DefineTransit
from libs.runtime import wire
from libs.runtime.log import TopicPartition
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.settings import Settings
from libs.runtime.stage import commands_topic
from libs.runtime.wire import Record
from services.console import projection
from services.console.projection import Changes
from services.console.search.entries import Article, Part, entries
from services.fulfillment.app import STAGE as FULFILLMENT
from services.intake.app import STAGE as INTAKE
from services.intake.capture import Captured, OrderRequest, capture
from services.inventory.app import STAGE as INVENTORY
from services.notifications.app import STAGE as NOTIFICATIONS
from services.returns.app import STAGE as RETURNS
from services.routing.app import STAGE as ROUTING

TENANT = "bench"
DAYS = 60
LINES_MAX = 8
"""The retailer's customers are shops; those orders are taken that a household might place."""
_IN_MONTH = 500
"""More than these are looked for in the whole year, which takes longer to read."""
_STAGES = (INTAKE, INVENTORY, ROUTING, FULFILLMENT, NOTIFICATIONS, RETURNS)
_HOURS: dict[type[Command], tuple[int, int]] = {
    ReleaseHold: (1, 20),
    CancelOrder: (1, 30),
    ConfirmPick: (2, 14),
    ConfirmPack: (0, 3),
    DispatchShipment: (1, 6),
    RecordCarrierEvent: (4, 40),
    ReceiveStock: (24, 96),
    AuthoriseReturn: (48, 200),
    ReceiveReturn: (48, 120),
}
"""How many hours later at the least, and at most, somebody does what an event makes them do."""


@dataclass(frozen=True, slots=True)
class Month:
    """What the console makes of it. `apart`: between an order and the next."""

    changes: Changes
    parts: Sequence[Part]
    articles: Sequence[Article]
    apart: timedelta


@dataclass(slots=True)
class _World:
    settings: Settings
    now: datetime
    broker: MemoryBroker
    stages: list[FedStage]
    warehouse: Warehouse = field(default_factory=Warehouse)
    support: Support = field(default_factory=lambda: Support(TENANT))
    buyer: Buyer = field(default_factory=lambda: Buyer(TENANT))
    due: list[tuple[datetime, int, Order]] = field(default_factory=list)
    asked: int = 0
    events: list[Envelope[Event]] = field(default_factory=list)
    read: Counter[TopicPartition] = field(default_factory=Counter)

    async def settle(self) -> None:
        """Let the stages come to rest, and note what people will do about it."""
        while sum([await stage.turn() for stage in self.stages]):
            pass
        for envelope in self._new():
            self.events.append(envelope)
            for actor in (self.warehouse, Carrier(), self.support, self.buyer):
                if isinstance(envelope.body, actor.hears):
                    self.later(actor.answer(envelope))

    def later(self, orders: Iterable[Order]) -> None:
        """Somebody does this, in their time."""
        for order in orders:
            least, most = _HOURS[type(order.body)]
            minutes = least * 60 + share(str(order.id), (most - least) * 60)
            self.asked += 1
            heapq.heappush(self.due, (self.now + timedelta(minutes=minutes), self.asked, order))

    async def until(self, moment: datetime) -> None:
        """Everything that is due by then."""
        while self.due and self.due[0][0] <= moment:
            self.now, _, order = heapq.heappop(self.due)
            body = order.body
            if isinstance(body, RecordCarrierEvent):
                body = body.model_copy(update={"occurred_at": self.now})
            await self.send(order.stage, body, order.id)
            await self.settle()
        self.now = moment

    async def send(self, stage: str, command: Command, id_: UUID | None = None) -> None:
        _, ready = message(TENANT, command, id_)
        await self.broker.publish(commands_topic(stage), 0, [ready])

    def _new(self) -> list[Envelope[Event]]:
        found: list[Envelope[Event]] = []
        for stage in _STAGES:
            place = (stage.topic, 0)
            fresh = self.broker.read(place, self.read[place], 1_000_000)
            self.read[place] += len(fresh)
            found += [envelope for record in fresh if (envelope := _read(record)) is not None]
        return found


async def play(settings: Settings, orders: int, ends_at: datetime) -> Month:
    """So many orders over DAYS, the last one then."""
    packaged = read_packaged() if orders <= _IN_MONTH else read_packaged(None)
    steps = [step for step in packaged.steps if not isinstance(step, Sale) or _is_small(step)]
    sales = [step for step in steps if isinstance(step, Sale)][:orders]
    chosen = {sale.invoice: sale for sale in sales}
    backs = {
        step.of_invoice: step for step in steps if isinstance(step, TakeBack) and step.of_invoice in chosen
    }
    apart = timedelta(days=DAYS) / len(sales)
    one_lane = settings.model_copy(update={"partitions": 1})
    broker = MemoryBroker(1)
    world = _World(one_lane, ends_at - timedelta(days=DAYS + 1), broker, [])
    for stage in _STAGES:
        world.stages.append(FedStage(stage, MemoryLog(), broker, one_lane, lambda: world.now))
        await world.stages[-1].join()
    await _open_shop(world, sales)
    for number, sale in enumerate(sales):
        await world.until(ends_at - apart * (len(sales) - number))
        request = OrderRequest.model_validate(order_request(sale, payment(sale)) | {"placed_at": world.now})
        await world.send("intake", _submission(capture(TENANT, request)))
        await world.settle()
        if sale.invoice in backs:
            world.later(world.support.take_back(backs[sale.invoice]))
        if number % 40 == 0:
            world.later(world.buyer.buy())
    await world.until(ends_at)
    changes = projection.fold(world.events, {})
    parts: dict[tuple[str, ...], Part] = {}
    articles: set[Article] = set()
    for envelope in world.events:
        more, named = entries(TENANT, envelope.body)
        parts |= {part[:3]: part for part in more}
        articles |= set(named)
    return Month(changes, list(parts.values()), sorted(articles), apart)


async def _open_shop(world: _World, sales: Sequence[Sale]) -> None:
    plan = plan_stock(sales)
    nodes = [DefineNode(**{name: getattr(node, name) for name in node.__slots__}) for node in plan.nodes]
    for terms in (*nodes, DefineTransit.model_validate(TRANSIT)):
        await world.send("routing", terms)
    for receipt in receipts_of(TENANT, "opening stock", plan.opening):
        await world.send("inventory", receipt.body)
    await world.settle()


def _submission(captured: Captured) -> SubmitOrder:
    """Without a contact, so that no mail is asked for."""
    return SubmitOrder(order_id=captured.order_id, **dict(captured.terms))


def _is_small(sale: Sale) -> bool:
    return len(sale.lines) <= LINES_MAX


def _read(record: Record) -> Envelope[Event] | None:
    context = wire.context(record)
    try:
        body = wire.body(context, record.value)
    except Unreadable:
        return None
    assert isinstance(body, Event), f"{context.type} is no event"
    return context.envelope(body)
