"""The publisher against a producer whose first batch is never taken: no later one may get ahead of it."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiokafka.errors import NotLeaderForPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder

from libs.runtime.kafka import KafkaPublisher, _Producer, _Running
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.settings import Settings
from libs.runtime.topics import _new_topic, lifecycle_topics


class Leaderless:
    """As the producer while a partition changes leaders: the oldest batch expires, the next is sent."""

    def __init__(self, expires: Callable[[int], bool]) -> None:
        self._expires, self.stored, self._batches = expires, list[int](), 0

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(900_000, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, partition: int) -> "asyncio.Future[None]":
        number, self._batches = self._batches, self._batches + 1
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._expires(number):
            answer.set_exception(NotLeaderForPartitionError())
        else:
            self.stored += [number] * batch.record_count()
            answer.set_result(None)
        return answer

    async def flush(self) -> None:
        return None

    async def abandon(self) -> None:
        return None


def messages(count: int, size: int) -> list[Message]:
    return [(b"acme/o-1", b"x" * size, [("ce_sequence", b"%d" % n)], 1) for n in range(count)]


def publisher(expires: Callable[[int], bool]) -> tuple[KafkaPublisher, Leaderless]:
    found, producer = KafkaPublisher(Settings(), "test"), Leaderless(expires)
    found._running = _Running(cast(_Producer, producer))
    return found, producer


async def test_no_batch_is_sent_before_the_one_before_it_was_stored() -> None:
    found, producer = publisher(lambda number: number == 1)
    with pytest.raises(PublishFailed):
        await found.publish("oms.intake.events", 0, messages(5, 400_000))
    assert producer.stored == [0, 0]


async def test_what_is_larger_than_one_batch_is_stored_in_order() -> None:
    found, producer = publisher(lambda _: False)
    await found.publish("oms.intake.events", 0, messages(5, 400_000))
    assert producer.stored == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("topic", lifecycle_topics())
def test_every_topic_takes_an_event_larger_than_kafkas_default(topic: str) -> None:
    """A thousand lines at twenty nodes make an event of more than a megabyte: its lane must go on."""
    made: Any = _new_topic(topic, Settings(), 1)
    assert int(made.topic_configs["max.message.bytes"]) >= 12 * 1024 * 1024
