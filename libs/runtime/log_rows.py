"""Rows of the PostgreSQL log as the runtime's own, and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from libs.runtime.log import Handled, LogRow, Parked, Snapshot


def log_row(row: Any) -> LogRow:
    """A row of the log table as a LogRow."""
    return LogRow(
        row["lane"],
        row["origin"],
        row["seq"],
        row["event_id"],
        row["tenant"],
        row["stream"],
        row["stream_version"],
        row["type"],
        row["version"],
        row["payload"].encode(),
        orjson.loads(row["context"]),
        row["at"],
        row["recorded_at"],
    )


def parked_row(row: Any) -> Parked:
    """A row of the parked table as a Parked."""
    return Parked(
        row["lane"],
        row["key"],
        row["topic"],
        row["partition"],
        row["offset"],
        row["code"],
        row["reason"],
        row["tenant"],
        row["type"],
        row["id"],
        row["state"],
        row["parked_at"],
        row["record_id"] and UUID(bytes=row["record_id"].bytes),
        row["told"],
        row["told_seq"],
        row["decided_by"] or "",
        row["note"] or "",
    )


def parked_values(row: Parked) -> tuple[Any, ...]:
    """A Parked as `log_sql.PARK` takes it."""
    return (
        row.lane,
        row.key,
        row.topic,
        row.partition,
        row.offset,
        row.code,
        row.reason,
        row.tenant,
        row.type,
        row.state,
        row.record_id,
        row.told,
        row.told_seq,
    )


def log_record(row: LogRow) -> tuple[Any, ...]:
    """A LogRow as COPY takes it, in the order of `log_sql.LOG_COLUMNS`."""
    return (
        row.lane,
        row.origin,
        row.seq,
        row.event_id,
        row.tenant,
        row.stream,
        row.stream_version,
        row.type,
        row.version,
        row.payload.decode(),
        orjson.dumps(row.context).decode(),
        row.at,
        row.recorded_at,
    )


def part_records(parts: Mapping[str, tuple[int, Snapshot]]) -> list[tuple[str, int, int, str]]:
    """Parts as they are written, in the order in which streams are locked: key, lane, version, JSON. Two
    processes that create the same streams then wait for each other in one direction."""
    return [
        (key, lane, one.version, (one.part or b"").decode()) for key, (lane, one) in sorted(parts.items())
    ]


def handled_records(handled: Iterable[Handled]) -> list[tuple[Any, ...]]:
    """Commands that were decided, in the order of their table's columns."""
    return [(one.tenant, one.command_id, one.digest, one.lane, one.first_seq, one.rows) for one in handled]


def lane_ends(rows: Iterable[LogRow]) -> tuple[list[int], list[int], list[int]]:
    """Lanes, and what comes next in each after these rows, decided and heard; 0 where none of a kind is."""
    decided: dict[int, int] = {}
    heard: dict[int, int] = {}
    for row in rows:
        (decided if row.origin == "decided" else heard)[row.lane] = row.seq + 1
    lanes = sorted(decided.keys() | heard.keys())
    return lanes, [decided.get(lane, 0) for lane in lanes], [heard.get(lane, 0) for lane in lanes]


def snapshot(row: Any) -> Snapshot:
    """A row of the part table, as the statements that load parts return it."""
    return Snapshot(row["version"], None if row["unchanged"] else (row["part"] or "").encode())


def columns_of(rows: Sequence[tuple[tuple[str, ...], Sequence[int]]]) -> list[list[Any]]:
    """Rows of (key, quantities) as one list a column."""
    return [list(column) for column in zip(*((*key, *quantities) for key, quantities in rows), strict=True)]
