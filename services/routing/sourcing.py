"""Sourcing: which nodes ship these lines.

Rule 1: the fewest nodes that together have everything; among those the least total distance to the
destination, then the node ids. One node that has everything and is nearest is the case of one. A line may be
split over nodes by quantity. Where the destination has no coordinates, nodes of its country come first.

The search is exact as long as the sets to weigh stay within `SETS_MAX` and their sums within `SUMS_MAX`,
which holds for up to 12 usable nodes and 48 SKUs. Beyond, it goes on greedily, and says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

from libs.events.distance import tenths_of_km
from libs.events.inventory import Availability
from libs.events.order import Destination, LineQuantity, NodeLines
from libs.events.record import record
from libs.events.routing import NodeTerms
from libs.events.serving import serves

SETS_MAX = 4096
SUMS_MAX = 200_000


class Offer(NamedTuple):
    """One node, as this order sees it."""

    node: str
    units: Mapping[str, int]
    """SKU → units on hand, at most what the order needs."""
    total: int
    cost: int
    """What is kept small: tenths of a kilometre, or 0 in the destination's country and 1 abroad."""
    distance_km: float | None
    barred: str | None = None
    """Why it may not ship this order; none when it may."""


@record
class Choice:
    """The nodes chosen, nearest first, and the other complete sets of the same size."""

    offers: tuple[Offer, ...]
    rivals: tuple[tuple[Offer, ...], ...] = ()
    exact: bool = True
    """False: there were too many sets to weigh them all, so a smaller one may exist."""


def needs(lines: Iterable[LineQuantity]) -> dict[str, int]:
    """SKU → units over all lines."""
    need: dict[str, int] = {}
    for line in lines:
        need[line.sku] = need.get(line.sku, 0) + line.quantity
    return need


def offers(
    need: Mapping[str, int],
    availability: Iterable[Availability],
    destination: Destination,
    nodes: Mapping[str, NodeTerms],
) -> list[Offer]:
    """Every node that is known or has stock, nearest first; nodes that routing does not know come last."""
    stock: dict[str, dict[str, int]] = {node: {} for node in nodes}
    for entry in availability:
        sku = entry.sku
        if wanted := need.get(sku):
            units = stock.setdefault(entry.node, {})
            units[sku] = min(wanted, units.get(sku, 0) + entry.quantity)
    found = [_offer(node, units, destination, nodes.get(node)) for node, units in stock.items()]
    if len(stock) == len(nodes):
        found.sort(key=_nearness)
    else:
        found.sort(key=lambda offer: (offer.node not in nodes, offer.cost, offer.node))
    return found


def _offer(node: str, units: Mapping[str, int], destination: Destination, terms: NodeTerms | None) -> Offer:
    total = sum(units.values())
    if terms is None:
        return Offer(node, units, total, 0, None, "routing does not know this node; define it")
    barred = None
    if not terms.active:
        barred = "not active"
    elif not serves(terms.ships_to, destination.country):
        barred = f"does not ship to {destination.country}"
    latitude, longitude = destination.latitude, destination.longitude
    if latitude is None or longitude is None:
        return Offer(node, units, total, int(terms.country != destination.country), None, barred)
    tenths = tenths_of_km(latitude, longitude, terms.latitude, terms.longitude)
    return Offer(node, units, total, tenths, tenths / 10, barred)


def tenths_of_way(nodes: Iterable[Offer]) -> int | None:
    """From these nodes to the destination, added up, in tenths of a kilometre; None where that is nowhere on
    the map."""
    total = 0
    for offer in nodes:
        if offer.distance_km is None:
            return None
        total += offer.cost
    return total


def _nearness(offer: Offer) -> tuple[int, str]:
    return offer.cost, offer.node


def lacking(need: Mapping[str, int], usable: Iterable[Offer]) -> dict[str, int]:
    """SKU → units that these nodes do not have even together; empty when they do."""
    short = dict(need)
    for offer in usable:
        for sku, units in offer.units.items():
            if sku in short:
                short[sku] -= units
    return {sku: units for sku, units in short.items() if units > 0}


def choose(need: Mapping[str, int], usable: Sequence[Offer]) -> Choice | None:
    """The fewest of these nodes that have everything, or None when even all of them do not.

    `usable` is in the order of `offers`. With one node chosen there are no rivals: the other nodes are known.
    """
    wanted = sum(need.values())
    for offer in usable:
        if offer.total == wanted:
            return Choice((offer,))
    if lacking(need, usable):
        return None
    spare = {sku: -units for sku, units in need.items()}
    for offer in usable:
        for sku, units in offer.units.items():
            spare[sku] += units
    must: list[Offer] = []
    others: list[Offer] = []
    for offer in usable:
        indispensable = any(units > spare[sku] for sku, units in offer.units.items())
        (must if indispensable else others).append(offer)
    rest = lacking(need, must)
    if not rest:
        return Choice(_nearest_first(must))
    optional = [offer for offer in others if any(sku in rest for sku in offer.units)]
    complete = _smallest_complete(rest, optional)
    if complete is None:
        return Choice(_nearest_first([*must, *_greedy(rest, optional)]), exact=False)
    sets = sorted((_nearest_first([*must, *extra]) for extra in complete), key=_rank)
    return Choice(sets[0], tuple(sets[1:]))


def _smallest_complete(need: Mapping[str, int], optional: Sequence[Offer]) -> list[tuple[Offer, ...]] | None:
    """All sets of the smallest size that have everything, or None when that takes too long to know."""
    # The SKU that fewest nodes have fails a set soonest.
    skus = sorted(need, key=lambda sku: (sum(sku in offer.units for offer in optional), sku))
    weighed = sums = 0
    for size in range(1, len(optional) + 1):
        weighed += comb(len(optional), size)
        if size > 1 and weighed > SETS_MAX:
            return None
        complete: list[tuple[Offer, ...]] = []
        for nodes in combinations(optional, size):
            for sku in skus:
                sums += 1
                if sum(offer.units.get(sku, 0) for offer in nodes) < need[sku]:
                    break
            else:
                complete.append(nodes)
            if size > 1 and sums > SUMS_MAX:
                return None
        if complete:
            return complete
    raise AssertionError("all nodes together have everything")


def _greedy(need: Mapping[str, int], optional: Sequence[Offer]) -> list[Offer]:
    """A complete set that no node can be taken from: always the node that adds most, nearest on a tie."""
    taken: list[Offer] = []
    left = list(optional)
    short = dict(need)
    while short:
        best = min(left, key=lambda offer: (-_adds(offer, short), offer.cost, offer.node))
        left.remove(best)
        taken.append(best)
        short = lacking(short, (best,))
    for offer in sorted(taken, key=lambda offer: (-offer.cost, offer.node)):
        others = [other for other in taken if other is not offer]
        if not lacking(need, others):
            taken = others
    return taken


def _adds(offer: Offer, short: Mapping[str, int]) -> int:
    return sum(min(units, short.get(sku, 0)) for sku, units in offer.units.items())


def _nearest_first(nodes: Iterable[Offer]) -> tuple[Offer, ...]:
    return tuple(sorted(nodes, key=_nearness))


def _rank(nodes: Sequence[Offer]) -> tuple[int, list[str]]:
    return sum(offer.cost for offer in nodes), sorted(offer.node for offer in nodes)


def plan(lines: Iterable[LineQuantity], chosen: Sequence[Offer]) -> tuple[NodeLines, ...]:
    """Each line whole from the nearest of these nodes that has it whole, else split, nearest first."""
    if len(chosen) == 1:
        [only], whole_order = chosen, tuple(lines)
        asked = sum([line.quantity for line in whole_order])
        assert only.total == asked, f"{only.node} was chosen alone, and has {only.total} of {asked} units"
        return (NodeLines(node=only.node, lines=whole_order),)
    left = {offer.node: dict(offer.units) for offer in chosen}
    work: dict[str, list[LineQuantity]] = {offer.node: [] for offer in chosen}
    for line in lines:
        open_ = line.quantity
        whole = next((node for node, units in left.items() if units.get(line.sku, 0) >= open_), None)
        for node in left if whole is None else (whole,):
            part = min(open_, left[node].get(line.sku, 0))
            if part:
                left[node][line.sku] -= part
                open_ -= part
                work[node].append(
                    line
                    if part == line.quantity
                    else LineQuantity(line=line.line, sku=line.sku, quantity=part)
                )
        assert open_ == 0, f"line {line.line} is not covered by the nodes chosen for it"
    assert all(work.values()), "a node was chosen that ships nothing"
    return tuple(NodeLines(node=node, lines=tuple(parts)) for node, parts in work.items())
