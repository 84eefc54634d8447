"""What inventory reads of its own tables at the edge about serial numbers: where a unit is, and was."""

from typing import Any

import orjson

from services.inventory.book import movement
from services.inventory.serials import SHELF, place_of

Connection = Any
"""An asyncpg connection, in a transaction that sees one moment."""

_HISTORY = """
    SELECT l.position, l.node, l.source, l.target, l.quantity, log.type, log.event_id, log.payload,
        log.context, log.recorded_at,
        least(coalesce((log.payload->>'effective_at')::timestamptz, l.at), l.at) AS true_at
    FROM ledger_serial AS s
    JOIN ledger AS l USING (tenant, sku, position)
    JOIN log ON log.lane = l.lane AND log.origin = 'decided' AND log.seq = l.sequence
    WHERE s.tenant = $1 AND s.sku = $2 AND s.serial = $3
    ORDER BY s.position"""
_UNITS = """
    SELECT s.serial, l.node, l.target
    FROM (
        SELECT DISTINCT ON (serial) serial, position FROM ledger_serial
        WHERE tenant = $1 AND sku = $2 AND serial > $3 ORDER BY serial, position DESC) AS s
    JOIN ledger AS l ON l.tenant = $1 AND l.sku = $2 AND l.position = s.position
    WHERE $4::text IS NULL OR l.node = $4
    ORDER BY s.serial LIMIT $5"""
_ASTRAY = "SELECT part->>'astray' FROM part WHERE key = $1"


async def history(connection: Connection, tenant: str, sku: str, serial: str) -> list[dict[str, Any]]:
    """Movements that named a unit, the first one first, each with what it came of."""
    return [movement(row) for row in await connection.fetch(_HISTORY, tenant, sku, serial)]


def place(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Where a unit is, after its movements: place, node, of an issued one the order, and since when."""
    last = found[-1]
    issued = last["target"] == "issued"
    return {
        "place": place_of(last["target"]),
        "node": last["node"],
        "order_id": last["order_id"] if issued else None,
        "since": last["at"],
    }


async def units(
    connection: Connection, tenant: str, sku: str, node: str | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Units behind a serial number, by number, each with where it is; of one node, or all."""
    rows = await connection.fetch(_UNITS, tenant, sku, after, node, limit)
    return [{"serial": row["serial"], "place": place_of(row["target"]), "node": row["node"]} for row in rows]


async def astray(connection: Connection, tenant: str, sku: str) -> dict[str, int] | None:
    """Units that left shelves without their numbers, by node; None of a SKU that has none."""
    told = await connection.fetchval(_ASTRAY, f"{tenant}/sku/{sku}")
    if told is None:
        return None
    places: dict[str, int] = orjson.loads(told)
    prefix = f"{SHELF}/"
    return {place.removeprefix(prefix): left for place, left in places.items() if place.startswith(prefix)}
