"""Submitted → released on the running stack: how many orders a second, and how long one takes.

Orders of three lines over a few hundred SKUs, stock for all of them, three nodes; no contact, so that no mail
is sent. Commands go straight to Kafka; the end is `FulfillmentReleased`, and then the end of what follows it.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cli.bench.drive import Drive, Lot, Progress, ready_lots, tenant_name
from cli.bench.figures import percentile
from cli.bench.lag import Lag, open_lag
from cli.bench.processor import micros_per_order, seconds_by_program
from libs.events.fulfillment import FulfillmentReleased
from libs.runtime.settings import settings

AT_ONCE = 250
IN_FLIGHT = 2_000
"""Orders submitted and not yet released at any moment: a steady load, not a heap that grows."""


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
    drained_seconds: float
    """Until notifications, returns and console had nothing before them either."""
    drained_orders_per_second: float
    drained_cpu_micros_per_order: dict[str, int]
    """By program, up to then: all that an order costs."""


async def lifecycle(orders: int, progress: Progress) -> Lifecycle:
    """Run it. Complaint: the stack is not up, or stands still."""
    chosen = settings()
    drive = Drive(chosen, tenant_name())
    async with open_lag(chosen) as lag:
        try:
            return await _measured(drive, lag, orders, progress)
        finally:
            await drive.stop()


async def _measured(drive: Drive, lag: Lag, orders: int, progress: Progress) -> Lifecycle:
    await drive.fill(orders)
    ready = ready_lots(drive.tenant, orders, AT_ONCE, drive.lane_of)
    await lag.gone()
    async with drive.watching("fulfillment") as heard:
        began, spent = time.time(), seconds_by_program()
        submitted: dict[str, float] = {}
        seen: dict[str, float] = {}
        sending = asyncio.create_task(submit(drive, ready, submitted, seen))
        await drive.wait(heard, FulfillmentReleased.TYPE, orders, seen, progress)
        released_cpu = micros_per_order(spent, seconds_by_program(), orders)
        await sending
    drained = await lag.gone() - began
    seconds = max(seen.values()) - began
    took = [(seen[key] - submitted[key]) * 1000 for key in seen]
    return Lifecycle(
        orders,
        round(seconds, 3),
        round(orders / seconds, 1),
        round(percentile(took, 0.5), 1),
        round(percentile(took, 0.99), 1),
        released_cpu,
        round(drained, 3),
        round(orders / drained, 1),
        micros_per_order(spent, seconds_by_program(), orders),
    )


async def submit(
    drive: Drive, ready: Iterable[Lot], submitted: dict[str, float], released: Mapping[str, float]
) -> None:
    """Publish lot after lot, as far as orders in flight allow it; notes in `submitted` when each went out."""
    for next_ in ready:
        await drive.room(lambda: len(submitted) - len(released) < IN_FLIGHT)
        now = time.time()
        submitted.update((key.decode(), now) for messages in next_.values() for key, *_ in messages)
        await drive.publish("intake", next_)
