"""Submitted → released on the running stack: how many orders a second, and how long one takes.

Orders of three lines over a few hundred SKUs, stock for all of them, three nodes; no contact, so that no mail
is sent. Commands go straight to Kafka, as an integrator's would; the end is `FulfillmentReleased`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition

from cli.bench.processor import micros_per_order, seconds_by_program
from libs.events.catalogue import encode
from libs.events.contract import Command
from libs.events.envelope import Envelope
from libs.events.fulfillment import FulfillmentReleased
from libs.events.ids import order_id, partition_key
from libs.events.intake import SubmitOrder
from libs.events.inventory import ReceiveStock, StockReceived
from libs.events.order import Destination, OrderLine
from libs.events.routing import DefineNode, NodeDefined
from libs.runtime import wire
from libs.runtime.complaint import Complaint
from libs.runtime.kafka import KafkaPublisher, Lanes
from libs.runtime.relay import Message
from libs.runtime.settings import Settings, settings
from libs.runtime.stage import commands_topic, events_topic

SKUS = 300
LINES = 3
NODES = (("LON", 51.5, -0.1), ("MAN", 53.5, -2.2), ("GLA", 55.9, -4.3))
_AT_ONCE = 250
IN_FLIGHT = 2_000
"""Orders submitted and not yet released at any moment: a steady load, not a heap that grows."""
_STALLED_SECONDS = 60.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What one run reached. Latencies are from the command's time to the release's, in milliseconds."""

    orders: int
    seconds: float
    orders_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_micros_per_order: dict[str, int]
    """By program, up to the last release: what trails behind (mail, read models) is counted so far."""


class Bench:
    """A publisher of commands of one tenant, and a reader of what comes of them."""

    def __init__(self, chosen: Settings, tenant: str) -> None:
        self._settings, self._tenant = chosen, tenant
        self._publisher = KafkaPublisher(chosen, "bench")
        self._lane_of = Lanes(chosen.partitions)
        self._polled = asyncio.Event()

    async def close(self) -> None:
        await self._publisher.stop()

    async def watch(self, topic: str) -> AIOKafkaConsumer:
        """A consumer that sees what is published to the topic from now on."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.kafka, enable_auto_commit=False)
        await consumer.start()
        places = [TopicPartition(topic, number) for number in range(self._settings.partitions)]
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        for place in places:
            await consumer.position(place)
        return consumer

    async def room(self, is_there: Callable[[], bool]) -> None:
        """Return once there is room for more, as each poll of `wait` may make."""
        while not is_there():
            self._polled.clear()
            await self._polled.wait()

    async def send(self, stage: str, commands: Sequence[Command]) -> None:
        """Publish commands, each in its lane, a batch a lane."""
        by_lane: dict[int, list[Message]] = {}
        now = datetime.now(UTC)
        for command in commands:
            id_ = uuid4()
            envelope = Envelope(
                id_, self._tenant, command.stream, command, now, "bench", "", id_, id_, "orderlog/bench"
            )
            key = partition_key(self._tenant, command.stream)
            message = (key.encode(), encode(command), wire.headers(envelope), int(now.timestamp() * 1000))
            by_lane.setdefault(self._lane_of(key), []).append(message)
        topic = commands_topic(stage)
        await asyncio.gather(
            *(self._publisher.publish(topic, lane, messages) for lane, messages in by_lane.items())
        )

    async def wait(
        self,
        consumer: AIOKafkaConsumer,
        type_: str,
        count: int,
        progress: Progress,
        seen: dict[str, float],
    ) -> None:
        """Note in `seen` when (epoch seconds) each stream's first such event came, until `count` have."""
        tenant, wanted = self._tenant.encode(), type_.encode()
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


async def lifecycle(orders: int, progress: Progress) -> Lifecycle:
    """Run it. Complaint: the stack is not up, or stands still."""
    tenant = f"bench-{int(time.time())}"
    bench = Bench(settings(), tenant)
    try:
        await _stock(bench, orders)
        consumer = await bench.watch(events_topic("fulfillment"))
        began, spent = time.time(), seconds_by_program()
        submitted: dict[str, float] = {}
        seen: dict[str, float] = {}
        sending = asyncio.create_task(_submit(bench, tenant, orders, submitted, seen))
        await bench.wait(consumer, FulfillmentReleased.TYPE, orders, progress, seen)
        cpu = micros_per_order(spent, seconds_by_program(), orders)
        await sending
        await consumer.stop()
    finally:
        await bench.close()
    seconds = max(seen.values()) - began
    took = sorted(seen[key] - submitted[key] for key in seen)
    return Lifecycle(
        orders,
        round(seconds, 3),
        round(orders / seconds, 1),
        round(took[len(took) // 2] * 1000, 1),
        round(took[int(len(took) * 0.99)] * 1000, 1),
        cpu,
    )


async def _stock(bench: Bench, orders: int) -> None:
    """Nodes, and enough of each SKU at each of them."""
    nodes = await bench.watch(events_topic("routing"))
    await bench.send(
        "routing",
        [
            DefineNode(node=node, name=node, country="GB", latitude=lat, longitude=lon)
            for node, lat, lon in NODES
        ],
    )
    await bench.wait(nodes, NodeDefined.TYPE, 1, lambda *_: None, {})
    await nodes.stop()
    received = await bench.watch(events_topic("inventory"))
    enough = min(1_000_000, orders * LINES + 1)
    for node, _, _ in NODES:
        receipts = [ReceiveStock(sku=f"SKU-{n:04}", node=node, quantity=enough) for n in range(SKUS)]
        await bench.send("inventory", receipts)
    await bench.wait(received, StockReceived.TYPE, SKUS, lambda *_: None, {})
    await received.stop()


async def _submit(
    bench: Bench, tenant: str, orders: int, submitted: dict[str, float], released: Mapping[str, float]
) -> None:
    for start in range(0, orders, _AT_ONCE):
        await bench.room(lambda sent=start: sent - len(released) < IN_FLIGHT)  # type: ignore[misc]
        batch = [_order(tenant, n) for n in range(start, min(start + _AT_ONCE, orders))]
        now = time.time()
        submitted |= {partition_key(tenant, order.order_id): now for order in batch}
        await bench.send("intake", batch)


def _order(tenant: str, number: int) -> SubmitOrder:
    external = f"B{number}"
    lines = tuple(
        OrderLine(
            line=i + 1, sku=f"SKU-{(number * 7 + i * 101) % SKUS:04}", quantity=1 + i, unit_price_minor=995
        )
        for i in range(LINES)
    )
    return SubmitOrder(
        order_id=order_id(tenant, "bench", external),
        channel="bench",
        external_id=external,
        placed_at=datetime.now(UTC),
        currency="GBP",
        lines=lines,
        destination=Destination(country="GB", latitude=51.0 + number % 5, longitude=-1.0),
    )
