"""Reads rows of stock from a file, CSV or NDJSON, one at a time, each with its line.

A row that cannot be read becomes a sentence, and reading goes on: nothing is skipped unseen. Memory is
bounded by the longest row, not by the file.
"""

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from cli.loadfile import read_ndjson
from libs.runtime.complaint import Complaint

SUFFIXES = (".csv", ".ndjson", ".jsonl")
Row = tuple[int, dict[str, Any] | str]
"""Line number from 1, and the row by column, or what is wrong with it."""
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")
_TOO_MANY = "(more columns than the header)"


def checked(path: Path) -> Path:
    """The file. Complaint: it is none of rows by its name, or cannot be opened."""
    if path.suffix.lower() not in SUFFIXES:
        raise Complaint(
            f"{path.name} is neither CSV nor NDJSON by its name.", f"It ends in {', '.join(SUFFIXES)}."
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise Complaint(f"{path} cannot be read ({error.strerror}).", "Check its name.") from None
    return path


def writable(path: Path) -> Path:
    """The file to be written. Complaint: there is no folder for it, or it is not for us to write."""
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise Complaint(f"{path} cannot be written.", "Name a file in a folder that is there and yours.")
    return path


def read_rows(path: Path, required: Sequence[str], known: Sequence[str]) -> Iterator[Row]:
    """Each row of the file, which was `checked`. Empty cells are left out."""
    with path.open("rb") as file:
        rows = _csv_rows(file, required, known) if path.suffix.lower() == ".csv" else read_ndjson(file)
        for number, row in rows:
            yield number, row if isinstance(row, str) else _complete(row, required)


def whole(value: object, name: str, least: int, most: int) -> int:
    """A whole number between bounds, from a cell or from JSON. ValueError says what is wrong."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value.strip()):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise ValueError(f"{name} is {value!r}; it must be a whole number")
    if not least <= number <= most:
        raise ValueError(f"{name} is {number:,}; it must be {least:,} to {most:,}")
    return number


def digest(path: Path) -> str:
    """What tells a file from another, in 16 characters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def _csv_rows(file: BinaryIO, required: Sequence[str], known: Sequence[str]) -> Iterator[Row]:
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.DictReader(text, restkey=_TOO_MANY, strict=True)
        header = rows.fieldnames or ()
        missing = [name for name in required if name not in header]
        strange = [name for name in header if name not in known]
        if missing or strange:
            what = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(strange)}"
            yield 1, f"the header {what}; columns are {', '.join(known)}"
            return
        while True:
            try:
                row = next(rows, None)
            except csv.Error as wrong:
                yield rows.line_num, f"not CSV: {wrong}"
                continue
            if row is None:
                return
            number = rows.line_num
            if _TOO_MANY in row:
                yield number, "more columns than the header"
                continue
            yield number, {name: value.strip() for name, value in row.items() if value and value.strip()}


def _complete(row: dict[str, Any], required: Sequence[str]) -> dict[str, Any] | str:
    missing = [name for name in required if row.get(name) is None]
    if missing:
        return f"{', '.join(missing)} is missing"
    for name, value in row.items():
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                return f"{name} is not UTF-8"
    return row
