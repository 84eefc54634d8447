"""The sender over a memory log: what fails for ever stops no other for ever, what a stream owes is done in
its order, and no claim outlives its lease."""

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
    """One effect of each of so many streams."""
    log = MemoryLog()
    for n in range(count):
        owe(log, f"m-{n}", f"acme/o-{n}")
    return log


def owe(log: MemoryLog, effect_id: str, key: str) -> None:
    log.parts[key] = Snapshot(1, b"{}")
    log._apply(Writes(owed={effect_id: EffectRow(0, effect_id, key)}))


class Mails:
    """What one order owes, in the order in which it was decided: the mails' ids are in no such order."""

    def __init__(self, performing: Performing) -> None:
        self.log, self.performing = MemoryLog(), performing
        self.sender = Sender(STAGE, self.log, MemoryBroker(4), performing, lambda: (0,), lambda _: 0)
        self.decide("confirmed")
        self.decide("a-shipped")

    def decide(self, effect_id: str) -> None:
        owe(self.log, effect_id, KEY)

    async def pass_time(self, **times: float) -> list[str]:
        """Have the sender look every second; what it did, its outcome told at once."""
        before, end = len(self.performing.done), self.performing.clock + timedelta(**times)
        while self.performing.clock < end:
            while await self.sender.turn():
                self.log._apply(Writes(settled=set(self.performing.done)))
            self.performing.clock += timedelta(seconds=1)
        return self.performing.done[before:]


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
    assert len(performing.done) == 16
    assert len(broker.all("oms.notifications.commands")) == len(performing.done)


async def test_an_effect_of_a_lane_that_was_given_away_is_left_alone(performing: Performing) -> None:
    log, broker = owing(45), MemoryBroker(4)
    lanes = iter([(0,), (0,)])
    sender = Sender(STAGE, log, broker, performing, lambda: next(lanes, ()), lambda _: 0)
    await sender.turn()
    assert len(performing.done) == 20


async def test_what_one_stream_owes_is_done_in_its_order(performing: Performing) -> None:
    mails = Mails(performing)
    assert await mails.pass_time(seconds=1) == ["confirmed", "a-shipped"]


async def test_what_is_put_off_is_waited_for(performing: Performing) -> None:
    mails = Mails(performing)
    performing.not_now = {"confirmed"}
    assert await mails.pass_time(minutes=3) == []
    mails.decide("a-refunded")
    assert await mails.pass_time(seconds=10) == []
    performing.not_now = set()
    assert await mails.pass_time(minutes=5) == ["confirmed", "a-shipped", "a-refunded"]


async def test_what_waits_is_done_as_soon_as_what_it_waits_for(performing: Performing) -> None:
    mails = Mails(performing)
    performing.not_now = {"confirmed"}
    assert await mails.pass_time(seconds=1) == []
    performing.not_now = set()
    assert await mails.pass_time(seconds=2) == ["confirmed", "a-shipped"]


async def test_more_than_is_reported_at_once_waits_as_well(performing: Performing) -> None:
    mails = Mails(performing)
    for number in range(30):
        mails.decide(f"a-{number}")
    performing.not_now = {"confirmed"}
    assert await mails.pass_time(seconds=1) == []


async def test_after_a_long_outage_it_is_as_it_was_decided(performing: Performing) -> None:
    mails, everything = Mails(performing), {"confirmed", "a-shipped", "a-delivered", "a-refunded"}
    performing.not_now = everything
    await mails.pass_time(hours=3)
    mails.decide("a-delivered")
    await mails.pass_time(hours=3, minutes=4)
    mails.decide("a-refunded")
    await mails.pass_time(minutes=3)
    performing.not_now = set()
    assert await mails.pass_time(minutes=20) == ["confirmed", "a-shipped", "a-delivered", "a-refunded"]


async def test_what_can_never_be_done_blocks_the_others_for_a_while_only(performing: Performing) -> None:
    mails = Mails(performing)
    performing.not_now = {"confirmed"}
    assert await mails.pass_time(minutes=10) == []
    assert await mails.pass_time(minutes=30) == ["a-shipped"]
    mails.decide("a-delivered")
    assert await mails.pass_time(minutes=16) == ["a-delivered"]


async def test_what_fails_unforeseen_is_passed_at_once(performing: Performing) -> None:
    mails = Mails(performing)
    performing.broken = {"confirmed"}
    assert await mails.pass_time(seconds=1) == ["a-shipped"]
    mails.decide("a-delivered")
    assert await mails.pass_time(minutes=16) == ["a-delivered"]


async def test_what_was_begun_before_a_crash_is_waited_for_until_its_lease_is_over(
    performing: Performing,
) -> None:
    mails = Mails(performing)
    await mails.log.claim_effects([0], performing.clock, 60, 1)
    assert await mails.pass_time(seconds=59) == []
    assert await mails.pass_time(seconds=2) == ["confirmed", "a-shipped"]
