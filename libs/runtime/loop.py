"""The stage loop: what a poll brings is one transaction, decided in arrival order.

Broker and database are behind interfaces, so the same loop runs in production, in flow tests and in the
simulator. Its owner calls `assigned`, `revoked`, `handle` (records of a poll) and `work` (timers, replays).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from libs.runtime.batches import Batches, Entry
from libs.runtime.limits import Limits
from libs.runtime.log import Fenced, Log, Overtaken, Parked, TimerRow, TopicPartition, Unavailable, Writes
from libs.runtime.parking import Place, failed
from libs.runtime.planning import SkippedSequence
from libs.runtime.reading import (
    Discarded,
    Item,
    NewerEvent,
    Unusable,
    asks_nothing,
    read,
    timer_input,
)
from libs.runtime.seek import Seek
from libs.runtime.stage import Stage
from libs.runtime.wire import Record

logger = structlog.get_logger()


class Observer(Protocol):
    """Who wants to know what was committed: the relay, people who wait for an answer, metrics."""

    def committed(self, writes: Writes, records: int, seconds: float) -> None: ...

    def halted(self, lane: int, why: str) -> None: ...

    def uncertain(self) -> None:
        """A batch was cut off: it may have been committed, and `committed` will not tell."""


Fetch = Callable[[str, int, int], Awaitable[Record | None]]
"""Reads one record again: topic, partition, offset."""


class StageLoop:
    """One stage's loop in one process. It owns the lanes of the partitions that it is assigned."""

    def __init__(
        self,
        stage: Stage,
        log: Log,
        *,
        lane_of: Callable[[str], int],
        clock: Callable[[], datetime],
        observer: Observer,
        fetch: Fetch,
        limits: Limits,
    ) -> None:
        self.stage, self._log = stage, log
        self._lane_of, self._clock, self._observer = lane_of, clock, observer
        self._fetch, self._limits = fetch, limits
        self._epochs: dict[int, int] = {}
        self._next: dict[TopicPartition, int] = {}
        self._halted: dict[int, str] = {}
        self._distrusted: dict[int, str] = {}
        """Of these, lanes whose log is not what was published."""
        self._batches = Batches(
            stage, log, lane_of, clock, limits.parts_kept_max, limits.parked_keys_max, self._crowded
        )
        self._passed: list[Record] = []
        """Records that ask nothing of this stage. That they were read is noted with the next that ask, or at
        `_settle_at`; it is not worth a transaction of its own."""
        self._settle_at = 0.0
        self._turn = asyncio.Lock()

    @property
    def lanes(self) -> tuple[int, ...]:
        """Lanes that this process owns and that are not halted."""
        return tuple(lane for lane in self._epochs if lane not in self._halted)

    @property
    def owned(self) -> tuple[int, ...]:
        """Lanes that this process owns, halted or not."""
        return tuple(self._epochs)

    @property
    def halted(self) -> Mapping[int, str]:
        return self._halted

    def positions(self) -> Mapping[TopicPartition, int]:
        """The stored offset of each partition owned."""
        return self._next

    async def assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Become the owner of the lanes of these partitions; where to read each from."""
        lanes = sorted({partition for _, partition in partitions})
        self._passed = [
            record for record in self._passed if (record.topic, record.partition) not in partitions
        ]
        self._epochs |= await self._log.claim(lanes)
        self._batches.forget()  # others may have had them until now
        for lane in lanes:
            self._halted.pop(lane, None)
            self._distrusted.pop(lane, None)
        offsets = await self._log.offsets(partitions)
        self._next |= offsets
        return offsets

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Another process may own these from now on; what is in hand for them will be fenced."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._epochs.pop(partition[1], None)
            self._halted.pop(partition[1], None)
            self._distrusted.pop(partition[1], None)

    def distrust(self, lane: int, why: str) -> None:
        """Halt a lane that this process owns, until `trust`."""
        if lane in self._epochs and self._distrusted.get(lane) != why:
            self._distrusted[lane] = why
            self._halt(lane, why)

    def trust(self, lane: int) -> None:
        """A lane may be taken up again, as one that was halted for another reason."""
        self._distrusted.pop(lane, None)

    def resume(self, lane: int) -> dict[TopicPartition, int]:
        """Take a halted lane up again; where to read its partitions from. Nowhere, while it is distrusted."""
        if lane in self._distrusted:
            return {}
        self._halted.pop(lane, None)
        return {place: offset for place, offset in self._next.items() if place[1] == lane}

    async def handle(self, records: Sequence[Record]) -> None:
        """Take what a poll brought. Raises Seek (read on elsewhere) or Unavailable (try again later)."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            mine, most = self._in_order([*self._passed, *records]), self._limits.batch_records_max
            if len(mine) <= most and all(asks_nothing(self.stage, record) for record in records):
                if not self._passed:
                    self._settle_at = now + _SETTLE_SECONDS
                self._passed = mine
                if now < self._settle_at:
                    return
            batches = [mine[start : start + most] for start in range(0, len(mine), most)]
            if len(batches) > 1 and not self._batches.contended:
                batches = batches[await self._take_several(batches) :]
            for some in batches:
                await self._take(some)
            self._passed = []

    async def settle(self) -> None:
        """Count the records that were passed over, for they asked nothing. Raises Unavailable."""
        async with self._turn:
            with contextlib.suppress(Fenced):  # another's by now, who reads them again
                await self._settle()

    async def _settle(self) -> None:
        try:
            await self._take(self._in_order(self._passed))
        except Seek:
            raise Fenced("a lane of what was passed over was claimed by another") from None
        self._passed = []

    async def work(self) -> int:
        """Decide due timers and replay parked records; how many there were. Called every second at least."""
        async with self._turn:
            lanes = self.lanes
            if not lanes:
                return 0
            most = self._limits.batch_records_max
            waits = not self._batches.nothing_parked(lanes)
            replays = await self._log.replaying(lanes, most) if waits else []
            failed: set[str] = set()
            for parked in replays:
                if parked.key not in failed and not await self._replay(parked):
                    failed.add(parked.key)
            due = await self._log.due(lanes, self._clock(), most)
            await self._ring(due)
            if self._passed and asyncio.get_running_loop().time() >= self._settle_at:
                await self._settle()
            self._batches.age(asyncio.get_running_loop().time())
            return len(due) + len(replays)

    async def _ring(self, due: Sequence[TimerRow]) -> None:
        """Decide due timers; one that fails is put off, so that it does not stop the others."""
        while due:
            try:
                done = await self._transact([(timer_input(timer), _TIMER_PLACE) for timer in due], timers=due)
                due = due[done:]
            except (Fenced, Unavailable, asyncio.CancelledError):
                raise
            except Exception as error:
                if len(due) > 1:
                    for timer in due:
                        await self._ring([timer])
                else:
                    await self._put_off(due[0], error)
                return

    async def _put_off(self, timer: TimerRow, error: Exception) -> None:
        logger.error("timer failed", key=timer.key, name=timer.name, exc_info=error)
        later = self._clock() + timedelta(seconds=self._limits.timer_retry_seconds)
        await self._log.postpone_timer(timer, later)

    def _in_order(self, records: Sequence[Record]) -> list[Record]:
        """The records of owned, running lanes. Raises Seek where a partition does not continue: nothing was
        taken of the poll then, so all that runs is read again from where it stands."""
        expected = dict(self._next)
        mine = []
        for record in records:
            place = (record.topic, record.partition)
            if place not in expected or record.partition in self._halted:
                continue
            if record.offset < expected[place]:
                continue
            if record.offset > expected[place]:
                raise Seek({at: next_ for at, next_ in self._next.items() if at[1] not in self._halted})
            expected[place] = record.offset + 1
            mine.append(record)
        return mine

    async def _take_several(self, batches: Sequence[Sequence[Record]]) -> int:
        """Take batches, each planned while the one before is written; how many went well. The others are to
        be taken one by one, which finds out what is wrong with them."""
        taken, started = 0, asyncio.get_running_loop().time()

        async def entries() -> AsyncIterator[list[Entry]]:
            for some in batches:
                yield self._entries(self._readable(some))

        try:
            epochs = self._epochs_of({record.partition for some in batches for record in some})
            async with aclosing(self._batches.several(entries(), epochs)) as written:
                async for writes, count in written:
                    self._committed(writes, count, started)
                    taken, started = taken + 1, asyncio.get_running_loop().time()
        except Fenced:
            self._observer.uncertain()
            raise Seek(await self._refresh()) from None
        except Unavailable:
            self._observer.uncertain()
            raise
        except Overtaken:
            logger.debug("another process changed what a batch stood on", stage=self.stage.name)
        except Exception as error:
            logger.info("batch will be taken alone", stage=self.stage.name, error=repr(error))
        return taken

    async def _take(self, records: Sequence[Record]) -> None:
        """One batch; on an unexpected failure halves of it, by lane and then by key, down to one record."""
        readable = self._readable(records)
        if not readable:
            return
        entries = self._entries(readable)
        try:
            while entries:
                done = await self._transact(entries, consume=True)
                entries = entries[done:]
        except (Fenced, Seek):
            raise Seek(await self._refresh()) from None
        except (Unavailable, asyncio.CancelledError):
            raise
        except Exception as error:
            await self._isolate([record for record, _ in readable[-len(entries) :]], error)

    @staticmethod
    def _entries(readable: Sequence[tuple[Record, Item]]) -> list[Entry]:
        return [(item, Place(record.topic, record.partition, record.offset)) for record, item in readable]

    def _readable(self, records: Sequence[Record]) -> list[tuple[Record, Item]]:
        """Records with what they are to the stage, up to a newer event, which halts its lane."""
        readable: list[tuple[Record, Item]] = []
        for record in records:
            if record.partition in self._halted:
                continue
            try:
                readable.append((record, self._read(record)))
            except NewerEvent as error:
                self._halt(record.partition, f"{record.topic}/{record.partition}@{record.offset}: {error}")
        return readable

    def _read(self, record: Record) -> Item:
        """What a record is to the stage. Raises NewerEvent."""
        limit = self._limits.record_bytes_max
        return read(self.stage, record, record_bytes_max=limit, lane_of=self._lane_of)

    async def _isolate(self, records: Sequence[Record], error: Exception) -> None:
        """A batch failed: split it, so that one bad record stops nobody else's."""
        lanes = sorted({record.partition for record in records})
        if len(lanes) > 1:
            for lane in lanes:
                await self._take([record for record in records if record.partition == lane])
        elif isinstance(error, SkippedSequence):
            self._halt(lanes[0], f"{error}. Compare the topic with the sender's log; it is tried again")
        elif len(records) > 1:
            middle = len(records) // 2
            await self._take(records[:middle])
            await self._take(records[middle:])
        else:
            await self._park_failed(records[0], error)

    async def _park_failed(self, record: Record, error: Exception) -> None:
        logger.error("decision failed", topic=record.topic, offset=record.offset, exc_info=error)
        place = Place(record.topic, record.partition, record.offset)
        unusable = failed(record, self._read(record), error)
        await self._transact([(unusable, place)], consume=True)

    async def _replay(self, parked: Parked) -> bool:
        """Decide a parked record again, or discard it; what fails again is parked again, and False."""
        if parked.state == "discarding":
            place = Place(parked.topic, parked.partition, parked.offset, parked)
            await self._transact([(Discarded(parked.lane), place)])
            return True
        record = await self._fetch(parked.topic, parked.partition, parked.offset)
        place = Place(parked.topic, parked.partition, parked.offset, parked)
        entry: tuple[Item, Place]
        gone = Unusable(parked.lane, parked.key, "gone", "its topic no longer holds the record")
        try:
            entry = (gone if record is None else self._read(record), place)
        except NewerEvent as error:
            entry = (Unusable(parked.lane, parked.key, "newer_version", str(error)), place)
        try:
            await self._transact([entry])
        except (Fenced, Unavailable, asyncio.CancelledError):
            raise
        except Exception as error:
            logger.error("replay failed", key=parked.key, offset=parked.offset, exc_info=error)
            again = Unusable(parked.lane, parked.key, "failed", type(error).__name__)
            await self._transact([(again, place)])
            return False
        return not isinstance(entry[0], Unusable)

    async def _transact(
        self,
        entries: Sequence[Entry],
        *,
        consume: bool = False,
        timers: Sequence[TimerRow] = (),
    ) -> int:
        """One transaction; how many entries it took (all, or those before a stream that was not loaded)."""
        started = asyncio.get_running_loop().time()
        lanes = {item.lane for item, _ in entries}
        try:
            writes, taken = await self._batches.one(
                entries, self._epochs_of(lanes), consume=consume, timers=timers
            )
        except (Fenced, Unavailable):
            self._observer.uncertain()
            raise
        self._committed(writes, taken, started)
        return taken

    def _committed(self, writes: Writes, taken: int, started: float) -> None:
        self._next |= {at: end for at, (_, end) in writes.offsets.items() if at in self._next}
        self._observer.committed(writes, taken, asyncio.get_running_loop().time() - started)

    def _epochs_of(self, lanes: Iterable[int]) -> dict[int, int]:
        """The lanes' epochs, by which their owner is known. Raises Fenced when one was given up."""
        epochs = {lane: self._epochs[lane] for lane in sorted(lanes) if lane in self._epochs}
        if len(epochs) < len(set(lanes)):
            raise Fenced("a lane was given up")
        return epochs

    def _crowded(self, lane: int, keys: int) -> None:
        """Too many keys of a lane wait for a person."""
        most = self._limits.parked_keys_max
        self._halt(lane, f"{keys} keys are parked, {most} may be; replay some: orderlog parked list")

    async def _refresh(self) -> dict[TopicPartition, int]:
        """After a fence: where the stored offsets are for what this process still owns."""
        self._next |= await self._log.offsets(list(self._next))
        return dict(self._next)

    def _halt(self, lane: int, why: str) -> None:
        self._halted[lane] = why
        logger.critical("lane halted", stage=self.stage.name, lane=lane, why=why)
        self._observer.halted(lane, why)


_TIMER_PLACE = Place("", -1, -1)
_SETTLE_SECONDS = 1.0
"""How long records that ask nothing of a stage may wait to be counted."""
