"""The lots of a SKU as of then: where the units of each were, until when they could be sold, and whether.

For inventory's edge. The moments are those of `past`: a movement of a lot is true, and known, as any other of
its SKU; what becomes of a lot as a whole (it is recalled, or its time is up) holds from when it is decided.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.events.catalogue import decode
from libs.events.contract import Event
from libs.events.lots import LotDefined, LotExpired, LotQuarantined, LotReleased
from services.inventory.past import Asked, Stood
from services.inventory.reconcile import SHELF
from services.inventory.store import OPEN, as_of

Connection = Any
"""An asyncpg connection, in a transaction that sees one moment."""
ByPlace = dict[tuple[str, str, str], int]
"""Units by lot, node and bucket; zero is left out."""
_OTHER_SIDES = ("supplier", "adjustment", "transfer", "inbound", "kitted")
"""Where nobody counts units by lot."""

_AS_OF = """
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::bigint[]) WITH ORDINALITY
            AS a(sku, at, known_at, upto, number)),
    reached AS MATERIALIZED (
        SELECT asked.*, coalesce(past.position, 0) AS past, nodes, buckets, lots, units,
            CASE WHEN known_at > at AND EXISTS (
                SELECT FROM ledger_stated AS s WHERE s.tenant = $1 AND s.sku = asked.sku
                AND s.position > upto AND s.effective_at <= at)
            THEN ledger_position($1, asked.sku, known_at) ELSE upto END AS known_upto
        FROM asked LEFT JOIN LATERAL (
            SELECT position, nodes, buckets, lots, units FROM ledger_snapshot AS s
            WHERE s.tenant = $1 AND s.sku = asked.sku AND s.position <= upto AND lots IS NOT NULL
            ORDER BY s.position DESC LIMIT 1) AS past ON true),
    moves AS (
        SELECT number, of_lot.position FROM reached AS r
        JOIN ledger_lot AS of_lot ON of_lot.tenant = $1 AND of_lot.sku = r.sku
            AND of_lot.position > r.past AND of_lot.position <= r.upto
        UNION ALL
        SELECT number, s.position FROM reached AS r
        JOIN ledger_stated AS s ON s.tenant = $1 AND s.sku = r.sku AND s.effective_at <= r.at
            AND s.position > r.upto AND s.position <= r.known_upto),
    moved AS (
        SELECT number, of_lot.lot, l.node, l.source, l.target, l.quantity FROM moves
        JOIN reached AS r USING (number)
        JOIN ledger_lot AS of_lot
            ON of_lot.tenant = $1 AND of_lot.sku = r.sku AND of_lot.position = moves.position
        JOIN ledger AS l ON l.tenant = $1 AND l.sku = r.sku AND l.position = moves.position),
    sides AS (
        SELECT number, b.lot, b.node, b.bucket, b.units
        FROM reached, LATERAL unnest(nodes, buckets, lots, units) AS b(node, bucket, lot, units)
        WHERE b.lot <> ''
        UNION ALL SELECT number, lot, node, source, -quantity FROM moved
        UNION ALL SELECT number, lot, node, target, quantity FROM moved)
    SELECT number, lot, node, bucket, sum(units)::bigint AS units FROM sides
    WHERE bucket <> ALL($6::text[])
    GROUP BY number, lot, node, bucket HAVING sum(units) <> 0
    ORDER BY number, lot, node, bucket"""
_TOLD = """
    SELECT type, version, payload, recorded_at FROM log
    WHERE tenant = $1 AND stream = 'sku/' || $2 AND type = ANY($3::text[]) AND recorded_at <= $4
    ORDER BY stream_version"""
_HAS_LOTS = "SELECT EXISTS (SELECT FROM ledger_lot WHERE tenant = $1 AND sku = $2)"
_STATES: dict[type[Event], str] = {LotExpired: "expired", LotQuarantined: "quarantined", LotReleased: "good"}
_TYPES = [LotDefined.TYPE, *(event.TYPE for event in _STATES)]


async def units_of_lots(connection: Connection, tenant: str, stood: Sequence[Stood]) -> list[ByPlace]:
    """Where the lots of SKUs were, for each answer of `store.as_of`, in their order."""
    asked: list[Asked] = [one.asked for one in stood]
    rows = await connection.fetch(
        _AS_OF,
        tenant,
        [one.sku for one in asked],
        [one.at for one in asked],
        [one.known_at or OPEN for one in asked],
        [one.position for one in stood],
        list(_OTHER_SIDES),
    )
    found: list[ByPlace] = [{} for _ in stood]
    for row in rows:
        found[row["number"] - 1][row["lot"], row["node"], row["bucket"]] = row["units"]
    return found


async def shelf_of_lots(
    connection: Connection, tenant: str, sku: str, node: str, at: datetime
) -> dict[str, int]:
    """What the ledger had of each lot on a shelf at a moment; of a SKU without lots, nothing."""
    (units,) = await units_of_lots(connection, tenant, await as_of(connection, tenant, [Asked(sku, at)]))
    found: dict[str, int] = {}
    for (lot, place, bucket), quantity in units.items():
        if place == node and bucket in SHELF:
            found[lot] = found.get(lot, 0) + quantity
    return {lot: quantity for lot, quantity in found.items() if quantity > 0}


async def lots_then(
    connection: Connection, tenant: str, stood: Stood, node: str | None = None
) -> list[dict[str, Any]] | None:
    """The lots of which there were units then, those that expire first in front; None of a SKU that has no
    lots. With `node`, that node's units alone."""
    sku = stood.asked.sku
    if not await connection.fetchval(_HAS_LOTS, tenant, sku):
        return None
    (units,) = await units_of_lots(connection, tenant, [stood])
    moment, known_by = min(stood.asked.at, stood.asked.known_at or OPEN), stood.asked.known_at or OPEN
    expires, states = dict[str, str](), dict[str, str]()
    for row in await connection.fetch(_TOLD, tenant, sku, _TYPES, known_by):
        event = decode(row["type"], row["version"], row["payload"].encode())
        if isinstance(event, LotDefined):
            # Told late of units that were there, its last day is what is known of it since.
            expires[event.lot] = event.expires_on.isoformat()
        elif isinstance(event, LotExpired | LotQuarantined | LotReleased) and row["recorded_at"] <= moment:
            states[event.lot] = _STATES[type(event)]
    nodes: dict[str, dict[str, dict[str, int]]] = {}
    for (lot, place, bucket), quantity in units.items():
        if node in (None, place):
            nodes.setdefault(lot, {}).setdefault(place, {})[bucket] = quantity
    return [
        {
            "lot": lot,
            "expires_on": expires.get(lot),
            "state": states.get(lot, "good"),
            "nodes": nodes[lot],
        }
        for lot in sorted(nodes, key=lambda lot: (expires.get(lot, "9999"), lot))
    ]
