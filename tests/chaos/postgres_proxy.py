"""A TCP proxy in front of PostgreSQL that understands enough to act at a chosen statement.

Who connects through it is told nothing; the test's `decide` sees each statement before the server does, and
says whether it passes, or how the connection is cut. Source of the message formats: the PostgreSQL manual,
Frontend/Backend Protocol, Message Formats.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

_UNTYPED = (80877103, 80877104)
"""SSLRequest and GSSENCRequest: answered with N, so that what follows can be read."""
ONE_CALL = "commit_batch("
"""What a small batch is, all of it (libs.runtime.one_call)."""
_FENCED = b"\0COL001\0"
"""How its refusal reads that another has moved on: the field SQLSTATE of an ErrorResponse."""


class Fate(Enum):
    """What becomes of a statement."""

    PASS = "pass"
    DROPPED = "dropped"
    """The connection is cut before the server hears it."""
    BLIND = "blind"
    """The server hears it, and the connection is cut in the same moment."""
    UNANSWERED = "unanswered"
    """The server does it and says so; the connection is cut before anybody hears."""


@dataclass(slots=True)
class Link:
    """One connection through the proxy. `said` are its statements since the last batch began, with that."""

    prepared: dict[bytes, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    fenced: bool = False
    """Whether the server has said that another has moved on."""
    silent: bool = False

    def has_said(self, part: str) -> bool:
        return any(part in statement for statement in self.said)

    def commits_batch(self, statement: str) -> bool:
        """Whether a statement ends a batch that takes records: its COMMIT, or the one call that it is."""
        return ONE_CALL in statement or (
            statement.startswith("COMMIT") and self.has_said("UPDATE consumed SET next_offset")
        )


Decide = Callable[[Link, str], Awaitable[Fate]]


class Proxy:
    """Every connection's statements go through `decide`, which may be replaced at any time."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.decide: Decide = let_pass
        self.on_answer: Callable[[], None] = lambda: None
        """Called when the server has answered a statement whose fate is UNANSWERED, before the cut."""
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        link = Link()
        pumps = [
            asyncio.ensure_future(self._ask(link, reader, back, writer)),
            asyncio.ensure_future(self._answer(link, there, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            writer.transport.abort()
            back.transport.abort()

    async def _ask(
        self,
        link: Link,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _start(reader, back, writer)
            while True:
                head = await reader.readexactly(5)
                kind, size = struct.unpack("!cI", head)
                body = await reader.readexactly(size - 4)
                statement = _statement(link, kind, body)
                fate = await self.decide(link, statement) if statement else Fate.PASS
                if fate is Fate.DROPPED:
                    return
                link.answered.clear()
                link.silent = fate is not Fate.PASS
                back.write(head + body)
                if fate is not Fate.PASS and kind == b"B":  # it is done with what follows, up to Sync
                    while kind != b"S":
                        kind, size = struct.unpack("!cI", head := await reader.readexactly(5))
                        back.write(head + await reader.readexactly(size - 4))
                await back.drain()
                if fate is Fate.UNANSWERED:
                    await link.answered.wait()
                    self.on_answer()
                if fate is not Fate.PASS:
                    return

    async def _answer(self, link: Link, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await there.read(65536):
                link.fenced = link.fenced or _FENCED in data
                link.answered.set()
                if not link.silent:
                    writer.write(data)
                    await writer.drain()


async def let_pass(link: Link, statement: str) -> Fate:
    """Nothing is done to any statement."""
    return Fate.PASS


async def _start(
    reader: asyncio.StreamReader, back: asyncio.StreamWriter, writer: asyncio.StreamWriter
) -> None:
    """Pass the start-up message on; encryption is declined."""
    while True:
        head = await reader.readexactly(8)
        size, code = struct.unpack("!II", head)
        rest = await reader.readexactly(size - 8)
        if code not in _UNTYPED:
            back.write(head + rest)
            return
        writer.write(b"N")


def _statement(link: Link, kind: bytes, body: bytes) -> str:
    """The SQL that a message runs: a simple query, or the prepared one that it binds. Empty for others."""
    if kind == b"P":
        name, sql, _ = body.split(b"\0", 2)
        link.prepared[name] = sql.decode(errors="replace")
        return ""
    if kind == b"Q":
        statement = body.rstrip(b"\0").decode(errors="replace")
    elif kind == b"B":
        _, name, _ = body.split(b"\0", 2)
        statement = link.prepared.get(name, "")
    else:
        return ""
    if statement.startswith("BEGIN") or ONE_CALL in statement:
        link.said.clear()
    link.said.append(" ".join(statement.split()))
    return link.said[-1]
