"""Which of a SKU's units can be sent where, and how many can be promised so that all can be kept.

A promise has no node until routing plans it, but a country: it can be kept from the nodes that ship there.
So all can be kept together if, for any countries, the nodes that ship to any of these have as many units as
were promised to all of them (Hall's condition). It is tested as a flow from promises to nodes: as many units
as can be matched at once. Nodes that ship to the same countries are one here, and so are promises that the
same nodes can keep: what is matched is small, however many orders and nodes there are.

A SKU all of whose nodes ship everywhere has nothing of it (`SkuPart.serving` is None).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Protocol

from libs.events.record import changed, record
from libs.events.serving import Served, ServedSku, serves

ANYWHERE = None
"""The destination of who did not say one: a basket that may be sent to any country. Any node may do."""
UNTOLD = ""
"""The destination of an order that was promised units, or waits, since before the SKU had such a node: it has
one, which its own lane knows and tells when it is called. Until then it may need any of the units."""
Bound = tuple[tuple[str, ...], tuple[str, ...]]
"""Nodes, and the countries that they ship to."""
Going = Iterable[tuple[str | None, int]]
"""Units that are promised, and where they go."""


@record
class Serving:
    """What a SKU keeps where some of its nodes do not ship everywhere."""

    version: int = 0
    """Of the nodes."""
    bounds: tuple[Bound, ...] = ()
    orders: dict[str, str] = field(default_factory=dict)
    """Country by order, of those that want any of it; of baskets that wait, by `queue.waiter`, always: nobody
    could ask them later."""
    baskets: dict[str, str] = field(default_factory=dict)
    """Country by promise id."""
    countries: tuple[str, ...] | None = None
    """Those that any node of the tenant ships to; None, some node ships everywhere."""

    def somewhere(self, country: str | None) -> bool:
        """Whether any node at all ships there. If none does, waiting is of no use: routing is to say so."""
        return not self.bounds or country in (ANYWHERE, UNTOLD) or serves(self.countries, country)

    def serves(self, node: str, country: str | None) -> bool:
        """Whether a node of the SKU ships there."""
        if country is ANYWHERE:
            return True
        return all(serves(countries, country) for nodes, countries in self.bounds if node in nodes)


NO_SERVING = Serving()


class Claimed(Protocol):
    """A claim, as far as it is of use here."""

    @property
    def held(self) -> int: ...


def going(
    serving: Serving, claims: Mapping[str, Claimed], baskets: Mapping[str, int], but: str | None
) -> Iterator[tuple[str | None, int]]:
    """Where promised units go: those of orders but for one, and of baskets."""
    for order_id, claim in claims.items():
        if claim.held and order_id != but:
            yield serving.orders.get(order_id, UNTOLD), claim.held
    for promise_id, units in baskets.items():
        yield serving.baskets.get(promise_id, ANYWHERE), units


class Reach:
    """Units on hand by group of nodes, those that ship everywhere last, and what of them is promised, by the
    groups that may send it. It counts on as units are given, come and leave. Units at nodes that are `closed`
    are none."""

    def __init__(
        self, serving: Serving, on_hand: Mapping[str, int], going: Going, closed: Collection[str] = ()
    ) -> None:
        self._serving = serving
        self._countries = [countries for _, countries in serving.bounds]
        self._group = {node: at for at, (nodes, _) in enumerate(serving.bounds) for node in nodes}
        self._all = (2 << len(self._countries)) - 1
        self._units = [0] * (len(self._countries) + 1)
        self._promised = dict[int, int]()
        self._untold = 0
        self._spare = dict[int, int]()
        """What was found since something changed."""
        for node, units in on_hand.items():
            if node not in closed:
                self._units[self._at(node)] += units
        for country, units in going:
            self.give(country, units)

    def spare(self, country: str | None, *, surely: bool = True) -> int:
        """Units that may yet be promised there, so that all promises can be kept that could be before; not
        `surely`, as though those that did not tell where they go could be sent from anywhere."""
        mask = self._mask(country)
        if mask not in self._spare:
            most = {**self._promised, mask: self._promised.get(mask, 0) + sum(self._units)}
            self._spare[mask] = _matched(most, self._units) - self.kept
        return max(0, self._spare[mask] - (self._untold if surely else 0))

    @property
    def kept(self) -> int:
        """Units of all promises together that can be kept."""
        return _matched(self._promised, self._units)

    def give(self, country: str | None, units: int) -> None:
        """So many more are promised there, or less."""
        if country == UNTOLD:
            self._untold += units
        mask = self._mask(country or ANYWHERE)
        self._promised[mask] = self._promised.get(mask, 0) + units
        self._spare.clear()

    def put(self, node: str, units: int) -> None:
        """So many come to a node, or leave it."""
        at = self._at(node)
        self._units[at] = max(0, self._units[at] + units)
        self._spare.clear()

    def may_leave(self, node: str) -> int:
        """Units that may leave a node, whoever takes them, so that all promises can be kept as before."""
        at = self._at(node)
        without = [0 if one == at else units for one, units in enumerate(self._units)]
        return self._units[at] - (self.kept - _matched(self._promised, without))

    def too_many(self, country: str | None, units: int) -> int:
        """Of so many that are promised there, those that cannot be kept, whatever becomes of the others."""
        mask = self._mask(country or ANYWHERE)  # as `give` counts it
        others = {**self._promised, mask: self._promised.get(mask, 0) - units}
        return units - (self.kept - _matched(others, self._units))

    def _at(self, node: str) -> int:
        return self._group.get(node, len(self._countries))

    def _mask(self, country: str | None) -> int:
        """The groups of nodes that ship there, as bits."""
        if country is ANYWHERE or not self._serving.somewhere(country):
            return self._all
        last = 1 << len(self._countries)
        return last | sum(1 << at for at, found in enumerate(self._countries) if serves(found, country))


def _matched(promised: Mapping[int, int], units: list[int]) -> int:
    """As many units as can be given to promises at once: the largest flow from these to nodes, found by
    shortest augmenting paths (Edmonds and Karp)."""
    asking, left, total = [one for one in promised.items() if one[1] > 0], list(units), 0
    flow = [[0] * len(units) for _ in asking]
    for first, (_, wants) in enumerate(asking):
        while wants and (path := _path(first, [mask for mask, _ in asking], flow, left)):
            most = min([wants, left[path[-1][1]], *(flow[taker][at] for taker, at in _undone(path))])
            for taker, at in path:
                flow[taker][at] += most
            for taker, at in _undone(path):
                flow[taker][at] -= most
            left[path[-1][1]] -= most
            wants -= most
            total += most
    return total


def _path(first: int, masks: list[int], flow: list[list[int]], left: list[int]) -> list[tuple[int, int]]:
    """How one more unit could be given: (promise, nodes) that take it, each the place of the one before it;
    empty where it cannot."""
    came, seen, line = dict[int, tuple[int, int]](), {first: -1}, [first]
    for taker in line:
        for at, there in enumerate(left):
            if at in came or not masks[taker] >> at & 1:
                continue
            came[at] = taker, seen[taker]
            if there:
                path = list[tuple[int, int]]()
                while at >= 0:
                    path.append((came[at][0], at))
                    at = came[at][1]
                return path[::-1]
            for other, given in enumerate(flow):
                if given[at] and other not in seen:
                    seen[other] = at
                    line.append(other)
    return []


def _undone(path: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What each on the path but the first had before."""
    return [(path[step][0], path[step - 1][1]) for step in range(1, len(path))]


# What a SKU keeps of it


def bounds_of(nodes: Iterable[str], ships_to: Mapping[str, tuple[str, ...]]) -> tuple[Bound, ...]:
    """Of these nodes, those that do not ship everywhere, by the countries that they ship to."""
    found = dict[tuple[str, ...], list[str]]()
    for node in sorted(nodes):
        if node in ships_to:
            found.setdefault(tuple(sorted(set(ships_to[node]))), []).append(node)
    return tuple((tuple(found[countries]), countries) for countries in sorted(found))


def bound_again(
    serving: Serving | None,
    version: int,
    bounds: tuple[Bound, ...],
    countries: tuple[str, ...] | None,
) -> Serving | None:
    """What is kept once these are the nodes that do not ship everywhere, and the countries of all nodes."""
    version, countries = (version, countries) if bounds else (0, None)
    return _or_none(changed(serving or NO_SERVING, version=version, bounds=bounds, countries=countries))


def order_goes(
    serving: Serving | None, order_id: str, wants: int, told: Served | None, sku: str | None
) -> Serving | None:
    """What is kept once an order wants so many units; `told`, where its event says anew where they go."""
    if serving is None and told is None:
        return None
    known = serving or NO_SERVING
    orders = {id_: country for id_, country in known.orders.items() if id_ != order_id or wants}
    if sku is not None:  # its event would tell
        orders.pop(order_id, None)
        if wants and (country := country_of(told, sku)) is not None:
            orders[order_id] = country
    return _or_none(changed(known, orders=orders))


def baskets_go(
    serving: Serving | None, holding: Collection[str], held: tuple[str, str] | None
) -> Serving | None:
    """What is kept once these baskets hold units, one of them, (promise id, country), anew."""
    if serving is None and held is None:
        return None
    known = serving or NO_SERVING
    baskets = {id_: country for id_, country in known.baskets.items() if id_ in holding}
    if held is not None and held[0] in holding:
        baskets[held[0]] = held[1]
    return _or_none(changed(known, baskets=baskets))


def claims_go(
    serving: Serving | None, gone: Iterable[str] = (), goes: Mapping[str, str | None] | None = None
) -> Serving | None:
    """What is kept once these claims are gone, and others go to these countries, as far as they are known."""
    known = serving or NO_SERVING
    orders = {id_: country for id_, country in known.orders.items() if id_ not in {*gone}}
    orders |= {id_: country for id_, country in (goes or {}).items() if country is not None}
    return serving if orders == known.orders else _or_none(changed(known, orders=orders))


def _or_none(serving: Serving) -> Serving | None:
    return serving if serving.bounds or serving.orders or serving.baskets else None


def country_of(told: Served | None, sku: str) -> str | None:
    """Where units of a SKU go, as an event says; None where it says nothing of the SKU."""
    if told is None or all(one.sku != sku for one in told.skus):
        return None
    return told.country


class Kept(Protocol):
    """A SKU's part, as far as it is of use here."""

    @property
    def serving(self) -> Serving | None: ...


def served(
    country: str | None, skus: Mapping[str, Kept], named: Iterable[str], bound: bool = False
) -> Served | None:
    """What an event says of units that it promises there; None where all nodes ship everywhere. Of a basket,
    which nobody could ask later, also of SKUs that have no units at such nodes yet, if any are (`bound`)."""
    if country is ANYWHERE:
        return None
    found = [
        ServedSku(sku=sku, nodes_version=known.version)
        for sku in named
        if (known := skus[sku].serving or NO_SERVING).bounds or bound
    ]
    return Served(country=country, skus=tuple(found)) if found else None
