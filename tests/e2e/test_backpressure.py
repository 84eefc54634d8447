"""Commands wait while the stage behind is far behind, by what real Kafka says of it."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from libs.runtime.backpressure import Backpressure
from libs.runtime.groups import group_of
from libs.runtime.kafka import KafkaPublisher, lone_consumer, open_admin
from libs.runtime.settings import settings
from libs.runtime.stage import commands_topic
from services.intake.app import STAGE
from tests.e2e.stacks import Stack

pytestmark = pytest.mark.e2e

RECORDS = 3_000
"""In each of two lanes: more than may wait behind any stage."""
DEADLINE_SECONDS = 30.0


async def test_commands_wait_until_the_stage_behind_has_caught_up(stack: Stack) -> None:
    stage = replace(STAGE, name=f"ahead-{uuid4().hex[:8]}", waits_for=f"behind-{uuid4().hex[:8]}")
    lanes = [TopicPartition(stage.topic, lane) for lane in (0, 1)]
    publisher = KafkaPublisher(settings(), "test")
    behind = lone_consumer(settings(), group_id=group_of(stage.waits_for))
    told: asyncio.Queue[Collection[str]] = asyncio.Queue()
    pressure = Backpressure(settings(), stage, lambda: (0, 1), told.put_nowait)

    async def looked(taken: int) -> Collection[str]:
        """What is held back at the next look, when the stage behind is so far, and the one ahead is busy."""
        await behind.commit(dict.fromkeys(lanes, taken))
        while not told.empty():
            told.get_nowait()
        pressure.decided(1_000)
        return await told.get()

    async with open_admin(settings()) as admin:
        await admin.create_topics([NewTopic(stage.topic, 2, 1)])
        running = None
        try:
            for lane in lanes:
                await publisher.publish(lane.topic, lane.partition, [(b"key", b"x", [], 1)] * RECORDS)
            await behind.start()
            behind.assign(lanes)
            running = asyncio.create_task(pressure.run())
            async with asyncio.timeout(DEADLINE_SECONDS):
                assert not await looked(1), "its pace is not known yet"
                taken = 1
                while not await looked(taken):
                    taken += 1
                assert taken < RECORDS // 2
                assert await looked(taken + 1) == (commands_topic(stage.name),)
                while await looked(RECORDS):
                    pass
        finally:
            if running is not None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await behind.stop()
            await publisher.stop()
            await admin.delete_topics([stage.topic])
