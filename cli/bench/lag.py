"""Who has what still before them: records that a service has not taken, rows that a relay has not published.

Asked of the services' own databases, not of Kafka's copy of their offsets, which comes up to a second later.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, Settings

_STILL_SECONDS = 120.0
_EVERY_SECONDS = 0.1
_UNPUBLISHED = """
    SELECT coalesce(sum(next_decided - 1 - coalesce(published, 0)), 0)::bigint
    FROM lane LEFT JOIN relay USING (lane)"""


class Lag:
    """Open connections to every service's database, and to Kafka."""

    def __init__(self, databases: dict[str, asyncpg.Connection], kafka: AIOKafkaConsumer) -> None:
        self._databases, self._kafka = databases, kafka

    async def count(self) -> int:
        """Records and rows before all services together: 0 is rest."""
        before: int = 0
        next_offsets: list[tuple[TopicPartition, int]] = []
        for name, connection in self._databases.items():
            table = "live.consumed" if name == "console" else "consumed"
            for topic, partition, at in await connection.fetch(
                f"SELECT topic, partition, next_offset FROM {table}"  # noqa: S608
            ):
                next_offsets.append((TopicPartition(topic, partition), at))
            if name in STAGES:
                before += await connection.fetchval(_UNPUBLISHED)
        # The ends after the offsets: what was published in between counts as before them.
        ends = await self._kafka.end_offsets(sorted({place for place, _ in next_offsets}))
        unread: int = sum(max(0, ends[place] - at) for place, at in next_offsets)
        return before + unread

    async def gone(self) -> float:
        """Wait until nothing is before anybody; when that was, in epoch seconds.

        Complaint: two minutes long it did not become less.
        """

        def stands_still(left: int) -> Complaint:
            return Complaint(
                f"The services still have {left:,} records before them, and it does not become less.",
                "See `orderlog status`: is a service halted, or does something else send orders?",
            )

        await come_to_nothing(self.count, stands_still, _EVERY_SECONDS)
        return time.time()


async def come_to_nothing(
    count: Callable[[], Awaitable[int]],
    stands_still: Callable[[int], Complaint],
    every_seconds: float,
    seen: Callable[[int], None] = lambda left: None,
) -> None:
    """Wait until nothing is left; `seen` hears of each count before. Raises what `stands_still` makes of a
    count that did not become less for two minutes."""
    least, less_at = None, time.monotonic()
    while left := await count():
        seen(left)
        if least is None or left < least:
            least, less_at = left, time.monotonic()
        if time.monotonic() - less_at > _STILL_SECONDS:
            raise stands_still(left)
        await asyncio.sleep(every_seconds)


@asynccontextmanager
async def open_lag(settings: Settings) -> AsyncIterator[Lag]:
    """Ready to count."""
    async with AsyncExitStack() as stack:
        kafka = AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False)
        await kafka.start()
        stack.push_async_callback(kafka.stop)
        databases = {}
        for name in (*STAGES, "console"):
            databases[name] = await asyncpg.connect(settings.dsn(name))
            stack.push_async_callback(databases[name].close)
        yield Lag(databases, kafka)
