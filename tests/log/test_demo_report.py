"""The demo's report on a real PostgreSQL: a run that went well is sound, and no forged log passes for one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

import psycopg
import pytest

from cli.demo.report import Report, read_logs
from libs.runtime.log import LogRow
from libs.runtime.settings import STAGES
from tests.flow.demo_run import ORDERS, STEPS, Run
from tests.flow.world import World

COLUMNS = (
    "lane, origin, seq, event_id, tenant, stream, stream_version, type, version, payload, context, at",
    "recorded_at",
)
COPY = f"COPY log ({', '.join(COLUMNS)}) FROM STDIN"
Logs = dict[str, list[LogRow]]


@dataclass
class Databases:
    """A database a stage; every forged run is a tenant of its own, in lanes of its own."""

    dsns: dict[str, str]
    runs: int = 0

    async def report(self, logs: Logs, submitted: set[str]) -> Report:
        self.runs += 1
        tenant = f"run-{self.runs}"
        for stage, rows in logs.items():
            with (
                psycopg.connect(self.dsns[stage]) as connection,
                connection.cursor() as cursor,
                cursor.copy(COPY) as copy,
            ):
                for row in rows:
                    copy.write_row(self._values(row, tenant))
        report = await read_logs(self.dsns.__getitem__, tenant, submitted)
        report.ledger_holds = True  # the proof has tests of its own, and walks a whole log
        return report

    def _values(self, row: LogRow, tenant: str) -> tuple[object, ...]:
        return (
            row.lane + 100 * self.runs,
            row.origin,
            row.seq,
            row.event_id,
            tenant,
            row.stream,
            row.stream_version,
            row.type,
            row.version,
            row.payload.decode(),
            json.dumps(dict(row.context)),
            row.at,
            row.recorded_at,
        )


@pytest.fixture(scope="module")
def databases(migrated_dsn: Callable[[str], str]) -> Databases:
    return Databases({stage: migrated_dsn(stage) for stage in STAGES})


@pytest.fixture(scope="module")
async def logs() -> Logs:
    """What the stages' logs hold after the demo's small run."""
    run = Run(await World().start(), STEPS)
    await run.play()
    return {stage: [row for rows in run.world.logs[stage].rows.values() for row in rows] for stage in STAGES}


def _orders(logs: Logs) -> set[str]:
    answers = ("oms.intake.order_accepted", "oms.intake.order_held")
    return {row.stream for row in logs["intake"] if row.type in answers}


def _first(logs: Logs, type_: str) -> LogRow:
    return next(row for row in logs[type_.split(".")[1]] if row.type == type_ and row.origin == "decided")


def _again(logs: Logs, type_: str, *, same_id: bool = False, **payload: object) -> Logs:
    """The logs with the first event of a type once more."""
    row = _first(logs, type_)
    twin = replace(
        row,
        seq=row.seq + 1_000_000,
        stream_version=row.stream_version + 1_000_000,
        event_id=row.event_id if same_id else UUID(int=row.event_id.int ^ 1),
        payload=json.dumps(json.loads(row.payload) | payload).encode(),
    )
    stage = type_.split(".")[1]
    return logs | {stage: [*logs[stage], twin]}


def _without(logs: Logs, stage: str, gone: Callable[[LogRow], bool]) -> Logs:
    return logs | {stage: [row for row in logs[stage] if not gone(row)]}


async def test_a_run_that_went_well_is_sound(databases: Databases, logs: Logs) -> None:
    report = await databases.report(logs, _orders(logs))
    assert report.sound
    assert report.submitted == sum(report.first_answers.values()) == ORDERS
    assert sum(report.outcomes.values()) == ORDERS
    assert report.first_answers["held"] > 0
    assert report.backorders_filled == report.backordered > 0
    assert report.splits > 0
    assert report.refunds_minor > 0
    assert report.units_back["restock"] > 0
    released = {row.stream for row in logs["fulfillment"] if row.type.endswith("fulfillment_released")}
    assert 0 < report.released_ms["orders"] < len(released)
    for stage in STAGES:
        decided = sum(row.origin == "decided" for row in logs[stage])
        assert sum(report.events[f"oms.{stage}.events"].values()) == decided


@pytest.mark.parametrize(
    "type_",
    [
        "oms.intake.order_closed",
        "oms.fulfillment.fulfillment_released",
        "oms.fulfillment.shipment_dispatched",
        "oms.fulfillment.fulfillment_completed",
        "oms.notifications.message_requested",
        "oms.returns.refund_requested",
        "oms.routing.order_routed",
    ],
)
async def test_what_happened_twice_is_found(databases: Databases, logs: Logs, type_: str) -> None:
    report = await databases.report(_again(logs, type_), _orders(logs))
    assert report.duplicate_effects >= 1
    assert not report.sound


async def test_an_event_id_that_is_used_twice_is_found(databases: Databases, logs: Logs) -> None:
    forged = _again(logs, "oms.fulfillment.carrier_event_recorded", same_id=True)
    report = await databases.report(forged, _orders(logs))
    assert {name: count for name, count in report.doubles.items() if count} == {"fulfillment: event ids": 1}
    assert not report.sound


async def test_a_reservation_that_is_resolved_twice_is_found(databases: Databases, logs: Logs) -> None:
    report = await databases.report(_again(logs, "oms.inventory.stock_allocated", round=99), _orders(logs))
    assert report.duplicate_effects == 1
    assert report.stranded_units > 0


async def test_units_that_stay_with_an_order_that_is_over_are_found(databases: Databases, logs: Logs) -> None:
    issued = _first(logs, "oms.inventory.stock_issued")
    report = await databases.report(_without(logs, "inventory", lambda row: row is issued), _orders(logs))
    movements = json.loads(issued.payload)["movements"]
    assert report.stranded_units == sum(movement["quantity"] for movement in movements)
    assert not report.sound


async def test_an_order_that_never_ends_is_open(databases: Databases, logs: Logs) -> None:
    closed = _first(logs, "oms.intake.order_closed")
    report = await databases.report(_without(logs, "intake", lambda row: row is closed), _orders(logs))
    assert report.open_orders == 1
    assert not report.sound


async def test_an_order_without_an_answer_or_unknown_to_inventory_is_lost(
    databases: Databases, logs: Logs
) -> None:
    silent = await databases.report(logs, _orders(logs) | {"never-answered"})
    assert silent.lost_orders == 1
    assert not silent.sound
    accepted = _first(logs, "oms.intake.order_accepted").stream
    unknown = await databases.report(
        _without(logs, "inventory", lambda row: row.stream == accepted), _orders(logs)
    )
    assert unknown.lost_orders == 1
    assert not unknown.sound


async def test_an_answer_that_nobody_asked_for_is_not_sound(databases: Databases, logs: Logs) -> None:
    asked = sorted(_orders(logs))[1:]
    report = await databases.report(logs, set(asked))
    assert not report.sound
