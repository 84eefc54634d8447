"""A stream of events is told for as long as the token is good with which it was asked for."""

import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from libs.runtime.tokens import LEEWAY_SECONDS, mint, new_signing_key, verify
from services.console.api import _stream


async def lines() -> AsyncGenerator[bytes, None]:
    """Something to tell."""
    for _ in range(3):
        yield b": nothing new\n\n"


async def test_a_stream_ends_with_its_token(tmp_path: Path) -> None:
    (key_file := tmp_path / "jwt.json").write_bytes(new_signing_key())
    good = verify(key_file, mint(key_file, "acme", "kim", "operator", 60))
    told = _stream(lines(), good).body_iterator
    assert await anext(aiter(told)) == b": nothing new\n\n"
    assert time.time() < good.good_until <= time.time() + 60 + LEEWAY_SECONDS
    over = replace(good, good_until=time.time() - 1)
    assert [line async for line in _stream(lines(), over).body_iterator] == []
