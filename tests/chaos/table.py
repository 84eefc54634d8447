"""The table of `make chaos`: a row for each case, printed and kept in docs/reliability.md."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
_ROW = re.compile(r"^\| (\d+)\. .*$", re.MULTILINE)
BEGIN, END = "<!-- chaos -->", "<!-- /chaos -->"
COLUMNS = ("test", "faults injected", "orders through", "lost", "doubled", "oversold", "seconds to recover")


@dataclass(frozen=True, slots=True)
class Row:
    """What one case came to. `seconds` from the last fault until every order was seen to; None where the
    case has no fault to recover from."""

    number: int
    name: str
    faults: int
    orders: int
    lost: int
    doubled: int
    oversold: int
    seconds: float | None
    holds: bool

    def cells(self) -> tuple[str, ...]:
        name = f"{self.number}. {self.name}" + ("" if self.holds else " **FAILED**")
        seconds = "–" if self.seconds is None else f"{self.seconds:.1f}"
        counts = (self.faults, self.orders, self.lost, self.doubled, self.oversold)
        return name, *map(str, counts), seconds


def markdown(rows: Sequence[Row]) -> str:
    """The table, in order of the cases' numbers."""
    return _drawn({row.number: _line(row.cells()) for row in rows})


def _drawn(lines: Mapping[int, str]) -> str:
    head = (_line(COLUMNS), _line(("---", *["---:"] * (len(COLUMNS) - 1))))
    return "\n".join((*head, *(lines[number] for number in sorted(lines))))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def keep(rows: Sequence[Row], seconds: float) -> None:
    """Write the table into the page, between its markers. Cases that were not run keep their rows."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    old, ended, after = rest.partition(END)
    assert ended, f"{PAGE} has no markers {BEGIN} and {END}"
    lines = {int(found[1]): found[0] for found in _ROW.finditer(old)}
    lines |= {row.number: _line(row.cells()) for row in rows}
    ran = "all of them" if len(rows) == len(lines) else f"{len(rows)} of them in the last run,"
    said = (
        f"As `make chaos` printed it: {len(lines)} cases, {ran} in {seconds:.0f} s,"
        f" on {os.cpu_count()} cores shared with broker and database, at {_commit()}."
    )
    PAGE.write_text(f"{before}{BEGIN}\n{said}\n\n{_drawn(lines)}\n\n{END}{after}")


def _commit() -> str:
    done = subprocess.run(("git", "rev-parse", "--short", "HEAD"), cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "no commit"
