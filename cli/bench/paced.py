"""Orders at a pace that does not ask how the stack does: latency below its limit, and what happens beyond it.

An order's time counts from when it was due, not from when it got away: a stack that slows its caller down
does not look faster for it.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from cli.bench.drive import Drive, Lot, Progress, ready_lots, tenant_name
from cli.bench.figures import percentile
from cli.bench.lag import open_lag
from libs.events.fulfillment import FulfillmentReleased
from libs.events.intake import OrderAccepted
from libs.runtime.complaint import Complaint
from libs.runtime.relay import Message
from libs.runtime.settings import Settings, settings

_TICK_SECONDS = 0.02
"""Orders that are due within it are published together."""


@dataclass(frozen=True, slots=True)
class Paced:
    """What came of orders at a fixed pace. `accepted` and `released` are counted in the stages' logs."""

    orders: int
    offered_per_second: float
    """The pace that was really kept."""
    p50_ms: float
    p99_ms: float
    in_time: int
    """Orders released while orders still came in."""
    submitted_seconds: float
    released_seconds: float
    """From the first order to the last release."""
    drained_seconds: float
    accepted: int
    released: int
    releases: int
    """Release events: more than `released` would be orders released twice."""


async def paced(per_second: float, orders: int, progress: Progress, at_once: int = 0) -> Paced:
    """Submit `orders` at that pace, in lots of `at_once` (0: what is due within 20 ms), and wait for all.

    Complaint: the stack is not up, or stands still.
    """
    assert per_second > 0
    assert orders > 0
    chosen = settings()
    drive = Drive(chosen, tenant_name())
    async with open_lag(chosen) as lag:
        try:
            await drive.fill(orders)
            size = at_once or max(1, round(per_second * _TICK_SECONDS))
            ready = ready_lots(drive.tenant, orders, size, drive.lane_of)
            await lag.gone()
            due: dict[str, float] = {}
            seen: dict[str, float] = {}
            async with drive.watching("fulfillment") as heard:
                waiting = asyncio.create_task(
                    drive.wait(heard, FulfillmentReleased.TYPE, orders, seen, progress)
                )
                began = time.time()
                await send(drive, ready, size / per_second, due)
                ended = time.time()
                await waiting
            drained = await lag.gone()
        finally:
            await drive.stop()
    took = [(seen[key] - due[key]) * 1000 for key in seen]
    accepted, _ = await _counted(chosen, "intake", drive.tenant, OrderAccepted.TYPE)
    released, releases = await _counted(chosen, "fulfillment", drive.tenant, FulfillmentReleased.TYPE)
    return Paced(
        orders,
        round(orders / max(ended - began, size / per_second), 1),
        round(percentile(took, 0.5), 1),
        round(percentile(took, 0.99), 1),
        sum(at <= ended for at in seen.values()),
        round(ended - began, 3),
        round(max(seen.values()) - began, 3),
        round(drained - began, 3),
        accepted,
        released,
        releases,
    )


async def send(drive: Drive, ready: Sequence[Lot], every_seconds: float, due: dict[str, float]) -> None:
    """Hand over a lot at each tick, whether or not the one before was stored; notes when each was due.

    What waits for its lane goes out together, as in any producer. Complaint: Kafka did not store it.
    """
    outboxes: dict[int, asyncio.Queue[Sequence[Message]]] = {
        lane: asyncio.Queue() for lane in range(drive.settings.partitions)
    }
    began = time.time()
    try:
        async with asyncio.TaskGroup() as under_way:
            for lane, outbox in outboxes.items():
                under_way.create_task(_empty(drive, lane, outbox))
            for index, next_ in enumerate(ready):
                at = began + index * every_seconds
                await asyncio.sleep(max(0.0, at - time.time()))
                for lane, messages in next_.items():
                    due.update((key.decode(), at) for key, *_ in messages)
                    outboxes[lane].put_nowait(messages)
            for outbox in outboxes.values():
                outbox.put_nowait(())
    except ExceptionGroup as failed:
        raise Complaint(
            f"Kafka did not store what was sent: {failed.exceptions[0]}.", "See `orderlog logs kafka`."
        ) from failed


async def _empty(drive: Drive, lane: int, outbox: "asyncio.Queue[Sequence[Message]]") -> None:
    """Publish what is put into a lane's outbox, up to the empty lot that ends it."""
    ended = False
    while not ended:
        lots = [await outbox.get()]
        while not outbox.empty():
            lots.append(outbox.get_nowait())
        ended = not lots[-1]
        if messages := [message for one in lots for message in one]:
            await drive.publish("intake", {lane: messages})


async def _counted(chosen: Settings, stage: str, tenant: str, type_: str) -> tuple[int, int]:
    """Orders of a tenant with such an event in the stage's log, and how many such events."""
    connection = await asyncpg.connect(chosen.dsn(stage))
    try:
        row = await connection.fetchrow(
            "SELECT count(DISTINCT stream), count(*) FROM log WHERE tenant = $1 AND type = $2", tenant, type_
        )
    finally:
        await connection.close()
    assert row is not None
    return row[0], row[1]
