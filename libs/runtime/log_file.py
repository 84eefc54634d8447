"""A stage's published log as a file: one event a line, as it is on its topic, with its lane's head after it.

The last line holds each lane's last sequence and head. `.gz` is packed. Written and read in bounded memory.
docs/audit.md describes it for whoever reads it elsewhere.
"""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import orjson

from libs.events.chain import CHAINED, beginning, link
from libs.runtime.audit import FILE, Audit, LaneAudit, Parting, Published, of_line
from libs.runtime.complaint import Complaint

_PACKING = 6
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)


class LogFileWriter:
    """`add` events, each lane's in sequence, then `close`."""

    def __init__(self, out: IO[bytes], stage: str) -> None:
        self._out, self._stage = out, stage
        self._ends: dict[int, tuple[int, bytes]] = {}

    def add(self, row: Published) -> None:
        last, head = self._ends.get(row.lane) or (0, beginning(self._stage, row.lane))
        assert row.seq == last + 1, f"lane {row.lane}: {row.seq} came after {last}"
        head = link(head, row.key, row.headers, row.value)
        self._ends[row.lane] = (row.seq, head)
        line = {
            "key": row.key.decode(),
            "headers": {name: row.headers[name].decode() for name in CHAINED if name in row.headers},
            "value": row.value.decode(),
            "head": head.hex(),
        }
        self._out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> dict[int, tuple[int, str]]:
        """Write the last line; last sequence and head by lane."""
        ends = {lane: (seq, head.hex()) for lane, (seq, head) in sorted(self._ends.items())}
        lanes = {str(lane): {"sequence": seq, "head": head} for lane, (seq, head) in ends.items()}
        last = {"stage": self._stage, "heads": lanes}
        self._out.write(orjson.dumps(last, option=orjson.OPT_APPEND_NEWLINE))
        return ends


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which has its name only once it is whole. Complaint: it cannot be written."""
    beside = path.with_name(path.name + ".part")
    try:
        with _open(beside, "wb", packed=path.suffix == ".gz") as out:
            yield out
        beside.replace(path)
    except OSError as error:
        raise Complaint(f"{path} cannot be written: {error}.", "Choose another file.") from error
    finally:
        beside.unlink(missing_ok=True)


class LogFile:
    """An exported file. Iterating yields its events; then `ends` is what its last line says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said = ""
        """The stage that the last line names."""
        self.ends: Mapping[int, tuple[int, str]] | None = None
        self.faults: list[str] = []
        """What could not be read, by line; the first few."""
        self._last: Published | None = None
        first = next(iter(self), None)
        if self.ends is None and first is None:
            raise Complaint(
                f"{path} is no exported log: {'; '.join(self.faults) or 'it holds nothing'}.",
                "Make one: orderlog log export STAGE FILE",
            )
        written_by = first.headers.get("ce_source", b"").decode() if first else ""
        self.stage = written_by[len("orderlog/") :] or self._said

    def __iter__(self) -> Iterator[Published]:
        """From the first line. Complaint: the file cannot be opened."""
        self.ends, self.faults, self._last = None, [], None
        number = 0
        try:
            with _open(self._path, "rb", packed=self._path.suffix == ".gz") as lines:
                for number, line in enumerate(lines, 1):
                    if (row := self._read(number, line)) is not None:
                        self._last = row
                        yield row
        except _BROKEN as error:
            self.faults.append(f"beyond line {number} it cannot be unpacked ({error})")
        except OSError as error:
            raise Complaint(f"{self._path} cannot be read: {error}.", "Is that its name?") from error

    def judge(self, audit: Audit) -> None:
        """Hold the events that were walked against the last line."""
        if self.ends is None:
            lane, seq = (self._last.lane, self._last.seq) if self._last else (0, 0)
            says = "; ".join([f"{FILE}: its last line is missing", *self.faults])
            audit.partings.append(Parting(audit.stage, lane, seq + 1, "", FILE, "cut", says))
            return
        if self._said != audit.stage:
            says = f"{FILE}: its last line is for {self._said!r}"
            audit.partings.append(Parting(audit.stage, -1, 0, "", FILE, "head", says))
        for lane, (seq, head) in self.ends.items():
            found = audit.lanes.get(lane, LaneAudit())
            ends = found.events.get(FILE, 0)
            if any(at.lane == lane and at.source == FILE for at in audit.partings):
                continue
            if ends != seq:
                says = "; ".join([f"{FILE}: ends at {ends}, its last line says {seq}", *self.faults])
                audit.partings.append(Parting(audit.stage, lane, ends + 1, "", FILE, "cut", says))
            elif found.heads[FILE] != head:
                says = f"{FILE}: it does not lead to the head in its last line"
                audit.partings.append(Parting(audit.stage, lane, seq, "", FILE, "head", says))
        for lane in audit.lanes.keys() - self.ends.keys():
            says = f"{FILE}: its last line does not know the lane"
            if audit.lanes[lane].events.get(FILE):
                audit.partings.append(Parting(audit.stage, lane, 1, "", FILE, "head", says))
        if self.faults and audit.holds:
            says = f"{FILE}: {'; '.join(self.faults)}"
            audit.partings.append(Parting(audit.stage, -1, 0, "", FILE, "unreadable", says))

    def _read(self, number: int, line: bytes) -> Published | None:
        try:
            if self.ends is not None:
                raise ValueError("it comes after the last one")
            read = orjson.loads(line)
            if "heads" in read:
                self._said = str(read["stage"])
                self.ends = {
                    int(lane): (int(at["sequence"]), str(at["head"])) for lane, at in read["heads"].items()
                }
                return None
            return of_line(read)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if len(self.faults) < 10:
                self.faults.append(f"line {number} cannot be read ({error})")
            return None


def _open(path: Path, mode: str, *, packed: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, mode, _PACKING) if packed else path.open(mode))
