"""What inventory reads of a feed's map at its edge: the entries, and what its rows named that it lacks.

Each entry is the part of a stream, so pages of them are pages of one index. A SKU of theirs that a row named
and the map lacks has a part as well, whose last event is the refusal.
"""

from typing import Any

import orjson

from services.inventory.feed_skus import FEED_STREAM

Connection = Any
"""An asyncpg connection, in a transaction that sees one moment."""

_ENTRIES = """
    SELECT key, part FROM part
    WHERE key > $1 AND key LIKE $2 AND part->>'sku' IS NOT NULL ORDER BY key LIMIT $3"""
_ENTRY = "SELECT key, part FROM part WHERE key = $1 AND part->>'sku' IS NOT NULL"
_UNMAPPED = """
    SELECT p.key, p.version AS rows, l.recorded_at AS last_at FROM part AS p
    JOIN log AS l
        ON l.tenant = $4 AND l.stream = substr(p.key, length($4) + 2) AND l.stream_version = p.version
    WHERE p.key > $1 AND p.key LIKE $2 AND p.part->>'sku' IS NULL
        AND l.type = 'oms.command_refused' AND l.payload->>'code' = 'unmapped_sku'
    ORDER BY p.key LIMIT $3"""
_SUMMARY = """
    SELECT count(*) FILTER (WHERE part->>'sku' IS NOT NULL) AS mapped,
        coalesce(sum((part->>'version')::bigint), 0)::bigint AS changes
    FROM part WHERE key LIKE $1"""


async def entries(
    connection: Connection, tenant: str, feed: str, after: str, limit: int
) -> list[dict[str, Any]]:
    """Entries of a feed's map, by their SKU, from behind `after` on."""
    prefix = _prefix(tenant, feed)
    rows = await connection.fetch(_ENTRIES, prefix + after, _like(prefix), limit)
    return [_entry(prefix, row) for row in rows]


async def entry(connection: Connection, tenant: str, feed: str, theirs: str) -> list[dict[str, Any]]:
    """The entry of one SKU of theirs; none where the map lacks it."""
    prefix = _prefix(tenant, feed)
    return [_entry(prefix, row) for row in await connection.fetch(_ENTRY, prefix + theirs)]


async def unmapped(
    connection: Connection, tenant: str, feed: str, after: str, limit: int
) -> list[dict[str, Any]]:
    """SKUs of theirs that a row named last when the map lacked them, and still does, from behind `after` on;
    `rows`, how much was ever told of each: rows, and entries."""
    prefix = _prefix(tenant, feed)
    rows = await connection.fetch(_UNMAPPED, prefix + after, _like(prefix), limit, tenant)
    return [
        {"theirs": row["key"].removeprefix(prefix), "rows": row["rows"], "last_at": row["last_at"]}
        for row in rows
    ]


async def summary(connection: Connection, tenant: str, feed: str) -> dict[str, int]:
    """How many entries there are, and how often any was ever changed."""
    row = await connection.fetchrow(_SUMMARY, _like(_prefix(tenant, feed)))
    return {"mapped": row["mapped"], "changes": row["changes"]}


def _prefix(tenant: str, feed: str) -> str:
    return f"{tenant}/{FEED_STREAM}{feed}/"


def _like(prefix: str) -> str:
    return prefix.replace("_", r"\_").replace("%", r"\%") + "%"


def _entry(prefix: str, row: Any) -> dict[str, Any]:
    part = orjson.loads(row["part"])
    told = None if part["units"] is None else {"units": part["units"], "stated_at": part["stated_at"]}
    return {
        "theirs": row["key"].removeprefix(prefix),
        **{name: part[name] for name in ("sku", "pack_size", "per")},
        "map_version": part["version"],
        "told": told,
    }
