"""A node's daily capacity in dates, through all stages: docs/inventory.md's example, each step and figure."""

from collections import Counter

from libs.events.ids import order_id
from libs.events.intake import CancelOrder
from libs.events.inventory import StockAllocated, StockReleased
from libs.events.order import Destination
from libs.events.promise import PromiseHeld, ReleasePromise
from libs.events.routing import OrderRouted
from tests.flow.oracle import check
from tests.flow.people import Warehouse, order
from tests.flow.test_dates import LONDON, WORKS, shop
from tests.flow.test_promises import basket
from tests.flow.world import TENANT, World
from tests.unit.inventory_page import table

LIMITED = LONDON.model_copy(update={"operations": WORKS.model_copy(update={"units_a_day": 5})})
DAYS = ("2026-03-02", "2026-03-03")


async def take(world: World, step: str) -> str:
    """One step of the example; when the order that it is about is to leave, where it is about a new one."""
    verb, name, *more = step.split()
    if verb == "order":
        await world.send(order(name, {"TEA": int(more[0])}))
        await world.settle()
        [routed] = [one for one in world.events(OrderRouted) if one.stream == order_id(TENANT, "web", name)]
        assert isinstance(routed, OrderRouted)
        assert routed.promised is not None
        return str(routed.promised.ship_by)
    if verb == "cancel":
        await world.send(CancelOrder(order_id=order_id(TENANT, "web", name)))
    else:
        operations = WORKS.model_copy(update={"units_a_day": int(more[0])})
        await world.send(LONDON.model_copy(update={"operations": operations}))
    await world.settle()
    return ""


def booked(world: World) -> list[str]:
    """Units that London is to ship on each of the days, by what inventory told."""
    units = Counter[str]()
    for event in world.events(StockAllocated, StockReleased):
        assert isinstance(event, StockAllocated | StockReleased)
        for one in event.loads or ():
            units[str(one.day)] += one.units
    return [str(units[day]) for day in DAYS]


async def a_basket(world: World, number: int) -> str:
    """When one unit more would leave."""
    held = basket(f"asked-{number}", TEA=1).model_copy(update={"destination": Destination(country="GB")})
    await world.send(held)
    await world.settle()
    [told] = [one for one in world.events(PromiseHeld) if one.stream == held.stream]
    assert isinstance(told, PromiseHeld)
    assert told.delivery is not None
    await world.send(ReleasePromise(promise_id=held.promise_id))
    await world.settle()
    codes = [one.code for one in told.delivery.why]
    assert ("capacity" in codes) == (str(told.delivery.ship_by) > DAYS[0])
    return str(told.delivery.ship_by)


async def test_the_example_of_a_full_day_is_what_is_promised() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table("capacity")[2:]]
    assert len(rows) == 6
    world = await shop(TEA=40)
    await world.send(LIMITED)
    await world.settle()
    for number, (step, *figures) in enumerate(rows):
        leaves = await take(world, step.split("`")[1])
        assert [*booked(world), leaves, await a_basket(world, number)] == figures, step
    await Warehouse(world).everything()
    check(world)


async def test_where_no_node_states_a_capacity_nothing_is_booked() -> None:
    world = await shop(TEA=9)
    await world.send(order("o1", {"TEA": 4}))
    await world.settle()
    [routed], [allocated] = world.events(OrderRouted), world.events(StockAllocated)
    assert isinstance(routed, OrderRouted)
    assert isinstance(allocated, StockAllocated)
    assert routed.promised is not None
    assert (routed.capacity, allocated.loads) == (None, None)
    streams = {key.partition("/")[2] for key in world.logs["inventory"].parts}
    assert not [stream for stream in streams if stream.startswith("load/")]
