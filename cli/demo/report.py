"""What the demo reports, computed from the log: no counter that was kept on the way.

Each figure is a query over one stage's log; what was submitted is read from intake's commands topic.
`Report.sound` says whether nothing was lost, doubled, oversold or left open.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from statistics import quantiles
from typing import TypeAlias
from uuid import UUID

import asyncpg
import psycopg
from aiokafka import TopicPartition
from psycopg.rows import class_row

from libs.events.intake import OrderAccepted, OrderClosed, OrderHeld, OrderRejected, SubmitOrder
from libs.runtime.complaint import Complaint
from libs.runtime.kafka import lone_consumer
from libs.runtime.settings import STAGES, Settings
from libs.runtime.stage import commands_topic
from services.inventory.proof import prove

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

FIRST_ANSWERS = {OrderAccepted.TYPE: "accepted", OrderHeld.TYPE: "held", OrderRejected.TYPE: "rejected"}

ONCE: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "intake": (
        ("oms.intake.order_accepted", ()),
        ("oms.intake.order_held", ()),
        ("oms.intake.order_rejected", ()),
        ("oms.intake.order_closed", ()),
    ),
    "inventory": (
        ("oms.inventory.stock_allocated", ("round",)),
        ("oms.inventory.stock_issued", ("shipment_id",)),
        ("oms.inventory.stock_shorted", ("fulfillment_order_id",)),
    ),
    "routing": (
        ("oms.routing.order_routed", ("round",)),
        ("oms.routing.order_unroutable", ("round",)),
    ),
    "fulfillment": (
        ("oms.fulfillment.fulfillment_released", ("fulfillment_order_id",)),
        ("oms.fulfillment.pick_confirmed", ("fulfillment_order_id",)),
        ("oms.fulfillment.pick_shorted", ("fulfillment_order_id",)),
        ("oms.fulfillment.pack_confirmed", ("fulfillment_order_id",)),
        ("oms.fulfillment.shipment_dispatched", ("fulfillment_order_id",)),
        ("oms.fulfillment.shipment_dispatched", ("shipment_id",)),
        ("oms.fulfillment.shipment_delivered", ("shipment_id",)),
        ("oms.fulfillment.shipment_lost", ("shipment_id",)),
        ("oms.fulfillment.fulfillment_completed", ()),
    ),
    "notifications": (
        ("oms.notifications.message_requested", ("message_id",)),
        ("oms.notifications.message_sent", ("message_id",)),
    ),
    "returns": (
        ("oms.returns.return_window_opened", ("shipment_id",)),
        ("oms.returns.return_authorised", ("rma_id",)),
        ("oms.returns.refund_requested", ("refund_id",)),
        ("oms.returns.return_closed", ("rma_id",)),
    ),
}
"""What happens at most once: the type, and what within its stream tells one from another."""

_SILENCE_MS = 30_000
_DOUBLES = """
SELECT coalesce(sum(n - 1), 0)::int FROM (
    SELECT count(*) AS n FROM log
    WHERE tenant = $1 AND origin = 'decided' AND type = $2
    GROUP BY stream, (SELECT string_agg(payload ->> key, '/') FROM unnest($3::text[]) AS key)
) AS grouped WHERE n > 1"""
_REPEATED_IDS = """
SELECT coalesce(sum(n - 1), 0)::int FROM (
    SELECT count(*) AS n FROM log WHERE tenant = $1 AND origin = 'decided' GROUP BY event_id
) AS grouped WHERE n > 1"""
_LOOKS, _LOOK_SECONDS = 200, 0.1
_UNPUBLISHED = """
SELECT coalesce(sum(lane.next_decided - 1 - coalesce(relay.published, 0)), 0)::int
FROM lane LEFT JOIN relay USING (lane)"""
_ANSWERS = """
SELECT stream, type, at, recorded_at, payload ->> 'outcome' AS outcome FROM log
WHERE tenant = $1 AND origin = 'decided' AND type = ANY($2) ORDER BY stream, stream_version"""
_RELEASES = """
SELECT stream, min(recorded_at) AS first_at, count(DISTINCT payload ->> 'node')::int AS nodes FROM log
WHERE tenant = $1 AND origin = 'decided' AND type = 'oms.fulfillment.fulfillment_released' GROUP BY stream"""
_BACKORDERS = """
SELECT stream, bool_or(type = 'oms.inventory.stock_reserved' AND stream_version > first_wait) AS filled
FROM (
    SELECT stream, type, stream_version,
        min(stream_version) FILTER (WHERE type = 'oms.inventory.stock_backordered')
            OVER (PARTITION BY stream) AS first_wait
    FROM log WHERE tenant = $1 AND origin = 'decided'
        AND type IN ('oms.inventory.stock_backordered', 'oms.inventory.stock_reserved')
) AS promises WHERE first_wait IS NOT NULL GROUP BY stream"""
_CLAIMS = """
SELECT order_id, sum(reserved)::bigint AS reserved, sum(allocated)::bigint AS allocated FROM (
    SELECT stream AS order_id,
        CASE WHEN m.target = 'reserved' THEN m.quantity WHEN m.source = 'reserved' THEN -m.quantity
            ELSE 0 END AS reserved,
        CASE WHEN m.target = 'allocated' THEN m.quantity WHEN m.source = 'allocated' THEN -m.quantity
            ELSE 0 END AS allocated
    FROM log, json_to_recordset(payload -> 'movements') AS m(source text, target text, quantity bigint)
    WHERE tenant = $1 AND origin = 'decided' AND stream NOT LIKE 'sku/%'
        AND payload -> 'movements' IS NOT NULL
    UNION ALL
    SELECT c.order_id, CASE WHEN type = 'oms.inventory.stock_pegged' THEN c.quantity ELSE -c.quantity END, 0
    FROM log, json_to_recordset(payload -> 'claims') AS c(order_id text, quantity bigint)
    WHERE tenant = $1 AND origin = 'decided'
        AND type IN ('oms.inventory.stock_pegged', 'oms.inventory.reservation_broken')
) AS moves GROUP BY order_id HAVING sum(reserved) <> 0 OR sum(allocated) <> 0"""
_UNITS_BACK = """
SELECT u.disposition, sum(u.quantity)::bigint AS units
FROM log, json_to_recordset(payload -> 'units') AS u(disposition text, quantity bigint)
WHERE tenant = $1 AND origin = 'decided' AND type = 'oms.returns.return_received' GROUP BY 1"""


_LEDGER = """
SELECT lane, seq, event_id, tenant, type, version, convert_to(payload::text, 'UTF8') AS payload FROM log
WHERE origin = 'decided' ORDER BY recorded_at, lane, seq"""


@dataclass(slots=True)
class Report:
    """Figures of one tenant's run."""

    submitted: int = 0
    first_answers: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    accepted_ever: int = 0
    """Accepted at once, or after the last hold was released."""
    oversold_units: int = 0
    ledger_holds: bool = False
    """What `orderlog prove` says of inventory's whole log, every tenant in it."""
    ledger_movements: int = 0
    ledger_violation: str = ""
    lost_orders: int = 0
    open_orders: int = 0
    stranded_units: int = 0
    """Still promised or allocated to an order that is closed."""
    unpublished_events: int = 0
    doubles: dict[str, int] = field(default_factory=dict)
    events: dict[str, dict[str, int]] = field(default_factory=dict)
    """By topic and type."""
    refusals: dict[str, int] = field(default_factory=dict)
    backordered: int = 0
    backorders_filled: int = 0
    splits: int = 0
    refunds_minor: int = 0
    units_back: dict[str, int] = field(default_factory=dict)
    mails: int = 0
    orders_per_second: float = 0.0
    seconds: float = 0.0
    released_ms: dict[str, float] = field(default_factory=dict)
    """Submitted to released: p50 and p99 of `orders` that waited neither for stock nor for a person."""

    @property
    def duplicate_effects(self) -> int:
        """Whatever happened more often than once, of all kinds."""
        return sum(self.doubles.values())

    @property
    def sound(self) -> bool:
        """Whether everything that was submitted came to exactly one end, once, out of stock that existed."""
        zeros = (
            self.oversold_units,
            self.duplicate_effects,
            self.lost_orders,
            self.open_orders,
            self.stranded_units,
            self.unpublished_events,
        )
        answers = sum(self.first_answers.values())
        whole = self.submitted == answers and self.accepted_ever > 0
        return not any(zeros) and whole and self.ledger_holds

    def count(self, topic: str, name: str) -> int:
        """Events of one type, e.g. count("fulfillment", "shipment_lost")."""
        return self.events.get(f"oms.{topic}.events", {}).get(f"oms.{topic}.{name}", 0)


async def build_report(
    settings: Settings, tenant: str, starts: Mapping[tuple[str, int], int], duplicate_mails: int
) -> Report:
    """The whole report of a run. `starts`: where each partition stood when it began."""
    submitted = await _submitted(settings, tenant, starts)
    await _until_published(settings.dsn)
    report = await read_logs(settings.dsn, tenant, submitted)
    await asyncio.to_thread(_prove, settings.dsn("inventory"), report)
    report.doubles["mails sent twice"] = duplicate_mails
    return report


async def _until_published(dsn: Callable[[str], str]) -> None:
    """Wait for relays that are on their way: what one has published stands in its database a moment later.
    What does not get there is counted by the report."""
    for stage in STAGES:
        connection = await asyncpg.connect(dsn(stage))
        try:
            for _ in range(_LOOKS):
                if not await connection.fetchval(_UNPUBLISHED):
                    break
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await connection.close()


async def read_logs(dsn: Callable[[str], str], tenant: str, submitted: Set[str]) -> Report:
    """Query every stage's log, reached by `dsn(stage)`, for what became of the submitted orders."""
    report = Report(submitted=len(submitted))
    for stage in STAGES:
        connection = await asyncpg.connect(dsn(stage))
        try:
            await _count_stage(connection, stage, tenant, report)
            if stage == "intake":
                answers = await connection.fetch(_ANSWERS, tenant, [*FIRST_ANSWERS, OrderClosed.TYPE])
            elif stage == "inventory":
                known = await _inventory(connection, tenant, report)
            elif stage == "fulfillment":
                releases = await connection.fetch(_RELEASES, tenant)
            elif stage == "returns":
                await _returns(connection, tenant, report)
        finally:
            await connection.close()
    waited = {row["stream"] for row in answers if row["type"] == OrderHeld.TYPE} | known.backordered
    _lives(report, submitted, answers, known.seen)
    _times(report, answers, releases, waited)
    return report


@dataclass(frozen=True, slots=True)
class _LedgerRow:
    """A published row of inventory's log, as the proof reads it."""

    lane: int
    seq: int
    event_id: UUID
    tenant: str
    type: str
    version: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Known:
    """Orders that inventory's log has: any event, and a wait for stock."""

    seen: set[str]
    backordered: set[str]


async def _submitted(settings: Settings, tenant: str, starts: Mapping[tuple[str, int], int]) -> set[str]:
    """Order ids of the SubmitOrder commands on the topic since the start, read from headers alone."""
    consumer = lone_consumer(settings)
    await consumer.start()
    found: set[str] = set()
    try:
        topic = commands_topic("intake")
        places = [TopicPartition(topic, lane) for lane in range(settings.partitions)]
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        left = set()
        for place in places:
            start = starts[place.topic, place.partition]
            consumer.seek(place, start)
            if start < ends[place]:
                left.add(place)
        while left:
            polled = await consumer.getmany(*left, timeout_ms=_SILENCE_MS)
            if not polled:
                raise Complaint(
                    f"Kafka at {settings.kafka} went silent before the end of {topic}.",
                    "See `orderlog status` and `orderlog logs kafka`, then run the demo again.",
                )
            for place, records in polled.items():
                for record in records:
                    headers = dict(record.headers)
                    mine = headers.get("ce_tenant") == tenant.encode()
                    if mine and headers.get("ce_type") == SubmitOrder.TYPE.encode():
                        found.add(headers["ce_subject"].decode())
                if records[-1].offset + 1 >= ends[place]:
                    left.discard(place)
    finally:
        await consumer.stop()
    return found


async def _count_stage(connection: Connection, stage: str, tenant: str, report: Report) -> None:
    """Events by type, refusals by code, and whatever is there twice."""
    rows = await connection.fetch(
        "SELECT type, count(*)::int AS n FROM log WHERE tenant = $1 AND origin = 'decided'"
        " GROUP BY type ORDER BY type",
        tenant,
    )
    report.events[f"oms.{stage}.events"] = {row["type"]: row["n"] for row in rows}
    refused = await connection.fetch(
        "SELECT payload ->> 'command_type' AS command, payload ->> 'code' AS code, count(*)::int AS n"
        " FROM log WHERE tenant = $1 AND origin = 'decided' AND type = 'oms.command_refused'"
        " GROUP BY 1, 2 ORDER BY 1, 2",
        tenant,
    )
    report.refusals |= {f"{row['command']}: {row['code']}": row["n"] for row in refused}
    report.doubles[f"{stage}: event ids"] = await connection.fetchval(_REPEATED_IDS, tenant)
    for type_, keys in ONCE[stage]:
        name = " by ".join((type_, *keys))
        report.doubles[name] = await connection.fetchval(_DOUBLES, tenant, type_, list(keys))
    report.unpublished_events += await connection.fetchval(_UNPUBLISHED)


async def _inventory(connection: Connection, tenant: str, report: Report) -> _Known:
    seen = await connection.fetch(
        "SELECT DISTINCT stream FROM log WHERE tenant = $1 AND stream NOT LIKE 'sku/%'", tenant
    )
    backorders = await connection.fetch(_BACKORDERS, tenant)
    report.backordered = len(backorders)
    report.backorders_filled = sum(bool(row["filled"]) for row in backorders)
    claims = await connection.fetch(_CLAIMS, tenant)
    report.stranded_units = sum(max(0, row["reserved"]) + max(0, row["allocated"]) for row in claims)
    twice = sum(row["reserved"] < 0 or row["allocated"] < 0 for row in claims)
    report.doubles["inventory: orders whose reservation or allocation was resolved twice"] = twice
    return _Known({row["stream"] for row in seen}, {row["stream"] for row in backorders})


async def _returns(connection: Connection, tenant: str, report: Report) -> None:
    report.refunds_minor = await connection.fetchval(
        "SELECT coalesce(sum((payload ->> 'amount_minor')::bigint), 0)::bigint FROM log"
        " WHERE tenant = $1 AND origin = 'decided' AND type = 'oms.returns.refund_requested'",
        tenant,
    )
    back = await connection.fetch(_UNITS_BACK, tenant)
    report.units_back = {row["disposition"]: row["units"] for row in back}


def _prove(dsn: str, report: Report) -> None:
    """Walk inventory's log. Blocks: to be called in a thread."""
    with (
        psycopg.connect(dsn) as connection,
        connection.cursor("proof", row_factory=class_row(_LedgerRow)) as rows,
    ):
        proof = prove(rows.execute(_LEDGER))
    report.oversold_units = proof.oversold_units
    report.ledger_holds, report.ledger_movements = proof.holds, proof.movements
    if proof.violation is not None:
        at = proof.violation
        report.ledger_violation = f"lane {at.lane}, sequence {at.seq}, {at.type}: {at.message}"


def _lives(
    report: Report, submitted: Set[str], answers: list[asyncpg.Record], in_inventory: set[str]
) -> None:
    """First answers, ends, and who is missing one of them."""
    first: dict[str, str] = {}
    ends: dict[str, str] = {}
    accepted: set[str] = set()
    for row in answers:
        if row["type"] == OrderClosed.TYPE:
            ends[row["stream"]] = row["outcome"]
        else:
            first.setdefault(row["stream"], FIRST_ANSWERS[row["type"]])
        if row["type"] == OrderAccepted.TYPE:
            accepted.add(row["stream"])
    report.first_answers.update(first.values())
    report.outcomes.update(ends.values())
    report.accepted_ever = len(accepted)
    report.lost_orders = len(submitted - first.keys()) + len(accepted - in_inventory)
    to_end = {of for of, answer in first.items() if answer != "rejected"}
    report.open_orders = len(to_end - ends.keys())


def _times(
    report: Report, answers: list[asyncpg.Record], releases: list[asyncpg.Record], waited: set[str]
) -> None:
    """Throughput from the first submission to the last end; latency from the log's own times."""
    submitted_at: dict[str, datetime] = {}
    for row in answers:
        submitted_at.setdefault(row["stream"], row["at"])
    closed_at = [row["recorded_at"] for row in answers if row["type"] == OrderClosed.TYPE]
    if closed_at:
        report.seconds = (max(closed_at) - min(submitted_at.values())).total_seconds()
        report.orders_per_second = round(len(closed_at) / max(report.seconds, 0.001), 1)
    took = [
        (row["first_at"] - submitted_at[row["stream"]]).total_seconds() * 1000
        for row in releases
        if row["stream"] not in waited
    ]
    report.splits = sum(row["nodes"] > 1 for row in releases)
    if len(took) > 1:
        cuts = quantiles(took, n=100, method="inclusive")
        report.released_ms = {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "orders": len(took)}
