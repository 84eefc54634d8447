"""The sender over a memory log: one effect that fails stops no other, and no claim outlives its lease."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.events.contract import Command
from libs.events.notifications import RecordMessageOutcome
from libs.runtime import sender as module
from libs.runtime.log import EffectRow, Snapshot, Writes
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.sender import Sender, TryAgain
from services.notifications.app import STAGE

KEY = "acme/o-1"


class Performing:
    """Performs effects; what it is told to do first may go wrong or take long."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.broken: set[str] = set()
        self.not_now: set[str] = set()
        self.seconds_each = 0.0
        self.clock = datetime(2026, 3, 2, tzinfo=UTC)

    async def perform(self, tenant: str, effect_id: str, state: Any) -> Command:
        self.clock += timedelta(seconds=self.seconds_each)
        if effect_id in self.broken:
            raise KeyError(effect_id)
        if effect_id in self.not_now:
            raise TryAgain("the server is busy")
        self.done.append(effect_id)
        return RecordMessageOutcome(order_id="o-1", message_id=effect_id, outcome="sent")

    async def close(self) -> None:
        return None


def owing(count: int) -> MemoryLog:
    log = MemoryLog()
    log.parts[KEY] = Snapshot(1, b"{}")
    log._apply(Writes(owed={f"m-{n}": EffectRow(0, f"m-{n}", KEY) for n in range(count)}))
    return log


@pytest.fixture
def performing(monkeypatch: pytest.MonkeyPatch) -> Performing:
    found = Performing()
    monkeypatch.setattr(module, "_now", lambda: found.clock)
    return found


async def test_an_effect_that_fails_unforeseen_is_put_off_and_the_others_are_done(
    performing: Performing,
) -> None:
    log, broker = owing(3), MemoryBroker(4)
    performing.broken = {"m-1"}
    sender = Sender(STAGE, log, broker, performing, lambda: (0,), lambda _: 0)
    assert await sender.turn() == 3
    assert performing.done == ["m-0", "m-2"]
    assert len(broker.all("oms.notifications.commands")) == 2
    assert await sender.turn() == 0, "it is not tried at once"
    performing.broken = set()
    performing.clock += timedelta(minutes=20)
    await sender.turn()
    assert "m-1" in performing.done


async def test_the_pause_before_the_next_try_grows_up_to_a_bound(performing: Performing) -> None:
    log, waits = owing(1), list[float]()
    performing.not_now = {"m-0"}
    sender = Sender(STAGE, log, MemoryBroker(4), performing, lambda: (0,), lambda _: 0, 8.0)
    for attempt in range(6):
        if attempt == 5:
            performing.broken = {"m-0"}
        assert await sender.turn() == 1
        [(_, due)] = log.effects.values()
        waits.append((due - performing.clock).total_seconds())
        performing.clock = due
    assert waits == [2, 4, 8, 8, 8, 8]


async def test_what_cannot_be_done_within_its_lease_is_left_to_whoever_claims_it_next(
    performing: Performing,
) -> None:
    """Else a new owner of the lane claims it, and the same mail is sent twice."""
    log, broker = owing(100), MemoryBroker(4)
    performing.seconds_each = 2.0
    sender = Sender(STAGE, log, broker, performing, lambda: (0,), lambda _: 0)
    await sender.turn()
    assert len(performing.done) == 20
    assert len(broker.all("oms.notifications.commands")) == len(performing.done)


async def test_an_effect_of_a_lane_that_was_given_away_is_left_alone(performing: Performing) -> None:
    log, broker = owing(45), MemoryBroker(4)
    lanes = iter([(0,), (0,)])
    sender = Sender(STAGE, log, broker, performing, lambda: next(lanes, ()), lambda _: 0)
    await sender.turn()
    assert len(performing.done) == 20
