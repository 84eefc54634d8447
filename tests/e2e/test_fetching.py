"""Partitions with much to read are not held up by those with nothing, on real Kafka."""

import asyncio
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from libs.runtime.kafka import KafkaPublisher, fetch_together, lone_consumer, open_admin
from libs.runtime.settings import settings
from tests.e2e.stacks import Stack

pytestmark = pytest.mark.e2e

WAIT_MS = 20_000
"""How long the broker may hold a request for which there is nothing."""
DEADLINE_MS = 5_000
BUSY_SECONDS = 0.3
"""Longer than aiokafka's own patience with what was fetched and is not read."""


async def test_who_is_busy_for_a_while_need_not_wait_for_partitions_without_records(stack: Stack) -> None:
    topic = f"fetching-{uuid4().hex[:8]}"
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    publisher = KafkaPublisher(settings(), "test")
    consumer = lone_consumer(settings(), fetch_max_wait_ms=WAIT_MS)
    async with open_admin(settings()) as admin:
        await admin.create_topics([NewTopic(topic, 2, 1)])
        try:
            await consumer.start()
            consumer.assign([full, empty])
            await consumer.seek_to_beginning(full, empty)
            fetch_together(consumer)
            for number in range(4):
                await publisher.send(topic, full.partition, (b"key", str(number).encode(), [], 1))
                found = await consumer.getmany(timeout_ms=DEADLINE_MS)
                assert [record.value for record in found.get(full, ())] == [str(number).encode()]
                await publisher.send(topic, full.partition, (b"key", b"more", [], 1))
                await asyncio.sleep(BUSY_SECONDS)  # what a poll takes to be handled
                found = await consumer.getmany(timeout_ms=DEADLINE_MS)
                assert [record.value for record in found.get(full, ())] == [b"more"]
        finally:
            await consumer.stop()
            await publisher.stop()
            await admin.delete_topics([topic])
