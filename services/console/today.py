"""Today's figures, of one tenant, in one snapshot: where open orders stand, what came through, what is short.

Each is a count of orders that a list can show (`services.console.queries.OrderFilter`); tests/console
computes them again from the stages' logs. The page and the query API read them here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from libs.events.record import record
from libs.runtime.pool import Connection
from services.console.standing import OPEN

Row = Mapping[str, Any]

UNFINISHED = ("incoming", "held", *OPEN)
"""Statuses of orders that something is still to happen to."""
MOMENTS: Mapping[str, str] = {
    "confirmed": "confirmed",
    "picking": "released to nodes",
    "shipped": "shipped",
    "delivered": "delivered",
}
"""What throughput counts, by milestone (an order has `<name>_at`), and how people read it."""
PROMISES: Mapping[str, str] = {
    "late": "late",
    "at_risk": "at risk",
    "promised": "open, of any kind",
}
"""What a list may ask about the promise of an open order, and how people read it."""
OLDEST_SHOWN = 10
MISSING_SHOWN = 10
TODAY: Mapping[str, str] = {
    "by_status": "Orders that something is still to happen to, by where the least advanced unit stands, and"
    " since when one of them is without news.",
    "through": "Orders that were accepted (confirmed), whose work first came to a node (released_to_nodes),"
    " whose first shipment left (shipped), or whose last unit was handed over (delivered), since `since`.",
    "by_hour": "The same by the hour, UTC; hours in which nothing came through are left out.",
    "out_of_stock": "SKUs that backordered orders wait for, with the units that are missing, the most first.",
    "promises": "Open orders that were promised for a day; late ones, whose day is over; those at risk: to be"
    " expected later than was promised, or not gone by the end of the day on which their latest plan has them"
    " leave, or the carrier reports trouble, until it moves on.",
    "exceptions": "What needs a person now, by owner and kind; what is put off, and what is overdue of it.",
}
"""What each figure means, as people read it."""


@record
class Only:
    """Only orders of a channel, or that concern a node; none: all."""

    channel: str | None = None
    node: str | None = None

    def terms(self, first: int, nodes: str = "string_to_array(o.nodes, ',')") -> str:
        """For a WHERE over `orders o`; its values are numbered from `first` on. `nodes`: those that a row
        concerns, as an array."""
        of_channel = f" AND o.channel = ${first}" if self.channel else ""
        place = first + bool(self.channel)
        of_node = f" AND ${place} = ANY ({nodes})" if self.node else ""
        return of_channel + of_node

    @property
    def values(self) -> tuple[str, ...]:
        """The values of `terms`."""
        return tuple(value for value in (self.channel, self.node) if value)


EVERYTHING = Only()
_OF_UNFINISHED = ", ".join(f"'{name}'" for name in UNFINISHED)
"""As text, since the index of open orders is found by it."""
_STATUSES = f"""SELECT o.status, count(*) AS orders, min(o.last_at) AS quiet_since FROM orders o
    WHERE o.tenant = $1 AND o.status IN ({_OF_UNFINISHED}){{only}} GROUP BY o.status"""  # noqa: S608 - names of ours
# The oldest of each status, then the oldest of those: a step in the index for each, however many there are.
_OLDEST = f"""SELECT found.* FROM unnest($2::text[]) AS of (status), LATERAL (
        SELECT o.order_id, o.status, o.channel, o.external_id, o.ordered_at, o.last_at FROM orders o
        WHERE o.tenant = $1 AND o.status = of.status AND o.status IN ({_OF_UNFINISHED}){{only}}
        ORDER BY o.last_at, o.order_id LIMIT $3) AS found
    ORDER BY last_at, order_id LIMIT $3"""  # noqa: S608 - names of ours
_THROUGH = " UNION ALL ".join(
    f"""SELECT date_bin('1 hour', o.{name}_at, 'epoch') AS hour, '{name}' AS moment, count(*) AS orders
    FROM orders o WHERE o.tenant = $1 AND o.{name}_at >= $2{{only}} GROUP BY hour"""  # noqa: S608 - names of ours
    for name in MOMENTS
)
_MISSING = """SELECT m.sku, count(*) AS orders, sum(m.units)::bigint AS units, count(*) OVER () AS skus
    FROM missing m WHERE m.tenant = $1{only} GROUP BY m.sku ORDER BY units DESC, m.sku LIMIT $2"""
_OF_ORDER = " AND EXISTS (SELECT FROM orders o WHERE o.tenant = $1 AND o.order_id = m.order_id{})"
_PROMISES = """SELECT count(*) AS promised, count(*) FILTER (WHERE o.promise_ends_at <= $2) AS late,
        count(*) FILTER (WHERE o.promise_ends_at > $2 AND o.risk_at <= $2) AS at_risk,
        min(o.promise_ends_at) FILTER (WHERE o.promise_ends_at <= $2) AS latest_at
    FROM orders o WHERE o.tenant = $1 AND o.risk_at IS NOT NULL{only}"""


@dataclass(frozen=True, slots=True)
class Today:
    """`statuses`: of unfinished orders, how many and since when one of them is without news; `oldest`: those
    that have been longest; `hours`: since `since`, by hour, orders that reached each of MOMENTS; `missing`:
    SKUs that backordered orders wait for, the most units first; `missing_skus` is how many in all."""

    since: datetime
    statuses: Mapping[str, Row]
    oldest: Sequence[Row]
    hours: Sequence[Row]
    missing: Sequence[Row]
    promises: Row
    """Of open orders with a promise: how many there are, how many are `late` and `at_risk`, and since when
    the latest is late."""

    @property
    def missing_skus(self) -> int:
        return self.missing[0]["skus"] if self.missing else 0

    def through(self, moment: str) -> int:
        """Orders that reached it since then."""
        return sum(row["orders"] for row in self.hours if row["moment"] == moment)

    def by_hour(self) -> Sequence[tuple[datetime, Mapping[str, int]]]:
        """Orders by hour and moment, of the hours in which there were any, in order."""
        hours: dict[datetime, dict[str, int]] = {}
        for row in self.hours:
            hours.setdefault(row["hour"], {})[row["moment"]] = row["orders"]
        return sorted(hours.items())

    def document(self) -> dict[str, Any]:
        """As the API tells it, by the names of TODAY, `exceptions` apart."""
        return {
            "since": self.since,
            "by_status": {name: dict(self.statuses[name]) for name in UNFINISHED if name in self.statuses},
            "through": {_key(label): self.through(name) for name, label in MOMENTS.items()},
            "by_hour": [
                {"hour": hour} | {_key(label): counts.get(name, 0) for name, label in MOMENTS.items()}
                for hour, counts in self.by_hour()
            ],
            "promises": dict(self.promises),
            "out_of_stock": {
                "skus": self.missing_skus,
                "most": [{name: row[name] for name in ("sku", "units", "orders")} for row in self.missing],
            },
        }


async def read_today(
    connection: Connection, tenant: str, since: datetime, now: datetime, only: Only = EVERYTHING
) -> Today:
    """Of a transaction that sees the tenant."""

    async def fetch(query: str, *values: object, of: str = "{}") -> Sequence[Row]:
        text = query.format(only=of.format(only.terms(len(values) + 2)) if only.values else "")
        return [dict(row) for row in await connection.fetch(text, tenant, *values, *only.values)]

    return Today(
        since,
        {row["status"]: row for row in await fetch(_STATUSES)},
        await fetch(_OLDEST, list(UNFINISHED), OLDEST_SHOWN),
        sorted(await fetch(_THROUGH, since), key=itemgetter("hour")),
        await fetch(_MISSING, MISSING_SHOWN, of=_OF_ORDER),
        (await fetch(_PROMISES, now))[0],
    )


def _key(label: str) -> str:
    return label.replace(" ", "_")
