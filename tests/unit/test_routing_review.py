"""Plans that a person sees first: what is held, what an approval comes to, and what makes one void."""

from datetime import date
from typing import Any

import pytest

from libs.events.changes import LinesReleased
from libs.events.inventory import Shortage, StockBackordered, StockReleased
from libs.events.order import Destination, NodeLines
from libs.events.places import NodeOperations, TransitBand
from libs.events.routing import (
    ApproveRouting,
    DefineReview,
    DefineTransit,
    NodeDefined,
    OrderRouted,
    OrderUnroutable,
    ReviewDefined,
    Reviewed,
    RoutingHeld,
)
from services.routing import domain
from services.routing.domain import OrderPart
from tests.spec import NOON, Answer, Spec, given, refused
from tests.unit.test_routing_domain import (
    EVERYWHERE,
    LEEDS,
    LINES,
    ORDER,
    PARIS,
    READING,
    failed,
    reserved,
    stock,
)

SPLIT = stock(READING={"A": 4}, LEEDS={"B": 2}, PARIS={"A": 9, "B": 9})
ONE_NODE = DefineReview(nodes_max=1)
NOT_FAR = DefineReview(distance_km_max=300)
NOT_MUCH_FARTHER = DefineReview(farther_km_max=250)


def network(*more: Any) -> Spec:
    return given(domain).heard(LEEDS, PARIS, READING, *more)


def held(answer: Answer) -> RoutingHeld:
    [event] = answer.events
    assert isinstance(event, RoutingHeld)
    return event


def approve(round: int = 1, *nodes: str) -> ApproveRouting:
    return ApproveRouting(order_id=ORDER, round=round, nodes=nodes or None, reason="worth it")


def released(**more: Any) -> StockReleased:
    return StockReleased(order_id=ORDER, movements=(), **more)


def backordered(round: int) -> StockBackordered:
    return StockBackordered(
        order_id=ORDER,
        round=round,
        lines=LINES,
        short=(Shortage(sku="A", quantity=1),),
        since=NOON,
        destination=Destination(country="GB"),
        movements=(),
    )


def test_without_limits_no_plan_is_held_and_nothing_is_different() -> None:
    plain = network().when(reserved(EVERYWHERE)).events
    no_limit = network(DefineReview()).when(reserved(EVERYWHERE)).events
    assert no_limit == plain
    dropped = network(NOT_FAR, DefineReview())
    dropped.when(reserved(SPLIT)).then_one(OrderRouted, reviewed=None)


def test_limits_are_defined_once_and_each_change_is_a_version_of_the_nodes() -> None:
    life = given(domain).heard(LEEDS).when(DefineReview()).then_nothing()
    life = life.when(NOT_FAR).then_one(ReviewDefined, distance_km_max=300, nodes_max=None, nodes_version=2)
    life = life.when(NOT_FAR).then_nothing()
    life = life.when(DefineReview()).then_one(ReviewDefined, distance_km_max=None, nodes_version=3)
    life.when(READING).then_one(NodeDefined, nodes_version=4)


def test_a_plan_of_too_many_nodes_is_held_with_the_figures_and_all_that_it_was_made_from() -> None:
    asked = reserved(stock(READING={"A": 4}, LEEDS={"B": 2}))
    answer = network(ONE_NODE).when(asked)
    event = held(answer)
    assert [one.code for one in event.reasons] == ["too_many_nodes"]
    assert event.reasons[0].message == "2 nodes ship it (READING, LEEDS); more than 1 are reviewed."
    plain = network().when(asked).events[0]
    assert isinstance(plain, OrderRouted)
    assert (event.nodes, event.candidates) == (plain.nodes, plain.candidates)
    assert (event.lines, event.availability, event.destination) == (
        LINES,
        asked.availability,
        asked.destination,
    )
    assert (event.round, event.rule_version, event.nodes_version) == (1, 1, 4)


def test_a_plan_that_is_far_or_much_farther_than_the_nearest_with_some_of_it_is_held() -> None:
    far = held(network(NOT_FAR).when(reserved(stock(PARIS={"A": 9, "B": 9}))))
    assert [one.code for one in far.reasons] == ["too_far"]
    assert far.reasons[0].message == "PARIS: 339.4 km in all; more than 300 km are reviewed."
    farther = held(network(NOT_MUCH_FARTHER).when(reserved(SPLIT)))
    assert [one.code for one in farther.reasons] == ["farther_than_nearest"]
    assert farther.reasons[0].message == (
        "PARIS: 277.1 km farther than READING (62.3 km), the nearest that has some of it; more than 250"
        " km are reviewed."
    )
    both = network(DefineReview(nodes_max=1, distance_km_max=300, farther_km_max=250))
    two = held(both.when(reserved(stock(READING={"A": 4}, PARIS={"B": 2}))))
    assert [one.code for one in two.reasons] == ["too_many_nodes", "too_far", "farther_than_nearest"]


def test_a_plan_at_its_limit_passes() -> None:
    exact = DefineReview(nodes_max=2, distance_km_max=343, farther_km_max=280)
    network(exact).when(reserved(SPLIT)).then_one(OrderRouted, reviewed=None)
    nearest = DefineReview(farther_km_max=0)
    network(nearest).when(reserved(EVERYWHERE)).then_one(OrderRouted, reviewed=None)


def test_a_destination_that_is_nowhere_on_the_map_is_judged_by_the_number_of_nodes_alone() -> None:
    nowhere = Destination(country="GB")
    strict = DefineReview(nodes_max=1, distance_km_max=0, farther_km_max=0)
    life = network(strict)
    life.when(reserved(EVERYWHERE, destination=nowhere)).then_one(OrderRouted, reviewed=None)
    event = held(network(strict).when(reserved(stock(READING={"A": 4}, LEEDS={"B": 2}), destination=nowhere)))
    assert [one.code for one in event.reasons] == ["too_many_nodes"]


def test_what_nobody_can_ship_is_no_matter_of_review() -> None:
    network(ONE_NODE).when(reserved(stock(LEEDS={"A": 1}))).then_one(OrderUnroutable, round=1)


def test_a_held_plan_is_approved_once_and_says_so() -> None:
    life = network(NOT_FAR)
    event = held(life.when(reserved(SPLIT)))
    life.when(reserved(SPLIT)).then_nothing()
    answer = life.when(approve())
    answer.then_one(
        OrderRouted,
        round=1,
        nodes=event.nodes,
        candidates=event.candidates,
        rule_version=event.rule_version,
        nodes_version=4,
        reviewed=Reviewed(reason="worth it"),
    )
    assert life.parts[ORDER] == OrderPart(answered=1)
    life.when(approve()).then_refused("not_held")
    life.when(reserved(SPLIT)).then_nothing()


def test_the_dates_of_an_approved_plan_are_those_of_the_day_on_which_it_passes() -> None:
    works = NodeOperations(time_zone="Europe/Paris", cut_off="14:00")
    transit = DefineTransit(service="standard", bands=(TransitBand(days=2),))
    life = network(PARIS.model_copy(update={"operations": works}), transit, NOT_FAR)
    event = held(life.when(reserved(stock(PARIS={"A": 9, "B": 9}))))
    assert event.promised is not None
    assert (event.promised.ship_by, event.promised.deliver_by) == (date(2026, 3, 2), date(2026, 3, 4))
    [routed] = life.after(days=3).when(approve()).events
    assert isinstance(routed, OrderRouted)
    assert routed.promised is not None
    assert (routed.promised.ship_by, routed.promised.deliver_by) == (date(2026, 3, 5), date(2026, 3, 9))


def test_other_nodes_may_be_named_and_the_plan_says_that_they_were() -> None:
    life = network(NOT_FAR).heard(reserved(SPLIT))
    [routed] = life.when(approve(1, "LEEDS", "READING", "PARIS")).events
    assert isinstance(routed, OrderRouted)
    assert [one.node for one in routed.nodes] == ["PARIS"], "the fewest of those named, as sourcing has it"
    life = network(NOT_FAR).heard(reserved(SPLIT))
    [routed] = life.when(approve(1, "LEEDS", "READING")).events
    assert isinstance(routed, OrderRouted)
    assert routed.nodes == (
        NodeLines(node="READING", lines=(LINES[0],)),
        NodeLines(node="LEEDS", lines=(LINES[1],)),
    )
    assert routed.reviewed == Reviewed(reason="worth it", instead=True)
    chosen = [one for one in routed.candidates if one.chosen]
    assert [(one.nodes, one.reason) for one in chosen] == [
        (("READING", "LEEDS"), "named by whoever reviewed it")
    ]
    passed = next(one for one in routed.candidates if one.nodes == ("PARIS",))
    assert passed.reason.startswith("held, and not taken by whoever reviewed it: ")


@pytest.mark.parametrize(
    ("nodes", "code"),
    [(("GHOST",), "unknown_node"), (("LEEDS",), "not_covered"), (("LEEDS", "BATH"), "not_covered")],
)
def test_nodes_that_cannot_ship_it_are_refused_and_the_plan_stays_held(
    nodes: tuple[str, ...], code: str
) -> None:
    bath = READING.model_copy(update={"node": "BATH"})
    life = network(bath, NOT_FAR).heard(reserved(SPLIT))
    answer = life.when(approve(1, *nodes))
    answer.then_refused(code)
    assert "READING, LEEDS, PARIS" in refused(answer.events).next_step
    life.when(approve()).then_one(OrderRouted, round=1)


def test_a_node_that_was_switched_off_meanwhile_does_not_get_the_order() -> None:
    life = network(NOT_FAR).heard(reserved(SPLIT))
    life.heard(PARIS.model_copy(update={"active": False}))
    answer = life.when(approve())
    answer.then_refused("node_barred")
    told = refused(answer.events)
    assert told.message == "PARIS may not ship it now: not active."
    assert told.next_step == (
        "Name nodes that may ship it, of READING, LEEDS; define or activate one;"
        f" or cancel the order: orderlog orders cancel {ORDER}"
    )
    life.when(approve(1, "READING", "LEEDS")).then_one(OrderRouted, nodes_version=5)


def test_a_new_round_takes_the_place_of_a_held_one() -> None:
    life = network(NOT_FAR).heard(reserved(SPLIT))
    life.when(reserved(EVERYWHERE, round=2)).then_one(OrderRouted, round=2, reviewed=None)
    life.when(approve(1)).then_refused("round_past")
    life.when(approve(2)).then_refused("not_held")
    again = network(NOT_FAR).heard(reserved(SPLIT))
    assert held(again.when(failed(SPLIT, round=2))).round == 2
    again.when(approve(1)).then_refused("round_past")
    again.when(approve(3)).then_refused("unknown_round")
    again.when(approve(2)).then_one(OrderRouted, round=2)


def test_an_order_that_waits_for_stock_again_has_nothing_to_approve() -> None:
    life = network(NOT_FAR).heard(reserved(SPLIT))
    life.when(backordered(1)).then_nothing()
    assert isinstance(life.parts[ORDER].held, RoutingHeld), "a round is backordered before it is reserved"
    life.when(backordered(2)).then_nothing()
    life.when(approve(1)).then_refused("round_past")
    assert held(life.when(reserved(SPLIT, round=2))).round == 2


@pytest.mark.parametrize(
    ("news", "code"),
    [
        (released(), "order_cancelled"),
        (released(cause="unroutable", lines=LINES[:1]), "round_past"),
        (LinesReleased(order_id=ORDER, lines=LINES, movements=()), "round_past"),
    ],
)
def test_units_that_nobody_wants_any_more_end_what_is_held(news: Any, code: str) -> None:
    life = network(NOT_FAR).heard(reserved(SPLIT))
    life.when(news).then_nothing()
    assert life.parts[ORDER].held is None
    life.when(approve()).then_refused(code)


def test_units_that_a_node_had_are_no_matter_of_a_held_plan() -> None:
    life = network(NOT_FAR).heard(reserved(SPLIT))
    life.when(LinesReleased(order_id=ORDER, movements=())).then_nothing()
    life.when(released(cause="unroutable")).then_nothing()
    life.when(approve()).then_one(OrderRouted, round=1)


def test_news_of_an_order_of_which_nothing_is_held_changes_nothing() -> None:
    life = network().heard(reserved(EVERYWHERE))
    before = life.parts[ORDER]
    for news in (backordered(2), released(), LinesReleased(order_id=ORDER, lines=LINES, movements=())):
        life.when(news).then_nothing()
    assert life.parts[ORDER] is before


def test_an_order_that_nobody_knows_or_that_was_never_held_is_refused() -> None:
    network(NOT_FAR).when(approve()).then_refused("unknown_order")
    network().heard(reserved(EVERYWHERE)).when(approve()).then_refused("not_held")
    network().heard(reserved(EVERYWHERE)).when(approve(2)).then_refused("unknown_round")
    network(ONE_NODE).heard(reserved(stock(LEEDS={"A": 1}))).when(approve()).then_refused("not_held")


def test_an_approval_changes_nothing_of_the_nodes() -> None:
    life = network(NOT_FAR).heard(reserved(SPLIT))
    before = life.parts["nodes"]
    life.heard(approve())
    assert life.parts["nodes"] is before
