"""Days and moments as forms and addresses have them: text, of which nothing at all means not given."""

from datetime import UTC, date, datetime, timedelta

from libs.runtime.problems import Problem

ONE_DAY = timedelta(days=1)


def day(name: str, text: str) -> datetime | None:
    """Midnight of a day, UTC. Raises Problem 422."""
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise wrong(name, "Write a day as 2026-03-02.") from None
    if not 1900 <= found.year < 3000:
        raise wrong(name, "Take a day between 1900 and 2999.")
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


def moment(name: str, text: str) -> datetime | None:
    """A moment; without a zone it is UTC. Raises Problem 422."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise wrong(name, "Write a moment as 2026-03-02T09:00:00Z.") from None
    if not 1900 <= at.year < 3000:
        raise wrong(name, "Take a moment between 1900 and 2999.")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def end(name: str, text: str) -> datetime | None:
    """Where a period ends, no part of it: a moment, or what follows a day, which is wholly in it. Raises
    Problem 422."""
    if len(text) > len("2026-03-02"):
        return moment(name, text)
    midnight = day(name, text)
    return None if midnight is None else midnight + ONE_DAY


def wrong(name: str, next_step: str) -> Problem:
    """What a filter cannot be."""
    return Problem(422, "invalid_filter", "That is no filter", f"`{name}` cannot be read.", next_step)
