"""Parts of streams for who asks over HTTP: as they are committed now, at the price of few queries.

Who asks while a query is under way is answered by the next one, together with all others who do. What was
read before is sent again by the database only where its version has changed, so an answer is never older than
its question.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

from libs.runtime.kept_parts import KeptParts
from libs.runtime.log import Snapshot

T = TypeVar("T")
Load = Callable[[list[str], Mapping[str, int]], Awaitable[dict[str, Snapshot]]]
"""Snapshots of keys, those that exist; a part whose known version is the current one is left out (None)."""


class PartReader(Generic[T]):
    """Reads parts by key, each as `read` makes of its JSON. One event loop; keeps `kept_max` at most. With
    `fresh_seconds`, what was read so long ago is not asked for again: for who needs what hardly ever changes
    of streams that always do, and is told by the decision where it was too old."""

    def __init__(
        self, load: Load, read: Callable[[bytes], T], kept_max: int, fresh_seconds: float = 0.0
    ) -> None:
        self._load, self._read = load, read
        self._fresh_seconds, self._fresh_until = fresh_seconds, 0.0
        self._fresh: dict[str, T] = {}
        self._asking: set[str] = set()
        self._kept = KeptParts(kept_max)
        self._wanted: set[str] = set()
        self._next: asyncio.Future[dict[str, T]] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def parts(self, keys: Iterable[str]) -> dict[str, T]:
        """The parts of these streams, those that were ever written. Raises what `load` raises."""
        wanted = set(keys)
        known = self._known(wanted) if self._fresh_seconds else {}
        if len(known) == len(wanted):
            return known
        wanted -= known.keys()
        self._wanted |= wanted
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        answer = self._next
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_on())
        found = await asyncio.shield(answer)
        return known | {key: found[key] for key in wanted if key in found}

    def forget(self, keys: Iterable[str]) -> None:
        """Ask for these again: they were changed in what `read` makes of them."""
        for key in keys:
            self._fresh.pop(key, None)
            self._asking.discard(key)

    def _known(self, keys: Iterable[str]) -> dict[str, T]:
        now = asyncio.get_running_loop().time()
        if now >= self._fresh_until:
            self._fresh.clear()
            self._fresh_until = now + self._fresh_seconds
        return {key: self._fresh[key] for key in keys if key in self._fresh}

    async def _read_on(self) -> None:
        """Query after query, as long as somebody waits for one."""
        while self._next is not None:
            answer, keys = self._next, list(self._wanted)
            self._next, self._wanted = None, set()
            try:
                found = await self._query(keys)
            except Exception as error:
                answer.set_exception(error)
                answer.exception()  # whoever asked may be gone
            else:
                answer.set_result(found)

    async def _query(self, keys: list[str]) -> dict[str, T]:
        known = self._kept.versions(keys)
        held = self._kept.held
        before = {key: held[key] for key in known}
        self._asking = set(keys)
        fresh = {
            key: before[key] if snapshot.part is None else (snapshot.version, self._read(snapshot.part))
            for key, snapshot in (await self._load(keys, known)).items()
            if snapshot.part != b""
        }
        self._kept.remember(fresh)
        self._kept.age(asyncio.get_running_loop().time())
        found = {key: part for key, (_, part) in fresh.items()}
        if self._fresh_seconds:
            self._fresh |= {key: part for key, part in found.items() if key in self._asking}
        return found
