"""What a stage's database still tells before it is replaced: where it stood, what a person decided of parked
records, and how it compares with the stage's topic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from libs.runtime.digest import database_digest
from libs.runtime.lane_digest import LaneDigest
from libs.runtime.lane_trace import LaneTrace
from libs.runtime.log import TopicPartition
from libs.runtime.log_rows import log_row
from libs.runtime.log_sql import LOG_COLUMNS
from libs.runtime.stage import Stage

_ROWS = f"""
    SELECT {", ".join(LOG_COLUMNS)} FROM log
    WHERE origin = 'decided' AND lane = $1 AND seq <= $2 ORDER BY seq"""  # noqa: S608 - column names
_OF_BEFORE = (
    *("id", "lane", "key", "topic", "partition", "offset", "code", "reason", "tenant", "type", "state"),
    *("parked_at", "decided_by", "decided_at", "note"),
)
PARKED_COLUMNS = (*_OF_BEFORE, "record_id", "told", "told_seq")
# A database of an older release knows nothing of what was told.
_PARKED = f"""
    SELECT {", ".join(f'"{name}"' for name in _OF_BEFORE)}, (known ->> 'record_id')::uuid,
        coalesce((known ->> 'told')::int, 0), coalesce((known ->> 'told_seq')::bigint, 0)
    FROM parked, to_jsonb(parked) AS known ORDER BY id"""  # noqa: S608 - column names


@dataclass(frozen=True, slots=True)
class OldDatabase:
    """A stage's database as it was found."""

    ends: Mapping[int, int]
    """By lane the last sequence of its log."""
    consumed: Mapping[TopicPartition, int]
    parked: list[tuple[Any, ...]]
    digest: str

    def parked_states(self, lane: int) -> dict[tuple[str, int], str]:
        """(topic, offset) → state, of a lane's records that were ever parked."""
        at = {name: place for place, name in enumerate(PARKED_COLUMNS)}
        return {
            (row[at["topic"]], row[at["offset"]]): row[at["state"]]
            for row in self.parked
            if row[at["partition"]] == lane
        }

    def ahead(self, traces: Mapping[int, LaneTrace]) -> dict[int, int]:
        """By lane the first sequence that its topic lacks."""
        return {
            lane: traces[lane].digest.events + 1
            for lane, end in sorted(self.ends.items())
            if lane in traces and end > traces[lane].digest.events
        }


async def look(connection: asyncpg.Connection, stage: Stage) -> OldDatabase | None:
    """What it tells, in one snapshot; None when the database has no log, or an empty one."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        if await connection.fetchval("SELECT to_regclass('log') IS NULL OR to_regclass('parked') IS NULL"):
            return None
        ends = await connection.fetch(
            "SELECT lane, max(seq) AS seq FROM log WHERE origin = 'decided' GROUP BY lane"
        )
        consumed = await connection.fetch("SELECT topic, partition, next_offset FROM consumed")
        if not ends and not any(row["next_offset"] for row in consumed):
            return None
        return OldDatabase(
            {row["lane"]: row["seq"] for row in ends},
            {(row["topic"], row["partition"]): row["next_offset"] for row in consumed},
            [tuple(row) for row in await connection.fetch(_PARKED)],
            await database_digest(connection, stage),
        )


async def differing(
    connection: asyncpg.Connection, old: OldDatabase, traces: Mapping[int, LaneTrace]
) -> list[int]:
    """Lanes whose events are others than those on the topic, as far as both go. The traces must have noted
    their digests after as many events as the old log has."""
    found = []
    for lane, end in sorted(old.ends.items()):
        topic, log = traces[lane].digest, LaneDigest()
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async for row in connection.cursor(_ROWS, lane, min(end, topic.events), prefetch=1000):
                log.row(log_row(row))
        if log.hexdigest() != (topic.first_hexdigest() if end <= topic.events else topic.hexdigest()):
            found.append(lane)
    return found
