"""What inventory reads of its own tables at the edge: a shelf as of a moment, and what moved there.

A movement is true from when its event says that it happened (`effective_at`), else from when it was decided.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from services.inventory.past import Asked
from services.inventory.reconcile import SHELF, Moved, Place, Shelf
from services.inventory.store import as_of

Connection = Any
"""An asyncpg connection, in a transaction that sees one moment."""
MOVED_MAX = 500
"""Movements of a shelf that a difference is held against, the latest first."""

_TIMES = """
    SELECT l.sku, l.node, l.source, l.target, l.quantity, l.position, log.type, log.event_id, log.payload,
        least(coalesce((log.payload->>'effective_at')::timestamptz, l.at), l.at) AS true_at
    FROM ledger AS l JOIN log ON log.lane = l.lane AND log.origin = 'decided' AND log.seq = l.sequence"""
_POSITIONS = """
    SELECT coalesce((SELECT max(position) FROM ledger AS l WHERE l.tenant = $1 AND l.sku = asked.sku), 0)
        AS position
    FROM unnest($2::text[]) WITH ORDINALITY AS asked(sku, number) ORDER BY number"""
_MOVED = f"""
    {_TIMES} WHERE l.tenant = $1 AND l.sku = $2 AND l.node = $3
        AND (l.source = ANY($4::text[])) <> (l.target = ANY($4::text[])) AND l.at >= $5
    ORDER BY l.position DESC LIMIT $6"""
_MOVEMENTS = f"""
    {_TIMES.replace("log.payload,", "log.payload, log.context, log.recorded_at,")}
    WHERE l.tenant = $1 AND l.sku = $2 AND l.position < $3 AND ($4::text[] IS NULL OR l.node = ANY($4))
    ORDER BY l.position DESC LIMIT $5"""
_ON_THE_WAY = """
    SELECT sku, node, bucket, quantity FROM balance
    WHERE tenant = $1 AND (sku, node) IN (SELECT * FROM unnest($2::text[], $3::text[]))
        AND bucket IN ('inbound', 'in_transit') AND quantity > 0"""
_DIFFERENCES = """
    SELECT key, part FROM part WHERE key > $1 AND key LIKE $2 AND part->>'differences' <> '{}'
    ORDER BY key LIMIT $3"""
_WAITING = """
    SELECT key, part->>'differences' AS differences FROM part
    WHERE key = ANY($1::text[]) AND part->>'differences' <> '{}'"""
_IDLE = """
    SELECT sku, node, quantity AS units FROM balance AS b
    WHERE tenant = $1 AND bucket = 'on_hand' AND quantity > 0 AND (sku, node) > ($2, $3) AND NOT EXISTS (
        SELECT FROM ledger AS l LEFT JOIN ledger_stated AS s USING (tenant, sku, position)
        WHERE l.tenant = $1 AND l.sku = b.sku AND l.node = b.node AND l.at >= $4
            AND coalesce(s.effective_at >= $4, true))
        AND NOT EXISTS (
            SELECT FROM part AS p WHERE p.key = $1 || '/supply/' || b.sku AND (
                (p.part->'counted'->b.node->>'counted_at')::timestamptz >= $4
                OR EXISTS (
                    SELECT FROM json_each(p.part->'feeds') AS told(feed, row)
                    WHERE told.row->>'node' = b.node AND (told.row->>'stated_at')::timestamptz >= $4)))
    ORDER BY sku, node LIMIT $5"""
_UNITS_AT = """
    SELECT coalesce(sum(quantity), 0)::bigint FROM balance
    WHERE tenant = $1 AND node = $2 AND bucket = ANY($3::text[])"""
_MOVED_AT = """
    SELECT DISTINCT sku COLLATE "C" AS sku FROM balance
    WHERE tenant = $1 AND node = $2 AND bucket = ANY($3::text[]) AND sku COLLATE "C" > $4
        AND ($5::text IS NULL OR sku COLLATE "C" <= $5)
    ORDER BY 1 LIMIT $6"""
_BINS = "SELECT part->>'bins' FROM part WHERE key = $1"
_PART = "SELECT part FROM part WHERE key = $1"
_DOCUMENTS = ("shipment_id", "transfer_id", "supply_id", "count_id", "rma_id", "reference", "order_id")


async def shelves(connection: Connection, tenant: str, places: Sequence[Place], at: datetime) -> list[Shelf]:
    """What the ledger had on each shelf at a moment, and the SKU's position by now; in the order asked."""
    stood = await as_of(connection, tenant, [Asked(sku, at) for sku, _ in places])
    rows = await connection.fetch(_POSITIONS, tenant, [sku for sku, _ in places])
    return [
        Shelf(sum(one.units.get((node, bucket), 0) for bucket in SHELF), row["position"])
        for one, row, (_, node) in zip(stood, rows, places, strict=True)
    ]


async def moved(
    connection: Connection, tenant: str, place: Place, at: datetime, lookback: timedelta
) -> list[Moved]:
    """What changed a shelf from `lookback` before a moment until now, by event, in order."""
    rows = await connection.fetch(_MOVED, tenant, *place, list(SHELF), at - lookback, MOVED_MAX)
    found: dict[Any, Moved] = {}
    for row in reversed(rows):
        units = row["quantity"] if row["target"] in SHELF else -row["quantity"]
        id_ = row["event_id"]
        before = found[id_].units if id_ in found else 0
        payload = orjson.loads(row["payload"])
        document = next((str(payload[name]) for name in _DOCUMENTS if payload.get(name)), "")
        found[id_] = Moved(str(id_), row["type"], document, row["true_at"], before + units)
    return sorted((one for one in found.values() if one.units), key=lambda one: one.at)


async def movements(
    connection: Connection, tenant: str, sku: str, before: int, nodes: Sequence[str] | None, limit: int
) -> list[dict[str, Any]]:
    """Movements of a SKU before a position, the latest first, each with what it came of: its event, the order
    (none if it was no order's) and another document that the event names, who asked for it, and why."""
    rows = await connection.fetch(_MOVEMENTS, tenant, sku, before, nodes, limit)
    return [movement(row) for row in rows]


def movement(row: Any) -> dict[str, Any]:
    """A movement with what it came of, from a row of the ledger and its event."""
    event, context = orjson.loads(row["payload"]), orjson.loads(row["context"])
    order_id = event.get("order_id")
    document = next((str(event[name]) for name in _DOCUMENTS if event.get(name)), "")
    return {
        **{name: row[name] for name in ("position", "node", "source", "target", "quantity", "type")},
        "event_id": str(row["event_id"]),
        "at": row["true_at"],
        "known_at": row["recorded_at"],
        "order_id": order_id,
        "document": "" if document == order_id else document,
        "actor": context.get("actor", ""),
        "reason": event.get("reason_code") or context.get("reason", ""),
    }


async def on_the_way(
    connection: Connection, tenant: str, places: Sequence[Place]
) -> dict[Place, dict[str, int]]:
    """Units that are inbound or in transit to each of these nodes, by bucket."""
    skus, nodes = [sku for sku, _ in places], [node for _, node in places]
    found: dict[Place, dict[str, int]] = {}
    for row in await connection.fetch(_ON_THE_WAY, tenant, skus, nodes):
        found.setdefault((row["sku"], row["node"]), {})[row["bucket"]] = row["quantity"]
    return found


async def units_at(connection: Connection, tenant: str, node: str) -> int:
    """Units on all shelves of a node by now."""
    found: int = await connection.fetchval(_UNITS_AT, tenant, node, list(SHELF))
    return found


async def moved_at(
    connection: Connection, tenant: str, node: str, after: str, until: str | None, limit: int
) -> list[str]:
    """SKUs that were ever on a shelf of a node, byte by byte, from behind `after` to `until`."""
    rows = await connection.fetch(_MOVED_AT, tenant, node, list(SHELF), after, until, limit)
    return [row["sku"] for row in rows]


async def idle(
    connection: Connection, tenant: str, since: datetime, after: Place, limit: int
) -> list[dict[str, Any]]:
    """Shelves with units on hand on which nothing has moved since then, and which no count or feed has spoken
    of, behind `after`, by SKU and node. What is told late has moved when it was true: that somebody booked it
    now says nothing of the shelf."""
    return [dict(row) for row in await connection.fetch(_IDLE, tenant, *after, since, limit)]


async def differences(connection: Connection, tenant: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Differences that wait for a person, of SKUs behind `after`, by SKU; of at most `limit` SKUs."""
    prefix = f"{tenant}/supply/"
    escaped = prefix.replace("_", r"\_").replace("%", r"\%")
    rows = await connection.fetch(_DIFFERENCES, prefix + after, escaped + "%", limit)
    return [
        {"sku": row["key"].removeprefix(prefix), "proposal_id": id_, **one}
        for row in rows
        for id_, one in orjson.loads(row["part"])["differences"].items()
    ]


async def waiting(connection: Connection, tenant: str, places: Sequence[Place]) -> dict[Place, str]:
    """The difference that waits for a person, of each of these shelves that has one."""
    prefix = f"{tenant}/supply/"
    keys = [prefix + sku for sku in dict.fromkeys(sku for sku, _ in places)]
    return {
        (row["key"].removeprefix(prefix), one["node"]): id_
        for row in await connection.fetch(_WAITING, keys)
        for id_, one in orjson.loads(row["differences"]).items()
    }


async def documents(connection: Connection, tenant: str, sku: str) -> dict[str, Any]:
    """What is to come of a SKU, what of it is not on hand, and what feeds told."""
    part = await connection.fetchval(_PART, f"{tenant}/supply/{sku}")
    bins = await connection.fetchval(_BINS, f"{tenant}/sku/{sku}")
    known: dict[str, Any] = orjson.loads(part) if part else {}
    return {
        "sku": sku,
        "units": known.get("held", {}),
        "expected": _open(known.get("expected", {}).items(), "supply_id"),
        "transfers": _open(known.get("transfers", {}).items(), "transfer_id"),
        "feeds": known.get("feeds", {}),
        "counted": known.get("counted", {}),
        "units_of_measure": known.get("units_of_measure"),
        "bins": orjson.loads(bins) if bins else {},
    }


def _open(items: Iterable[tuple[str, dict[str, Any]]], name: str) -> list[dict[str, Any]]:
    return [{name: id_, **one} for id_, one in items if one["open"] or one.get("early")]
