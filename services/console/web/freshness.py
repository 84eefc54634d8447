"""How old what the console shows may be: held against what the topics held a moment ago."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from libs.runtime.log import Unavailable
from libs.runtime.problems import Problem

logger = structlog.get_logger()

TopicPartition = tuple[str, int]
Positions = Callable[[], Awaitable[Mapping[TopicPartition, int]]]

KEPT_SECONDS = 0.5
"""An answer is good for so long; then another is asked for, while the last is still given."""
_SAMPLES_MAX = 1200
_FIRST_SECONDS = 2.0
"""How long the first who ask wait for it."""


@dataclass(frozen=True, slots=True)
class Stand:
    """All that the topics held at `as_of` is shown (none: not known since this process began); `behind`
    events are not shown yet; `position` grows with every commit of the projection."""

    as_of: datetime | None
    behind: int
    position: int


class Freshness:
    """Asks no more often than twice a second, whoever wants to know."""

    def __init__(
        self,
        ends: Positions,
        consumed: Positions,
        patience_seconds: float = 5.0,
        silent_seconds: float = 20.0,
    ) -> None:
        self._ends, self._consumed = ends, consumed
        self._patience_seconds, self._silent_seconds = patience_seconds, silent_seconds
        self._samples: deque[tuple[datetime, Mapping[TopicPartition, int]]] = deque(maxlen=_SAMPLES_MAX)
        self._asking: asyncio.Task[None] | None = None
        self._known: Stand | None = None
        self._asked_at = datetime.min.replace(tzinfo=UTC)
        """Of the last answer."""

    async def stand(self) -> Stand | None:
        """Where the read models stood half a second ago, or longer where Kafka is slow to answer; none
        when it or the database has not answered for a while."""
        now = datetime.now(UTC)
        if now - self._asked_at > timedelta(seconds=KEPT_SECONDS) and self._asking is None:
            self._asking = asyncio.create_task(self._ask_once())
        if self._known is None and self._asking is not None:
            await asyncio.wait([self._asking], timeout=_FIRST_SECONDS)
        old = datetime.now(UTC) - self._asked_at > timedelta(seconds=self._silent_seconds)
        return None if old else self._known

    async def stand_now(self) -> Stand | None:
        """The same, of an answer that is asked for from now on: nothing that was committed before is missing
        in it. None where there is no answer."""
        began = datetime.now(UTC)
        for _ in range(2):  # one that is under way may be too old
            if self._asked_at < began:
                if self._asking is None:
                    self._asking = asyncio.create_task(self._ask_once())
                await asyncio.wait([self._asking])
        return None if self._asked_at < began else self._known

    async def _ask_once(self) -> None:
        at = datetime.now(UTC)
        try:
            async with asyncio.timeout(self._patience_seconds):
                self._known = await self._ask()
            self._asked_at = at
        except (Problem, Unavailable, OSError, TimeoutError) as error:
            logger.warning("how old the read models are is not known", error=repr(error))
        finally:
            self._asking = None

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
