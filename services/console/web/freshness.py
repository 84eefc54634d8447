"""How old what the console shows may be: held against what the topics held a moment ago."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from libs.runtime.problems import Problem

TopicPartition = tuple[str, int]
Positions = Callable[[], Awaitable[Mapping[TopicPartition, int]]]

KEPT_SECONDS = 0.5
"""An answer is good for so long."""
_SILENT_SECONDS = 5.0
"""Kafka is left alone for so long once it did not answer."""
_SAMPLES_MAX = 1200
_PATIENCE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Stand:
    """All that the topics held at `as_of` is shown (none: not known since this process began); `behind`
    events are not shown yet; `position` grows with every commit of the projection."""

    as_of: datetime | None
    behind: int
    position: int


class Freshness:
    """Asks no more often than twice a second, whoever wants to know."""

    def __init__(self, ends: Positions, consumed: Positions) -> None:
        self._ends, self._consumed = ends, consumed
        self._samples: deque[tuple[datetime, Mapping[TopicPartition, int]]] = deque(maxlen=_SAMPLES_MAX)
        self._asking = asyncio.Lock()
        self._known: Stand | None = None
        self._good_until = datetime.min.replace(tzinfo=UTC)

    async def stand(self) -> Stand | None:
        """Where the read models stand; none when Kafka or the database does not answer."""
        async with self._asking:
            if datetime.now(UTC) < self._good_until:
                return self._known
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    self._known = await self._ask()
                good = KEPT_SECONDS
            except (Problem, OSError, TimeoutError):
                self._known, good = None, _SILENT_SECONDS
            self._good_until = datetime.now(UTC) + timedelta(seconds=good)
            return self._known

    async def _ask(self) -> Stand:
        at = datetime.now(UTC)
        ends = await self._ends()
        consumed = await self._consumed()
        self._samples.append((at, ends))
        as_of = None
        while self._samples and _reached(self._samples[0][1], consumed):
            as_of = self._samples.popleft()[0]
        if as_of is not None:  # still the answer, until a later one is reached
            self._samples.appendleft((as_of, {}))
        behind = sum(max(0, end - consumed.get(place, 0)) for place, end in ends.items())
        return Stand(as_of, behind, sum(consumed.values()))


def _reached(ends: Mapping[TopicPartition, int], consumed: Mapping[TopicPartition, int]) -> bool:
    return all(consumed.get(place, 0) >= end for place, end in ends.items())
