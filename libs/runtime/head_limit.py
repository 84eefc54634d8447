"""No head of a request is waited for without a bound, or kept whatever its size: before it is whole no
application sees it, and a connection that sends one slowly would be held for ever."""

import asyncio
from typing import Any, ClassVar

from libs.runtime.answer_limit import AnswerLimit
from libs.runtime.problems import Problem

_AROUND = 8
"""Bytes that may come around a byte of a body: one that comes in pieces of a byte each has five."""


class HeadLimit(AnswerLimit):
    """A connection. It is answered 408 and closed when a head is not whole within `seconds_max` of its first
    byte, and 431 when it is not whole after `bytes_max`; closed alone when nothing that is asked comes for as
    long, be it no byte at all, blank lines, or what was still to come of a request that was answered, and
    when as much comes around a body's pieces, or behind them. `heads_within` sets all."""

    bytes_max: ClassVar[int]
    seconds_max: ClassVar[float]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head, self._bytes = False, 0
        """Whether a head has begun that is not whole; of it, or of what is around a body, what has come."""
        self._alone = True
        """Whether what was received last is of one head or body alone."""
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
        self._in_head, self._bytes = True, 0
        self._wait_for_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what stands behind a body in pieces is no part of its head
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._bytes, self._alone = False, 0, False
        self._end_wait()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes -= _AROUND * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._alone = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        self._alone = True
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._alone:
            self._bytes += len(data)
        if self._bytes > self.bytes_max:
            self._too_large()
        elif self._late is None and not self._answering and self.timeout_keep_alive_task is None:
            self._wait_for_head()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._end_wait()
        self._late = self.loop.call_later(self.seconds_max, self._too_late)

    def _end_wait(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        if self._answering:
            self._wait_for_head()  # of a request behind one that is being answered
            return
        if not self._in_head:
            self.close_in_time()
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

    def _too_large(self) -> None:
        if self._answering or not self._in_head:
            self.close_in_time()  # an answer would be taken for a part of another
            return
        self._refuse(
            Problem(
                431,
                "head_too_large",
                "The request's head is too large",
                f"It was not whole after the {self.bytes_max} bytes that are allowed.",
                "Send fewer or shorter headers, and a shorter path.",
            )
        )

    def _refuse(self, problem: Problem) -> None:
        self._end_wait()
        answer = problem.response()
        head = [b"HTTP/1.1 %d %s\r\n" % (problem.status, problem.title.encode())]
        head += [name + b": " + value + b"\r\n" for name, value in answer.raw_headers]
        self.transport.write(b"".join((*head, b"connection: close\r\n\r\n", bytes(answer.body))))
        self.close_in_time()


def heads_within(bytes_max: int, seconds_max: float, answer_seconds_max: float) -> type[HeadLimit]:
    """What uvicorn is to make of each connection."""
    bounds = {"bytes_max": bytes_max, "seconds_max": seconds_max, "answer_seconds_max": answer_seconds_max}
    return type("BoundedHead", (HeadLimit,), bounds)
