"""What the relay keeps in memory has a bound in bytes, and nothing is lost where it is reached."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.runtime.log import READ_BYTES_MAX, LogRow, Writes
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.relay import Relay

TOPIC = "oms.intake.events"
AT = datetime(2026, 3, 2, tzinfo=UTC)
ID = UUID("11111111-2222-5333-8444-777777777777")
CONTEXT = {"actor": "", "reason": "", "causationid": str(ID), "correlationid": str(ID), "traceparent": ""}


def row(lane: int, seq: int, size: int) -> LogRow:
    return LogRow(lane, "decided", seq, ID, "acme", "o-1", seq, "oms.x", 1, b"x" * size, CONTEXT, AT, AT)


class Counted(MemoryLog):
    """Notes how many bytes each read from the log brought."""

    def __init__(self) -> None:
        super().__init__()
        self.read_bytes: list[int] = []

    async def unpublished(self, lane: int, after: int, limit: int) -> list[LogRow]:
        found = await super().unpublished(lane, after, limit)
        self.read_bytes.append(sum(len(one.payload) for one in found))
        return found


def kept_bytes(relay: Relay) -> int:
    return sum(len(one.payload) for recent in relay._recent.values() for one in recent)


def sequences(broker: MemoryBroker, lane: int) -> list[int]:
    found = [record for record in broker.all(TOPIC) if record.partition == lane]
    return [int(dict(record.headers)["ce_sequence"]) for record in found]


async def drain(relay: Relay) -> None:
    while await relay.turn():
        pass


@pytest.mark.parametrize("size", [100, 50_000])
async def test_rows_beyond_the_bound_are_left_in_the_log_and_published_from_there(size: int) -> None:
    log, broker = Counted(), MemoryBroker(2)
    relay = Relay("intake", TOPIC, log, broker, kept_bytes_max=1_000_000)
    await relay.own([0, 1])
    await drain(relay)
    log.read_bytes.clear()
    most = 0
    for seq in range(1, 1001):
        committed: Sequence[LogRow] = [row(0, seq, size), row(1, seq, size)]
        log._apply(Writes(rows=list(committed)))
        relay.committed(committed)
        most = max(most, kept_bytes(relay))
    assert 0 < most <= 1_000_000
    await drain(relay)
    assert sequences(broker, 0) == sequences(broker, 1) == list(range(1, 1001))
    assert log.read_bytes, "what was not kept was read again"
    assert kept_bytes(relay) == 0


async def test_large_rows_are_read_few_at_a_time() -> None:
    log, broker = Counted(), MemoryBroker(1)
    log._apply(Writes(rows=[row(0, seq, 100_000) for seq in range(1, 1001)]))
    relay = Relay("intake", TOPIC, log, broker)
    await relay.own([0])
    await drain(relay)
    assert sequences(broker, 0) == list(range(1, 1001))
    assert max(log.read_bytes) <= READ_BYTES_MAX


async def test_small_rows_are_read_many_at_a_time() -> None:
    log, broker = Counted(), MemoryBroker(1)
    log._apply(Writes(rows=[row(0, seq, 2) for seq in range(1, 10_001)]))
    relay = Relay("intake", TOPIC, log, broker)
    await relay.own([0])
    await drain(relay)
    assert sequences(broker, 0) == list(range(1, 10_001))
    assert len(log.read_bytes) < 15


async def test_what_is_kept_is_counted_anew_after_lanes_came_and_went() -> None:
    log, broker = Counted(), MemoryBroker(1)
    relay = Relay("intake", TOPIC, log, broker, kept_bytes_max=10_000, mark_seconds=0.0)
    for _ in range(5):
        await relay.own([0])
        await drain(relay)
        seq = len(log.rows.get((0, "decided"), [])) + 1
        log._apply(Writes(rows=[row(0, seq, 5_000)]))
        relay.committed([row(0, seq, 5_000)])
        assert kept_bytes(relay) == 5_000
        relay.disown([0])
        assert kept_bytes(relay) == 0
    await relay.own([0])
    await drain(relay)
    assert sequences(broker, 0) == [1, 2, 3, 4, 5]
