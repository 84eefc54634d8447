"""Which orders hold units of a SKU now, and what people call orders."""

from collections.abc import Mapping, Sequence
from typing import Any

from libs.runtime.pool import Connection

Row = Mapping[str, Any]

_HOLDING = """SELECT o.order_id, o.status, o.channel, o.external_id, r.wanted, r.held, r.allocated
    FROM reservations r JOIN orders o USING (tenant, order_id)
    WHERE r.tenant = $1 AND r.sku = $2 AND r.held + r.allocated > 0
    ORDER BY o.confirmed_at NULLS LAST, order_id LIMIT $3"""
_NAMES = "SELECT order_id, channel, external_id FROM orders WHERE tenant = $1 AND order_id = ANY($2::text[])"


async def read_holding(connection: Connection, tenant: str, sku: str, limit: int) -> Sequence[Row]:
    """Orders that units are promised or allocated to, in the order in which they were accepted."""
    return [dict(row) for row in await connection.fetch(_HOLDING, tenant, sku, limit)]


async def read_names(connection: Connection, tenant: str, order_ids: Sequence[str]) -> dict[str, str]:
    """By order, what people call it: channel/number; of those that there are."""
    rows = await connection.fetch(_NAMES, tenant, order_ids) if order_ids else ()
    return {order_id: f"{channel or '?'}/{number or order_id}" for order_id, channel, number in rows}
