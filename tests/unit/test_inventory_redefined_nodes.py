"""A node ships elsewhere by now: promises that no node can keep any more are taken back, and told why."""

from datetime import timedelta

from libs.events.contract import Event
from libs.events.dates import BackorderDated
from libs.events.inventory import ReservationBroken, StockBackordered, StockPegged, StockReserved
from libs.events.order import Destination
from libs.events.promise import HoldsBroken, PromiseReleased
from libs.events.reach import ReachChanged
from services.inventory.proof import prove
from services.inventory.stock import SkuPart
from tests.spec import Spec
from tests.unit.inventory_stage import sku
from tests.unit.inventory_supply import expect
from tests.unit.inventory_trade import accepted, due, receive
from tests.unit.inventory_world import World, fold, known
from tests.unit.test_inventory_backorders import settle
from tests.unit.test_inventory_reach import node
from tests.unit.test_inventory_serving import basket, held, stocked, to


def narrowed(spec: Spec, *countries: str, version: int = 2) -> list[Event]:
    """N1 ships to these alone; the SKU is reminded."""
    spec.heard(node("N1", version, ships_to=countries))
    return spec.when(due("sku/A", "reach")).events


def test_promises_that_no_node_can_keep_any_more_are_taken_back_the_youngest_first() -> None:
    spec = stocked(GB=2, N1=3).heard(
        to("IE", "o1", ("A", 1)), to("IE", "o2", ("A", 1)), to("GB", "o3", ("A", 1))
    )
    spec.heard(node("N2", 2), receive("A", 1, "N2"))
    told, broken = narrowed(spec, "FR", "GB", version=3)
    assert isinstance(told, ReachChanged)
    assert isinstance(broken, ReservationBroken)
    assert [(one.order_id, one.quantity) for one in broken.claims] == [("o2", 1)], "N2 has one for Ireland"
    assert broken.cause == "not_served"
    assert held(spec) == {"o1": 1, "o2": 0, "o3": 1}
    [waits] = spec.when(due("o2", "claims")).events
    assert isinstance(waits, StockBackordered)
    assert [one.reason for one in waits.short] == ["not_served"]
    spec.when(due("sku/A", "reach")).then_nothing()


def test_who_lost_them_by_a_mistake_is_given_them_again_in_his_place() -> None:
    spec = stocked(N1=2).heard(to("IE", "o1", ("A", 2)))
    spec.heard(node("N2", 2))
    narrowed(spec, "GB", version=3)
    spec.heard(due("o1", "claims"), to("IE", "o2", ("A", 1)))
    spec.heard(node("N1", 4))
    told, pegged = spec.when(due("sku/A", "reach")).events
    assert isinstance(told, ReachChanged)
    assert isinstance(pegged, StockPegged)
    assert [(one.order_id, one.quantity) for one in pegged.claims] == [("o1", 2)]


def test_an_order_of_before_that_had_not_said_where_it_goes_is_asked_and_waits() -> None:
    """All nodes shipped everywhere, so nobody had to say."""
    spec = stocked(N1=2)
    spec.heard(node("GB", 2)).heard(due("sku/A", "reach"), to("IE", "o1", ("A", 1)), to("GB", "o2", ("A", 1)))
    assert sku(spec, "A").serving is None
    narrowed(spec, "GB", version=3)
    [waits] = spec.when(due("o1", "claims")).events
    assert isinstance(waits, StockBackordered)
    assert [one.reason for one in waits.short] == ["not_served"]
    assert held(spec)["o1"] == 0
    [stays] = spec.when(due("o2", "claims")).events
    assert isinstance(stays, StockReserved)


def test_who_has_not_said_where_it_goes_loses_nothing_in_place_of_who_cannot_be_sent_it() -> None:
    spec = stocked(N1=2).heard(node("GB", 2), node("N1", 3, ships_to=("GB", "IE")), due("sku/A", "reach"))
    spec.heard(to("IE", "o1", ("A", 1)), node("N1", 4), due("sku/A", "reach"), to("GB", "o2", ("A", 1)))
    narrowed(spec, "GB", version=5)
    assert held(spec) == {"o1": 0, "o2": 1}, "the younger one was not asked yet, and may go anywhere"


def test_baskets_lose_them_before_orders_do_and_are_given_up() -> None:
    spec = stocked(GB=1, N1=2).heard(to("IE", "o1", ("A", 1)), basket("IE", "b1", 1))
    spec.heard(node("N2", 2), receive("A", 1, "N2"))
    told, broken = narrowed(spec, "GB", version=3)
    assert isinstance(told, ReachChanged)
    assert isinstance(broken, HoldsBroken)
    assert [one.promise_id for one in broken.holds] == ["b1"]
    spec.when(due("promise/b1", "settle")).then_types(PromiseReleased)


def test_a_country_that_no_node_serves_any_more_is_for_routing_to_end() -> None:
    """To wait for what nobody will ever send is of no use."""
    spec = stocked(GB=1, N1=1).heard(to("IE", "o1", ("A", 1)))
    assert [type(event) for event in narrowed(spec, "GB")] == [ReachChanged]
    assert held(spec) == {"o1": 1}


def test_a_node_that_is_switched_off_takes_nothing_back() -> None:
    spec = stocked(GB=1, N1=1).heard(to("IE", "o1", ("A", 1)))
    spec.heard(node("N2", 2))
    for version, on in ((3, False), (4, True)):
        spec.heard(node("N1", version, active=on))
        assert [type(event) for event in spec.when(due("sku/A", "reach")).events] == [ReachChanged]
        assert held(spec) == {"o1": 1}


def test_a_node_that_is_switched_off_with_all_that_serve_a_country_is_no_fault_of_the_others() -> None:
    """Then no node serves it, and its promise is one that any node could keep, until routing ends it."""
    spec = stocked(GB=1, N1=1).heard(to("IE", "o1", ("A", 1)), to("GB", "o2", ("A", 1)))
    spec.heard(node("N1", 2, active=False))
    assert [type(event) for event in spec.when(due("sku/A", "reach")).events] == [ReachChanged]
    assert held(spec) == {"o1": 1, "o2": 1}


def test_who_waits_for_what_comes_there_loses_the_date_and_is_told() -> None:
    world = World()
    for body in (
        node("N1"),
        node("N2", 2),
        node("GB", 3, ships_to=("GB",)),
        receive("A", 1, "GB"),
        receive("A", 1, "N2"),
        expect("A", "PO-1", 5, "N1", expected_at=world.now + timedelta(days=3)),
    ):
        world.take(body)
    world.take(accepted("o1", ("A", 3)).model_copy(update={"destination": Destination(country="IE")}))
    dated = [event for event in settle(world) if isinstance(event, BackorderDated)]
    assert dated[-1].usable_at is not None
    world.take(node("N1", 4, ships_to=("FR",)))
    world.take(due("sku/A", "reach"))
    told = [event for event in settle(world) if isinstance(event, BackorderDated)]
    assert [(one.usable_at, one.told_before) for one in told] == [(None, dated[-1].usable_at)]
    part = world.parts["sku/A"]
    assert isinstance(part, SkuPart)
    assert part.claims["o1"].held == 1, "what N2 has it keeps"
    proof = prove(world.log)
    assert proof.holds, proof.violation
    assert known(fold(world.folded)) == known(world.parts)
