"""Baskets that wait where nodes do not ship everywhere: what they are given, lose, and hand to orders."""

from libs.events.contract import Event
from libs.events.inventory import ReservationBroken, StockBackordered, StockPegged, StockReserved
from libs.events.order import Destination
from libs.events.policy import BackordersCalled
from libs.events.promise import HoldsBroken, HoldsFilled, PromiseConfirmed, PromiseHeld
from libs.events.refusal import CommandRefused
from services.inventory.proof import prove
from services.inventory.queue import WAITER
from services.inventory.stock import SkuPart
from tests.unit.inventory_supply import arrive, expect
from tests.unit.inventory_trade import accepted, adjust, of_basket, receive
from tests.unit.inventory_world import World, fold, known
from tests.unit.test_inventory_basket_waits import IN_3_DAYS, ahead, asked, settle, shop
from tests.unit.test_inventory_reach import node

IRELAND, BRITAIN = Destination(country="IE"), Destination(country="GB")


def bound(world: World) -> list[Event]:
    """N1 ships everywhere, GB to Great Britain only."""
    world.take(node("N1"))
    world.take(node("GB", 2, ships_to=("GB",)))
    return settle(world)


def part(world: World) -> SkuPart:
    found = world.parts["sku/A"]
    assert isinstance(found, SkuPart)
    return found


def goes(world: World) -> dict[str, str]:
    serving = part(world).serving
    return {} if serving is None else serving.orders


def proved(world: World) -> bool:
    """By the log, which builds the same again."""
    assert fold(world.folded) == known(world.parts)
    return prove(world.log).holds


def test_a_basket_that_waits_is_not_asked_where_it_goes_and_is_given_what_can_be_sent_there() -> None:
    """It was held before its SKU had a node that does not ship everywhere."""
    world = shop()
    asked(world, ahead("b1", ("A", 2), destination=IRELAND))
    bound(world)
    brought = asked(world, receive("A", 3, "GB"))
    assert not [event for event in brought if isinstance(event, BackordersCalled | HoldsFilled)]
    [reserved] = world.take(accepted("o1", ("A", 3)).model_copy(update={"destination": BRITAIN}))
    assert isinstance(reserved, StockReserved), "nobody is passed over who could not have them"
    filled = asked(world, arrive("A", "PO-1", "R1", 2))
    assert [event.holds[0].quantity for event in filled if isinstance(event, HoldsFilled)] == [2]
    assert proved(world)


def test_the_order_that_takes_it_over_goes_where_it_says_itself() -> None:
    world = shop()
    bound(world)
    asked(world, receive("A", 1, "GB"))
    [held] = world.take(ahead("b1", ("A", 2), destination=IRELAND))
    assert isinstance(held, PromiseHeld)
    assert [one.reason for one in held.short or ()] == ["not_served"]
    assert goes(world) == {WAITER + "b1": "IE"}
    order = accepted("o1", ("A", 2)).model_copy(update={"destination": BRITAIN})
    confirmed, waits = world.take(of_basket("b1", order))
    assert isinstance(confirmed, PromiseConfirmed)
    assert isinstance(waits, StockBackordered)
    assert goes(world) == {"o1": "GB"}
    given = settle(world)
    assert not [event for event in given if isinstance(event, BackordersCalled)]
    assert part(world).claims["o1"].held == 1
    assert proved(world)


def test_it_is_held_for_what_comes_to_nodes_that_ship_there() -> None:
    world = shop()
    bound(world)
    asked(world, expect("A", "PO-2", 9, "GB", expected_at=IN_3_DAYS))
    [refused] = world.take(ahead("b1", ("A", 6), destination=IRELAND))
    assert isinstance(refused, CommandRefused)
    assert refused.code == "not_available"
    [held] = world.take(ahead("b2", ("A", 6), destination=BRITAIN))
    assert isinstance(held, PromiseHeld)
    assert proved(world)


def test_units_that_leave_are_taken_from_it_before_orders_and_it_waits_again() -> None:
    world = shop()
    bound(world)
    asked(world, receive("A", 2, "N1"))
    asked(world, receive("A", 2, "GB"))
    asked(world, ahead("b1", ("A", 3), destination=IRELAND))
    asked(world, accepted("o1", ("A", 1)).model_copy(update={"destination": BRITAIN}))
    assert part(world).claims[WAITER + "b1"].held == 2
    brought = asked(world, adjust("A", -1, "N1"))
    [broken] = [event for event in brought if isinstance(event, HoldsBroken)]
    assert broken.queue
    assert not [event for event in brought if isinstance(event, ReservationBroken | StockPegged)]
    claim = part(world).claims[WAITER + "b1"]
    assert (claim.wanted, claim.held) == (3, 1)
    assert proved(world)


def test_a_basket_keeps_its_country_for_skus_that_get_such_a_node_later() -> None:
    world = shop()
    bound(world)
    asked(world, receive("A", 1, "N1"))
    [held] = world.take(ahead("b1", ("A", 1), destination=IRELAND))
    assert isinstance(held, PromiseHeld)
    assert held.short is None
    asked(world, receive("A", 1, "GB"))
    [waits] = world.take(accepted("o1", ("A", 1)).model_copy(update={"destination": IRELAND}))
    assert isinstance(waits, StockBackordered), "the unit that ships there is the basket's"
    assert proved(world)
