"""What inventory reads of its own tables at the edge about lots: where their units are, and who has some."""

from typing import Any

from pydantic import TypeAdapter

from services.inventory.lots import Lots

Connection = Any
"""An asyncpg connection, in a transaction that sees one moment."""

_PART = "SELECT part->>'lots' FROM part WHERE key = $1"
_ORDERS = """
    WITH moved AS (
        SELECT log.stream AS order_id, l.node, l.source, l.target, l.quantity
        FROM ledger_lot AS of_lot
        JOIN ledger AS l USING (tenant, sku, position)
        JOIN log ON log.lane = l.lane AND log.origin = 'decided' AND log.seq = l.sequence
        WHERE of_lot.tenant = $1 AND of_lot.sku = $2 AND of_lot.lot = $3
            AND log.stream > $4 AND log.stream NOT LIKE '%/%'),
    sides AS (
        SELECT order_id, node, target AS bucket, quantity FROM moved WHERE target IN ('allocated', 'issued')
        UNION ALL
        SELECT order_id, node, source, -quantity FROM moved WHERE source IN ('allocated', 'issued'))
    SELECT order_id, array_agg(DISTINCT node ORDER BY node) FILTER (WHERE quantity > 0) AS nodes,
        coalesce(sum(quantity) FILTER (WHERE bucket = 'allocated'), 0)::bigint AS allocated,
        coalesce(sum(quantity) FILTER (WHERE bucket = 'issued'), 0)::bigint AS issued
    FROM sides GROUP BY order_id
    HAVING sum(quantity) > 0
    ORDER BY order_id LIMIT $5"""
_LOTS = TypeAdapter(Lots)


async def lots(connection: Connection, tenant: str, sku: str) -> dict[str, Any] | None:
    """The lots of a SKU, those that expire first first; None for one that has none."""
    told = await connection.fetchval(_PART, f"{tenant}/sku/{sku}")
    if told is None:
        return None
    known = _LOTS.validate_json(told)
    units: dict[str, dict[str, dict[str, int]]] = {}
    for place, by_lot in sorted(known.units.items()):
        bucket, node = place.split("/")
        for lot, quantity in by_lot.items():
            units.setdefault(lot, {}).setdefault(node, {})[bucket] = quantity
    shown = [
        {
            "lot": lot,
            "expires_on": known.named[lot].expires_on,
            "sold_until": known.leaves_at(lot),
            "state": known.named[lot].state,
            "nodes": units.get(lot, {}),
        }
        for lot in known.first_expired(dict.fromkeys(known.named, 0))
    ]
    return {"shelf_days_min": known.days_min, "lots": shown}


async def orders(
    connection: Connection, tenant: str, sku: str, lot: str, after: str, limit: int
) -> list[dict[str, Any]]:
    """Orders behind `after` that have units of a lot, allocated or sent and not come back."""
    return [dict(row) for row in await connection.fetch(_ORDERS, tenant, sku, lot, after, limit)]
