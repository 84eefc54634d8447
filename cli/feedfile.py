"""Loads a feed's file: brought to our SKUs and packs, announced as one run, then sent in batches.

The file is read twice: first for its sums and errors, then to be sent, so that memory does not grow with it.
The run's name is the file's digest and its time the file's own, so the same file again is the same run, and
nothing is done twice.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from cli.client import Edges
from cli.rowfile import digest, read_rows, whole
from libs.runtime.complaint import Complaint

BATCH_ROWS_MAX = 500
SENDERS_MAX = 8
FAILURES_KEPT_MAX = 1000
COLUMNS = ("sku", "quantity", "pack_size")
MAP_COLUMNS = ("theirs", "sku", "pack_size")
_PACKS_MAX, _PACK_MAX = 1_000_000, 100_000
Mode = Literal["full", "delta"]
SkuMap = dict[str, tuple[str, int]]
"""Their SKU → ours, and units of a pack."""
Batch = list[tuple[int, dict[str, Any]]]
"""Lines and their rows."""


@dataclass(slots=True)
class Loaded:
    """What became of a file's rows so far."""

    rows: int = 0
    taken: int = 0
    units: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """Rows that were not taken, by code: `unreadable`, `superseded`, …"""
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    """Line, code and sentence, of the first so many."""

    def fail(self, line: int, code: str, what: str) -> None:
        self.kinds[code] += 1
        if len(self.failures) < FAILURES_KEPT_MAX:
            self.failures.append((line, code, what))


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A file, and how its rows are to be understood."""

    feed: str
    path: Path
    mode: Mode
    stated_at: datetime
    skus: SkuMap | None

    def rows(self) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Each row as inventory takes it, or what is wrong with it."""
        for line, row in read_rows(self.path, ("sku", "quantity"), COLUMNS):
            yield line, row if isinstance(row, str) else self._row(row)

    def _row(self, row: dict[str, Any]) -> dict[str, Any] | str:
        theirs, least = str(row["sku"]), -_PACKS_MAX if self.mode == "delta" else 0
        sku, pack_size = theirs, 1
        if self.skus is not None:
            if theirs not in self.skus:
                return f"{theirs} is not in the map"
            sku, pack_size = self.skus[theirs]
        try:
            packs = whole(row["quantity"], "quantity", least, _PACKS_MAX)
            pack_size = whole(row.get("pack_size", pack_size), "pack_size", 1, _PACK_MAX)
        except ValueError as wrong:
            return str(wrong)
        return {
            "sku": sku,
            "mode": self.mode,
            "packs": packs,
            "pack_size": pack_size,
            "stated_at": self.stated_at.isoformat(),
        }


def read_map(path: Path) -> SkuMap:
    """Their SKUs in ours. Complaint: a row of it cannot be read, or a SKU of theirs is there twice."""
    found: SkuMap = {}
    for line, row in read_rows(path, ("theirs", "sku"), MAP_COLUMNS):
        what = row if isinstance(row, str) else ""
        if isinstance(row, dict):
            try:
                pack_size = whole(row.get("pack_size", 1), "pack_size", 1, _PACK_MAX)
                if found.setdefault(str(row["theirs"]), (str(row["sku"]), pack_size)) != (
                    str(row["sku"]),
                    pack_size,
                ):
                    what = f"{row['theirs']} is there twice"
            except ValueError as wrong:
                what = str(wrong)
        if what:
            raise Complaint(f"{path.name}:{line}: {what}.", "Correct the map; nothing was sent.")
    return found


def survey(file: FeedFile) -> Loaded:
    """The file's sums, and the rows that cannot be read."""
    found = Loaded()
    for line, row in file.rows():
        found.rows += 1
        if isinstance(row, str):
            found.fail(line, "unreadable", row)
        else:
            found.units += max(0, row["packs"] * row["pack_size"])
    return found


def run_id(file: FeedFile) -> str:
    """The run's name: the same for the same file."""
    return f"{file.path.name[:100]}-{digest(file.path)}"


def announce(edges: Edges, file: FeedFile, found: Loaded) -> bool:
    """Open the run of a full feed; whether it is held for a person."""
    body = {
        "run_id": run_id(file),
        "rows": found.rows,
        "units": found.units,
        "stated_at": file.stated_at.isoformat(),
    }
    answer = edges.decided("inventory", f"/v1/stock/feeds/{file.feed}/runs", body, key=f"run-{run_id(file)}")
    return any(event["data"].get("held") for event in answer["events"])


def senders_for(rows: int) -> int:
    """How many should send a file of so many rows: one, unless it is more than a request for each."""
    return max(1, min(SENDERS_MAX, rows // BATCH_ROWS_MAX))


def load(
    doors: Sequence[Edges], file: FeedFile, progress: Callable[[int], None] = lambda rows: None
) -> Loaded:
    """Send every row that can be read; each is answered with its line.

    A request is answered when its rows are decided, so several are under way: one at each door. All rows of a
    SKU go through one door, so the first of two that name one SKU stays the first.
    """
    so_far = Loaded()
    run = run_id(file)
    batches: list[Batch] = [[] for _ in doors]
    sent: list[Future[Loaded] | None] = [None] * len(doors)

    def send(door: int) -> None:
        _collect(sent[door], so_far)
        sent[door] = pool.submit(_send, doors[door], file, run, batches[door])
        batches[door] = []

    with ThreadPoolExecutor(len(doors)) as pool:
        for line, row in file.rows():
            so_far.rows += 1
            if isinstance(row, str):
                so_far.fail(line, "unreadable", row)
                continue
            door = crc32(row["sku"].encode()) % len(doors)
            batches[door].append((line, row | ({"run_id": run} if file.mode == "full" else {})))
            if len(batches[door]) == BATCH_ROWS_MAX:
                send(door)
                progress(so_far.rows)
        for door, batch in enumerate(batches):
            if batch:
                send(door)
            _collect(sent[door], so_far)
    so_far.failures.sort()
    return so_far


def _collect(sent: Future[Loaded] | None, so_far: Loaded) -> None:
    """Wait for a request, and add what became of its rows."""
    if sent is None:
        return
    done = sent.result()
    so_far.taken += done.taken
    so_far.units += done.units
    so_far.kinds += done.kinds
    so_far.failures += done.failures[: max(0, FAILURES_KEPT_MAX - len(so_far.failures))]


def _send(edges: Edges, file: FeedFile, run: str, batch: Batch) -> Loaded:
    """One batch. Its key is the run and its first line, so the same file again asks for the same answers."""
    found = Loaded()
    key = hashlib.blake2b(f"{file.feed}/{run}/{batch[0][0]}".encode(), digest_size=16).hexdigest()
    body = {"items": [row for _, row in batch]}
    path = f"/v1/stock/feeds/{file.feed}/rows"
    answer = edges.send("inventory", path, body, wait_seconds=30, key=key, events=False)
    for (line, row), result in zip(batch, answer["results"], strict=True):
        problem = result.get("problem")
        if problem is not None:
            code = str(problem.get("type", "")).rpartition(":")[2]
            found.fail(line, code, f"{problem['detail']} {problem.get('next_step', '')}".strip())
        elif not result.get("decided"):
            found.fail(line, "undecided", "Taken, and not decided within the time waited.")
        else:
            found.taken += 1
            found.units += max(0, row["packs"] * row["pack_size"])
    return found
