"""No answer waits without a bound for who asked to take it: what is written for somebody who reads nothing
lies in memory, and the request keeps its place among those that are answered, or its stream, for ever."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TAKEN_BYTES_MIN = 16_384
"""What must be taken in that time of an answer that is larger: else a byte now and then would do."""


class AnswerLimit(HttpToolsProtocol):
    """A connection. It is cut when hardly anything of what waits for its client was taken within
    `answer_seconds_max`, be it an answer under way or the last of one that is to be closed."""

    answer_seconds_max: ClassVar[float]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._untaken: asyncio.TimerHandle | None = None
        """While something waits that the client has not taken."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_client()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._end_wait_for_client()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_wait_for_client()
        super().connection_lost(exc)

    def close_in_time(self) -> None:
        """Close the connection once what was written is taken, if that is soon."""
        self.transport.close()
        self._wait_for_client()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._wait_for_client()

    def timeout_keep_alive_handler(self) -> None:
        if not self.transport.is_closing():
            self.close_in_time()

    def _wait_for_client(self) -> None:
        self._end_wait_for_client()
        waits = self.transport.get_write_buffer_size()
        self._untaken = self.loop.call_later(self.answer_seconds_max, self._look_at_client, waits)

    def _end_wait_for_client(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _look_at_client(self, waited: int) -> None:
        if waited - self.transport.get_write_buffer_size() < _TAKEN_BYTES_MIN:
            self.transport.abort()
        else:
            self._wait_for_client()
