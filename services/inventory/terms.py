"""What of a SKU's free units may be promised to whom: a reserve kept from all, and channels' shares.

Shares are levels, not quotas: `units` of what is free stay for a channel, whatever it sold before, and other
channels see what is above them. So a share needs no count of its own that could go wrong, and an empty shelf
has none. A share may be lent: a channel that it lends to may take from it.
"""

from dataclasses import field

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.promise import DefinePromiseTerms, PromiseTermsDefined
from libs.events.record import record
from services.inventory.refuse import refused


@record
class Terms:
    """Of one SKU, as of their version."""

    version: int
    safety_stock: int = 0
    shares: dict[str, int] = field(default_factory=dict)
    """Units by channel."""
    lends_to: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Who may take from a channel's share."""

    def withheld(self, channel: str | None) -> int:
        """Free units that an order of this channel may not have."""
        others = 0
        for owner, units in self.shares.items():
            if owner != channel and channel not in self.lends_to.get(owner, ()):
                others += units
        return self.safety_stock + others


def define(known: Terms | None, heard: Envelope[Contract], command: DefinePromiseTerms) -> list[Event]:
    """The SKU's new terms; nothing when they are so already."""
    channels = [share.channel for share in command.shares]
    if twice := sorted({channel for channel in channels if channels.count(channel) > 1}):
        return [
            refused(
                heard,
                "channel_twice",
                f"{', '.join(twice)}: a channel has one share of {command.sku}.",
                "Add the units up and send one share a channel.",
            )
        ]
    defined = PromiseTermsDefined(
        sku=command.sku,
        terms_version=1 if known is None else known.version + 1,
        safety_stock=command.safety_stock,
        shares=command.shares,
    )
    after = terms_of(defined)
    if known is not None and (known.safety_stock, known.shares, known.lends_to) == (
        after.safety_stock,
        after.shares,
        after.lends_to,
    ):
        return []
    return [defined]


def terms_of(event: PromiseTermsDefined) -> Terms:
    """The terms as a SKU's part keeps them."""
    return Terms(
        event.terms_version,
        event.safety_stock,
        {share.channel: share.units for share in event.shares},
        {share.channel: share.lends_to for share in event.shares if share.lends_to},
    )
