"""A feed's own map, and its rows that name their SKUs: decided in the stream of theirs, by its entry.

A row is understood, and refused, here: by the entry and the SKU of ours that it names, both as they are then.
What it comes to is told to that SKU's stream, which adds up what all of theirs tell of it (`feeds.take_up`).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.feed_maps import (
    FeedSkuCommand,
    FeedSkuEvent,
    FeedSkuMapped,
    MapFeedSku,
    StockTold,
    TellStock,
)
from libs.events.record import changed
from libs.events.refusal import refuse
from libs.events.supply import RULES_STREAM
from services.inventory.desk import Desk, too_many
from services.inventory.feed_rows import house, negative, not_of_run, unfit, untakable
from services.inventory.feed_skus import (
    NO_FEED_SKU,
    THEIRS_MAX,
    FeedSku,
    evolve_feed_sku,
    evolve_their_stock,
    told_streams,
)
from services.inventory.rules import NO_RULES, RulesPart, unheard_feed
from services.inventory.stock import EMPTY_SKU, Skus
from services.inventory.supplies import NO_SUPPLY, SUPPLY_STREAM, SupplyPart

Supplies = Mapping[str, SupplyPart]


def streams(body: Contract, home: FeedSku) -> tuple[str, ...]:
    """What an input about a SKU of theirs needs beside its entry: the SKU of ours that it is, or was."""
    match body:
        case TellStock():
            ours = () if home.sku is None else (f"sku/{home.sku}", SUPPLY_STREAM + home.sku)
            return (*ours, RULES_STREAM)
        case MapFeedSku():
            return (RULES_STREAM,) if home.sku is None else (SUPPLY_STREAM + home.sku, RULES_STREAM)
        case FeedSkuMapped() | StockTold():
            return tuple(SUPPLY_STREAM + sku for sku in told_streams(body))
    return ()


def evolve(
    part: FeedSku | None, supplies: Supplies, event: FeedSkuEvent
) -> tuple[FeedSku, dict[str, SupplyPart]]:
    """Their SKU, and the supply of ours, after an event of theirs."""
    assert isinstance(event, FeedSkuMapped | StockTold), f"{event.TYPE} tells nothing that is known here"
    after = dict(supplies)
    for sku in told_streams(event):
        supply = after.get(sku, NO_SUPPLY)
        after[sku] = changed(supply, their_stock=evolve_their_stock(supply.their_stock, event))
    return evolve_feed_sku(part or NO_FEED_SKU, event), after


def answer(
    part: FeedSku | None,
    heard: Envelope[Contract],
    at: datetime,
    skus: Skus,
    supplies: Supplies,
    rules: RulesPart | None,
) -> list[Event]:
    """What answers a command about a SKU of theirs."""
    body, entry, known = heard.body, part or NO_FEED_SKU, rules or NO_RULES
    assert isinstance(body, FeedSkuCommand), f"{body.TYPE} is about no SKU of theirs"
    run = known.feeds.get(body.feed)
    if run is None or run.retired:
        return [unheard_feed(heard, body.feed, run)]
    if isinstance(body, MapFeedSku):
        return _map(entry, body)
    assert isinstance(body, TellStock), f"{body.TYPE} is not decided here"
    if not run.definition.mapped:
        return refuse(
            heard,
            "feed_not_mapped",
            f"Feed {body.feed} has no map of its own: its rows name our SKUs.",
            f"Send `sku` instead of `theirs`, or let it have one: `orderlog stock amend-feed {body.feed} "
            "--mapped`.",
        )
    if entry.sku is None:
        return refuse(
            heard,
            "unmapped_sku",
            f"{body.theirs} of feed {body.feed} is none of our SKUs, as far as its map says.",
            "Map it (POST /v1/stock/feeds/{feed}/map, `orderlog stock feed-map`), then send the row again.",
        )
    stock, supply = skus.get(entry.sku, EMPTY_SKU), supplies.get(entry.sku, NO_SUPPLY)
    return _tell(Desk(heard, at, entry.sku, stock, supply, known, {}), entry, body)


def _map(entry: FeedSku, command: MapFeedSku) -> list[Event]:
    """The entry of one SKU of theirs; nothing when it is so already."""
    said = (command.sku, command.pack_size, command.per)
    if said == (entry.sku, entry.pack_size, entry.per):
        return []
    moves = entry.counts and command.sku != entry.sku
    return [
        FeedSkuMapped(
            feed=command.feed,
            theirs=command.theirs,
            map_version=entry.version + 1,
            sku=command.sku,
            pack_size=command.pack_size,
            per=command.per,
            before=entry.sku if moves else None,
            number=entry.number + 1 if moves else None,
        )
    ]


def _tell(desk: Desk, entry: FeedSku, command: TellStock) -> list[Event]:
    """A row in their words: what they have of it, in our units."""
    run = desk.rules.feeds[command.feed]
    feed = run.definition
    told, pack_size, per = _units(entry, command)
    last = None
    if entry.units is not None and entry.stated_at is not None:
        last = entry.units, entry.stated_at
    refusal = (
        _not_whole(desk, command, told, pack_size, per)
        or _too_many_theirs(desk, command)
        or untakable(desk, feed)
        or not_of_run(desk, run, command)
        or unfit(desk, last, command, told // per, command.theirs)
    )
    if refusal:
        return refusal
    assert command.mode == "full" or last is not None, "a delta without what it is of was let through"
    told = told // per + (last[0] if command.mode == "delta" and last is not None else 0)
    if refusal := negative(desk, feed, told, command.theirs):
        return refusal
    others = _others(desk, command)
    total, there = house(desk, feed, told + others)
    if refusal := too_many(desk, total - there):
        return refusal
    return [
        StockTold(
            feed=command.feed,
            theirs=command.theirs,
            sku=desk.sku,
            node=feed.node,
            run_id=command.run_id,
            mode=command.mode,
            packs=command.packs,
            pack_size=pack_size,
            per=per,
            map_version=entry.version,
            told=told,
            stated_at=command.stated_at,
            stale_at=command.stated_at + timedelta(minutes=feed.stale_minutes),
            number=entry.number + 1,
        )
    ]


def _units(entry: FeedSku, command: TellStock) -> tuple[int, int, int]:
    """What is told, in parts of a unit, and how many units so many packs are; by the row where it says so."""
    if command.pack_size is not None:
        return command.packs * command.pack_size, command.pack_size, 1
    return command.packs * entry.pack_size, entry.pack_size, entry.per


def _not_whole(desk: Desk, command: TellStock, told: int, pack_size: int, per: int) -> list[Event]:
    if told % per == 0:
        return []
    return desk.refuse(
        "not_whole",
        f"{command.packs} of {command.theirs} are no whole number of {desk.sku}: {per} of theirs are "
        f"{pack_size}.",
        "Let them tell whole units, or check the pack size in the feed's map.",
    )


def _others(desk: Desk, command: TellStock) -> int:
    """What the feed tells of the same SKU of ours by others of theirs."""
    known = desk.supply.their_stock.get(command.feed, {})
    return sum(one.units for theirs, one in known.items() if theirs != command.theirs)


def _too_many_theirs(desk: Desk, command: TellStock) -> list[Event]:
    known = desk.supply.their_stock.get(command.feed, {})
    if command.theirs in known or len(known) < THEIRS_MAX:
        return []
    return desk.refuse(
        "too_many_theirs",
        f"{len(known)} SKUs of feed {command.feed} are or were {desk.sku}; at most {THEIRS_MAX} may be.",
        "Check the feed's map: is each of them that SKU?",
    )
