"""Reminds SKUs of what was told of others' streams: of a node, those with units there; of the days that
channels ask for, those that have lots. Which they are, only the tables know.

What was told is an event of another stream (the nodes', the rules'); who is reminded of it is written down
with the timers, in one transaction. Reminding twice is harmless: a SKU that was told already decides nothing.

A SKU reads those streams without a lock, so a reminder that is set already may be ringing on what was before.
It is moved, as it is the moment by which the log tells what rang from what is yet to ring.
"""

from typing import Any


def _reminding(
    told: str,
    looked_at: str,
    timer: str,
    of: str = "true",
    sums: str = "balance",
    where: str = "b.node = told.node",
) -> str:
    """Sets the `timer` of SKUs for events of type `told`, which `looked_at` notes then; of those with a row
    `b` of `sums`, `where` the event tells of, that `of` is true of."""
    return f"""
    WITH due AS (
        INSERT INTO {looked_at} (lane, seq)
        SELECT lane, seq FROM log
        WHERE type = '{told}' AND origin = 'decided' AND NOT EXISTS (
            SELECT FROM {looked_at} AS s WHERE s.lane = log.lane AND s.seq = log.seq)
        ON CONFLICT DO NOTHING RETURNING lane, seq),
    told AS (
        SELECT tenant, payload ->> 'node' AS node, recorded_at
        FROM due JOIN log ON log.lane = due.lane AND log.origin = 'decided' AND log.seq = due.seq),
    held AS (
        SELECT b.tenant, b.sku, max(recorded_at) AS due_at FROM told
        JOIN {sums} AS b ON b.tenant = told.tenant AND {where}
        WHERE {of}
        GROUP BY b.tenant, b.sku)
    INSERT INTO timer (key, name, lane, due_at)
    SELECT part.key, '{timer}', part.lane, due_at
    FROM held JOIN part ON part.key = held.tenant || '/sku/' || held.sku ORDER BY part.key
    ON CONFLICT (key, name) DO UPDATE
    SET due_at = greatest(excluded.due_at, timer.due_at + interval '1 microsecond')"""  # noqa: S608 - names of ours


_SWITCHED = _reminding("oms.inventory.node_switched", "switch_looked_at", "reach")
_RETIRED = _reminding(
    "oms.inventory.feed_retired",
    "retired_looked_at",
    "feed_retired",
    "b.bucket = 'on_hand' AND b.quantity > 0",
)
_DAYS = _reminding(
    "oms.inventory.channel_days_defined",
    "channel_days_looked_at",
    "lots_back",
    "b.bucket = 'on_hand' AND b.quantity > 0",
    sums="lot_balance",
    where="true",
)


async def remind_of_switched(connection: Any) -> int:
    """Set the timers of nodes that were switched off or on, or ship elsewhere, and that nobody looked after
    yet; how many. `connection` is one of asyncpg."""
    return await _remind(connection, _SWITCHED)


async def remind_of_retired(connection: Any) -> int:
    """The same of feeds that were retired, for the SKUs of whose units they tell."""
    return await _remind(connection, _RETIRED)


async def remind_of_days(connection: Any) -> int:
    """The same of days that channels ask for, for all SKUs that have lots on hand."""
    return await _remind(connection, _DAYS)


async def _remind(connection: Any, statement: str) -> int:
    status: str = await connection.execute(statement)
    return int(status.rpartition(" ")[2])
