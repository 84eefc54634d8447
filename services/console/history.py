"""An order's events as they lie on the topics: the raw document of each, and the order as it once stood.

The read models keep of an event its place in its sender's log (stage, lane, sequence), not its content. A
record with sequence n of a lane lies at offset n - 1 or, where the relay repeated some before it, behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.record import record
from libs.runtime.kafka import record_of
from libs.runtime.log import Unavailable
from libs.runtime.settings import Settings
from libs.runtime.stage import events_topic
from libs.runtime.wire import Record
from services.console.facts import INITIAL, State
from services.console.on_demand import consumer_on_demand
from services.console.orders import evolve
from services.console.origin import order_of
from services.console.records import read

KEPT_MAX = 2_000
"""Records that a process keeps, some 3 kB each: who moves through an order's time reads its topics once."""
_READS_MAX = 50
_FETCH_BYTES = 64 * 1024
_SILENCE_MS = 3_000

ReadFrom = Callable[[str, int, int], Awaitable[Sequence[Record]]]
"""Records of a topic's partition from an offset on, some of them; none at its end. Raises Unavailable."""


@record
class Place:
    """Where an event stands in its sender's log."""

    stage: str
    lane: int
    sequence: int


class History:
    """Finds records by their place. Safe to use by many at once; they take turns at `read_from`."""

    def __init__(self, read_from: ReadFrom) -> None:
        self._read_from = read_from
        self._kept: dict[Place, Record] = {}
        self._turn = asyncio.Lock()

    async def record(self, place: Place) -> Record | None:
        """The record, or none where the topic holds it no more. Raises Unavailable."""
        async with self._turn:
            known = self._kept.get(place)
            if known is None:
                known = await self._find(place)
                if known is not None:
                    self._kept[place] = known
                    if len(self._kept) > KEPT_MAX:
                        del self._kept[next(iter(self._kept))]
            return known

    async def envelopes(self, places: Iterable[Place]) -> list[Envelope[Event]]:
        """Their events, those that can be read. Raises Unavailable, and NewerEvent as `records.read` does."""
        found = [await self.record(place) for place in places]
        events = [read(one) for one in found if one is not None]
        return [event for event in events if isinstance(event, Envelope)]

    async def _find(self, place: Place) -> Record | None:
        topic, offset = events_topic(place.stage), max(0, place.sequence - 1)
        for _ in range(_READS_MAX):
            records = await self._read_from(topic, place.lane, offset)
            if not records:
                return None
            reached = 0
            for one in records:
                sequence = _sequence(one)
                if sequence == place.sequence:
                    return one
                reached = max(reached, sequence)
            # A record's sequence is one more than the highest before it at most: it cannot come earlier.
            offset = max(records[-1].offset + 1, records[-1].offset + place.sequence - reached)
        return None


def as_of(events: Iterable[Envelope[Event]], order_id: str, at: datetime) -> State:
    """The order's state as of then: what had been decided by that moment, whenever it was heard."""
    state = INITIAL
    told = [event for event in events if event.at <= at and order_of(event) == order_id]
    for event in sorted(told, key=lambda event: (event.at, event.source, event.lane, event.sequence)):
        state = evolve(state, event)
    return state


class TopicTail:
    """Reads from any place of the events topics (`ReadFrom`), over one consumer, made when it is needed."""

    def __init__(self, config: Settings) -> None:
        self._settings = config
        self._consumer = consumer_on_demand(
            config, max_partition_fetch_bytes=_FETCH_BYTES, fetch_max_wait_ms=10
        )

    async def __call__(self, topic: str, partition: int, offset: int) -> Sequence[Record]:
        place = TopicPartition(topic, partition)
        try:
            async with asyncio.timeout(self._settings.read_timeout_seconds):
                consumer = await self._consumer()
                consumer.assign([place])
                consumer.seek(place, offset)
                found = await consumer.getmany(place, timeout_ms=_SILENCE_MS)
        except (KafkaError, TimeoutError) as error:
            await self.close()
            raise Unavailable(f"Kafka: {type(error).__name__}: {error}") from error
        return [record_of(raw) for raw in found.get(place, [])]

    async def close(self) -> None:
        """Let go of the connection, if there is one."""
        await self._consumer.close()


def _sequence(found: Record) -> int:
    """0 of what is no event."""
    try:
        return int(dict(found.headers).get("ce_sequence", b"0"))
    except (TypeError, ValueError):
        return 0
