"""Batches: what their decisions need is loaded and locked, they are planned, and written in one transaction.

`one` does this in order. `several` plans each batch while the one before it is being written, as the database
and this process can work at the same time. Such a plan stands on what the one before leaves, and on streams
read without a lock; its own transaction then locks both and is given up where they are not as assumed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.events.contract import Contract
from libs.events.timer import TimerDue
from libs.runtime.in_hand import InHand
from libs.runtime.kept_parts import KeptParts
from libs.runtime.log import Batch, Fenced, Lane, Log, Snapshot, TimerRow, TopicPartition, Writes
from libs.runtime.parking import Place
from libs.runtime.planning import Known, Planner, keys_of
from libs.runtime.reading import Input, Item, commands_of
from libs.runtime.refusals import reused_id
from libs.runtime.stage import Part, Stage

Entry = tuple[Item, Place]
_PLANNED_AT_ONCE = 16
"""Inputs after which a batch that is being written gets its turn."""


class Overtaken(Exception):
    """A stream that several lanes change was changed since a batch was planned; nothing was written."""


class NotLoaded(Exception):
    """A decision needs a stream that nobody could foresee; nothing was written."""


@dataclass(slots=True)
class _Planned:
    """A batch that is yet to be written, and what must be so when it is."""

    writes: Writes
    parts: dict[str, tuple[int, Part]]
    lanes: dict[int, Lane]
    count: int
    assumed: dict[str, int]
    """Versions of the streams that it needs and other lanes may change."""


class Batches:
    """Transactions of one stage in one process."""

    def __init__(
        self,
        stage: Stage,
        log: Log,
        lane_of: Callable[[str], int],
        clock: Callable[[], datetime],
        parts_kept_max: int,
        parked_keys_max: int,
        crowded: Callable[[int, int], None],
    ) -> None:
        self._stage, self._log, self._lane_of, self._clock = stage, log, lane_of, clock
        self._parts = KeptParts(parts_kept_max)
        self._parked_keys_max, self._crowded = parked_keys_max, crowded

    def forget(self) -> None:
        """Keep nothing of what was read before: others may have written since."""
        self._parts.forget()

    def age(self, now: float) -> None:
        """Keep what was needed lately (`KeptParts.age`). To be called between batches."""
        self._parts.age(now)

    async def one(
        self,
        entries: Sequence[Entry],
        epochs: Mapping[int, int],
        *,
        consume: bool = False,
        timers: Sequence[TimerRow] = (),
    ) -> tuple[Writes, int]:
        """Take entries in one transaction: what was written, and of how many (all, or those before one that
        needs a stream that was not loaded)."""
        try:
            async with self._log.batch() as batch:
                planner = await self._prepare(batch, [item for item, _ in entries], epochs, consume=consume)
                taken = _take_all(planner, entries)
                assert taken, "the first entry's streams were loaded"
                writes = planner.finish()
                writes.timers_done = list(timers[:taken])
                if consume:
                    writes.offsets = _moves(entries[:taken])
                await batch.write(writes)
        except BaseException:
            self.forget()
            raise
        self._parts.remember(planner.hand.folded())
        return writes, taken

    async def several(
        self, batches: AsyncIterator[Sequence[Entry]], epochs: Mapping[int, int]
    ) -> AsyncGenerator[tuple[Writes, int], None]:
        """Take batches in order; what each wrote, and of how many entries, once it is committed.

        Raises what `one` raises, and Overtaken and NotLoaded: what was not returned has not been written, but
        for Unavailable, and is to be taken by `one`.
        """
        planner: Planner | None = None
        writing: asyncio.Task[tuple[Writes, int]] | None = None
        failure: Exception | None = None
        try:
            async for entries in batches:
                if planner is None:
                    planner, writing = await self._first(entries, epochs)
                    continue
                assert writing is not None
                try:
                    assumed = await self._look_ahead(planner, [item for item, _ in entries])
                    planned = await self._plan(planner, entries, assumed)
                except Exception as error:
                    failure = error
                yield await writing
                if failure is not None:
                    raise failure
                writing = asyncio.create_task(self._write(planned, epochs))
            if writing is not None:
                yield await writing
        except BaseException:
            self.forget()
            raise
        finally:
            if writing is not None and not writing.done():
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

    async def _first(
        self, entries: Sequence[Entry], epochs: Mapping[int, int]
    ) -> tuple[Planner, "asyncio.Task[tuple[Writes, int]]"]:
        """Plan a batch in its own transaction, as `one` does, and leave the writing to a task."""
        async with AsyncExitStack() as stack:
            batch = await stack.enter_async_context(self._log.batch())
            planner = await self._prepare(batch, [item for item, _ in entries], epochs, consume=True)
            planned = await self._plan(planner, entries, {})
            return planner, asyncio.create_task(self._finish(stack.pop_all(), batch, planned))

    async def _plan(self, planner: Planner, entries: Sequence[Entry], assumed: dict[str, int]) -> _Planned:
        lanes = planner.lanes()
        for start in range(0, len(entries), _PLANNED_AT_ONCE):
            some = entries[start : start + _PLANNED_AT_ONCE]
            if _take_all(planner, some) < len(some):
                raise NotLoaded
            await asyncio.sleep(0)
        writes = planner.finish()
        writes.offsets = _moves(entries)
        return _Planned(writes, planner.hand.folded(), lanes, len(entries), assumed)

    async def _finish(self, stack: AsyncExitStack, batch: Batch, planned: _Planned) -> tuple[Writes, int]:
        """Write a batch that was planned in its own transaction, and end that."""
        async with stack:
            await batch.write(planned.writes)
        self._parts.remember(planned.parts)
        return planned.writes, planned.count

    async def _write(self, planned: _Planned, epochs: Mapping[int, int]) -> tuple[Writes, int]:
        """Write a batch that was planned before its transaction began."""
        async with self._log.batch() as batch:
            if await batch.lanes(epochs) != planned.lanes:
                raise Fenced("a lane is not where this owner left it")
            found = await batch.load(sorted(planned.assumed), lock=True, known=planned.assumed)
            if any(found[key].version != version for key, version in planned.assumed.items()):
                raise Overtaken
            await batch.write(planned.writes)
        self._parts.remember(planned.parts)
        return planned.writes, planned.count

    async def _prepare(
        self, batch: Batch, items: Sequence[Item], epochs: Mapping[int, int], *, consume: bool
    ) -> Planner:
        """Lock the lanes, then load what the decisions need: home streams first, for they name the others."""
        lanes = list(epochs)
        known = Known(await batch.lanes(epochs), *await batch.heard(lanes), {})
        if consume and len(known.waiting) > self._parked_keys_max:
            for lane in lanes:
                if (count := len((await batch.heard([lane]))[1])) > self._parked_keys_max:
                    self._crowded(lane, count)
        known.handled = await _handled(batch, items)
        hand = InHand(self._stage, self._parts.held)
        planner = Planner(self._stage, known, hand, self._lane_of, self._clock())
        # A lane's own streams are written by its owner alone: what it kept since it claimed the lane is so.
        own = [key for key in keys_of(items) if not self._crosses(key)]
        planner.hand.learn(await self._own(batch, own))
        crossing, shared = self._others(planner, items, await self._peek(batch, planner, items))
        shared = [key for key in shared if not planner.hand.has(key)]
        planner.hand.learn(dict.fromkeys(shared, Snapshot(0, b"")))
        planner.hand.learn(await batch.load(shared, lock=False, known=self._parts.versions(shared)))
        planner.hand.learn(await batch.load(crossing, lock=True, known=self._parts.versions(crossing)))
        return planner

    async def _look_ahead(self, planner: Planner, items: Sequence[Item]) -> dict[str, int]:
        """Load what the next batch needs and the planner has not in hand, without a lock; the versions that
        streams must have which other lanes may change."""
        async with self._log.batch() as batch:
            planner.proceed(self._clock(), await _handled(batch, items))
            new = [key for key in keys_of(items) if not planner.hand.has(key) and not self._crosses(key)]
            planner.hand.learn(await self._own(batch, new))
            crossing, shared = self._others(planner, items, await self._peek(batch, planner, items))
            unknown = [key for key in (*shared, *crossing) if not planner.hand.has(key)]
            planner.hand.learn(dict.fromkeys(unknown, Snapshot(0, b"")))
            planner.hand.learn(await batch.load(unknown, lock=False, known=self._parts.versions(unknown)))
        return {key: planner.hand.version(key) for key in crossing}

    async def _own(self, batch: Batch, keys: Sequence[str]) -> dict[str, Snapshot]:
        kept = self._parts.versions(keys)
        new = [key for key in keys if key not in kept]
        beside = self._beside(new)
        loaded = await batch.load([*new, *beside], lock=False, known=self._parts.versions(beside))
        return (
            dict.fromkeys(beside, Snapshot(0, b""))
            | loaded
            | {key: Snapshot(version, None) for key, version in kept.items()}
        )

    def _beside(self, keys: Sequence[str]) -> list[str]:
        """Shared streams of the tenants of these, which are read together with what is new."""
        streams = self._stage.beside
        if not streams:
            return []
        tenants = {key.partition("/")[0] for key in keys}
        named = {f"{tenant}/{stream}" for tenant in tenants for stream in streams}
        return sorted(named.difference(keys))

    async def _peek(self, batch: Batch, planner: Planner, items: Sequence[Item]) -> dict[str, Part]:
        """Home parts of streams that several lanes change, of those that name further streams, as they are
        before they are locked."""
        stage, homes = self._stage, keys_of(items)
        found = {key: key.partition("/")[2] for key in homes if _leads_on(key, stage.leads_on)}
        if leading := stage.leads_on_for:
            for item in items:
                if isinstance(item, Input) and _leads(item.envelope.body, leading, stage.leads_on_timers):
                    found[item.key] = item.envelope.stream
        if not found:
            return {}
        unknown = [key for key in found if not planner.hand.has(key)]
        loaded = await batch.load(unknown, lock=False)
        parts = {key: planner.hand.hold(key, self._lane_of(key)).part for key in found if key not in unknown}
        for key in unknown:
            written = loaded[key].part if key in loaded else b""
            stream = found[key]
            parts[key] = stage.adapter(stream).validate_json(written) if written else stage.empty(stream)
        return parts

    def _crosses(self, key: str) -> bool:
        """Whether inputs of several lanes touch the stream: those named kind/id, as `sku/…`, do, but where a
        decision has its home stream alone."""
        return not self._stage.single and "/" in key.partition("/")[2]

    def _others(
        self, planner: Planner, items: Sequence[Item], peeked: Mapping[str, Part]
    ) -> tuple[list[str], list[str]]:
        """Streams that these inputs need and several lanes change; and those that are read as they are."""
        if self._stage.single:
            return [], []
        crossing = {key for key in keys_of(items) if self._crosses(key)}
        wanted: set[str] = set()
        for item in items:
            if isinstance(item, Input):
                home = peeked.get(item.key)
                if home is None:
                    crosses = item.key in crossing
                    home = self._stage.empty(item.envelope.stream) if crosses else planner.home(item)
                wanted.update(planner.needed(item, home))
        shared = sorted(key for key in wanted if key.partition("/")[2] in self._stage.shared)
        return sorted(crossing | wanted.difference(shared)), shared


async def _handled(batch: Batch, items: Sequence[Item]) -> dict[tuple[str, UUID], bytes]:
    """What is known of the batch's commands, and of those whose id belongs to another."""
    commands = commands_of(items)
    known = await batch.handled(list(commands))
    reused = [
        (tenant, reused_id(id_, digest))
        for (tenant, id_), digests in commands.items()
        for digest in digests
        if known.get((tenant, id_), digest) != digest
    ]
    return known | await batch.handled(reused)


def _take_all(planner: Planner, entries: Sequence[Entry]) -> int:
    """Plan entries in order; how many, up to one that needs a stream that was not loaded."""
    for taken, (item, place) in enumerate(entries):
        if not planner.can_take(item):
            return taken
        planner.take(item, place)
    return len(entries)


def _moves(taken: Sequence[Entry]) -> dict[TopicPartition, tuple[int, int]]:
    """From where to where each offset moves: records of a partition come in order, without a gap."""
    moves: dict[TopicPartition, tuple[int, int]] = {}
    for _, place in taken:
        at = (place.topic, place.partition)
        first, _ = moves.get(at, (place.offset, place.offset))
        moves[at] = (first, place.offset + 1)
    return moves


def _leads_on(key: str, prefix: str) -> bool:
    return key.partition("/")[2].startswith(prefix)


def _leads(body: Contract, kinds: Collection[type[Contract]], timers: Collection[str]) -> bool:
    return type(body) in kinds or (isinstance(body, TimerDue) and body.name in timers)
