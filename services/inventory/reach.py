"""Which units can be promised, and for where: none at nodes that are switched off, as nobody may ship them,
or of which nobody tells any more (`trust`); and those at nodes that do not ship everywhere for no other
country.

For every decision that promises units. What routing says of a node is heard in the lane of the nodes; a SKU
keeps which of its nodes are such in its own part (`serving`), so that a promise asks nobody. A SKU is told by
the timer `reach`, which `switches` sets for those with units at a node that was switched, and by whatever
puts units on its shelf. Promises that stood on where a node shipped before, and that none can keep now, are
taken back with it; those of a node that is switched off stand.
"""

from libs.events import serving as contract
from libs.events.contract import Event
from libs.events.inventory import QueueChange
from libs.events.reach import NodeSwitched, ReachChanged
from services.inventory.giving import peg, take_back_astray
from services.inventory.places import PlacesPart
from services.inventory.serving import Bound, Serving, bounds_of
from services.inventory.stock import SkuPart, evolve_sku

CLOSED_MAX = 1000
"""Nodes of one SKU that are kept apart; of more, those that come first by name."""


def switched(places: PlacesPart) -> list[Event]:
    """The nodes that are switched off or on, or ship elsewhere, and of which that was not told yet."""
    bound, told = places.ships_to, places.told_ships_to
    elsewhere = {node for node in {*bound, *told} if bound.get(node) != told.get(node)}
    return [
        NodeSwitched(
            node=node,
            active=node not in places.closed,
            ships_to=bound.get(node),
            nodes_version=places.version,
        )
        for node in sorted({*places.closed} ^ {*places.told_closed} | elsewhere)
    ]


def in_reach(sku: str, part: SkuPart, places: PlacesPart) -> tuple[list[Event], SkuPart]:
    """What has changed of the nodes whose units are out of what can be promised, the promises that none of
    the others can keep where a node ships elsewhere by now, and the SKU after them."""
    known = part.serving or Serving()
    before, bound = part.closed or (), known.bounds
    off = places.closed if part.untrusted is None else sorted({*places.closed, *part.untrusted})
    if not (off or places.ships_to or before or bound):
        return [], part
    coming = [node for _, node, _ in part.arrivals or ()]
    here = {*part.on_hand, *part.allocated, *coming, *before}
    closed = tuple(node for node in off if node in here)[:CLOSED_MAX]
    bounds = bounds_of({*here, *(node for nodes, _ in bound for node in nodes)}, places.ships_to)
    # a node that nobody has defined is taken to ship everywhere
    unbound = any(node not in places.ships_to and node not in places.closed for node in here)
    countries = None if unbound or not bounds else places.served()
    if (closed, bounds, countries) == (before, bound, known.countries):
        return [], part
    change = QueueChange(sku=sku, number=part.queued + 1, up_to=part.position)
    told = ReachChanged(
        sku=sku,
        closed=closed,
        bound=_told(bounds),
        serves=countries,
        nodes_version=places.version,
        queue=(change,),
    )
    lost, after = take_back_astray(sku, evolve_sku(part, told))
    return [told, *lost], after


def _told(bounds: tuple[Bound, ...]) -> tuple[contract.Bound, ...] | None:
    return tuple(contract.Bound(nodes=nodes, ships_to=ships_to) for nodes, ships_to in bounds) or None


def look(sku: str, part: SkuPart, places: PlacesPart) -> list[Event]:
    """A node of the SKU was switched, or units came back to one: what can be promised, and to whom."""
    told, part = in_reach(sku, part, places)
    return [*told, *peg(sku, part)]
