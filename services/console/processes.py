"""A rebuild's folding on several cores: lanes shared out among forked processes, each with its own reader.

Forked, not begun anew: they share the memory of what is imported, and need not import it again.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from ctypes import c_long
from typing import TYPE_CHECKING

import uvloop

from libs.runtime.complaint import Complaint
from services.console.lanes import Done, Ends

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import SynchronizedArray

PROCESSES_MAX = 2
"""PostgreSQL and Kafka want the other cores."""
_LANES_EACH_EVENTS_MIN = 5_000
"""Fewer are folded before a second process has begun."""
_LOOK_SECONDS = 0.1

Share = Callable[[Ends, Done], Awaitable[None]]
"""What a process does with its share of the partitions. What it raises must be picklable."""


class _Stopped(Exception):
    """The one who shared out the work wants no more of it, or is gone."""


def shares(ends: Ends, processes: int) -> list[Ends]:
    """Whole lanes for so many processes at most, about as many records for each."""
    lanes: dict[int, int] = {}
    for (_, lane), end in ends.items():
        lanes[lane] = lanes.get(lane, 0) + end
    wanted = max(1, min(processes, len(lanes), sum(lanes.values()) // _LANES_EACH_EVENTS_MIN))
    loads, share_of = [0] * wanted, dict[int, int]()
    for lane, events in sorted(lanes.items(), key=lambda item: -item[1]):
        least = loads.index(min(loads))
        loads[least] += events
        share_of[lane] = least
    return [
        {place: end for place, end in ends.items() if share_of[place[1]] == number}
        for number in range(wanted)
    ]


async def in_processes(share: Share, parts: Sequence[Ends], done: Done) -> None:
    """`share` for each part, each in a process of its own. Raises what the first that fails raises."""
    context = multiprocessing.get_context("fork")
    # The last entry is not 0 as soon as all are to stop.
    counts = context.Array(c_long, len(parts) + 1)
    told = 0

    def tell() -> None:
        nonlocal told
        so_far = sum(counts[:-1])
        if so_far > told:
            done(so_far - told)
            told = so_far

    loop = asyncio.get_running_loop()
    executor = ProcessPoolExecutor(len(parts), context, _begin, (share, parts, counts, os.getpid()))
    running = {loop.run_in_executor(executor, _run, number) for number in range(len(parts))}
    try:
        pending = set(running)
        while pending:
            ended, pending = await asyncio.wait(
                pending, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            tell()
            for one in ended:
                one.result()
    except BrokenProcessPool:
        raise Complaint(
            "A process of the rebuild was killed.", "Is there enough memory? Then try again."
        ) from None
    finally:
        counts[-1] = 1
        await asyncio.gather(*running, return_exceptions=True)
        executor.shutdown()


_mine: tuple[Share, Sequence[Ends], "SynchronizedArray[int]", int]
"""What a forked process was given, from before it was forked."""


def _begin(share: Share, parts: Sequence[Ends], counts: "SynchronizedArray[int]", parent: int) -> None:
    global _mine
    # The parent's event loop would hear of this process's signals.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.freeze()  # nothing of the parent's, its connections least of all, is to be torn down here
    _mine = (share, parts, counts, parent)


def _run(number: int) -> None:
    share, parts, counts, parent = _mine

    def done(more: int) -> None:
        counts[number] += more
        if counts[-1] or os.getppid() != parent:
            raise _Stopped

    with no_search_for_cycles():
        uvloop.run(_awaited(share(parts[number], done)))


async def _awaited(work: Awaitable[None]) -> None:
    await work


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Orders in memory are many objects without a cycle: looking through them again and again took a third of
    the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
