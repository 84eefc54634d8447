"""Days that a channel asks of the lots of every SKU: a tenant's default, and how a SKU's terms take it up.

For wholesalers and marketplaces, which ask the same of all food. A default is part of the terms of each SKU
that has lots, beside what the SKU says itself, which counts first: so promises, figures and proofs go by
terms as ever. A SKU takes a default up when it is reminded, when lots of it arrive, and when its terms are
defined; SKUs without lots have no part in it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from libs.events.contract import Event
from libs.events.inventory import QueueChange
from libs.events.promise import ChannelTerms, PromiseTermsDefined
from services.inventory.rules import RulesPart
from services.inventory.stock import SkuPart, evolve_sku
from services.inventory.terms import Terms, stated, terms_of

CHANNELS_MAX = 100
"""Channels that terms may name."""
NO_TERMS = Terms(0)


def merged(
    channels: Iterable[ChannelTerms], defaults: Mapping[str, int]
) -> tuple[tuple[ChannelTerms, ...], tuple[str, ...] | None]:
    """The ways of selling with the defaults of channels whose days a SKU does not say itself, and which these
    are; as many as terms can name."""
    ways = {one.channel: one for one in channels}
    taken = list[str]()
    for channel, days in sorted(defaults.items()):
        way = ways.get(channel)
        if (way is None and len(ways) >= CHANNELS_MAX) or (
            way is not None and way.shelf_days_min is not None
        ):
            continue
        own = way or ChannelTerms(channel=channel)
        ways[channel] = own.model_copy(update={"shelf_days_min": days})
        taken.append(channel)
    return tuple(ways.values()), tuple(taken) or None


def taken_up(sku: str, part: SkuPart, rules: RulesPart) -> tuple[list[Event], SkuPart]:
    """The SKU's terms with the defaults as they are now, and the SKU by these; nothing where it has no lots,
    or its terms say so already."""
    if part.lots is None or not rules.days_version:
        return [], part
    terms = part.terms or NO_TERMS
    own = stated(terms)
    channels, by_default = merged([ChannelTerms.model_validate(one) for one in own["channels"]], rules.days)
    change = QueueChange(sku=sku, number=part.queued + 1, up_to=part.position)
    defined = PromiseTermsDefined.model_validate(
        {
            **own,
            "sku": sku,
            "terms_version": terms.version + 1,
            "channels": channels,
            "shelf_days_of_channels": by_default,
            "queue": (change,),
        }
    )
    if replace(terms_of(defined, terms), version=terms.version) == terms:
        return [], part
    return [defined], evolve_sku(part, defined)
