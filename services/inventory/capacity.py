"""How many units nodes have promised to ship on a day, and which of their days are full.

For whoever reckons a date: routing for plans, and inventory for baskets. An order books a day at a node when
it is allocated there, and gives it back when it is released. A day that has become full, or may be open
again, is looked at in the lane of the nodes, and told (`NodeDaysFull`) once it has changed. Nothing here is
asked for a tenant none of whose nodes states a capacity.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import cast, get_args

from libs.events.amendments import StockDeallocated
from libs.events.changes import LinesReleased
from libs.events.contract import Contract, Event
from libs.events.dates import NodeDaysFull
from libs.events.delivery import clock
from libs.events.inventory import StockAllocated, StockReleased
from libs.events.places import DayLoad
from libs.events.routing import NODES_STREAM, NodeDefined, OrderRouted
from libs.events.timer import Timer, TimerDue
from services.inventory.loads import LOAD_STREAM, NO_LOAD, LoadPart, taken
from services.inventory.order import OrderPart
from services.inventory.places import PlacesPart

LOOK = "capacity"
"""The timer by which the nodes' days are looked at."""
FULL_MAX = 400
"""Full days of a node that are told; later ones count as open."""
Loading = StockAllocated | StockReleased | LinesReleased | StockDeallocated
TELLS: frozenset[type[Event]] = frozenset(get_args(Loading))
"""Events that may say what they change of nodes' loads."""


def streams_of_order(body: Contract, order: OrderPart) -> tuple[str, ...]:
    """Loads that an order's input may change: none, where no node that it is planned for has a capacity."""
    named = list(order.booked or ())
    if type(body) is OrderRouted:
        named += [one.node for one in body.capacity or ()]
    elif type(body) in TELLS:
        named += [one.node for one in cast(Loading, body).loads or ()]
    return tuple([LOAD_STREAM + node for node in dict.fromkeys(named)]) if named else ()


def streams_of_nodes(body: Contract, home: PlacesPart) -> tuple[str, ...]:
    """Loads that are looked at, to tell which days are full."""
    if not isinstance(body, TimerDue | NodeDefined):
        return ()
    named = [name for name in home.nodes if _units_a_day(home, name) is not None]
    if isinstance(body, NodeDefined) and body.operations is not None and body.operations.units_a_day:
        named.append(body.node)
    return tuple(LOAD_STREAM + node for node in dict.fromkeys(named))


def booked(events: list[Event], routed: OrderRouted, loads: Mapping[str, LoadPart]) -> list[Event]:
    """An order's answer to its plan, saying what it books of the nodes' days, where it was allocated."""
    days = {one.node: one for one in routed.capacity or ()}
    if not days or not events or not isinstance(events[0], StockAllocated):
        return events
    told: list[DayLoad] = []
    for at_node in events[0].nodes:
        if (by := days.get(at_node.node)) is not None:
            units = sum(line.quantity for line in at_node.lines)
            there = loads.get(by.node, NO_LOAD).days.get(by.ship_on.isoformat(), 0)
            full = there + units >= by.units_a_day
            told.append(DayLoad(node=by.node, day=by.ship_on, units=units, look=full or None))
    return [events[0].model_copy(update={"loads": tuple(told) or None}), *events[1:]]


def given_back(events: list[Event], order: OrderPart) -> list[Event]:
    """An order's release, saying which of the nodes' days it has no use for any more: its last ones first."""
    if order.booked is None or not events:
        return events
    if not isinstance(events[0], StockReleased | LinesReleased | StockDeallocated):
        return events
    freed: dict[str, int] = {}
    for move in events[0].movements:
        if move.source == "allocated":
            freed[move.node] = freed.get(move.node, 0) + move.quantity
    told = tuple(
        DayLoad(node=node, day=date.fromisoformat(day), units=-units, look=True)
        for node, quantity in freed.items()
        for day, units in taken(order.booked.get(node, {}), quantity, last_first=True)
    )
    return [events[0].model_copy(update={"loads": told or None}), *events[1:]]


def timers(event: Event, at: datetime) -> list[Timer]:
    """To look at the nodes' days, where one of them has become full, or may be open again."""
    if any(one.look for one in cast(Loading, event).loads or ()):
        return [Timer(NODES_STREAM, LOOK, at)]
    return []


def look(places: PlacesPart, loads: Mapping[str, LoadPart], at: datetime) -> list[Event]:
    """Of each node whose full days are others than was told last: those from today on."""
    events: list[Event] = []
    for name in dict.fromkeys((*places.nodes, *places.full)):
        known, capacity = places.nodes.get(name), _units_a_day(places, name)
        full: list[date] = []
        today = date.min
        if capacity is not None and known is not None and known.operations is not None:
            today = at.astimezone(clock(known.operations).zone).date()
            days = loads.get(name, NO_LOAD).days
            full = [date.fromisoformat(day) for day, units in sorted(days.items()) if units >= capacity]
        told = tuple(day for day in full if day >= today)[:FULL_MAX]
        if told != tuple(day for day in places.full.get(name, ()) if day >= today):
            events.append(NodeDaysFull(node=name, full=told))
    return events


def _units_a_day(places: PlacesPart, name: str) -> int | None:
    known = places.nodes.get(name)
    return None if known is None or known.operations is None else known.operations.units_a_day
