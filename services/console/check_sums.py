"""What a batch changes of the rows of `services.console.stock_checks`, and of their sums by day.

Counts are few beside orders: where a batch has any, the rows that they change are read, and it is reckoned
from both what the day was and is.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any

from libs.events.contract import Event
from libs.events.envelope import Envelope
from services.console.day_sums import CHECKED, Sums
from services.console.stock_checks import (
    AGREED,
    CHECK_EVENTS,
    WAITS,
    WRONG,
    StockCheck,
    StockCheckKey,
    joined,
    stock_check,
)

READ_CHECKS = f"""SELECT {", ".join(StockCheckKey._fields + StockCheck._fields)} FROM stock_checks
    JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS wanted (tenant, sku, source, check_id)
        USING (tenant, sku, source, check_id)"""  # noqa: S608 - names of ours


def changed_checks(
    told: Mapping[StockCheckKey, StockCheck],
    rows: Iterable[Any],
    envelopes: Iterable[Envelope[Event]],
) -> Sums:
    """What is to be added: `told` by a batch of these events, `rows` as READ_CHECKS has them before it."""
    lanes = {stock_check(one)[0]: one.lane for one in envelopes if one.body.TYPE in CHECK_EVENTS}
    known = {StockCheckKey(*row[:4]): StockCheck(*row[4:]) for row in rows}
    sums: dict[tuple[object, ...], tuple[int, ...]] = {}
    for key, now in told.items():
        before = known.get(key)
        for sign, one in ((-1, before), (1, joined(before, now))):
            if one is not None:
                day = one.at.astimezone(UTC).date()
                place = (key.tenant, day, lanes[key], "", one.node, key.source, one.reason)
                so_far = sums.get(place, (0,) * len(CHECKED.sums))
                sums[place] = tuple([a + sign * b for a, b in zip(so_far, _counts(one), strict=True)])
    return {CHECKED.name: {place: units for place, units in sums.items() if any(units)}}


def _counts(check: StockCheck) -> tuple[int, ...]:
    """As CHECKED has them."""
    agreed, wrong = int(check.standing == AGREED), int(check.standing == WRONG)
    units = (agreed + wrong) * check.counted
    off, net = wrong * check.off_units, wrong * check.net_units
    return (1, agreed, wrong, int(check.standing == WAITS), units, off, net)
