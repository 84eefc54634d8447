"""What an open page is told as its stream begins: all that was committed since it was read."""

from collections.abc import Mapping

import pytest

from services.console.web.feed import Feed
from services.console.web.freshness import Freshness

PLACE = ("oms.intake.events", 0)


class Projection:
    """One partition: all that is on the topic has been projected."""

    def __init__(self) -> None:
        self.events = 5

    async def positions(self) -> Mapping[tuple[str, int], int]:
        return {PLACE: self.events}


async def always() -> bool:
    return True


async def first_told(feed: Feed, since: int | None) -> list[str]:
    """Names of a stream's first events, up to where it stands."""
    found: list[str] = []
    async for event in await feed.stream("acme", since, names_orders=True, signed_in=always):
        found += [line.removeprefix(b"event: ").decode() for line in event.splitlines() if b"event:" in line]
        if "stand" in found:
            return found
    raise AssertionError("the stream ended")


async def test_what_was_committed_after_the_page_was_read_is_told() -> None:
    projection = Projection()
    freshness = Freshness(projection.positions, projection.positions)
    feed = Feed("", 1.0, freshness)
    stand = await freshness.stand()
    assert stand is not None
    assert await first_told(feed, stand.position) == ["stand"], "nothing has come since"
    stand = await freshness.stand()
    assert stand is not None
    projection.events += 1
    assert await first_told(feed, stand.position) == ["changed", "stand"]
    assert await first_told(feed, None) == ["changed", "stand"], "a page that noted nothing looks again"


async def test_nothing_is_told_to_who_has_signed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.console.web.feed._SIGNED_IN_SECONDS", 0.0)
    projection, answers = Projection(), iter([True, False])
    feed = Feed("", 1.0, Freshness(projection.positions, projection.positions))

    async def signed_in() -> bool:
        return next(answers)

    stream = await feed.stream("acme", None, names_orders=True, signed_in=signed_in)
    assert await anext(stream) == b"retry: 1000\n\n"
    assert b"event: changed" in await anext(stream)
    assert b"event: stand" in await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert not feed.is_watched()
