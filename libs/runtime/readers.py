"""Who reads topics, as their databases say: how far, and what they hold parked. For topics made anew."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from libs.runtime.complaint import Complaint
from libs.runtime.log import TopicPartition
from libs.runtime.settings import Settings
from libs.runtime.stores import connect
from libs.runtime.topic_lane import LaneContent
from libs.runtime.wire import Record

_CONSUMED = "SELECT topic, partition, next_offset FROM consumed"
_HIGH_WATER = "SELECT source, lane, sequence FROM high_water"
_PARKED = 'SELECT id, topic, partition, "offset", key, type FROM parked'
_MOVE = "UPDATE consumed SET next_offset = $3 WHERE topic = $1 AND partition = $2"
_FIND_AGAIN = 'UPDATE parked SET "offset" = $2 WHERE id = $1'
_LOST = """
    UPDATE parked SET "offset" = -1, reason = left(reason, 900) || ' (the record was lost with its topic)'
    WHERE id = $1 AND "offset" >= 0"""
_PUBLISHED = """
    INSERT INTO relay VALUES ($1, $2) ON CONFLICT (lane) DO UPDATE SET published = excluded.published"""
_HANDLED = "SELECT EXISTS (SELECT FROM handled WHERE command_id = $1)"
CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class ParkedAt:
    """Where a parked record was."""

    id: int
    offset: int
    key: str
    type: str


@dataclass(slots=True)
class Reader:
    """A stage or the console: where it stands, and the moves that were found necessary."""

    name: str
    consumed: dict[TopicPartition, int] = field(default_factory=dict)
    high_water: dict[tuple[str, int], int] = field(default_factory=dict)
    parked: dict[TopicPartition, list[ParkedAt]] = field(default_factory=dict)
    moves: dict[TopicPartition, int] = field(default_factory=dict)
    found_again: dict[int, int] = field(default_factory=dict)
    """Parked record → its offset on the topic as it is now."""
    lost: list[int] = field(default_factory=list)
    """Parked records that no topic holds any more."""

    def wanted(self, place: TopicPartition) -> set[tuple[str, str]]:
        """(key, type) of the records parked there."""
        return {(row.key, row.type) for row in self.parked.get(place, ())}

    def heard(self, stage: str, lane: int) -> int:
        """The last sequence that it heard of a stage's lane."""
        return self.high_water.get((f"orderlog/{stage}", lane), 0)

    def place(self, stage: str, place: TopicPartition, found: LaneContent, end: int) -> None:
        """Move it to the first event that it has not heard, if it stands elsewhere on a topic made anew.

        Complaint: it has heard more than the topic's log has.
        """
        if place not in self.consumed:
            return
        heard = self.heard(stage, place[1])
        if heard > found.digest.events:
            raise Complaint(
                f"{self.name} has heard sequence {heard} of {stage} lane {place[1]}, but the log of {stage}"
                f" ends at {found.digest.events}: its database is of an earlier time.",
                f"Restore a later backup of {stage}, or backups of every stage and the console taken"
                " at one moment.",
            )
        first = found.starts.get(heard + 1, end)
        if self.consumed[place] <= min(first, end):
            return  # what lies between is not the stage's own, or a repeat: it is read as always
        self.moves[place] = first
        for row in self.parked.get(place, ()):
            at = [offset for offset in found.places[row.key, row.type] if offset <= row.offset]
            if at:
                self.found_again[row.id] = max(at)
            else:
                self.lost.append(row.id)

    def begin_again(self, place: TopicPartition) -> None:
        """Read a commands topic from its beginning: what was decided before is known by its id."""
        self.moves[place] = 0
        self.lost += [row.id for row in self.parked.get(place, ())]


async def look(config: Settings, name: str) -> Reader:
    """Where a reader stands. Raises what asyncpg raises."""
    found = Reader(name)
    async with _connection(config, name) as connection:
        for row in await connection.fetch(_CONSUMED):
            found.consumed[row["topic"], row["partition"]] = row["next_offset"]
        for row in await connection.fetch(_HIGH_WATER):
            found.high_water[row["source"], row["lane"]] = row["sequence"]
        for row in await connection.fetch(_PARKED) if name != CONSOLE else ():
            at = ParkedAt(row["id"], row["offset"], row["key"], row["type"])
            found.parked.setdefault((row["topic"], row["partition"]), []).append(at)
    return found


async def knows(config: Settings, name: str, record: Record | None, parked: Sequence[ParkedAt]) -> bool:
    """Whether a stage has decided or parked that record, the last that it read of a commands topic."""
    if record is None:
        return False
    if any(row.offset == record.offset for row in parked):
        return True
    try:
        id_ = UUID(dict(record.headers).get("ce_id", b"").decode())
    except ValueError:
        return False
    async with _connection(config, name) as connection:
        return bool(await connection.fetchval(_HANDLED, id_))


async def save(config: Settings, reader: Reader, published: Mapping[int, int]) -> None:
    """Write its moves, and how far a stage's own lanes are published, in one transaction."""
    async with _connection(config, reader.name) as connection, connection.transaction():
        await connection.executemany(_MOVE, [(*place, at) for place, at in sorted(reader.moves.items())])
        if reader.name == CONSOLE:
            return
        await connection.executemany(_FIND_AGAIN, sorted(reader.found_again.items()))
        await connection.executemany(_LOST, [(id_,) for id_ in reader.lost])
        await connection.executemany(_PUBLISHED, sorted(published.items()))


async def tell_again(config: Settings, stage: str) -> None:
    """Let a stage tell its states from the beginning of its log: their topic may have been lost."""
    async with _connection(config, stage) as connection:
        await connection.execute("DELETE FROM state_topic")


def sequences(readers: Iterable[Reader], stage: str, lane: int) -> set[int]:
    """The first sequences of a lane that its readers have not heard."""
    return {reader.heard(stage, lane) + 1 for reader in readers}


@asynccontextmanager
async def _connection(config: Settings, name: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(config, name)
    try:
        if name == CONSOLE:
            await connection.execute("SET search_path = live")
        yield connection
    finally:
        await connection.close()
