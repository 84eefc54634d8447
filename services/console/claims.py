"""Who has a claim on a SKU now: orders that hold units of it, and orders that wait for some."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.console.queued import with_reasons
from services.console.store import Connection
from services.console.stored import read_state

Row = Mapping[str, Any]

_ORDER = "o.order_id, o.status, o.channel, o.external_id, o.confirmed_at, r.wanted, r.held, r.allocated"
_HOLDING = f"""SELECT {_ORDER} FROM reservations r JOIN orders o USING (tenant, order_id)
    WHERE r.tenant = $1 AND r.sku = $2 AND r.held + r.allocated > 0
    ORDER BY o.confirmed_at NULLS LAST, order_id LIMIT $3"""  # noqa: S608 - names of ours
_WAITING = f"""SELECT {_ORDER}, r.sku, m.units AS missing, o.facts
    FROM (SELECT * FROM missing WHERE tenant = $1 AND sku = $2 ORDER BY rank, served_at, order_id LIMIT $3)
        AS m JOIN orders o USING (tenant, order_id) JOIN reservations r USING (tenant, order_id, sku)
    ORDER BY m.rank, m.served_at, m.order_id"""  # noqa: S608 - names of ours


async def read_holding(connection: Connection, tenant: str, sku: str, limit: int) -> Sequence[Row]:
    """Orders that units are promised or allocated to, in the order in which they were accepted."""
    return [dict(row) for row in await connection.fetch(_HOLDING, tenant, sku, limit)]


async def read_waiting(connection: Connection, tenant: str, sku: str, limit: int) -> Sequence[Row]:
    """Backordered orders that lack `missing` units of it, in the order in which they are served, as
    `services.console.queued` tells of them."""
    rows = [dict(row) for row in await connection.fetch(_WAITING, tenant, sku, limit)]
    return with_reasons(rows, {row["order_id"]: read_state(row.pop("facts")) for row in rows})
