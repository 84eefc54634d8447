"""A flash sale: many more orders for one SKU than it has units, all at once, on the running stack.

Orders of one unit go straight to Kafka, as in `cli.bench.lifecycle`; inventory answers each with a promise or
with its place in the queue. What counts is that exactly as many are promised as there are units.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer

from cli.bench.drive import NODES, Drive, Lot, Progress, lot, tenant_name
from cli.bench.figures import percentile
from cli.bench.lag import open_lag
from cli.bench.lifecycle import AT_ONCE, submit
from cli.bench.orders import id_of
from libs.events.contract import Command
from libs.events.intake import SubmitOrder
from libs.events.inventory import ReceiveStock, StockBackordered, StockReceived, StockReserved
from libs.events.order import Destination, OrderLine
from libs.events.routing import DefineNode, NodeDefined
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

SKU = "FLASH"
_STALLED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Flash:
    """What one sale came to. Latencies are from the command's time to inventory's answer, in milliseconds."""

    orders: int
    units: int
    promised: int
    waiting: int
    seconds: float
    p50_ms: float
    p99_ms: float


async def flash(orders: int, units: int, progress: Progress) -> Flash:
    """Hold a sale. Complaint: the stack is not up, or stands still."""
    drive = Drive(settings(), tenant_name())
    async with open_lag(drive.settings) as lag:
        try:
            await _stock(drive, units)
            ready = list(_lots(drive, orders))
            await lag.gone()
            async with drive.watching("inventory") as heard:
                began = time.time()
                submitted: dict[str, float] = {}
                answered: dict[str, float] = {}
                sending = asyncio.create_task(submit(drive, ready, submitted, answered))
                said = await _answers(drive, heard, orders, answered, progress)
                await sending
        finally:
            await drive.stop()
    took = [(answered[key] - submitted[key]) * 1000 for key in answered]
    return Flash(
        orders,
        units,
        said[StockReserved.TYPE],
        said[StockBackordered.TYPE],
        round(max(answered.values()) - began, 3),
        round(percentile(took, 0.5), 1),
        round(percentile(took, 0.99), 1),
    )


async def _stock(drive: Drive, units: int) -> None:
    nodes: list[Command] = [
        DefineNode(node=node, name=node, country="GB", latitude=latitude, longitude=longitude)
        for node, latitude, longitude in NODES
    ]
    async with drive.watching("routing") as heard:
        await drive.publish("routing", lot(drive.tenant, nodes, drive.lane_of))
        await drive.wait(heard, NodeDefined.TYPE, 1, {})
    share, rest = divmod(units, len(NODES))
    quantities = [share + (place < rest) for place in range(len(NODES))]
    receipts: list[Command] = [
        ReceiveStock(sku=SKU, node=node, quantity=quantity)
        for (node, _, _), quantity in zip(NODES, quantities, strict=True)
        if quantity
    ]
    async with drive.watching("inventory") as heard:
        await drive.publish("inventory", lot(drive.tenant, receipts, drive.lane_of))
        await drive.wait(heard, StockReceived.TYPE, 1, {})


def _lots(drive: Drive, orders: int) -> Iterator[Lot]:
    for start in range(0, orders, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, orders))
        yield lot(drive.tenant, [_order(drive.tenant, number) for number in numbers], drive.lane_of)


def _order(tenant: str, number: int) -> SubmitOrder:
    return SubmitOrder(
        order_id=id_of(tenant, number),
        channel="bench",
        external_id=f"B{number}",
        placed_at=datetime.now(UTC),
        currency="GBP",
        lines=(OrderLine(line=1, sku=SKU, quantity=1, unit_price_minor=995),),
        destination=Destination(country="GB", latitude=51.0 + number % 5, longitude=-1.0),
    )


async def _answers(
    drive: Drive, heard: AIOKafkaConsumer, orders: int, answered: dict[str, float], progress: Progress
) -> Counter[str]:
    """Read until each order has its first answer; how many of each kind. Complaint: nothing new comes."""
    tenant, said = drive.tenant.encode(), Counter[str]()
    kinds = {kind.TYPE.encode(): kind.TYPE for kind in (StockReserved, StockBackordered)}
    heard_at = time.monotonic()
    while len(answered) < orders:
        for records in (await heard.getmany(timeout_ms=200)).values():
            now = time.time()
            for record in records:
                found, key = dict(record.headers), record.key.decode()
                kind = kinds.get(found["ce_type"])
                if kind is None or found["ce_tenant"] != tenant or key in answered:
                    continue
                answered[key], heard_at = now, time.monotonic()
                said[kind] += 1
        progress(len(answered), orders)
        drive.polled()
        if time.monotonic() - heard_at > _STALLED_SECONDS:
            raise Complaint(
                f"{len(answered)} of {orders} orders are answered; nothing new for {_STALLED_SECONDS:.0f} s.",
                "See `orderlog status` and `orderlog parked list`.",
            )
    return said
