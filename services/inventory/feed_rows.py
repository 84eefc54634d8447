"""What a row of a feed must be to be taken, whichever words it is in: named answers, and no units moved."""

from datetime import datetime

from libs.events.contract import Event
from libs.events.feed_maps import TellStock
from libs.events.feeds import Feed, ReportStock
from services.inventory.desk import Desk, not_yet, unknown
from services.inventory.lot_control import without_lots
from services.inventory.rules import FeedRun
from services.inventory.serial_control import without_serials

Row = ReportStock | TellStock
Last = tuple[int, datetime]
"""Units that were told last, and of when that was."""


def untakable(desk: Desk, feed: Feed) -> list[Event]:
    """A refusal of a SKU or node of which no feed may tell."""
    return (
        unknown(desk, feed.node)
        or without_lots(desk, f"feed {feed.feed}", "Receive the units with their lots.")
        or without_serials(desk, f"feed {feed.feed}", "Receive the units with their serial numbers.")
    )


def not_of_run(desk: Desk, run: FeedRun, command: Row) -> list[Event]:
    """A refusal of a row of the future, or whose run is held, or is not the last one."""
    if (refusal := not_yet(desk, command.stated_at)) or command.run_id is None:
        return refusal
    if command.run_id != run.run_id:
        return desk.refuse(
            "unknown_run",
            f"Run {command.run_id} is not the last one of feed {command.feed}.",
            "Open the run before its rows: POST /v1/stock/feeds/{feed}/runs.",
        )
    if run.held:
        return desk.refuse(
            "feed_held",
            f"Run {command.run_id} of feed {command.feed} tells {run.units} units, where the one before told "
            f"{run.units_before}; it waits for a person.",
            f"Check the feed; if it is right, `orderlog stock approve-feed {command.feed} {command.run_id}`, "
            "then send its rows again.",
        )
    return []


def unfit(desk: Desk, last: Last | None, command: Row, told: int, name: str) -> list[Event]:
    """A refusal of a row that comes twice, too late, or without what it is a difference to; `name` is the
    SKU as the row has it."""
    if last is None:
        if command.mode == "full":
            return []
        return desk.refuse(
            "no_full_feed",
            f"Feed {command.feed} has never told what there is of {name}, so a difference says nothing.",
            "Send a full row first.",
        )
    units, stated_at = last
    if command.stated_at > stated_at:
        return []
    if command.stated_at == stated_at and command.mode == "full" and told == units:
        return desk.refuse(
            "already_reported",
            f"Feed {command.feed} told this of {name} before.",
            "Nothing: it stands.",
        )
    if command.stated_at == stated_at:
        return desk.refuse(
            "told_twice",
            f"Feed {command.feed} told another figure of {name} as of the same moment.",
            "The first one stands. Correct the feed: a SKU may be in it once.",
        )
    return desk.refuse(
        "superseded",
        f"Feed {command.feed} told of {name} as of {stated_at.isoformat()}; this is of "
        f"{command.stated_at.isoformat()}.",
        "Nothing needs to be done about what is older.",
    )


def negative(desk: Desk, feed: Feed, told: int, name: str) -> list[Event]:
    """A refusal of fewer units than none."""
    if told >= 0:
        return []
    return desk.refuse(
        "negative_stock",
        f"Feed {feed.feed} says that {feed.node} has {told} units of {name}.",
        "Send what is there, 0 or more; after deltas that do not add up, send a full feed.",
    )


def house(desk: Desk, feed: Feed, told: int) -> tuple[int, int]:
    """Units that are on the shelf or withheld once so many are told, and those that are now: without what is
    allocated, set aside or doubted, which are among what is told."""
    there = desk.stock.on_hand.get(feed.node, 0) + desk.supply.units("vendor", feed.node)
    return max(0, left(desk, feed, told) - desk.supply.units("suspect", feed.node)), there


def left(desk: Desk, feed: Feed, told: int) -> int:
    """Of so many, those that are neither allocated nor set aside; below 0 where too few are told."""
    return told - desk.stock.allocated.get(feed.node, 0) - set_aside(desk, feed)


def set_aside(desk: Desk, feed: Feed) -> int:
    """Units that the feed tells of, and that are not sellable."""
    buckets = () if feed.sellable_only else ("quarantine", "damaged")
    return sum(desk.supply.units(bucket, feed.node) for bucket in buckets)
