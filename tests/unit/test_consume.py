"""The subscription without a broker: batches in parts, attempts, being told to read elsewhere, stopping."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from faststream.kafka import KafkaBroker
from opentelemetry.trace import NoOpTracer

from libs.runtime import telemetry
from libs.runtime.consume import Subscription, cut, partition_bytes
from libs.runtime.health import Health
from libs.runtime.log import Unavailable
from libs.runtime.seek import Seek
from libs.runtime.settings import Settings
from libs.runtime.wire import Record

TOPIC = "oms.intake.commands"
Headers = tuple[tuple[str, bytes | None], ...]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Taker:
    """Raises what it is told to, once each; then takes everything."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.taken: list[list[int]] = []
        self.claims = 0

    async def assigned(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        self.claims += 1
        return dict.fromkeys(partitions, 5)

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None: ...

    async def handle(self, records: Sequence[Record]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.taken.append([record.offset for record in records])

    def positions(self) -> Mapping[tuple[str, int], int]:
        return {}


class Consumer:
    """One partition, and what was asked of it."""

    def __init__(self) -> None:
        self.sought: list[int] = []
        self.paused: set[int] = set()
        self._fetcher = SimpleNamespace(_prefetch_backoff=0.1, _fetch_max_wait_ms=500)

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.sought.append(offset)

    def pause(self, *places: TopicPartition) -> None:
        self.paused |= {place.partition for place in places}

    def resume(self, *places: TopicPartition) -> None:
        self.paused -= {place.partition for place in places}


class Trickle(Consumer):
    """A record is there whenever somebody asks; what is asked for meanwhile waits. Each poll is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Any:
        self.offset += 1
        record = ConsumerRecord(TOPIC, 0, self.offset, 0, 0, b"k", b"x", None, 1, 1, ())
        return {TopicPartition(TOPIC, self.offset % 2): [record][:max_records]}


class Reading:
    """A subscription over a taker, its consumer a double."""

    def __init__(self, taker: Taker, **chosen: Any) -> None:
        config = Settings(retry_seconds_min=0.001, retry_seconds_max=0.002, **chosen)
        self.clock, self.consumer = Clock(), Consumer()
        self.health = Health(60, self.clock)
        self.subscription = Subscription(
            KafkaBroker(apply_types=False),
            config,
            group="orderlog.test",
            topics=[TOPIC],
            taker=taker,
            tracer=NoOpTracer(),
            health=self.health,
        )
        self.subscription._subscriber.consumer = cast(Any, self.consumer)

    async def poll(self, *offsets: int, headers: Headers = (), size: int = 10) -> None:
        raw = tuple(
            ConsumerRecord(TOPIC, 0, offset, 0, 0, b"k", b"x" * size, None, 1, size, headers)
            for offset in offsets
        )
        await self.subscription._on_batch(cast(Any, raw))


async def test_a_null_traceparent_stops_nobody() -> None:
    taker = Taker()
    await Reading(taker).poll(1, 2, headers=(("traceparent", None),))
    assert taker.taken == [[1, 2]]


async def offsets(subscription: Subscription, consumer: Consumer) -> list[int]:
    """What the next poll brings."""
    return [record.offset for record in await subscription._poll(cast(Any, consumer))]


async def test_the_first_polls_are_taken_at_once_and_later_ones_gather_what_comes() -> None:
    reading = Reading(Taker(), gather_seconds=0.05, gather_seconds_min=0.05)
    subscription, consumer = reading.subscription, Trickle()
    found = [sorted(await offsets(subscription, consumer)) for _ in range(8)]
    assert found == [[1], [2], [3], [4], [5], [6, 7, 8], [9, 10, 11], [12, 13, 14]]


async def test_what_somebody_waits_for_is_gathered_for_a_shorter_time() -> None:
    reading = Reading(Taker(), gather_seconds=1, gather_seconds_min=0)
    subscription, consumer = reading.subscription, Trickle()
    subscription._awaited = lambda: True
    async with asyncio.timeout(0.9):
        for offset in range(1, 20):
            assert await offsets(subscription, consumer) == [offset]


async def test_a_stage_gathers_the_longer_the_longer_its_batches_take() -> None:
    class Slow(Taker):
        async def handle(self, records: Sequence[Record]) -> None:
            await asyncio.sleep(0.02)

    reading = Reading(Slow(), gather_seconds=1, gather_seconds_min=0)
    await reading.poll(1)
    assert reading.subscription._gathering.rest(asyncio.get_running_loop().time()) <= 0
    rests = [reading.subscription._gathering.rest(asyncio.get_running_loop().time()) for _ in range(20)]
    assert rests[-1] > 0.02


async def test_a_poll_that_brought_as_much_as_one_may_gathers_nothing() -> None:
    subscription, consumer = Reading(Taker(), poll_records_max=1).subscription, Trickle()
    for offset in range(1, 20):
        assert await offsets(subscription, consumer) == [offset]


class TwoTopics(Consumer):
    """A topic with so many records that come first, and one with more of the others than anybody asks for."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.left, self.closed = first, set[TopicPartition]()

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(topic, lane) for topic in (FIRST, OTHER, COMMANDS) for lane in (0, 1)}

    def pause(self, *places: TopicPartition) -> None:
        self.closed |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        self.closed -= set(places)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Any:
        found = {}
        for place in (TopicPartition(FIRST, 0), TopicPartition(OTHER, 0), TopicPartition(COMMANDS, 0)):
            count = min(self.left, 250) if place.topic == FIRST else 100
            if place not in self.closed and count:
                record = ConsumerRecord(place.topic, 0, 0, 0, 0, b"k", b"x", None, 1, 1, ())
                found[place] = [record] * count
        self.left -= len(found.get(TopicPartition(FIRST, 0), ()))
        return found


FIRST, OTHER, COMMANDS = "finishes", "begins", "commands"


def two_topics(first: int) -> tuple[Subscription, TwoTopics]:
    consumer = TwoTopics(first)
    subscription = Subscription(
        KafkaBroker(apply_types=False),
        Settings(gather_seconds=0),
        group="orderlog.test",
        topics=[FIRST, OTHER, COMMANDS],
        taker=Taker(),
        tracer=NoOpTracer(),
        first=[FIRST],
        others=[OTHER],
    )
    subscription._subscriber.consumer = cast(Any, consumer)
    return subscription, consumer


async def came(subscription: Subscription, consumer: TwoTopics) -> dict[str, int]:
    return Counter(record.topic for record in await subscription._poll(cast(Any, consumer)))


async def test_nothing_is_begun_while_a_backlog_is_to_be_finished() -> None:
    subscription, consumer = two_topics(first=600)
    polls, waits = [], []
    for _ in range(5):
        polls.append(await came(subscription, consumer))
        waits.append(consumer._fetcher._fetch_max_wait_ms)
    assert waits[0] == waits[1] < 100, "who is paused is fetched soon after it is resumed"
    assert waits[2:] == [Settings().fetch_wait_ms] * 3
    assert polls == [
        {FIRST: 250, OTHER: 100, COMMANDS: 100},
        {FIRST: 250, COMMANDS: 100},
        {FIRST: 100, COMMANDS: 100},
        {OTHER: 100, COMMANDS: 100},
        {OTHER: 100, COMMANDS: 100},
    ]


async def test_a_backlog_that_never_ends_keeps_the_others_out_for_some_polls_only() -> None:
    subscription, consumer = two_topics(first=1_000_000)
    polls = [await came(subscription, consumer) for _ in range(40)]
    assert 2 <= sum(OTHER in poll for poll in polls) <= 4


async def test_a_halted_lane_is_not_taken_up_again_by_who_gave_way() -> None:
    subscription, consumer = two_topics(first=300)
    await came(subscription, consumer)
    subscription.pause([1])
    for _ in range(3):
        await came(subscription, consumer)
    assert {place for place in consumer.closed if place.topic == OTHER} == {TopicPartition(OTHER, 1)}


async def test_what_is_held_back_is_not_fetched_until_it_is_let_go() -> None:
    subscription, consumer = two_topics(first=300)
    subscription.hold_back([COMMANDS])
    assert COMMANDS not in await came(subscription, consumer)
    subscription.pause([1])
    subscription.seek({(FIRST, 1): 9, (COMMANDS, 1): 9})
    assert COMMANDS not in await came(subscription, consumer), "a lane that is taken up again changes nothing"
    subscription.hold_back([])
    assert COMMANDS in await came(subscription, consumer)
    assert not consumer.closed


async def test_how_long_fetches_wait_is_kept_when_a_lane_halts() -> None:
    subscription, consumer = two_topics(first=0)
    subscription.wait_at_broker(50)
    subscription.pause([1])
    assert consumer._fetcher._fetch_max_wait_ms == 50


async def test_large_records_are_taken_in_parts_and_in_order() -> None:
    taker = Taker()
    await Reading(taker, batch_bytes_max=5_000).poll(1, 2, 3, 4, 5, size=1_000)
    assert taker.taken == [[1, 2], [3, 4], [5]]


def test_a_record_larger_than_a_part_is_a_part_by_itself() -> None:
    sizes = (10, 9_000, 10, 10)
    records = [Record(TOPIC, 0, place, b"k", b"x" * size, ()) for place, size in enumerate(sizes)]
    assert [[record.offset for record in part] for part in cut(records, 5_000)] == [[0], [1], [2, 3]]
    assert list(cut([], 5_000)) == []


async def test_a_batch_waits_for_its_database_without_harm_to_its_health() -> None:
    taker = Taker(Unavailable("gone"), Unavailable("gone"))
    reading = Reading(taker)
    waited = telemetry.BATCHES_WAITED.labels("test", "store")._value.get
    before = waited()
    await reading.poll(1)
    assert taker.taken == [[1]]
    assert waited() == before + 2, "what an alert rule reads"
    assert reading.health.report() == {"alive": True, "failed": {}}


async def test_a_batch_that_fails_unforeseen_for_too_long_is_told_until_it_succeeds() -> None:
    reading = Reading(Taker())

    class Stuck(Taker):
        async def handle(self, records: Sequence[Record]) -> None:
            reading.clock.now += 40
            if reading.clock.now < 130:
                assert reading.health.report()["alive"] is (reading.clock.now <= 80)
            await super().handle(records)

    taker = Stuck(KeyError("a"), KeyError("b"), KeyError("c"))
    reading.subscription._taker = taker
    await reading.poll(1)
    assert taker.taken == [[1]]
    assert reading.health.report()["alive"] is True


async def test_who_is_told_again_and_again_to_read_elsewhere_claims_again() -> None:
    taker = Taker(*(Seek({(TOPIC, 0): 3}) for _ in range(5)))
    reading = Reading(taker)
    for _ in range(4):
        await reading.poll(3)
    assert (reading.consumer.sought, taker.claims) == ([3] * 4, 0)
    await reading.poll(3)
    assert taker.claims == 1
    assert reading.consumer.sought[4:] == [5, 5], "both partitions from where the store says"


async def test_what_is_left_after_being_told_to_read_elsewhere_is_not_taken() -> None:
    taker = Taker(Seek({(TOPIC, 0): 1}))
    await Reading(taker, batch_bytes_max=1_500).poll(1, 2, 3, size=1_000)
    assert taker.taken == []


async def test_a_stop_lets_the_batch_in_hand_finish_and_takes_no_other() -> None:
    going, may = asyncio.Event(), asyncio.Event()

    class Slow(Taker):
        async def handle(self, records: Sequence[Record]) -> None:
            going.set()
            await may.wait()
            await super().handle(records)

    taker = Slow()
    reading = Reading(taker, batch_bytes_max=1_500)
    batch = asyncio.create_task(reading.poll(1, 2, size=1_000))
    await going.wait()
    reading.subscription.stop_reading()
    finished = asyncio.create_task(reading.subscription.finished())
    may.set()
    await asyncio.gather(batch, finished)
    await reading.poll(3)
    assert taker.taken == [[1]]


async def test_a_stop_does_not_wait_for_a_database_that_is_gone() -> None:
    reading = Reading(Taker(*(Unavailable("gone") for _ in range(10_000))))
    batch = asyncio.create_task(reading.poll(1))
    await asyncio.sleep(0)
    reading.subscription.stop_reading()
    async with asyncio.timeout(5):
        await reading.subscription.finished()
        await batch


async def test_an_assignment_that_fails_unforeseen_is_tried_again() -> None:
    class Refusing(Taker):
        async def assigned(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
            if self.faults:
                raise self.faults.pop(0)
            return await super().assigned(partitions)

    taker = Refusing(KeyError("odd"), Unavailable("gone"))
    reading = Reading(taker)
    await reading.subscription.on_assigned([TopicPartition(TOPIC, 0)])
    assert taker.claims == 1
    assert reading.consumer.sought == [5]
    assert reading.subscription.ready.is_set()


def test_a_halted_lane_is_not_fetched_until_it_is_taken_up_again() -> None:
    reading = Reading(Taker())
    reading.subscription.pause([1])
    assert reading.consumer.paused == {1}
    reading.subscription.seek({(TOPIC, 1): 9, ("another", 1): 4})
    assert (reading.consumer.paused, reading.consumer.sought) == (set(), [9])


@pytest.mark.parametrize(("topics", "partitions"), [(1, 4), (5, 4), (6, 12), (6, 1000)])
def test_all_partitions_together_stay_within_what_may_be_fetched(topics: int, partitions: int) -> None:
    config = Settings(partitions=partitions)
    each = partition_bytes(config, topics)
    assert each >= 65_536
    if topics * partitions * 65_536 <= config.fetch_bytes_max:
        assert each * topics * partitions <= config.fetch_bytes_max


class TestHealth:
    async def test_a_task_that_ends_is_told(self) -> None:
        health = Health(60)

        async def ends() -> None:
            return None

        async def fails() -> None:
            raise KeyError("x")

        for name, work in (("commit", ends()), ("relay", fails())):
            task = asyncio.create_task(work, name=name)
            health.watch(task)
            await asyncio.wait([task])
        await asyncio.sleep(0)
        assert health.report() == {"alive": False, "failed": {"commit": "ended", "relay": "KeyError"}}

    async def test_tasks_may_end_when_the_process_does(self) -> None:
        health = Health(60)
        health.stopping = True

        async def ends() -> None:
            return None

        task = asyncio.create_task(ends(), name="work")
        health.watch(task)
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert health.report()["alive"] is True
