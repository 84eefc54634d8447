"""How long a SKU's purchase orders take, from what was stated and received of them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import fmean, stdev

from libs.events.record import record

ORDERS_MIN = 3
"""Purchase orders of which a lead time is told; fewer say too little."""
ORDERS_MAX = 10
"""The last so many: suppliers change."""
_DAY = timedelta(days=1)


@record
class Lead:
    """Days from an order to its arrival: mean and spread, of so many purchase orders."""

    days: float
    spread_days: float
    orders: int


@record
class SupplyFact:
    """A statement of a purchase order's line, or a receipt under it."""

    supply_id: str
    document: str | None
    """Of a statement: purchase_order or asn. None, it is a receipt."""
    supplier: str | None
    at: datetime
    """When it was stated, or arrived."""
    open: int
    """Units still to come after it."""


def lead_time(facts: Iterable[SupplyFact]) -> Lead | None:
    """Of a SKU's facts, in their order: each purchase order takes from its first statement until the receipt
    after which nothing was to come. One that was told by a ship notice first, or came before it was
    stated, says nothing. None where fewer than `ORDERS_MIN` say something."""
    stated: dict[str, SupplyFact] = {}
    arrived: dict[str, datetime] = {}
    for fact in facts:
        if fact.document is not None:
            stated.setdefault(fact.supply_id, fact)
        elif not fact.open:
            arrived[fact.supply_id] = fact.at
    taken = sorted(
        (at, (at - stated[id_].at) / _DAY)
        for id_, at in arrived.items()
        if id_ in stated and stated[id_].document == "purchase_order" and stated[id_].at < at
    )
    days = [one for _, one in taken[-ORDERS_MAX:]]
    return Lead(fmean(days), stdev(days), len(days)) if len(days) >= ORDERS_MIN else None


def supplier(facts: Iterable[SupplyFact]) -> str | None:
    """Who sends it: as the last statement says that names somebody."""
    return next((fact.supplier for fact in reversed([*facts]) if fact.supplier), None)
