"""What must hold of the stack once a case has come to rest, computed from logs, tables and topics alone."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module

from cli.demo.report import Report, read_logs
from cli.prove import prove_database
from libs.events.inventory import SOURCES
from libs.runtime.lane_digest import LaneDigest
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.replay_order import own_context
from libs.runtime.settings import STAGES, settings
from libs.runtime.stage import Stage
from libs.runtime.topic_reader import TopicReader
from tests.chaos.shop import Sent, Shop, fetch

REST_SECONDS = 90.0
_PAUSE_SECONDS = 0.1
_ROWS_AT_ONCE = 2000

_UNREST = """
    SELECT (SELECT count(*) FROM lane LEFT JOIN relay USING (lane)
            WHERE next_decided - 1 <> coalesce(published, 0))
         + (SELECT count(*) FROM timer WHERE due_at < now()) + (SELECT count(*) FROM effect)"""
"""Events to publish, timers to ring, mails whose outcome is to be told."""
_CONSUMED = "SELECT topic, partition, next_offset FROM consumed"
_DRIFT = """
    WITH moves AS (
        SELECT tenant, sku, node, source AS bucket, -quantity AS units FROM ledger
        UNION ALL SELECT tenant, sku, node, target, quantity FROM ledger),
    sums AS (SELECT tenant, sku, node, bucket, sum(units) AS units FROM moves GROUP BY 1, 2, 3, 4)
    SELECT sku, node, bucket, units, quantity FROM sums FULL JOIN balance USING (tenant, sku, node, bucket)
    WHERE CASE WHEN bucket = ANY($1::text[]) THEN 0 ELSE coalesce(units, 0) END <> coalesce(quantity, 0)"""
_BALANCES = "SELECT sku, bucket, sum(quantity)::int AS units FROM balance WHERE tenant = $1 GROUP BY 1, 2"
_OUTCOMES = "SELECT command_id, rows FROM handled WHERE tenant = $1"
_CAUSED = """
    SELECT context ->> 'causationid' AS cause, count(*)::int AS events FROM log
    WHERE tenant = $1 AND origin = 'decided' GROUP BY 1"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lost` counts orders and commands without an outcome or an end, `doubled` whatever happened twice."""

    orders: int
    lost: int
    doubled: int
    oversold: int
    wrong: list[str] = field(default_factory=list)
    """What else does not hold, a sentence each."""

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.oversold or self.wrong)


def stages() -> list[Stage]:
    return [import_module(f"services.{name}.app").STAGE for name in STAGES]


class Books:
    """Compares each lane's topic with its log; kept over the cases, so that each reads what is new."""

    def __init__(self) -> None:
        self._topic: dict[tuple[str, int], tuple[int, LaneDigest]] = {}
        self._log: dict[tuple[str, int], LaneDigest] = {}
        self.repeats = 0
        """Records of the topics that a relay published again."""

    async def differences(self) -> list[str]:
        """Lanes whose topic, repeats dropped, is not their log."""
        found: list[str] = []
        async with _reader(stages()) as reader:
            ends = await reader.ends()
            for stage in stages():
                for lane in range(settings().partitions):
                    await self._read_topic(stage, lane, ends[stage.topic, lane], reader, found)
        for stage in stages():
            pool = await open_pool(settings().dsn(stage.name), settings(), "chaos")
            try:
                for lane in range(settings().partitions):
                    await self._read_log(stage, lane, PostgresLog(pool, stage))
                    log, (_, topic) = self._log[stage.name, lane], self._topic[stage.name, lane]
                    if log.hexdigest() != topic.hexdigest():
                        found.append(
                            f"{stage.topic}/{lane} ({topic.events} events) is not its log ({log.events})"
                        )
            finally:
                await pool.close()
        return found

    async def _read_topic(
        self, stage: Stage, lane: int, end: int, reader: TopicReader, found: list[str]
    ) -> None:
        offset, digest = self._topic.get((stage.name, lane), (0, LaneDigest()))
        while offset < end:
            records = await reader.read(stage.topic, lane, offset)
            if not records:
                found.append(f"{stage.topic}/{lane} is silent at offset {offset}")
                break
            for record in records:
                own = own_context(stage, record)
                if own is None:
                    found.append(f"{stage.topic}/{lane}@{record.offset} is not the stage's")
                elif own.sequence == digest.events + 1:
                    digest.record(own, record.value or b"")
                elif own.sequence <= digest.events:
                    self.repeats += 1
                else:
                    found.append(f"{stage.topic}/{lane}@{record.offset}: {digest.events + 1} was skipped")
            offset = records[-1].offset + 1
        self._topic[stage.name, lane] = offset, digest

    async def _read_log(self, stage: Stage, lane: int, log: PostgresLog) -> None:
        digest = self._log.setdefault((stage.name, lane), LaneDigest())
        while rows := await log.unpublished(lane, digest.events, _ROWS_AT_ONCE):
            for row in rows:
                digest.row(row)


@asynccontextmanager
async def _reader(of: Sequence[Stage]) -> AsyncIterator[TopicReader]:
    places = [(stage.topic, lane) for stage in of for lane in range(settings().partitions)]
    reader = TopicReader(settings(), places)
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def at_rest() -> None:
    """Wait until every stage has taken what is on the topics it hears, and published what it decided."""
    give_up_at = time.monotonic() + REST_SECONDS
    while restless := await _restless():
        assert time.monotonic() < give_up_at, f"no rest: {restless}"
        await asyncio.sleep(_PAUSE_SECONDS)


async def _restless() -> list[str]:
    found: list[str] = []
    places = sorted({(topic, lane) for s in stages() for topic in s.topics for lane in _lanes()})
    reader = TopicReader(settings(), places)
    await reader.start()
    try:
        before = await reader.ends()
        for stage in stages():
            # What was taken first: what that led to is decided by then, and so seen by the next question.
            taken = {(row[0], row[1]): row[2] for row in await fetch(stage.name, _CONSUMED)}
            lag = sum(before[t, n] - taken.get((t, n), 0) for t in stage.topics for n in _lanes())
            if lag:
                found.append(f"{stage.name} lags by {lag}")
            [row] = await fetch(stage.name, _UNREST)
            if row[0]:
                found.append(f"{stage.name} has {row[0]} things to publish, to ring or to send")
        if before != await reader.ends():
            found.append("records came meanwhile")
    finally:
        await reader.stop()
    return found


def _lanes() -> range:
    return range(settings().partitions)


async def judge(shop: Shop, books: Books, *, closed: bool = True) -> Verdict:
    """The verdict on one tenant's case. `closed`: every order was cancelled, so all stock is back."""
    await at_rest()
    report = await read_logs(settings().dsn, shop.tenant, set(shop.orders))
    proof = await asyncio.to_thread(prove_database, settings().dsn("inventory"), None)
    wrong = [f"twice: {name}: {count}" for name, count in report.doubles.items() if count]
    if proof.violation is not None:
        wrong.append(f"the ledger does not hold: {proof.violation.message}")
    wrong += [f"balance drifted: {tuple(row)}" for row in await fetch("inventory", _DRIFT, list(SOURCES))]
    wrong += await books.differences()
    undecided, doubled = await _outcomes(shop.history, shop.tenant)
    for count, what in ((undecided, "commands have no outcome"), *_losses(report, closed)):
        if count:
            wrong.append(f"{count} {what}")
    if closed:
        wrong += await _unreturned(shop)
        if report.stranded_units:
            wrong.append(f"{report.stranded_units} units belong to orders that are closed")
    return Verdict(
        len(shop.orders),
        sum(count for count, _ in _losses(report, closed)) + undecided,
        report.duplicate_effects + doubled,
        proof.oversold_units,
        wrong,
    )


def _losses(report: Report, closed: bool) -> list[tuple[int, str]]:
    """How many are missing of what must be there, and what that is."""
    return [
        (report.lost_orders, "orders have no answer"),
        (report.unpublished_events, "events are not published"),
        (report.open_orders if closed else 0, "orders have no end"),
    ]


async def _outcomes(history: Sequence[Sent], tenant: str) -> tuple[int, int]:
    """Commands without an outcome, and those answered by other events than their outcome has."""
    undecided = doubled = 0
    for stage in STAGES:
        sent = {str(one.id) for one in history if one.stage == stage}
        if not sent:
            continue
        outcomes = {str(row[0]): int(row[1]) for row in await fetch(stage, _OUTCOMES, tenant)}
        caused = Counter({str(row[0]): int(row[1]) for row in await fetch(stage, _CAUSED, tenant)})
        undecided += len(sent - outcomes.keys())
        doubled += sum(caused[id_] != outcomes[id_] for id_ in sent & outcomes.keys())
    return undecided, doubled


async def _unreturned(shop: Shop) -> list[str]:
    """Where stock is not what was received, though every order was cancelled."""
    held = {(row[0], row[1]): row[2] for row in await fetch("inventory", _BALANCES, shop.tenant)}
    found = []
    for sku, units in shop.stock.items():
        now = {bucket: held.get((sku, bucket), 0) for bucket in ("on_hand", "reserved", "allocated")}
        if now != {"on_hand": units, "reserved": 0, "allocated": 0}:
            found.append(f"{sku}: {now}, {units} were received")
    return found
