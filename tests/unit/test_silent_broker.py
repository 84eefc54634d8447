"""A broker that accepts connections and says nothing: whoever waits for it waits as long as is set."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.errors import KafkaError
from fastapi import FastAPI

from libs.runtime import problems
from libs.runtime.answers import Answers
from libs.runtime.edge import Edge
from libs.runtime.kafka import KafkaPublisher, Lanes, RecordReader, open_admin
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.log import Unavailable
from libs.runtime.memory_log import MemoryLog
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.settings import Settings
from libs.runtime.tokens import mint, new_signing_key
from libs.runtime.topic_reader import TopicReader
from services.intake import api
from tests.unit.stopped_broker import StoppedBroker, stopped_broker

TOPIC = "oms.intake.events"
MESSAGE: Message = (b"acme/o-1", b"{}", [], 1)
SET_SECONDS = 0.2
LONGEST_SECONDS = 10.0
"""Far above what is set, far below what a client does on its own."""


def row(number: int) -> Message:
    return b"acme/o-1", b"%d" % number, [], 1


@pytest.fixture
async def broker() -> AsyncIterator[StoppedBroker]:
    async with stopped_broker(TOPIC) as found:
        yield found


def pointed_at(broker: StoppedBroker, **more: Any) -> Settings:
    return Settings(
        kafka=f"127.0.0.1:{broker.port}",
        publish_timeout_seconds=SET_SECONDS,
        kafka_timeout_seconds=SET_SECONDS,
        read_timeout_seconds=SET_SECONDS,
        **more,
    )


@pytest.mark.parametrize(
    "publish",
    [
        lambda publisher: publisher.start(),
        lambda publisher: publisher.send(TOPIC, 0, MESSAGE),
        lambda publisher: publisher.publish(TOPIC, 0, [MESSAGE]),
    ],
    ids=["start", "send", "publish"],
)
async def test_a_publish_fails_in_time(
    broker: StoppedBroker, publish: Callable[[KafkaPublisher], Awaitable[None]]
) -> None:
    publisher = KafkaPublisher(pointed_at(broker), "test")
    async with asyncio.timeout(LONGEST_SECONDS):
        with pytest.raises(PublishFailed):
            await publish(publisher)
        await publisher.stop()


async def test_what_is_on_its_way_to_a_broker_that_stops_fails_in_time(broker: StoppedBroker) -> None:
    publisher = KafkaPublisher(pointed_at(broker), "test")
    broker.going.set()
    await publisher.publish(TOPIC, 0, [row(1)])
    await publisher.send(TOPIC, 1, row(1))
    broker.going.clear()
    async with asyncio.timeout(LONGEST_SECONDS):
        outcomes = await asyncio.gather(
            publisher.publish(TOPIC, 0, [row(2)]),
            publisher.send(TOPIC, 1, row(2)),
            publisher.send(TOPIC, 1, row(3)),
            return_exceptions=True,
        )
        await publisher.stop()
    assert [type(outcome) for outcome in outcomes] == [PublishFailed] * 3
    assert "ORDERLOG_PUBLISH_TIMEOUT_SECONDS" in str(outcomes[0])
    assert broker.stored == {0: [b"1"], 1: [b"1"]}


async def test_no_row_is_stored_before_one_that_was_given_up(broker: StoppedBroker) -> None:
    """As the relay does: what failed is published again before what follows it."""
    publisher = KafkaPublisher(pointed_at(broker), "test")
    broker.going.set()
    await publisher.publish(TOPIC, 0, [row(1)])
    broker.going.clear()
    broker.produced.clear()
    async with asyncio.timeout(LONGEST_SECONDS):
        for _ in range(2):
            with pytest.raises(PublishFailed):
                await publisher.publish(TOPIC, 0, [row(2), row(3)])
        assert broker.produced.is_set()
        broker.going.set()
        await publisher.publish(TOPIC, 0, [row(2), row(3)])
        await publisher.publish(TOPIC, 0, [row(4)])
        await publisher.stop()
    assert list(dict.fromkeys(broker.stored[0])) == [b"1", b"2", b"3", b"4"]


async def test_who_shares_a_producer_that_is_given_up_is_told_at_once(broker: StoppedBroker) -> None:
    """Its own time-out is far away; the next producer is for it to begin with."""
    publisher = KafkaPublisher(
        pointed_at(broker).model_copy(update={"publish_timeout_seconds": 60.0}), "test"
    )
    broker.going.set()
    await publisher.start()
    broker.going.clear()
    async with asyncio.timeout(LONGEST_SECONDS):
        waiting = asyncio.ensure_future(publisher.publish(TOPIC, 0, [row(1)]))
        await broker.produced.wait()
        assert publisher._running is not None
        publisher._give_up(publisher._running, flush_seconds=0)
        with pytest.raises(PublishFailed, match="another publish"):
            await waiting
        broker.going.set()
        await publisher.publish(TOPIC, 0, [row(1)])
        await publisher.stop()


async def test_the_edge_answers_503_and_says_what_to_do(broker: StoppedBroker, tmp_path: Path) -> None:
    key_file = tmp_path / "jwt.json"
    key_file.write_bytes(new_signing_key())
    config = pointed_at(broker, jwt_key_file=key_file, retry_after_seconds=7)
    publisher = KafkaPublisher(config, "test")
    log = MemoryLog()
    edge = Edge("intake", config, publisher, Answers(log), MemoryKeyring(), Lanes(4), log)
    app = FastAPI()
    problems.install(app)
    app.include_router(api.routes(edge))
    headers = {"Authorization": f"Bearer {mint(key_file, 'acme', 'shop', 'integrator', 60)}"}
    async with (
        asyncio.timeout(LONGEST_SECONDS),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge") as client,
    ):
        answer = await client.post("/v1/orders/o-1/cancel", json={}, headers=headers)
        await publisher.stop()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:orderlog:problem:broker_unavailable"
    assert "same Idempotency-Key" in answer.json()["next_step"]


async def test_a_single_record_is_read_in_time(broker: StoppedBroker) -> None:
    async with asyncio.timeout(LONGEST_SECONDS):
        with pytest.raises(Unavailable, match="Kafka"):
            await RecordReader(pointed_at(broker))(TOPIC, 0, 0)


async def test_readers_and_admins_ask_no_longer_than_is_set(broker: StoppedBroker) -> None:
    config = pointed_at(broker)
    reader = TopicReader(config, [(TOPIC, 0)])
    async with asyncio.timeout(LONGEST_SECONDS):
        with pytest.raises(KafkaError):
            await reader.start()
        await reader.stop()
        with pytest.raises(KafkaError):
            async with open_admin(config):
                pass
