"""When a SKU at a node is to be bought again, and how much: from what left it, day by day.

For the edge, which reads the ledger. The reorder point is what is asked for while new units are on their
way, and a safety stock for days that ask for more; both are of the days looked at, quiet ones included. With
a day's mean m and spread σ, L days, and the normal deviate z of the service level, it is m·L + z·σ·√L: demand
is taken to be independent from day to day, and the lead time to be known.
"""

from collections.abc import Mapping
from math import ceil, sqrt
from statistics import NormalDist, fmean, pstdev

from libs.events.record import record


@record
class Terms:
    """What is asked of the stock. `service` is the share of cycles, 0 to 1, in which it does not run out."""

    days: int
    """Days that are looked at."""
    lead_days: int
    service: float
    cover_days: int
    """For how many days more than the lead time an order is to last."""


@record
class Need:
    """What a SKU at a node stands at. `propose` is 0 as long as what there is and is to come suffices."""

    daily: float
    reorder_point: int
    available: int
    propose: int
    alert: bool
    """What is there would not last until what is ordered today arrives."""


def need(terms: Terms, left: Mapping[int, int], on_hand: int, inbound: int) -> Need:
    """`left` are units that left by day, 0 being today; days without are quiet."""
    demand = [left.get(day, 0) for day in range(terms.days)]
    daily, spread = fmean(demand), pstdev(demand)
    safety = NormalDist().inv_cdf(terms.service) * spread * sqrt(terms.lead_days)
    point = max(0, ceil(daily * terms.lead_days + safety)) if daily else 0
    available = on_hand + inbound
    propose = ceil(point + daily * terms.cover_days) - available if available < point else 0
    return Need(round(daily, 2), point, available, propose, on_hand < ceil(daily * terms.lead_days))
