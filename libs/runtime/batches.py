"""Batches: what their decisions need is loaded, they are planned, and written in one transaction.

A plan is made ahead: it stands on what this process knows of its lanes, as it left them, and on streams that
were read without a lock, if they had to be read. Its transaction locks both, and is given up where they are
not as assumed. `several` plans each batch while the one before it is being written. Where a lane is not known
yet, or another process changes the same streams, a batch is planned under lock instead.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.events.contract import Contract
from libs.events.timer import TimerDue
from libs.runtime.in_hand import ABSENT, InHand
from libs.runtime.kept_parts import KeptParts, versions
from libs.runtime.known_lanes import KnownLanes
from libs.runtime.log import Batch, Lane, Log, Overtaken, Snapshot, TimerRow, TopicPartition, Writes
from libs.runtime.parking import Place
from libs.runtime.planning import Known, Planner, keys_of
from libs.runtime.reading import Input, Item, commands_of
from libs.runtime.refusals import reused_id
from libs.runtime.stage import Part, Stage

Entry = tuple[Item, Place]
_NOTHING: Mapping[str, Part] = {}
_PLANNED_AT_ONCE = 16
"""Inputs after which a batch that is being written gets its turn."""
_CONTENDED_SECONDS = 10.0
"""How long batches are planned under lock after one was overtaken."""


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
    since: int
    """How often all that is kept had been forgotten when it began."""


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
        self._parts, self._lanes = KeptParts(parts_kept_max), KnownLanes()
        self._parked_keys_max, self._crowded = parked_keys_max, crowded
        self._contended_until = 0.0
        self._forgotten = 0
        """How often. What a batch leaves that began before is not kept: its answer may have come so late that
        others had the lane meanwhile, and gave it back."""

    @property
    def contended(self) -> bool:
        """Whether another process changed lately what a batch stood on."""
        return asyncio.get_running_loop().time() < self._contended_until

    def forget(self) -> None:
        """Keep nothing of what was read before: others may have written since."""
        self._forgotten += 1
        self._parts.forget()
        self._lanes.forget()

    def age(self, now: float) -> None:
        """Keep what was needed lately (`KeptParts.age`). To be called between batches."""
        self._parts.age(now)

    def nothing_parked(self, lanes: Iterable[int]) -> bool:
        """Whether it is known that no record of these lanes waits for a person, or behind one that does."""
        return self._lanes.nothing_parked(lanes)

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
        since = self._forgotten
        try:
            planner = self._begun(epochs)
            if planner is not None:
                with contextlib.suppress(Overtaken):
                    assumed = await self._look_ahead(planner, [item for item, _ in entries])
                    lanes = planner.lanes()
                    writes, taken = _planned(planner, entries, consume, timers)
                    assumed |= self._stood_on(planner)
                    parts = planner.hand.folded()
                    return await self._commit(_Planned(writes, parts, lanes, taken, assumed, since))
            async with self._log.batch() as batch:
                planner = await self._prepare(batch, [item for item, _ in entries], epochs, consume=consume)
                writes, taken = _planned(planner, entries, consume, timers)
                await batch.write(writes)
        except BaseException:
            self.forget()
            raise
        self._committed(planner.hand.folded(), writes, since)
        return writes, taken

    async def several(
        self, batches: AsyncIterator[Sequence[Entry]], epochs: Mapping[int, int]
    ) -> AsyncGenerator[tuple[Writes, int], None]:
        """Take batches in order; what each wrote, and of how many entries, once it is committed.

        Raises what `one` raises, and Overtaken and NotLoaded: what was not returned has not been written, but
        for Unavailable, and is to be taken by `one`.
        """
        planner, since = self._begun(epochs), self._forgotten
        writing: asyncio.Task[tuple[Writes, int]] | None = None
        failure: Exception | None = None
        try:
            async for entries in batches:
                if planner is None:
                    planner, writing = await self._first(entries, epochs, since)
                    continue
                try:
                    assumed = await self._look_ahead(planner, [item for item, _ in entries])
                    planned = await self._plan(planner, entries, assumed, since)
                except Exception as error:
                    failure = error
                if writing is not None:
                    yield await writing
                if failure is not None:
                    raise failure
                writing = asyncio.create_task(self._commit(planned))
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
        self, entries: Sequence[Entry], epochs: Mapping[int, int], since: int
    ) -> tuple[Planner, "asyncio.Task[tuple[Writes, int]]"]:
        """Plan a batch in its own transaction, and leave the writing to a task."""
        async with AsyncExitStack() as stack:
            batch = await stack.enter_async_context(self._log.batch())
            planner = await self._prepare(batch, [item for item, _ in entries], epochs, consume=True)
            planned = await self._plan(planner, entries, {}, since)
            return planner, asyncio.create_task(self._finish(stack.pop_all(), batch, planned))

    async def _plan(
        self, planner: Planner, entries: Sequence[Entry], assumed: dict[str, int], since: int
    ) -> _Planned:
        lanes = planner.lanes()
        for start in range(0, len(entries), _PLANNED_AT_ONCE):
            some = entries[start : start + _PLANNED_AT_ONCE]
            if _take_all(planner, some) < len(some):
                raise NotLoaded
            await asyncio.sleep(0)
        writes = planner.finish()
        writes.offsets = _moves(entries)
        assumed |= self._stood_on(planner)
        return _Planned(writes, planner.hand.folded(), lanes, len(entries), assumed, since)

    async def _finish(self, stack: AsyncExitStack, batch: Batch, planned: _Planned) -> tuple[Writes, int]:
        """Write a batch that was planned in its own transaction, and end that."""
        async with stack:
            await batch.write(planned.writes)
        self._committed(planned.parts, planned.writes, planned.since)
        return planned.writes, planned.count

    async def _commit(self, planned: _Planned) -> tuple[Writes, int]:
        """Write a batch that was planned ahead."""
        try:
            await self._log.commit(planned.writes, planned.lanes, planned.assumed)
        except Overtaken:
            self._contended_until = asyncio.get_running_loop().time() + _CONTENDED_SECONDS
            raise
        self._committed(planned.parts, planned.writes, planned.since)
        return planned.writes, planned.count

    def _committed(self, parts: Mapping[str, tuple[int, Part]], writes: Writes, since: int) -> None:
        if since == self._forgotten:
            self._parts.remember(parts)
            self._lanes.moved(writes)
        else:
            self._lanes.forget()  # it may have read some of them since

    def _begun(self, epochs: Mapping[int, int]) -> Planner | None:
        """A planner that begins where these lanes are, as far as that is known, and may be built upon."""
        known = None if self.contended else self._lanes.under(epochs)
        return None if known is None else self._planner(known)

    def _planner(self, known: Known) -> Planner:
        return Planner(self._stage, known, InHand(self._stage), self._lane_of, self._clock())

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
        self._lanes.read(known)
        known.handled = await _handled(batch, items)
        planner = self._planner(known)
        # A lane's own streams are written by its owner alone: what it kept since it claimed the lane is so.
        own = [key for key in keys_of(items) if not self._crosses(key)]
        await self._load_own(batch, planner.hand, own)
        crossing, shared = self._others(planner, items, await self._peek(batch, planner, items))
        shared = [key for key in shared if not planner.hand.has(key)]
        planner.hand.learn(dict.fromkeys(shared, Snapshot(0, b"")))
        for keys, lock in ((shared, False), (crossing, True)):
            kept = self._parts.of(keys)
            planner.hand.learn(await batch.load(keys, lock=lock, known=versions(kept)), kept)
        return planner

    async def _look_ahead(self, planner: Planner, items: Sequence[Item]) -> dict[str, int]:
        """Have in hand what a batch needs, kept or read without a lock; the versions that streams must have
        which other lanes may change. Often nothing must be read, else all of it at once: home streams are
        taken for new until they are read, so that what they then need is read with them."""
        planner.proceed(self._clock())
        hand, homes, commands = planner.hand, keys_of(items), commands_of(items)
        ids = list(commands)
        self._take_kept(hand, homes)
        while True:
            crossing, shared = self._others(planner, items)
            self._take_kept(hand, crossing)
            unknown = [key for key in sorted({*homes, *crossing, *shared}) if not hand.has(key)]
            if not unknown and not ids:
                return {key: hand.version(key) for key in crossing}
            kept = self._parts.of(unknown)
            parts, handled = await self._log.look(unknown, versions(kept), ids)
            hand.learn({key: parts.get(key, ABSENT) for key in unknown}, kept)
            planner.learn(handled)
            ids = _reused(commands, handled) if ids == list(commands) else []

    def _stood_on(self, planner: Planner) -> dict[str, int]:
        """The same of what the decisions were given in the end, which may be more: all in hand may be."""
        shared, stood_on = self._stage.shared, planner.stood_on.items()
        return {key: version for key, version in stood_on if key.partition("/")[2] not in shared}

    def _take_kept(self, hand: InHand, keys: Iterable[str]) -> None:
        """Have in hand what is kept of these streams. A lane's own are so: its owner alone writes them. Of
        others, that they still are is seen when the batch is written."""
        kept = self._parts.of(key for key in keys if not hand.has(key))
        hand.learn({key: Snapshot(version, None) for key, version in versions(kept).items()}, kept)

    async def _load_own(self, batch: Batch, hand: InHand, keys: Sequence[str]) -> None:
        """Have in hand a lane's own streams, and beside those that are not kept, what new ones need."""
        self._take_kept(hand, keys)
        new = [key for key in keys if not hand.has(key)]
        beside = self._beside(new)
        kept = self._parts.of(beside)
        loaded = await batch.load([*new, *beside], lock=False, known=versions(kept))
        hand.learn(dict.fromkeys(beside, Snapshot(0, b"")) | loaded, kept)

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
        self, planner: Planner, items: Sequence[Item], peeked: Mapping[str, Part] = _NOTHING
    ) -> tuple[list[str], list[str]]:
        """Streams that these inputs need and several lanes change; and those that are read as they are. What
        a home stream names goes by its part in hand, or as it was peeked at."""
        if self._stage.single:
            return [], []
        crossing = {key for key in keys_of(items) if self._crosses(key)}
        wanted: set[str] = set()
        for item in items:
            if isinstance(item, Input):
                home = peeked.get(item.key)
                if home is None:
                    known = planner.hand.has(item.key)
                    home = planner.home(item) if known else self._stage.empty(item.envelope.stream)
                wanted.update(planner.needed(item, home))
        shared = sorted(key for key in wanted if key.partition("/")[2] in self._stage.shared)
        return sorted(crossing | wanted.difference(shared)), shared


async def _handled(batch: Batch, items: Sequence[Item]) -> dict[tuple[str, UUID], bytes]:
    """What is known of the batch's commands, and of those whose id belongs to another."""
    commands = commands_of(items)
    known = await batch.handled(list(commands))
    return known | await batch.handled(_reused(commands, known))


def _reused(
    commands: Mapping[tuple[str, UUID], Sequence[bytes]], known: Mapping[tuple[str, UUID], bytes]
) -> list[tuple[str, UUID]]:
    """Ids of the refusals of commands whose own id was another's before."""
    return [
        (tenant, reused_id(id_, digest))
        for (tenant, id_), digests in commands.items()
        for digest in digests
        if known.get((tenant, id_), digest) != digest
    ]


def _planned(
    planner: Planner, entries: Sequence[Entry], consume: bool, timers: Sequence[TimerRow]
) -> tuple[Writes, int]:
    """Plan a batch at once: what it writes, and how many entries that is of."""
    taken = _take_all(planner, entries)
    assert taken, "the first entry's streams were loaded"
    writes = planner.finish()
    writes.timers_done = list(timers[:taken])
    if consume:
        writes.offsets = _moves(entries[:taken])
    return writes, taken


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
