"""The table of `make chaos`: a row for each case, printed and kept in docs/reliability.md."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.bench.machine import commit
from tests import page

_ROW = re.compile(r"^\| (\d+)\. .*$", re.MULTILINE)
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
    _, old, _ = page.part(page.RELIABILITY, "chaos")
    lines = {int(found[1]): found[0] for found in _ROW.finditer(old)}
    lines |= {row.number: _line(row.cells()) for row in rows}
    ran = "all of them" if len(rows) == len(lines) else f"{len(rows)} of them in the last run,"
    said = (
        f"As `make chaos` printed it: {len(lines)} cases, {ran} in {seconds:.0f} s,"
        f" on {os.cpu_count()} cores shared with broker and database, at {commit()}."
    )
    page.write(page.RELIABILITY, "chaos", f"{said}\n\n{_drawn(lines)}")
