"""When a SKU at a node is to be bought again, and how much: what there is against what is asked for.

For the edge, which reads the ledger. Of a SKU at a node,

    available     = on hand + usable inbound − reserved − held − waiting
    reorder point = m·L + z·√(L·σ² + m²·s²)
    propose       = reorder point + m·cover days − available, where available is below the reorder point

with the mean m and spread σ of what a day asks for, the lead time's mean L and spread s in days, and the
normal deviate z of the service level: the reorder point of a continuous review with demand and lead time both
uncertain and independent of each other (Chopra and Meindl, Supply Chain Management, "Impact of Supply
Uncertainty on Safety Inventory"; Silver, Pyke and Thomas, Inventory and Production Management in Supply
Chains, on safety stock by cycle service level). `available` is what they call the inventory position.

- A day asks for what was issued, what became part of kits, and what was sent to another node.
- A day on which there was nothing to sell says nothing of demand, and is left out of m and σ. With fewer than
  `DAYS_MIN` others, quiet days make up for the rest, so that one busy day is not taken for every day's.
- Promises are the network's, and so is waiting. What is reserved and held is taken off the nodes by what they
  have on hand; what is waited for by what they issued, else by what is expected there, else by what they
  have. Where nothing of that is known, the SKU waits for a node, `*`.
- What is overdue is not counted on: it is told (`late`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from math import ceil, sqrt
from statistics import NormalDist, fmean, pstdev

from libs.events.inventory import NETWORK
from libs.events.record import record
from services.inventory.lead_times import Lead

DAYS_MIN = 14
"""Days that a mean is of at least."""


@record
class Terms:
    """What is asked of the stock. `service` is the share of cycles, 0 to 1, in which it does not run out."""

    days: int
    """Days that are looked at."""
    lead_days: int
    """From an order to its arrival, of a SKU whose own purchase orders do not tell."""
    service: float
    cover_days: int
    """For how many days more than the lead time an order is to last."""


@record
class Day:
    """Units that moved on a day at a node."""

    issued: int = 0
    kitted: int = 0
    """Became part of kits."""
    sent: int = 0
    """Left for another node."""
    came: int = 0
    """Came on hand, from wherever."""
    went: int = 0
    """Were on hand, and are not any more, wherever they went."""

    @property
    def asked(self) -> int:
        """What the day asked for."""
        return self.issued + self.kitted + self.sent


QUIET = Day()


@record
class Shelf:
    """A SKU at a node."""

    node: str
    on_hand: int = 0
    inbound: int = 0
    """Units that are expected or on their way, and not overdue."""
    late: int = 0
    """Those that are overdue."""
    days: Mapping[int, Day] = field(default_factory=dict)
    """By how long ago, 0 being today; days without are quiet."""

    def out(self, days: int) -> set[int]:
        """Of so many days, those on which nothing was on hand from the first moment to the last, and nothing
        left."""
        found, stood = set[int](), self.on_hand
        for day in range(days):
            moved = self.days.get(day, QUIET)
            stood += moved.went - moved.came
            if stood <= 0 and not moved.came and not moved.asked:
                found.add(day)
        return found


@record
class Owed:
    """Units of a SKU that are somebody's already, in the whole network."""

    reserved: int = 0
    held: int = 0
    waiting: int = 0


@record
class Need:
    """What a SKU at a node stands at. `propose` is 0 as long as what is available suffices."""

    node: str
    daily: float
    """Mean of what a day asks for."""
    spread: float
    days_out: int
    """Days without stock, which are left out of both."""
    issued: int
    """Over the days looked at, as the two below."""
    kitted: int
    sent: int
    lead_days: float
    lead_spread_days: float
    lead_orders: int
    """Purchase orders that the lead time is of; 0, it is the one asked with."""
    safety_stock: int
    reorder_point: int
    on_hand: int
    inbound: int
    late: int
    reserved: int
    held: int
    waiting: int
    available: int
    propose: int
    alert: bool
    """What is there and nobody's would not last until what is ordered today arrives."""
    reasons: tuple[str, ...]
    """Of `waiting`, `late_supply`, `runs_out_first`, `below_reorder_point`, those that hold."""


def needs(terms: Terms, lead: Lead | None, shelves: Sequence[Shelf], owed: Owed) -> list[Need]:
    """What each node stands at, and last what waits for no node in particular; `lead` as the SKU's own
    purchase orders tell, None where they do not."""
    on_hand = {shelf.node: shelf.on_hand for shelf in shelves}
    reserved = shares(owed.reserved, on_hand)
    held = shares(owed.held, {node: units - reserved.get(node, 0) for node, units in on_hand.items()})
    waiting = _waiting(owed.waiting, shelves)
    mine = {
        node: Owed(reserved.get(node, 0), held.get(node, 0), waiting.get(node, 0))
        for node in {*reserved, *held, *waiting}
    }
    known = Lead(float(terms.lead_days), 0.0, 0) if lead is None else lead
    rows = [*shelves, Shelf(NETWORK)] if NETWORK in mine else shelves
    return [_need(terms, known, shelf, mine.get(shelf.node, Owed())) for shelf in rows]


def shares(units: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Whole units by weight, what is left over to the largest remainders; the network's, where nothing
    weighs."""
    known = {node: weight for node, weight in sorted(weights.items()) if weight > 0}
    total = sum(known.values())
    if not units or not total:
        return {NETWORK: units} if units else {}
    found = {node: units * weight // total for node, weight in known.items()}
    left = units - sum(found.values())
    for node in sorted(known, key=lambda node: -(units * known[node] % total))[:left]:
        found[node] += 1
    return found


def _waiting(units: int, shelves: Sequence[Shelf]) -> dict[str, int]:
    issued = {shelf.node: sum(day.issued for day in shelf.days.values()) for shelf in shelves}
    expected = {shelf.node: shelf.inbound + shelf.late for shelf in shelves}
    there = {shelf.node: shelf.on_hand for shelf in shelves}
    known = (weights for weights in (issued, expected, there) if any(weights.values()))
    return shares(units, next(known, {}))


def _need(terms: Terms, lead: Lead, shelf: Shelf, owed: Owed) -> Need:
    out = shelf.out(terms.days)
    looked_at = [shelf.days.get(day, QUIET) for day in range(terms.days)]
    asked = [moved.asked for day, moved in enumerate(looked_at) if day not in out]
    asked += [0] * (min(DAYS_MIN, terms.days) - len(asked))
    daily, spread = fmean(asked), pstdev(asked)
    deviate = NormalDist().inv_cdf(terms.service)
    safety = deviate * sqrt(lead.days * spread**2 + daily**2 * lead.spread_days**2)
    point = _up(daily * lead.days + safety)
    free = shelf.on_hand - owed.reserved - owed.held - owed.waiting
    available = free + shelf.inbound
    alert = free < _up(daily * lead.days)
    reasons = {
        "waiting": owed.waiting > 0,
        "late_supply": shelf.late > 0,
        "runs_out_first": alert,
        "below_reorder_point": available < point,
    }
    return Need(
        node=shelf.node,
        daily=round(daily, 2),
        spread=round(spread, 2),
        days_out=len(out),
        issued=sum(moved.issued for moved in looked_at),
        kitted=sum(moved.kitted for moved in looked_at),
        sent=sum(moved.sent for moved in looked_at),
        lead_days=round(lead.days, 1),
        lead_spread_days=round(lead.spread_days, 1),
        lead_orders=lead.orders,
        safety_stock=_up(safety),
        reorder_point=point,
        on_hand=shelf.on_hand,
        inbound=shelf.inbound,
        late=shelf.late,
        reserved=owed.reserved,
        held=owed.held,
        waiting=owed.waiting,
        available=available,
        propose=_up(point + daily * terms.cover_days) - available if available < point else 0,
        alert=alert,
        reasons=tuple(reason for reason, holds in reasons.items() if holds),
    )


def _up(units: float) -> int:
    """Whole units that suffice; what is a whole number but for the machine's rounding is that."""
    return ceil(round(units, 6))
