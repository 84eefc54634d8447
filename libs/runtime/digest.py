"""One hash of everything that a stage's database says, so that two of them can be compared.

SHA-256 over the decided log rows by lane and sequence (id, tenant, stream, type, version, payload as bytes),
then the parts in key order as canonical JSON, then the stage's own tables in key order. Not in it:

- where the loop and the relay stand (`consumed`, `high_water`, `lane`, `relay`): how it got there;
- `handled`, `timer`, `effect`, `parked`: what is still to do, or was, not what is so. A rebuild derives them
  from the topics, but a timer that was answered by nothing leaves no trace there;
- heard rows: another order of arrival keeps others, with the same parts in the end;
- times in tables: the time that an input was decided by is the input's, not the event's on its topic.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from libs.runtime.memory_log import MemoryLog
from libs.runtime.stage import Stage

_EVENTS = """
    SELECT lane, seq, event_id, tenant, stream, type, version, payload FROM log
    WHERE origin = 'decided' ORDER BY lane, seq"""
_PARTS = 'SELECT key, part FROM part WHERE part IS NOT NULL ORDER BY key COLLATE "C"'
_AT_ONCE = 1000


class Digest:
    """Feed it events, then parts, then table rows, each in order."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._hash = stage, hashlib.sha256()

    def event(
        self, place: tuple[int, int], id_: UUID, about: tuple[str, str, str, int], payload: bytes
    ) -> None:
        """Lane and sequence; id; tenant, stream, type and version; payload."""
        self._add("event", place, id_, about)
        self._hash.update(payload)

    def part(self, key: str, part: bytes) -> None:
        """A part as stored; what counts is what it says to this release."""
        adapter = self._stage.adapter(key.partition("/")[2])
        self._add("part", key, orjson.loads(adapter.dump_json(adapter.validate_json(part))))

    def row(self, table: str, values: Iterable[Any]) -> None:
        """A row of one of the stage's own tables."""
        self._add(table, [value for value in values if not isinstance(value, datetime)])

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def _add(self, *values: object) -> None:
        options = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        self._hash.update(orjson.dumps(values, default=str, option=options))  # asyncpg has its own UUID


async def database_digest(connection: Any, stage: Stage) -> str:
    """Hex digest of a stage's database, within the caller's transaction; read in pieces, never whole."""
    digest = Digest(stage)
    async for row in connection.cursor(_EVENTS, prefetch=_AT_ONCE):
        about = (row["tenant"], row["stream"], row["type"], row["version"])
        digest.event((row["lane"], row["seq"]), row["event_id"], about, row["payload"].encode())
    async for row in connection.cursor(_PARTS, prefetch=_AT_ONCE):
        digest.part(row["key"], row["part"].encode())
    for table, columns in _tables(stage).items():
        ordered = ", ".join(f'{column}::text COLLATE "C"' for column in columns)
        query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {ordered}"  # noqa: S608 - names of code
        async for row in connection.cursor(query, prefetch=_AT_ONCE):
            digest.row(table, tuple(row))
    return digest.hexdigest()


def memory_digest(log: MemoryLog, stage: Stage) -> str:
    """The same of a log in memory."""
    digest = Digest(stage)
    for (_, origin), rows in sorted(log.rows.items()):
        if origin == "decided":
            for row in rows:
                about = (row.tenant, row.stream, row.type, row.version)
                digest.event((row.lane, row.seq), row.event_id, about, row.payload)
    for key, snapshot in sorted(log.parts.items()):
        if snapshot.part:
            digest.part(key, snapshot.part)
    for table in _tables(stage):
        found = [*log.table_rows.get(table, ())]
        found += [(*key, *sums) for key, sums in log.table_sums.get(table, {}).items()]
        for values in sorted(found, key=lambda row: [str(value) for value in row]):
            digest.row(table, values)
    return digest.hexdigest()


def _tables(stage: Stage) -> dict[str, tuple[str, ...]]:
    """The stage's own tables and their columns, in order of name."""
    sums = {name: (*keys, *quantities) for name, (keys, quantities) in stage.sum_tables.items()}
    return dict(sorted({**stage.row_tables, **sums}.items()))
