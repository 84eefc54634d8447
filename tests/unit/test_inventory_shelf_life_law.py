"""The law of days that a channel asks for: whatever lots there are, whoever buys, and however late anybody
looks, no order is given a lot with fewer days left, and none that was promised units is left unanswered."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.contract import Event
from libs.events.inventory import AllocationFailed, StockAllocated, StockBackordered, StockReserved
from libs.events.promise import ChannelTerms, DefinePromiseTerms
from services.inventory.proof import prove
from tests.unit.inventory_lots import day, delivered, milk
from tests.unit.inventory_trade import accepted, routed
from tests.unit.inventory_world import World
from tests.unit.test_inventory_model import planned

CHANNELS = ("wholesale", "export", "web")
DAYS = st.integers(1, 8)
LOTS = st.lists(st.tuples(DAYS, st.integers(1, 5), st.sampled_from(("N1", "N2"))), min_size=1, max_size=5)
BOUGHT = st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(1, 4)), min_size=1, max_size=6)
HOURS = st.sampled_from((0, 11, 13, 37, 61))
Lot = tuple[int, int, str]
"""Days that it lasts, units, node."""


def due(world: World, stream: str) -> list[Event]:
    """Let every reminder of a stream come that is due."""
    found = list[Event]()
    while timers := [
        one for one in world.timers.values() if one.stream == stream and one.due_at <= world.now
    ]:
        found += world.due(timers[0])
    return found


def answered(world: World, order_id: str, ask: Event | None, tries: int) -> Event | None:
    """What becomes of an order that is planned where its units are said to be; `ask` is what it was told."""
    for _ in range(tries):
        if not isinstance(ask, StockReserved | AllocationFailed):
            break
        told = world.take(routed(order_id, ask.round, **planned(ask)))
        ask = told[-1] if told else None
    return ask


@settings(max_examples=150, deadline=None)
@given(asked=st.tuples(DAYS, DAYS), lots=LOTS, bought=BOUGHT, hours=HOURS, looked=st.booleans())
def test_what_a_channel_is_given_has_as_many_days_left_as_it_asks_for(
    asked: tuple[int, int], lots: Sequence[Lot], bought: Sequence[tuple[str, int]], hours: int, looked: bool
) -> None:
    world, least = World(), dict(zip(CHANNELS, asked, strict=False))
    ways = tuple(ChannelTerms(channel=name, shelf_days_min=days) for name, days in least.items())
    world.take(milk())
    world.take(DefinePromiseTerms(sku="MILK", channels=ways))
    for number, (days, units, node) in enumerate(lots):
        world.take(delivered(f"L{number}", units, days, node))
    asks: dict[str, Event] = {}
    for number, (channel, units) in enumerate(bought):
        order = accepted(f"o{number}", ("MILK", units)).model_copy(update={"channel": channel})
        [asks[order.order_id]] = world.take(order)
    world.now += timedelta(hours=hours)
    if looked:
        due(world, "sku/MILK")
    for number, (channel, units) in enumerate(bought):
        order_id = f"o{number}"
        answer = answered(world, order_id, asks[order_id], 1)
        if isinstance(answer, AllocationFailed):
            due(world, "sku/MILK")
            answer = next((one for one in due(world, order_id)), None) or answer
            answer = answered(world, order_id, answer, 3)
        assert isinstance(answer, StockAllocated | StockBackordered), f"{order_id} is left with {answer}"
        if isinstance(answer, StockAllocated):
            given_units = [move for move in answer.movements if move.target == "allocated"]
            assert sum(move.quantity for move in given_units) == units
            for move in given_units:
                lasts = day(lots[int((move.lot or "L")[1:])][0])
                assert lasts >= world.now.date() + timedelta(days=least.get(channel, 0)), move
    assert prove(world.log).holds
