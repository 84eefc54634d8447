"""Where a page ended, as an opaque text that the caller sends back for the next one.

A cursor names the key of the last row, nothing else: no tenant, no filter, so a forged one can only choose
another place in what its bearer may see anyway. What does not decode to that key's types is refused.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

import orjson

from libs.runtime.problems import Problem

CURSOR_LENGTH_MAX = 1000
Part = str | int | datetime


def write_cursor(kind: str, key: Sequence[Part]) -> str:
    """The cursor of a row; `kind` is the list that it belongs to."""
    return base64.urlsafe_b64encode(orjson.dumps([kind, *key])).rstrip(b"=").decode()


def read_cursor(kind: str, text: str, types: Sequence[type[Part]]) -> list[Part]:
    """The key of the row that a page ended with. Raises Problem 400."""
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(parts, list) or len(parts) != len(types) + 1 or parts[0] != kind:
            raise ValueError("another list's cursor")
        return [_part(part, type_) for part, type_ in zip(parts[1:], types, strict=True)]
    except (ValueError, binascii.Error):
        raise Problem(
            400,
            "bad_cursor",
            "The cursor is not one of ours",
            f"`after` does not name a place in the list of {kind}.",
            "Send the `next` of the page before as it is, or leave `after` out to begin again.",
        ) from None


def _part(part: object, type_: type[Part]) -> Part:
    if type_ is datetime and isinstance(part, str):
        at = datetime.fromisoformat(part)
        if at.tzinfo is None or not 1900 <= at.year < 3000:
            raise ValueError("a time without a zone, or out of range")
        return at
    if type_ is str and isinstance(part, str) and "\x00" not in part:
        return part
    if type_ is int and isinstance(part, int) and 0 <= part < 2**31:
        return part
    raise ValueError("another type")
