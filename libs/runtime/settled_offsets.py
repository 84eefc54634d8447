"""Offsets that a stage may tell Kafka: all that the records before them led to is published.

Kafka's copy is a hint for lag, and what a recovery builds on when the database is gone: with an offset whose
events were decided and not published yet it would lose them.
"""

from collections.abc import Mapping

import asyncpg

from libs.runtime.log import TopicPartition

_ENDS = """
    SELECT lane, next_decided - 1 AS decided, coalesce(published, 0) AS published
    FROM lane LEFT JOIN relay USING (lane)"""


class SettledOffsets:
    """`advance` it now and then; `offsets` are what may be committed."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting: dict[int, tuple[dict[TopicPartition, int], int]] = {}
        self.offsets: dict[TopicPartition, int] = {}

    async def advance(self, positions: Mapping[TopicPartition, int]) -> None:
        """Take up how far the loop is, and settle what has been published since it was taken up.

        Raises what asyncpg raises when the database does not answer.
        """
        if not self._waiting and positions == self.offsets:
            return
        now: dict[int, dict[TopicPartition, int]] = {}
        for place, offset in positions.items():
            now.setdefault(place[1], {})[place] = offset
        # The positions first: what they led to is in the log by the time that it is asked.
        ends = {row["lane"]: (row["decided"], row["published"]) for row in await self._pool.fetch(_ENDS)}
        self.offsets = {place: offset for place, offset in self.offsets.items() if place in positions}
        self._waiting = {lane: waiting for lane, waiting in self._waiting.items() if lane in now}
        for lane, reached in now.items():
            decided, published = ends.get(lane, (0, 0))
            before, needed = self._waiting.pop(lane, (reached, decided))
            if published >= needed:
                self.offsets |= before
                before, needed = reached, decided
            if published >= needed:
                self.offsets |= before
            else:
                self._waiting[lane] = before, needed
