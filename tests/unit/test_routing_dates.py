"""Routing's dates: of a plan, and what is defined for them."""

from datetime import date

from libs.events.places import NodeOperations, ServiceHours, TransitBand
from libs.events.routing import DefineTransit, NodeDefined, OrderRouted, TransitDefined
from services.routing import domain
from tests.spec import given
from tests.unit.test_routing_domain import LEEDS, PARIS, define, reserved, stock

WORKS = NodeOperations(time_zone="Europe/London", cut_off="14:00")
SLOWER = NodeOperations(time_zone="Europe/Paris", cut_off="09:00", processing_days=1)
STANDARD = DefineTransit(service="standard", bands=(TransitBand(days=2),))
BUSY_LEEDS = LEEDS.model_copy(update={"operations": WORKS})
BUSY_PARIS = PARIS.model_copy(update={"operations": SLOWER})
SPLIT = stock(LEEDS={"A": 9}, PARIS={"B": 9})


def test_a_plan_has_the_date_of_the_node_that_is_last() -> None:
    life = given(domain).heard(BUSY_LEEDS, BUSY_PARIS, STANDARD)
    [routed] = life.when(reserved(SPLIT)).events
    assert isinstance(routed, OrderRouted)
    assert routed.promised is not None
    assert (routed.promised.node, routed.promised.nodes_version) == ("PARIS", 3)
    assert (routed.promised.ship_by, routed.promised.deliver_by) == (date(2026, 3, 4), date(2026, 3, 6))
    assert [one.code for one in routed.promised.why] == ["cut_off_missed", "processing", "transit"]


def test_a_plan_has_no_date_while_a_node_of_it_has_no_calendar_or_no_service_is_known() -> None:
    for known in ((BUSY_LEEDS, PARIS, STANDARD), (BUSY_LEEDS, BUSY_PARIS)):
        life = given(domain).heard(*known)
        life.when(reserved(SPLIT)).then_one(OrderRouted, promised=None)


EXPRESS = DefineTransit(service="express", bands=(TransitBand(days=1),))
LATE_FOR_EXPRESS = ServiceHours(service="express", cut_off="11:00")


def test_a_plan_has_the_date_of_the_orders_own_service_and_says_which() -> None:
    early = WORKS.model_copy(update={"services": (LATE_FOR_EXPRESS,)})
    leeds = LEEDS.model_copy(update={"operations": early})
    asked = reserved(stock(LEEDS={"A": 9, "B": 9})).model_copy(update={"service": "express"})
    life = given(domain).heard(leeds, STANDARD, EXPRESS)
    [routed] = life.when(asked).events
    assert isinstance(routed, OrderRouted)
    assert routed.service == "express"
    assert routed.promised is not None
    assert (routed.promised.service, routed.promised.ship_by) == ("express", date(2026, 3, 3))
    assert routed.promised.deliver_by == date(2026, 3, 4)
    nobody_knows = asked.model_copy(update={"service": "pigeon"})
    unknown = given(domain).heard(leeds, STANDARD, EXPRESS).when(nobody_knows)
    unknown.then_one(OrderRouted, promised=None, service="pigeon")


def test_a_service_is_defined_once_and_each_change_is_a_version_of_the_nodes() -> None:
    life = given(domain).heard(LEEDS)
    life = life.when(STANDARD).then_one(TransitDefined, service="standard", nodes_version=2)
    life = life.when(STANDARD).then_nothing()
    faster = STANDARD.model_copy(update={"bands": (TransitBand(days=1),)})
    life = life.when(faster).then_one(TransitDefined, nodes_version=3)
    life.when(BUSY_LEEDS).then_one(NodeDefined, nodes_version=4, operations=WORKS)


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    nowhere = WORKS.model_copy(update={"time_zone": "Europe/Atlantis"})
    life = given(domain).when(define("LEEDS", 53.8, -1.5, operations=nowhere))
    life.then_refused("unknown_time_zone")
