"""A feed's file: announced as one run, then sent in batches (`sending`).

The file is read twice: first for its sums and errors, then to be sent, so that memory does not grow with it.
The run's name is the file's digest and its time the file's own, so the same file again is the same run, and
nothing is done twice.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from cli.client import Edges
from cli.rowfile import digest, read_rows, whole
from cli.sending import Batch, Loaded, Post, surveyed

COLUMNS = ("sku", "quantity", "pack_size")
THEIR_COLUMNS = ("theirs", *COLUMNS)
"""Of a feed that has a map: `sku` is theirs as well, where there is no such column."""
_PACKS_MAX, _PACK_MAX = 1_000_000, 100_000
Mode = Literal["full", "delta"]


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A file, and how its rows are to be understood."""

    feed: str
    path: Path
    mode: Mode
    stated_at: datetime
    map_changes: int | None = None
    """Of a feed that has a map: how often it was changed. Its rows name their SKUs."""

    def rows(self) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Each row as inventory takes it, or what is wrong with it."""
        ours = self.map_changes is None
        required, known = (("sku", "quantity"), COLUMNS) if ours else (("quantity",), THEIR_COLUMNS)
        for line, row in read_rows(self.path, required, known):
            yield line, row if isinstance(row, str) else self._row(row) if ours else self._in_their_words(row)

    def _in_their_words(self, row: dict[str, Any]) -> dict[str, Any] | str:
        if ("theirs" in row) == ("sku" in row):
            return (
                "theirs is missing"
                if "sku" not in row
                else "theirs and sku are both there; the map says ours"
            )
        try:
            packs = whole(row["quantity"], "quantity", self._least, _PACKS_MAX)
            said = {"theirs": str(row.get("theirs", row.get("sku"))), "mode": self.mode, "packs": packs}
            if "pack_size" in row:
                said["pack_size"] = whole(row["pack_size"], "pack_size", 1, _PACK_MAX)
        except ValueError as wrong:
            return str(wrong)
        return said | {"stated_at": self.stated_at.isoformat()}

    @property
    def _least(self) -> int:
        return -_PACKS_MAX if self.mode == "delta" else 0

    def _row(self, row: dict[str, Any]) -> dict[str, Any] | str:
        try:
            packs = whole(row["quantity"], "quantity", self._least, _PACKS_MAX)
            pack_size = whole(row.get("pack_size", 1), "pack_size", 1, _PACK_MAX)
        except ValueError as wrong:
            return str(wrong)
        return {
            "sku": str(row["sku"]),
            "mode": self.mode,
            "packs": packs,
            "pack_size": pack_size,
            "stated_at": self.stated_at.isoformat(),
        }


def survey(file: FeedFile) -> Loaded:
    """The file's sums, and the rows that cannot be read."""
    return surveyed(file.rows(), _units)


def _units(row: dict[str, Any]) -> int:
    """Units that a row tells of; in their packs, where the feed's map says how large those are."""
    packs: int = row["packs"]
    return max(0, packs * int(row.get("pack_size", 1)))


def map_changes(edges: Edges, feed: str) -> int | None:
    """How often a feed's map was changed; None, it has none."""
    feeds = edges.get("inventory", "/v1/stock/feeds")["feeds"]
    if not any(one["feed"] == feed and one.get("mapped") for one in feeds):
        return None
    return int(edges.get("inventory", f"/v1/stock/feeds/{feed}/map/summary")["changes"])


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


def posting(file: FeedFile) -> Post:
    """How the rows of the file are sent."""
    run = run_id(file)
    asked = f"{file.feed}/{run}" if file.map_changes is None else f"{file.feed}/{run}/{file.map_changes}"
    taken = frozenset() if file.map_changes is None else frozenset({"already_reported"})

    def send(edges: Edges, batch: Batch) -> Sequence[dict[str, Any]]:
        """The key is the run and the first line, so the same file again asks for the same answers; other ones
        once the feed's map was changed."""
        key = hashlib.blake2b(f"{asked}/{batch[0][0]}".encode(), digest_size=16).hexdigest()
        named = {"run_id": run} if file.mode == "full" else {}
        body = {"items": [row | named for _, row in batch]}
        path = f"/v1/stock/feeds/{file.feed}/rows"
        answer = edges.send("inventory", path, body, wait_seconds=30, key=key, events=False)
        found: Sequence[dict[str, Any]] = answer["results"]
        return found

    return Post(send, _units, taken)
