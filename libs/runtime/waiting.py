"""Waits that end, whatever they wait for."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


async def woken(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, or so long; it is cleared."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()


async def in_time(closing: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Close something that may wait for a broker that is gone; it is left after so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await closing()
