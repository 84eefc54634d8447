"""What a customer who waits is told of the date: with the first mail where it is known by then, once it is,
and when it moves later. Inventory reckons anew whenever supply moves; a mail for each of that nobody reads.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Literal

from libs.events.dates import BackorderDated
from services.notifications.letters import Letter, facts

MILESTONE: Literal["backordered"] = "backordered"
_DATE = "deliver_at"


def with_date(letter: Letter, event: BackorderDated) -> Letter:
    """A mail that is still to be asked for, with the date; a later one takes the place of an earlier."""
    by = _date(event)
    others = tuple(fact for fact in letter.facts if fact.name != _DATE)
    return replace(letter, facts=(*others, *(facts(**{_DATE: by}) if by else ())))


def moved(letters: Mapping[str, Letter], event: BackorderDated, at: datetime) -> Letter | None:
    """The mail that a date calls for: the first one, or one that is later by a day or more than was told.

    Its subject is the day (UTC) on which it is told, so there is one a day at most.
    """
    by, told = _date(event), _told(letters)
    if by is None or (told is not None and by <= told):
        return None
    before = facts(before_at=told) if told else ()
    return Letter(MILESTONE, at.date().isoformat(), (*facts(**{_DATE: by}), *before))


def _date(event: BackorderDated) -> date | None:
    return event.promised.deliver_by if event.promised else None


def _told(letters: Mapping[str, Letter]) -> date | None:
    """The date that was told last."""
    found = [
        date.fromisoformat(fact.value)
        for letter in letters.values()
        if letter.milestone == MILESTONE
        for fact in letter.facts
        if fact.name == _DATE
    ]
    return found[-1] if found else None
