"""Reads orders from a file: JSON, NDJSON or CSV, one at a time, each with the line at which it starts.

A row that cannot be read becomes a sentence instead of an order, and reading goes on where it can: nothing is
skipped unseen. Memory is bounded by the largest order, not by the file. What an order must hold is decided by
intake, not here; docs/demo.md shows a file of each kind.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

Loaded = tuple[int, dict[str, object] | str]
"""Line number from 1, and the order as POST /v1/orders takes it, or what is wrong with it."""

ORDER_BYTES_MAX = 1_048_576
"""An order larger than this is an error: intake would refuse it."""
_CHUNK_BYTES = 65_536
_SPACE = re.compile(r"[ \t\r\n]*")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")

SUFFIXES = {".json": "JSON", ".ndjson": "NDJSON", ".jsonl": "NDJSON", ".csv": "CSV"}

ORDER_COLUMNS = ("channel", "external_id", "placed_at", "currency", "payment", "customer_id", "total_minor")
LINE_COLUMNS = ("sku", "quantity", "unit_price_minor", "description")
CHARGE_COLUMNS = ("charge_kind", "charge_minor")
SHIP_TO_COLUMNS = (
    "name",
    "address_line_1",
    "address_line_2",
    "city",
    "postcode",
    "country",
    "phone",
    "email",
)
CSV_COLUMNS = (*ORDER_COLUMNS, *LINE_COLUMNS, *CHARGE_COLUMNS, *SHIP_TO_COLUMNS)
CSV_REQUIRED = (
    "channel",
    "external_id",
    "placed_at",
    "currency",
    "sku",
    "quantity",
    "unit_price_minor",
    "country",
)


def read_orders(path: Path) -> Iterator[Loaded]:
    """Each order of the file, or what is wrong at that line. The suffix tells the format.

    ValueError: no known suffix. OSError: the file cannot be opened.
    """
    reader = _READERS.get(SUFFIXES.get(path.suffix.lower(), ""))
    if reader is None:
        raise ValueError(f"{path.name}: the name must end in {', '.join(SUFFIXES)}")
    with path.open("rb") as file:
        yield from reader(file)


def read_ndjson(file: BinaryIO) -> Iterator[Loaded]:
    """One JSON object a line; empty lines are allowed."""
    number = 0
    while line := file.readline(ORDER_BYTES_MAX + 1):
        number += 1
        if len(line) > ORDER_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = file.readline(ORDER_BYTES_MAX)
            yield number, f"longer than {ORDER_BYTES_MAX:,} bytes; split the order"
        elif line.strip(b"\xef\xbb\xbf \t\r\n"):
            yield number, _ndjson_order(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)


def _ndjson_order(line: bytes) -> dict[str, object] | str:
    try:
        return _order(json.loads(line.decode().rstrip("\r\n"), parse_constant=_refuse_constant))
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 at byte {wrong.start + 1}"
    except json.JSONDecodeError as wrong:
        return f"not JSON: {wrong.msg} at column {wrong.colno}"
    except (ValueError, RecursionError) as wrong:
        return f"not JSON: {wrong}"


def read_json(file: BinaryIO) -> Iterator[Loaded]:
    """An array of orders, or one order.

    What is broken in the middle of an array ends the reading: where the next order starts cannot be known.
    """
    text = _Text(file)
    try:
        if text.peek() == "[":
            text.take()
            yield from _array(text)
        else:
            text.start()
            yield text.began, _order(text.value())
        if text.peek():
            raise _Broken("something follows the end of it")
    except _Broken as broken:
        yield text.line, f"not JSON: {broken}"


def _array(text: "_Text") -> Iterator[Loaded]:
    following = text.peek()
    while following != "]":
        text.start()
        yield text.began, _order(text.value())
        following = text.peek()
        if following not in (",", "]"):
            raise _Broken("a comma or the end of the array is missing")
        if following == ",":
            text.take()
            following = text.peek()
            if following == "]":
                raise _Broken("a comma before the end of the array")
    text.take()


class _Broken(Exception):
    """The rest of a JSON text cannot be read."""


class _Text:
    """A JSON text read piece by piece; `line` is where the reading stands, `began` where a value began."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._decoder = json.JSONDecoder(parse_constant=_refuse_constant)
        self._held = ""
        self._at = 0
        self.line = 1
        self.began = 1

    def peek(self) -> str:
        """The next character that is no white space, or nothing at the end."""
        while True:
            space = _SPACE.match(self._held, self._at)
            self._go(space.end() if space else self._at)
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def take(self) -> None:
        """Go past the character that `peek` showed."""
        self._go(self._at + 1)

    def start(self) -> None:
        """A value is expected here."""
        self.peek()
        self.began = self.line

    def value(self) -> object:
        """The next value. Reads on while it may only be incomplete."""
        while True:
            try:
                found, end = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError as wrong:
                if len(self._held) - self._at > ORDER_BYTES_MAX:
                    raise _Broken(f"no order ends within {ORDER_BYTES_MAX:,} characters") from None
                far = wrong.pos - self._at
                if not self._more():
                    self._go(self._at + far)
                    raise _Broken(wrong.msg) from None
            except (ValueError, RecursionError) as wrong:
                raise _Broken(str(wrong)) from None
            else:
                self._go(end)
                return found

    def _more(self) -> bool:
        chunk = self._file.read(_CHUNK_BYTES)
        self._held = self._held[self._at :] + self._text.decode(chunk, final=not chunk)
        self._at = 0
        return bool(chunk)

    def _go(self, to: int) -> None:
        self.line += self._held.count("\n", self._at, to)
        self._at = to


def read_csv(file: BinaryIO) -> Iterator[Loaded]:
    """One row a line or charge of an order; the rows of one order follow one another.

    The order's own columns are read from its first row. One bad row makes its order an error, not the next.
    """
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        yield from _csv_orders(text)


def _csv_orders(text: Iterable[str]) -> Iterator[Loaded]:
    rows = csv.DictReader(text, restkey=_TOO_MANY)
    if trouble := _header_trouble(rows.fieldnames or ()):
        yield 1, trouble
        return
    draft: _Draft | None = None
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as wrong:
            yield number, f"not CSV: {wrong}"
            continue
        if row is None:
            break
        key = (row["channel"], row["external_id"])
        if draft is not None and draft.key != key:
            yield draft.finished()
            draft = None
        if draft is None:
            draft = _Draft(number, key, row)
        draft.add(number, row)
    if draft is not None:
        yield draft.finished()


_TOO_MANY = "(too many)"


class _Draft:
    """The order whose rows are being read."""

    def __init__(self, number: int, key: tuple[str, str], row: dict[str, str]) -> None:
        self.key = key
        self._number = number
        self._trouble: str = ""
        self._at = number
        self._lines: list[dict[str, object]] = []
        self._charges: list[dict[str, object]] = []
        self._characters = 0
        self._head = row

    def add(self, number: int, row: dict[str, str]) -> None:
        """Take a row; the first that is wrong is what the order's error tells."""
        self._characters += sum(len(value or "") for value in row.values())
        if self._trouble:
            return
        try:
            self._add(row)
        except ValueError as wrong:
            self._trouble, self._at = str(wrong), number

    def _add(self, row: dict[str, str]) -> None:
        if _TOO_MANY in row or None in row.values():
            raise ValueError("another number of columns than in the header")
        if self._characters > ORDER_BYTES_MAX:
            self._lines.clear()
            raise ValueError(f"the order is longer than {ORDER_BYTES_MAX:,} characters; split it")
        if row.get("charge_kind"):
            amount = _whole(row, "charge_minor")
            self._charges.append({"kind": row["charge_kind"], "amount_minor": amount})
            return
        if not row["sku"]:
            raise ValueError("sku is empty (a charge has charge_kind and charge_minor instead)")
        line: dict[str, object] = {"line": len(self._lines) + 1, "sku": row["sku"]}
        line["quantity"] = _whole(row, "quantity")
        line["unit_price_minor"] = _whole(row, "unit_price_minor")
        if row.get("description"):
            line["description"] = row["description"]
        self._lines.append(line)

    def finished(self) -> Loaded:
        """The order, or its first error with that row's line number."""
        if self._trouble:
            return self._at, self._trouble
        order: dict[str, object] = {name: self._head[name] for name in ORDER_COLUMNS if self._head.get(name)}
        try:
            if "total_minor" in order:
                order["total_minor"] = _whole(self._head, "total_minor")
        except ValueError as wrong:
            return self._number, str(wrong)
        order["lines"] = self._lines
        order["charges"] = self._charges
        order["ship_to"] = _ship_to(self._head)
        return self._number, _order(order)


def _ship_to(row: dict[str, str]) -> dict[str, object]:
    ship_to: dict[str, object] = {
        name: row[name] for name in SHIP_TO_COLUMNS if not name.startswith("address_line") and row.get(name)
    }
    ship_to["address_lines"] = [row[name] for name in SHIP_TO_COLUMNS[1:3] if row.get(name)]
    return ship_to


def _whole(row: dict[str, str], column: str) -> int:
    text = row.get(column, "").strip()
    if not _WHOLE_NUMBER.fullmatch(text):
        raise ValueError(f"{column} is {text[:30]!r}; it must be a whole number")
    return int(text)


def _header_trouble(names: Iterable[str]) -> str:
    """What is wrong with the header, or nothing. An unknown column is an error: a typo must not pass."""
    known = list(names)
    missing = [name for name in CSV_REQUIRED if name not in known]
    if missing:
        return f"the header lacks {', '.join(missing)}"
    extra = [name for name in known if name not in CSV_COLUMNS]
    if extra:
        return f"the header has unknown columns: {', '.join(extra[:5])}; known are {', '.join(CSV_COLUMNS)}"
    twice = sorted({name for name in known if known.count(name) > 1})
    return f"the header has twice: {', '.join(twice)}" if twice else ""


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _order(found: object) -> dict[str, object] | str:
    """A JSON object whose text is UTF-8, or what it is instead."""
    if not isinstance(found, dict):
        return f"not an order: a JSON object is needed, not {_JSON_KINDS.get(type(found), 'this')}"
    if not _encodable(found):
        return "not UTF-8"
    return found


def _encodable(found: object) -> bool:
    """Whether every text in it can be written as UTF-8; undecodable bytes were kept as lone surrogates."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


_JSON_KINDS = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "true or false"}
_READERS: dict[str, Callable[[BinaryIO], Iterator[Loaded]]] = {
    "JSON": read_json,
    "NDJSON": read_ndjson,
    "CSV": read_csv,
}
