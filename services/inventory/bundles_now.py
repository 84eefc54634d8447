"""Bundles where stock is listed: they have no units, so no table has them; what can be sold of them is asked
of their parts at the moment of the answer."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from libs.events.availability import SkuAvailability
from services.inventory.availability import bundle_state, made_of

_LAST = "type IN ('oms.inventory.bundle_defined', 'oms.inventory.bundle_removed')"
_LISTED = f"""
    WITH bundles AS (
        SELECT substr(stream, 5) AS sku FROM (
            SELECT DISTINCT ON (stream) stream, payload ->> 'kept' AS kept FROM log
            WHERE tenant = $1 AND stream > 'sku/' || $2 AND {_LAST}
            ORDER BY stream, stream_version DESC) AS last
        WHERE kept = 'parts' ORDER BY stream LIMIT $3),
    moved AS (
        SELECT DISTINCT sku FROM balance WHERE tenant = $1 AND sku > $2 ORDER BY sku LIMIT $3)
    SELECT sku FROM bundles UNION SELECT sku FROM moved ORDER BY sku LIMIT $3"""  # noqa: S608 - names of ours
_AMONG = f"""
    SELECT asked.sku FROM unnest($2::text[]) AS asked(sku), LATERAL (
        SELECT payload ->> 'kept' AS kept FROM log
        WHERE tenant = $1 AND stream = 'sku/' || asked.sku AND {_LAST}
        ORDER BY stream_version DESC LIMIT 1) AS last
    WHERE kept = 'parts'"""  # noqa: S608
_PARTS = "SELECT key, version, part::text AS part FROM part WHERE key = ANY($1::text[]) AND part IS NOT NULL"
Connection = Any
"""An asyncpg connection."""


async def listed(connection: Connection, tenant: str, after: str, limit: int) -> list[str]:
    """SKUs of a tenant that ever moved or are bundles, in order, from behind `after` on."""
    return [row["sku"] for row in await connection.fetch(_LISTED, tenant, after, limit)]


async def among(connection: Connection, tenant: str, skus: Sequence[str]) -> list[str]:
    """Those of these SKUs that are bundles."""
    return [row["sku"] for row in await connection.fetch(_AMONG, tenant, skus)]


async def with_bundles(
    connection: Connection, tenant: str, documents: Sequence[dict[str, Any]], at: datetime
) -> list[dict[str, Any]]:
    """Answers about this moment, `at`, with what can be sold of those SKUs that are bundles: `available`, the
    `channels` that the terms of its parts or its own name, and the version of its definition."""
    bundles = await among(connection, tenant, [one["sku"] for one in documents])
    if not bundles:
        return list(documents)
    found = await _figures(connection, tenant, bundles, at)
    return [
        one | _told(found[one["sku"]]) if one["sku"] in found else one  # no bundle any more, by now
        for one in documents
    ]


async def _figures(
    connection: Connection, tenant: str, bundles: Iterable[str], at: datetime
) -> dict[str, SkuAvailability]:
    own = await _parts(connection, tenant, {f"sku/{sku}" for sku in bundles})
    of = {stream: made_of(stream, part) for stream, (_, part) in own.items()}
    known = own | await _parts(connection, tenant, {stream for one in of.values() for stream in one})
    states = (
        bundle_state(stream, {name: known[name] for name in (stream, *others) if name in known}, at)
        for stream, others in of.items()
    )
    return {state.sku: state for state in states if state is not None}


async def _parts(connection: Connection, tenant: str, streams: Iterable[str]) -> dict[str, tuple[int, bytes]]:
    rows = await connection.fetch(_PARTS, [f"{tenant}/{stream}" for stream in streams])
    return {row["key"].partition("/")[2]: (row["version"], row["part"].encode()) for row in rows}


def _told(state: SkuAvailability) -> dict[str, Any]:
    return {
        "available": state.available,
        "channels": [
            {"channel": one.channel, "available": one.available, "shown": one.shown} for one in state.channels
        ],
        "bundle_version": state.bundle_version,
    }
