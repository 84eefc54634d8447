"""Stock that vendors, 3PLs and stores tell of: brought to our units, less a buffer, as long as it is fresh.

What a feed tells of a SKU at its node is in two buckets: `on_hand` what may be promised, `vendor` what may
not: the buffer, or all that nobody was promised once the feed is too old. Units allocated to orders are among
what is told, and stay allocated. So are those that we have set aside there: in quarantine or damaged, unless
the feed leaves them out, and doubted ones, of which whoever tells knows nothing. Of those there are no more
than are told.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from libs.events.contract import Event
from libs.events.feeds import Feed, FeedStale, ReportStock, StockReported
from services.inventory.desk import Desk, SupplyPosting, after, not_yet, served, spared, too_many, unknown
from services.inventory.lot_control import without_lots
from services.inventory.measure import stated_by, told_units
from services.inventory.rules import FeedRun, unheard_feed
from services.inventory.serial_control import without_serials
from services.inventory.settling import older, superseded
from services.inventory.supplies import Told


def report(desk: Desk, command: ReportStock) -> list[Event]:
    """Take a row of a feed: the node has what it says, less what orders have."""
    run = desk.rules.feeds.get(command.feed)
    if run is None or run.retired:
        return [unheard_feed(desk.heard, command.feed, run)]
    feed, last = run.definition, desk.supply.feeds.get(command.feed)
    told = told_units(desk, command)
    if not isinstance(told, int):
        return told
    refusal = (
        unknown(desk, feed.node)
        or without_lots(desk, f"feed {command.feed}", "Receive the units with their lots.")
        or without_serials(desk, f"feed {command.feed}", "Receive the units with their serial numbers.")
        or not_yet(desk, command.stated_at)
        or _not_of_run(desk, run, command)
        or _unfit(desk, last, command, told)
    )
    if refusal:
        return refusal
    if command.mode == "delta":
        assert last is not None, "a delta without what it is of was let through"
        told += last.units
    if told < 0:
        return desk.refuse(
            "negative_stock",
            f"Feed {command.feed} says that {feed.node} has {told} units of {desk.sku}.",
            "Send what is there, 0 or more; after deltas that do not add up, send a full feed.",
        )
    shelf, withheld = desk.stock.on_hand.get(feed.node, 0), desk.supply.units("vendor", feed.node)
    left = told - desk.stock.allocated.get(feed.node, 0) - _set_aside(desk, feed)
    doubted = desk.supply.units("suspect", feed.node)
    total = max(0, left - doubted)
    if refusal := too_many(desk, total - shelf - withheld):
        return refusal
    stale_at = command.stated_at + timedelta(minutes=feed.stale_minutes)
    fresh = stale_at > desk.at
    sellable = max(0, total - _buffer(feed, told)) if fresh else min(shelf, total)
    broken, spare = spared(desk, {feed.node: shelf - sellable})
    posting = SupplyPosting(spare)
    posting.move(feed.node, "supplier", "vendor", max(0, total - shelf - withheld))
    _shift(posting, feed.node, shelf, sellable)
    posting.move(feed.node, "vendor", "supplier", max(0, shelf + withheld - total))
    posting.move(feed.node, "suspect", "supplier", doubted - min(doubted, max(0, left)))
    reported = StockReported(
        sku=desk.sku,
        feed=command.feed,
        node=feed.node,
        run_id=command.run_id,
        mode=command.mode,
        told=told,
        withheld=total - sellable,
        stated_at=command.stated_at,
        stale_at=stale_at,
        check_at=_check_at(desk, command.feed, stale_at),
        movements=posting.booked(),
        stated=stated_by(desk, command),
    )
    closed = superseded(desk, older(desk, feed.node, command.stated_at), "feed", command.feed)
    return [*closed, *broken, *served(spare, reported)]


def lose_trust(desk: Desk) -> list[Event]:
    """What a feed told too long ago, or that was retired since, is not promised any more; what orders were
    promised stays theirs."""
    events: list[Event] = []
    for feed, told in desk.supply.feeds.items():
        run = desk.rules.feeds.get(feed)
        retired = run is not None and run.retired
        if told.stale or (told.stale_at > desk.at and not retired):
            continue
        doubted = min(desk.stock.on_hand.get(told.node, 0), max(0, desk.stock.free))
        posting = SupplyPosting(desk)
        posting.move(told.node, "on_hand", "vendor", doubted)
        stale = FeedStale(
            sku=desk.sku,
            feed=feed,
            node=told.node,
            stated_at=told.stated_at,
            check_at=_check_at(desk, feed, None),
            movements=posting.booked(),
            retired=True if retired else None,
        )
        desk = after(desk, stale)
        events.append(stale)
    return events


def _set_aside(desk: Desk, feed: Feed) -> int:
    """Units that the feed tells of, and that are not sellable."""
    buckets = () if feed.sellable_only else ("quarantine", "damaged")
    return sum(desk.supply.units(bucket, feed.node) for bucket in buckets)


def _shift(posting: SupplyPosting, node: str, shelf: int, sellable: int) -> None:
    """Bring what may be promised from `shelf` to `sellable` units."""
    posting.move(node, "vendor", "on_hand", max(0, sellable - shelf))
    posting.move(node, "on_hand", "vendor", max(0, shelf - sellable))


def _buffer(feed: Feed, told: int) -> int:
    return max(feed.buffer_units, -(-told * feed.buffer_percent // 100))


def _check_at(desk: Desk, feed: str, stale_at: datetime | None) -> datetime | None:
    """When the next feed of the SKU is too old, `stale_at` being this one's, if it is still fresh."""
    others: Iterable[datetime] = (
        told.stale_at for other, told in desk.supply.feeds.items() if other != feed and not told.stale
    )
    return min((at for at in (stale_at, *others) if at is not None), default=None)


def _not_of_run(desk: Desk, run: FeedRun, command: ReportStock) -> list[Event]:
    """A refusal of a row whose run is held, or is not the last one."""
    if command.run_id is None:
        return []
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


def _unfit(desk: Desk, last: Told | None, command: ReportStock, told: int) -> list[Event]:
    """A refusal of a row that comes twice, too late, or without what it is a difference to."""
    if last is None:
        if command.mode == "full":
            return []
        return desk.refuse(
            "no_full_feed",
            f"Feed {command.feed} has never told what there is of {desk.sku}, so a difference says nothing.",
            "Send a full row first.",
        )
    if command.stated_at > last.stated_at:
        return []
    if command.stated_at == last.stated_at and command.mode == "full" and told == last.units:
        return desk.refuse(
            "already_reported",
            f"Feed {command.feed} told this of {desk.sku} before.",
            "Nothing: it stands.",
        )
    if command.stated_at == last.stated_at:
        return desk.refuse(
            "told_twice",
            f"Feed {command.feed} told another figure of {desk.sku} as of the same moment.",
            "The first one stands. Correct the feed: a SKU may be in it once.",
        )
    return desk.refuse(
        "superseded",
        f"Feed {command.feed} told of {desk.sku} as of {last.stated_at.isoformat()}; this is of "
        f"{command.stated_at.isoformat()}.",
        "Nothing needs to be done about what is older.",
    )
