"""Units of an order's lines as forms send them: a field a line, and once confirmed `LINE:UNITS` texts."""

from collections.abc import Callable, Iterable
from typing import Annotated

from fastapi import Form, Request

from libs.runtime.problems import Problem
from services.console.pages.one_order import units_of

_LINES_MAX = 1000
_FIELD = "units-"
"""And a line's number: how many units of it."""
Confirmed = Annotated[list[str], Form(max_length=_LINES_MAX)]


def chosen(request: Request, wrong: Callable[[], Problem]) -> dict[int, int]:
    """Units by line, 0 where nothing is chosen, from the fields of a form. Raises what `wrong` makes."""
    fields = [(name, value) for name, value in request.query_params.items() if name.startswith(_FIELD)]
    texts = (f"{name.removeprefix(_FIELD)}:{value}" for name, value in fields[:_LINES_MAX])
    return confirmed(texts, wrong)


def confirmed(texts: Iterable[str], wrong: Callable[[], Problem]) -> dict[int, int]:
    """`LINE:UNITS` as units by line. Raises what `wrong` makes."""
    asked: dict[int, int] = {}
    for text in texts:
        line, _, count = text.partition(":")
        number, units = units_of(line), units_of(count)
        if not number or units is None:
            raise wrong()
        asked[number] = asked.get(number, 0) + units
    return asked


def to_confirm(asked: dict[int, int]) -> list[str]:
    """What is chosen, as `confirmed` reads it."""
    return [f"{line}:{units}" for line, units in asked.items() if units]
