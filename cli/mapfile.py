"""A feed's map in a file: read a row at a time, and written a page at a time.

Of the rows that were read only a fingerprint of each SKU of theirs is kept, 8 bytes, to tell that one is
there twice, and which entries the file lacks.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cli.client import Edges
from cli.rowfile import read_rows, whole
from cli.sending import Batch, Post

COLUMNS = ("theirs", "sku", "pack_size", "per")
PAGE_ROWS = 500
_PACK_MAX = 100_000


@dataclass(slots=True)
class MapFile:
    """Entries of a map, as inventory takes them."""

    path: Path
    seen: set[int] = field(default_factory=set)
    """Fingerprints of their SKUs that were read."""

    def rows(self) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Each entry, or what is wrong with it, from the first on."""
        self.seen.clear()
        for line, row in read_rows(self.path, ("theirs", "sku"), COLUMNS):
            yield line, row if isinstance(row, str) else self._entry(row)

    def has(self, theirs: str) -> bool:
        """Whether a SKU of theirs was read."""
        return _fingerprint(theirs) in self.seen

    def _entry(self, row: dict[str, Any]) -> dict[str, Any] | str:
        theirs, before = str(row["theirs"]), len(self.seen)
        self.seen.add(_fingerprint(theirs))
        if len(self.seen) == before:
            return f"{theirs} is there twice"
        try:
            sizes = {name: whole(row.get(name, 1), name, 1, _PACK_MAX) for name in ("pack_size", "per")}
        except ValueError as wrong:
            return str(wrong)
        return {"theirs": theirs, "sku": str(row["sku"]), **sizes}


def path(feed: str, what: str) -> str:
    """Where a feed's `map` or its `unmapped` SKUs are."""
    return f"/v1/stock/feeds/{quote(feed, safe='')}/{what}"


def posting(feed: str) -> Post:
    """How entries are sent. Sent again, they change nothing, so no key is of the file."""

    def send(edges: Edges, batch: Batch) -> Sequence[dict[str, Any]]:
        body = {"items": [row for _, row in batch]}
        answer = edges.send("inventory", path(feed, "map"), body, wait_seconds=30, events=False)
        found: Sequence[dict[str, Any]] = answer["results"]
        return found

    return Post(send, lambda row: 0)


def pages(edges: Edges, feed: str, what: str) -> Iterator[list[dict[str, Any]]]:
    """The `map` of a feed, or its `unmapped` SKUs, page by page, by their SKU."""
    after: str | None = ""
    while after is not None:
        page = edges.get("inventory", path(feed, what), limit=PAGE_ROWS, after=after)
        yield page["skus" if what == "map" else "unmapped"]
        after = page["next"]


def write(target: Path, found: Iterable[list[dict[str, Any]]]) -> int:
    """Write entries, or what is unmapped, as a file that can be corrected and sent; how many."""
    rows = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, COLUMNS, extrasaction="ignore", restval="", lineterminator="\n")
        out.writeheader()
        for page in found:
            out.writerows(page)
            rows += len(page)
    return rows


def _fingerprint(theirs: str) -> int:
    return int.from_bytes(hashlib.blake2b(theirs.encode(), digest_size=8).digest(), "big")
