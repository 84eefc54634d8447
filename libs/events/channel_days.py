"""Contracts of how many days lots must have left for a channel, whatever the SKU: a tenant's defaults.

A SKU's own terms (`oms.inventory.promise_terms_defined`) say otherwise where they name the channel's days. A
default holds for every SKU that has lots, as part of its terms, which say which days are of the channel.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from libs.events.contract import Name, Value
from libs.events.supply import RulesCommand, RulesEvent


class ChannelDays(Value):
    """So many days before its last day a lot is given to the channel no more."""

    channel: Name
    shelf_days_min: Annotated[int, Field(strict=True, ge=1, le=3650)]


class DefineChannelDays(RulesCommand):
    """Set the defaults: the whole of them is replaced."""

    TYPE: ClassVar[str] = "oms.inventory.define_channel_days"

    channels: Annotated[tuple[ChannelDays, ...], Field(max_length=50)]


class ChannelDaysDefined(RulesEvent):
    """From now on these hold where a SKU's own terms say nothing else; each SKU tells when they do."""

    TYPE: ClassVar[str] = "oms.inventory.channel_days_defined"

    version: Annotated[int, Field(ge=1)]
    channels: Annotated[tuple[ChannelDays, ...], Field(max_length=50)]


CHANNEL_DAYS_COMMANDS = (DefineChannelDays,)
CHANNEL_DAYS_EVENTS = (ChannelDaysDefined,)
