"""Pages that hold nothing any more go back to the system."""

import asyncio
import time

import psutil
import pytest

from libs.runtime import memory

MIB = 2**20


async def test_what_lies_between_what_is_used_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "TRIM_SECONDS", 0.001)
    process = psutil.Process()
    pieces = [b"x" * 1000 + bytes([n % 7]) for n in range(64_000)]
    kept = pieces[::64]
    del pieces
    full = process.memory_info().rss
    giving = asyncio.create_task(memory.give_back_memory())
    give_up_at = time.monotonic() + 20
    while process.memory_info().rss > full - 40 * MIB:
        assert time.monotonic() < give_up_at, "it was kept"
        await asyncio.sleep(0.001)
    giving.cancel()
    assert len(kept) == 1000, "and what is used stays"
