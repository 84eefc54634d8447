"""What inventory reads of its own tables about the past, and the snapshots that make it quick.

A snapshot is a SKU's balances after each `EVERY`th of its movements, made in the background from the ledger
and the snapshot before it, so that any moment is a snapshot and at most so many movements away. Nothing
depends on them but speed: they can be thrown away at any time, and are made again.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Any

from libs.events.catalogue import decode
from libs.events.promise import PromiseTermsDefined
from libs.events.record import record
from services.inventory.availability import channels_of, read_sku
from services.inventory.lots import NO_LOT
from services.inventory.past import Asked, Stood
from services.inventory.terms import Terms, terms_of

EVERY = 128
"""Movements of a SKU from one snapshot to the next; the index `ledger_due` knows it too. See ADR 41."""
AT_ONCE = 256
"""Snapshots of one transaction."""
LotUnits = dict[tuple[str, str, str], int]
"""Units by node, bucket and lot, of which there is none of most SKUs; zero is left out."""
OPEN = datetime(9999, 1, 1, tzinfo=UTC)
Connection = Any
"""An asyncpg connection, or pool."""

_AS_OF = """
    WITH asked AS MATERIALIZED (
        SELECT number, sku, at, known_at, ledger_position($1, sku, least(at, known_at)) AS upto
        FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) WITH ORDINALITY
            AS a(sku, at, known_at, number)),
    reached AS MATERIALIZED (
        SELECT asked.*, coalesce(past.position, 0) AS past, nodes, buckets, units,
            CASE WHEN known_at > at AND EXISTS (
                SELECT FROM ledger_stated AS s WHERE s.tenant = $1 AND s.sku = asked.sku
                AND s.position > upto AND s.effective_at <= at)
            THEN ledger_position($1, asked.sku, known_at) ELSE upto END AS known_upto
        FROM asked LEFT JOIN LATERAL (
            SELECT position, nodes, buckets, units FROM ledger_snapshot AS s
            WHERE s.tenant = $1 AND s.sku = asked.sku AND s.position <= upto
            ORDER BY s.position DESC LIMIT 1) AS past ON true),
    late AS MATERIALIZED (
        SELECT number, s.position, l.node, l.source, l.target, l.quantity
        FROM reached AS r
        JOIN ledger_stated AS s ON s.tenant = $1 AND s.sku = r.sku AND s.effective_at <= r.at
            AND s.position > r.upto AND s.position <= r.known_upto
        JOIN ledger AS l ON l.tenant = $1 AND l.sku = s.sku AND l.position = s.position),
    moved AS (
        SELECT number, l.node, l.source, l.target, l.quantity FROM reached AS r
        JOIN ledger AS l ON l.tenant = $1 AND l.sku = r.sku AND l.position > r.past AND l.position <= r.upto
        UNION ALL SELECT number, node, source, target, quantity FROM late),
    sides AS (
        SELECT number, b.node, b.bucket, b.units
        FROM reached, LATERAL unnest(nodes, buckets, units) AS b(node, bucket, units)
        UNION ALL SELECT number, node, source, -quantity FROM moved
        UNION ALL SELECT number, node, target, quantity FROM moved)
    SELECT number, NULL AS node, NULL AS bucket, upto AS units,
        (SELECT count(*) FROM late WHERE late.number = reached.number) AS late FROM reached
    UNION ALL
    SELECT number, node, bucket, sum(units)::bigint, 0 FROM sides
    GROUP BY number, node, bucket HAVING sum(units) <> 0
    ORDER BY number, node NULLS FIRST"""
_TERMS = """
    SELECT terms.version, terms.payload
    FROM unnest($2::text[], $3::timestamptz[]) WITH ORDINALITY AS asked(sku, moment, number)
    LEFT JOIN LATERAL (
        SELECT version, payload FROM log
        WHERE tenant = $1 AND stream = 'sku/' || asked.sku AND type = 'oms.inventory.promise_terms_defined'
            AND recorded_at <= moment
        ORDER BY stream_version DESC LIMIT 1) AS terms ON true
    ORDER BY number"""
_SKUS = """
    SELECT DISTINCT sku FROM balance
    WHERE tenant = $1 AND sku > $2 AND ($3::text IS NULL OR node = $3) ORDER BY sku LIMIT $4"""
_PARTS = "SELECT key, part::text AS part FROM part WHERE key = ANY($1::text[])"
_KNOWN = "SELECT EXISTS (SELECT FROM ledger WHERE tenant = $1 AND sku = $2)"

_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('orderlog ledger snapshots'))"
_DUE = """
    SELECT tenant, sku, position FROM ledger AS l WHERE position % {every} = 0 AND NOT EXISTS (
        SELECT FROM ledger_snapshot AS s
        WHERE s.tenant = l.tenant AND s.sku = l.sku AND s.position = l.position)
    ORDER BY tenant, sku, position LIMIT $1"""
_BEFORE = """
    SELECT position, known_at, nodes, buckets, lots, units FROM ledger_snapshot
    WHERE tenant = $1 AND sku = $2 AND position < $3 ORDER BY position DESC LIMIT 1"""
_WINDOWS = """
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
            AS a(tenant, sku, past, upto, number)),
    moved AS MATERIALIZED (
        SELECT number, node, source, target, quantity, recorded_at, coalesce(of_lot.lot, '') AS lot
        FROM asked AS a
        JOIN ledger AS l
            ON l.tenant = a.tenant AND l.sku = a.sku AND l.position > a.past AND l.position <= a.upto
        JOIN log ON log.lane = l.lane AND log.origin = 'decided' AND log.seq = l.sequence
        LEFT JOIN ledger_lot AS of_lot
            ON of_lot.tenant = l.tenant AND of_lot.sku = l.sku AND of_lot.position = l.position)
    SELECT number, NULL AS node, NULL AS bucket, NULL AS lot, count(*) AS units, max(recorded_at) AS known_at
    FROM moved GROUP BY number
    UNION ALL
    SELECT number, node, bucket, lot, sum(units)::bigint, NULL FROM (
        SELECT number, node, source AS bucket, lot, -quantity AS units FROM moved
        UNION ALL SELECT number, node, target, lot, quantity FROM moved) AS sides
    GROUP BY number, node, bucket, lot HAVING sum(units) <> 0
    ORDER BY number, node NULLS FIRST"""
_ALL = """
    SELECT tenant, sku, position, known_at, nodes, buckets, lots, units FROM ledger_snapshot
    WHERE (tenant, sku, position) > ($1, $2, $3) ORDER BY tenant, sku, position LIMIT $4"""


@record
class Snapshot:
    """A SKU's balances after its movements up to a position, the last of which was known at `known_at`."""

    tenant: str
    sku: str
    position: int
    known_at: datetime
    units: LotUnits


async def as_of(connection: Connection, tenant: str, asked: Sequence[Asked]) -> list[Stood]:
    """The answers to questions about a tenant's stock, in their order."""
    if not asked:
        return []
    rows = await connection.fetch(
        _AS_OF,
        tenant,
        [one.sku for one in asked],
        [one.at for one in asked],
        [one.known_at or OPEN for one in asked],
    )
    stood = []
    for number, of_one in groupby(rows, key=lambda row: row["number"]):
        head, *sides = of_one
        units = {(row["node"], row["bucket"]): row["units"] for row in sides}
        stood.append(Stood(asked[number - 1], head["units"], head["late"], units))
    assert len(stood) == len(asked), "a question was not answered"
    return stood


async def with_terms(connection: Connection, tenant: str, stood: Sequence[Stood]) -> list[Stood]:
    """The answers with the terms by which the SKUs were promised, as was known at the earlier moment. Terms
    hold from when they are decided: nobody tells of them late."""
    moments = [min(one.asked.at, one.asked.known_at or OPEN) for one in stood]
    rows = await connection.fetch(_TERMS, tenant, [one.asked.sku for one in stood], moments)
    return [
        one if row["payload"] is None else replace(one, terms=_terms(row["version"], row["payload"]))
        for one, row in zip(stood, rows, strict=True)
    ]


async def with_lots(connection: Connection, tenant: str, stood: Sequence[Stood]) -> list[Stood]:
    """Answers about this moment with what channels could be promised that ask for days left: for that, lots
    and promises count as they are now."""
    asked = [one.asked.sku for one in stood if one.terms is not None and one.terms.shelf_days]
    if not asked:
        return list(stood)
    rows = await connection.fetch(_PARTS, [f"{tenant}/sku/{sku}" for sku in asked])
    parts = {row["key"].partition("/sku/")[2]: read_sku(row["part"].encode()) for row in rows}
    return [
        replace(one, channels=channels_of(parts[one.asked.sku])) if one.asked.sku in parts else one
        for one in stood
    ]


def _terms(version: int, payload: str) -> Terms:
    defined = decode(PromiseTermsDefined.TYPE, version, payload.encode())
    assert isinstance(defined, PromiseTermsDefined)
    return terms_of(defined, None)


async def skus(connection: Connection, tenant: str, node: str | None, after: str, limit: int) -> list[str]:
    """SKUs that ever moved, at the node where one is named, in order, from behind `after` on."""
    return [row["sku"] for row in await connection.fetch(_SKUS, tenant, after, node, limit)]


async def has_moved(connection: Connection, tenant: str, sku: str) -> bool:
    """Whether the SKU has any movement."""
    moved: bool = await connection.fetchval(_KNOWN, tenant, sku)
    return moved


async def make_snapshots(connection: Connection, at_once: int = AT_ONCE, every: int = EVERY) -> bool:
    """Make snapshots that are due, in one transaction; whether more may be. Another process at it: none."""
    async with connection.transaction():
        if not await connection.fetchval(_LOCK):
            return False
        rows = await connection.fetch(_DUE.format(every=int(every)), at_once)
        made = list[Snapshot]()
        for (tenant, sku), of_sku in groupby(rows, key=lambda row: (row["tenant"], row["sku"])):
            due = [row["position"] for row in of_sku]
            before = await connection.fetchrow(_BEFORE, tenant, sku, due[0])
            first = Snapshot(tenant, sku, 0, datetime.min.replace(tzinfo=UTC), {})
            if before is not None:
                first = _snapshot(tenant, sku, before)
            made += await _recounted(connection, first, due)
        await connection.copy_records_to_table(
            "ledger_snapshot",
            records=[
                (
                    one.tenant,
                    one.sku,
                    one.position,
                    one.known_at,
                    [node for node, _, _ in one.units],
                    [bucket for _, bucket, _ in one.units],
                    _lots(one),
                    list(one.units.values()),
                )
                for one in made
            ],
            columns=("tenant", "sku", "position", "known_at", "nodes", "buckets", "lots", "units"),
        )
    return len(rows) == at_once


async def checked_snapshots(
    connection: Connection, at_once: int = AT_ONCE
) -> AsyncIterator[tuple[Snapshot, bool]]:
    """Every snapshot, recounted from the ledger alone, and whether what is stored says the same."""
    place, last = ("", "", 0), Snapshot("", "", 0, datetime.min.replace(tzinfo=UTC), {})
    while rows := await connection.fetch(_ALL, *place, at_once):
        for (tenant, sku), of_sku in groupby(rows, key=lambda row: (row["tenant"], row["sku"])):
            if (last.tenant, last.sku) != (tenant, sku):
                last = Snapshot(tenant, sku, 0, datetime.min.replace(tzinfo=UTC), {})
            stored = [_snapshot(tenant, sku, row) for row in of_sku]
            for said, found in zip(
                stored,
                await _recounted(connection, last, [one.position for one in stored]),
                strict=True,
            ):
                yield found, said == found
                last = found
        place = (last.tenant, last.sku, last.position)


async def throw_snapshots_away(connection: Connection) -> int:
    """Delete all snapshots; how many."""
    status: str = await connection.execute("DELETE FROM ledger_snapshot")
    return int(status.rpartition(" ")[2])


async def _recounted(connection: Connection, first: Snapshot, positions: Sequence[int]) -> list[Snapshot]:
    """A SKU's snapshots at these positions, from one before them and the ledger."""
    steps = list(pairwise([first.position, *positions]))
    rows = await connection.fetch(
        _WINDOWS,
        [first.tenant] * len(steps),
        [first.sku] * len(steps),
        [past for past, _ in steps],
        [upto for _, upto in steps],
    )
    made, last = list[Snapshot](), first
    for number, of_one in groupby(rows, key=lambda row: row["number"]):
        head, *sides = of_one
        past, upto = steps[number - 1]
        assert head["units"] == upto - past, f"{first.sku} lacks movements between {past} and {upto}"
        units = _plus(last.units, sides)
        known_at = max(last.known_at, head["known_at"])
        last = Snapshot(first.tenant, first.sku, upto, known_at, dict(sorted(units.items())))
        made.append(last)
    assert len(made) == len(steps), f"{first.sku} lacks movements"
    return made


def _plus(units: LotUnits, more: Sequence[Any]) -> LotUnits:
    """Balances after more units came, or went."""
    after = dict(units)
    for row in more:
        place = row["node"], row["bucket"], row["lot"]
        total = after.pop(place, 0) + row["units"]
        if total:
            after[place] = total
    return after


def _lots(snapshot: Snapshot) -> list[str] | None:
    """The lot of each of a snapshot's balances; None where its SKU has none."""
    lots = [lot for _, _, lot in snapshot.units]
    return lots if any(lots) else None


def _snapshot(tenant: str, sku: str, row: Any) -> Snapshot:
    lots = row["lots"] or [NO_LOT] * len(row["nodes"])
    places = zip(row["nodes"], row["buckets"], lots, strict=True)
    return Snapshot(
        tenant, sku, row["position"], row["known_at"], dict(zip(places, row["units"], strict=True))
    )
