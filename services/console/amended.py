"""What the read side knows of amendments: what was asked for, what came of it, where the order goes now."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from libs.events.amendments import (
    AllocationOutdated,
    AmendedTerms,
    AmendmentDeclined,
    HeldOrderAmended,
    OrderAmended,
    OrderAmendmentRequested,
)
from libs.events.record import changed, record


@record
class Changed:
    """What of the terms is new; of an address only its coarse part, and none where it stays."""

    country: str | None = None
    postcode_area: str | None = None
    service: str | None = None


@record
class Asked:
    """An amendment as intake took it. `done`: the order was held, so that nobody else was to be asked."""

    at: datetime
    what: Changed
    done: bool = False


@record
class Decided:
    """Fulfillment's answer: `why` it came too late, where it did."""

    at: datetime
    why: str = ""


@record
class Amendments:
    """Fulfillment's answers by amendment, and what the order has by them."""

    decided: Mapping[str, Decided] = field(default_factory=dict)
    now: Changed = Changed()
    planned_at: datetime | None = None
    """When the last one was agreed to that asks for another plan."""
    outdated_round: int = 0
    """The last round that was allocated for terms of before."""


NONE = Amendments()
Answer = OrderAmended | AmendmentDeclined | AllocationOutdated


def asked(event: OrderAmendmentRequested | HeldOrderAmended, at: datetime) -> Asked:
    """What was asked for."""
    return Asked(at, _changed(event), isinstance(event, HeldOrderAmended))


def answered(known: Amendments | None, event: Answer, at: datetime) -> Amendments:
    """After what fulfillment said of one, or of an allocation."""
    before = known or NONE
    match event:
        case AllocationOutdated():
            return changed(before, outdated_round=max(before.outdated_round, event.round))
        case AmendmentDeclined():
            return changed(before, decided={**before.decided, event.amendment_id: Decided(at, event.reason)})
        case OrderAmended():
            decided = {**before.decided, event.amendment_id: Decided(at)}
            return changed(before, decided=decided, now=laid_over(before.now, _changed(event)), planned_at=at)


def laid_over(before: Changed, what: Changed) -> Changed:
    """The terms after a change. An address is changed as a whole."""
    return Changed(
        what.country or before.country,
        what.postcode_area if what.country else before.postcode_area,
        what.service or before.service,
    )


def in_words(what: Changed) -> str:
    """What is new, for people who may not see the address."""
    parts: list[str] = []
    if what.country:
        area = f" {what.postcode_area}" if what.postcode_area else ""
        parts.append(f"the address ({what.country}{area})")
    if what.service:
        parts.append(f"the service ({what.service})")
    return " and ".join(parts)


def words_of(event: AmendedTerms) -> str:
    """What an event changes."""
    return in_words(_changed(event))


def _changed(event: AmendedTerms) -> Changed:
    to = event.destination
    return Changed(to.country if to else None, to.postcode_area if to else None, event.service)
