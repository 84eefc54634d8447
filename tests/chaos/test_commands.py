"""Clients that repeat, contradict, all want the same unit, and change their minds."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cli.client import Refused, connect
from libs.events.bundles import BundlePart, DefineBundle
from libs.events.intake import CancelOrder
from libs.events.promise import HoldStock, Wanted
from tests.chaos.conftest import LANES, Case
from tests.chaos.processes import Processes
from tests.chaos.shop import Lines, Shop, fetch

pytestmark = pytest.mark.chaos
BUYERS = 1000
AT_ONCE = 8


@pytest.fixture(scope="module")
async def workers(chaos_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """A process of inventory for each lane."""
    processes = Processes(chaos_stack, tmp_path_factory.mktemp("workers"))
    await processes.up("--replicas", f"inventory={LANES}")
    await processes.owns("inventory", 1)
    yield
    await processes.up("--replicas", "inventory=1")
    await processes.owns("inventory", LANES)


def ask(shop: Shop, path: str, body: object, key: str) -> dict[str, Any]:
    """What intake's edge answers to a request with that Idempotency-Key. Raises Refused."""
    with connect(shop.tenant) as edges:
        return edges.send("intake", path, body, wait_seconds=30, key=key)


def request(number: str, sku: str, units: int) -> dict[str, Any]:
    return {
        "channel": "web",
        "external_id": number,
        "placed_at": "2026-03-02T09:00:00Z",
        "currency": "GBP",
        "lines": [{"sku": sku, "quantity": units, "unit_price_minor": 995}],
        "ship_to": {
            "name": "Ada Example",
            "address_lines": ["1 Sample Street"],
            "city": "London",
            "country": "GB",
        },
    }


async def test_10_each_command_up_to_five_times(case: Case) -> None:
    """each command 1–5 times: one result, the same answer"""
    dice = random.Random(10)
    room = asyncio.Semaphore(AT_ONCE)

    async def submit(shop: Shop, number: int) -> Any:
        async with room:
            return await asyncio.to_thread(
                ask, shop, "/v1/orders", request(f"h{number}", "TEA", 1), f"key-{number}"
            )

    async with case.shop({"TEA": 1000, "MUG": 1000}) as shop:
        times = [dice.randint(1, 5) for _ in range(40)]
        wanted = [number for number, count in enumerate(times) for _ in range(count)]
        dice.shuffle(wanted)
        answers = await asyncio.gather(*(submit(shop, number) for number in wanted))
        case.fault(len(wanted) - len(times))
        for number in range(len(times)):
            said = [answer for asked, answer in zip(wanted, answers, strict=True) if asked == number]
            assert all(answer == said[0] for answer in said), f"key-{number} was answered differently"
            assert said[0]["decided"]
            shop.orders.append(said[0]["stream"])
        for _ in range(100):
            repeated = dice.randint(1, 5)
            await shop.order([("MUG", 1)], times=repeated)
            case.fault(repeated - 1)
        await shop.served()
        assert len(await shop.streams("fulfillment", "fulfillment_released")) == len(shop.orders)
        assert await shop.count_refused("intake") == 0, "a repeat is no other command"


async def test_11_an_id_used_for_another_command(case: Case) -> None:
    """same id, other payload: refused"""
    async with case.shop({"TEA": 100}) as shop:
        for number in range(10):
            first = await asyncio.to_thread(
                ask, shop, "/v1/orders", request(f"h{number}", "TEA", 1), f"key-{number}"
            )
            shop.orders.append(first["stream"])
            with pytest.raises(Refused) as refused:
                await asyncio.to_thread(
                    ask, shop, "/v1/orders", request(f"h{number}", "TEA", 5), f"key-{number}"
                )
            assert (refused.value.status, refused.value.code) == (409, "command_id_reused")
            again = await asyncio.to_thread(
                ask, shop, "/v1/orders", request(f"h{number}", "TEA", 1), f"key-{number}"
            )
            assert again == first, "the first answer stands"
            case.fault()
        await shop.served()
        assert await allocated(shop) == {"TEA": 10}
        refusals = await fetch("intake", _REFUSALS, shop.tenant)
        assert [row[0] for row in refusals] == ["command_id_reused"] * 10


_REFUSALS = "SELECT payload ->> 'code' FROM log WHERE tenant = $1 AND type = 'oms.command_refused'"


async def allocated(shop: Shop) -> dict[str, int]:
    """Units of each SKU that orders have."""
    rows = await fetch(
        "inventory",
        "SELECT sku, sum(quantity)::int FROM balance WHERE tenant = $1 AND bucket = 'allocated' GROUP BY sku",
        shop.tenant,
    )
    return {row[0]: row[1] for row in rows if row[1]}


@pytest.mark.usefixtures("workers")
async def test_13_the_last_unit(case: Case) -> None:
    """the last unit, 1,000 buyers at once: exactly one gets it"""
    async with case.shop({"LAST": 1}) as shop:
        await shop.order_many([[("LAST", 1)]] * BUYERS)
        case.fault(BUYERS)
        await shop.served()
        case.recovered()
        assert len(await shop.streams("inventory", "stock_allocated")) == 1
        assert len(await shop.streams("inventory", "stock_backordered")) == BUYERS - 1
        assert await allocated(shop) == {"LAST": 1}


async def test_14_lines_of_one_sku(case: Case) -> None:
    """duplicate lines of one SKU, and a bundle that shares it: summed first, exactly as many as there are"""
    twice: Lines = [("TEA", 1), ("MUG", 1), ("TEA", 2), ("TEA", 1)]
    async with case.shop({"TEA": 10, "MUG": 100}) as shop:
        await shop.order_many([twice] * 20)
        case.fault(20)
        await shop.served()
        assert await allocated(shop) == {"TEA": 8, "MUG": 2}, "two orders of four units, all or nothing"
        assert len(await shop.streams("inventory", "stock_backordered")) == 18
    parts = (BundlePart(sku="MUG", quantity=2), BundlePart(sku="TEA", quantity=1))
    shared: list[Lines] = [
        [("BOX", 1), ("MUG", 1), ("BOX", 1)],  # five mugs and two teas
        [("MUG", 3), ("DUO", 1), ("MUG", 1)],  # five mugs
        [("DUO", 5)],
    ]
    async with case.shop({"TEA": 1000, "MUG": 500}) as shop:
        await shop.send("inventory", DefineBundle(sku="BOX", parts=parts))
        await shop.send("inventory", DefineBundle(sku="DUO", parts=(BundlePart(sku="MUG", quantity=1),)))
        await shop.until(lambda: shop.count("inventory", "bundle_defined"), 2)
        await shop.order_many(shared * 50)
        case.fault(150)
        await shop.served()
        case.recovered()
        got = await shop.streams("inventory", "stock_allocated")
        assert len(got) == 100, "five hundred mugs, five an order"
        assert (await allocated(shop))["MUG"] == 500
        assert len(await shop.streams("inventory", "stock_backordered")) == 50


@pytest.mark.usefixtures("workers")
async def test_15_opposed_order(case: Case) -> None:
    """orders over the same SKUs in opposed order, 8 workers: no deadlock"""
    skus = [f"SKU-{number}" for number in range(6)]
    deadlocks = "SELECT sum(deadlocks)::int FROM pg_stat_database"
    [before] = await fetch("inventory", deadlocks)
    async with case.shop(dict.fromkeys(skus, 200)) as shop:
        lines = [(sku, 1) for sku in skus]
        await shop.order_many([lines if number % 2 else lines[::-1] for number in range(400)])
        case.fault(400)
        await shop.served()
        case.recovered()
        assert await allocated(shop) == dict.fromkeys(skus, 200)
        written = Counter(row[0] for row in await fetch("inventory", _LANES_OF, shop.tenant))
        assert len(written) == LANES, "every worker had its part"
    [after] = await fetch("inventory", deadlocks)
    assert after[0] == before[0], "PostgreSQL had to break a deadlock"


@pytest.mark.usefixtures("workers")
async def test_21_a_flash_sale_on_hot_skus(case: Case, processes: Processes) -> None:
    """a flash sale on ten hot SKUs, two of eight workers killed in it: as many promised as there are"""
    skus = [f"HOT-{number}" for number in range(10)]
    deadlocks = "SELECT sum(deadlocks)::int FROM pg_stat_database"
    [before] = await fetch("inventory", deadlocks)
    async with case.shop(dict.fromkeys(skus, 20)) as shop:
        selling = asyncio.create_task(shop.order_many([[(skus[n % 10], 1)] for n in range(1_000)]))
        for worker in ("inventory", "inventory-2"):
            await shop.until(lambda: shop.count("inventory", "stock_reserved"), 20, exact=False)
            processes.kill(worker)
            case.fault()
        await selling
        await processes.up("--replicas", f"inventory={LANES}")
        await shop.served()
        case.recovered()
        assert await allocated(shop) == dict.fromkeys(skus, 20)
        assert len(await shop.streams("inventory", "stock_allocated")) == 200
        assert len(await shop.streams("inventory", "stock_backordered")) == 800
    [after] = await fetch("inventory", deadlocks)
    assert after[0] == before[0], "PostgreSQL had to break a deadlock"


_LANES_OF = "SELECT lane FROM log WHERE tenant = $1 AND type LIKE 'oms.inventory.stock_%ed'"


async def test_18_a_reservation_expires_as_it_is_confirmed(case: Case) -> None:
    """a reservation's expiry races its confirmation: each resolved once"""
    dice = random.Random(18)

    async def check_out(shop: Shop, number: int) -> None:
        basket = f"basket-{number}"
        wanted = (Wanted(sku="TEA", quantity=1), Wanted(sku="RARE", quantity=1))
        await shop.send("inventory", HoldStock(promise_id=basket, lines=wanted, ttl_seconds=1))
        await asyncio.sleep(0.7 + dice.random() * 0.8)
        order = await shop.order([("TEA", 1), ("RARE", 1)], promise_id=basket)
        if number % 4 == 0:
            await shop.send("intake", CancelOrder(order_id=order))
        case.fault()

    async with case.shop({"TEA": 1000, "RARE": 60}) as shop:
        await asyncio.gather(*(check_out(shop, number) for number in range(200)))
        await shop.served()
        case.recovered()
        rows = await fetch("inventory", _RESOLVED, shop.tenant)
        ends = Counter(row[0] for row in rows)
        assert set(ends.values()) == {1}, "a basket was resolved twice, or never"
        told = Counter(row[1] for row in rows)
        assert told.keys() == {"oms.inventory.promise_confirmed", "oms.inventory.promise_expired"}, (
            f"neither way won: {told}"
        )


_RESOLVED = """
    SELECT payload ->> 'promise_id', type FROM log
    WHERE tenant = $1 AND origin = 'decided' AND type = ANY (ARRAY[
        'oms.inventory.promise_confirmed', 'oms.inventory.promise_expired',
        'oms.inventory.promise_released'])"""
