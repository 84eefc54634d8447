"""A process as the outside sees it: it answers, is slow, stands still, or is dead."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from tests.flow.world import START
from tests.sim.faults import Faults
from tests.sim.loop import SimLoop


class Machine:
    """Where a process runs. Each await on the outside world is a `step`, at which it may not come back."""

    def __init__(self, name: str, loop: SimLoop, faults: Faults) -> None:
        self.name, self.loop, self.faults = name, loop, faults
        self.dead = self.leaving = False
        self.silent_until = 0.0
        """Until then its heartbeats do not reach the group, though all else works."""
        self.skew = timedelta()
        self.on_death: list[Callable[[], None]] = []
        self.on_stop: Callable[[float], None] = self.stop_for
        self._stopped_until = 0.0

    def clock(self) -> datetime:
        """The time as this machine believes it is."""
        return START + timedelta(seconds=self.loop.time()) + self.skew

    @property
    def reachable(self) -> bool:
        """Whether the group's coordinator hears of it."""
        now = self.loop.time()
        return not self.dead and now >= self._stopped_until and now >= self.silent_until

    def crash(self) -> None:
        """kill -9: what it has in hand is gone, and nobody is told by it."""
        if not self.dead:
            self.dead = True
            self.faults.note(self.name, "dies")
            for told in self.on_death:
                told()

    def stop_for(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        self._stopped_until = max(self._stopped_until, self.loop.time() + seconds)

    def silent_for(self, seconds: float) -> None:
        """The group does not hear of it, though it goes on."""
        self.silent_until = max(self.silent_until, self.loop.time() + seconds)

    def heal(self) -> None:
        self._stopped_until = self.silent_until = 0.0
        self.skew = timedelta()

    async def sleep(self, seconds: float) -> None:
        """Time passes."""
        done = self.loop.create_future()
        self.loop.call_later(seconds, _wake, done)
        await done

    async def step(self, crash: str = "", often: float = 1.0) -> None:
        """One await on the outside world. With `crash`, a fault of that kind may end the process here.

        `often`: how often others get their turn meanwhile; a read that always let them would cost most of
        the simulator's time.
        """
        faults, loop = self.faults, self.loop
        if loop.ending:
            raise asyncio.CancelledError
        faults.now = loop.time()
        late = faults.strikes("answer late", 0.004, self.name)
        if faults.strikes("zombie: stopped, then wakes", 0.0008, self.name):
            self.on_stop(faults.dice.choice((1.0, 20.0, 45.0)))
        if crash and faults.strikes(crash, 0.002, self.name):
            self.crash()
        if late:
            await self.sleep(faults.dice.uniform(0.2, 6))
        elif often == 1.0 or self.dead or faults.dice.random() < often:
            await self.sleep(0.0005 + 0.005 * faults.dice.random())
        faults.now = loop.time()
        while self.dead or self._stopped_until > faults.now:
            if self.dead:
                await loop.create_future()  # nobody will ever answer
            await self.sleep(self._stopped_until - faults.now + 0.001)
            faults.now = loop.time()


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
