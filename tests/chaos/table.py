"""The table of `make chaos`: a row for each case, printed and kept in docs/reliability.md."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
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
    lines = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1))]
    lines += [row.cells() for row in sorted(rows, key=lambda row: row.number)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def keep(rows: Sequence[Row], seconds: float) -> None:
    """Write the table into the page, between its markers."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    assert ended, f"{PAGE} has no markers {BEGIN} and {END}"
    said = (
        f"As `make chaos` printed it: {len(rows)} cases in {seconds:.0f} s on {_machine()}, at {_commit()}."
    )
    PAGE.write_text(f"{before}{BEGIN}\n{said}\n\n{markdown(rows)}\n{END}{after}")


def _machine() -> str:
    return f"{os.cpu_count()} cores shared with broker and database"


def _commit() -> str:
    done = subprocess.run(("git", "rev-parse", "--short", "HEAD"), cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "no commit"
