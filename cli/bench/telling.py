"""From a decision to the channels: how long after it was decided a change of stock is on their topic.

A change at a time, at a fixed pace, each of another SKU: a house at rest. The clock starts with the decision,
as its event tells it (`ce_time`), and stops when a reader of the topic has the SKU's new state; or that of
the bundle whose part it is.
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
from libs.events.bundles import BundleDefined, BundlePart, DefineBundle
from libs.events.contract import Command
from libs.events.inventory import AdjustStock, StockAdjusted
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings
from libs.runtime.stage import events_topic

_STALLED_SECONDS = 30.0
Place = tuple[str, int]
"""A SKU and its position; of a bundle, its own name, and how many could be sold once its part was changed."""


@dataclass(frozen=True, slots=True)
class Told:
    """Milliseconds from the decision to the reader."""

    changes: int
    p50_ms: float
    p99_ms: float


async def telling(per_second: float, changes: int, progress: Progress, *, bundles: bool = False) -> Told:
    """Change stock and see it told, each change of another SKU; with `bundles`, that of a bundle of one unit.

    Complaint: the stack is not up, or stands still.
    """
    drive = Drive(settings(), tenant_name())
    decided: dict[Place, float] = {}
    seen: dict[Place, float] = {}
    changes = min(changes, SKUS)
    try:
        await drive.fill(changes)
        if bundles:
            await _define_bundles(drive, changes)
        async with drive.reading(events_topic("inventory"), AVAILABILITY_TOPIC) as heard:
            changing = asyncio.create_task(_change(drive, per_second, changes))
            heard_at = time.monotonic()
            while len(took := [seen[place] - at for place, at in decided.items() if place in seen]) < changes:
                if await _hear(drive, heard, decided, seen, bundles=bundles):
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


async def _define_bundles(drive: Drive, count: int) -> None:
    commands: list[Command] = [
        DefineBundle(sku=_bundle(sku(number)), parts=(BundlePart(sku=sku(number), quantity=1),))
        for number in range(count)
    ]
    async with drive.watching("inventory") as heard:
        await drive.publish("inventory", lot(drive.tenant, commands, drive.lane_of))
        await drive.wait(heard, BundleDefined.TYPE, count, {})


def _bundle(part: str) -> str:
    return f"BOX-{part}"


async def _change(drive: Drive, per_second: float, changes: int) -> None:
    began = time.perf_counter()
    for number in range(changes):
        await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        change = AdjustStock(sku=sku(number), node="LON", delta=1, reason_code="bench")
        await drive.publish("inventory", lot(drive.tenant, [change], drive.lane_of))


async def _hear(
    drive: Drive,
    heard: AIOKafkaConsumer,
    decided: dict[Place, float],
    seen: dict[Place, float],
    *,
    bundles: bool,
) -> bool:
    """Note when changes were decided, and when states came; whether any did."""
    tenant, found = drive.tenant.encode(), False
    for records in (await heard.getmany(timeout_ms=200)).values():
        now = time.time()
        for record in records:
            headers = dict(record.headers)
            if headers["ce_tenant"] != tenant:
                continue
            body = orjson.loads(record.value)
            if record.topic == AVAILABILITY_TOPIC:
                counted = "available" if body.get("bundle_version") else "position"
                found = seen.setdefault((body["sku"], body[counted]), now) == now or found
            elif headers["ce_type"] == StockAdjusted.TYPE.encode():
                place = body["sku"], body["movements"][-1]["position"]
                decided[(_bundle(place[0]), drive.stocked + 1) if bundles else place] = _at(headers)
                found = True
    return found


def _at(headers: dict[str, bytes]) -> float:
    return datetime.fromisoformat(headers["ce_time"].decode()).timestamp()
