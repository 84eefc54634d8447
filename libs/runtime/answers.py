"""Who waits for a command's outcome hears of it here: at once where it was decided, else by asking."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from libs.runtime.log import Handled, Log, LogRow, Writes

_ASK_AGAIN_SECONDS = 0.05
_ASK_AGAIN_SECONDS_MAX = 1.0
_FEW = 100
Answer = asyncio.Future[list[LogRow] | None]
"""The rows that a command led to, once it is decided; None where the log is to be asked for them."""


class Answers:
    """Waiters of one process, by (tenant, command id)."""

    def __init__(self, log: Log, decides: Callable[[int], bool] = lambda _: False) -> None:
        """`decides` says whether this process decides what comes in a lane: it need not ask then."""
        self._log, self._decides = log, decides
        self._expected: dict[tuple[str, UUID], list[tuple[bytes, Answer]]] = {}
        self._released = False

    @contextmanager
    def expecting(self, tenant: str, commands: Sequence[tuple[UUID, bytes]]) -> Iterator[list[Answer]]:
        """Futures of the answers to these commands (id and digest), for who is about to publish them: what is
        decided here need not be read again."""
        loop = asyncio.get_running_loop()
        places, futures = [(tenant, id_) for id_, _ in commands], list[Answer]()
        for place, (_, digest) in zip(places, commands, strict=True):
            futures.append(future := loop.create_future())
            self._expected.setdefault(place, []).append((digest, future))
        if self._released:
            self.release()
        try:
            yield futures
        finally:
            mine = set(futures)
            for place in places:
                left = [one for one in self._expected.pop(place, []) if one[1] not in mine]
                if left:
                    self._expected[place] = left

    def awaited(self) -> bool:
        """Whether somebody waits for an outcome, and not so many that taking them together is quicker."""
        return 0 < len(self._expected) <= _FEW

    def release(self) -> None:
        """Let everybody who waits go, and nobody wait from now on: the process ends."""
        self._released = True
        for place in list(self._expected):
            self._ask(place)

    def committed(self, writes: Writes) -> None:
        """Tell whoever waits for a command that was just decided, or had been before."""
        if not self._expected:
            return
        if writes.handled:
            self._tell(writes.handled, writes.rows)
        for place in writes.repeated:
            self._ask(place)

    def _tell(self, decided: Iterable[Handled], rows: Iterable[LogRow]) -> None:
        places = {(row.lane, row.seq): row for row in rows if row.origin == "decided"}
        for handled in decided:
            for digest, future in self._expected.get((handled.tenant, handled.command_id), ()):
                if digest == handled.digest and not future.done():
                    last = handled.first_seq + handled.rows
                    future.set_result([places[handled.lane, seq] for seq in range(handled.first_seq, last)])

    def _ask(self, place: tuple[str, UUID]) -> None:
        for _, future in self._expected.get(place, ()):
            if not future.done():
                future.set_result(None)

    async def outcome(
        self, answer: Answer, tenant: str, command: tuple[UUID, bytes], lane: int, seconds: float
    ) -> list[LogRow] | None:
        """The rows that answered a command (id and digest) of a lane, or None when it is undecided after
        `seconds`. Raises Unavailable.

        Another process may decide it, so the log is asked as well, ever less often; seldom where it is to be
        decided here, for a batch that was committed though its connection broke.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        pause = _ASK_AGAIN_SECONDS_MAX if self._decides(lane) else _ASK_AGAIN_SECONDS
        while True:
            asked = answer.done()
            await asyncio.wait([answer], timeout=min(pause, max(0, deadline - loop.time())))
            if answer.done() and (rows := answer.result()) is not None:
                return rows
            found = await self._log.answer(tenant, *command)
            if found is not None or self._released or loop.time() >= deadline:
                return found
            if asked:
                await asyncio.sleep(min(pause, max(0, deadline - loop.time())))
            pause = min(2 * pause, _ASK_AGAIN_SECONDS_MAX)

    async def known(self, tenant: str, command_id: UUID) -> list[LogRow] | None:
        """The rows that answered a command, or None while it is undecided. Raises Unavailable."""
        return await self._log.answer(tenant, command_id)
