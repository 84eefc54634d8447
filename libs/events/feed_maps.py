"""Inventory's contracts for a feed's own words: their SKUs in ours, and rows that name theirs.

Each SKU of theirs is a stream of its own, so a map of any size is as many small streams, and a row needs
the one entry that it names.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from libs.events.contract import Command, Event, Name, NodeId, Sku
from libs.events.feeds import FeedId

TheirSku = Name
"""A SKU as they write it; case matters."""
PackSize = Annotated[int, Field(strict=True, ge=1, le=100_000)]


class FeedSkuCommand(Command):
    """A command about one SKU of theirs."""

    feed: FeedId
    theirs: TheirSku

    @property
    def stream(self) -> str:
        return f"feed/{self.feed}/{self.theirs}"


class FeedSkuEvent(Event):
    """An event of one SKU of theirs."""

    feed: FeedId
    theirs: TheirSku

    @property
    def stream(self) -> str:
        return f"feed/{self.feed}/{self.theirs}"


class MapFeedSku(FeedSkuCommand):
    """Say which SKU of ours one of theirs is, and how many units one of their packs is: `pack_size` of ours
    are `per` of theirs. Without a `sku` it is none of ours any more."""

    TYPE: ClassVar[str] = "oms.inventory.map_feed_sku"

    sku: Sku | None = None
    pack_size: PackSize = 1
    per: PackSize = 1


class FeedSkuMapped(FeedSkuEvent):
    """Which SKU of ours theirs is from now on; None, none."""

    TYPE: ClassVar[str] = "oms.inventory.feed_sku_mapped"

    map_version: Annotated[int, Field(ge=1)]
    """Of this entry."""
    sku: Sku | None = None
    pack_size: PackSize = 1
    per: PackSize = 1
    before: Sku | None = None
    """The other SKU of ours that it was, if what was told of that by it does not count any more."""
    number: Annotated[int, Field(ge=1)] | None = None
    """With `before`: the number of what is told of that SKU by it now, nothing."""


class TellStock(FeedSkuCommand):
    """A row of a feed in their own words: what they have of a SKU of theirs, in their packs."""

    TYPE: ClassVar[str] = "oms.inventory.tell_stock"

    run_id: Name | None = None
    """The run of a full feed; None for a row that comes by itself."""
    mode: Literal["full", "delta"] = "full"
    packs: Annotated[int, Field(strict=True, ge=-1_000_000, le=1_000_000)]
    """What is there; of a delta, what is more (+) or less (-)."""
    pack_size: PackSize | None = None
    """Units of ours in one of these packs, where the row says so itself; else the map does."""
    stated_at: AwareDatetime


class StockTold(FeedSkuEvent):
    """What they have of a SKU of theirs, in units of ours. Our SKU's stream takes it up at once, with what
    the feed tells of the same SKU by others of theirs (`stock_reported`)."""

    TYPE: ClassVar[str] = "oms.inventory.stock_told"

    sku: Sku
    node: NodeId
    run_id: Name | None = None
    mode: Literal["full", "delta"]
    packs: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
    """As they said."""
    pack_size: PackSize
    per: PackSize
    map_version: Annotated[int, Field(ge=1)]
    """Of the entry by which it was understood."""
    told: Annotated[int, Field(ge=0, le=10**15)]
    """Units of ours that they have of theirs."""
    stated_at: AwareDatetime
    stale_at: AwareDatetime
    number: Annotated[int, Field(ge=1)]
    """Of what was told by this SKU of theirs, counted from 1."""


FEED_MAP_COMMANDS = (MapFeedSku, TellStock)
FEED_MAP_EVENTS = (FeedSkuMapped, StockTold)
