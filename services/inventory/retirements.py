"""Reminds the SKUs of whose units a feed tells that was retired: which they are, only the tables know.

A retirement is an event of the rules' stream; who is reminded of it is written down with the timers, in one
transaction. Reminding twice is harmless: a SKU that was told already decides nothing.
"""

from typing import Any

_REMIND = """
    WITH due AS (
        INSERT INTO retired_looked_at (lane, seq)
        SELECT lane, seq FROM log
        WHERE type = 'oms.inventory.feed_retired' AND origin = 'decided' AND NOT EXISTS (
            SELECT FROM retired_looked_at AS s WHERE s.lane = log.lane AND s.seq = log.seq)
        ON CONFLICT DO NOTHING RETURNING lane, seq),
    retired AS (
        SELECT tenant, payload ->> 'node' AS node, recorded_at
        FROM due JOIN log ON log.lane = due.lane AND log.origin = 'decided' AND log.seq = due.seq),
    held AS (
        SELECT b.tenant, b.sku, max(recorded_at) AS due_at FROM retired
        JOIN balance AS b ON b.tenant = retired.tenant AND b.node = retired.node
        WHERE b.bucket = 'on_hand' AND b.quantity > 0
        GROUP BY b.tenant, b.sku)
    INSERT INTO timer (key, name, lane, due_at)
    SELECT part.key, 'feed_retired', part.lane, due_at
    FROM held JOIN part ON part.key = held.tenant || '/sku/' || held.sku
    ON CONFLICT DO NOTHING"""


async def remind_of_retired(connection: Any) -> int:
    """Set the timers of feeds that were retired, and that nobody looked after yet; how many. `connection` is
    one of asyncpg."""
    status: str = await connection.execute(_REMIND)
    return int(status.rpartition(" ")[2])
