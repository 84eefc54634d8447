"""The relay over a memory log: lanes come and go while it reads, commits whose answer was lost."""

from datetime import UTC, datetime
from uuid import UUID

from libs.runtime.log import LogRow, Writes
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.relay import Relay

TOPIC = "oms.intake.events"
AT = datetime(2026, 3, 2, tzinfo=UTC)
ID = UUID("11111111-2222-5333-8444-777777777777")
CONTEXT = {"actor": "", "reason": "", "causationid": str(ID), "correlationid": str(ID), "traceparent": ""}


def rows(lane: int, count: int) -> list[LogRow]:
    return [
        LogRow(lane, "decided", seq, ID, "acme", "o-1", seq, "oms.x", 1, b"{}", CONTEXT, AT, AT)
        for seq in range(1, count + 1)
    ]


class GivenAway(MemoryLog):
    """Its lanes go to another process while somebody reads it."""

    relay: Relay

    async def unpublished(self, lane: int, after: int, limit: int) -> list[LogRow]:
        found = await super().unpublished(lane, after, limit)
        self.relay.disown(range(4))
        return found


async def test_lanes_that_are_given_away_while_the_relay_reads_are_left_alone() -> None:
    log, broker = GivenAway(), MemoryBroker(4)
    log._apply(Writes(rows=[row for lane in range(4) for row in rows(lane, 2)]))
    log.relay = Relay("intake", TOPIC, log, broker)
    await log.relay.own(range(4))
    assert await log.relay.turn() == 0
    assert not broker.all(TOPIC)
    await log.relay.own([1])
    assert await log.relay.turn() == 0


async def test_rows_whose_commit_was_not_told_are_published_once_it_catches_up() -> None:
    log, broker = MemoryLog(), MemoryBroker(4)
    relay = Relay("intake", TOPIC, log, broker)
    await relay.own([0])
    assert await relay.turn() == 0
    log._apply(Writes(rows=rows(0, 3)))
    assert await relay.turn() == 0
    relay.catch_up()
    assert await relay.turn() == 3
    assert [dict(record.headers)["ce_sequence"] for record in broker.all(TOPIC)] == [b"1", b"2", b"3"]
