"""A second process of inventory comes and goes while orders are taken: nothing lost, doubled or oversold."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from cli.client import connect
from cli.loadfile import read_orders
from cli.submit import submit
from deploy.local.stack import readiness
from libs.events.availability import AVAILABILITY_TOPIC
from libs.runtime.settings import settings
from tests.e2e.stacks import Stack
from tests.e2e.test_cli import HEADER, row, until

pytestmark = pytest.mark.e2e
SKUS = 3
UNITS = 70
"""Of each SKU: fewer than are ordered, so that the last ones are fought for by both processes."""
FILE_ORDERS = 30
FILES_MIN = 12


class Shop:
    """A tenant of its own that orders without a pause, a file at a time, until it is told to end."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.tenant = f"rep-{uuid4().hex[:8]}"
        self.submitted = self.accepted = 0
        self._enough = threading.Event()

    def open(self) -> None:
        place = ("--name", "London", "--country", "GB", "--lat", "51.5", "--lon", "-0.1")
        self.stack.json("nodes", "define", "LON", *place, "--tenant", self.tenant)
        items = [{"sku": f"SKU-{sku}", "node": "LON", "quantity": UNITS} for sku in range(SKUS)]
        with connect(self.tenant) as edges:
            received = edges.send("inventory", "/v1/stock/receipts", {"items": items})
        assert [result["status"] for result in received["results"]] == [200] * SKUS

    @contextmanager
    def ordering(self) -> Iterator[None]:
        thread = threading.Thread(target=self._order)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join()

    def _order(self) -> None:
        files = 0
        with connect(self.tenant) as edges:
            while files < FILES_MIN or not self._enough.is_set():
                names = range(files * FILE_ORDERS, (files + 1) * FILE_ORDERS)
                file = self.folder / f"{files}.csv"
                file.write_text(HEADER + "".join(row(str(n), f"SKU-{n % SKUS}", 1) for n in names))
                answer = submit(edges, read_orders(file), settings().body_bytes_max)
                assert not answer.failed, answer
                self.accepted += answer.accepted
                files += 1
        self.submitted = files * FILE_ORDERS

    def ends(self) -> Counter[str]:
        """How many of the tenant's orders there are in each state, by what the logs of the stages say."""
        found = Counter[str]()
        for stage, types in (
            ("inventory", ("stock_allocated", "stock_backordered")),
            ("fulfillment", ("fulfillment_released",)),
        ):
            for type_ in types:
                found[type_] = len(self.streams(stage, f"oms.{stage}.{type_}"))
        return found

    def streams(self, stage: str, type_: str) -> Counter[str]:
        """How often each order has an event of that type."""
        with psycopg.connect(settings().dsn(stage)) as connection:
            rows = connection.execute(
                "SELECT stream, count(*) FROM log WHERE tenant = %s AND type = %s AND origin = 'decided'"
                " GROUP BY stream",
                (self.tenant, type_),
            ).fetchall()
        return Counter({str(stream): int(times) for stream, times in rows})


def lanes(*programs: str) -> list[list[int]]:
    return [readiness(name).get("lanes") or [] for name in programs]


async def sequences(topic: str) -> dict[int, list[int]]:
    """The sequence of every record of the topic, by partition, in order."""
    found = await records(topic)
    return {
        lane: [int(dict(one.headers)["ce_sequence"]) for one in of_lane] for lane, of_lane in found.items()
    }


async def channels_are_told(tenant: str) -> dict[str, tuple[int, bool]]:
    """What the channels are told of each SKU last, and whether that is the newest state that was told."""
    told: dict[str, list[tuple[int, int]]] = {}
    for of_lane in (await records(AVAILABILITY_TOPIC)).values():
        for record in of_lane:
            if (record.key or b"").startswith(f"{tenant}/".encode()):
                state = json.loads(record.value or b"")
                told.setdefault(state["sku"], []).append((state["version"], state["available"]))
    return {sku: (states[-1][1], states[-1] == max(states)) for sku, states in told.items()}


async def records(topic: str) -> dict[int, list["ConsumerRecord[bytes, bytes]"]]:
    """Every record of the topic, by partition, in order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings().kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(settings().partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: dict[int, list[ConsumerRecord[bytes, bytes]]] = {place.partition: [] for place in places}
        for place in places:
            consumer.seek(place, 0)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for read, some in (await consumer.getmany(timeout_ms=1000)).items():
                    found[read.partition] += some
        return found
    finally:
        await consumer.stop()


async def test_a_second_inventory_comes_and_goes_under_load(stack: Stack, tmp_path: Path) -> None:
    shop = Shop(stack, tmp_path)
    shop.open()
    with shop.ordering():
        begun = stack.json("up", "--replicas", "inventory=2")["programs"]
        assert begun["inventory-2"]["action"] == "started"
        assert begun["inventory"]["action"] == "running"
        split = until(
            lambda: {"lanes": lanes("inventory", "inventory-2")},
            lambda seen: all(seen["lanes"]) and sorted(seen["lanes"][0] + seen["lanes"][1]) == [0, 1, 2, 3],
        )["lanes"]
        assert stack.run("logs", "inventory-2", "-n", "5").returncode == 0
        before = written(split[1])
        until(lambda: {"rows": written(split[1])}, lambda seen: seen["rows"] > before + 20)
        gone = stack.json("up", "--replicas", "inventory=1")["programs"]
        assert gone["inventory-2"]["action"] == "stopped"
        last = stack.run("logs", "inventory-2", "-n", "20").stdout
        assert "stopped with nothing in hand" in last, last
        until(lambda: {"lanes": lanes("inventory")}, lambda seen: seen["lanes"] == [[0, 1, 2, 3]])
        told = stack.json("status")["programs"]
        assert "inventory-2" not in told
        assert told["inventory"]["lanes"] == [0, 1, 2, 3]
    assert shop.accepted == shop.submitted >= FILES_MIN * FILE_ORDERS

    stock = SKUS * UNITS
    expected = {
        "stock_allocated": stock,
        "stock_backordered": shop.submitted - stock,
        "fulfillment_released": stock,
    }
    until(lambda: dict(shop.ends()), lambda seen: seen == expected)
    for stage, type_ in (("inventory", "stock_allocated"), ("fulfillment", "fulfillment_released")):
        assert set(shop.streams(stage, f"oms.{stage}.{type_}").values()) == {1}
    for sku in range(SKUS):
        seen = stack.json("stock", "show", f"SKU-{sku}", "--tenant", shop.tenant)
        assert (seen["allocated"], seen["free"]) == (UNITS, 0), seen
    last_told = await channels_are_told(shop.tenant)
    assert last_told == {f"SKU-{sku}": (0, True) for sku in range(SKUS)}, "sold out, and not told"
    assert stack.json("prove", "no-oversell", "--tenant", shop.tenant)["holds"] is True
    published = await sequences("oms.inventory.events")
    for lane, found in published.items():
        first_seen = list(dict.fromkeys(found))
        assert first_seen == list(range(1, ends_of("inventory")[lane] + 1)), f"lane {lane} has a hole"


def written(lanes_: list[int]) -> int:
    """Rows that inventory has decided in these lanes."""
    return sum(end for lane, end in ends_of("inventory").items() if lane in lanes_)


def ends_of(stage: str) -> dict[int, int]:
    """The last sequence of each lane of a stage's log."""
    with psycopg.connect(settings().dsn(stage)) as connection:
        rows = connection.execute("SELECT lane, next_decided - 1 FROM lane").fetchall()
    return {int(lane): int(end) for lane, end in rows}
