"""Which days of nodes are full: for support, who is asked why a date is so late."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from libs.runtime.pool import Connection

_BEHIND_UTC = timedelta(hours=12)
"""Where a day ends last."""
_READ = """SELECT node, days FROM full_days
    WHERE tenant = $1 AND ($2::text[] IS NULL OR node = ANY ($2)) ORDER BY node"""


async def read_full_days(
    connection: Connection, tenant: str, now: datetime, nodes: Sequence[str] | None = None
) -> Mapping[str, Sequence[date]]:
    """By node, the full days that are not over; of `nodes`, or of all that are seen, if they have any."""
    today = (now - _BEHIND_UTC).date()
    found: dict[str, Sequence[date]] = {}
    for node, told in await connection.fetch(_READ, tenant, nodes):
        days = [date.fromisoformat(day) for day in told.split(",") if day]
        if left := [day for day in days if day >= today]:
            found[node] = left
    return found
