"""The rebuild of the console's read models, beside reading the same records and doing nothing with them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from cli.bench.lag import open_lag
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings
from services.console.replay import read_only, rebuild_console


@dataclass(frozen=True, slots=True)
class Rebuild:
    """One round. `fold_seconds` is the rebuild until its tables and indexes stand: the live tables' digest is
    taken meanwhile, that of the rebuilt ones afterwards."""

    events: int
    seconds: float
    fold_seconds: float
    read_seconds: float


async def measure(progress: Callable[[int, int], None]) -> Rebuild:
    """Rebuild once, then read as much. Complaint: there is nothing to rebuild, or the digests differ."""
    chosen = settings()
    async with open_lag(chosen) as lag:
        await lag.gone()
    rebuilt = await rebuild_console(chosen, progress=progress)
    if not rebuilt.match:
        raise Complaint(
            "The rebuilt read models are not the live ones: a rate of wrong results says nothing.",
            "Look closer: orderlog rebuild console --verify",
        )
    if not rebuilt.events:
        raise Complaint(
            "There is no event to rebuild from.", "Run `orderlog bench lifecycle` first, or the demo."
        )
    async with asyncpg.create_pool(chosen.dsn("console"), min_size=1, max_size=1) as pool:
        rows = await pool.fetch("SELECT topic, partition, next_offset FROM live.consumed")
    ends = {(topic, partition): offset for topic, partition, offset in rows}
    began = time.perf_counter()
    await read_only(chosen, ends)
    read_seconds = (time.perf_counter() - began) * rebuilt.events / sum(ends.values())
    return Rebuild(rebuilt.events, rebuilt.seconds, max(rebuilt.fold_seconds, 0.001), read_seconds)
