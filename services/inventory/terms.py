"""What of a SKU's free units may be promised to whom: a reserve kept from all, and channels' shares; what a
channel shows of what it could be promised; and with how few units the SKU is low.

Shares are levels, not quotas: `units` of what is free stay for a channel, whatever it sold before, and other
channels see what is above them. So a share needs no count of its own that could go wrong, and an empty shelf
has none. A share may be lent: a channel that it lends to may take from it.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from libs.events.availability import StockLow, StockRecovered
from libs.events.backorders import Backorders
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.policy import STANDARD_RANK
from libs.events.promise import ChannelTerms, DefinePromiseTerms, PromiseTermsDefined
from libs.events.record import record
from libs.events.refusal import refused
from services.inventory.shelf_life import Room

LEVEL = "level"
"""The timer by which a SKU is asked whether it is low: left by who follows its figures (`availability`)."""


@record
class Terms:
    """Of one SKU, as of their version."""

    version: int
    safety_stock: int = 0
    shares: dict[str, int] = field(default_factory=dict)
    """Units by channel."""
    lends_to: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Who may take from a channel's share."""
    buffers: dict[str, int] = field(default_factory=dict)
    """Units that a channel is not promised."""
    sold_out_at: dict[str, int] = field(default_factory=dict)
    """With so many available or fewer, a channel shows none."""
    shown_max: dict[str, int] = field(default_factory=dict)
    low_at: int | None = None
    recovered_at: int = 0
    low: bool = False
    """The SKU was told to be low, and not to have recovered since."""
    reorder_point: int = 0
    """Free units below which only orders up to the rank get any."""
    reorder_rank: int = 0
    backorders: Backorders | None = None
    """How many units may be waited for, and when."""
    shelf_days: dict[str, int] = field(default_factory=dict)
    """Days that a lot must have left for a channel to be given units of it."""
    shelf_of_channels: tuple[str, ...] = ()
    """Channels of these whose days are what they ask of all SKUs, and not said of this one."""
    shelf_none: tuple[str, ...] = ()
    """Channels that ask for no days of this SKU, whatever they ask of others."""

    def kept(self, free: int, room: Room | None, channel: str | None, rank: int = STANDARD_RANK) -> int:
        """Of so many free units, those that an order of this channel and class may not have, by these terms
        or for their age. What is kept for others is taken to be of what is too old, as far as that goes."""
        withheld = self.withheld(channel, rank)
        if room is None:
            return withheld
        return max(withheld, room.kept(free, channel, self.buffers.get(channel or "", 0)))

    def withheld(self, channel: str | None, rank: int = STANDARD_RANK) -> int:
        """Free units that an order of this channel and class may not have."""
        others = 0
        for owner, units in self.shares.items():
            if owner != channel and channel not in self.lends_to.get(owner, ()):
                others += units
        own = 0 if channel is None else self.buffers.get(channel, 0)
        held_back = self.reorder_point if rank > self.reorder_rank else 0
        return max(self.safety_stock + others + own, held_back)

    def held_back(self, free: int, channel: str | None, rank: int) -> bool:
        """Whether it is the reorder point that keeps free units from such an order."""
        kept = self.withheld(channel, self.reorder_rank)
        return self.withheld(channel, rank) > kept and free > kept

    def shown(self, channel: str, available: int) -> int:
        """What a channel shows of what it could be promised."""
        if available <= self.sold_out_at.get(channel, 0):
            return 0
        return min(available, self.shown_max.get(channel, available))

    def named(self) -> list[str]:
        """Channels with a figure of their own, in order."""
        borrowers = (channel for lent in self.lends_to.values() for channel in lent)
        capped = () if self.backorders is None else [one.channel for one in self.backorders.channels]
        ways = (*self.shares, *self.buffers, *self.sold_out_at, *self.shown_max, *self.shelf_days)
        return sorted({*ways, *borrowers, *capped})

    def changes_level(self, free: int) -> bool:
        """Whether the SKU, with so many free units, becomes low or has recovered. Between the two levels it
        stays what it was."""
        if self.low:
            return self.low_at is None or free >= self.recovered_at
        return self.low_at is not None and free <= self.low_at


def define(
    known: Terms | None,
    heard: Envelope[Contract],
    command: DefinePromiseTerms,
    channels: tuple[ChannelTerms, ...],
    of_channels: tuple[str, ...] | None = None,
) -> list[Event]:
    """The SKU's new terms; nothing when they are so already. `channels` are the command's, with the days that
    channels ask of all SKUs, which are those `of_channels`."""
    for named, what in (
        ([share.channel for share in command.shares], "share of"),
        ([one.channel for one in command.channels], "way of selling"),
        ([one.channel for one in (command.backorders or Backorders()).channels], "cap on backorders of"),
    ):
        if twice := sorted({channel for channel in named if named.count(channel) > 1}):
            return [
                refused(
                    heard,
                    "channel_twice",
                    f"{', '.join(twice)}: a channel has one {what} {command.sku}.",
                    "Send one a channel; units of shares are added up.",
                )
            ]
    low_at, recovered_at = command.low_at or 0, command.recovered_at
    if recovered_at is not None and recovered_at <= low_at:
        return [
            refused(
                heard,
                "levels_crossed",
                f"{command.sku} cannot be low at {low_at} and recovered at {recovered_at}.",
                "Send a recovered_at above low_at, or none.",
            )
        ]
    if refusal := _never_open(heard, command):
        return [refusal]
    defined = PromiseTermsDefined(
        sku=command.sku,
        terms_version=1 if known is None else known.version + 1,
        safety_stock=command.safety_stock,
        shares=command.shares,
        channels=channels,
        low_at=command.low_at,
        recovered_at=command.recovered_at,
        reorder=command.reorder,
        backorders=command.backorders,
        shelf_days_of_channels=of_channels,
    )
    if known is not None and replace(terms_of(defined, known), version=known.version) == known:
        return []
    return [defined]


def _never_open(heard: Envelope[Contract], command: DefinePromiseTerms) -> Event | None:
    backorders = command.backorders
    if backorders is None or backorders.opens_at is None or backorders.closes_at is None:
        return None
    if backorders.opens_at < backorders.closes_at:
        return None
    return refused(
        heard,
        "closes_before_it_opens",
        f"{command.sku} could be waited for from {backorders.opens_at:%Y-%m-%d %H:%M %Z} until "
        f"{backorders.closes_at:%Y-%m-%d %H:%M %Z}: never.",
        "Send a closes_at after opens_at, or leave one out; a units_max of 0 lets nobody wait.",
    )


def look_at_level(sku: str, terms: Terms | None, free: int) -> list[Event]:
    """That the SKU is low, or is not any more; nothing where that was told already."""
    if terms is None or not terms.changes_level(free):
        return []
    if terms.low or terms.low_at is None:
        return [StockRecovered(sku=sku, free=free, terms_version=terms.version)]
    return [StockLow(sku=sku, free=free, low_at=terms.low_at, terms_version=terms.version)]


def terms_of(event: PromiseTermsDefined, before: Terms | None) -> Terms:
    """The terms as a SKU's part keeps them. Whether it was told to be low stays so."""
    low_at, channels = event.low_at, event.channels
    recovers = 0 if low_at is None else event.recovered_at or low_at + max(1, low_at // 10)
    return Terms(
        event.terms_version,
        event.safety_stock,
        {share.channel: share.units for share in event.shares},
        {share.channel: share.lends_to for share in event.shares if share.lends_to},
        {one.channel: one.buffer for one in channels if one.buffer},
        {one.channel: one.sold_out_at for one in channels if one.sold_out_at},
        {one.channel: one.shown_max for one in channels if one.shown_max},
        low_at,
        recovers,
        before is not None and before.low,
        0 if event.reorder is None else event.reorder.point,
        0 if event.reorder is None else event.reorder.rank_max,
        event.backorders,
        {one.channel: one.shelf_days_min for one in channels if one.shelf_days_min},
        event.shelf_days_of_channels or (),
        tuple(one.channel for one in channels if one.shelf_days_min == 0),
    )


def stated(terms: Terms) -> dict[str, Any]:
    """What a SKU's terms say themselves, in the form in which they are defined."""
    own = {
        channel: days for channel, days in terms.shelf_days.items() if channel not in terms.shelf_of_channels
    }
    ways: tuple[tuple[str, Mapping[str, int]], ...] = (
        ("buffer", terms.buffers),
        ("sold_out_at", terms.sold_out_at),
        ("shown_max", terms.shown_max),
        ("shelf_days_min", {**own, **dict.fromkeys(terms.shelf_none, 0)}),
    )
    channels: dict[str, dict[str, Any]] = {}
    for name, by_channel in ways:
        for channel, value in by_channel.items():
            channels.setdefault(channel, {"channel": channel})[name] = value
    capped = terms.backorders
    return {
        "safety_stock": terms.safety_stock,
        "shares": [
            {"channel": channel, "units": units, "lends_to": list(terms.lends_to.get(channel, ()))}
            for channel, units in terms.shares.items()
        ],
        "channels": list(channels.values()),
        "low_at": terms.low_at,
        "recovered_at": None if terms.low_at is None else terms.recovered_at,
        "reorder": {"point": terms.reorder_point, "rank_max": terms.reorder_rank}
        if terms.reorder_point
        else None,
        "backorders": None if capped is None else capped.model_dump(mode="json"),
    }
