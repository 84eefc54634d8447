"""What fulfillment makes of an amendment: whether it comes in time, and what was allocated for other terms.

From the moment in which it is agreed to, nothing is released that goes elsewhere or by another service: an
allocation that was made for the terms of before is said to be outdated, and routing plans the order anew.
"""

from collections.abc import Mapping

from libs.events.amendments import (
    AllocationOutdated,
    AmendedTerms,
    AmendmentDeclined,
    OrderAmended,
    OrderAmendmentRequested,
)
from libs.events.contract import terms_alone
from libs.events.inventory import StockAllocated
from libs.events.order import Destination, NodeLines, Sealed
from libs.events.places import STANDARD
from libs.events.routing import OrderUnroutable
from services.fulfillment.changes import Withheld
from services.fulfillment.work import Work

_LISTED_MAX = 5


def agreed(asked: OrderAmendmentRequested) -> OrderAmended:
    """The order has these terms."""
    terms = dict(terms_alone(AmendedTerms, asked))
    return OrderAmended(
        order_id=asked.order_id, amendment_id=asked.amendment_id, reason=asked.reason, **terms
    )


def declined(asked: OrderAmendmentRequested, work: Mapping[str, Work], ended: bool) -> AmendmentDeclined:
    """Why it comes too late, and what is possible instead."""
    if ended:
        why = "Too late to amend: the order has come to its end. What is wanted is another order."
        return AmendmentDeclined(order_id=asked.order_id, amendment_id=asked.amendment_id, reason=why)
    at_nodes = ", ".join(
        f"{id_} is {one.step} at {one.node}" for id_, one in list(work.items())[:_LISTED_MAX]
    )
    if any(one.step == "released" for one in work.values()):
        then = "Cancel what is not picked yet, and order it anew with the right address or service."
    elif any(one.step in ("picked", "packed") for one in work.values()):
        then = "Cancel the order before it is dispatched, and order it anew; or ask the carrier later."
    else:
        then = "Ask the carrier to redirect the parcel, or authorise a return."
    why = f"Too late to amend: {at_nodes}"[:380] + f". {then}"
    return AmendmentDeclined(order_id=asked.order_id, amendment_id=asked.amendment_id, reason=why)


def amended(before: AmendedTerms | None, event: OrderAmended) -> AmendedTerms:
    """All that was amended so far."""
    known = {} if before is None else _given(before)
    return AmendedTerms(**{**known, **_given(terms_alone(AmendedTerms, event))})


def goes_by(terms: AmendedTerms | None, allocated: StockAllocated | Withheld) -> bool:
    """Whether an allocation is for the order as it is now."""
    if terms is None:
        return True
    if terms.destination not in (None, allocated.destination):
        return False
    return terms.service is None or terms.service == (allocated.service or STANDARD)


def overtaken(terms: AmendedTerms | None, unroutable: OrderUnroutable) -> bool:
    """Whether nodes were looked for that ship where the order does not go any more."""
    if terms is None or unroutable.destination is None:
        return False
    return terms.destination not in (None, unroutable.destination)


def outdated(
    allocated: StockAllocated | Withheld, nodes: tuple[NodeLines, ...], known: bool
) -> AllocationOutdated:
    """These units of an allocation are planned anew; what waits beside them, as far as it is not `known`."""
    return AllocationOutdated(
        order_id=allocated.order_id,
        round=allocated.round,
        nodes=nodes,
        awaiting=None if known else allocated.later,
        bundles=allocated.bundles,
    )


def contact_of(terms: AmendedTerms | None, allocated: StockAllocated | Withheld) -> Sealed | None:
    """Who receives it: the plan may be good for an address nearby."""
    return allocated.contact if terms is None or terms.contact is None else terms.contact


def _given(terms: AmendedTerms) -> dict[str, Destination | Sealed | str | bool]:
    return {name: value for name, value in dict(terms).items() if value is not None}
