"""Where a follower keeps its place in these tests: in memory, beside a stage's memory log."""

from collections.abc import Mapping, Sequence

from libs.runtime.log import TimerRow
from libs.runtime.memory_log import MemoryLog


class MemoryMarks:
    """`libs.runtime.state_topic.Marks`. `followed` belongs to the world, and outlives a process."""

    def __init__(self, log: MemoryLog, followed: dict[int, int]) -> None:
        self._log, self._followed = log, followed

    async def followed(self, lanes: Sequence[int]) -> Mapping[int, int]:
        return {lane: self._followed[lane] for lane in lanes if lane in self._followed}

    async def mark(self, followed: Mapping[int, int]) -> None:
        for lane, at in followed.items():
            self._followed[lane] = max(at, self._followed.get(lane, 0))

    async def remind(self, timers: Sequence[TimerRow]) -> None:
        for timer in timers:
            self._log.timers.setdefault((timer.key, timer.name), timer)
