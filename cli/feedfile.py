"""A feed's file: announced as one run, then sent in batches (`sending`).

The file is read twice: first for its sums and errors, then to be sent, so that memory does not grow with it.
The run is named by what the file says and as of when, so the same file again is the same run, and nothing is
done twice; a later file that says the same is another.
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
    moment_named: bool = False
    """Whether somebody said of when it is; else that is the file's own time."""

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
    known = _defined(edges, feed)
    if known is None or not known.get("mapped"):
        return None
    return int(edges.get("inventory", f"/v1/stock/feeds/{feed}/map/summary")["changes"])


def _defined(edges: Edges, feed: str) -> dict[str, Any] | None:
    """The feed as inventory has it, with its last full run; None, nobody has defined it."""
    feeds = edges.get("inventory", "/v1/stock/feeds")["feeds"]
    return next((one for one in feeds if one["feed"] == feed), None)


def run_id(file: FeedFile) -> str:
    """The run's name: the same for the same file. Differences that were copied are not told again as of the
    copy's time, unless somebody says that they are of another."""
    said = digest(file.path)
    if file.mode == "full" or file.moment_named:
        said = _key(said, file.stated_at.isoformat())[:16]
    return f"{file.path.name[:100]}-{said}"


def announce(edges: Edges, file: FeedFile, found: Loaded) -> bool:
    """Open the run of a full feed; whether it is held for a person, and nobody has approved it since."""
    run = run_id(file)
    body = {
        "run_id": run,
        "rows": found.rows,
        "units": found.units,
        "stated_at": file.stated_at.isoformat(),
    }
    key = _key(file.feed, run, found.rows, found.units)
    edges.decided("inventory", f"/v1/stock/feeds/{file.feed}/runs", body, key=f"run-{key}")
    opened = (_defined(edges, file.feed) or {}).get("last_run") or {}
    return opened.get("run_id") == run and bool(opened.get("held"))


def posting(file: FeedFile) -> Post:
    """How the rows of the file are sent."""
    run = run_id(file)
    asked = f"{file.feed}/{run}" if file.map_changes is None else f"{file.feed}/{run}/{file.map_changes}"
    taken = frozenset() if file.map_changes is None else frozenset({"already_reported"})

    def send(edges: Edges, batch: Batch) -> Sequence[dict[str, Any]]:
        """The key is the run and the first line, so the same file again asks for the same answers; other ones
        once the feed's map was changed."""
        key = _key(asked, batch[0][0])
        named = {"run_id": run} if file.mode == "full" else {}
        body = {"items": [row | named for _, row in batch]}
        path = f"/v1/stock/feeds/{file.feed}/rows"
        answer = edges.send("inventory", path, body, wait_seconds=30, key=key, events=False)
        found: Sequence[dict[str, Any]] = answer["results"]
        return found

    return Post(send, _units, taken)


def _key(*named: object) -> str:
    """What tells these from others, in 32 characters."""
    return hashlib.blake2b("/".join(map(str, named)).encode(), digest_size=16).hexdigest()
