"""Each store from the other, on real Kafka and PostgreSQL: lost, made anew, and orders go on."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

import psycopg
import pytest

from deploy.local import programs
from deploy.local.home import Home
from libs.runtime import topics
from libs.runtime.kafka import KafkaPublisher
from libs.runtime.settings import STAGES, settings
from libs.runtime.stage import commands_topic
from libs.runtime.topics import lifecycle_topics
from tests.e2e.demos import fetch
from tests.e2e.stacks import Stack

pytestmark = pytest.mark.e2e

DEADLINE_SECONDS = 60.0
BATCH = 6
HEADER = (
    "channel,external_id,placed_at,currency,payment,sku,quantity,unit_price_minor,"
    "name,address_line_1,city,postcode,country,email\n"
)
WHO = "Ada Example,1 Sample Street,London,EC1A 1AA,GB,ada@mail.example"
MAILS = 4
"""Of an order up to its release: confirmed, paid, routed, picking."""


class Shop:
    """A tenant with stock of one SKU; every order of one unit is to be allocated once."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.tenant, self.orders = stack, f"recover-{uuid4().hex[:8]}", 0

    def open(self) -> None:
        place = ("--name", "London", "--country", "GB", "--lat", "51.5", "--lon", "-0.1")
        self.stack.each(
            ("nodes", "define", "LON", *place),
            ("stock", "receive", "MUG", "LON", "1000"),
            tenant=self.tenant,
        )

    def buy(self) -> None:
        """A few orders more."""
        rows = [
            f"web,{number},2026-03-02T09:00:00Z,GBP,paid,MUG,1,995,{WHO}\n"
            for number in range(self.orders, self.orders + BATCH)
        ]
        file = self.stack.home / "recover.csv"
        file.write_text(HEADER + "".join(rows))
        self.orders += BATCH
        assert self.stack.json("orders", "submit", str(file), "--tenant", self.tenant)["accepted"] == BATCH

    def is_served(self) -> None:
        """Every order becomes work at a warehouse, once, and its mails are sent, once each."""
        self._until("fulfillment", "oms.fulfillment.fulfillment_released", self.orders)
        self._until("notifications", "oms.notifications.message_sent", MAILS * self.orders)
        for stage in STAGES:
            repeated = fetch(
                stage,
                "SELECT stream, type FROM log WHERE origin = 'decided' AND tenant = $1 AND (type LIKE"
                " '%order_accepted' OR type LIKE '%stock_allocated' OR type LIKE '%fulfillment_released')"
                " GROUP BY stream, type HAVING count(*) > 1",
                self.tenant,
            )
            assert not repeated, f"{stage} did twice: {repeated}"
        names = [mail.name for mail in Home(self.stack.home).mail.glob("*.eml")]
        assert all(name.endswith("-1.eml") for name in names), "a mail was sent twice"

    def _until(self, stage: str, type_: str, expected: int) -> None:
        query = "SELECT count(*) FROM log WHERE tenant = $1 AND type = $2"
        until(lambda: fetch(stage, query, self.tenant, type_)[0][0] >= expected)
        assert fetch(stage, query, self.tenant, type_)[0][0] == expected, type_


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    give_up_at = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < give_up_at, "it never held"


def administer(*statements: str) -> None:
    """Statements on databases, as an operator would give them."""
    with psycopg.connect(settings().dsn("keyring"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def stop(stack: Stack, names: Sequence[str]) -> None:
    for name in names:
        programs.stop(Home(stack.home), name, signal.SIGTERM, 10.0)


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Shop:
    shop = Shop(stack)
    shop.open()
    shop.buy()
    shop.is_served()
    return shop


async def unreadable(topic: str) -> None:
    """Publish a record that says nothing of itself: whoever reads it parks it."""
    publisher = KafkaPublisher(settings(), "test")
    await publisher.send(topic, 0, (b"nobody", b"{}", [("ce_id", b"none")], 1))
    await publisher.stop()


def parked(stage: str) -> int:
    """How many records wait at a stage, of its commands topic."""
    query = "SELECT count(*) FROM parked WHERE state = 'parked' AND topic = $1"
    return int(fetch(stage, query, commands_topic(stage))[0][0])


def parked_rows(stage: str, which: str) -> int:
    """How many records a stage ever parked, of those that `which` (SQL) names."""
    return int(fetch(stage, f"SELECT count(*) FROM parked WHERE {which}")[0][0])  # noqa: S608 - a literal


def test_databases_that_are_gone_are_made_from_the_topics(stack: Stack, shop: Shop) -> None:
    running = stack.run("recover", "inventory", "--from", "kafka")
    assert running.returncode == 1
    assert "Running: inventory (1 in group orderlog.inventory)" in running.stderr
    before = parked("inventory")
    asyncio.run(unreadable(commands_topic("inventory")))
    until(lambda: parked("inventory") == before + 1)
    lost = ("inventory", "notifications")
    waiting = {name: parked_rows(name, "state NOT IN ('replayed', 'discarded')") for name in lost}
    settled = {name: parked_rows(name, "state IN ('replayed', 'discarded')") for name in lost}
    stop(stack, lost)
    administer(*(f"DROP DATABASE orderlog_{name}" for name in lost))
    shop.buy()
    for name in lost:
        recovered = stack.json("recover", name, "--from", "kafka")
        assert (recovered["match"], recovered["old"], recovered["kept_as"]) == (True, "gone", "")
        assert recovered["events"] > 0
        # What waits is found again. What a person had settled may come back where it had no id by which the
        # topic could tell of it.
        assert waiting[name] <= recovered["parked"] <= waiting[name] + settled[name]
    assert waiting["inventory"]
    assert stack.json("up")["programs"]["inventory"]["action"] == "started"
    shop.is_served()


def test_topics_that_are_gone_are_made_from_the_logs(stack: Stack, shop: Shop) -> None:
    stop(stack, [*STAGES, "console"])

    async def delete_all() -> None:
        for topic in lifecycle_topics():
            await topics.delete(settings(), topic)

    asyncio.run(delete_all())
    refused = stack.run("up")
    assert refused.returncode == 1
    told = " ".join(refused.stderr.split())
    assert "the topic was emptied" in told
    assert "orderlog recover kafka --from log" in told
    recovered = stack.json("recover", "kafka", "--from", "log", "--stop")
    assert recovered["match"] is True
    assert recovered["parked_lost"] > 0
    assert all(topic["events"] == topic["published"] for topic in recovered["topics"])
    stack.json("up")
    shop.buy()
    shop.is_served()
    again = stack.json("recover", "kafka", "--from", "log", "--stop")
    assert again["match"] is True
    assert (sum(topic["published"] for topic in again["topics"]), again["moved"]) == (0, {})


def test_a_restored_backup_does_not_begin_before_it_has_caught_up(stack: Stack, shop: Shop) -> None:
    stack.json("up")
    waiting = parked("inventory")
    asyncio.run(unreadable(commands_topic("inventory")))
    until(lambda: parked("inventory") == waiting + 1)
    [given_up] = fetch("inventory", "SELECT max(id) FROM parked")
    stack.json("parked", "discard", f"inventory:{given_up[0]}")
    # On a topic made anew a record may lie where one lay that is lost: the first of the two is given up.
    until(lambda: parked("inventory") == waiting and not parked_rows("inventory", "state = 'discarding'"))
    stop(stack, ["inventory"])
    administer("CREATE DATABASE backup_of_inventory TEMPLATE orderlog_inventory")
    stack.json("up")
    shop.buy()
    shop.is_served()
    stop(stack, ["inventory"])
    administer(
        "DROP DATABASE orderlog_inventory",
        "ALTER DATABASE backup_of_inventory RENAME TO orderlog_inventory",
    )
    refused = stack.run("up")
    assert refused.returncode == 1
    told = " ".join(refused.stderr.split())
    assert "its database is of an earlier time" in told
    assert "orderlog recover inventory --from kafka" in told
    recovered = stack.json("recover", "inventory", "--from", "kafka", "--stop")
    assert (recovered["match"], recovered["old"]) == (True, "behind")
    assert recovered["parked"] == waiting, "what was discarded stays so"
    stack.json("up")
    shop.buy()
    shop.is_served()
    assert stack.json("rebuild", "all", "--verify")["match"] is True
    assert stack.json("prove", "no-oversell")["ok"] is True
    administer(f"DROP DATABASE {recovered['kept_as']}")
