"""Sends the rows of a file to an edge, in batches, through several doors, and tells what became of each.

Rows come one at a time, so memory is bounded by the batches that are under way and by the failures that are
kept. Every row of a SKU goes through one door, so the first of two that name one SKU stays the first.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

from cli.client import Edges
from cli.output import console, table
from cli.rowfile import Row
from cli.text import add_row, tell

BATCH_ROWS_MAX = 500
SENDERS_MAX = 8
FAILURES_KEPT_MAX = 1000
FAILURES_SHOWN_MAX = 20
UNREADABLE = "unreadable"
Batch = list[tuple[int, dict[str, Any]]]
"""Lines and their rows."""


class Failure(NamedTuple):
    """A row that was not taken."""

    line: int
    code: str
    what: str
    next_step: str = ""


@dataclass(slots=True)
class Loaded:
    """What became of a file's rows so far."""

    rows: int = 0
    taken: int = 0
    units: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """Rows that were not taken, by code: `unreadable`, `superseded`, …"""
    failures: list[Failure] = field(default_factory=list)
    """Of the first so many."""

    def fail(self, line: int, code: str, what: str, next_step: str = "") -> None:
        """A row was not taken."""
        self.kinds[code] += 1
        if len(self.failures) < FAILURES_KEPT_MAX:
            self.failures.append(Failure(line, code, what, next_step))


def surveyed(rows: Iterable[Row], units: Callable[[dict[str, Any]], int]) -> Loaded:
    """How many rows a file has, the units that they tell of, and those that cannot be read."""
    found = Loaded()
    for line, row in rows:
        found.rows += 1
        if isinstance(row, str):
            found.fail(line, UNREADABLE, row)
        else:
            found.units += units(row)
    return found


class Post(NamedTuple):
    """How a batch is sent, and what its rows are worth."""

    send: Callable[[Edges, Batch], Sequence[dict[str, Any]]]
    """Send a batch; the result of each of its rows, as the edge answers many."""
    units: Callable[[dict[str, Any]], int]
    """Units that a row tells of."""
    before: frozenset[str] = frozenset()
    """Codes of refusals that say that the row was taken before: it counts as taken."""


def senders_for(rows: int) -> int:
    """How many should send a file of so many rows: one, unless it is more than a request for each."""
    return max(1, min(SENDERS_MAX, rows // BATCH_ROWS_MAX))


def load(
    doors: Sequence[Edges],
    rows: Iterable[Row],
    post: Post,
    progress: Callable[[int], None] = lambda rows: None,
    refused: Callable[[int], None] = lambda line: None,
) -> Loaded:
    """Send every row that can be read; each is answered with its line. `refused` is told the lines of those
    that were not taken, all of them.

    A request is answered when its rows are decided, so several are under way: one at each door.
    """
    so_far = Loaded()
    batches: list[Batch] = [[] for _ in doors]
    sent: list[Future[tuple[Loaded, list[int]]] | None] = [None] * len(doors)

    def collect(door: int) -> None:
        found = sent[door]
        if found is not None:
            done, lines = found.result()
            _add(so_far, done)
            for line in lines:
                refused(line)

    def send(door: int) -> None:
        collect(door)
        sent[door] = pool.submit(_send, doors[door], post, batches[door])
        batches[door] = []

    with ThreadPoolExecutor(len(doors)) as pool:
        for line, row in rows:
            so_far.rows += 1
            if isinstance(row, str):
                so_far.fail(line, UNREADABLE, row)
                refused(line)
                continue
            named = row["theirs"] if "theirs" in row else row["sku"]
            door = crc32(str(named).encode()) % len(doors)
            batches[door].append((line, row))
            if len(batches[door]) == BATCH_ROWS_MAX:
                send(door)
                progress(so_far.rows)
        for door, batch in enumerate(batches):
            if batch:
                send(door)
            collect(door)
    so_far.failures.sort()
    return so_far


def tell_loaded(name: str, done: Loaded, seconds: float) -> None:
    """What became of a file, for people."""
    for one in done.failures[:FAILURES_SHOWN_MAX]:
        tell(f"{name}:{one.line}: {one.code}: {one.what} {one.next_step}".rstrip())
    if (more := sum(done.kinds.values()) - FAILURES_SHOWN_MAX) > 0:
        tell(f"… and {more:,} more.")
    drawn = table("rows#", "taken#", "units#", *(f"{kind}#" for kind in sorted(done.kinds)))
    counts = (done.rows, done.taken, done.units, *(done.kinds[kind] for kind in sorted(done.kinds)))
    add_row(drawn, *(f"{number:,}" for number in counts))
    console.print(drawn)
    tell(f"{seconds:.1f} s.")


def as_json(done: Loaded) -> dict[str, Any]:
    """The same, for programs."""
    return {
        "rows": done.rows,
        "taken": done.taken,
        "units": done.units,
        "not_taken": dict(done.kinds),
        "failures": [one._asdict() for one in done.failures],
    }


def _add(so_far: Loaded, done: Loaded) -> None:
    so_far.taken += done.taken
    so_far.units += done.units
    so_far.kinds += done.kinds
    so_far.failures += done.failures[: max(0, FAILURES_KEPT_MAX - len(so_far.failures))]


def _send(edges: Edges, post: Post, batch: Batch) -> tuple[Loaded, list[int]]:
    """One batch: what became of it, and the lines of its rows that were not taken."""
    found, refused = Loaded(), list[int]()
    for (line, row), result in zip(batch, post.send(edges, batch), strict=True):
        problem = result.get("problem")
        code = "" if problem is None else str(problem.get("type", "")).rpartition(":")[2]
        if problem is not None and code not in post.before:
            refused.append(line)
            wrong = [f"{one['where']}: {one['what']}." for one in problem.get("errors", ())]
            what = " ".join([problem["detail"], *wrong])
            found.fail(line, code, what, problem.get("next_step", ""))
        elif problem is None and not result.get("decided"):
            refused.append(line)
            found.fail(
                line, "undecided", "Taken, and not decided within the time waited.", "Load the file again."
            )
        else:
            found.taken += 1
            found.units += post.units(row)
    return found, refused
