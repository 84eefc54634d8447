"""Buyers who come through several doors at once, over HTTP: each door a process of intake, and a channel."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import TopicPartition

from cli.client import connect
from deploy.local import replicas
from libs.events.availability import AVAILABILITY_TOPIC
from libs.runtime.kafka import lone_consumer
from libs.runtime.settings import settings
from libs.runtime.tokens import mint
from tests.chaos.conftest import LANES, Case
from tests.chaos.processes import Processes
from tests.chaos.shop import Shop
from tests.chaos.test_commands import allocated, request

pytestmark = pytest.mark.chaos
DOORS = {"intake": "web", "intake-2": "pos", "intake-3": "marketplace", "intake-4": "phone"}
BUYERS_A_DOOR = 250
_TRIES = 60
_PAUSE_SECONDS = 1.0


async def test_22_the_last_unit_over_four_doors(case: Case, processes: Processes) -> None:
    """the last unit, 1,000 buyers over HTTP through four edges: one gets it, all channels hear"""
    await processes.up("--replicas", f"intake={len(DOORS)},inventory={len(DOORS)}")
    for name in DOORS:
        await processes.owns(name, LANES // len(DOORS))
    try:
        async with case.shop({"LAST": 1}) as shop:
            await _told(shop, 1)
            answers = await asyncio.gather(*(_door(shop, name, channel) for name, channel in DOORS.items()))
            case.fault(len(DOORS) * BUYERS_A_DOOR)
            decided = Counter(len(answer) for answer in answers)
            assert decided == {BUYERS_A_DOOR: len(DOORS)}, "a door did not answer a buyer"
            shop.orders += [stream for answer in answers for stream in answer]
            await shop.served()
            case.recovered()
            assert len(await shop.streams("inventory", "stock_allocated")) == 1
            assert len(await shop.streams("inventory", "stock_backordered")) == len(shop.orders) - 1
            assert await allocated(shop) == {"LAST": 1}
            await _told(shop, 0)
            for channel in DOORS.values():
                with connect(shop.tenant) as edges:
                    body = {"lines": [{"sku": "LAST", "quantity": 1}], "channel": channel}
                    assert not edges.send("inventory", "/v1/availability", body)["available"]
    finally:
        await processes.up("--replicas", "intake=1,inventory=1")
        await processes.owns("intake", LANES)


async def _door(shop: Shop, name: str, channel: str) -> list[str]:
    """All buyers of one door at once; the orders that it took. A door that is too full, or hangs up, is asked
    again, under the same key."""
    url = f"http://127.0.0.1:{replicas.port(settings(), name)}/v1/orders"
    token = mint(settings().jwt_key_file, shop.tenant, "chaos", "integrator", 600)
    limits = httpx.Limits(max_connections=BUYERS_A_DOOR)

    async def buy(http: httpx.AsyncClient, number: int) -> str:
        body: dict[str, Any] = request(f"{channel}-{number}", "LAST", 1) | {"channel": channel}
        for _ in range(_TRIES):
            try:
                answer = await http.post(url, json=body, headers={"Idempotency-Key": f"{channel}-{number}"})
            except httpx.TransportError:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if answer.status_code == 202:
                return str(answer.json()["stream"])
            assert answer.status_code in (429, 503), answer.text
            await asyncio.sleep(float(answer.headers["retry-after"]))
        raise AssertionError(f"{name} never had room for buyer {number}")

    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60.0, trust_env=False) as http:
        return list(await asyncio.gather(*(buy(http, number) for number in range(BUYERS_A_DOOR))))


async def _told(shop: Shop, available: int) -> None:
    """Wait until the topic says so of the last unit."""
    key, found = f"{shop.tenant}/sku/LAST".encode(), -1
    consumer = lone_consumer(settings(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        place = TopicPartition(AVAILABILITY_TOPIC, shop.lane("sku/LAST"))
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        async with asyncio.timeout(30):
            while found != available:
                record = await consumer.getone()
                if record.key == key:
                    found = orjson.loads(record.value or b"")["available"]
    finally:
        await consumer.stop()
