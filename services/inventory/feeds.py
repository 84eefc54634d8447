"""Stock that vendors, 3PLs and stores tell of: brought to our units, less a buffer, as long as it is fresh.

What a feed tells of a SKU at its node is in two buckets: `on_hand` what may be promised, `vendor` what may
not: the buffer, or all that nobody was promised once the feed is too old. Units allocated to orders are among
what is told, and stay allocated. So are those that we have set aside there: in quarantine or damaged, unless
the feed leaves them out, and doubted ones, of which whoever tells knows nothing. Of those there are no more
than are told.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from libs.events.contract import Event
from libs.events.feeds import Feed, FeedStale, ReportStock, StockReported
from libs.events.inventory import ReservationBroken, StockPegged
from libs.events.measure import Stated
from libs.events.promise import HoldsBroken, HoldsFilled
from libs.events.reach import ReachChanged
from libs.events.record import changed, record
from services.inventory.desk import Desk, SupplyPosting, after, in_house, served, spared, too_many
from services.inventory.feed_rows import house, left, negative, not_of_run, unfit, untakable
from services.inventory.feed_skus import TheirStock
from services.inventory.measure import stated_by, told_units
from services.inventory.reach import in_reach
from services.inventory.rules import unheard_feed
from services.inventory.settling import older, superseded
from services.inventory.stock import MOST_UNITS, evolve_sku


@record
class _Row:
    """What is told of a SKU, in its units, and of when."""

    told: int
    stated_at: datetime
    stale_at: datetime
    mode: Literal["full", "delta"] = "full"
    run_id: str | None = None
    stated: Stated | None = None
    rows: int | None = None


def report(desk: Desk, command: ReportStock) -> list[Event]:
    """Take a row of a feed: the node has what it says, less what orders have."""
    run = desk.rules.feeds.get(command.feed)
    if run is None or run.retired:
        return [unheard_feed(desk.heard, command.feed, run)]
    feed, known = run.definition, desk.supply.feeds.get(command.feed)
    if feed.mapped:
        return desk.refuse(
            "feed_is_mapped",
            f"Feed {feed.feed} has a map of its own: its rows name their SKUs, and {desk.sku} is ours.",
            "Send `theirs` instead of `sku` (TellStock), or let it have no map: `orderlog stock amend-feed "
            f"{feed.feed} --not-mapped`.",
        )
    told = told_units(desk, command)
    if not isinstance(told, int):
        return told
    last = None if known is None else (known.units, known.stated_at)
    refusal = (
        untakable(desk, feed) or not_of_run(desk, run, command) or unfit(desk, last, command, told, desk.sku)
    )
    if refusal:
        return refusal
    if command.mode == "delta":
        assert last is not None, "a delta without what it is of was let through"
        told += last[0]
    if refusal := negative(desk, feed, told, desk.sku):
        return refusal
    total, there = house(desk, feed, told)
    if refusal := too_many(desk, total - there):
        return refusal
    stale_at = command.stated_at + timedelta(minutes=feed.stale_minutes)
    stated = stated_by(desk, command)
    row = _Row(told, command.stated_at, stale_at, command.mode, command.run_id, stated)
    return _taken(desk, feed, row)


def take_up(desk: Desk) -> list[Event]:
    """Feeds have told of the SKU in their own words: what a feed tells of it is the sum of what was told last
    by each of theirs, and as old as the oldest of these."""
    events: list[Event] = []
    recipe = desk.stock.recipe
    if desk.stock.lots is not None or desk.stock.astray is not None or (recipe and recipe.unpacked):
        return []  # it has become one of which no feed may tell
    for feed, by_theirs in desk.supply.their_stock.items():
        run, last = desk.rules.feeds.get(feed), desk.supply.feeds.get(feed)
        number = sum(one.number for one in by_theirs.values())
        if run is None or run.retired or not run.definition.mapped or (last and last.rows == number):
            continue
        more = _taken(desk, run.definition, _sum([*by_theirs.values()], number))
        desk = _folded(desk, more)
        events += more
    return events


def _folded(desk: Desk, events: Iterable[Event]) -> Desk:
    """The desk after all that came of a row: what it moved, and who was served or lost units by it."""
    for event in events:
        if isinstance(event, StockPegged | ReservationBroken | HoldsBroken | HoldsFilled | ReachChanged):
            desk = changed(desk, stock=evolve_sku(desk.stock, event))
        else:
            desk = after(desk, event)
    return desk


def _sum(told: list[TheirStock], number: int) -> _Row:
    live = [one for one in told if not one.gone] or told
    units, stated_at = sum(one.units for one in live), min(one.stated_at for one in live)
    return _Row(units, stated_at, min(one.stale_at for one in live), rows=number)


def _taken(desk: Desk, feed: Feed, row: _Row) -> list[Event]:
    """The node has what is told, less what orders have, less the buffer. What comes too old is silent at
    once."""
    shelf, doubted = desk.stock.on_hand.get(feed.node, 0), desk.supply.units("suspect", feed.node)
    total, there = house(desk, feed, row.told)
    total = min(total, there + max(0, MOST_UNITS - in_house(desk)))
    fresh = row.stale_at > desk.at
    sellable = max(0, total - _buffer(feed, row.told)) if fresh else min(shelf, total)
    broken, spare = spared(desk, {feed.node: shelf - sellable})
    posting = SupplyPosting(spare)
    posting.move(feed.node, "supplier", "vendor", max(0, total - there))
    _shift(posting, feed.node, shelf, sellable)
    posting.move(feed.node, "vendor", "supplier", max(0, there - total))
    posting.move(feed.node, "suspect", "supplier", doubted - min(doubted, max(0, left(desk, feed, row.told))))
    reported = StockReported(
        sku=desk.sku,
        feed=feed.feed,
        node=feed.node,
        run_id=row.run_id,
        mode=row.mode,
        told=row.told,
        withheld=total - sellable,
        stated_at=row.stated_at,
        stale_at=row.stale_at,
        check_at=_check_at(desk, feed.feed, row.stale_at if fresh else None),
        movements=posting.booked(),
        stated=row.stated,
        rows=row.rows,
    )
    closed = superseded(desk, older(desk, feed.node, row.stated_at), "feed", feed.feed)
    silent = () if fresh else (_silent(after(spare, reported), feed.feed),)
    return [*closed, *broken, *served(spare, reported, *silent)]


def lose_trust(desk: Desk) -> list[Event]:
    """What a feed told too long ago, or that was retired since, is not promised any more; what orders were
    promised stays theirs, and what they give back is promised to nobody."""
    events: list[Event] = []
    for feed, told in desk.supply.feeds.items():
        run = desk.rules.feeds.get(feed)
        retired = run is not None and run.retired
        if told.stale or (told.stale_at > desk.at and not retired):
            continue
        stale = _silent(desk, feed, retired=retired)
        desk = after(desk, stale)
        events.append(stale)
    if events and desk.places is not None:
        events += in_reach(desk.sku, desk.stock, desk.places)[0]
    return events


def _silent(desk: Desk, feed: str, *, retired: bool = False) -> FeedStale:
    """What the feed told last is taken out of promise, but for what orders were promised."""
    told = desk.supply.feeds[feed]
    posting = SupplyPosting(desk)
    doubted = min(desk.stock.on_hand.get(told.node, 0), max(0, desk.stock.free))
    posting.move(told.node, "on_hand", "vendor", doubted)
    return FeedStale(
        sku=desk.sku,
        feed=feed,
        node=told.node,
        stated_at=told.stated_at,
        check_at=_check_at(desk, feed, None),
        movements=posting.booked(),
        retired=True if retired else None,
    )


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
