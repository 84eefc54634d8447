"""Who waits for a command's outcome hears of it here: at once where it was decided, else by asking."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from libs.runtime.log import Handled, Log, LogRow, Writes

_ASK_AGAIN_SECONDS = 0.05
_ASK_AGAIN_SECONDS_MAX = 1.0


class Answers:
    """Waiters of one process, by (tenant, command id)."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: dict[tuple[str, UUID], list[asyncio.Future[None]]] = {}
        self._expected: dict[tuple[str, UUID], list[tuple[bytes, asyncio.Future[list[LogRow]]]]] = {}
        self._released = False

    @contextmanager
    def expecting(
        self, tenant: str, commands: Sequence[tuple[UUID, bytes]]
    ) -> Iterator[list[asyncio.Future[list[LogRow]]]]:
        """Futures of the rows that answer these commands (id and digest), where this process decides them.

        For who publishes many at once, before he does: what is decided here need not be read again. A command
        that another process decides, or that was decided before, is to be waited for.
        """
        loop = asyncio.get_running_loop()
        places, futures = [(tenant, id_) for id_, _ in commands], []
        for place, (_, digest) in zip(places, commands, strict=True):
            futures.append(future := loop.create_future())
            self._expected.setdefault(place, []).append((digest, future))
        try:
            yield futures
        finally:
            mine = set(futures)
            for place in places:
                left = [one for one in self._expected.pop(place, []) if one[1] not in mine]
                if left:
                    self._expected[place] = left

    def release(self) -> None:
        """Let everybody who waits go, and nobody wait from now on: the process ends."""
        self._released = True
        for waiters in self._waiting.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def committed(self, writes: Writes) -> None:
        """Wake whoever waits for a command that was just decided."""
        if self._expected and writes.handled:
            self._tell(writes.handled, writes.rows)
        if not self._waiting:
            return
        for handled in writes.handled:
            for waiter in self._waiting.pop((handled.tenant, handled.command_id), ()):
                if not waiter.done():
                    waiter.set_result(None)

    def _tell(self, decided: Iterable[Handled], rows: Iterable[LogRow]) -> None:
        places = {(row.lane, row.seq): row for row in rows if row.origin == "decided"}
        for handled in decided:
            for digest, future in self._expected.get((handled.tenant, handled.command_id), ()):
                if digest == handled.digest and not future.done():
                    last = handled.first_seq + handled.rows
                    future.set_result([places[handled.lane, seq] for seq in range(handled.first_seq, last)])

    async def wait(
        self, tenant: str, command_id: UUID, seconds: float, digest: bytes = b""
    ) -> list[LogRow] | None:
        """The rows that answered a command, or None when it is still undecided after `seconds`.

        Another process may decide it, so the log is asked as well, ever less often. `digest` tells it from
        another command under its id.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        place, pause = (tenant, command_id), _ASK_AGAIN_SECONDS
        while True:
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiting.setdefault(place, []).append(waiter)
            try:
                answer = await self._log.answer(tenant, command_id, digest)
                if answer is not None or self._released or loop.time() >= deadline:
                    return answer
                await asyncio.wait([waiter], timeout=min(pause, max(0, deadline - loop.time())))
                pause = min(2 * pause, _ASK_AGAIN_SECONDS_MAX)
            finally:
                waiters = self._waiting.get(place, [])
                if waiter in waiters:
                    waiters.remove(waiter)
                    if not waiters:
                        self._waiting.pop(place, None)
