"""How well orders are fulfilled: each measure a share or a mean of orders of a period, in SQL over the read
model.

A measure counts the orders that came to its moment in the period: accepted, shipped, or delivered. Days
(UTC) come from their sums (`services.console.day_sums`), what is more or less than these from the orders.
Each is computed again from the stages' logs, by other means, in tests/log/test_console_measures.py.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from libs.events.record import record
from libs.runtime.pool import Connection
from services.console.accuracy import ACCURACY, CHECKED_BY, accuracy
from services.console.day_sums import (
    ACCEPTED,
    BACKORDERED,
    CHECKED,
    DELAYED,
    DELIVERED,
    PICKED,
    SHIPPED,
    SumTable,
)
from services.console.segments import SEGMENTS
from services.console.today import EVERYTHING, Only

By = Literal["all", "day", "channel", "node"]
DelaysBy = Literal["all", "day", "channel", "node", "carrier"]
Row = Mapping[str, Any]
_ONE_DAY = timedelta(days=1)

DEFINITIONS: Mapping[str, str] = {
    "accepted": "Orders accepted in the period.",
    "fill_rate": "Units of accepted orders that were promised from stock and found at the pick, of all units:"
    " those that were missing when the order first waited for stock, or at a pick, count against it.",
    "exceptions_per_thousand": "Exceptions that events made about accepted orders (holds, backorders, short"
    " picks, no route, trouble or loss on the way, failed messages), for a thousand of them.",
    "picked_lines": "Lines that nodes were asked to pick and have, of orders whose work first came to a node"
    " in the period.",
    "pick_accuracy": "Those of them of which the node found each unit, whole, of all of them. By node: of the"
    " node that picked.",
    "unit_pick_accuracy": "Units that it found, of all units of these lines.",
    "shipped": "Orders whose first shipment left in the period.",
    "order_to_ship_minutes": "Mean minutes from acceptance to the first shipment.",
    "order_to_ship_p90_minutes": "Nine of ten orders shipped within so many minutes of their acceptance.",
    "same_day_rate": "Shipped orders whose first shipment left on the day on which they were accepted, of all"
    " that shipped: by the clock of the node that ships last as their plan has it, in UTC where no date was"
    " told.",
    "next_day_rate": "Those that left on the calendar day after it, so told, of all that shipped.",
    "split_rate": "Shipped orders that left in more than one shipment, of all that shipped.",
    "delivered": "Orders whose last delivery was in the period.",
    "cycle_minutes": "Their mean minutes from capture to the last delivery: what Delays takes apart.",
    "promised": "Delivered orders that were promised for a day before.",
    "on_time_rate": "Those of them whose last delivery came by the day that was promised first, by the"
    " clock of the node that ships last, of all of them.",
    "perfect_rate": "Delivered orders that nothing went wrong with: never held, backordered or short, in one"
    " shipment without trouble on the way, nothing cancelled, not later than promised, every message sent,"
    " nothing sent back.",
    "cost": "By currency: mean of what carriers asked for all shipments of a delivered order, and of how many"
    " orders, those where all of it is known and in one currency. Not known, where nobody stated it. What"
    " nodes spend on handling is not in it: no event says that.",
    "return_rate": "Delivered orders of which something came back, of all delivered.",
    "backorders": "Backorders that began in the period.",
    "backorder_hours": "Their mean age in hours, until they were filled or given up, or until now.",
    **ACCURACY,
}
"""What each figure means, as people read it."""
REASONS: Mapping[str, str] = {
    "held": "held",
    "backordered": "backordered",
    "short_picked": "short at the pick",
    "split": "in several shipments",
    "carrier": "trouble or loss on the way",
    "not_delivered": "some of it cancelled or without a route",
    "late": "later than promised",
    "failed_message": "a message failed",
    "returned": "something came back",
}
"""What breaks a perfect order: a word of `services.console.segments.broken`, and how people read it."""

_SLICES: Mapping[str, str] = {
    "all": "'all'",
    "day": "o.day::text",
    "channel": "coalesce(nullif(o.channel, ''), '?')",
    "node": "n.node",
    "carrier": "o.carrier",
}
"""Of a row of sums."""
_NODES = """, LATERAL unnest(CASE o.nodes WHEN '' THEN ARRAY['?'] ELSE string_to_array(o.nodes, ',') END)
        AS n (node)"""
_PARTS = 9
"""Parameters of each query over sums: the tenant, and what `_parts` says."""
_ACCEPTED = """SELECT {by} AS slice, sum(orders)::bigint AS accepted, sum(units)::bigint AS units,
        sum(items)::bigint AS items, sum(missing)::bigint AS missing
    FROM {sums} AS o {nodes} WHERE true{only} GROUP BY slice HAVING sum(orders) <> 0"""
_PICKED = """SELECT {by} AS slice, sum(lines)::bigint AS lines, sum(short_lines)::bigint AS short_lines,
        sum(units)::bigint AS asked_units, sum(short_units)::bigint AS short_units
    FROM {sums} AS o WHERE true{only} GROUP BY slice HAVING sum(orders) <> 0"""
_SHIPPED = """SELECT {by} AS slice, sum(orders)::bigint AS shipped, sum(split)::bigint AS in_parts,
        (sum(waited_us) / sum(orders) / 60000000)::float8 AS order_to_ship_minutes,
        sum(same_day)::bigint AS same_day, sum(next_day)::bigint AS next_day
    FROM {sums} AS o {nodes} WHERE true{only} GROUP BY slice HAVING sum(orders) <> 0"""
# The hour in which nine of ten had left, from sums; and which of those that took so long, from an index.
_NINE_OF_TEN = """WITH hours AS (SELECT {by} AS slice, ship_hours, sum(orders)::bigint AS orders
        FROM {sums} AS o {nodes} WHERE true{only} GROUP BY slice, ship_hours HAVING sum(orders) <> 0),
    reached AS (SELECT *, sum(orders) OVER (PARTITION BY slice ORDER BY ship_hours) AS upto,
            ceil(0.9::float8 * sum(orders) OVER (PARTITION BY slice))::bigint AS place FROM hours),
    chosen AS (SELECT * FROM reached WHERE upto >= place AND upto - orders < place)
    SELECT chosen.slice, (extract(epoch FROM (SELECT o.shipped_at - o.confirmed_at FROM orders o {nodes}
            WHERE o.tenant = $1 AND o.ship_hours = chosen.ship_hours AND o.shipped_at >= {since}
                AND o.shipped_at < {before} AND {of_slice}{only}
            ORDER BY o.shipped_at - o.confirmed_at OFFSET chosen.place - chosen.upto + chosen.orders - 1
            LIMIT 1)) / 60)::float8 AS order_to_ship_p90_minutes
    FROM chosen"""
_OF_SLICE: Mapping[str, str] = {
    "all": "true",
    "day": "true",
    "channel": "coalesce(o.channel, '?') = chosen.slice",
    "node": "n.node = chosen.slice",
}
"""Of an order; a day is a shorter period."""
_MIDNIGHT = "chosen.slice::date::timestamp AT TIME ZONE 'UTC'"
_DELIVERED = """SELECT slice, sum(orders)::bigint AS delivered,
        coalesce(sum(orders) FILTER (WHERE broken = ''), 0)::bigint AS perfect,
        sum(promised)::bigint AS promised, sum(on_time)::bigint AS on_time, {reasons},
        array_agg(currency ORDER BY currency) FILTER (WHERE currency <> '') AS currencies,
        array_agg(stated ORDER BY currency) FILTER (WHERE currency <> '') AS stated,
        array_agg(minor ORDER BY currency) FILTER (WHERE currency <> '') AS minor
    FROM (SELECT {by} AS slice, broken, currency, sum(orders)::bigint AS orders,
            sum(promised)::bigint AS promised, sum(on_time)::bigint AS on_time,
            sum(stated)::bigint AS stated, sum(minor)::bigint AS minor
        FROM {sums} AS o {nodes} WHERE true{only}
        GROUP BY slice, broken, currency HAVING sum(orders) <> 0) AS of
    GROUP BY slice"""
_CYCLE = """SELECT {by} AS slice, (sum({whole}) / sum(orders) / 60000000)::float8 AS cycle_minutes
    FROM {sums} AS o {nodes} WHERE true{only} GROUP BY slice HAVING sum(orders) <> 0"""
_BACKORDERS = """SELECT {by} AS slice, sum(orders)::bigint AS backorders,
        ((sum(ended_us) - sum(waiting_us) + sum(waiting
                * (extract(epoch FROM $10::timestamptz AT TIME ZONE 'UTC' - day) * 1000000)::bigint))
            / sum(orders) / 3600000000)::float8 AS backorder_hours
    FROM {sums} AS o {nodes} WHERE true{only} GROUP BY slice HAVING sum(orders) <> 0"""
# Found without orders' rows.
_DEAREST = """SELECT o.order_id, o.channel, o.external_id, o.nodes, o.delivered_at, o.units, o.carriage_minor,
        o.carriage_currency
    FROM (SELECT order_id, carriage_minor, carriage_currency FROM orders
        WHERE tenant = $1 AND delivered_at >= $2 AND delivered_at < $3 AND carriage_minor IS NOT NULL
        ORDER BY carriage_currency, carriage_minor DESC, order_id LIMIT $4) AS found
    JOIN orders o ON o.tenant = $1 AND o.order_id = found.order_id
    ORDER BY o.carriage_currency, o.carriage_minor DESC, o.order_id"""
_COUNTED = ", ".join(
    f"coalesce(sum(orders) FILTER (WHERE '{word}' = ANY (string_to_array(broken, ' '))), 0)::bigint AS {word}"
    for word in REASONS
)
_SUMMED = ", ".join(f"sum({name}_us)::bigint AS {name}" for name in SEGMENTS)
_ALL = " + ".join(SEGMENTS)
_WHOLE_US = " + ".join(f"{name}_us" for name in SEGMENTS)
_DELAYS = """SELECT *, {all} AS whole FROM (
        SELECT {by} AS slice, sum(orders)::bigint AS orders, {summed} FROM {sums} AS o
        GROUP BY slice HAVING sum(orders) <> 0) AS summed
    ORDER BY whole DESC, slice"""
_SLOWEST = """SELECT o.order_id, o.last_node, o.last_carrier, o.delivered_at, o.channel, o.external_id,
        string_to_array(o.segments, ',')::bigint[] AS us, o.whole_us AS whole, found.most
    FROM (SELECT o.order_id, {most} AS most FROM orders o
        WHERE o.tenant = $1 AND o.delivered_at >= $2 AND o.delivered_at < $3 AND {known}
            AND ($4::text IS NULL OR {of_slice})
        ORDER BY most DESC, o.order_id LIMIT $5) AS found
    JOIN orders o ON o.tenant = $1 AND o.order_id = found.order_id ORDER BY found.most DESC, o.order_id"""
_SLOWEST_OF: Mapping[str, str] = {
    "all": "$4 = 'all'",
    "day": "to_char(o.delivered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') = $4",
    "channel": "coalesce(o.channel, '?') = $4",
    "node": "o.last_node = $4",
    "carrier": "o.last_carrier = $4",
}
_PILES = """SELECT waiting_in AS segment, nodes, count(*) AS orders, sum(units)::bigint AS units,
        min(waiting_since_at) AS oldest_at,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY waiting_since_at) AS median_at
    FROM orders WHERE tenant = $1 AND waiting_in <> '' GROUP BY waiting_in, nodes
    ORDER BY count(*) DESC, waiting_in, nodes"""


@record
class Period:
    """From a moment to another that is no part of it, UTC."""

    since: datetime
    before: datetime


async def read_measures(
    connection: Connection, tenant: str, period: Period, by: By, now: datetime, only: Only = EVERYTHING
) -> Sequence[Row]:
    """One row a slice (day, channel or node; an order of two nodes counts at both), in its order. A share is
    none where there is nothing to share. The page and the query API read them here."""
    slices: dict[str, dict[str, Any]] = {}
    asked: tuple[tuple[str, SumTable, str, tuple[object, ...]], ...] = (
        (_ACCEPTED, ACCEPTED, "o.confirmed_at", ()),
        (_PICKED, PICKED, "o.picking_at", ()),
        (_SHIPPED, SHIPPED, "o.shipped_at", ()),
        (_NINE_OF_TEN, SHIPPED, "o.shipped_at", (period.since, period.before)),
        (_DELIVERED, DELIVERED, "o.delivered_at", ()),
        (_CYCLE, DELAYED, "o.delivered_at", ()),
        (_BACKORDERS, BACKORDERED, "e.since_at", (now,)),
    )
    since, before = "$10", "$11"
    if by == "day":
        since, before = f"greatest($10, {_MIDNIGHT})", f"least($11, {_MIDNIGHT} + interval '1 day')"
    for query, table, moment, more in asked:
        of_node = ("ARRAY[o.node]",) if table is PICKED else ()  # whose pick it was
        text = query.format(
            by="o.node" if of_node and by == "node" else _SLICES[by],
            sums=_sums(table, moment),
            nodes=_NODES if by == "node" else "",
            only=only.terms(_PARTS + 1 + len(more), *of_node),
            reasons=_COUNTED,
            whole=_WHOLE_US,
            of_slice=_OF_SLICE[by],
            since=since,
            before=before,
        )
        values = (tenant, *_parts(period, now), *more, *only.values)
        for row in await connection.fetch(text, *values):
            if by != "node" or only.node in (None, row["slice"]):
                slices.setdefault(row["slice"], {}).update(row)
    if by != "channel" and only.channel is None:
        text = CHECKED_BY.format(
            by=_SLICES[by],
            sums=_sums(CHECKED, "o.at"),
            nodes=_NODES if by == "node" else "",
            only=only.terms(_PARTS + 1),
        )
        for row in await connection.fetch(text, tenant, *_parts(period, now), *only.values):
            slices.setdefault(row["slice"], {}).setdefault("checks", []).append(row)
    return [_figures(name, slices[name]) for name in sorted(slices)]


async def read_dearest(connection: Connection, tenant: str, period: Period, limit: int) -> Sequence[Row]:
    """Orders delivered in the period whose carriage is known, by currency, the dearest first."""
    rows = await connection.fetch(_DEAREST, tenant, period.since, period.before, limit)
    return [dict(row) for row in rows]


async def read_delays(
    connection: Connection, tenant: str, period: Period, by: DelaysBy, now: datetime
) -> Sequence[Row]:
    """One row a slice, the longest first: `orders`, and microseconds of all by segment and `whole`."""
    of = "o.node" if by == "node" else _SLICES[by]
    text = _DELAYS.format(by=of, summed=_SUMMED, all=_ALL, sums=_sums(DELAYED, "o.delivered_at"))
    return [dict(row) for row in await connection.fetch(text, tenant, *_parts(period, now))]


async def read_slowest(
    connection: Connection,
    tenant: str,
    period: Period,
    by: DelaysBy,
    slice_: str | None,
    segment: str | None,
    limit: int,
) -> Sequence[Row]:
    """Orders of a slice (none: of all), those first that spent most in the segment (none: in all)."""
    most, known = "o.whole_us", "o.whole_us IS NOT NULL"
    if segment is not None:  # by the index of delivered orders, which has no whole
        most = f"split_part(o.segments, ',', {_place(segment)})::bigint"
        known = "o.segments IS NOT NULL"
    text = _SLOWEST.format(most=most, known=known, of_slice=_SLOWEST_OF[by])
    rows = await connection.fetch(text, tenant, period.since, period.before, slice_, limit)
    return [{**row, "segments": dict(zip(SEGMENTS, row["us"], strict=True))} for row in rows]


async def read_piles(connection: Connection, tenant: str) -> Sequence[Row]:
    """Where open orders are now, by segment and nodes, most orders first; since when the oldest, and half."""
    return [dict(row) for row in await connection.fetch(_PILES, tenant)]


def _sums(table: SumTable, moment: str) -> str:
    """Rows of sums of a period as `_parts` takes it apart: its days, and orders that are more or less."""
    key = [name for name in table.key if name not in ("tenant", "lane")]
    days = ", ".join((*key, *table.sums))

    def orders(first: int) -> str:
        since, before, sign = (f"${number}" for number in range(first, first + 3))
        signed = ", ".join((*key, *(f"{sign}::int * {name} AS {name}" for name in table.sums)))
        return f"""SELECT {signed} FROM ({table.fill} AND o.tenant = $1
            AND {moment} >= {since} AND {moment} < {before}) AS found{first}"""  # noqa: S608 - names of ours

    return f"""(SELECT {days} FROM {table.name} WHERE tenant = $1 AND day >= $8 AND day < $9
        UNION ALL {orders(2)} UNION ALL {orders(5)})"""  # noqa: S608 - names of ours


def _parts(period: Period, now: datetime) -> tuple[object, ...]:
    """A period as parameters of `_sums`: orders at its beginning and at its end, each from when to when and
    whether they are more (1) or less (-1) than its days; and its days.

    It begins at the midnight that is next to it, before or after, and ends so, or with today: then nothing is
    less, but what a clock has in the future.
    """
    since, before = period.since, period.before
    if before - since < _ONE_DAY:
        nothing = (before, before, 1)
        return (since, before, 1, *nothing, before.date(), before.date())
    first, last = _midnight(since + _ONE_DAY / 2), _midnight(before + _ONE_DAY / 2)
    if last < before and last + _ONE_DAY > now:
        last += _ONE_DAY
    begins = (since, first, 1) if since < first else (first, since, -1)
    ends = (last, before, 1) if last < before else (before, last, -1)
    return (*begins, *ends, first.date(), last.date())


def _midnight(at: datetime) -> datetime:
    """The one before it, UTC."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _place(segment: str) -> int:
    return SEGMENTS.index(segment) + 1


def _figures(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    def share(part: int, whole: str) -> float | None:
        return part / found[whole] if found.get(whole) else None

    missing = min(found.get("missing", 0), found.get("units") or 0)
    return {
        "slice": name,
        "accepted": found.get("accepted", 0),
        "fill_rate": share((found.get("units") or 0) - missing, "units"),
        "exceptions_per_thousand": share(1000 * found.get("items", 0), "accepted"),
        "picked_lines": found.get("lines", 0),
        "pick_accuracy": share(found.get("lines", 0) - found.get("short_lines", 0), "lines"),
        "unit_pick_accuracy": share(found.get("asked_units", 0) - found.get("short_units", 0), "asked_units"),
        "shipped": found.get("shipped", 0),
        "order_to_ship_minutes": found.get("order_to_ship_minutes"),
        "order_to_ship_p90_minutes": found.get("order_to_ship_p90_minutes"),
        "same_day_rate": share(found.get("same_day", 0), "shipped"),
        "next_day_rate": share(found.get("next_day", 0), "shipped"),
        "split_rate": share(found.get("in_parts", 0), "shipped"),
        "delivered": found.get("delivered", 0),
        "cycle_minutes": found.get("cycle_minutes"),
        "promised": found.get("promised", 0),
        "on_time_rate": share(found.get("on_time", 0), "promised"),
        "perfect_rate": share(found.get("perfect", 0), "delivered"),
        "broken_by": {word: found.get(word, 0) for word in REASONS},
        "cost": _cost(found),
        "return_rate": share(found.get("returned", 0), "delivered"),
        "backorders": found.get("backorders", 0),
        "backorder_hours": found.get("backorder_hours"),
        **accuracy(found.get("checks", ())),
    }


def _cost(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By currency, in its order: of how many orders what carriers asked is known, and its mean."""
    sums: dict[str, tuple[int, int]] = {}
    columns = [found.get(name) or () for name in ("currencies", "stated", "minor")]
    for currency, orders, minor in zip(*columns, strict=True):
        known = sums.get(currency, (0, 0))
        sums[currency] = (known[0] + orders, known[1] + minor)
    return [
        {"currency": currency, "orders": orders, "mean_minor": minor / orders}
        for currency, (orders, minor) in sums.items()
    ]
