"""Partitions read side by side: each in its order, none far ahead of another."""

import random

import pytest

from libs.runtime.wire import Record
from services.console.gone import Gone
from services.console.in_step import InStep
from services.console.processes import shares

Place = tuple[str, int]


def partition(topic: str, times_ms: list[int]) -> list[Record]:
    return [Record(topic, 0, offset, None, None, (), at) for offset, at in enumerate(times_ms)]


@pytest.mark.parametrize("seed", range(20))
def test_all_comes_once_in_each_partitions_order_and_in_step(seed: int) -> None:
    turn = random.Random(seed)
    topics: dict[Place, list[Record]] = {
        (name, 0): partition(name, sorted(turn.choices(range(1000), k=turn.randint(0, 80)))) for name in "abc"
    }
    step = InStep({place: len(records) for place, records in topics.items()})
    given: dict[Place, list[Record]] = {place: [] for place in topics}
    reached = 0
    while not step.done:
        assert step.lagging, "somebody waits for records that nobody lacks"
        for place in step.lagging:
            at = len(given[place])
            whole = step.add(place, topics[place][at : at + turn.randint(1, 9)])
            assert whole or step.held(place)
        batch = step.take()
        times = [record.timestamp_ms for record in batch]
        assert min(times, default=reached) >= reached, "what was given before was not behind it"
        reached = max(times, default=reached)
        for record in batch:
            given[record.topic, record.partition].append(record)
    assert given == topics


def test_what_lies_beyond_the_end_is_dropped() -> None:
    step = InStep({("a", 0): 2, ("b", 0): 0})
    assert step.add(("a", 0), partition("a", [1, 2, 3]))
    assert [record.offset for record in step.take()] == [0, 1]
    assert step.done


def test_one_that_is_early_in_its_partition_though_later_in_time_holds_up_nobody() -> None:
    step = InStep({("a", 0): 2, ("b", 0): 1})
    step.add(("a", 0), partition("a", [9, 1]))
    step.add(("b", 0), partition("b", [5]))
    assert len(step.take()) == 3
    assert step.done


def test_lanes_are_shared_out_whole_and_evenly() -> None:
    ends = {(topic, lane): 10_000 * (lane + 1) for topic in ("a", "b") for lane in range(4)}
    found = shares(ends, 2)
    assert sorted(sum(part.values()) for part in found) == [100_000, 100_000]
    assert {place: end for part in found for place, end in part.items()} == ends
    lanes = [{lane for _, lane in part} for part in found]
    assert not lanes[0] & lanes[1]


def test_a_short_history_is_one_share() -> None:
    ends = {("a", 0): 10, ("a", 1): 10}
    assert shares(ends, 8) == [ends]
    assert shares({}, 8) == [{}]


def test_what_is_gone_is_known_and_hardly_anything_else() -> None:
    gone = Gone(100_000)
    gone.update(("acme", f"o-{n}") for n in range(20_000))
    assert all(("acme", f"o-{n}") in gone for n in range(20_000))
    assert sum(("acme", f"x-{n}") in gone for n in range(20_000)) < 1_000
