"""The WHERE of a question to the read models, put together term by term."""

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Where:
    """Terms, with their values. A term is a constant of a module of ours; a value is never its text."""

    terms: list[str]
    values: list[Any]

    def add(self, term: str, *values: object) -> None:
        """Add a term with `{}` for each value, unless the first is none."""
        if values[0] is None:
            return
        first = len(self.values) + 1
        self.terms.append(term.format(*(f"${number}" for number in range(first, first + len(values)))))
        self.values += values
