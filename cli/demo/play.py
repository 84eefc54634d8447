"""Plays the month through the running stack: the stock first, then every invoice in its order, as fast as the
stages take them, while the actors answer; and waits until every order has come to its end."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cli.demo.actors import CHANNEL, Buyer, Carrier, Order, Support
from cli.demo.desk import Desk
from cli.demo.invoices import Sale, Step, StockCount, TakeBack
from cli.demo.people import order_request, share
from cli.demo.plan import COUNTS_AT, TRANSIT, Plan, Receipt, plan_stock
from cli.demo.second_look import SecondLook
from cli.demo.stockroom import Stockroom
from cli.demo.warehouse import Warehouse
from cli.demo.watch import WATCHED, Topics, Watch
from libs.events.ids import command_id, order_id
from libs.events.inventory import AdjustStock, ReceiveStock, StockReceived
from libs.runtime.complaint import Complaint
from libs.runtime.settings import Settings

IN_FLIGHT_MAX = 100
"""Orders on their way to a warehouse at a time: what keeps the queues, and so the latencies, short."""
BATCH_ORDERS = 25
PENDING_PAYMENT_ONE_IN = 40
BUY_EVERY_SECONDS = 1.0
QUIET_SECONDS = 1.5
"""Everything is at its end, and nothing more has been heard for so long."""
STALL_SECONDS = 120.0
"""Nothing was heard for so long, and something is not at its end."""


@dataclass(slots=True)
class Stage:
    """Everything that takes part in one run."""

    tenant: str
    steps: Sequence[Step]
    plan: Plan
    topics: Topics
    desk: Desk
    watch: Watch = field(default_factory=Watch)
    warehouse: Warehouse = field(default_factory=Warehouse)
    carrier: Carrier = field(default_factory=Carrier)
    support: Support = field(init=False)
    buyer: Buyer = field(init=False)
    replayed: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something was heard: there may be room again."""

    stockroom: Stockroom = field(init=False)
    second_look: SecondLook = field(init=False)

    def __post_init__(self) -> None:
        self.stockroom = Stockroom(self.tenant)
        self.second_look = SecondLook(self.tenant)
        self.support = Support(self.tenant)
        self.buyer = Buyer(self.tenant)

    @property
    def actors(self) -> tuple[Warehouse | Carrier | SecondLook | Support | Buyer | Stockroom, ...]:
        """Who hears and answers; a second look is taken before support releases a payment."""
        return (
            self.warehouse,
            self.carrier,
            self.second_look,
            self.support,
            self.buyer,
            self.stockroom,
        )

    @property
    def settled(self) -> bool:
        """Nobody waits for anything any more."""
        return (
            self.replayed
            and not self.desk.waiting
            and not self.watch.open
            and not self.watch.messages_owed
            and not self.support.returns_open
            and not self.stockroom.busy
            and not self.second_look.notes
        )


@dataclass(frozen=True, slots=True)
class Played:
    """What the report needs to know of the run, beside the log."""

    starts: Mapping[tuple[str, int], int]
    edge_refusals: Mapping[str, int]
    retries: Mapping[str, int]
    moot_take_backs: int


async def play(
    settings: Settings, tenant: str, steps: Sequence[Step], show: Callable[[Stage], None]
) -> Played:
    """Run it; `show` is called as it goes on, several times a second.

    Complaint: a stage refuses what it should take, or nothing moves any more.
    """
    actors = (Warehouse, Carrier, SecondLook, Support, Buyer, Stockroom)
    wanted = {*WATCHED, *(contract for actor in actors for contract in actor.hears)}
    types = frozenset(contract.TYPE for contract in wanted)
    async with Topics(settings, tenant, types) as topics, Desk(settings, tenant) as desk:
        stage = Stage(tenant, steps, plan_stock(steps), topics, desk)
        for node in stage.plan.nodes:
            await desk.define_node(node)
        await desk.define_transit(TRANSIT)
        desk.send(receipts_of(tenant, "opening stock", stage.plan.opening))
        desk.send(stage.stockroom.open(datetime.now(UTC)))
        await _listen(stage, show, lambda: _opening_is_in(stage))
        replay = asyncio.create_task(_replay(stage))
        try:
            await _listen(stage, show, lambda: stage.settled, replay)
        finally:
            replay.cancel()
            await asyncio.gather(replay, return_exceptions=True)
        return Played(topics.starts, dict(desk.refused), dict(desk.retries), stage.support.moot)


def _opening_is_in(stage: Stage) -> bool:
    return stage.watch.types[StockReceived.TYPE] >= len(stage.plan.opening)


async def _listen(
    stage: Stage,
    show: Callable[[Stage], None],
    ended: Callable[[], bool],
    replay: "asyncio.Task[None] | None" = None,
) -> None:
    """Hear, let the actors answer, buy what is short; until it has ended and is quiet.

    The opening needs no quiet: nothing else can come.
    """
    heard_at = bought_at = time.monotonic()
    while True:
        before = sum(stage.watch.stages.values())
        for heard in await stage.topics.read(stage.watch):
            stage.watch.fold(heard)
            for actor in stage.actors:
                if isinstance(heard.body, actor.hears):
                    stage.desk.send(actor.answer(heard))
        while stage.second_look.notes:
            note = stage.second_look.notes.pop(0)
            await stage.desk.write(note.order_id, note.text)
        stage.moved.set()
        stage.desk.check()
        if replay is not None and replay.done():
            replay.result()
        now = time.monotonic()
        if sum(stage.watch.stages.values()) > before:
            heard_at = now
        if stage.replayed and now - bought_at > BUY_EVERY_SECONDS:
            stage.desk.send(stage.buyer.buy())
            bought_at = now
        show(stage)
        if ended() and (replay is None or now - heard_at > QUIET_SECONDS):
            return
        if now - heard_at > STALL_SECONDS:
            raise _stalled(stage)


async def _replay(stage: Stage) -> None:
    """Every step in the file's order. Orders go in batches; what takes one back goes after it."""
    arrivals = list(stage.plan.receipts)
    batch: list[Sale] = []
    sold = 0
    for step in stage.steps:
        match step:
            case Sale():
                batch.append(step)
                sold += 1
                if len(batch) == BATCH_ORDERS:
                    await _submit(stage, batch)
                while arrivals and sold >= arrivals[0][0]:
                    day, receipts = arrivals.pop(0)
                    stage.desk.send(receipts_of(stage.tenant, f"receipt after {day} orders", receipts))
            case StockCount():
                stage.desk.send([adjustment(stage.tenant, step)])
            case TakeBack():
                await _submit(stage, batch)
                stage.desk.send(stage.support.take_back(step))
    await _submit(stage, batch)
    stage.replayed = True


async def _submit(stage: Stage, batch: list[Sale]) -> None:
    """Send the batch when there is room for it, and empty it."""
    if not batch:
        return
    while len(stage.watch.busy) + len(batch) > IN_FLIGHT_MAX:
        stage.moved.clear()
        await stage.moved.wait()
    stage.watch.submit({order_id(stage.tenant, CHANNEL, sale.invoice) for sale in batch})
    requests = [order_request(sale, payment(sale)) for sale in batch]
    await stage.desk.submit(requests, f"{batch[0].invoice}-{len(batch)}")
    batch.clear()


def payment(sale: Sale) -> str:
    return "pending" if share(f"{sale.invoice} payment", PENDING_PAYMENT_ONE_IN) == 0 else "paid"


def receipts_of(tenant: str, reference: str, receipts: Sequence[Receipt]) -> list[Order]:
    return [
        Order(
            "inventory",
            command_id(tenant, f"{reference} {receipt.sku} {receipt.node}"),
            ReceiveStock(sku=receipt.sku, node=receipt.node, quantity=receipt.quantity, reference=reference),
        )
        for receipt in receipts
    ]


def adjustment(tenant: str, count: StockCount) -> Order:
    body = AdjustStock(
        sku=count.sku,
        node=COUNTS_AT,
        delta=count.delta,
        reason_code=count.reason,
        reference=f"invoice {count.invoice}",
    )
    return Order("inventory", command_id(tenant, f"count {count.number}"), body)


def _stalled(stage: Stage) -> Complaint:
    """What is not at its end, for a person to follow up."""
    watch = stage.watch
    missing = sorted(watch.submitted - watch.closed.keys())
    parts = [
        f"{len(watch.submitted - watch.answered)} orders without an answer",
        f"{len(missing)} not closed ({stage.buyer.waiting} of them wait for stock)",
        f"{stage.support.returns_open} returns open",
        f"{len(watch.messages_owed)} messages not sent",
        f"{stage.desk.waiting} commands not taken",
    ]
    if not stage.replayed:
        parts.append("the replay has not come to its end")
    return Complaint(
        f"The demo has heard nothing for {STALL_SECONDS:.0f} s, and is not at its end: {', '.join(parts)}.",
        "See `orderlog status` and `orderlog parked list`; a stopped stage is started by `orderlog up`.",
        details="\n".join(f"not closed: {of}" for of in missing[:5]),
    )
