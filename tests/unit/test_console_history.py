"""An order's events found again on the topics, behind repeats too, and the order as it stood at a moment."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.catalogue import encode
from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime import wire
from libs.runtime.wire import Record
from services.console.facts import INITIAL
from services.console.history import History, Place, as_of
from services.console.orders import evolve
from services.console.standing import status
from tests.console_database import by_stage
from tests.console_lives import LIVES
from tests.console_parts import at

TOPIC = "oms.intake.events"


def record(sequence: int, offset: int) -> Record:
    return Record(TOPIC, 0, offset, b"acme/o-1", b"{}", [("ce_sequence", b"%d" % sequence)])


def with_repeats(count: int, crashes: dict[int, int]) -> list[Record]:
    """A lane of `count` events whose relay, after some of them, began again so many before."""
    sequences: list[int] = []
    for sequence in range(1, count + 1):
        sequences.append(sequence)
        if back := crashes.get(sequence):
            sequences += range(max(1, sequence - back), sequence + 1)
    return [record(sequence, offset) for offset, sequence in enumerate(sequences)]


class Topic:
    """A partition that gives a few records at a time."""

    def __init__(self, records: Sequence[Record], at_once: int) -> None:
        self.records, self.at_once, self.reads = records, at_once, 0

    async def __call__(self, topic: str, partition: int, offset: int) -> Sequence[Record]:
        self.reads += 1
        return self.records[offset : offset + self.at_once]


@given(
    st.integers(1, 300),
    st.dictionaries(st.integers(1, 300), st.integers(1, 40), max_size=8),
    st.integers(1, 50),
    st.data(),
)
def test_an_event_is_found_behind_any_repeats(
    count: int, crashes: dict[int, int], at_once: int, data: st.DataObject
) -> None:
    topic = Topic(with_repeats(count, crashes), at_once)
    sequence = data.draw(st.integers(1, count))
    found = asyncio.run(History(topic).record(Place("intake", 0, sequence)))
    if found is None:  # more repeats than it looks through, a few records at a time
        assert at_once * 50 < sum(crashes.values())
    else:
        assert dict(found.headers)["ce_sequence"] == b"%d" % sequence


async def test_what_the_topic_does_not_hold_is_not_found_and_what_was_found_is_kept() -> None:
    topic = Topic(with_repeats(5, {}), 2)
    history = History(topic)
    assert await history.record(Place("intake", 0, 9)) is None
    assert await history.record(Place("intake", 0, 4)) is not None
    reads = topic.reads
    assert await history.record(Place("intake", 0, 4)) is not None
    assert topic.reads == reads


@pytest.mark.parametrize("life", LIVES)
async def test_the_order_as_it_stood_is_what_its_events_up_to_then_say(life: str) -> None:
    topics = by_stage(LIVES[life]("o-1"))
    events = [event for found in topics.values() for event in found]
    records = {
        (f"oms.{stage}.events", event.sequence): _wired(stage, event)
        for stage, found in topics.items()
        for event in found
    }

    async def read_from(topic: str, partition: int, offset: int) -> Sequence[Record]:
        return [found] if (found := records.get((topic, offset + 1))) else []

    places = [Place(stage, 0, event.sequence) for stage, found in topics.items() for event in found]
    heard = await History(read_from).envelopes(places)
    assert status(as_of(heard, "o-1", at(10_000))) == life
    assert as_of(heard, "o-1", at(-10_000)) == INITIAL
    moment = sorted(event.at for event in events)[len(events) // 2]
    expected = INITIAL
    for event in sorted(events, key=lambda e: (e.at, e.source, e.sequence)):
        if event.at <= moment:
            expected = evolve(expected, event)
    assert status(as_of(heard, "o-1", moment)) == status(expected)


def _wired(stage: str, event: Envelope[Event]) -> Record:
    key = f"{event.tenant}/{event.stream}".encode()
    return Record(f"oms.{stage}.events", 0, event.sequence - 1, key, encode(event.body), wire.headers(event))
