"""`orderlog events tail --follow` on a broker that goes and comes back; the consumer is a double."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from cli import watching
from cli.watching import Seen, Wanted
from libs.runtime.settings import Settings

PLACE = TopicPartition("oms.intake.events", 0)


class Silent:
    """Brings nothing. Each question is answered, or fails, as told; then the reader is cancelled."""

    def __init__(self, answers: Sequence[bool]) -> None:
        self.answers = list(answers)

    def seek(self, place: TopicPartition, offset: int) -> None: ...

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[object]]:
        return {}

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if not self.answers:
            raise asyncio.CancelledError
        if not self.answers.pop(0):
            raise KafkaConnectionError("gone")
        return dict.fromkeys(places, 7)


async def test_a_reader_is_told_once_that_kafka_is_gone_and_once_that_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    took: list[Seen] = []

    @asynccontextmanager
    async def consumer(settings: Settings, wanted: Wanted) -> AsyncIterator[tuple[Silent, dict[object, int]]]:
        yield Silent([True, False, False, True, True]), {}

    monkeypatch.setattr(watching, "_consumer", consumer)
    monkeypatch.setattr(watching, "_ASK_EVERY_SECONDS", -1.0)
    monkeypatch.setattr(watching, "say", said.append)
    with pytest.raises(asyncio.CancelledError):
        await watching.follow(Settings(kafka="broker:9092"), Wanted(), {PLACE: 3}, took.append)
    assert said == [
        "Kafka at broker:9092 does not answer. Waiting for it; `orderlog status` tells what runs.",
        "Kafka answers again; nothing was missed.",
    ]
