"""Which lots channels are given that ask for days left: looked at again whenever one has become too old for
one of them, or the terms ask for other days; and whose promises that breaks."""

from datetime import datetime

from libs.events.contract import Event
from libs.events.lots import LotLimit, LotsLimited
from services.inventory.giving import take_back_promises
from services.inventory.lots import Lots, expires_from, limited
from services.inventory.shelf_life import days_asked, overdrawn
from services.inventory.stock import SkuPart, evolve_sku


def in_time(sku: str, part: SkuPart, at: datetime) -> tuple[list[Event], SkuPart]:
    """What has become too old for whom, and the promises that cannot be kept any more, the youngest first;
    the SKU after that. Nothing where nobody asks for days left, or nothing has changed."""
    events = list[Event]()
    lots = part.lots
    days = {} if part.terms is None else part.terms.shelf_days
    if lots is None or not (days or lots.limits):
        return [], part
    if told := _limited(sku, part.position, lots, days, at):
        events.append(told)
        part = evolve_sku(part, told)
    while part.lots is not None and (found := overdrawn(part.lots, part.promised())):
        broken, part = take_back_promises(sku, part, found.units, found.channels)
        events += broken
    return events, part


def _limited(sku: str, position: int, lots: Lots, days: dict[str, int], at: datetime) -> LotsLimited | None:
    now = {channel: expires_from(days_min, at) for channel, days_min in days.items()}
    before = days_asked(lots)
    good = [one.expires_on for one in lots.named.values() if one.state == "good"]
    asked = {channel: limit.days_min for channel, limit in lots.limits.items()}
    if asked == days and all(
        (last < before[channel]) == (last < day) for channel, day in now.items() for last in good
    ):
        return None
    told = LotsLimited(
        sku=sku,
        limits=tuple(
            LotLimit.model_validate(
                {"channel": channel, "shelf_days_min": days[channel], "expires_from": day}
            )
            for channel, day in sorted(now.items())
        ),
        up_to=position,
    )
    return told.model_copy(update={"check_at": limited(lots, told).next_check()})
