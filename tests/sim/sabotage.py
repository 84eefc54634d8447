"""Guarantees broken on purpose, one each, to show that the simulator would notice.

Each is a small change to a part of the simulated database, broker or process; no production code knows of
them.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.refusal import CommandRefused
from libs.events.timer import TimerDue
from libs.runtime.log import Lane, LogRow, Mark, Parked, Snapshot, TopicPartition, Unavailable, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.memory_log import MemoryBatch
from libs.runtime.parking import told_state
from libs.runtime.relay import Message, PublishFailed, Relay
from libs.runtime.seek import Seek
from libs.runtime.stage import Stage
from libs.runtime.wire import Record
from services.console import projection
from services.inventory.domain import State as Inventory
from tests.sim.broker import Producer
from tests.sim.console import ConsoleDatabase
from tests.sim.database import Database, RowLock, Session, Transaction
from tests.sim.process import Process
from tests.sim.world import Scene


class NoCompareAndSwap(Transaction):
    """The offset is set, whatever it was."""

    async def write(self, writes: Writes) -> None:
        stored = self.database.consumed
        writes.offsets = {at: (stored.get(at, 0), following) for at, (_, following) in writes.offsets.items()}
        await super().write(writes)


class TimersUnseen(Transaction):
    """Nobody looks whether a timer that rang is still there."""

    async def write(self, writes: Writes) -> None:
        rung, writes.timers_done = writes.timers_done, []
        await super().write(writes)
        writes.timers_done = rung


class NoEpochFence(Transaction):
    """Whoever believes to own a lane may write."""

    async def lanes(self, epochs: Mapping[int, int]) -> dict[int, Lane]:
        self.epochs = epochs
        await self.statement(*(("lane", str(lane)) for lane in sorted(epochs)))
        found = await MemoryBatch.lanes(self, {lane: self.database.epoch(lane) for lane in epochs})
        return {lane: replace(where, epoch=epochs[lane]) for lane, where in found.items()}


class NoFence(NoEpochFence, NoCompareAndSwap):
    """Neither: zombies write what they like."""


class NoRowLock(Transaction):
    """Stock is checked without its rows being locked."""

    def part_locks(self, keys: Sequence[str]) -> list[RowLock]:
        return []


class OneByOne(Transaction):
    """Breaks nothing: streams' rows are locked by a statement each, in their order."""

    async def statement(self, *locks: RowLock) -> None:
        rows = [lock for lock in locks if lock[0] == "part"]
        for row in rows[:-1]:
            await super().statement(row)
        await super().statement(*(lock for lock in locks if lock not in rows[:-1]))


class LocksAnyhow(OneByOne):
    """Streams' rows are locked in whatever order they are asked for."""

    def part_locks(self, keys: Sequence[str]) -> list[RowLock]:
        locks = super().part_locks(keys)
        self.machine.faults.dice.shuffle(locks)
        return locks


class NoCommandMemory(Transaction):
    """Nobody remembers which commands were decided."""

    async def handled(self, ids: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], bytes]:
        return {}

    async def write(self, writes: Writes) -> None:
        for handled in writes.handled:
            self.database.forget(handled.tenant, handled.command_id)
        await super().write(writes)


class _Same(bytes):
    """A digest that every other equals."""

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class OthersAreRepeats(Transaction):
    """A command under the id of another is taken for its repeat."""

    async def handled(self, ids: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], bytes]:
        return dict.fromkeys(await super().handled(ids), _Same())


class AnothersAnswer(Transaction):
    """What is remembered as a command's answer begins one event too early."""

    async def write(self, writes: Writes) -> None:
        writes.handled = [replace(one, first_seq=max(1, one.first_seq - 1)) for one in writes.handled]
        await super().write(writes)


class PastTheParked(Transaction):
    """Records do not wait behind a parked one of their key."""

    async def heard(self, lanes: Sequence[int]) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
        marks, _ = await super().heard(lanes)
        return marks, {}


class Untold(Transaction):
    """The log does not tell what becomes of parked records, where that leaves it without a hole."""

    async def write(self, writes: Writes) -> None:
        while writes.rows and told_state(writes.rows[-1].type):
            writes.rows.pop()
        await super().write(writes)


class ReplayedUnseen(Transaction):
    """Nobody looks whether a parked record still waits to be replayed: it is told once more."""

    async def write(self, writes: Writes) -> None:
        for id_, row in writes.unparked.items():
            turn = self.database.parked_rows[id_ - 1].told + 1
            writes.unparked[id_] = replace(row, told=turn)
            writes.rows[-1] = replace(writes.rows[-1], stream_version=turn)
        unparked, writes.unparked = writes.unparked, {}
        await super().write(writes)
        writes.unparked = unparked


class LastFirst(Session):
    """Of what waits behind a parked record the last is replayed first."""

    async def replaying(self, lanes: Sequence[int], limit: int) -> list[Parked]:
        return (await super().replaying(lanes, limit))[::-1]


class _Whatever(int):
    """A high-water mark that every sequence continues."""

    def __ge__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    def __add__(self, other: int) -> "_Whatever":
        return self

    def __hash__(self) -> int:
        return 0


class _Forgetful(dict[tuple[str, int], int]):
    def get(self, place: tuple[str, int], otherwise: object = None) -> int:
        return _Whatever(0)


class NoSequenceMemory(Transaction):
    """Nobody remembers how far a sender's lane was heard."""

    async def heard(self, lanes: Sequence[int]) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
        marks, keys = await super().heard(lanes)
        return _Forgetful(marks), keys


class OffsetsFirst(Transaction):
    """Offsets are committed before the effects, in a transaction of their own."""

    async def write(self, writes: Writes) -> None:
        await super().write(writes)
        self.database.apply(Writes(offsets=writes.offsets))


class TimersLater(Transaction):
    """Timers are saved after the transaction, in another."""

    async def _commit(self) -> None:
        timers = [writes.timers for writes in self.written]
        for writes in self.written:
            writes.timers = {}
        await super()._commit()
        if any(timers) and self.machine.faults.strikes("crash after the commit", 0.2, self.machine.name):
            self.machine.crash()  # between the two
        await self.machine.step()
        for some in timers:
            self.database.apply(Writes(timers=some))


class PoisonDropped(Transaction):
    """What cannot be read is skipped, and not kept for a person."""

    async def write(self, writes: Writes) -> None:
        writes.parked = []
        await super().write(writes)


class StaleParts(Transaction):
    """Parts that a process holds are believed, whoever changed them meanwhile."""

    async def load(
        self, keys: Sequence[str], *, lock: bool, known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        found = await super().load(keys, lock=lock, known=known)
        held = known or {}
        return {key: Snapshot(held[key], None) if key in held else stored for key, stored in found.items()}


class TornCommit(Database):
    """Now and then a commit keeps the log's rows and loses the states."""

    def apply(self, writes: Writes) -> None:
        if writes.parts and self.faults.dice.random() < 0.05:
            writes.parts = {}
        super().apply(writes)


class Unordered(Producer):
    """A lane's rows are published in any order."""

    def store(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        mixed = list(messages)
        self.machine.faults.dice.shuffle(mixed)
        super().store(topic, partition, mixed)


class Unacknowledged(Producer):
    """The relay does not wait to be told that the records are stored."""

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        with suppress(PublishFailed):
            await super().publish(topic, partition, messages)


class CursorFirst(Relay):
    """The cursor is moved, then the rows are published."""

    async def _publish(self, lane: int, rows: Sequence[LogRow]) -> None:
        await self._log.mark_published({lane: Mark(rows[-1].seq)})
        await super()._publish(lane, rows)


class GapsUnseen(StageLoop):
    """Nobody looks whether a partition's records continue what was read of it."""

    def _in_order(self, records: Sequence[Record]) -> list[Record]:
        expected, mine = dict(self._next), []
        for record in records:
            place = (record.topic, record.partition)
            if (
                place in expected
                and record.partition not in self._halted
                and record.offset >= expected[place]
            ):
                expected[place] = record.offset + 1
                mine.append(record)
        return mine


class NarrowSeek(Process):
    """After a poll with a gap only the gap's partition is read again; the poll's others are forgotten."""

    async def handle(self, records: Sequence[Record]) -> None:
        try:
            await super().handle(records)
        except Seek as seek:
            expected = dict(self.loop.positions())
            for record in records:
                place = (record.topic, record.partition)
                if record.offset > expected.get(place, record.offset):
                    raise Seek({place: seek.offsets[place]}) from None
                expected[place] = record.offset + 1
            raise


class LateCommits(Transaction):
    """Breaks nothing: of timers' transactions every other is cut off, and committed half a second later."""

    async def _commit(self) -> None:
        rings = any(writes.timers_done for writes in self.written)
        if rings and self.machine.faults.strikes("commit cut off, done later", 0.5, self.machine.name):
            self.machine.loop.call_later(0.5, self.database.keep, self)
            raise Unavailable("the connection was lost during the commit")
        await super()._commit()


class LateSession(Session):
    transaction = LateCommits


class LateProcess(Process):
    """Breaks nothing either; what the next one is to be compared with."""

    session = LateSession


class LooksOnce(LateProcess):
    """After a commit that was cut off the log is read at once, and not again when the server is through."""

    def uncertain(self) -> None:
        self.relay.catch_up()


class HeadApart(Database):
    """Who marks last stores its head, whichever sequence it belongs to."""

    async def mark_published(self, marks: Mapping[int, Mark]) -> None:
        await super().mark_published(marks)
        for lane, mark in marks.items():
            self.marks[lane] = replace(self.marks[lane], head=mark.head)


class Silent(Process):
    """A command that is refused is remembered, and nobody is told."""

    def decided(self, stage: Stage) -> Stage:
        def decide(state: Any, heard: Envelope[Contract], at: datetime) -> list[Event]:
            return [
                event for event in stage.decide(state, heard, at) if not isinstance(event, CommandRefused)
            ]

        return replace(stage, decide=decide)


class ExpiresAnyway(Process):
    """A held basket's end does not see that an order has confirmed it."""

    def decided(self, stage: Stage) -> Stage:
        def decide(state: Any, heard: Envelope[Contract], at: datetime) -> list[Event]:
            if isinstance(heard.body, TimerDue) and isinstance(state, Inventory) and state.promise:
                stream, promise = state.promise
                state = replace(state, promise=(stream, replace(promise, status="held")))
            return stage.decide(state, heard, at)

        return replace(stage, decide=decide)


class AnyOffset(ConsoleDatabase):
    """The read side moves its offsets, wherever they stand."""

    def must_stand_at(self, offsets: Mapping[TopicPartition, tuple[int, int]]) -> None:
        pass


class RepeatsProjected(ConsoleDatabase):
    """The read side takes every record for a new event."""

    def apply(self, envelopes: Sequence[Envelope[Event]]) -> None:
        _, moved = projection.unheard(envelopes, self.heard)
        self.write(projection.fold(envelopes, self.states))
        self.heard |= moved


def _transactions(kind: type[Transaction]) -> type[Process]:
    session = type("BrokenSession", (Session,), {"transaction": kind})
    return type("BrokenProcess", (Process,), {"session": session})


def _process(**parts: object) -> type[Process]:
    return type("BrokenProcess", (Process,), parts)


HARDER = ("nothing, but commits are late", "nothing, but locks are taken one by one")
"""No guarantee is broken: mixes of faults that some of the switches need."""
_BROKEN: dict[str, Callable[..., Scene]] = {
    "": Scene,
    HARDER[0]: partial(Scene, process_of=LateProcess),
    HARDER[1]: partial(Scene, process_of=_transactions(OneByOne)),
    "no compare-and-swap": partial(Scene, process_of=_transactions(NoCompareAndSwap)),
    "no epoch fence": partial(Scene, process_of=_transactions(NoEpochFence)),
    "no fence at all": partial(Scene, process_of=_transactions(NoFence)),
    "no row lock": partial(Scene, process_of=_transactions(NoRowLock)),
    "locks in any order": partial(Scene, process_of=_transactions(LocksAnyhow)),
    "no dedupe by command id": partial(Scene, process_of=_transactions(NoCommandMemory)),
    "no dedupe by sequence": partial(Scene, process_of=_transactions(NoSequenceMemory)),
    "offsets before effects": partial(Scene, process_of=_transactions(OffsetsFirst)),
    "timers rung unseen": partial(Scene, process_of=_transactions(TimersUnseen)),
    "timers outside the transaction": partial(Scene, process_of=_transactions(TimersLater)),
    "poison dropped": partial(Scene, process_of=_transactions(PoisonDropped)),
    "stale parts": partial(Scene, process_of=_transactions(StaleParts)),
    "torn commit": partial(Scene, database_of=TornCommit),
    "unordered relay": partial(Scene, process_of=_process(producer=Unordered)),
    "unacknowledged publish": partial(Scene, process_of=_process(producer=Unacknowledged)),
    "cursor before publish": partial(Scene, process_of=_process(relay_of=CursorFirst)),
    "gaps unseen": partial(Scene, process_of=_process(loop_of=GapsUnseen)),
    "narrow seek": partial(Scene, process_of=NarrowSeek),
    "late commit unseen": partial(Scene, process_of=LooksOnce),
    "head apart from its sequence": partial(Scene, database_of=HeadApart),
    "repeats projected": partial(Scene, read_side_of=RepeatsProjected),
    "another payload a repeat": partial(Scene, process_of=_transactions(OthersAreRepeats)),
    "another's answer": partial(Scene, process_of=_transactions(AnothersAnswer)),
    "refused in silence": partial(Scene, process_of=Silent),
    "past the parked": partial(Scene, process_of=_transactions(PastTheParked)),
    "queued last first": partial(Scene, process_of=_process(session=LastFirst)),
    "parked untold": partial(Scene, process_of=_transactions(Untold)),
    "replayed unseen": partial(Scene, process_of=_transactions(ReplayedUnseen)),
    "expired though confirmed": partial(Scene, process_of=ExpiresAnyway),
    "no compare-and-swap of the read side": partial(Scene, read_side_of=AnyOffset),
}
SWITCHES = tuple(name for name in _BROKEN if name not in ("", *HARDER))


def broken(name: str) -> Callable[..., Scene]:
    """What makes a scene in which one guarantee is broken; "" breaks none."""
    return _BROKEN[name]
