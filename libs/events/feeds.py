"""Inventory's contracts for stock that somebody else tells of: vendors, 3PLs, stores."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from libs.events.contract import Count, Name, NodeId, Note, SkuCommand, SkuEvent, Value
from libs.events.measure import Stated, UnitName
from libs.events.supply import Movements, RulesCommand, RulesEvent

FeedId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Feed(Value):
    """How the stock that somebody else tells of is read."""

    feed: FeedId
    node: NodeId
    kind: Literal["vendor", "3pl", "store"]
    buffer_units: Count = 0
    """Units of each SKU that are never promised."""
    buffer_percent: Annotated[int, Field(ge=0, le=100)] = 0
    """Share of each SKU that is never promised, rounded up; the larger of both buffers counts."""
    stale_minutes: Annotated[int, Field(ge=1, le=525_600)] = 1440
    """How old what was told may be before it is not promised any more."""
    sellable_only: bool = False
    """Its figures leave out what is in quarantine or damaged at the node; else that is among what is told."""
    mapped: bool = False
    """Its rows name SKUs of theirs, which its map brings to ours; else they name ours."""


class DefineFeed(RulesCommand):
    """Define a feed, or change it: the whole of it is replaced. One that was retired begins anew."""

    TYPE: ClassVar[str] = "oms.inventory.define_feed"

    definition: Feed


class AmendFeed(RulesCommand):
    """Change of a feed what is named; the rest of it stays."""

    TYPE: ClassVar[str] = "oms.inventory.amend_feed"

    feed: FeedId
    node: NodeId | None = None
    kind: Literal["vendor", "3pl", "store"] | None = None
    buffer_units: Count | None = None
    buffer_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    stale_minutes: Annotated[int, Field(ge=1, le=525_600)] | None = None
    sellable_only: bool | None = None
    mapped: bool | None = None


class RetireFeed(RulesCommand):
    """Hear no more of a feed: what it told is not promised any more, and what it was stays known."""

    TYPE: ClassVar[str] = "oms.inventory.retire_feed"

    feed: FeedId
    reason: Note = ""


class OpenFeedRun(RulesCommand):
    """A full feed comes: so many rows and units. Its rows name the run."""

    TYPE: ClassVar[str] = "oms.inventory.open_feed_run"

    feed: FeedId
    run_id: Name
    rows: Annotated[int, Field(strict=True, ge=0, le=10**9)]
    units: Annotated[int, Field(strict=True, ge=0, le=10**15)]
    stated_at: AwareDatetime


class ApproveFeedRun(RulesCommand):
    """Take a run that was held: it is as small as it says."""

    TYPE: ClassVar[str] = "oms.inventory.approve_feed_run"

    feed: FeedId
    run_id: Name


class FeedDefined(RulesEvent):
    """A feed is read like this from now on."""

    TYPE: ClassVar[str] = "oms.inventory.feed_defined"

    definition: Feed


class FeedRetired(RulesEvent):
    """A feed tells nothing any more; each SKU that it told of says so once it is looked at (`feed_stale`)."""

    TYPE: ClassVar[str] = "oms.inventory.feed_retired"

    feed: FeedId
    node: NodeId
    reason: Note = ""


class FeedRunOpened(RulesEvent):
    """Rows of this run are taken, or, when it is held, refused until a person approves it."""

    TYPE: ClassVar[str] = "oms.inventory.feed_run_opened"

    feed: FeedId
    run_id: Name
    rows: Annotated[int, Field(ge=0)]
    units: Annotated[int, Field(ge=0)]
    stated_at: AwareDatetime
    held: bool = False
    units_before: Annotated[int, Field(ge=0)] | None = None
    """What the run before told."""


class FeedRunApproved(RulesEvent):
    """A person took a run that was held."""

    TYPE: ClassVar[str] = "oms.inventory.feed_run_approved"

    feed: FeedId
    run_id: Name


class ReportStock(SkuCommand):
    """A row of a feed: what somebody else has of the SKU, in packs of `pack_size` units."""

    TYPE: ClassVar[str] = "oms.inventory.report_stock"

    feed: FeedId
    run_id: Name | None = None
    """The run of a full feed; None for a row that comes by itself."""
    mode: Literal["full", "delta"] = "full"
    packs: Annotated[int, Field(strict=True, ge=-1_000_000, le=1_000_000)]
    """What is there; of a delta, what is more (+) or less (-)."""
    pack_size: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1
    stated_at: AwareDatetime
    unit: UnitName | None = None
    """The SKU's unit that is a pack, instead of a `pack_size`."""


class StockReported(SkuEvent):
    """What somebody else has of a SKU, and how much of it may be promised."""

    TYPE: ClassVar[str] = "oms.inventory.stock_reported"

    feed: FeedId
    node: NodeId
    run_id: Name | None = None
    mode: Literal["full", "delta"]
    told: Annotated[int, Field(ge=0, le=10**15)]
    """Units that they have: also those allocated or doubted, and, unless the feed is `sellable_only`, those
    in quarantine or damaged."""
    withheld: Count
    """Units of them that are not promised."""
    stated_at: AwareDatetime
    stale_at: AwareDatetime
    check_at: AwareDatetime | None = None
    """When the next feed of the SKU is too old."""
    movements: Movements
    stated: Stated | None = None
    """The quantity as it was stated, where that was in a unit."""
    rows: Annotated[int, Field(ge=1)] | None = None
    """Of a feed that is mapped: how often any of its SKUs was told of this one by then. `told` is the sum of
    what was told last by each, `stated_at` the oldest of their times."""


class FeedStale(SkuEvent):
    """What a feed told is too old, or it was retired: what nobody was promised of it is not promised any
    more."""

    TYPE: ClassVar[str] = "oms.inventory.feed_stale"

    feed: FeedId
    node: NodeId
    stated_at: AwareDatetime
    check_at: AwareDatetime | None = None
    movements: Movements
    retired: Literal[True] | None = None
    """Whether it was retired, however old what it told is."""


FEED_COMMANDS = (
    DefineFeed,
    AmendFeed,
    RetireFeed,
    OpenFeedRun,
    ApproveFeedRun,
    ReportStock,
)
FEED_EVENTS = (
    FeedDefined,
    FeedRetired,
    FeedRunOpened,
    FeedRunApproved,
    StockReported,
    FeedStale,
)
