"""No head of a request is waited for without a bound, or kept whatever its size: before it is whole no
application sees it, and a connection that sends one slowly would be held for ever."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from libs.runtime.problems import Problem


class HeadLimit(HttpToolsProtocol):
    """A connection. It is answered 408 and closed when a head is not whole within `seconds_max` of its first
    byte, and 431 when it is not whole after `bytes_max`; closed alone when no byte comes for as long.
    `heads_within` sets both."""

    bytes_max: ClassVar[int]
    seconds_max: ClassVar[float]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes, self._begun = 0, False
        self._late: asyncio.TimerHandle | None = None
        """While a head is waited for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_wait()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun = True
        if self._late is None:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        self._end_wait()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        waited = self._late is not None
        super().data_received(data)
        if waited and self._late is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.bytes_max:
                self._refuse(
                    Problem(
                        431,
                        "head_too_large",
                        "The request's head is too large",
                        f"It was not whole after the {self.bytes_max} bytes that are allowed.",
                        "Send fewer or shorter headers, and a shorter path.",
                    )
                )

    def _wait_for_head(self) -> None:
        self._head_bytes = 0
        self._late = self.loop.call_later(self.seconds_max, self._too_late)

    def _end_wait(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_for_head()  # of a request behind one that is being answered
            return
        if not self._begun:
            self.transport.close()
            return
        self._refuse(
            Problem(
                408,
                "too_slow",
                "The request did not come in time",
                f"Its head was not whole within {self.seconds_max:g} s.",
                "Send it again.",
            )
        )

    def _refuse(self, problem: Problem) -> None:
        self._end_wait()
        answer = problem.response()
        head = [b"HTTP/1.1 %d %s\r\n" % (problem.status, problem.title.encode())]
        head += [name + b": " + value + b"\r\n" for name, value in answer.raw_headers]
        self.transport.write(b"".join((*head, b"connection: close\r\n\r\n", bytes(answer.body))))
        self.transport.close()


def heads_within(bytes_max: int, seconds_max: float) -> type[HeadLimit]:
    """What uvicorn is to make of each connection."""
    return type("BoundedHead", (HeadLimit,), {"bytes_max": bytes_max, "seconds_max": seconds_max})
