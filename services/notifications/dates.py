"""What a customer who waits is told of the date: with the first mail where it is known by then, else once it
is; when it moves later; when it is gone; and once it is known again. Each at once, and nothing twice.

Inventory reckons anew whenever supply moves, and tells of an order only what changed for it. What moves
within a day, or to an earlier one, is no mail: nobody was promised less.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Literal

from libs.events.dates import BackorderDated
from services.notifications.letters import Letter, facts

MILESTONE: Literal["backordered"] = "backordered"
_DATE, _GONE = "deliver_at", "gone_at"


def with_date(letter: Letter, by: date | None) -> Letter:
    """A mail that is still to be asked for, with the date; a later one takes the place of an earlier."""
    others = tuple(fact for fact in letter.facts if fact.name != _DATE)
    return replace(letter, facts=(*others, *(facts(**{_DATE: by}) if by else ())))


def first(by: date, at: datetime) -> Letter:
    """The mail of a date that was known before the acceptance, of an order that was not told to wait."""
    return Letter(MILESTONE, _subject({}, at), facts(**{_DATE: by}))


def moved(letters: Mapping[str, Letter], event: BackorderDated, at: datetime) -> Letter | None:
    """The mail that a date calls for: the first one, one that is later by a day or more than was told, or
    that what was told is gone. None where the customer knows it.

    Its subject is the day (UTC) on which it is told; of several of a day, with a number.
    """
    by, told = date_of(event), _told(letters)
    if by is None if told is None else by is not None and by <= told:
        return None
    if by is None:
        return Letter(MILESTONE, _subject(letters, at), facts(**{_GONE: told}))
    before = facts(before_at=told) if told else ()
    return Letter(MILESTONE, _subject(letters, at), (*facts(**{_DATE: by}), *before))


def _subject(letters: Mapping[str, Letter], at: datetime) -> str:
    day = at.date().isoformat()
    known = {letter.subject_id for letter in letters.values() if letter.milestone == MILESTONE}
    number = sum(subject is not None and subject.startswith(day) for subject in known)
    return f"{day}-{number + 1}" if number else day


def date_of(event: BackorderDated) -> date | None:
    """By when it is delivered, where that is known."""
    return event.promised.deliver_by if event.promised else None


def _told(letters: Mapping[str, Letter]) -> date | None:
    """The date that was told last, unless it was told since that it is gone."""
    found = [
        fact
        for letter in letters.values()
        if letter.milestone == MILESTONE
        for fact in letter.facts
        if fact.name in (_DATE, _GONE)
    ]
    return date.fromisoformat(found[-1].value) if found and found[-1].name == _DATE else None
