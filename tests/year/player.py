"""Plays the year through the real inventory stage: its loop, planner, deciders and log, on a simulated clock.

Six stages would take half an hour for it, so the others' events are made here, from what inventory answers:
an order that has all of its units is routed at once and dispatched three days later, unless it is cancelled
before. Time goes on only when everybody has answered.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Literal

import orjson

from cli.demo.invoices import NO_COUNTRY, Sale, Step, StockCount, TakeBack
from libs.events.inventory import StockBackordered, StockReserved
from libs.events.refusal import CommandRefused
from libs.runtime.kafka import Lanes
from libs.runtime.limits import Limits
from libs.runtime.log import Log, LogRow, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.wire import Record
from services.inventory.app import STAGE
from tests.year.facts import NOWHERE, TO_COME_BACK, TO_DISPATCH, Receipt, dated, purchases
from tests.year.neighbours import PARTITIONS, Neighbours, id_of

BATCH = 1000
"""Most inputs to a transaction."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The order is with the carrier, if nobody cancelled it meanwhile."""

    invoice: str


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Units arrive from a customer."""

    wanted: TakeBack


Fact = Receipt | Step | Dispatch | ComeBack
RANK: dict[type, int] = {Receipt: 0, Dispatch: 1, ComeBack: 2}
"""Of what happens at the same instant; the file's steps come last."""


@dataclass(slots=True)
class Order:
    """How far an order has come."""

    sale: Sale
    state: Literal["open", "dispatched", "over"] = "open"
    dispatched_at: datetime | None = None
    wanted: list[TakeBack] = field(default_factory=list)
    """Of which parts were given up before they left."""


@dataclass(slots=True)
class Played:
    """What happened beside the ledger."""

    orders: int = 0
    backordered: int = 0
    cancelled: int = 0
    """By their customers, before dispatch."""
    unroutable: int = 0
    held: int = 0
    """For an address that nobody knows, and given up."""
    returns: int = 0
    moot: int = 0
    """Take-backs of what was never sent."""
    inputs: int = 0
    events: int = 0
    batches: int = 0


class Player:
    """One run; the log must be empty."""

    def __init__(self, steps: Sequence[Step], log: Log) -> None:
        self.played = Played()
        self._now = datetime.min.replace(tzinfo=UTC)
        self._loop = StageLoop(
            STAGE,
            log,
            lane_of=Lanes(PARTITIONS),
            clock=lambda: self._now,
            observer=self,
            fetch=self._fetch,
            limits=Limits(batch_records_max=BATCH),
        )
        self._neighbours = Neighbours()
        self._orders: dict[str, Order] = {}
        self._by_id: dict[str, Order] = {}
        self._waiting: dict[str, set[str]] = {}
        """SKU → ids of orders that wait for it."""
        self._answers: list[LogRow] = []
        self._reminded = False
        self._heap: list[tuple[datetime, int, int, Fact]] = []
        self._numbers = count()
        for at, fact in (*purchases(steps), *dated(steps)):
            self._at(at.astimezone(UTC), fact)

    async def play(self) -> Played:
        """All of it."""
        partitions = [(topic, lane) for topic in STAGE.topics for lane in range(PARTITIONS)]
        await self._loop.assigned(partitions)
        while self._heap or self._answers:
            await self._step()
        return self.played

    async def _step(self) -> None:
        """Facts in order, as far as they do not hang on one another's answers: of so long a time that no
        order that is accepted in it leaves in it. That it is routed makes no difference to others, who are
        promised no less before than after."""
        records, unrest = self._follow_ups(), False
        until = self._heap[0][0] + TO_DISPATCH if self._heap else self._now
        while self._heap and self._heap[0][0] < until and not unrest and len(records) < BATCH:
            at, _, _, fact = self._heap[0]
            if records and _needs_rest(fact):
                break
            heapq.heappop(self._heap)
            self._now = at
            records += self._records(at, fact)
            unrest = self._leaves_unrest(fact)
        await self._take(records)
        while self._reminded or (unrest and self._answers):
            if self._reminded:
                self._reminded = False
                await self._loop.work()
            await self._take(self._follow_ups())

    def _follow_ups(self) -> list[Record]:
        """What the others do about what inventory has answered so far."""
        answers, self._answers = self._answers, []
        return [record for row in answers for record in self._follow_up(row)]

    async def _take(self, records: Sequence[Record]) -> None:
        if records:
            self.played.inputs += len(records)
            await self._loop.handle(records)

    def _at(self, at: datetime, fact: Fact) -> None:
        heapq.heappush(self._heap, (at, RANK.get(type(fact), 3), next(self._numbers), fact))

    def _records(self, at: datetime, fact: Fact) -> Iterable[Record]:
        """What inventory hears of a fact, if anything."""
        match fact:
            case Receipt():
                return [self._neighbours.receipt(at, fact)]
            case StockCount():
                return [self._neighbours.count(at, fact)]
            case Sale():
                return [self._order(at, fact)]
            case TakeBack():
                return self._take_back(at, fact)
            case Dispatch(invoice):
                return self._dispatch(at, self._orders[invoice])
            case ComeBack(wanted):
                self.played.returns += 1
                sale = self._orders[wanted.of_invoice].sale
                return [self._neighbours.returned(at, sale, wanted)]

    def _order(self, at: datetime, sale: Sale) -> Record:
        self.played.orders += 1
        order = self._orders[sale.invoice] = self._by_id[id_of(sale.invoice)] = Order(sale)
        if sale.country != NO_COUNTRY:
            return self._neighbours.accepted(at, sale)
        order.state = "over"
        self.played.held += 1
        return self._neighbours.cancelled(at, sale, "not settled: address")

    def _take_back(self, at: datetime, wanted: TakeBack) -> list[Record]:
        """All of an order that has not left yet is cancelled; what has left, or is a part, comes back."""
        order = self._orders[wanted.of_invoice]
        match order.state:
            case "over":
                self.played.moot += 1
            case "dispatched":
                assert order.dispatched_at is not None
                self._at(max(at, order.dispatched_at + TO_COME_BACK), ComeBack(wanted))
            case "open" if wanted.whole:
                self.played.cancelled += 1
                order.state = "over"
                return [self._neighbours.cancelled(at, order.sale, f"credit note {wanted.invoice}")]
            case "open":
                order.wanted.append(wanted)
        return []

    def _dispatch(self, at: datetime, order: Order) -> list[Record]:
        if order.state == "over":
            return []
        order.state, order.dispatched_at = "dispatched", at
        for wanted in order.wanted:
            self._at(at + TO_COME_BACK, ComeBack(wanted))
        return self._neighbours.dispatched(at, order.sale)

    def _follow_up(self, row: LogRow) -> list[Record]:
        """What routing and fulfillment do about inventory's answer."""
        order = self._by_id[row.stream]
        if row.type == StockBackordered.TYPE:
            self.played.backordered += 1
            for short in orjson.loads(row.payload)["short"]:
                self._waiting.setdefault(short["sku"], set()).add(row.stream)
        elif order.state == "open":
            for waiting in self._waiting.values():
                waiting.discard(row.stream)
            if order.sale.country not in NOWHERE:
                self._at(row.at + TO_DISPATCH, Dispatch(order.sale.invoice))
                round_ = orjson.loads(row.payload)["round"]
                return [self._neighbours.routed(row.at, order.sale, round_)]
            order.state = "over"
            self.played.unroutable += 1
            return [self._neighbours.cancelled(row.at, order.sale, "unroutable")]
        return []

    def _leaves_unrest(self, fact: Fact) -> bool:
        """Whether what frees units stands before somebody who waits, or an order gives all of its back."""
        match fact:
            case ComeBack(wanted):
                return any(self._waiting.get(sku) for _, sku, _ in wanted.lines)
            case TakeBack():
                return self._orders[fact.of_invoice].state == "over"
            case Sale():
                return fact.country in NOWHERE
        return False

    # What the loop asks of its observer.

    def committed(self, writes: Writes, records: int, seconds: float) -> None:
        self.played.batches += 1
        self.played.events += len(writes.rows)
        self._reminded = self._reminded or bool(writes.timers)
        for row in writes.rows:
            assert row.type != CommandRefused.TYPE, row.payload
            if row.type in (StockReserved.TYPE, StockBackordered.TYPE):
                self._answers.append(row)
        assert not writes.parked, writes.parked

    def halted(self, lane: int, why: str) -> None:
        raise AssertionError(f"lane {lane} halted: {why}")

    def uncertain(self) -> None:
        raise AssertionError("a batch was cut off")

    async def _fetch(self, topic: str, partition: int, offset: int) -> None:
        raise AssertionError(f"{topic}/{partition}@{offset} is read again")


def _needs_rest(fact: Fact) -> bool:
    """Whether what came before must be settled first: an order may be gone with it."""
    return isinstance(fact, TakeBack) and fact.whole
