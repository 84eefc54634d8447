"""Amendments as the pages show them: what came of each, and where the order goes now."""

from datetime import datetime

from libs.events.record import record
from services.console.amended import NONE, Changed, in_words, laid_over
from services.console.facts import State


@record
class Amended:
    """One amendment: a sentence; still to be decided without `decided_at`."""

    amendment_id: str
    requested_at: datetime
    decided_at: datetime | None
    what: str
    declined: str


def terms_now(state: State) -> Changed:
    """Where the order goes, and by which service."""
    intake = state.intake
    placed = Changed(intake.country, intake.postcode_area, intake.service)
    return laid_over(placed, (state.fulfillment.amendments or NONE).now)


def service_now(state: State) -> str | None:
    """By which service it is sent; None, it names none."""
    amended = state.fulfillment.amendments
    return (None if amended is None else amended.now.service) or state.intake.service


def amendments(state: State) -> tuple[Amended, ...]:
    """Each of them, the last one first."""
    decided = (state.fulfillment.amendments or NONE).decided
    found: list[Amended] = []
    for name, one in (state.intake.amendments or {}).items():
        answer = decided.get(name)
        at = one.at if one.done else answer.at if answer else None
        found.append(Amended(name, one.at, at, in_words(one.what), answer.why if answer else ""))
    return tuple(reversed(found))
