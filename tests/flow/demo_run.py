"""The demo without its I/O: real steps, plan and actors, on all stages in memory."""

from collections import Counter
from collections.abc import Iterable, Sequence

from cli.demo.actors import Buyer, Carrier, Order, Support
from cli.demo.invoices import Sale, Step, StockCount, TakeBack
from cli.demo.people import order_request
from cli.demo.plan import TRANSIT, UNSERVED, plan_stock
from cli.demo.play import adjustment, payment, receipts_of
from cli.demo.run import read_packaged
from cli.demo.second_look import Note, SecondLook
from cli.demo.stockroom import Stockroom
from cli.demo.warehouse import Warehouse
from libs.events.changes import AddNote
from libs.events.ids import command_id
from libs.events.intake import SubmitOrder
from libs.events.order import Sealed
from libs.events.routing import DefineNode, DefineTransit
from libs.runtime import wire
from services.intake.capture import OrderRequest, capture, command
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
        self.second_look, self.stockroom = SecondLook(TENANT), Stockroom(TENANT)
        self.actors = (
            Warehouse(),
            Carrier(),
            self.second_look,
            self.support,
            self.buyer,
            self.stockroom,
        )
        self._read: Counter[tuple[str, int]] = Counter()

    async def send(self, orders: Iterable[Order]) -> None:
        for order in orders:
            await self.world.send(order.body, id_=order.id)

    async def settle(self, repeats: int = 1) -> None:
        """Let stages and actors answer one another until nobody has anything to say."""
        while True:
            await self.world.settle()
            answers = [answer for record in self._new() for answer in self._answer(record)]
            answers += [_written(note) for note in self.second_look.notes]
            self.second_look.notes.clear()
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
        await self.world.send(DefineTransit.model_validate(TRANSIT))
        await self.send(receipts_of(TENANT, "opening stock", plan.opening))
        await self.send(self.stockroom.open(self.world.clock()))
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


def _written(note: Note) -> Order:
    """As intake's edge would publish it, sealed with a key that nobody has."""
    sealed = Sealed(subject=f"o:{note.order_id}", nonce="A" * 16, ciphertext="A" * 24)
    return Order(
        "intake", command_id(TENANT, f"note {note.order_id}"), AddNote(order_id=note.order_id, note=sealed)
    )


def _submission(sale: Sale) -> SubmitOrder:
    """As intake's edge would publish it, with a contact that no keyring can open."""
    captured = capture(TENANT, OrderRequest.model_validate(order_request(sale, payment(sale))))
    contact = Sealed(subject=captured.subject, nonce="A" * 16, ciphertext="A" * 24)
    return command(captured, contact)
