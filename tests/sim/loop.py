"""An event loop without a machine beneath it: time is a number, and chance says which ready step runs next.

Everything that a run does happens here, so one seed decides the order of all of it. A step that waits for a
time costs nothing but the jump to it; hours pass in milliseconds.
"""

import asyncio
import heapq
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


ROUNDS_MAX = 100
"""Cancellations that a task may answer with another await."""


class Stuck(Exception):
    """Nothing is ready and nothing is due, and what was asked for has not come about."""


class SimLoop(asyncio.AbstractEventLoop):
    """`asyncio` needs of it: time, call_soon, call_at, futures and tasks. It has no I/O and no threads."""

    def __init__(self, dice: Random) -> None:
        self._dice, self._now = dice, 0.0
        self._ready: list[asyncio.Handle] = []
        self._due: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        self.ending = False
        """Whoever waits for the outside world is cancelled."""
        self.steps = 0
        self.failures: list[BaseException] = []
        """What ended a task that nobody looked at, or one that is never to end by itself."""
        self._tasks: set[asyncio.Task[Any]] = set()
        """Held here: a task that nobody waits for must not be collected at some moment of the machine."""
        self._endless: set[asyncio.Task[Any]] = set()

    def run(self, wanted: Coroutine[Any, Any, _T], seconds_max: float, steps_max: int) -> _T:
        """Run until the coroutine is done. Raises what it raises; Stuck when time or steps run out."""
        events._set_running_loop(self)
        try:
            task: asyncio.Task[_T] = self.create_task(wanted)
            while not task.done():
                if self.steps >= steps_max:
                    raise Stuck(f"no end after {self.steps} steps")
                self._step()
                if self._now > seconds_max:
                    raise Stuck(f"no end after {self._now / 3600:.1f} simulated hours")
            return task.result()
        finally:
            events._set_running_loop(None)

    def _step(self) -> None:
        while self._due and self._due[0][0] <= self._now:
            self._ready.append(heapq.heappop(self._due)[2])
        while not self._ready:
            if not self._due:
                raise Stuck("nothing is left to do, and not all is done")
            self._now = max(self._now, self._due[0][0])
            while self._due and self._due[0][0] <= self._now:
                handle = heapq.heappop(self._due)[2]
                if not handle.cancelled():
                    self._ready.append(handle)
        place = int(self._dice.random() * len(self._ready)) if len(self._ready) > 1 else 0
        self._ready[place], self._ready[-1] = self._ready[-1], self._ready[place]
        chosen = self._ready.pop()
        if not chosen.cancelled():
            self.steps += 1
            chosen._run()

    def end(self) -> None:
        """Cancel what still waits, once all has been judged: nothing may run when the machine likes."""
        self.ending = True
        events._set_running_loop(self)
        try:
            for _ in range(ROUNDS_MAX):
                waiting = [task for task in self._tasks if not task.done()]
                if not waiting:
                    return
                for task in waiting:
                    task.cancel()
                while self._ready:
                    handle = self._ready.pop()
                    if not handle.cancelled():
                        handle._run()
            raise AssertionError(f"{len(waiting)} tasks cannot be cancelled: {waiting[0]}")
        finally:
            events._set_running_loop(None)

    def time(self) -> float:
        return self._now

    def call_soon(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._made += 1
        heapq.heappush(self._due, (when, self._made, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **more: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **more)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def create_endless(self, coro: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that ends only by being cancelled. What else ends it is a failure of the run, also while
        somebody holds the task: Python complains only of those that nobody does."""
        task: asyncio.Task[None] = self.create_task(coro)
        self._endless.add(task)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task in self._endless:
            self._endless.discard(task)
            if not task.cancelled():
                self.failures.append(task.exception() or RuntimeError(f"{task} ended by itself"))

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.failures.append(error)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled handle is skipped when it is due."""
