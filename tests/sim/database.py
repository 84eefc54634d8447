"""A stage's database: row locks, transactions that several sessions hold open at once, and all that fails.

What a transaction reads is what others have committed by then (READ COMMITTED); what it locks it keeps until
its end. The rows themselves, and what a batch may do to them, are the memory log's.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import TracebackType
from uuid import UUID

from libs.runtime.log import (
    Anchor,
    EffectRow,
    Fenced,
    Handled,
    Lane,
    LogRow,
    Mark,
    Parked,
    Snapshot,
    TimerRow,
    TopicPartition,
    Unavailable,
    Writes,
    commit_in_steps,
)
from libs.runtime.memory_log import MemoryBatch, MemoryLog
from libs.runtime.refusals import reused_id
from tests.sim.faults import Faults
from tests.sim.loop import SimLoop
from tests.sim.machine import Machine

LOCK_SECONDS = 5.0
IDLE_SECONDS = 30.0
"""An open transaction of which nothing is heard for so long is ended by the database."""

RowLock = tuple[str, ...]


class ConstraintBroken(Exception):
    """A row that a constraint of the migrations refuses."""


class Database(MemoryLog):
    """The committed rows of one stage, and who holds which row."""

    def __init__(self, name: str, loop: SimLoop, faults: Faults) -> None:
        super().__init__()
        self.name, self.loop, self.faults = name, loop, faults
        self.down_until = 0.0
        self._holders: dict[RowLock, Transaction] = {}
        self._waiting: dict[RowLock, list[asyncio.Future[None]]] = {}
        self._open: dict[Transaction, None] = {}
        self._versions: set[tuple[str, str, int]] = set()
        self._positions: set[tuple[object, ...]] = set()
        self.deadlocks: list[str] = []
        """Who had to be ended, and for which lock it waited."""
        self.timers_rung_again: list[str] = []
        """Of those that a committed transaction rang: which were not there, and who rang them."""
        self.overruled: list[str] = []
        """Who wrote to which lane after another had claimed it."""

    def restart(self, seconds: float) -> None:
        """All connections are cut; what was not committed is gone. Nobody gets in for a while."""
        self.down_until = self.loop.time() + seconds
        for transaction in list(self._open):
            self.end(transaction)

    def begin(self, transaction: "Transaction") -> None:
        self._open[transaction] = None

    def end(self, transaction: "Transaction") -> None:
        """Committed or rolled back: its locks are free."""
        if transaction.over:
            return
        transaction.over = True
        self._open.pop(transaction, None)
        for lock in transaction.locks:
            del self._holders[lock]
            for waiter in self._waiting.pop(lock, ()):
                if not waiter.done():
                    waiter.set_result(None)

    async def lock(self, transaction: "Transaction", locks: Sequence[RowLock]) -> None:
        """Take row locks, in order. Raises Unavailable after the lock time-out, or when the session ended."""
        deadline = self.loop.time() + LOCK_SECONDS
        for lock in locks:
            while (holder := self._holders.get(lock)) is not transaction:
                if transaction.over:
                    raise Unavailable("the transaction was ended")
                if holder is None:
                    self._holders[lock] = transaction
                    transaction.locks.append(lock)
                    break
                transaction.waits_for = holder
                if self._in_a_ring(transaction):
                    self.deadlocks.append(f"{transaction.machine.name} waited for {' '.join(lock)}")
                    self.end(transaction)
                    raise Unavailable("deadlock detected")
                waiter: asyncio.Future[None] = self.loop.create_future()
                self._waiting.setdefault(lock, []).append(waiter)
                timer = self.loop.call_at(deadline, _give_up, waiter)
                try:
                    await waiter
                except TimeoutError:
                    self.end(transaction)
                    raise Unavailable(f"lock time-out at {lock}") from None
                finally:
                    timer.cancel()
                    transaction.waits_for = None

    def _in_a_ring(self, transaction: "Transaction") -> bool:
        behind = transaction.waits_for
        while behind is not None and behind is not transaction:
            behind = behind.waits_for
        return behind is transaction

    def keep(self, transaction: "Transaction") -> None:
        """Everything that it wrote, at once; nothing when it was ended before."""
        if not transaction.over:
            if transaction.written:
                lanes = [lane for lane, epoch in transaction.epochs.items() if epoch != self.epoch(lane)]
                self.overruled += [f"{transaction.machine.name} wrote to lane {lane}" for lane in lanes]
            for writes in transaction.written:
                for timer in writes.timers_done:
                    if (timer.key, timer.name) not in self.timers:
                        what = f"{transaction.machine.name} rang {timer.name} of {timer.key}"
                        self.timers_rung_again.append(what)
                self.apply(writes)
            self.end(transaction)

    def apply(self, writes: Writes) -> None:
        self._apply(writes)
        self._versions.update((row.tenant, row.stream, row.stream_version) for row in writes.rows)
        self._positions.update(row[:3] for row in writes.table_rows.get("ledger", ()))
        for row in writes.rows:
            short = row.type.rpartition(".")[2]
            place = f"{self.name} lane {row.lane} {row.origin} {row.seq}"
            self.faults.note(self.name, f"{place}: {short} {row.stream}", (row.stream,))

    def hold_to_constraints(self, writes: Writes) -> None:
        """What the migrations demand of rows. Raises ConstraintBroken, or Fenced for a command id."""
        for row in writes.rows:
            if row.seq <= len(self.rows.get((row.lane, row.origin), ())):
                raise ConstraintBroken(f"log_pkey: lane {row.lane} {row.origin} {row.seq}")
            if (row.tenant, row.stream, row.stream_version) in self._versions:
                raise ConstraintBroken(f"log_stream: {row.stream} version {row.stream_version}")
        for moved in writes.table_rows.get("ledger", ()):
            if moved[:3] in self._positions:
                raise ConstraintBroken(f"ledger_pkey: {moved[:3]}")
        for key, (delta, *_) in writes.table_sums.get("balance", {}).items():
            held = self.table_sums.get("balance", {}).get(key, [0])
            if held[0] + delta < 0:
                raise ConstraintBroken(f"balance_not_below_zero: {key}")
        for key, deltas in writes.table_sums.get("promise", {}).items():
            before = self.table_sums.get("promise", {}).get(key, [0, 0])
            on_hand, reserved = (a + b for a, b in zip(before, deltas, strict=True))
            if not 0 <= reserved <= on_hand:
                raise ConstraintBroken(f"promise_has_its_units: {key}")
        for handled in writes.handled:
            if (handled.tenant, handled.command_id) in self._handled:
                raise Fenced("a command id was decided elsewhere in this moment")

    def epoch(self, lane: int) -> int:
        return self._epochs.get(lane, 0)

    def cursor(self, lane: int) -> int:
        return self.marks.get(lane, Mark(0)).published

    def heard_up_to(self, source: str, lane: int) -> int:
        return self._high_water.get((source, lane), 0)

    def forget(self, tenant: str, command_id: UUID) -> None:
        """As if a command had never been decided."""
        self._handled.pop((tenant, command_id), None)

    def outcome(self, tenant: str, command_id: UUID) -> Handled | None:
        """What is remembered of a command."""
        return self._handled.get((tenant, command_id))

    def handled_as(self, tenant: str, command_id: UUID, digest: bytes) -> Handled | None:
        """The same of one of several commands that were sent under an id."""
        found = self.outcome(tenant, command_id)
        same = found is None or found.digest == digest
        return found if same else self.outcome(tenant, reused_id(command_id, digest))


def _give_up(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


class Transaction(MemoryBatch):
    """One open transaction of a process (`libs.runtime.log.Batch`)."""

    def __init__(self, database: Database, machine: Machine) -> None:
        super().__init__(database)
        self.database, self.machine = database, machine
        self.locks: list[RowLock] = []
        self.waits_for: Transaction | None = None
        self.over = False
        self.epochs: Mapping[int, int] = {}
        """By which it believes to own its lanes."""
        self._heard_at = 0.0

    async def __aenter__(self) -> "Transaction":
        if self.database.down_until > self.machine.loop.time():
            await self.machine.step()
            raise Unavailable("the database does not answer")
        self.database.begin(self)
        self.machine.on_death.append(self._client_died)
        self._heard_at = self.machine.loop.time()
        self.machine.loop.call_later(IDLE_SECONDS, self._end_idle)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is GeneratorExit:
            return
        try:
            if kind is None:
                await self._commit()
            else:
                await self.machine.step()
                self.database.end(self)
        finally:
            if self._client_died in self.machine.on_death:
                self.machine.on_death.remove(self._client_died)

    async def statement(self, *locks: RowLock) -> None:
        """One round trip. Raises Unavailable when the connection is lost on the way."""
        await self.machine.step("crash in a transaction", 1.0 if locks else 0.3)
        if self.machine.faults.strikes("request lost", 0.003, self.machine.name):
            self._cut_off()
        if self.over:
            raise Unavailable("the connection was lost")
        self._heard_at = self.machine.loop.time()
        await self.database.lock(self, locks)

    async def _commit(self) -> None:
        machine, faults = self.machine, self.machine.faults
        await machine.step()
        if self.over:
            raise Unavailable("the connection was lost")
        timers = any(writes.timers or writes.timers_done for writes in self.written)
        chance = 0.08 if timers else 0.02  # what a timer does is seldom done twice, so it is tried harder
        if faults.strikes("commit cut off, not done", chance, machine.name):
            self._cut_off()
        if faults.strikes("commit cut off, done", chance, machine.name):
            self.database.keep(self)
            raise Unavailable("the connection was lost during the commit")
        if faults.strikes("commit cut off, done later", 0.3 if timers else 0.03, machine.name):
            delay = 3 * faults.dice.random() ** 3
            machine.loop.call_later(delay, self.database.keep, self)
            raise Unavailable("the connection was lost during the commit")
        if faults.strikes("crash before the commit", 0.006, machine.name):
            machine.crash()
        else:
            self.database.keep(self)
            if faults.strikes("crash after the commit", chance / 2, machine.name):
                machine.crash()
        await machine.step()

    def _cut_off(self) -> None:
        """The client sees a broken connection at once; the server may hold the locks a while longer."""
        dice = self.machine.faults.dice
        if dice.random() < 0.5:
            self.database.end(self)
        else:
            self.machine.loop.call_later(dice.uniform(0.01, 4), self.database.end, self)
        raise Unavailable("the connection was lost")

    def _client_died(self) -> None:
        self.machine.loop.call_later(self.machine.faults.dice.uniform(0, 3), self.database.end, self)

    def _end_idle(self) -> None:
        if not self.over:
            idle = self.machine.loop.time() - self._heard_at
            if idle >= IDLE_SECONDS:
                self.database.end(self)
            else:
                self.machine.loop.call_later(IDLE_SECONDS - idle + 0.001, self._end_idle)

    async def lanes(self, epochs: Mapping[int, int]) -> dict[int, Lane]:
        self.epochs = epochs
        await self.statement(*[("lane", str(lane)) for lane in sorted(epochs)])
        return await super().lanes(epochs)

    async def heard(self, lanes: Sequence[int]) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
        await self.statement()
        return await super().heard(lanes)

    async def handled(self, ids: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], bytes]:
        if ids:
            await self.statement()
        return await super().handled(ids)

    async def load(
        self, keys: Sequence[str], *, lock: bool, known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        if keys:
            await self.statement(*(self.part_locks(keys) if lock else ()))
        return await super().load(keys, lock=lock, known=known)

    def part_locks(self, keys: Sequence[str]) -> list[RowLock]:
        return [("part", key) for key in sorted(keys)]

    async def write(self, writes: Writes) -> None:
        locks: list[RowLock] = [("part", key) for key in sorted(writes.new_parts)]
        locks += [("offset", topic, str(n)) for topic, n in sorted(writes.offsets)]
        firsts = {(row.lane, row.origin): row.seq for row in reversed(writes.rows)}
        locks += [("log", str(lane), origin, str(seq)) for (lane, origin), seq in sorted(firsts.items())]
        await self.statement(*locks)
        if writes.handled:
            ids = sorted((handled.tenant, str(handled.command_id)) for handled in writes.handled)
            await self.statement(*(("handled", *id_) for id_ in ids))
        await super().write(writes)
        self.database.hold_to_constraints(writes)


class Session:
    """A process's connections to its stage's database (`libs.runtime.log.Log`)."""

    transaction = Transaction

    def __init__(self, database: Database, machine: Machine) -> None:
        self._database, self._machine = database, machine

    def batch(self) -> AbstractAsyncContextManager[Transaction]:
        return self.transaction(self._database, self._machine)

    async def _ask(self) -> None:
        await self._machine.step(often=0.3)
        if self._database.down_until > self._machine.loop.time():
            raise Unavailable("the database does not answer")
        if self._machine.faults.strikes("request lost", 0.003, self._machine.name):
            raise Unavailable("the connection was lost")

    async def look(
        self, keys: Sequence[str], known: Mapping[str, int], ids: Sequence[tuple[str, UUID]]
    ) -> tuple[dict[str, Snapshot], dict[tuple[str, UUID], bytes]]:
        """As several statements, too."""
        async with self.batch() as batch:
            return await batch.load(keys, lock=False, known=known), await batch.handled(ids)

    async def commit(self, writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]) -> None:
        """As several statements: what may come between them in one call comes here, and more."""
        await commit_in_steps(self, writes, lanes, assumed)

    async def claim(self, lanes: Sequence[int]) -> dict[int, int]:
        async with Transaction(self._database, self._machine) as alone:
            await alone.statement(*(("lane", str(lane)) for lane in sorted(lanes)))
            return await self._database.claim(lanes)

    async def offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._ask()
        return await self._database.offsets(partitions)

    async def published(self, lanes: Sequence[int]) -> dict[int, Mark]:
        await self._ask()
        return await self._database.published(lanes)

    async def unpublished(self, lane: int, after: int, limit: int) -> list[LogRow]:
        await self._ask()
        return await self._database.unpublished(lane, after, limit)

    async def mark_published(self, marks: Mapping[int, Mark]) -> None:
        await self._ask()
        if not self._machine.faults.strikes("cursor move lost", 0.01, self._machine.name):
            await self._database.mark_published(marks)

    async def anchor(self, anchors: Sequence[Anchor]) -> None:
        await self._ask()
        await self._database.anchor(anchors)

    async def next_anchor(self, lane: int, after: int) -> Anchor | None:
        await self._ask()
        return await self._database.next_anchor(lane, after)

    async def due(self, lanes: Sequence[int], now: datetime, limit: int) -> list[TimerRow]:
        await self._ask()
        found = await self._database.due(lanes, now, limit)
        faults = self._machine.faults
        if found and faults.strikes("zombie: stopped, then wakes", 0.15, self._machine.name):
            self._machine.on_stop(faults.dice.uniform(15, 45))  # with the timers in hand
        return found

    async def next_due(self, lanes: Sequence[int]) -> datetime | None:
        await self._ask()
        return await self._database.next_due(lanes)

    async def replaying(self, lanes: Sequence[int], limit: int) -> list[Parked]:
        await self._ask()
        return await self._database.replaying(lanes, limit)

    async def answer(self, tenant: str, command_id: UUID, digest: bytes = b"") -> list[LogRow] | None:
        await self._ask()
        return await self._database.answer(tenant, command_id, digest)

    async def first(self, tenant: str, stream: str, types: Sequence[str]) -> LogRow | None:
        await self._ask()
        return await self._database.first(tenant, stream, types)

    async def snapshots(
        self, keys: Sequence[str], known: Mapping[str, int] | None = None
    ) -> dict[str, Snapshot]:
        await self._ask()
        return await self._database.snapshots(keys, known)

    async def claim_effects(
        self, lanes: Sequence[int], now: datetime, lease_seconds: float, limit: int
    ) -> list[EffectRow]:
        await self._ask()
        return await self._database.claim_effects(lanes, now, lease_seconds, limit)

    async def postpone_timer(self, timer: TimerRow, until: datetime) -> None:
        await self._ask()
        await self._database.postpone_timer(timer, until)

    async def postpone_effect(self, effect_id: str, until: datetime, *, with_later: bool = False) -> None:
        await self._ask()
        await self._database.postpone_effect(effect_id, until, with_later=with_later)
