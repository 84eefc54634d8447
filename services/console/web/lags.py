"""How far each service lags behind what its topics hold, over connections that are kept.

Two consoles that asked with new connections each time took longer than anybody waits once their machine was
busy: each answer was some thirty round trips, one after the other.
"""

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from libs.runtime.settings import Settings
from services.console.on_demand import admin_on_demand, consumer_on_demand


class Lags:
    """Asks Kafka for what these services have committed, and for what there is."""

    def __init__(self, config: Settings, names: Sequence[str], patience_seconds: float) -> None:
        self._partitions, self._names, self._patience_seconds = config.partitions, names, patience_seconds
        self._admin, self._consumer = admin_on_demand(config), consumer_on_demand(config)

    async def __call__(self) -> Mapping[str, Mapping[int, int]]:
        """Records by lane that each has not committed; nothing where it never committed. Raises KafkaError,
        OSError, or TimeoutError, and next time comes by new connections."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await self._count()
        except (KafkaError, OSError, TimeoutError):
            await self.close()
            raise

    async def _count(self) -> Mapping[str, Mapping[int, int]]:
        admin, consumer = await self._admin(), await self._consumer()
        groups = [f"orderlog.{name}" for name in self._names]
        committed = await asyncio.gather(*map(admin.list_consumer_group_offsets, groups))
        places = {
            name: [
                TopicPartition(topic, number)
                for topic in {place.topic for place in offsets}
                for number in range(self._partitions)
            ]
            for name, offsets in zip(self._names, committed, strict=True)
        }
        every = sorted({place for mine in places.values() for place in mine})
        fresh = {
            place
            for name, offsets in zip(self._names, committed, strict=True)
            for place in places[name]
            if place not in offsets
        }
        ends = await consumer.end_offsets(every) if every else {}
        firsts = await consumer.beginning_offsets(sorted(fresh)) if fresh else {}
        lags: dict[str, dict[int, int]] = {name: {} for name in self._names}
        for name, offsets in zip(self._names, committed, strict=True):
            for place in places[name]:
                done = offsets[place].offset if place in offsets else firsts[place]
                lane = lags[name].setdefault(place.partition, 0)
                lags[name][place.partition] = lane + max(0, ends[place] - done)
        return lags

    async def close(self) -> None:
        """Let go of the connections."""
        await self._admin.close()
        await self._consumer.close()
