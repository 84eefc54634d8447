"""How well orders are fulfilled: each measure a share or a mean of orders of a period, in SQL over the read
model.

A measure counts the orders that came to its moment in the period: accepted, shipped, or delivered. Each is
computed again from the stages' logs, by other means, in tests/log/test_console_measures.py.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from libs.events.record import record
from services.console.segments import SEGMENTS
from services.console.store import Connection
from services.console.today import EVERYTHING, Only

By = Literal["all", "day", "channel", "node"]
DelaysBy = Literal["all", "day", "channel", "node", "carrier"]
Row = Mapping[str, Any]

DEFINITIONS: Mapping[str, str] = {
    "accepted": "Orders accepted in the period.",
    "fill_rate": "Units of accepted orders that were promised from stock and found at the pick, of all units:"
    " those that were missing when the order first waited for stock, or at a pick, count against it.",
    "exceptions_per_thousand": "Exceptions that events made about accepted orders (holds, backorders, short"
    " picks, no route, trouble or loss on the way, failed messages), for a thousand of them.",
    "shipped": "Orders whose first shipment left in the period.",
    "order_to_ship_minutes": "Mean minutes from acceptance to the first shipment.",
    "order_to_ship_p90_minutes": "Nine of ten orders shipped within so many minutes of their acceptance.",
    "split_rate": "Shipped orders that left in more than one shipment, of all that shipped.",
    "delivered": "Orders whose last delivery was in the period.",
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

_DAY = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
_NODES = """, LATERAL unnest(CASE o.nodes WHEN '' THEN ARRAY['?'] ELSE string_to_array(o.nodes, ',') END)
        AS n (node)"""
_ACCEPTED = """SELECT {by} AS slice, count(*) AS accepted, sum(o.units)::bigint AS units FROM orders o {nodes}
    WHERE o.tenant = $1 AND o.confirmed_at >= $2 AND o.confirmed_at < $3{only} GROUP BY slice"""
# Apart from how many there are: PostgreSQL chooses by the period's length how to bring both together.
_TROUBLED = """SELECT {by} AS slice, count(*)::bigint AS items,
        coalesce(sum(e.units) FILTER (WHERE e.kind IN ('backordered', 'short_picked')), 0)::bigint AS missing
    FROM orders o JOIN exceptions e ON e.tenant = $1 AND e.order_id = o.order_id
            AND e.kind NOT IN ('stuck', 'late', 'at_risk') {nodes}
    WHERE o.tenant = $1 AND o.confirmed_at >= $2 AND o.confirmed_at < $3 AND o.broken <> ''{only}
    GROUP BY slice"""
_SHIPPED = """SELECT {by} AS slice, count(*) AS shipped,
        count(*) FILTER (WHERE o.broken <> '' AND 'split' = ANY (string_to_array(o.broken, ' '))) AS split,
        (extract(epoch FROM avg(o.shipped_at - o.confirmed_at)) / 60)::float8 AS order_to_ship_minutes,
        (extract(epoch FROM percentile_disc(0.9) WITHIN GROUP (ORDER BY o.shipped_at - o.confirmed_at))
            / 60)::float8 AS order_to_ship_p90_minutes
    FROM orders o {nodes}
    WHERE o.tenant = $1 AND o.shipped_at >= $2 AND o.shipped_at < $3
        AND o.confirmed_at IS NOT NULL{only} GROUP BY slice"""
# By what was the matter with it and by currency first: there are some dozens of either, and orders by the
# hundred thousand, whose index is read once.
_DELIVERED = """SELECT slice, sum(orders)::bigint AS delivered,
        coalesce(sum(orders) FILTER (WHERE broken = ''), 0)::bigint AS perfect,
        sum(promised)::bigint AS promised, sum(on_time)::bigint AS on_time, {reasons},
        array_agg(currency ORDER BY currency) FILTER (WHERE currency IS NOT NULL) AS currencies,
        array_agg(stated ORDER BY currency) FILTER (WHERE currency IS NOT NULL) AS stated,
        array_agg(minor ORDER BY currency) FILTER (WHERE currency IS NOT NULL) AS minor
    FROM (SELECT {by} AS slice, o.broken, o.carriage_currency AS currency, count(*) AS orders,
            count(o.promise_ends_at) AS promised,
            count(*) FILTER (WHERE o.delivered_at < o.promise_ends_at) AS on_time,
            count(o.carriage_minor) AS stated, sum(o.carriage_minor)::bigint AS minor
        FROM orders o {nodes}
        WHERE o.tenant = $1 AND o.delivered_at >= $2 AND o.delivered_at < $3{only}
        GROUP BY slice, o.broken, o.carriage_currency) AS of
    GROUP BY slice"""
# Found without orders' rows.
_DEAREST = """SELECT o.order_id, o.channel, o.external_id, o.nodes, o.delivered_at, o.units, o.carriage_minor,
        o.carriage_currency
    FROM (SELECT order_id, carriage_minor, carriage_currency FROM orders
        WHERE tenant = $1 AND delivered_at >= $2 AND delivered_at < $3 AND carriage_minor IS NOT NULL
        ORDER BY carriage_currency, carriage_minor DESC, order_id LIMIT $4) AS found
    JOIN orders o ON o.tenant = $1 AND o.order_id = found.order_id
    ORDER BY o.carriage_currency, o.carriage_minor DESC, o.order_id"""
_BACKORDERS = """SELECT {by} AS slice, count(*) AS backorders,
        (extract(epoch FROM avg(coalesce(e.ended_at, $4) - e.since_at)) / 3600)::float8 AS backorder_hours
    FROM exceptions e {orders} {nodes}
    WHERE e.tenant = $1 AND e.kind = 'backordered' AND e.since_at >= $2 AND e.since_at < $3{only}
    GROUP BY slice"""
_OF_ORDERS = "JOIN orders o ON o.tenant = e.tenant AND o.order_id = e.order_id"
_COUNTED = ", ".join(
    f"coalesce(sum(orders) FILTER (WHERE '{word}' = ANY (string_to_array(broken, ' '))), 0)::bigint AS {word}"
    for word in REASONS
)
_SUMMED = ", ".join(f"sum(us[{place}])::bigint AS {name}" for place, name in enumerate(SEGMENTS, 1))
_ALL = " + ".join(SEGMENTS)
_WHOLE = "(" + " + ".join(f"us[{place}]" for place in range(1, len(SEGMENTS) + 1)) + ")"
_SPENT = """(SELECT order_id, delivered_at, last_node, last_carrier{channel},
            string_to_array(segments, ',')::bigint[] AS us FROM orders
        WHERE tenant = $1 AND delivered_at >= $2 AND delivered_at < $3 AND segments IS NOT NULL
        OFFSET 0) AS o"""
"""Delivered orders, their microseconds read once."""
_DELAYS = """SELECT *, {all} AS whole FROM (
        SELECT {by} AS slice, count(*) AS orders, {summed} FROM {spent} GROUP BY slice) AS summed
    ORDER BY whole DESC, slice"""
_SLOWEST = """SELECT found.*, o.channel, o.external_id FROM (
        SELECT o.order_id, o.last_node, o.last_carrier, o.delivered_at, o.us, {whole}::bigint AS whole,
            {most} AS most
        FROM {spent} WHERE $4::text IS NULL OR {by} = $4
        ORDER BY most DESC, o.order_id LIMIT $5) AS found
    JOIN orders o ON o.tenant = $1 AND o.order_id = found.order_id ORDER BY most DESC, o.order_id"""
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
    asked = (
        (_ACCEPTED, "o.confirmed_at", ()),
        (_TROUBLED, "o.confirmed_at", ()),
        (_SHIPPED, "o.shipped_at", ()),
        (_DELIVERED, "o.delivered_at", ()),
        (_BACKORDERS, "e.since_at", (now,)),
    )
    for query, moment, more in asked:
        nodes, terms = _NODES if by == "node" else "", only.terms(4 + len(more))
        orders = _OF_ORDERS if by in ("channel", "node") or only.values else ""
        text = query.format(by=_slice(by, moment), nodes=nodes, reasons=_COUNTED, only=terms, orders=orders)
        values = (tenant, period.since, period.before, *more, *only.values)
        for row in await connection.fetch(text, *values):
            if by != "node" or only.node in (None, row["slice"]):
                slices.setdefault(row["slice"], {}).update(row)
    return [_figures(name, slices[name]) for name in sorted(slices)]


async def read_dearest(connection: Connection, tenant: str, period: Period, limit: int) -> Sequence[Row]:
    """Orders delivered in the period whose carriage is known, by currency, the dearest first."""
    rows = await connection.fetch(_DEAREST, tenant, period.since, period.before, limit)
    return [dict(row) for row in rows]


async def read_delays(connection: Connection, tenant: str, period: Period, by: DelaysBy) -> Sequence[Row]:
    """One row a slice, the longest first: `orders`, and microseconds of all by segment and `whole`."""
    text = _DELAYS.format(by=_delays_slice(by), summed=_SUMMED, all=_ALL, spent=_spent(by))
    return [dict(row) for row in await connection.fetch(text, tenant, period.since, period.before)]


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
    most = _WHOLE if segment is None else f"us[{_place(segment)}]"
    text = _SLOWEST.format(by=_delays_slice(by), whole=_WHOLE, most=most, spent=_spent(by))
    rows = await connection.fetch(text, tenant, period.since, period.before, slice_, limit)
    return [{**row, "segments": dict(zip(SEGMENTS, row["us"], strict=True))} for row in rows]


async def read_piles(connection: Connection, tenant: str) -> Sequence[Row]:
    """Where open orders are now, by segment and nodes, most orders first; since when the oldest, and half."""
    return [dict(row) for row in await connection.fetch(_PILES, tenant)]


def _slice(by: DelaysBy, moment: str) -> str:
    return {
        "all": "'all'",
        "day": _DAY.format(moment),
        "channel": "coalesce(o.channel, '?')",
        "node": "n.node",
    }[by]


def _delays_slice(by: DelaysBy) -> str:
    if by == "node":
        return "o.last_node"
    return "o.last_carrier" if by == "carrier" else _slice(by, "o.delivered_at")


def _spent(by: DelaysBy) -> str:
    """Only with the columns that are asked for: the index of delivered orders has the others."""
    return _SPENT.format(channel=", channel" if by == "channel" else "")


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
        "shipped": found.get("shipped", 0),
        "order_to_ship_minutes": found.get("order_to_ship_minutes"),
        "order_to_ship_p90_minutes": found.get("order_to_ship_p90_minutes"),
        "split_rate": share(found.get("split", 0), "shipped"),
        "delivered": found.get("delivered", 0),
        "promised": found.get("promised", 0),
        "on_time_rate": share(found.get("on_time", 0), "promised"),
        "perfect_rate": share(found.get("perfect", 0), "delivered"),
        "broken_by": {word: found.get(word, 0) for word in REASONS},
        "cost": _cost(found),
        "return_rate": share(found.get("returned", 0), "delivered"),
        "backorders": found.get("backorders", 0),
        "backorder_hours": found.get("backorder_hours"),
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
