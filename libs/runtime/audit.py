"""An audit of lanes: each source's hash chain is computed again and held against the others and the anchors.

Sources are the stage's database, its topic and an exported file; none is believed. They are walked in
lockstep, so the first row where they part is named, and nothing is kept but where each stands.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from libs.events.chain import CHAINED, beginning, link
from libs.events.record import record
from libs.runtime.log import LogRow
from libs.runtime.relay import message
from libs.runtime.wire import Record

DATABASE, TOPIC, FILE = "database", "topic", "file"
_NAMES = frozenset(CHAINED)
_HEAD = re.compile("[0-9a-f]{64}")


@record
class Published:
    """An event as it is published. `head`: the chain's after it, where its source says one."""

    lane: int
    seq: int
    key: bytes
    headers: Mapping[str, bytes]
    value: bytes
    head: bytes = b""

    @property
    def event_id(self) -> str:
        return self.headers.get("ce_id", b"").decode(errors="replace")


@record
class Unreadable:
    """What stands in the place of the next event of a lane, and why it is none."""

    lane: int
    why: str


Found = Published | Unreadable


@record
class Known:
    """A head that somebody wrote down: an anchor, or what the relay stored. `where` is told to people."""

    seq: int
    head: bytes
    where: str
    anchor: bool = True


@record
class Parting:
    """Where a source is not what it should be. `kind`: differs, hole, cut, anchor, head, unreadable."""

    stage: str
    lane: int
    sequence: int
    event_id: str
    source: str
    kind: str
    message: str


@dataclass(slots=True)
class LaneAudit:
    """What was found of one lane. `anchored_up_to`: the last anchor that every source leads to."""

    events: dict[str, int] = field(default_factory=dict)
    """Source → its last sequence."""
    heads: dict[str, str] = field(default_factory=dict)
    anchored_up_to: int = 0


@dataclass(slots=True)
class Audit:
    """What was found of a stage; it holds when nothing parts."""

    stage: str
    lanes: dict[int, LaneAudit]
    partings: list[Parting] = field(default_factory=list)
    foreign: int = 0
    """Records on the topic that the stage did not write: nobody hears them, they are in no chain."""

    @property
    def holds(self) -> bool:
        return not self.partings


@dataclass(slots=True)
class Lane:
    """What there is to audit of a lane. `rows`: source → its events in order, from the first.

    `at_least`: source → how far it must go, and who says so. A file may end earlier than its log; it says
    itself where it ends.
    """

    rows: Mapping[str, AsyncIterator[Found]] = field(default_factory=dict)
    known: Sequence[Known] = ()
    at_least: Mapping[str, tuple[int, str]] = field(default_factory=dict)


async def audit(stage: str, lanes: Mapping[int, Lane], file: Iterable[Found] = ()) -> Audit:
    """Walk every lane. `file` yields an export's events, lanes mixed; it sets the pace where it has some."""
    found = Audit(stage, {lane: LaneAudit() for lane in sorted(lanes)})
    walks = {lane: _Walk(found, lane, given) for lane, given in sorted(lanes.items())}
    for row in file:
        if row.lane not in walks:
            found.lanes[row.lane] = LaneAudit()
            walks[row.lane] = _Walk(found, row.lane, Lane())
        await walks[row.lane].step(row)
    for _, walk in sorted(walks.items()):
        while await walk.step():
            pass
        walk.finish()
    found.partings.sort(key=lambda at: (at.lane, at.sequence))
    return found


@dataclass(slots=True)
class _Source:
    """Where a source stands in a lane. `over`: it ended. `broken`: it cannot be followed any more. `astray`:
    it leads elsewhere than the heads written down."""

    head: bytes
    seq: int = 0
    known: int = 0
    """How many of the heads written down it has led to."""
    over: bool = False
    broken: bool = False
    astray: bool = False


class _Walk:
    """One lane, all sources side by side."""

    def __init__(self, found: Audit, lane: int, given: Lane) -> None:
        self._found, self._lane, self._given = found, lane, given
        self._known = sorted(given.known, key=lambda one: one.seq)
        self._sources = {name: _Source(beginning(found.stage, lane)) for name in given.rows}
        self._parted = False

    async def step(self, from_file: Found | None = None) -> bool:
        """One event further in every source; whether any had one."""
        rows: dict[str, Found] = {}
        if from_file is not None:
            self._sources.setdefault(FILE, _Source(beginning(self._found.stage, self._lane)))
            rows[FILE] = from_file
        for name, source in self._sources.items():
            if name == FILE or source.over:
                continue
            row = await anext(self._given.rows[name], None)
            if row is None:
                source.over = True
            else:
                rows[name] = row
        taken = {name: self._take(name, row) for name, row in rows.items()}
        self._compare({name: row for name, row in taken.items() if row is not None})
        for name, row in taken.items():
            if row is not None:
                self._hold_against_known(name, row)
        return bool(rows)

    def finish(self) -> None:
        """Every source was read to its end."""
        for name, source in self._sources.items():
            needed, who = self._given.at_least.get(name, (0, ""))
            if name == FILE or source.broken:
                continue
            lacks = next((one for one in self._known if one.seq > source.seq), None)
            if lacks is not None:
                says = f"ends at {source.seq}, but {lacks.where} holds its head at {lacks.seq}"
                self._part(source.seq + 1, "", name, "cut", says)
            elif source.seq < needed:
                self._part(source.seq + 1, "", name, "cut", f"ends at {source.seq}, but {who} says {needed}")
        lane = self._found.lanes[self._lane]
        lane.events = {name: source.seq for name, source in self._sources.items()}
        lane.heads = {name: source.head.hex() for name, source in self._sources.items()}
        sure = min((source.known for source in self._sources.values()), default=0)
        lane.anchored_up_to = max((one.seq for one in self._known[:sure] if one.anchor), default=0)

    def _take(self, name: str, row: Found) -> Published | None:
        """The next event of a source, if it is that; its chain goes on with it."""
        source = self._sources[name]
        if source.broken:
            return None
        expected = source.seq + 1
        if isinstance(row, Unreadable):
            self._break(expected, "", name, "unreadable", row.why)
            return None
        if row.seq != expected:
            self._break(expected, row.event_id, name, "hole", f"sequence {row.seq} stands in its place")
            return None
        source.head, source.seq = link(source.head, row.key, row.headers, row.value), row.seq
        if row.head and row.head != source.head:
            self._part(row.seq, row.event_id, name, "head", "it does not lead to the head that it says")
            source.head = row.head
        return row

    def _hold_against_known(self, name: str, row: Published) -> None:
        """A source's head against those written down at its sequence."""
        source = self._sources[name]
        if source.astray:
            return
        while source.known < len(self._known) and self._known[source.known].seq == row.seq:
            anchor = self._known[source.known]
            if anchor.head != source.head:
                before = max((one.seq for one in self._known if one.seq < row.seq), default=0)
                says = f"its chain is not what {anchor.where} holds; changed within {before + 1} to {row.seq}"
                self._part(row.seq, row.event_id, name, "anchor", says)
                source.astray = True
                break
            source.known += 1

    def _compare(self, rows: Mapping[str, Published]) -> None:
        """The same event has the same head everywhere, and what one source has the log has, too."""
        if self._parted or not rows:
            return
        name, row = next(iter(rows.items()))
        for other, same in rows.items():
            if same.seq == row.seq and self._sources[other].head != self._sources[name].head:
                says = f"it is not what the {name} holds: {_difference(same, row)}"
                self._part(row.seq, row.event_id, other, "differs", says)
        for other, source in self._sources.items():
            if source.over and not source.broken and other == DATABASE and source.seq < row.seq:
                self._part(row.seq, row.event_id, other, "cut", f"ends at {source.seq}; the {name} goes on")
                source.broken = True

    def _break(self, seq: int, event_id: str, source: str, kind: str, why: str) -> None:
        """A source that cannot be followed beyond this."""
        self._part(seq, event_id, source, kind, why)
        self._sources[source].broken = True

    def _part(self, seq: int, event_id: str, source: str, kind: str, why: str) -> None:
        self._parted = True
        self._found.partings.append(
            Parting(self._found.stage, self._lane, seq, event_id, source, kind, f"{source}: {why}")
        )


def _difference(one: Published, other: Published) -> str:
    """Which fields of two events differ, by name."""
    names = sorted(one.headers.keys() | other.headers.keys())
    differ = [name for name in names if one.headers.get(name) != other.headers.get(name)]
    differ = ["key"] * (one.key != other.key) + differ + ["value"] * (one.value != other.value)
    return ", ".join(name for name in differ if name != "traceparent") or "its past"


def of_row(row: LogRow, source: bytes) -> Published:
    """A row of the log, as the relay publishes it."""
    key, value, headers, _ = message(row, source)
    return Published(row.lane, row.seq, key, dict(headers), value)


def of_record(found: Record, seq: int) -> Published:
    """A record of the topic."""
    return Published(found.partition, seq, found.key or b"", dict(found.headers), found.value or b"")


def of_line(line: Mapping[str, object]) -> Published:
    """A line of an exported file. Raises KeyError, TypeError or ValueError: it is none, or holds more."""
    key, headers, value, head = line["key"], line["headers"], line["value"], line["head"]
    if not (isinstance(headers, dict) and isinstance(key, str) and isinstance(value, str)):
        raise TypeError("key, headers and value are not what they should be")
    if not isinstance(head, str) or not _HEAD.fullmatch(head):
        raise ValueError("its head is none")
    if len(line) != 4 or not headers.keys() <= _NAMES:
        raise ValueError("it holds what is in no chain")
    found = {name: str(text).encode() for name, text in headers.items()}
    lane, seq = int(found["ce_lane"]), int(found["ce_sequence"])
    return Published(lane, seq, key.encode(), found, value.encode(), bytes.fromhex(head))
