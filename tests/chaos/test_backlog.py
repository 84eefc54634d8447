"""A stage that was away comes back to a backlog: it gets through, in bounded memory."""

import asyncio
import contextlib
import os
import time
from collections import defaultdict
from datetime import UTC, datetime

import psutil
import pytest

from libs.events.catalogue import encode
from libs.events.envelope import Envelope
from libs.events.ids import partition_key
from libs.events.inventory import ReceiveStock
from libs.runtime import wire
from libs.runtime.kafka import KafkaPublisher
from libs.runtime.relay import Message
from libs.runtime.settings import settings
from libs.runtime.stage import commands_topic
from tests.chaos.conftest import Case
from tests.chaos.oracle import at_rest
from tests.chaos.processes import Processes
from tests.chaos.shop import Sent, Shop, fetch

pytestmark = pytest.mark.chaos
BACKLOG = int(os.environ.get("ORDERLOG_CHAOS_BACKLOG", "100000"))
RECORDS_A_SKU = 10
RSS_BYTES_MAX = 200 * 1_000_000
"""What a stage may take of memory, however much waits for it."""
_AT_ONCE = 500
_LOOK_SECONDS = 0.1
_RECORDS_A_SECOND_MIN = 200
_CONSUMED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumed WHERE topic = $1"


async def deliver(shop: Shop, count: int) -> None:
    """Deliveries of many SKUs, published and not yet heard; the shop's history and stock know of them."""
    publisher = KafkaPublisher(settings(), "chaos")
    waiting: dict[int, list[Message]] = defaultdict(list)
    topic = commands_topic("inventory")
    try:
        for number in range(count):
            sku, id_ = f"HEAP-{number // RECORDS_A_SKU}", shop.new_id()
            command = ReceiveStock(sku=sku, node="LON", quantity=1)
            shop.history.append(Sent("inventory", id_, command.stream, command.TYPE, 1))
            shop.stock[sku] = shop.stock.get(sku, 0) + 1
            now, by = datetime.now(UTC), "chaos"
            envelope = Envelope(id_, shop.tenant, command.stream, command, now, by, "", id_, id_, by)
            key, lane = partition_key(shop.tenant, command.stream), shop.lane(command.stream)
            waiting[lane].append(
                (key.encode(), encode(command), wire.headers(envelope), int(time.time() * 1000))
            )
            if len(waiting[lane]) == _AT_ONCE:
                await publisher.publish(topic, lane, waiting.pop(lane))
        for lane, messages in waiting.items():
            await publisher.publish(topic, lane, messages)
    finally:
        await publisher.stop()


async def most_memory(processes: Processes, over: asyncio.Event) -> int:
    """The largest resident set of inventory's process, from its start until it is over. Bytes."""
    most = 0
    while not over.is_set():
        with contextlib.suppress(AssertionError, psutil.NoSuchProcess):  # it is only being started
            most = max(most, psutil.Process(processes.pid("inventory")).memory_info().rss)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _LOOK_SECONDS)
    return most


async def read_up_to(wanted: int) -> None:
    """Wait until inventory has taken so many commands."""
    give_up_at = time.monotonic() + 60 + BACKLOG / _RECORDS_A_SECOND_MIN
    while (taken := (await fetch("inventory", _CONSUMED, commands_topic("inventory")))[0][0]) < wanted:
        assert time.monotonic() < give_up_at, f"{taken} of {wanted} commands were taken"
        await asyncio.sleep(_LOOK_SECONDS)


async def test_23_a_backlog(case: Case, processes: Processes) -> None:
    """a stage comes back to a backlog: it gets through within 200 MB"""
    over = asyncio.Event()
    async with case.shop({"TEA": 100}) as shop:
        await at_rest()
        [row] = await fetch("inventory", _CONSUMED, commands_topic("inventory"))
        await processes.stop("inventory")
        await deliver(shop, BACKLOG)
        await shop.order_many([[("TEA", 1)]] * 20)
        watching = asyncio.create_task(most_memory(processes, over))
        case.fault()
        try:
            await processes.up()
            await read_up_to(row[0] + BACKLOG)
        finally:
            over.set()
        most = await watching
        await shop.served()
        case.recovered()
        case.name = f"{case.name} ({BACKLOG:,} records, {most / 1_000_000:.0f} MB at most)"
        assert 0 < most <= RSS_BYTES_MAX, f"inventory took {most:,} bytes"
