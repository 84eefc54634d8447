"""A tenant's rules for facts from outside, and its feeds: configuration, in a stream that every SKU reads."""

from dataclasses import field
from datetime import datetime
from typing import assert_never

from libs.events.channel_days import ChannelDaysDefined, DefineChannelDays
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.feeds import (
    AmendFeed,
    ApproveFeedRun,
    DefineFeed,
    Feed,
    FeedDefined,
    FeedRetired,
    FeedRunApproved,
    FeedRunOpened,
    OpenFeedRun,
    RetireFeed,
)
from libs.events.record import changed, record
from libs.events.refusal import CommandRefused, refused
from libs.events.supply import DefineSupplyRules, RulesEvent, SupplyRules, SupplyRulesDefined


@record
class FeedRun:
    """A feed, and its last full run."""

    definition: Feed
    run_id: str = ""
    units: int = 0
    stated_at: datetime | None = None
    held: bool = False
    units_before: int | None = None
    """Units of the run before, which the next is held against when this one is not taken."""
    retired: bool = False
    """It tells nothing any more."""


@record
class RulesPart:
    """State of the rules' stream."""

    version: int = 0
    rules: SupplyRules = SupplyRules(new_skus=True)
    feeds: dict[str, FeedRun] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    """Days that lots of any SKU must have left, by channel that asks for some."""
    days_version: int = 0

    def unknown_node(self, heard: Envelope[Contract], node: str) -> CommandRefused | None:
        """A refusal when the rules list the nodes, and not this one."""
        if self.rules.nodes is None or node in self.rules.nodes:
            return None
        return refused(
            heard,
            "unknown_node",
            f"{node} is none of the {len(self.rules.nodes)} nodes of the supply rules.",
            "Check its spelling (case matters), or add it to the rules: PUT /v1/stock/rules.",
        )

    def unknown_sku(self, heard: Envelope[Contract], sku: str, position: int) -> CommandRefused | None:
        """A refusal when no new SKUs may come, and nothing was ever heard of this one."""
        if self.rules.new_skus or position:
            return None
        return refused(
            heard,
            "unknown_sku",
            f"Inventory has never had a unit of {sku}, and the supply rules take no new SKUs.",
            "Check its spelling (case matters), or set new_skus in the rules: PUT /v1/stock/rules.",
        )


NO_RULES = RulesPart()
RulesInput = (
    DefineSupplyRules | DefineFeed | AmendFeed | RetireFeed | OpenFeedRun | ApproveFeedRun | DefineChannelDays
)


def evolve_rules(part: RulesPart, event: RulesEvent) -> RulesPart:
    """The rules after an event of theirs."""
    match event:
        case SupplyRulesDefined():
            return changed(part, version=event.version, rules=event.rules)
        case FeedDefined():
            known = part.feeds.get(event.definition.feed)
            run = (
                changed(known, definition=event.definition, retired=False)
                if known
                else FeedRun(event.definition)
            )
            return changed(part, feeds={**part.feeds, event.definition.feed: run})
        case FeedRetired():
            run = changed(part.feeds[event.feed], retired=True, held=False)
            return changed(part, feeds={**part.feeds, event.feed: run})
        case FeedRunOpened():
            run = FeedRun(
                part.feeds[event.feed].definition,
                event.run_id,
                event.units,
                event.stated_at,
                event.held,
                event.units_before,
            )
            return changed(part, feeds={**part.feeds, event.feed: run})
        case FeedRunApproved():
            run = changed(part.feeds[event.feed], held=False)
            return changed(part, feeds={**part.feeds, event.feed: run})
        case ChannelDaysDefined():
            days = {one.channel: one.shelf_days_min for one in event.channels}
            return changed(part, days=days, days_version=event.version)
    raise AssertionError(f"{event.TYPE} is none of the rules' events")


def decide_rules(part: RulesPart, heard: Envelope[Contract], body: RulesInput) -> list[Event]:
    """Rules and feeds as a person or a partner states them."""
    match body:
        case DefineSupplyRules():
            if part.version and body.rules == part.rules:
                return []
            return [SupplyRulesDefined(version=part.version + 1, rules=body.rules)]
        case DefineFeed():
            return _define(part, heard, body.definition)
        case AmendFeed():
            run = part.feeds.get(body.feed)
            if run is None or run.retired:
                return [unheard_feed(heard, body.feed, run)]
            named = body.model_dump(exclude_none=True)
            return _define(part, heard, Feed.model_validate({**run.definition.model_dump(), **named}))
        case RetireFeed():
            run = part.feeds.get(body.feed)
            if run is None:
                return [unheard_feed(heard, body.feed, run)]
            if run.retired:
                return []
            return [FeedRetired(feed=body.feed, node=run.definition.node, reason=body.reason)]
        case OpenFeedRun():
            return _open(part, heard, body)
        case ApproveFeedRun():
            run = part.feeds.get(body.feed)
            if run is None or run.run_id != body.run_id:
                return [_no_run(heard, body.feed, body.run_id)]
            return [FeedRunApproved(feed=body.feed, run_id=body.run_id)] if run.held else []
        case DefineChannelDays():
            return _days(part, heard, body)
        case _:
            assert_never(body)


def _define(part: RulesPart, heard: Envelope[Contract], definition: Feed) -> list[Event]:
    """A feed is read like this, unless it is already."""
    known = part.feeds.get(definition.feed)
    if known is not None and known.definition == definition and not known.retired:
        return []
    refusal = part.unknown_node(heard, definition.node) or _told_twice(part, heard, definition)
    return [refusal] if refusal else [FeedDefined(definition=definition)]


def _open(part: RulesPart, heard: Envelope[Contract], command: OpenFeedRun) -> list[Event]:
    """Take a full feed's announcement; one that is suspiciously small is held."""
    run = part.feeds.get(command.feed)
    if run is None or run.retired:
        return [unheard_feed(heard, command.feed, run)]
    if run.run_id == command.run_id:
        return []
    if command.stated_at > heard.at:
        return [
            refused(
                heard,
                "in_the_future",
                f"Feed {command.feed} is said to be of {command.stated_at.isoformat()}, after it was told.",
                "Check the sender's clock and time zone.",
            )
        ]
    if run.stated_at is not None and command.stated_at <= run.stated_at:
        return [
            refused(
                heard,
                "superseded",
                f"Feed {command.feed} was told as of {run.stated_at.isoformat()} by run {run.run_id}; this "
                f"one is of {command.stated_at.isoformat()}.",
                "Send what is newer. Nothing needs to be done about an older feed.",
            )
        ]
    before = run.units_before if run.held else (run.units if run.run_id else None)
    held = (
        before is not None and before > 0 and command.units * 100 <= before * part.rules.feed_shrink_percent
    )
    return [
        FeedRunOpened(
            feed=command.feed,
            run_id=command.run_id,
            rows=command.rows,
            units=command.units,
            stated_at=command.stated_at,
            held=held,
            units_before=before,
        )
    ]


def _days(part: RulesPart, heard: Envelope[Contract], body: DefineChannelDays) -> list[Event]:
    """What channels ask of the lots of all SKUs; nothing when it is so already."""
    named = [one.channel for one in body.channels]
    if twice := sorted({channel for channel in named if named.count(channel) > 1}):
        return [
            refused(
                heard,
                "channel_twice",
                f"{', '.join(twice)}: a channel asks for one number of days.",
                "Send one a channel.",
            )
        ]
    if {one.channel: one.shelf_days_min for one in body.channels} == part.days:
        return []
    return [ChannelDaysDefined(version=part.days_version + 1, channels=body.channels)]


def _told_twice(part: RulesPart, heard: Envelope[Contract], feed: Feed) -> CommandRefused | None:
    """A refusal when another feed tells of the node: each would take what the other told away."""
    for other, run in part.feeds.items():
        if run.definition.node == feed.node and other != feed.feed and not run.retired:
            return refused(
                heard,
                "node_has_feed",
                f"Feed {other} tells of {feed.node} already; a node has one feed.",
                f"Send the rows as feed {other}, or let {other} tell of another node first.",
            )
    return None


def unheard_feed(heard: Envelope[Contract], feed: str, known: FeedRun | None) -> CommandRefused:
    """Nobody has defined the feed, or it was retired."""
    if known is not None:
        return refused(
            heard,
            "feed_retired",
            f"Feed {feed} of {known.definition.node} was retired: nothing of it is taken.",
            f"If it tells again, define it: PUT /v1/stock/feeds/{feed}, or `orderlog stock define-feed`.",
        )
    return refused(
        heard,
        "unknown_feed",
        f"There is no feed {feed}.",
        f"Define it first: PUT /v1/stock/feeds/{feed}, or `orderlog stock define-feed`.",
    )


def _no_run(heard: Envelope[Contract], feed: str, run_id: str) -> CommandRefused:
    return refused(
        heard,
        "unknown_run",
        f"Run {run_id} is not the last one of feed {feed}.",
        "Approve the run that was opened last, or send the feed anew.",
    )
