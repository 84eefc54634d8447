"""What /livez says of a process: its tasks run, and none has been failing unforeseen for too long.

Failures that were foreseen (a broker or database that does not answer) are waited for and never end a
process: starting it again would not help.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

logger = structlog.get_logger()


class Health:
    """One process's. Work is named; `failing` and `well` may be called as often as one likes."""

    def __init__(self, stuck_seconds_max: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stuck_seconds_max, self._clock = stuck_seconds_max, clock
        self._ended: dict[str, str] = {}
        self._failing: dict[str, tuple[float, str]] = {}
        self.stopping = False
        """Set when the process ends on purpose: its tasks may then end too."""

    def watch(self, task: asyncio.Task[None]) -> None:
        """A task that must not end, whether by an error or without one."""
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self.stopping and error is None:
            return
        why = "ended" if error is None else type(error).__name__
        self._ended[task.get_name()] = why
        logger.critical(
            "a task of the process ended; start the process again", task=task.get_name(), exc_info=error
        )

    def failing(self, work: str, error: Exception) -> None:
        """An attempt failed unforeseen; it will be made again."""
        since, _ = self._failing.get(work, (self._clock(), ""))
        self._failing[work] = (since, type(error).__name__)

    def well(self, work: str) -> None:
        """An attempt succeeded, or failed in a way that was foreseen."""
        self._failing.pop(work, None)

    def report(self) -> dict[str, Any]:
        """`alive`, and what failed: by name, with the kind of its error."""
        now = self._clock()
        failed = dict(self._ended)
        for work, (since, kind) in self._failing.items():
            if now - since > self._stuck_seconds_max:
                failed[work] = f"{kind} for {now - since:.0f} s"
        return {"alive": not failed, "failed": failed}
