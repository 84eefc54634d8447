"""Laws of sourcing: exactly the lines, never more than there is, only nodes that may, as few as can be."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from libs.events.distance import great_circle_km
from libs.events.inventory import Availability
from libs.events.order import Destination, LineQuantity
from libs.events.routing import NodeTerms
from services.routing import candidates, sourcing
from services.routing.sourcing import Choice, Offer

LONDON = Destination(country="GB", latitude=51.5, longitude=-0.1)
SKUS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Case:
    """An order, the stock it was promised from, and the nodes that routing knows."""

    lines: tuple[LineQuantity, ...]
    availability: tuple[Availability, ...]
    destination: Destination
    nodes: dict[str, NodeTerms]

    @property
    def need(self) -> dict[str, int]:
        return sourcing.needs(self.lines)

    @property
    def found(self) -> list[Offer]:
        return sourcing.offers(self.need, self.availability, self.destination, self.nodes)

    @property
    def usable(self) -> list[Offer]:
        return [offer for offer in self.found if offer.barred is None and offer.total]

    def may_ship(self, node: str) -> bool:
        terms = self.nodes.get(node)
        return (
            terms is not None
            and terms.active
            and (terms.ships_to is None or self.destination.country in terms.ships_to)
        )

    def have_everything(self, nodes: tuple[str, ...]) -> bool:
        stock: Counter[str] = Counter()
        for entry in self.availability:
            if entry.node in nodes:
                stock[entry.sku] += entry.quantity
        return all(stock[sku] >= units for sku, units in self.need.items())


def node(name: str, latitude: float, longitude: float, country: str = "GB", **more: object) -> NodeTerms:
    terms = {"node": name, "name": name, "country": country, "latitude": latitude, "longitude": longitude}
    return NodeTerms.model_validate(terms | more)


@st.composite
def cases(draw: st.DrawFn, nodes_max: int = 6) -> Case:
    names = [f"N{number:02}" for number in range(draw(st.integers(1, nodes_max)))]
    degrees = st.integers(-8, 8)
    known = {
        name: node(
            name,
            50 + draw(degrees),
            draw(degrees),
            draw(st.sampled_from(["GB", "FR"])),
            active=draw(st.integers(0, 7)) > 0,
            ships_to=draw(st.sampled_from([None, None, ("GB", "IE"), ("FR",)])),
        )
        for name in names
        if draw(st.integers(0, 9)) > 0
    }
    quantities = draw(st.lists(st.tuples(st.sampled_from(SKUS), st.integers(1, 6)), min_size=1, max_size=5))
    lines = tuple(
        LineQuantity(line=number, sku=sku, quantity=quantity)
        for number, (sku, quantity) in enumerate(quantities, start=1)
    )
    stock = draw(
        st.dictionaries(
            st.tuples(st.sampled_from(names), st.sampled_from(SKUS)), st.integers(1, 8), max_size=28
        )
    )
    availability = tuple(
        Availability(node=name, sku=sku, quantity=units) for (name, sku), units in stock.items()
    )
    return Case(lines, availability, draw(st.sampled_from([LONDON, Destination(country="GB")])), known)


def _choice(case: Case) -> Choice | None:
    return sourcing.choose(case.need, case.usable)


@settings(max_examples=60)
@forall(cases())
def test_it_is_unroutable_exactly_when_nodes_that_may_ship_do_not_have_it(case: Case) -> None:
    eligible = tuple(name for name in case.nodes if case.may_ship(name))
    assert (_choice(case) is None) == (not case.have_everything(eligible))


@settings(max_examples=60)
@forall(cases())
def test_a_plan_covers_exactly_the_lines(case: Case) -> None:
    if choice := _choice(case):
        planned: Counter[tuple[int, str]] = Counter()
        for work in sourcing.plan(case.lines, choice.offers):
            assert len({part.line for part in work.lines}) == len(work.lines)
            for part in work.lines:
                planned[part.line, part.sku] += part.quantity
        assert planned == {(line.line, line.sku): line.quantity for line in case.lines}


@settings(max_examples=60)
@forall(cases())
def test_a_plan_takes_no_more_than_is_there_and_only_where_it_may(case: Case) -> None:
    if choice := _choice(case):
        stock = {(entry.node, entry.sku): entry.quantity for entry in case.availability}
        for work in sourcing.plan(case.lines, choice.offers):
            assert case.may_ship(work.node)
            taken: Counter[str] = Counter()
            for part in work.lines:
                taken[part.sku] += part.quantity
            assert all(units <= stock[work.node, sku] for sku, units in taken.items())


@settings(max_examples=60)
@forall(cases())
def test_no_smaller_set_and_no_nearer_one_of_its_size_has_everything(case: Case) -> None:
    if choice := _choice(case):
        eligible = sorted(name for name in case.nodes if case.may_ship(name))
        cost = {offer.node: offer.cost for offer in case.found}
        size = len(choice.offers)
        assert choice.exact
        for smaller in range(1, size):
            assert not any(case.have_everything(nodes) for nodes in combinations(eligible, smaller))
        complete = [nodes for nodes in combinations(eligible, size) if case.have_everything(nodes)]
        best = min(complete, key=lambda nodes: (sum(cost[name] for name in nodes), nodes))
        assert sorted(offer.node for offer in choice.offers) == list(best)


@settings(max_examples=60)
@forall(cases())
def test_the_order_in_which_stock_is_listed_changes_nothing(case: Case) -> None:
    turned = Case(case.lines, case.availability[::-1], case.destination, dict(reversed(case.nodes.items())))
    assert _choice(case) == _choice(turned)
    assert case.found == turned.found


@settings(max_examples=60)
@forall(cases(nodes_max=9))
def test_every_node_is_a_candidate_with_a_reason_or_counted_and_one_set_is_chosen(case: Case) -> None:
    choice = _choice(case)
    if choice is None:
        listed = candidates.unroutable(case.need, case.found)
        assert not any(candidate.chosen for candidate in listed)
    else:
        listed = candidates.routed(case.need, case.found, choice)
        assert [candidate.chosen for candidate in listed] == [True] + [False] * (len(listed) - 1)
        assert listed[0].nodes == tuple(offer.node for offer in choice.offers)
        assert listed[0].units == sum(case.need.values())
    assert len(listed) <= candidates.LISTED_MAX
    assert all(candidate.reason for candidate in listed)
    named = {name for candidate in listed for name in candidate.nodes}
    everybody = set(case.nodes) | {entry.node for entry in case.availability if entry.sku in case.need}
    assert named == everybody or listed[-1].nodes == ()


@settings(max_examples=60)
@forall(cases(nodes_max=9))
def test_the_greedy_way_is_complete_and_has_no_node_too_many(case: Case) -> None:
    if sourcing.lacking(case.need, case.usable):
        return
    taken = tuple(offer.node for offer in sourcing._greedy(case.need, case.usable))
    assert case.have_everything(taken)
    for name in taken:
        assert not case.have_everything(tuple(other for other in taken if other != name))


def test_the_greedy_way_drops_a_node_that_later_ones_made_needless() -> None:
    stock = {"N1": {"A": 1, "B": 1}, "N2": {"A": 2}, "N3": {"B": 2}}
    nodes = {name: node(name, 51, number) for number, name in enumerate(stock)}
    availability = tuple(
        Availability(node=name, sku=sku, quantity=units)
        for name, by_sku in stock.items()
        for sku, units in by_sku.items()
    )
    lines = tuple(LineQuantity(line=n, sku=sku, quantity=2) for n, sku in enumerate("AB", start=1))
    case = Case(lines, availability, LONDON, nodes)
    assert [offer.node for offer in case.usable] == ["N1", "N2", "N3"]
    assert {offer.node for offer in sourcing._greedy(case.need, case.usable)} == {"N2", "N3"}


def _scattered(count: int, skus: int) -> Case:
    """Every node has half of what is needed of every second SKU: no set but a large one is complete."""
    nodes = {f"N{number:02}": node(f"N{number:02}", 50, number / 10) for number in range(count)}
    lines = tuple(LineQuantity(line=n, sku=f"S{n}", quantity=10) for n in range(1, skus + 1))
    availability = tuple(
        Availability(node=name, sku=line.sku, quantity=3)
        for number, name in enumerate(nodes)
        for line in lines
        if (number + line.line) % 2
    )
    return Case(lines, availability, LONDON, nodes)


def test_twelve_nodes_and_48_skus_are_always_weighed_exactly() -> None:
    case = _scattered(12, 48)
    choice = _choice(case)
    assert choice
    assert choice.exact
    assert len(choice.offers) == 8  # four of the six that have the odd SKUs, four of the six others
    listed = candidates.routed(case.need, case.found, choice)
    assert "of 225 such sets" in listed[0].reason
    assert [len(candidate.nodes) for candidate in listed] == [8] + [1] * 12 + [8] * 5 + [0]
    assert listed[-1].reason == "219 further candidates, none of them better"


def test_too_many_sets_are_not_all_weighed_and_the_plan_still_holds() -> None:
    case = _scattered(60, 40)
    choice = _choice(case)
    assert choice
    assert not choice.exact
    assert len(choice.offers) == 8
    assert (
        sum(part.quantity for work in sourcing.plan(case.lines, choice.offers) for part in work.lines) == 400
    )
    listed = candidates.routed(case.need, case.found, choice)
    assert "too many sets" in listed[0].reason
    assert len(listed) == candidates.LISTED_MAX
    assert listed[-1].nodes == ()
    assert (
        listed[-1].reason == "42 further candidates, none of them better"
    )  # 60 nodes and the set, 19 listed


def test_a_single_node_that_has_everything_is_found_among_thousands() -> None:
    nodes = {f"N{number}": node(f"N{number}", 50, 0) for number in range(5000)}
    stock = [Availability(node=name, sku="A", quantity=1) for name in nodes]
    stock[4321] = Availability(node="N4321", sku="A", quantity=2)
    case = Case((LineQuantity(line=1, sku="A", quantity=2),), tuple(stock), LONDON, nodes)
    choice = _choice(case)
    assert choice
    assert [offer.node for offer in choice.offers] == ["N4321"]


@pytest.mark.parametrize(
    ("start", "end", "km"),
    [
        ((51.5074, -0.1278), (48.8566, 2.3522), 343.6),  # London to Paris
        ((40.6413, -73.7781), (33.9416, -118.4085), 3974.3),  # JFK to LAX
        ((-17.8, 179.5), (-17.8, -179.5), 105.9),  # over the date line
        ((0.0, 0.0), (0.0, 180.0), 20015.1),  # antipodes: half the circumference
        ((12.0, 34.0), (12.0, 34.0), 0.0),
    ],
)
def test_great_circle_distances(start: tuple[float, float], end: tuple[float, float], km: float) -> None:
    assert great_circle_km(*start, *end) == pytest.approx(km, rel=2e-3)
    assert great_circle_km(*end, *start) == pytest.approx(great_circle_km(*start, *end))
