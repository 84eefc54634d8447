"""Files of facts from outside: deliveries, corrections, purchase orders, transfers and counts, row by row.

A row is a command. Its id comes of the tenant, the file's digest and its line, so the same file again, under
whatever name, asks for the same answers and books nothing twice. The file is read twice: first to count its
rows and find those that cannot be read, then to be sent, so that memory does not grow with it.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import orjson
from pydantic import ValidationError

from cli.client import Edges
from cli.moments import moment
from cli.rowfile import Row, digest, read_rows, whole
from cli.sending import Batch, Loaded, Post, surveyed
from cli.stock_lots import counted_lots, of_lots
from libs.events.catalogue import problems
from libs.events.contract import Command
from libs.events.ids import command_id
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.stocktaking import RecordCount
from libs.events.supply import DispatchTransfer, ExpectSupply, ReceiveSupply, ReceiveTransfer
from libs.runtime.complaint import Complaint

_MOST = 1_000_000_000
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_TIMES = ("effective_at", "expected_at", "stated_at", "due_at", "counted_at")
_WHOLE = ("quantity", "damaged", "delta", "counted")
_SEPARATOR = ";"


class Kind(NamedTuple):
    """What a file's rows are: the command of each, its columns, and the column of its units."""

    command: type[Command]
    required: tuple[str, ...]
    others: tuple[str, ...]
    units: str = "quantity"


_ARRIVES = ("unit", "lot", "expires_on", "serials", "effective_at")
KINDS: Mapping[str, Kind] = {
    "receipts": Kind(ReceiveStock, ("sku", "node", "quantity"), ("reference", *_ARRIVES)),
    "adjustments": Kind(
        AdjustStock,
        ("sku", "node", "delta", "reason_code"),
        ("reference", "unit", "lot", "serials", "effective_at"),
        "delta",
    ),
    "expected": Kind(
        ExpectSupply,
        ("sku", "supply_id", "node", "quantity", "expected_at"),
        ("stated_at", "document", "supplier", "unit"),
    ),
    "arrivals": Kind(
        ReceiveSupply,
        ("sku", "supply_id", "receipt_id", "node", "quantity"),
        ("damaged", "damaged_serials", "final", *_ARRIVES),
    ),
    "transfers": Kind(
        DispatchTransfer,
        ("sku", "transfer_id", "source_node", "target_node", "quantity", "due_at"),
        ("lots", "serials", "effective_at"),
    ),
    "landings": Kind(
        ReceiveTransfer,
        ("sku", "transfer_id", "receipt_id", "quantity"),
        ("damaged", "final", "lots", "damaged_lots", "serials", "damaged_serials", "effective_at"),
    ),
    "counts": Kind(
        RecordCount,
        ("sku", "node", "counted"),
        ("count_id", "counted_at", "reason_code", "unit", "lot", "lots", "serials"),
        "counted",
    ),
}


@dataclass(frozen=True, slots=True)
class FactFile:
    """A file, and what its rows are. `stated_at` is when a row is said that names no time of its own and
    needs one: the purchase orders' statements, and the counts'."""

    path: Path
    kind: Kind
    stated_at: datetime
    tenant: str
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", digest(self.path))

    def columns(self) -> tuple[str, ...]:
        """Those that a file may have."""
        return (*self.kind.required, *self.kind.others)

    def rows(self) -> Iterator[Row]:
        """Each row as inventory takes it, or what is wrong with it."""
        for line, row in read_rows(self.path, self.kind.required, self.columns()):
            yield line, row if isinstance(row, str) else self._row(line, row)

    def _row(self, line: int, row: dict[str, Any]) -> dict[str, Any] | str:
        strange = [name for name in row if name not in self.columns()]
        if strange:
            return f"{', '.join(strange)} is no column; columns are {', '.join(self.columns())}"
        try:
            body = _read(row, self.kind)
        except ValueError as wrong:
            return str(wrong)
        except Complaint as wrong:
            return wrong.sentence
        if self.kind.command is ExpectSupply:
            body.setdefault("stated_at", self.stated_at.isoformat())
        if self.kind.command is RecordCount:
            body.setdefault("counted_at", self.stated_at.isoformat())
            body.setdefault("count_id", f"{self.name}-{line}")
        return _unfit(self.kind.command, body) or body


def survey(file: FactFile) -> Loaded:
    """How many rows the file has, and those that cannot be read."""
    return surveyed(file.rows(), lambda row: abs(row[file.kind.units]))


def posting(file: FactFile) -> Post:
    """How the rows of the file are sent: counts by the edge that knows the books of their time."""

    def send(edges: Edges, batch: Batch) -> Sequence[dict[str, Any]]:
        body: dict[str, Any] = {"commands": [_command(file, line, row) for line, row in batch]}
        path = "/v1/commands"
        if file.kind.command is RecordCount:
            body, path = {"items": [row for _, row in batch]}, "/v1/stock/counts"
        answer = edges.send("inventory", path, body, wait_seconds=30, events=False)
        found: Sequence[dict[str, Any]] = answer["results"]
        return found

    # A count has a book that changes, so its own id tells that it was taken before.
    before = frozenset({"already_counted"}) if file.kind.command is RecordCount else frozenset[str]()
    return Post(send, lambda row: abs(row[file.kind.units]), before)


class Refusals:
    """Writes the rows that were not taken to a file of the same kind and columns, in their order, to be
    corrected and loaded alone."""

    def __init__(self, file: FactFile, path: Path) -> None:
        self._file, self._path, self._lines = file, path, set[int]()

    def add(self, line: int) -> None:
        """This row was not taken."""
        self._lines.add(line)

    def write(self) -> int:
        """Write them; how many. Rows that are no CSV or JSON at all are not among them."""
        rows = (
            row
            for line, row in read_rows(self._file.path, (), self._file.columns())
            if line in self._lines and isinstance(row, dict)
        )
        with self._path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
            put = _writer(out, self._path, self._file.columns())
            written = 0
            for row in rows:
                put(row)
                written += 1
        return written


def _writer(out: TextIO, path: Path, columns: Sequence[str]) -> Callable[[dict[str, Any]], object]:
    if path.suffix.lower() == ".csv":
        rows = csv.DictWriter(out, columns, lineterminator="\n")
        rows.writeheader()
        return rows.writerow
    return lambda row: out.write(orjson.dumps(row).decode() + "\n")


def _command(file: FactFile, line: int, row: dict[str, Any]) -> dict[str, Any]:
    type_ = file.kind.command.TYPE
    # A statement that is said anew at another time is another one; nothing else depends on the file's time.
    said = f"/{row['stated_at']}" if file.kind.command is ExpectSupply else ""
    key = f"load/{type_}/{file.name}/{line}{said}"
    return {"type": type_, "id": str(command_id(file.tenant, key)), "data": row}


def _read(row: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """The row with its cells as JSON has them. ValueError, Complaint."""
    body = {name: value for name, value in row.items() if value is not None}
    for name in _WHOLE:
        if name in body:
            body[name] = whole(body[name], name, -_MOST if name == "delta" else 0, _MOST)
    for name in _TIMES:
        if name in body:
            body[name] = moment(str(body[name])).astimezone(UTC).isoformat()
    if "final" in body and not isinstance(body["final"], bool):
        said = str(body["final"]).lower()
        if said not in _YES:
            raise ValueError(f"final is {body['final']!r}; it must be true or false")
        body["final"] = _YES[said]
    for name in ("serials", "damaged_serials"):
        if isinstance(body.get(name), str):
            body[name] = _parts(body[name])
    for name, units in (("lots", "quantity"), ("damaged_lots", "damaged")):
        if isinstance(body.get(name), str):
            lots = _parts(body.pop(name))
            counted = kind.command is RecordCount
            body |= counted_lots(lots) if counted else of_lots(lots, body.get(units, 0), name)
    return body


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(_SEPARATOR) if part.strip()]


def _unfit(command: type[Command], body: dict[str, Any]) -> str:
    """What the contract says against a row; nothing, if it fits."""
    told = body
    if command is RecordCount:  # the edge fills in the books
        lots = [{**one, "book": 0} if isinstance(one, dict) else one for one in body.get("lots") or ()]
        told = body | {"book": 0, "position": 0} | ({"lots": lots} if lots else {})
    try:
        command.model_validate(told)
    except ValidationError as error:
        return "; ".join(f"{one.where}: {one.what}" for one in problems(error)[:3])
    return ""
