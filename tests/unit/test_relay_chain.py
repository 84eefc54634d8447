"""The chains of a relay: they go on after a crash, under another owner, and catch up where behind."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.events.chain import beginning, link
from libs.runtime.audit import of_row
from libs.runtime.log import LogRow, Mark, Writes
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.relay import Message, PublishFailed, Relay
from libs.runtime.stage import ANCHORS_TOPIC
from tests.flow.world import Clock

TOPIC = "oms.intake.events"
AT = datetime(2026, 3, 2, tzinfo=UTC)
CAUSE = str(UUID("11111111-2222-5333-8444-777777777777"))
CONTEXT = {"actor": "", "reason": "", "causationid": CAUSE, "correlationid": CAUSE, "traceparent": ""}


def row(seq: int, lane: int = 0) -> LogRow:
    id_ = UUID(int=seq + 1000 * lane)
    return LogRow(lane, "decided", seq, id_, "acme", "o-1", seq, "oms.x", 1, b"%d" % seq, CONTEXT, AT, AT)


def rows(first: int, last: int, lane: int = 0) -> list[LogRow]:
    return [row(seq, lane) for seq in range(first, last + 1)]


def head(last: int, lane: int = 0) -> bytes:
    found = beginning("intake", lane)
    for event in (of_row(one, b"orderlog/intake") for one in rows(1, last, lane)):
        found = link(found, event.key, event.headers, event.value)
    return found


def relay(log: MemoryLog, broker: MemoryBroker, anchor_seconds: float = 0.0) -> Relay:
    return Relay(
        "intake",
        TOPIC,
        log,
        broker,
        mark_seconds=0.0,
        chain_seconds=0.0,
        anchor_seconds=anchor_seconds,
        clock=Clock(),
    )


class Fails(MemoryBroker):
    """Takes no anchors, or nothing at all."""

    topics: tuple[str, ...] = (ANCHORS_TOPIC,)

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        if topic in self.topics:
            raise PublishFailed("away")
        await super().publish(topic, partition, messages)


async def test_a_head_is_stored_and_anchored_with_what_is_published() -> None:
    log, broker = MemoryLog(), MemoryBroker(2)
    log._apply(Writes(rows=[*rows(1, 3), *rows(1, 2, lane=1)]))
    first = relay(log, broker)
    await first.own([0, 1])
    await first.turn()
    assert log.marks == {0: Mark(3, 3, head(3)), 1: Mark(2, 2, head(2, 1))}
    assert {place: one.head for place, one in log.anchors.items()} == {(0, 3): head(3), (1, 2): head(2, 1)}
    published = {record.key: record.value or b"" for record in broker.all(ANCHORS_TOPIC)}
    assert head(2, 1).hex().encode() in published[b"intake/1"]
    await first.turn()
    assert len(broker.all(ANCHORS_TOPIC)) == 2, "what did not move is not anchored again"


async def test_the_chain_goes_on_where_its_mark_is_whoever_owns_the_lane() -> None:
    """The first owner's last mark is lost; the second publishes again from the mark; the first wakes late."""
    log, broker = MemoryLog(), MemoryBroker(1)
    log._apply(Writes(rows=rows(1, 2)))
    zombie, owner = relay(log, broker), relay(log, broker)
    await zombie.own([0])
    while await zombie.turn():
        pass
    await owner.own([0])
    log._apply(Writes(rows=rows(3, 5)))
    owner.catch_up()
    await owner.turn()
    zombie.committed(rows(3, 4))
    await zombie.turn()
    assert log.marks[0] == Mark(5, 5, head(5))
    assert {seq: one.head for (_, seq), one in log.anchors.items()} == {n: head(n) for n in (2, 4, 5)}


async def test_a_failed_publish_moves_no_head() -> None:
    log, broker = MemoryLog(), Fails(1)
    log._apply(Writes(rows=rows(1, 2)))
    broker.topics = (TOPIC,)
    one = relay(log, broker)
    await one.own([0])
    with pytest.raises(PublishFailed):
        await one.turn()
    assert log.marks == {}
    broker.topics = ()
    await one.turn()
    assert log.marks[0] == Mark(2, 2, head(2))


async def test_a_broker_that_takes_no_anchors_holds_nothing_up() -> None:
    log, broker = MemoryLog(), Fails(1)
    log._apply(Writes(rows=rows(1, 2)))
    one = relay(log, broker)
    await one.own([0])
    assert await one.turn() == 2
    assert [*log.anchors] == [(0, 2)]


@pytest.mark.parametrize("known", [0, 700])
async def test_a_lane_published_before_it_was_chained_is_chained_from_its_log(known: int) -> None:
    """After an upgrade, or a database made anew: piece by piece, while it goes on publishing."""
    log, broker = MemoryLog(), MemoryBroker(1)
    log._apply(Writes(rows=rows(1, 1200)))
    log.marks[0] = Mark(1200, known, head(known)) if known else Mark(1200)
    one = relay(log, broker)
    await one.own([0])
    for seq in range(1201, 1206):
        log._apply(Writes(rows=[row(seq)]))
        one.committed([row(seq)])
        one.catch_up()
        await one.turn()
        mark = log.marks[0]
        assert mark.head == head(mark.chained), "never a wrong head"
        assert mark.published == seq
    assert log.marks[0].chained == 1205
    assert len(broker.all(TOPIC)) == 5, "nothing is published again for it"
