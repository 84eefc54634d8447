"""From a decision to the channels: how long after it was decided a change of stock is on their topic.

A change at a time, at a fixed pace, each of another SKU: a house at rest. The clock starts with the decision,
as its event tells it (`ce_time`), and stops when a reader of the topic has the SKU's new state.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

import orjson
from aiokafka import AIOKafkaConsumer

from cli.bench.drive import Drive, Progress, lot, tenant_name
from cli.bench.figures import percentile
from cli.bench.orders import SKUS, sku
from libs.events.availability import AVAILABILITY_TOPIC
from libs.events.inventory import AdjustStock, StockAdjusted
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings
from libs.runtime.stage import events_topic

_STALLED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """Milliseconds from the decision to the reader."""

    changes: int
    p50_ms: float
    p99_ms: float


async def telling(per_second: float, changes: int, progress: Progress) -> Told:
    """Change stock and see it told. Complaint: the stack is not up, or stands still."""
    drive = Drive(settings(), tenant_name())
    decided: dict[tuple[str, int], float] = {}
    seen: dict[tuple[str, int], float] = {}
    try:
        await drive.fill(changes)
        async with drive.reading(events_topic("inventory"), AVAILABILITY_TOPIC) as heard:
            changing = asyncio.create_task(_change(drive, per_second, changes))
            heard_at = time.monotonic()
            while len(took := [seen[place] - at for place, at in decided.items() if place in seen]) < changes:
                if await _hear(drive, heard, decided, seen):
                    heard_at = time.monotonic()
                progress(len(took), changes)
                if time.monotonic() - heard_at > _STALLED_SECONDS:
                    raise Complaint(
                        f"{len(took)} of {changes} changes were told; no more for {_STALLED_SECONDS:.0f} s.",
                        "See `orderlog status` and `orderlog logs inventory`.",
                    )
            await changing
    finally:
        await drive.stop()
    return Told(changes, percentile(took, 0.5) * 1000, percentile(took, 0.99) * 1000)


async def _change(drive: Drive, per_second: float, changes: int) -> None:
    began = time.perf_counter()
    for number in range(changes):
        await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        change = AdjustStock(sku=sku(number % SKUS), node="LON", delta=1, reason_code="bench")
        await drive.publish("inventory", lot(drive.tenant, [change], drive.lane_of))


async def _hear(
    drive: Drive,
    heard: AIOKafkaConsumer,
    decided: dict[tuple[str, int], float],
    seen: dict[tuple[str, int], float],
) -> bool:
    """Note when changes were decided, and when states came, both by SKU and position; whether any did."""
    tenant, found = drive.tenant.encode(), False
    for records in (await heard.getmany(timeout_ms=200)).values():
        now = time.time()
        for record in records:
            headers = dict(record.headers)
            if headers["ce_tenant"] != tenant:
                continue
            body = orjson.loads(record.value)
            if record.topic == AVAILABILITY_TOPIC:
                found = seen.setdefault((body["sku"], body["position"]), now) == now or found
            elif headers["ce_type"] == StockAdjusted.TYPE.encode():
                decided[body["sku"], body["movements"][-1]["position"]] = _at(headers)
                found = True
    return found


def _at(headers: dict[str, bytes]) -> float:
    return datetime.fromisoformat(headers["ce_time"].decode()).timestamp()
