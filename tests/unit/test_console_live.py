"""What an open page is told as its stream begins: all that was committed since it was read."""

from collections.abc import Mapping

from services.console.web.feed import Feed
from services.console.web.freshness import Freshness

PLACE = ("oms.intake.events", 0)


class Projection:
    """One partition: all that is on the topic has been projected."""

    def __init__(self) -> None:
        self.events = 5

    async def positions(self) -> Mapping[tuple[str, int], int]:
        return {PLACE: self.events}


async def first_told(feed: Feed, since: int | None) -> list[str]:
    """Names of a stream's first events, up to where it stands."""
    found: list[str] = []
    async for event in await feed.stream("acme", since, names_orders=True):
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
