"""Drives the running stack: commands straight to Kafka, as an integrator would, and what comes of them.

Commands are encoded before the clock starts: who orders is no part of what is measured.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition

from cli.bench.orders import SKUS, order, sku
from libs.events.catalogue import encode
from libs.events.contract import Command
from libs.events.envelope import Envelope
from libs.events.ids import partition_key
from libs.events.inventory import ReceiveStock, StockReceived
from libs.events.places import STANDARD, NodeOperations, TransitBand
from libs.events.routing import DefineNode, DefineTransit, NodeDefined, TransitDefined
from libs.runtime import wire
from libs.runtime.complaint import Complaint
from libs.runtime.kafka import KafkaPublisher, Lanes, fetch_together
from libs.runtime.relay import Message
from libs.runtime.settings import Settings
from libs.runtime.stage import commands_topic, events_topic

NODES = (("LON", 51.5, -0.1), ("MAN", 53.5, -2.2), ("GLA", 55.9, -4.3))
_HOURS = NodeOperations(time_zone="Europe/London", cut_off="14:00", processing_days=1)
_BANDS = (TransitBand(km_max=150, days=1), TransitBand(km_max=600, days=2), TransitBand(days=3))
_STALLED_SECONDS = 60.0
_UNITS_MAX = 1_000_000

Progress = Callable[[int, int], None]
"""Told how many are done, and how many there are."""
Lot = Mapping[int, Sequence[Message]]
"""Commands ready to be published, by lane."""


def tenant_name() -> str:
    """A tenant that no other run has."""
    return f"bench-{time.time_ns() // 1_000_000}"


def message(tenant: str, command: Command, id_: UUID | None = None) -> tuple[str, Message]:
    """A command on the wire, and its key."""
    now, id_ = datetime.now(UTC), id_ or uuid4()
    envelope = Envelope(id_, tenant, command.stream, command, now, "bench", "", id_, id_, "orderlog/bench")
    key = partition_key(tenant, command.stream)
    headers = [
        _SHARED.setdefault(pair, pair) if pair[0] in _SAME else pair for pair in wire.headers(envelope)
    ]
    return key, (key.encode(), encode(command), headers, int(now.timestamp() * 1000))


_SAME = frozenset({"ce_specversion", "ce_source", "ce_type", "ce_typeversion", "ce_dataschema", "ce_actor"})
_SAME |= {"content-type", "ce_tenant"}
_SHARED: dict[tuple[str, bytes], tuple[str, bytes]] = {}
"""Headers that a hundred thousand commands have in common, once in memory."""


def lot(tenant: str, commands: Iterable[Command], lane_of: Callable[[str], int]) -> dict[int, list[Message]]:
    """Commands as they are published, by lane."""
    by_lane: dict[int, list[Message]] = {}
    for command in commands:
        key, ready = message(tenant, command)
        by_lane.setdefault(lane_of(key), []).append(ready)
    return by_lane


def lots(tenant: str, orders: int, size: int, lane_of: Callable[[str], int]) -> Iterator[Lot]:
    """Orders in lots of `size`."""
    for start in range(0, orders, size):
        yield lot(tenant, [order(tenant, n) for n in range(start, min(start + size, orders))], lane_of)


def ready_lots(tenant: str, orders: int, size: int, lane_of: Callable[[str], int]) -> list[Lot]:
    """All lots, ready before the clock starts, and never looked through for reference cycles."""
    made = list(lots(tenant, orders, size, lane_of))
    gc.freeze()
    return made


def enough_for(orders: int) -> int:
    """Units of a SKU at each node that so many orders cannot exhaust."""
    return min(_UNITS_MAX, orders * 3 + 1)


def stock(orders: int, *, dated: bool = False) -> list[list[Command]]:
    """Nodes, then enough of each SKU at each of them for so many orders. `dated`: when the nodes work and how
    long carriers travel is known, so that a date can be promised."""
    enough = enough_for(orders)
    hours = _HOURS if dated else None
    nodes: list[Command] = [
        DefineNode(
            node=node, name=node, country="GB", latitude=latitude, longitude=longitude, operations=hours
        )
        for node, latitude, longitude in NODES
    ]
    if dated:
        nodes.append(DefineTransit(service=STANDARD, bands=_BANDS))
    receipts: list[Command] = [
        ReceiveStock(sku=sku(number), node=node, quantity=enough)
        for node, _, _ in NODES
        for number in range(SKUS)
    ]
    return [nodes, receipts]


class Drive:
    """A publisher of one tenant's commands, and a reader of the stages' events."""

    def __init__(self, settings: Settings, tenant: str) -> None:
        self.settings, self.tenant = settings, tenant
        self.lane_of = Lanes(settings.partitions)
        self.stocked = 0
        """Units of each SKU that `fill` left, at all nodes."""
        self._publisher = KafkaPublisher(settings, "bench")
        self._polled = asyncio.Event()

    async def publish(self, stage: str, ready: Lot) -> None:
        """Publish commands, a batch a lane; returns once Kafka has stored them."""
        topic = commands_topic(stage)
        await asyncio.gather(
            *(self._publisher.publish(topic, lane, messages) for lane, messages in ready.items())
        )

    @asynccontextmanager
    async def watching(self, stage: str) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer that sees what the stage publishes from now on."""
        async with self.reading(events_topic(stage)) as consumer:
            yield consumer

    @asynccontextmanager
    async def reading(self, *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer that sees what is published on these topics from now on."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka, enable_auto_commit=False)
        await consumer.start()
        fetch_together(consumer)
        try:
            lanes = range(self.settings.partitions)
            places = [TopicPartition(topic, lane) for topic in topics for lane in lanes]
            consumer.assign(places)
            await consumer.seek_to_end(*places)
            for place in places:
                await consumer.position(place)
            yield consumer
        finally:
            await consumer.stop()

    async def room(self, is_there: Callable[[], bool]) -> None:
        """Return once there is room for more, as each poll of `wait` may make."""
        while not is_there():
            self._polled.clear()
            await self._polled.wait()

    def polled(self) -> None:
        """Whoever reads by itself has read: there may be room for more."""
        self._polled.set()

    async def wait(
        self,
        consumer: AIOKafkaConsumer,
        type_: str,
        count: int,
        seen: dict[str, float],
        progress: Progress = lambda *_: None,
    ) -> None:
        """Note in `seen` when (epoch seconds) each stream's first such event came, until `count` have.

        Complaint: nothing new has come for a minute.
        """
        tenant, wanted = self.tenant.encode(), type_.encode()
        heard_at = time.monotonic()
        while len(seen) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                now = time.time()
                for record in records:
                    found = dict(record.headers)
                    if found["ce_tenant"] == tenant and found["ce_type"] == wanted:
                        seen.setdefault(record.key.decode(), now)
                        heard_at = time.monotonic()
            progress(len(seen), count)
            self._polled.set()
            if time.monotonic() - heard_at > _STALLED_SECONDS:
                raise Complaint(
                    f"Only {len(seen)} of {count} came through; nothing new for {_STALLED_SECONDS:.0f} s.",
                    "See `orderlog status` and `orderlog parked list`.",
                )

    async def fill(self, orders: int, *, dated: bool = False) -> None:
        """Nodes, and stock for so many orders, as `stock` has them."""
        nodes, receipts = stock(orders, dated=dated)
        self.stocked = len(NODES) * enough_for(orders)
        async with self.watching("routing") as heard:
            await self.publish("routing", lot(self.tenant, nodes, self.lane_of))
            last = TransitDefined if dated else NodeDefined
            await self.wait(heard, last.TYPE, 1, {})  # a tenant's nodes are one stream
        async with self.watching("inventory") as heard:
            await self.publish("inventory", lot(self.tenant, receipts, self.lane_of))
            await self.wait(heard, StockReceived.TYPE, SKUS, {})

    async def stop(self) -> None:
        await self._publisher.stop()
