"""Clients that do not take what they asked for, over a real socket and uvicorn as it serves."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from uvicorn.server import ServerState

from libs.runtime.head_limit import HeadLimit, heads_within
from tests.unit.test_edge_limits import until

SECONDS_MAX = 0.3
PIECE = b"x" * 100_000
PIECES = 20
"""More than the kernel takes for a client that reads nothing."""
ASKED = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"


class Server:
    """What it has under way."""

    def __init__(self) -> None:
        self.port, self.answering = 0, 0
        self.connections: set[Any] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.answering += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            pieces = {"/whole": [PIECE * PIECES], "/short": [PIECE[:50_000]]}
            for body in pieces.get(scope["path"], [PIECE] * PIECES):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.answering -= 1

    async def emptied(self) -> None:
        """Nothing is under way, and nobody connected."""
        await until(lambda: not self.answering and not self.connections)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    found, state = Server(), ServerState()
    found.connections = state.connections
    bounded = heads_within(2_000, SECONDS_MAX, SECONDS_MAX)
    config = uvicorn.Config(found, lifespan="off", log_config=None, timeout_keep_alive=1)

    def connection() -> HeadLimit:
        return bounded(config=config, server_state=state, app_state={})

    async with await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0) as served:
        served.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        found.port = served.sockets[0].getsockname()[1]
        yield found


@contextlib.contextmanager
def _client(server: Server, asked: bytes) -> Any:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(asked)
        client.setblocking(False)
        yield client


async def test_who_takes_nothing_of_an_answer_is_cut(server: Server) -> None:
    with _client(server, ASKED):
        await until(lambda: server.answering > 0)
        await server.emptied()


async def test_so_is_who_takes_nothing_of_one_that_is_written(server: Server) -> None:
    """And asks for it twice."""
    with _client(server, 2 * ASKED.replace(b"/ ", b"/whole ")):
        await until(lambda: server.answering > 0)
        await server.emptied()


@pytest.mark.parametrize("path", [b"/whole", b"/short"])
@pytest.mark.parametrize("asked", [ASKED, CLOSING])
async def test_so_is_who_does_not_take_the_end_of_the_last(server: Server, path: bytes, asked: bytes) -> None:
    """It is closed when nothing more is asked, and what was written for it waits."""
    with _client(server, asked.replace(b"/ ", path + b" ", 1)):
        await until(lambda: bool(server.connections))
        await server.emptied()


async def test_who_takes_it_slowly_gets_all_of_it(server: Server) -> None:
    loop, taken, pauses = asyncio.get_running_loop(), 0, 0
    with _client(server, CLOSING) as client:
        while some := await loop.sock_recv(client, len(PIECE)):
            taken += len(some)
            if taken > pauses * len(PIECE):
                pauses += 1
                await asyncio.sleep(SECONDS_MAX / 5)  # four times as long in all
    assert taken > len(PIECE) * PIECES
    await server.emptied()
