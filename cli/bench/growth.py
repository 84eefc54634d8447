"""How large the logs are: orders in them, and what they take on disk."""

import asyncio
from pathlib import Path

import asyncpg

from cli.bench.drive import Drive, Progress, lots, tenant_name
from cli.bench.lag import open_lag
from cli.bench.lifecycle import AT_ONCE, submit
from deploy.local.stack import home
from libs.events.fulfillment import FulfillmentReleased
from libs.events.intake import OrderAccepted
from libs.runtime.settings import STAGES, Settings, settings

_LOT = 20_000
"""Orders of one tenant while the log grows: their commands are in memory at once."""


async def orders_in_log() -> int:
    """Orders that intake ever accepted."""
    connection = await asyncpg.connect(settings().dsn("intake"))
    try:
        found = await connection.fetchval("SELECT count(*) FROM log WHERE type = $1", OrderAccepted.TYPE)
    finally:
        await connection.close()
    return int(found)


async def disk_bytes() -> dict[str, int]:
    """What is stored: the databases of stages and console, and Kafka's topics where they are ours.

    PostgreSQL's write-ahead log is not in it: it is recycled, and does not grow with the orders.
    """
    chosen = settings()
    sizes = {"databases": 0}
    for name in (*STAGES, "console"):
        connection = await asyncpg.connect(chosen.dsn(name))
        sizes["databases"] += await connection.fetchval("SELECT pg_database_size(current_database())")
        await connection.close()
    logs = await asyncio.to_thread(_blocks, home().kafka)
    return sizes | ({"topics": logs} if logs else {})


def _blocks(folder: Path) -> int:
    """Bytes that the lifecycle's topics take; index files are mostly holes."""
    return sum(file.stat().st_blocks * 512 for file in folder.glob("**/oms.*/*") if file.is_file())


async def grow(to: int, progress: Progress) -> None:
    """Send orders until the log holds so many."""
    chosen = settings()
    began_at = await orders_in_log()
    done = began_at
    async with open_lag(chosen) as lag:
        while done < to:
            orders = min(_LOT, to - done)
            before = done
            await _send(chosen, orders, lambda seen, _, before=before: progress(before + seen, to))  # type: ignore[misc]
            await lag.gone()
            done += orders


async def _send(chosen: Settings, orders: int, progress: Progress) -> None:
    drive = Drive(chosen, tenant_name())
    try:
        await drive.fill(orders)
        seen: dict[str, float] = {}
        async with drive.watching("fulfillment") as heard:
            ready = lots(drive.tenant, orders, AT_ONCE, drive.lane_of)
            sending = asyncio.create_task(submit(drive, ready, {}, seen))
            await drive.wait(heard, FulfillmentReleased.TYPE, orders, seen, progress)
            await sending
    finally:
        await drive.stop()
