"""Units with serial numbers as pages read them: found by number, of an article, of an order."""

from collections.abc import Mapping, Sequence
from typing import Any

from libs.runtime.pool import Connection
from services.console.serials import SHELF

Row = Mapping[str, Any]

_FOUND = """SELECT sku, serial, place, node, order_id, since_at FROM serial_units
    WHERE tenant = $1 AND serial = $2 AND ($3::text IS NULL OR sku = $3) ORDER BY sku LIMIT $4"""
_MOVES = """SELECT moved_at, node, source, target, type, order_id, document, actor, event_id
    FROM serial_moves WHERE tenant = $1 AND sku = $2 AND serial = $3 ORDER BY position LIMIT $4"""
_UNITS = """SELECT serial, place, node, order_id, since_at FROM serial_units
    WHERE tenant = $1 AND sku = $2 AND serial > $3 AND ($4::text IS NULL OR place = $4)
        AND ($5::text IS NULL OR node = $5) ORDER BY serial LIMIT $6"""
_COUNTS = """SELECT place, node, count(*) AS units FROM serial_units WHERE tenant = $1 AND sku = $2
    GROUP BY place, node ORDER BY place <> $3, place, node"""
_OF_ORDER = """SELECT DISTINCT ON (sku, serial) sku, serial, target <> 'issued' AS back FROM serial_moves
    WHERE tenant = $1 AND order_id = $2 ORDER BY sku, serial, position DESC LIMIT $3"""


async def find_units(
    connection: Connection, tenant: str, serial: str, sku: str | None, limit: int
) -> Sequence[Row]:
    """Units of exactly this number, of a SKU if one is given, and where they are."""
    return [dict(row) for row in await connection.fetch(_FOUND, tenant, serial, sku, limit)]


async def read_moves(connection: Connection, tenant: str, sku: str, serial: str, limit: int) -> Sequence[Row]:
    """All that became of a unit, the first before all."""
    return [dict(row) for row in await connection.fetch(_MOVES, tenant, sku, serial, limit)]


async def count_units(connection: Connection, tenant: str, sku: str) -> Sequence[Row]:
    """Units with numbers by place and node, those on shelves first; none of a SKU that has no numbers."""
    return [dict(row) for row in await connection.fetch(_COUNTS, tenant, sku, SHELF)]


async def read_units(
    connection: Connection, tenant: str, sku: str, place: str | None, node: str | None, after: str, limit: int
) -> Sequence[Row]:
    """Units by number, from behind `after` on."""
    return [dict(row) for row in await connection.fetch(_UNITS, tenant, sku, after, place, node, limit)]


async def read_serials_of_order(
    connection: Connection, tenant: str, order_id: str, limit: int
) -> Mapping[str, Sequence[Row]]:
    """By SKU, the numbers of the units that an order was sent, and whether each came `back`."""
    found: dict[str, list[Row]] = {}
    for row in await connection.fetch(_OF_ORDER, tenant, order_id, limit):
        found.setdefault(row["sku"], []).append(dict(row))
    return found
