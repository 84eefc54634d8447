"""Inventory accuracy, for Measures: what counts found, and by how much the books were put right.

Read from sums by day of the rows of `services.console.stock_checks`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from libs.runtime.pool import Connection

Row = Mapping[str, Any]
ACCURACY: Mapping[str, str] = {
    "counted_lines": "Counts of a SKU at a node in the period, but for those whose difference waits for"
    " approval, was rejected, or was overtaken by something newer. By channel none: a shelf is no channel's.",
    "count_accuracy": "Those of them that found what the books had, in each lot, of all of them.",
    "differences_waiting": "Counts and differences with other systems that wait for somebody, of the period.",
    "counted_units": "Units that counts found.",
    "variance_units": "Units that counts found more or less than the books had, without their signs.",
    "net_variance_units": "The same with their signs: below 0 where units lacked.",
    "variance_rate": "The units that differ without their signs, of the units that counts found.",
    "variance_by_reason": "By how much the books were put right, by source and reason: counts and corrections"
    " by hand (adjustment) with the reason that was stated, approved differences with another system"
    " (snapshot) with its name. How many there were, and their units without and with their signs.",
}
"""What each figure means, as people read it."""
SOURCES: Mapping[str, str] = {
    "count": "counts",
    "snapshot": "another system",
    "adjustment": "hand",
}
"""Where a variance comes from, and how people read it."""
CHECKED_BY = """SELECT {by} AS slice, source, reason, sum(agreed)::bigint AS agreed,
        sum(wrong)::bigint AS wrong, sum(waiting)::bigint AS waiting, sum(units)::bigint AS units,
        sum(off_units)::bigint AS off_units, sum(net_units)::bigint AS net_units
    FROM {sums} AS o {nodes} WHERE true{only} GROUP BY slice, source, reason HAVING sum(orders) <> 0
    ORDER BY source, reason"""
# Found without the rows.
_FURTHEST = """SELECT sku, node, source, check_id, at, reason, counted, off_units, net_units FROM stock_checks
    WHERE tenant = $1 AND standing = 'wrong' AND at >= $2 AND at < $3
    ORDER BY off_units DESC, sku, source, check_id LIMIT $4"""


def accuracy(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of ACCURACY, of a slice's rows of CHECKED_BY; a share of nothing is none."""
    counts = [row for row in rows if row["source"] == "count"]

    def of_counts(name: str) -> int:
        return sum(row[name] for row in counts)

    lines, units = of_counts("agreed") + of_counts("wrong"), of_counts("units")
    return {
        "counted_lines": lines,
        "count_accuracy": of_counts("agreed") / lines if lines else None,
        "differences_waiting": sum(row["waiting"] for row in rows),
        "counted_units": units,
        "variance_units": of_counts("off_units"),
        "net_variance_units": of_counts("net_units"),
        "variance_rate": of_counts("off_units") / units if units else None,
        "variance_by_reason": [
            {
                "source": row["source"],
                "reason": row["reason"] or "?",
                "lines": row["wrong"],
                "units": row["off_units"],
                "net_units": row["net_units"],
            }
            for row in rows
            if row["wrong"]
        ],
    }


def checked_rows(rows: Sequence[Row]) -> Sequence[Row]:
    """Those with something to tell of stock, of rows with these figures among others."""
    told = ("counted_lines", "differences_waiting", "variance_by_reason")
    return [row for row in rows if any(row[name] for name in told)]


async def read_furthest(
    connection: Connection, tenant: str, since: datetime, before: datetime, limit: int
) -> Sequence[Row]:
    """Where the books were put right from then, and before, by the most units first."""
    return [dict(row) for row in await connection.fetch(_FURTHEST, tenant, since, before, limit)]
