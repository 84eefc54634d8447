"""Fills the search index from the topics, behind the read models and never in their way.

One process of all consoles does it at a time (a lock of the database), in small steps with pauses between
them: while orders come faster than that, the index is behind, and says by how much.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from libs.events.catalogue import Unreadable
from libs.events.contract import Event
from libs.runtime import wire
from libs.runtime.kafka import lone_consumer, record_of
from libs.runtime.pool import DATABASE_FAULTS
from libs.runtime.settings import Settings
from libs.runtime.stage import events_topic
from libs.runtime.wire import Record
from services.console.search.entries import HEARS, Article, Part, entries
from services.console.search.index import Moved, SearchIndex
from services.console.store import TopicPartition

logger = structlog.get_logger()

TOPICS = {events_topic(stage): stage for stage in HEARS}
_TYPES = {event.TYPE.encode() for events in HEARS.values() for event in events}
_RECORDS_MAX = 500
_SHARE = 0.2
"""How much of the time it may work while it is behind."""
_IDLE_MS = 500
_ERASURES_SECONDS = 5.0
_COMMON_SECONDS = 600.0
"""How often the commonest tokens are noted; PostgreSQL counts them when a tenth of the rows are new."""
_RETRY_SECONDS = 5.0
_LOCK = "SELECT pg_try_advisory_lock(hashtext('orderlog console search'))"
_FAULTS = (*DATABASE_FAULTS, KafkaError)


def read_entries(records: Iterable[Record]) -> tuple[list[Part], list[Article]]:
    """What records add. One that cannot be read adds nothing: the projection notes it."""
    parts: list[Part] = []
    articles: list[Article] = []
    for record in records:
        headers = dict(record.headers)
        if headers.get("ce_type") not in _TYPES:
            continue
        try:
            found = wire.context(record, headers)
            body = wire.body(found, record.value)
        except Unreadable:
            continue
        assert isinstance(body, Event), f"{found.type} is no event"
        more, named = entries(found.tenant, body)
        parts += more
        articles += named
    return parts, articles


class SearchFeed:
    """`run` it as a task; it ends only with its cancellation."""

    def __init__(
        self, settings: Settings, pool: asyncpg.Pool, index: SearchIndex, clock: Callable[[], float]
    ) -> None:
        self._settings, self._pool, self._index, self._clock = settings, pool, index, clock
        self._positions: dict[TopicPartition, int] = {}
        self._erasures_at = self._common_at = 0.0

    async def run(self) -> None:
        """Follow the topics whenever nobody else does; what fails is tried again."""
        while True:
            try:
                async with self._pool.acquire() as guard:
                    if await guard.fetchval(_LOCK):
                        await self._follow(guard)
            except Moved as moved:
                logger.warning("search index reads on from elsewhere", why=str(moved))
                continue
            except _FAULTS as error:
                logger.warning("search index waits", why=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self, guard: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        consumer = lone_consumer(self._settings, fetch_max_wait_ms=_IDLE_MS)
        await consumer.start()
        try:
            await self._seek(consumer)
            while True:
                await guard.execute("SELECT 1")  # the lock is ours as long as its connection lives
                await self._erase_if_due()
                await self._note_common_if_due()
                found = await consumer.getmany(timeout_ms=_IDLE_MS, max_records=_RECORDS_MAX)
                began = self._clock()
                await self._take(found)
                await asyncio.sleep((self._clock() - began) * (1 - _SHARE) / _SHARE)
        finally:
            await consumer.stop()

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        places = [KafkaPartition(topic, n) for topic in TOPICS for n in range(self._settings.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        self._positions = await self._index.positions()
        for place, end in ends.items():
            offset = self._positions.get((place.topic, place.partition), 0)
            # A topic that was made anew from the log: what was read of it is the same when it is read again.
            consumer.seek(place, offset if offset <= end else 0)

    async def _take(self, found: Mapping[KafkaPartition, Sequence[object]]) -> None:
        if not found:
            return
        offsets: dict[TopicPartition, tuple[int, int]] = {}
        records: list[Record] = []
        for place, raws in found.items():
            read = [record_of(raw) for raw in raws]
            records += read
            where = (place.topic, place.partition)
            offsets[where] = (self._positions.get(where, 0), read[-1].offset + 1)
        await self._index.apply(*read_entries(records), offsets)
        self._positions |= {where: next_ for where, (_, next_) in offsets.items()}

    async def _erase_if_due(self) -> None:
        if self._clock() >= self._erasures_at:
            self._erasures_at = self._clock() + _ERASURES_SECONDS
            if gone := await self._index.follow_erasures():
                logger.info("contacts taken out of the search index", orders=gone)

    async def _note_common_if_due(self) -> None:
        if self._clock() >= self._common_at:
            self._common_at = self._clock() + _COMMON_SECONDS
            await self._index.note_common()
