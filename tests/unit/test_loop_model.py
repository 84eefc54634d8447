"""Any life of a stage's records and timers in its loop: each record decided once and in the order of its
topic, or given up by a person; each timer rung after it was asked for the last time, and never unasked.

hypothesis publishes, breaks and mends, replays and discards, cuts connections, halts lanes and takes them up
again; and lets another process commit in the moment in which a ring is about to be.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import orjson
import structlog
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.catalogue import encode
from libs.events.contract import Contract
from libs.events.envelope import Envelope
from libs.events.fulfillment import CancellationDeclined
from libs.events.ids import partition_key
from libs.events.intake import CancelOrder
from libs.runtime import wire
from libs.runtime.kafka import Lanes
from libs.runtime.limits import Limits
from libs.runtime.log import Unavailable, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.memory_broker import Member, MemoryBroker
from libs.runtime.stage import commands_topic, events_topic
from libs.runtime.wire import Record
from tests.plays import plays
from tests.spec import NOON, TENANT
from tests.unit.loop_stage import BROKEN, STAGE, DisturbedLog

IDS = UUID("0a5ffb3e-55b1-5c43-9f8e-6d8a1b1d7c11")
LANES = 2
NAMES = ("o-1", "o-2", "o-3")
ORDERS = st.sampled_from(NAMES)
TIMERS = st.sampled_from(("one", "two", "again", "bad"))
COMMANDS, EVENTS = commands_topic("intake"), events_topic("fulfillment")


class Process:
    """A loop and its place in the group."""

    def __init__(self, life: "LoopLife") -> None:
        limits = Limits(batch_records_max=3, parked_keys_max=2)
        self.loop = StageLoop(
            STAGE,
            life.log,
            lane_of=life.lane_of,
            clock=lambda: life.now,
            observer=self,
            fetch=life.broker.fetch,
            limits=limits,
        )
        self.member: Member | None = None

    def committed(self, writes: Writes, records: int, seconds: float) -> None: ...

    def halted(self, lane: int, why: str) -> None: ...

    def uncertain(self) -> None: ...

    async def assigned(self, partitions: Any) -> Any:
        return await self.loop.assigned(partitions)

    def revoked(self, partitions: Any) -> None:
        self.loop.revoked(partitions)

    async def handle(self, records: Any) -> None:
        await self.loop.handle(records)

    def positions(self) -> Any:
        return self.loop.positions()

    async def turn(self) -> None:
        assert self.member is not None
        await self.member.poll(6)
        await self.loop.work()

    async def resume(self) -> None:
        """As the service takes halted lanes up again."""
        assert self.member is not None
        for lane in list(self.loop.halted):
            offsets = self.loop.resume(lane)
            known = self.member.position
            known |= {place: at for place, at in offsets.items() if place in known}
            await self.loop.work()


class LoopLife(RuleBasedStateMachine):
    """One stage, one or two processes."""

    def __init__(self) -> None:
        super().__init__()
        structlog.configure(processors=[_silent], cache_logger_on_first_use=False)
        BROKEN.clear()
        self.runner = asyncio.new_event_loop()
        self.broker, self.log, self.lane_of = MemoryBroker(LANES), DisturbedLog(), Lanes(LANES)
        self.now = NOON
        self.sent: dict[tuple[str, str], list[str]] = {}
        """Labels by topic and stream, in order."""
        self.garbled: dict[tuple[str, int, int], Record] = {}
        self.sequences: Counter[int] = Counter()
        self.count = 0
        self.processes: list[Process] = []
        self.given_up: set[str] = set()

    def run(self, doing: Awaitable[None]) -> None:
        async def guarded() -> None:
            with contextlib.suppress(Unavailable):
                await doing

        self.runner.run_until_complete(guarded())

    async def join(self) -> None:
        process = Process(self)
        self.processes.append(process)
        process.member = await self.broker.join("intake", process, STAGE.topics)

    @initialize(two=st.sampled_from((True, True, False)))
    def open(self, two: bool) -> None:
        for _ in range(1 + two):
            self.run(self.join())

    # Who publishes

    async def publish(self, topic: str, order: str, said: str) -> Record:
        self.count += 1
        label = f"{self.count}"
        self.sent.setdefault((topic, order), []).append(label)
        key = partition_key(TENANT, order)
        lane, id_, sequence = self.lane_of(key), uuid5(IDS, label), 0
        body: Contract = CancelOrder(order_id=order, reason=label + said)
        source = "orderlog/edge"
        if topic == EVENTS:
            body, source = CancellationDeclined(order_id=order, reason=label + said), "orderlog/fulfillment"
            self.sequences[lane] += 1
            sequence = self.sequences[lane]
        out = Envelope(id_, TENANT, order, body, self.now, "a", "", id_, id_, source, lane, sequence)
        await self.broker.publish(topic, lane, [(key.encode(), encode(body), wire.headers(out), 0)])
        return self.broker._records[topic, lane][-1]

    @rule(
        order=ORDERS, event=st.booleans(), how=st.sampled_from(("well", "well", "well", "garbled", "broken"))
    )
    def tell(self, order: str, event: bool, how: str) -> None:
        found = self.runner.run_until_complete(self.publish(EVENTS if event else COMMANDS, order, ""))
        if how == "broken":
            BROKEN.add(str(self.count))
        elif how == "garbled" and event:
            self.garbled[found.topic, found.partition, found.offset] = found
            held = self.broker._records[found.topic, found.partition]
            held[found.offset] = replace(found, value=b"{")

    @rule(order=ORDERS, other=ORDERS, name=TIMERS, minutes=st.integers(0, 3))
    def ask_for_a_timer(self, order: str, other: str, name: str, minutes: int) -> None:
        self.runner.run_until_complete(self.publish(COMMANDS, order, f"|{other}|{name}|{minutes}"))

    # The processes

    @rule(data=st.data())
    def turn(self, data: st.DataObject) -> None:
        self.run(data.draw(st.sampled_from(self.processes)).turn())

    @rule()
    def all_turn(self) -> None:
        for process in self.processes:
            self.run(process.turn())

    @rule()
    def resume(self) -> None:
        for process in self.processes:
            self.run(process.resume())

    @precondition(lambda self: len(self.processes) == 2)
    @rule(order=ORDERS, name=TIMERS, minutes=st.integers(0, 3))
    def ring_while_another_asks(self, order: str, name: str, minutes: int) -> None:
        """The other process asks for a timer between the reading of what is due and the end of its ring."""
        first, second = self.processes
        ringing, other = (first, second) if self.is_of(first, order) else (second, first)
        asking = next((one for one in NAMES if self.is_of(other, one)), None)
        if asking is None:
            return
        self.runner.run_until_complete(self.publish(COMMANDS, order, f"|{order}|{name}|1"))
        self.run(ringing.turn())
        self.now += timedelta(minutes=2)

        async def between() -> None:
            await self.publish(COMMANDS, asking, f"|{order}|{name}|{minutes}")
            await other.turn()

        self.log.between = between
        self.run(_work(ringing))
        self.log.between = None

    def is_of(self, process: Process, order: str) -> bool:
        return self.lane_of(partition_key(TENANT, order)) in process.loop.lanes

    @rule(how=st.sampled_from(("before", "after")))
    def cut(self, how: str) -> None:
        self.log.cut = how

    @rule(minutes=st.integers(0, 2))
    def pass_time(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes, seconds=1)

    @rule()
    def rebalance(self) -> None:
        if len(self.processes) == 1:
            self.run(self.join())
            return
        leaving = self.processes.pop(0)
        assert leaving.member is not None
        self.run(self.broker.leave("intake", leaving.member))

    # People

    @rule()
    def mend(self) -> None:
        BROKEN.clear()
        for (topic, lane, offset), good in self.garbled.items():
            self.broker._records[topic, lane][offset] = good
        self.garbled.clear()

    @rule()
    def break_a_timer(self) -> None:
        BROKEN.add("bad")

    @precondition(lambda self: self.parked())
    @rule(data=st.data(), replay=st.sampled_from((True, True, True, False)))
    def resolve(self, data: st.DataObject, replay: bool) -> None:
        """Also of what was not mended."""
        key = data.draw(st.sampled_from(self.parked()))
        self.runner.run_until_complete(self.log.resolve_parked(key, replay=replay, actor="ann", note=""))

    def parked(self) -> list[str]:
        return sorted({row.key for row in self.log.parked_rows if row.state == "parked"})

    # What holds at any moment

    @invariant()
    def each_is_decided_once_in_its_order_and_parked_once(self) -> None:
        known = Counter((decided.stream, decided.label) for decided in self.log.said)
        for (_, order), labels in self.sent.items():
            done = [label for label in labels if (order, label) in known]
            told = [one.label for one in self.log.said if one.stream == order and one.label in set(labels)]
            assert told == done, "not in the order of their topic"
        parked = Counter((row.topic, row.partition, row.offset) for row in self.log.parked_rows)
        assert all(times == 1 for times in parked.values())

    def teardown(self) -> None:
        """All is mended, replayed and rung: nothing is left, and nothing is missing."""
        try:
            self.finish()
        finally:
            self.runner.close()
            structlog.reset_defaults()

    def finish(self) -> None:
        if not self.processes:
            return
        self.log.cut, self.log.between = None, None
        self.mend()
        for _ in range(60):
            self.now += timedelta(minutes=2)
            for key in self.parked():
                resolving = self.log.resolve_parked(key, replay=True, actor="ann", note="")
                self.runner.run_until_complete(resolving)
            for process in self.processes:
                self.run(process.resume())
                self.run(process.turn())
        assert self.log.timers == {}, "timers that never ring"
        assert not any(self.log.waiting_by_key(range(LANES)).values()), "parked for ever"
        self.each_is_decided_once_in_its_order_and_parked_once()
        known = {decided.label for decided in self.log.said}
        gone = {
            (row.topic, row.partition, row.offset) for row in self.log.parked_rows if row.state == "discarded"
        }
        for (topic, order), labels in self.sent.items():
            missing = [label for label in labels if label not in known]
            lane = self.lane_of(partition_key(TENANT, order))
            held = self.broker._records[topic, lane]
            lost = [r.offset for r in held if _label(r) in missing and (topic, lane, r.offset) not in gone]
            assert lost == [], "neither decided nor given up"
        self.each_timer_rings_after_it_was_asked_for()

    def each_timer_rings_after_it_was_asked_for(self) -> None:
        asked: dict[tuple[str, str], datetime] = {}
        unanswered = Counter[tuple[str, str]]()
        for decided in self.log.said:
            if decided.label.startswith("ring "):
                timer = decided.stream, decided.label.removeprefix("ring ")
                unanswered[timer] -= 1
                assert unanswered[timer] >= 0, "rung more often than anybody asked"
                if timer in asked and decided.at >= asked[timer]:
                    del asked[timer]
            if decided.asks is not None:
                asked[decided.asks[:2]] = decided.asks[2]
                unanswered[decided.asks[:2]] += 1
        assert asked == {}, "asked for, and not rung since"


def _silent(*_: object) -> str:
    """What breaks here is meant to, often."""
    raise structlog.DropEvent


async def _work(process: Process) -> None:
    await process.loop.work()


def _label(found: Record) -> str:
    reason: str = orjson.loads(found.value or b"{}")["reason"]
    return reason.partition("|")[0]


LoopLife.TestCase.settings = plays(lives=80, steps=40)
TestLoopLife = LoopLife.TestCase
