"""Somebody's data on a terminal: never markup, never control characters, times in UTC."""

import re
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from cli.output import console

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    """The text on one line; what would steer a terminal is shown as �."""
    return _CONTROL.sub("�", str(text))


def add_row(drawn: Table, *cells: object, style: str = "") -> None:
    """A row of data; none is an empty cell."""
    drawn.add_row(*(Text("" if cell is None else plain(cell)) for cell in cells), style=style)


def tell(text: str, style: str = "") -> None:
    """A line that holds data."""
    console.print(Text(plain(text), style=style))


def utc(text: str | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An RFC 3339 time as UTC for people; nothing for none."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone(UTC).strftime(form)


def count(number: int, noun: str) -> str:
    """`1 unit`, `2,000 units`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
