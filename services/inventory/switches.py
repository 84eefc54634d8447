"""Reminds the SKUs with units at a node that was switched off or on: which they are, only the tables know.

A switch is an event of the nodes' stream; who is reminded of it is written down with the timers, in one
transaction. Reminding twice is harmless: a SKU that was told already decides nothing.
"""

from typing import Any

_REMIND = """
    WITH due AS (
        INSERT INTO switch_looked_at (lane, seq)
        SELECT lane, seq FROM log
        WHERE type = 'oms.inventory.node_switched' AND origin = 'decided' AND NOT EXISTS (
            SELECT FROM switch_looked_at AS s WHERE s.lane = log.lane AND s.seq = log.seq)
        ON CONFLICT DO NOTHING RETURNING lane, seq),
    switched AS (
        SELECT tenant, payload ->> 'node' AS node, recorded_at
        FROM due JOIN log ON log.lane = due.lane AND log.origin = 'decided' AND log.seq = due.seq),
    held AS (
        SELECT b.tenant, b.sku, max(recorded_at) AS due_at FROM switched
        JOIN balance AS b ON b.tenant = switched.tenant AND b.node = switched.node
        GROUP BY b.tenant, b.sku)
    INSERT INTO timer (key, name, lane, due_at)
    SELECT part.key, 'reach', part.lane, due_at
    FROM held JOIN part ON part.key = held.tenant || '/sku/' || held.sku
    ON CONFLICT DO NOTHING"""


async def remind(connection: Any) -> int:
    """Set the timers of switches that nobody looked after yet; how many. `connection` is one of asyncpg."""
    status: str = await connection.execute(_REMIND)
    return int(status.rpartition(" ")[2])
