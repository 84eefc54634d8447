"""Holding records back for a larger transaction: for how long, and what becomes of them when it fails."""

import asyncio
from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock

import asyncpg
import pytest

from libs.runtime.log import Unavailable
from libs.runtime.seek import Seek
from services.console import store
from services.console.follow import Follower
from services.console.rebuild import rebuild
from services.console.store import Projector
from services.console.web.feed import Feed
from services.console.web.freshness import Freshness
from tests.console_database import console_dsn, pool
from tests.log.test_console_rebuild import Topics, reading, topics

__all__ = ["console_dsn", "pool", "topics"]


class Faulty(Projector):
    """A projector that takes its time, by a clock of its own, or has lost its database."""

    now, takes_seconds, lost, watched = 0.0, 0.0, False, False

    async def apply(self, *batch: Any) -> None:
        if self.lost:
            raise ConnectionResetError("the database went away")
        await super().apply(*batch)
        self.now += self.takes_seconds


class Holding:
    """A follower that holds back; the database is what everybody sees of it."""

    def __init__(self, pool: asyncpg.Pool, topics: Topics) -> None:
        self.topics, self.projector = topics, Faulty(pool)
        self.follower = Follower(
            self.projector,
            hold_seconds_max=1.0,
            clock=lambda: self.projector.now,
            watched=lambda: self.projector.watched,
        )

    async def start(self) -> "Holding":
        """Owner of all topics, which has just written the first record of each, in no time."""
        await self.follower.assigned(list(self.topics))
        await self.follower.handle([records[0] for records in self.topics.values()])
        return self

    async def slow(self, seconds: float) -> None:
        """Read the second record of each topic, in a transaction that takes so long."""
        self.projector.takes_seconds = seconds
        await self.follower.handle([records[1] for records in self.topics.values()])
        self.projector.takes_seconds = 0.0

    async def rest(self, start: int = 2) -> None:
        """Read on to the ends, a record of each topic at a time."""
        for turn in range(start, max(map(len, self.topics.values()))):
            await self.follower.handle([r[turn] for r in self.topics.values() if turn < len(r)])


async def test_records_are_held_back_the_longer_the_longer_a_write_takes(
    pool: asyncpg.Pool, topics: Topics
) -> None:
    holding = await Holding(pool, topics).start()
    assert set(holding.follower.positions().values()) == {1}, "the first is written at once"
    await holding.slow(0.15)
    at_write = holding.follower.positions()
    holding.projector.now += 0.4
    await holding.rest()
    await holding.follower.write_due()
    assert holding.follower.positions() == at_write == await holding.projector.positions(topics)
    holding.projector.now += 0.1
    await holding.follower.write_due()
    ends = {place: len(records) for place, records in topics.items()}
    assert holding.follower.positions() == ends == await holding.projector.positions(topics)
    assert (await rebuild(pool, reading(topics))).match


async def test_records_are_never_held_back_longer_than_allowed(pool: asyncpg.Pool, topics: Topics) -> None:
    holding = await Holding(pool, topics).start()
    await holding.slow(60)
    holding.projector.now += 1.0
    await holding.rest()
    assert (await rebuild(pool, reading(topics))).events > 2 * len(topics)


@pytest.mark.parametrize(
    ("writes_for", "held_for"),
    [(60, 0.2), (0.15, 0.1)],
    ids=["for a moment only", "so that most of the time may go into writing"],
)
async def test_while_somebody_watches_records_are_held_back(
    pool: asyncpg.Pool, topics: Topics, writes_for: float, held_for: float
) -> None:
    holding = await Holding(pool, topics).start()
    holding.projector.watched = True
    await holding.slow(writes_for)
    at_write = holding.follower.positions()
    holding.projector.now += held_for - 0.01
    await holding.rest()
    assert holding.follower.positions() == at_write
    holding.projector.now += 0.02
    await holding.follower.write_due()
    ends = {place: len(records) for place, records in topics.items()}
    assert holding.follower.positions() == ends == await holding.projector.positions(topics)


async def test_what_is_held_back_is_due_without_being_asked_for(pool: asyncpg.Pool, topics: Topics) -> None:
    holding = await Holding(pool, topics).start()
    await holding.slow(0.03)
    due = asyncio.create_task(holding.follower.due())
    await asyncio.sleep(0)
    assert not due.done(), "nothing is held back yet"
    await holding.rest()
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(due, 5)
    assert asyncio.get_running_loop().time() - began >= 0.08
    holding.projector.now += 0.11
    await holding.follower.write_due()
    ends = {place: len(records) for place, records in topics.items()}
    assert holding.follower.positions() == ends
    again = asyncio.create_task(holding.follower.due())
    await asyncio.sleep(0)
    assert not again.done(), "all of it was written"
    again.cancel()


async def test_what_could_not_be_written_is_due_again(pool: asyncpg.Pool, topics: Topics) -> None:
    holding = await Holding(pool, topics).start()
    holding.projector.lost = True
    with pytest.raises(Unavailable):
        await holding.follower.handle(topics["oms.intake.events", 0][1:5])
    await asyncio.wait_for(holding.follower.due(), 5)


class Elsewhere(Feed):
    """The feed of another process."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.heard = asyncio.Event()

    def _heard_of_pages(self, connection: object, pid: int, channel: str, payload: object) -> None:
        super()._heard_of_pages(connection, pid, channel, payload)
        self.heard.set()


async def test_every_process_hears_that_a_page_is_open(console_dsn: str) -> None:
    async def nowhere() -> Mapping[tuple[str, int], int]:
        return {}

    here = Feed(console_dsn, 5.0, Freshness(nowhere, nowhere))
    there = Elsewhere(console_dsn, 5.0, Freshness(nowhere, nowhere))
    assert not here.is_watched()
    page = await here.stream("acme", None, names_orders=True, signed_in=AsyncMock(return_value=True))
    await anext(page)
    assert here.is_watched()
    assert not there.is_watched()
    running = [asyncio.create_task(feed.run()) for feed in (there, here)]
    try:
        await asyncio.wait_for(there.heard.wait(), 10)
        assert there.is_watched()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_what_is_held_back_of_a_lane_that_is_given_up_is_read_again(
    pool: asyncpg.Pool, topics: Topics
) -> None:
    holding = await Holding(pool, topics).start()
    await holding.slow(60)
    await holding.rest()
    other = Follower(Projector(pool))
    lane = [place for place in topics if place[1] == 1]
    holding.follower.revoked(lane)
    offsets = await other.assigned(lane)
    assert max(offsets.values()) <= 2
    for place in lane:
        await other.handle(topics[place][offsets[place] :])
    await holding.follower.write_due(now=True)
    assert await other.assigned(list(topics)) == {place: len(records) for place, records in topics.items()}
    assert (await rebuild(pool, reading(topics))).match


async def test_what_is_held_back_waits_for_the_database_and_is_offered_again_in_vain(
    pool: asyncpg.Pool, topics: Topics
) -> None:
    holding = await Holding(pool, topics).start()
    holding.projector.lost = True
    place = ("oms.intake.events", 0)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await holding.follower.handle(topics[place][1:5])
    holding.projector.lost = False
    await holding.follower.write_due()
    assert holding.follower.positions()[place] == 5
    await holding.rest(1)
    assert (await rebuild(pool, reading(topics))).match


async def test_what_is_held_back_is_dropped_where_another_has_moved_on(
    pool: asyncpg.Pool, topics: Topics
) -> None:
    holding = await Holding(pool, topics).start()
    await holding.slow(60)
    await holding.rest()
    other = Follower(Projector(pool))
    await other.assigned(list(topics))
    await other.handle([records[2] for records in topics.values() if len(records) > 2])
    with pytest.raises(Seek) as seek:
        await holding.follower.write_due(now=True)
    assert seek.value.offsets == other.positions()
    for place, records in topics.items():
        await holding.follower.handle(records[seek.value.offsets[place] :])
    await holding.follower.write_due(now=True)
    assert (await rebuild(pool, reading(topics))).match


async def test_a_batch_that_is_folded_in_slices_comes_to_the_same(
    pool: asyncpg.Pool, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_FOLDED_AT_ONCE", 3)
    holding = await Holding(pool, topics).start()
    await holding.slow(60)
    await holding.rest()
    await holding.follower.write_due(now=True)
    assert (await rebuild(pool, reading(topics))).match
