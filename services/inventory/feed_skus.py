"""What is kept of a feed's own words: each of their SKUs, and what they told last of each SKU of ours.

A SKU of theirs is a stream `feed/<feed>/<theirs>` with its entry of the map. What it told is kept beside the
supply of the SKU that it is, by feed and theirs, and written in the lane of theirs alone, so lanes may be
folded in any order.
"""

from collections.abc import Mapping
from datetime import datetime

from libs.events.feed_maps import FeedSkuMapped, StockTold
from libs.events.record import changed, record

FEED_STREAM = "feed/"
THEIRS_MAX = 100
"""SKUs of theirs that one of ours may be, of one feed."""


@record
class FeedSku:
    """State of a stream `feed/…`: what one SKU of theirs is, and what was told of it last."""

    version: int = 0
    sku: str | None = None
    """Of ours; None, nobody has said, or it is none."""
    pack_size: int = 1
    per: int = 1
    """So many of theirs are `pack_size` units of ours."""
    number: int = 0
    """Of what was told by it."""
    units: int | None = None
    """What it told last by this entry, in units of ours."""
    stated_at: datetime | None = None
    counts: bool = False
    """Whether what it told is among what is told of `sku`."""


NO_FEED_SKU = FeedSku()


@record
class TheirStock:
    """What was told last of a SKU of ours by one of theirs."""

    units: int
    stated_at: datetime
    stale_at: datetime
    number: int
    gone: bool = False
    """It is another SKU, or none, by now."""


TheirStocks = Mapping[str, Mapping[str, TheirStock]]
"""By feed, then by their SKU."""


def evolve_feed_sku(part: FeedSku, event: FeedSkuMapped | StockTold) -> FeedSku:
    """Their SKU after an event of its stream."""
    if isinstance(event, StockTold):
        return changed(part, number=event.number, units=event.told, stated_at=event.stated_at, counts=True)
    return changed(
        part,
        version=event.map_version,
        sku=event.sku,
        pack_size=event.pack_size,
        per=event.per,
        number=part.number if event.number is None else event.number,
        units=None,
        stated_at=None,
        counts=part.counts and event.before is None,
    )


def evolve_their_stock(
    known: TheirStocks, event: FeedSkuMapped | StockTold
) -> dict[str, dict[str, TheirStock]]:
    """What is told of a SKU of ours, after an event of one of theirs that it is, or was."""
    of_feed = dict(known.get(event.feed, {}))
    if isinstance(event, StockTold):
        one = TheirStock(event.told, event.stated_at, event.stale_at, event.number)
    else:
        assert event.number is not None, f"{event.theirs} had told nothing"
        one = changed(of_feed[event.theirs], units=0, number=event.number, gone=True)
    of_feed[event.theirs] = one
    feeds = {**known, event.feed: dict(sorted(of_feed.items()))}
    return {feed: dict(feeds[feed]) for feed in sorted(feeds)}


def told_streams(event: FeedSkuMapped | StockTold) -> list[str]:
    """SKUs of ours of which something else is told after the event."""
    if isinstance(event, StockTold):
        return [event.sku]
    return [] if event.before is None else [event.before]
