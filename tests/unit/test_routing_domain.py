"""Lives of orders and nodes in routing: each round answered once, with the versions it was decided by."""

from typing import Any

from libs.events.inventory import AllocationFailed, Availability, Shortage, StockReserved
from libs.events.order import Destination, LineQuantity, NodeLines
from libs.events.routing import DefineNode, NodeDefined, OrderRouted, OrderUnroutable
from services.routing import domain
from tests.spec import NOON, Answer, Spec, given

ORDER = "0b7a"
LONDON = Destination(country="GB", postcode_area="SW1A", latitude=51.5, longitude=-0.1)


def define(node: str, latitude: float, longitude: float, country: str = "GB", **more: Any) -> DefineNode:
    return DefineNode(
        node=node, name=f"Node {node}", country=country, latitude=latitude, longitude=longitude, **more
    )


LEEDS = define("LEEDS", 53.8, -1.5)
PARIS = define("PARIS", 48.9, 2.4, "FR")
READING = define("READING", 51.5, -1.0)


def stock(**units: dict[str, int]) -> tuple[Availability, ...]:
    return tuple(
        Availability(node=node, sku=sku, quantity=quantity)
        for node, by_sku in units.items()
        for sku, quantity in by_sku.items()
    )


LINES = (LineQuantity(line=1, sku="A", quantity=4), LineQuantity(line=2, sku="B", quantity=2))


def reserved(
    availability: tuple[Availability, ...], round: int = 1, destination: Destination = LONDON
) -> StockReserved:
    return StockReserved(
        order_id=ORDER,
        round=round,
        lines=LINES,
        availability=availability,
        destination=destination,
        since=NOON,
        movements=(),
    )


def failed(availability: tuple[Availability, ...], round: int) -> AllocationFailed:
    return AllocationFailed(
        order_id=ORDER,
        round=round,
        short=(Shortage(sku="A", quantity=1, node="READING"),),
        lines=LINES,
        availability=availability,
        destination=LONDON,
    )


EVERYWHERE = stock(LEEDS={"A": 9, "B": 9}, PARIS={"A": 9, "B": 9}, READING={"A": 9, "B": 9})


def routed(answer: Answer) -> OrderRouted:
    [event] = answer.events
    assert isinstance(event, OrderRouted)
    return event


def unroutable(answer: Answer) -> OrderUnroutable:
    [event] = answer.events
    assert isinstance(event, OrderUnroutable)
    return event


def _network() -> Spec:
    return given(domain).heard(LEEDS, PARIS, READING)


def test_the_nearest_node_that_has_everything_ships_it_and_the_others_learn_why_not() -> None:
    answer = _network().when(reserved(EVERYWHERE))
    answer.then_one(
        OrderRouted,
        order_id=ORDER,
        round=1,
        nodes=(NodeLines(node="READING", lines=LINES),),
        rule_version=1,
        nodes_version=3,
    )
    chosen, leeds, paris = routed(answer).candidates
    assert (chosen.nodes, chosen.chosen, chosen.units) == (("READING",), True, 6)
    assert chosen.reason == "has everything; nearest of 3 nodes that do"
    assert 60 < (chosen.distance_km or 0) < 65
    assert (leeds.nodes, leeds.chosen) == (("LEEDS",), False)
    assert leeds.reason.startswith("has everything, but 2")
    assert leeds.reason.endswith("km farther than READING")
    assert paris.nodes == ("PARIS",)


def test_one_far_node_that_has_everything_is_preferred_to_two_near_ones() -> None:
    answer = _network().when(reserved(stock(READING={"A": 4}, LEEDS={"B": 2}, PARIS={"A": 4, "B": 2})))
    answer.then_one(OrderRouted, nodes=(NodeLines(node="PARIS", lines=LINES),))
    assert routed(answer).candidates[0].reason == "the only node that has everything"


def test_a_line_is_split_over_nodes_when_none_has_it_whole() -> None:
    answer = _network().when(reserved(stock(READING={"A": 3}, LEEDS={"A": 3, "B": 2})))
    answer.then_one(
        OrderRouted,
        nodes=(
            NodeLines(node="READING", lines=(LineQuantity(line=1, sku="A", quantity=3),)),
            NodeLines(
                node="LEEDS",
                lines=(
                    LineQuantity(line=1, sku="A", quantity=1),
                    LineQuantity(line=2, sku="B", quantity=2),
                ),
            ),
        ),
    )


def test_of_two_pairs_the_nearer_is_taken_and_the_farther_is_told_so() -> None:
    answer = _network().when(reserved(stock(READING={"A": 4}, LEEDS={"B": 2}, PARIS={"B": 2})))
    plan = routed(answer)
    assert [work.node for work in plan.nodes] == ["READING", "LEEDS"]
    rival = next(c for c in plan.candidates if c.nodes == ("READING", "PARIS"))
    assert rival.reason.startswith("have everything together, but ")
    assert [c.reason for c in plan.candidates if c.nodes == ("PARIS",)] == ["has 2 of 6 units"]


def test_without_coordinates_the_destination_s_country_comes_first_then_the_id() -> None:
    known = given(domain).heard(define("A-PARIS", 48.9, 2.4, "FR"), READING, LEEDS)
    everywhere = stock(**{node: {"A": 9, "B": 9} for node in ("A-PARIS", "READING", "LEEDS")})
    answer = known.when(reserved(everywhere, destination=Destination(country="GB")))
    answer.then_one(OrderRouted, nodes=(NodeLines(node="LEEDS", lines=LINES),))
    chosen, reading, paris = routed(answer).candidates
    assert chosen.distance_km is None
    assert reading.reason == "has everything, but no nearer, and later by id than LEEDS"
    assert paris.reason == "has everything, but abroad, and LEEDS not, or less so"


def test_nodes_that_may_not_ship_are_named_with_the_reason_and_not_chosen() -> None:
    known = given(domain).heard(
        define("READING", 51.5, -1.0, active=False), define("PARIS", 48.9, 2.4, "FR", ships_to=("FR",)), LEEDS
    )
    units = {"A": 9, "B": 9}
    answer = known.when(reserved(stock(READING=units, PARIS=units, LEEDS=units, GHOST=units)))
    answer.then_one(OrderRouted, nodes=(NodeLines(node="LEEDS", lines=LINES),))
    reasons = {candidate.nodes: candidate.reason for candidate in routed(answer).candidates}
    assert reasons["READING",] == "not active"
    assert reasons["PARIS",] == "does not ship to GB"
    assert reasons["GHOST",] == "routing does not know this node; define it"


def test_what_eligible_nodes_do_not_have_is_unroutable_with_what_stands_in_the_way() -> None:
    known = given(domain).heard(LEEDS, define("PARIS", 48.9, 2.4, "FR", active=False))
    answer = known.when(reserved(stock(LEEDS={"A": 1, "B": 2}, PARIS={"A": 9})))
    answer.then_one(OrderUnroutable, round=1, lines=LINES, nodes_version=2)
    [reason] = unroutable(answer).reasons
    assert reason.code == "not_covered"
    assert reason.message == (
        "A: 4 units needed, 1 at nodes that may ship to GB; nodes that may not ship it have some: PARIS."
    )
    assert {c.nodes for c in unroutable(answer).candidates} == {("LEEDS",), ("PARIS",)}


def test_without_any_node_it_is_unroutable_and_says_so_first() -> None:
    answer = given(domain).when(reserved(EVERYWHERE))
    answer.then_one(OrderUnroutable, nodes_version=0)
    assert [reason.code for reason in unroutable(answer).reasons] == ["no_node", "not_covered", "not_covered"]


def test_each_round_is_answered_once_and_a_past_one_not_at_all() -> None:
    life = _network().heard(reserved(EVERYWHERE)).when(reserved(EVERYWHERE)).then_nothing()
    second = failed(stock(LEEDS={"A": 9, "B": 9}), round=2)
    life = life.when(second).then_one(OrderRouted, round=2, nodes=(NodeLines(node="LEEDS", lines=LINES),))
    life = life.when(second).then_nothing()
    life = life.when(reserved(EVERYWHERE)).then_nothing()
    life.when(failed(stock(LEEDS={"A": 1}), round=3)).then_one(OrderUnroutable, round=3)


def test_rounds_that_overtake_each_other_leave_the_latest() -> None:
    life = _network().heard(failed(EVERYWHERE, round=3))
    life.when(reserved(EVERYWHERE, round=2)).then_nothing()


def test_an_order_answered_in_one_life_leaves_another_order_open() -> None:
    life = _network().heard(reserved(EVERYWHERE))
    other = reserved(EVERYWHERE).model_copy(update={"order_id": "other"})
    life.when(other).then_one(OrderRouted, order_id="other", round=1)


def test_a_node_is_defined_once_and_each_change_is_a_new_version() -> None:
    life = given(domain).when(LEEDS).then_one(NodeDefined, node="LEEDS", nodes_version=1, ships_to=None)
    life = life.when(LEEDS).then_nothing()
    life = life.when(PARIS).then_one(NodeDefined, node="PARIS", nodes_version=2)
    closed = define("LEEDS", 53.8, -1.5, active=False)
    life = life.when(closed).then_one(NodeDefined, nodes_version=3, active=False)
    life.when(reserved(stock(LEEDS={"A": 9, "B": 9}))).then_one(OrderUnroutable, nodes_version=3)


def test_a_plan_changes_neither_the_nodes_nor_their_version() -> None:
    life = _network()
    before = life.parts["nodes"]
    life.heard(reserved(EVERYWHERE))
    assert life.parts["nodes"] is before
