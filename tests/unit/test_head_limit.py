"""Heads of requests that do not come, or do not end, over a real socket and uvicorn as it serves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio
import uvicorn
from uvicorn.server import ServerState

from libs.runtime.head_limit import heads_within

BYTES_MAX, SECONDS_MAX = 2_000, 0.3
WHOLE = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await asyncio.sleep(float(scope["query_string"] or 0))
    await send({"type": "http.response.body", "body": b"hello"})


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    bounded, state = heads_within(BYTES_MAX, SECONDS_MAX, 1.0), ServerState()
    config = uvicorn.Config(hello, lifespan="off", log_config=None)

    def connection() -> asyncio.Protocol:
        return bounded(config=config, server_state=state, app_state={})

    async with await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def said(port: int, *pieces: bytes) -> bytes:
    """What comes back on one connection, until it is closed, of what is sent piece by piece."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(20 * SECONDS_MAX):
        found = await reader.read()
    writer.close()
    return found


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head
    found: dict[str, Any] = orjson.loads(body)
    return found


async def test_a_head_that_is_not_whole_in_time_is_answered_and_closed(port: int) -> None:
    told = problem(await said(port, WHOLE[:-2]))
    assert (told["status"], told["type"]) == (408, "urn:orderlog:problem:too_slow")
    first, second = (await said(port, WHOLE, WHOLE[:5])).split(b"hello")
    assert first.startswith(b"HTTP/1.1 200")
    assert problem(second)["status"] == 408


async def test_a_connection_that_asks_nothing_is_closed(port: int) -> None:
    assert await said(port) == b""


@pytest.mark.parametrize("endless", [b"GET /" + b"a" * 9_000, WHOLE[:-2] + b"x: " + b"a" * 9_000])
async def test_a_head_without_an_end_is_refused(port: int, endless: bytes) -> None:
    told = problem(await said(port, endless))
    assert (told["status"], told["type"]) == (431, "urn:orderlog:problem:head_too_large")
    assert "2000 bytes" in told["detail"]


IN_PIECES = WHOLE.replace(b"host", b"transfer-encoding: chunked\r\nhost").replace(b"GET /", b"GET /?2")


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        (WHOLE, b"\r\n"),
        (WHOLE.replace(b"host", b"content-length: 9\r\nhost"), b"x"),
    ],
)
async def test_a_connection_that_asks_nothing_more_is_closed(port: int, asked: bytes, more: bytes) -> None:
    """Blank lines, or the rest of a request that was answered before it was whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
    writer.write(more)
    async with asyncio.timeout(10 * SECONDS_MAX):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("endless", [b"0\r\n" + b"x: y\r\n" * 900, b"1;" + b"x" * 5_000])
async def test_what_is_around_a_body_without_an_end_is_cut_off(port: int, endless: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(IN_PIECES)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(endless)
    async with asyncio.timeout(1):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_a_body_in_pieces_of_a_byte_each_is_taken(port: int) -> None:
    quick = IN_PIECES.replace(b"?2", b"?.1")
    last = b"0\r\n\r\n" + WHOLE.replace(b"host", b"connection: close\r\nhost")
    assert (await said(port, quick, *[b"1\r\nx\r\n" * 500] * 4, last)).count(b"hello") == 2


async def test_what_comes_before_a_head_is_no_part_of_it(port: int) -> None:
    """The end of a long body and the beginning of the next head come at once."""
    asked = WHOLE.replace(b"host", b"content-length: 5000\r\nhost") + b"b" * 5_000
    closing = WHOLE.replace(b"host", b"connection: close\r\nhost")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked + closing[:9])
    async with asyncio.timeout(10 * SECONDS_MAX):
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.write(closing[9:])
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_one_who_waits_behind_another_is_not_cut_off(port: int) -> None:
    """The second request's head is late while the first is being answered: that one is answered whole."""
    slow = WHOLE.replace(b"GET /", b"GET /?%.1f" % (3 * SECONDS_MAX))
    answer = await said(port, slow, WHOLE[:5])
    assert b"hello" in answer
    assert problem(answer.partition(b"hello")[2])["status"] == 408


async def test_what_comes_in_time_is_answered_on_one_connection(port: int) -> None:
    half = len(WHOLE) // 2
    closing = WHOLE.replace(b"host", b"connection: close\r\nhost")
    answer = await said(port, WHOLE[:half], WHOLE[half:], closing)
    assert answer.count(b"hello") == 2
