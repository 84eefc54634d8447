"""What inventory reads of its own tables for what to buy: what moved by day, and how purchase orders went."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

import orjson

from libs.events.inventory import NETWORK
from libs.events.record import record
from services.inventory.lead_times import SupplyFact
from services.inventory.reorder import Day, Shelf
from services.inventory.supplies import SupplyPart

Connection = Any
"""An asyncpg connection, in a transaction that sees one moment."""

_CHOSEN = "SELECT key FROM part WHERE key > $1 AND key LIKE $2 ORDER BY key LIMIT $3"
_STOOD = """
    WITH asked AS (SELECT unnest($2::text[]) AS sku),
    moved AS (
        SELECT l.sku, l.node, ($3::date - (l.at AT TIME ZONE 'UTC')::date) AS day,
            sum(l.quantity) FILTER (WHERE l.target = 'issued')::bigint AS issued,
            sum(l.quantity) FILTER (WHERE CASE WHEN l.source = 'on_hand' AND l.target = 'kitted' THEN (
                SELECT log.stream <> 'sku/' || l.sku FROM log
                WHERE log.lane = l.lane AND log.origin = 'decided' AND log.seq = l.sequence) END)::bigint
                AS kitted,
            sum(l.quantity) FILTER (WHERE l.source = 'on_hand' AND l.target = 'transfer')::bigint AS sent,
            sum(l.quantity) FILTER (WHERE l.target = 'on_hand')::bigint AS came,
            sum(l.quantity) FILTER (WHERE l.source = 'on_hand')::bigint AS went
        FROM ledger AS l JOIN asked USING (sku)
        WHERE l.tenant = $1 AND l.node <> '*' AND (l.at AT TIME ZONE 'UTC')::date > $3::date - $4::int
            AND (l.source = 'on_hand' OR l.target IN ('on_hand', 'issued'))
        GROUP BY 1, 2, 3)
    SELECT sku, node, coalesce(sum(quantity) FILTER (WHERE bucket = 'on_hand'), 0)::bigint AS on_hand,
        coalesce(sum(quantity) FILTER (WHERE bucket = 'reserved'), 0)::bigint AS reserved,
        coalesce(sum(quantity) FILTER (WHERE bucket = 'held'), 0)::bigint AS held,
        (SELECT json_object_agg(day, json_build_array(coalesce(issued, 0), coalesce(kitted, 0),
            coalesce(sent, 0), coalesce(came, 0), coalesce(went, 0)))
            FROM moved WHERE (moved.sku, moved.node) = (b.sku, b.node)) AS days
    FROM balance AS b JOIN asked USING (sku)
    WHERE b.tenant = $1 GROUP BY sku, node ORDER BY sku, node"""
_SUPPLIED = """
    SELECT asked.sku, fact.* FROM unnest($2::text[]) AS asked(sku) CROSS JOIN LATERAL (
        SELECT stream_version, payload->>'supply_id' AS supply_id, payload->>'document' AS document,
            payload->>'supplier' AS supplier, (payload->>'open')::bigint AS open,
            coalesce((payload->>'stated_at')::timestamptz, (payload->>'effective_at')::timestamptz, log.at)
                AS at
        FROM log WHERE tenant = $1 AND stream = 'sku/' || asked.sku
            AND type IN ('oms.inventory.supply_expected', 'oms.inventory.supply_received')
        ORDER BY stream_version DESC LIMIT $3) AS fact
    ORDER BY asked.sku, fact.stream_version"""
_FACTS_MAX = 300
"""Statements and receipts of a SKU that are looked at, the latest ones."""


@record
class Stood:
    """What the ledger has of a SKU."""

    reserved: int
    held: int
    shelves: tuple[Shelf, ...]
    """Without what is to come."""


NOWHERE = Stood(0, 0, ())


async def chosen(connection: Connection, tenant: str, after: str, limit: int) -> list[str]:
    """SKUs behind `after` that inventory knows anything of, `limit` at most; also such as nobody ever had."""
    prefix = f"{tenant}/sku/"
    rows = await connection.fetch(_CHOSEN, prefix + after, prefix + "%", limit)
    return [row["key"].removeprefix(prefix) for row in rows]


async def stood(
    connection: Connection, tenant: str, skus: Sequence[str], today: date, days: int
) -> dict[str, Stood]:
    """Of each of these SKUs that ever had units, what is where, and what moved on each of so many days."""
    found: dict[str, Stood] = {}
    rows = await connection.fetch(_STOOD, tenant, skus, today, days)
    for sku, of_sku in groupby(rows, key=lambda row: row["sku"]):
        nodes = [*of_sku]
        shelves = tuple(
            Shelf(row["node"], row["on_hand"], days=_days(row["days"]))
            for row in nodes
            if row["node"] != NETWORK
        )
        reserved, held = (sum(row[bucket] for row in nodes) for bucket in ("reserved", "held"))
        found[sku] = Stood(reserved, held, shelves)
    return found


def to_come(shelves: Iterable[Shelf], supply: SupplyPart, today: date) -> list[Shelf]:
    """The nodes with what is expected or on its way there: what should have come before today is late."""
    known = {shelf.node: shelf for shelf in shelves}
    for node, units, by in supply.awaited():
        late = by is not None and by.date() < today
        shelf = known.get(node, Shelf(node))
        known[node] = replace(
            shelf, inbound=shelf.inbound + units * (not late), late=shelf.late + units * late
        )
    return [known[node] for node in sorted(known)]


async def supplied(
    connection: Connection, tenant: str, skus: Sequence[str]
) -> Mapping[str, list[SupplyFact]]:
    """What was stated and received of purchase orders of each SKU, in order."""
    found: dict[str, list[SupplyFact]] = {}
    for row in await connection.fetch(_SUPPLIED, tenant, skus, _FACTS_MAX):
        at: datetime = row["at"]
        fact = SupplyFact(row["supply_id"], row["document"], row["supplier"], at, row["open"])
        found.setdefault(row["sku"], []).append(fact)
    return found


async def suppliers(connection: Connection, tenant: str, sku: str) -> dict[str, str]:
    """By purchase order of a SKU, who sends it, as the last statement says that names somebody."""
    facts = (await supplied(connection, tenant, [sku])).get(sku, [])
    return {fact.supply_id: fact.supplier for fact in facts if fact.supplier}


def _days(told: str | None) -> dict[int, Day]:
    return {int(day): Day(*units) for day, units in orjson.loads(told or "{}").items()}
