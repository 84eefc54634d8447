"""One hash of everything that the read models say, so that two of them can be compared.

SHA-256 over all rows of all read-model tables in key order, in PostgreSQL's COPY text (times in UTC). Where
the projector stands (`consumed`, `high_water`) is no part of it: that is how it got there, not what it says.
"""

import hashlib

import asyncpg

from libs.runtime.pool import Connection
from services.console.day_sums import SUM_TABLES, digest_sums

_TABLES = {
    "orders": "SELECT * FROM orders ORDER BY tenant, order_id",
    "order_skus": "SELECT * FROM order_skus ORDER BY tenant, sku, order_id",
    "order_nodes": "SELECT * FROM order_nodes ORDER BY tenant, node, order_id",
    "timeline": "SELECT * FROM timeline ORDER BY tenant, order_id, stage, lane, sequence",
    "stock": "SELECT * FROM stock ORDER BY tenant, sku, node, bucket",
    "reservations": "SELECT * FROM reservations ORDER BY tenant, order_id, sku",
    "missing": "SELECT * FROM missing ORDER BY tenant, order_id, sku",
    "exceptions": "SELECT * FROM exceptions ORDER BY tenant, order_id, item",
    "stock_items": "SELECT * FROM stock_items ORDER BY tenant, sku, item",
    "stock_care": "SELECT * FROM stock_care ORDER BY tenant, sku, item, since_at",
    "stock_checks": "SELECT * FROM stock_checks ORDER BY tenant, sku, source, check_id",
    "parked_keys": "SELECT * FROM parked_keys ORDER BY tenant, stage, lane, parked_key",
    "parked_care": "SELECT * FROM parked_care ORDER BY tenant, stage, parked_key, since_at",
    "full_days": "SELECT * FROM full_days ORDER BY tenant, node",
    "node_reach": "SELECT * FROM node_reach ORDER BY tenant, node",
    "serial_units": "SELECT * FROM serial_units ORDER BY tenant, sku, serial",
    "serial_moves": "SELECT * FROM serial_moves ORDER BY tenant, sku, serial, position",
    "exception_rules": "SELECT * FROM exception_rules ORDER BY tenant, version",
    "at_work": "SELECT * FROM at_work ORDER BY tenant, order_id, node, sku",
    "unreadable": "SELECT * FROM unreadable ORDER BY topic, partition, record_offset",
    **{name: digest_sums(table) for name, table in SUM_TABLES.items()},
}


async def digest(connection: Connection, schema: str) -> str:
    """Hex digest of a schema's read models, within the caller's transaction (a snapshot, or quiet tables)."""
    await connection.execute(
        "SELECT set_config('statement_timeout', '0', true),"
        " set_config('search_path', quote_ident($1), true), set_config('timezone', 'UTC', true),"
        " set_config('datestyle', 'ISO', true), set_config('orderlog.projector', 'on', true)",
        schema,
    )
    found = hashlib.sha256()

    async def add(rows: bytes) -> None:
        found.update(rows)

    for table, query in _TABLES.items():
        found.update(f"{table}\n".encode())
        await connection.copy_from_query(query, output=add)
    return found.hexdigest()


async def live_digest(pool: asyncpg.Pool, schema: str = "live") -> str:
    """Hex digest of a schema's read models as they are now."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return await digest(connection, schema)
