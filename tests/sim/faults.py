"""What may go wrong, when it does, and what is written down of a run.

Every fault is drawn here, from dice of its own. A fault that is left out (to shorten a failing run) still
counts, so that the numbers of those that stay keep their meaning.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

KINDS = (
    "request lost",
    "answer late",
    "crash in a transaction",
    "crash before the commit",
    "crash after the commit",
    "crash after a publish",
    "crash at rest",
    "commit cut off, not done",
    "commit cut off, done",
    "commit cut off, done later",
    "database restarted",
    "cursor move lost",
    "publish failed, nothing stored",
    "publish failed, stored",
    "publish failed, stored in part",
    "publish failed, stored later",
    "publish slow",
    "broker restarted",
    "records dropped",
    "records repeated",
    "partition lags",
    "member joins",
    "member leaves",
    "zombie: stopped, then wakes",
    "zombie: unheard by the group",
    "clock jump",
    "command repeated",
    "command id reused",
    "record from nobody",
    "decision fails, mended later",
)


class Note(NamedTuple):
    """A line of a run's history."""

    seconds: float
    who: str
    what: str
    about: tuple[str, ...] = ()
    """Streams, SKUs or lanes that it concerns."""


@dataclass
class Faults:
    """Chance, for one run. `strikes` decides about one fault; `note` writes history."""

    seed: str
    most: int = 1_000_000
    without: frozenset[str] = frozenset()
    going_on: bool = True
    struck: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    history: list[Note] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self._dice = Random(f"faults {self.seed}")
        self.dice = Random(f"times {self.seed}")
        """For how long things take and which way they go."""

    def strikes(self, kind: str, chance: float, who: str = "") -> bool:
        """Whether a fault of this kind happens here and now."""
        if not self.going_on or self._dice.random() >= chance:
            return False
        return self.count(kind, who)

    def count(self, kind: str, who: str = "") -> bool:
        """A fault that was decided elsewhere; False when it is to be left out."""
        assert kind in KINDS, f"a fault without a name: {kind}"
        self.struck += 1
        if self.struck > self.most or kind in self.without:
            return False
        self.counts[kind] += 1
        self.note(who, f"FAULT {self.struck}: {kind}")
        return True

    def note(self, who: str, what: str, about: Iterable[str] = ()) -> None:
        self.history.append(Note(self.now, who, what, tuple(about)))
