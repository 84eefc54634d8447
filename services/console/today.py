"""Today's figures, of one tenant, in one snapshot: where open orders stand, what came through, what is short.

Each is a count of orders that a list can show (`services.console.queries.OrderFilter`); tests/console
computes them again from the stages' logs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.console.standing import OPEN
from services.console.store import Connection

Row = Mapping[str, Any]

UNFINISHED = ("incoming", "held", *OPEN)
"""Statuses of orders that something is still to happen to."""
MOMENTS = ("confirmed", "shipped", "delivered")
"""What throughput counts, by the milestone that says when."""
OLDEST_SHOWN = 10
MISSING_SHOWN = 10

_STATUSES = """SELECT status, count(*) AS orders, min(last_at) AS quiet_since FROM orders
    WHERE tenant = $1 AND status = ANY($2::text[]) GROUP BY status"""
_OLDEST = """SELECT order_id, status, channel, external_id, ordered_at, last_at FROM orders
    WHERE tenant = $1 AND status = ANY($2::text[]) ORDER BY last_at, order_id LIMIT $3"""
# An order is touched when it reaches a moment, so nothing older than the day by its last news is looked at.
_THROUGH = """SELECT date_bin('1 hour', at, 'epoch') AS hour, moment, count(*) AS orders FROM orders,
    LATERAL (VALUES ('confirmed', confirmed_at), ('shipped', shipped_at), ('delivered', delivered_at))
        AS reached (moment, at)
    WHERE tenant = $1 AND last_at >= $2 AND at >= $2 GROUP BY hour, moment ORDER BY hour"""
_MISSING = """SELECT sku, count(*) AS orders, sum(missing)::bigint AS units, count(*) OVER () AS skus FROM (
        SELECT r.sku, r.wanted - r.held - r.allocated - r.issued AS missing
        FROM orders o JOIN reservations r USING (tenant, order_id)
        WHERE o.tenant = $1 AND o.status = 'backordered'
    ) AS waiting WHERE missing > 0 GROUP BY sku ORDER BY units DESC, sku LIMIT $2"""


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

    @property
    def missing_skus(self) -> int:
        return self.missing[0]["skus"] if self.missing else 0

    def through(self, moment: str) -> int:
        """Orders that reached it since then."""
        return sum(row["orders"] for row in self.hours if row["moment"] == moment)


async def read_today(connection: Connection, tenant: str, since: datetime) -> Today:
    """Of a transaction that sees the tenant."""
    statuses = await connection.fetch(_STATUSES, tenant, list(UNFINISHED))
    oldest = await connection.fetch(_OLDEST, tenant, list(UNFINISHED), OLDEST_SHOWN)
    hours = await connection.fetch(_THROUGH, tenant, since)
    missing = await connection.fetch(_MISSING, tenant, MISSING_SHOWN)
    return Today(
        since,
        {row["status"]: dict(row) for row in statuses},
        [dict(row) for row in oldest],
        [dict(row) for row in hours],
        [dict(row) for row in missing],
    )
