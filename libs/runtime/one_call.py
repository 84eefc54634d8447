"""A small batch in one round trip: the function `commit_batch` of a stage's database checks and writes it.

What a batch costs that has little in it is its statements: each is a round trip, and a dozen of them cost
more than to decide. A large batch is written by COPY, which is cheaper by the row, and so are the few that
touch what the function does not know (`takes`). The function itself, with its types, is in
libs/runtime/migrations/stage/0004.commit-batch.sql.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from libs.runtime.log import Fenced, Lane, Overtaken, TimerRow, Writes, held_of
from libs.runtime.log_rows import handled_records, lane_ends, log_record, part_records
from libs.runtime.stage import Stage

ROWS_MAX = 100
"""Rows of the log from which on a batch is large."""
_ARGUMENTS = 12
_FENCED, _OVERTAKEN = "OL001", "OL002"
"""SQLSTATEs that the function raises."""
_DOUBLES: dict[str | None, tuple[type[Exception], str]] = {
    "handled_pkey": (Fenced, "a command id was decided elsewhere in this moment"),
    "part_pkey": (Overtaken, "a stream that is to be new is there"),
}
"""By constraint, what another process may have written in the same moment, and what that means."""


class OneCall:
    """Writes small batches of one stage."""

    def __init__(self, stage: Stage) -> None:
        function, self._tables = stage.tables_call
        self._statement = f"SELECT commit_batch({_places(0, _ARGUMENTS)})"
        if function:  # CASE, as the first call takes the locks that the second relies on
            own = f"{function}({_places(_ARGUMENTS, len(self._tables))})"
            self._statement = f"SELECT CASE WHEN commit_batch({_places(0, _ARGUMENTS)}) THEN {own} END"

    def takes(self, writes: Writes) -> bool:
        """Whether a batch is small, and touches nothing that the function does not know."""
        if len(writes.rows) > ROWS_MAX or writes.parked or writes.unparked:
            return False
        touched = [table for table, rows in writes.table_rows.items() if rows]
        touched += [table for table, sums in writes.table_sums.items() if sums]
        return all(table in self._tables for table in touched)

    async def commit(
        self, connection: Any, writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]
    ) -> None:
        """As `Log.commit`, on a connection without a transaction."""
        arguments = [*_arguments(writes, lanes, assumed), *self._own(writes)]
        try:
            await connection.fetchval(self._statement, *arguments)
        except asyncpg.UniqueViolationError as error:
            if (meant := _DOUBLES.get(error.constraint_name)) is None:
                raise
            kind, why = meant
            raise kind(why) from error
        except asyncpg.PostgresError as error:
            if error.sqlstate == _FENCED:
                raise Fenced(str(error)) from None
            if error.sqlstate == _OVERTAKEN:
                raise Overtaken(str(error)) from None
            raise

    def _own(self, writes: Writes) -> list[Sequence[tuple[Any, ...]]]:
        """Rows of the stage's own tables, and of sums what is to be added, by key."""
        found: list[Sequence[tuple[Any, ...]]] = []
        for table in self._tables:
            sums = writes.table_sums.get(table, {})
            found.append(writes.table_rows.get(table) or [(*key, *deltas) for key, deltas in sums.items()])
        return found


def _arguments(writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]) -> list[Any]:
    """What `commit_batch` takes, in its order: arrays of rows of its types."""
    ends = {lane: (decided, heard) for lane, decided, heard in zip(*lane_ends(writes.rows), strict=True)}
    stand = []
    for number, lane in lanes.items():
        decided, heard = ends.get(number, (0, 0))
        following = decided or lane.next_decided, heard or lane.next_heard
        stand.append((number, lane.epoch, lane.next_decided, lane.next_heard, *following))
    return [
        stand,
        list(held_of(writes, assumed).items()),
        [(*place, *moved) for place, moved in writes.offsets.items()],
        [(*place, sequence) for place, sequence in writes.high_water.items()],
        [log_record(row) for row in writes.rows],
        part_records(writes.new_parts),
        part_records(writes.parts),
        handled_records(writes.handled),
        [_timer(row) for row in {(row.key, row.name): row for row in writes.timers_done}.values()],
        [_timer(row) for row in writes.timers.values()],
        [(row.effect_id, row.lane, row.key) for row in writes.owed.values()],
        list(writes.settled),
    ]


def _timer(row: TimerRow) -> tuple[Any, ...]:
    return row.key, row.name, row.lane, row.due_at


def _places(after: int, count: int) -> str:
    return ", ".join(f"${after + number}" for number in range(1, count + 1))
