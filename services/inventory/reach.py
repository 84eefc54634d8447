"""Which units can be promised at all: none at nodes that are switched off, as nobody may ship them.

For every decision that promises units. What routing says of a node is heard in the lane of the nodes; a SKU
keeps which of its nodes are switched off in its own part, so that a promise asks nobody. A SKU is told by the
timer `reach`, which `switches` sets for those with units at a node that was switched, and by whatever puts
units on its shelf.
"""

from libs.events.contract import Event
from libs.events.inventory import QueueChange
from libs.events.reach import NodeSwitched, ReachChanged
from services.inventory.giving import peg
from services.inventory.places import PlacesPart
from services.inventory.stock import SkuPart, evolve_sku

CLOSED_MAX = 1000
"""Nodes of one SKU that are kept apart; of more, those that come first by name."""


def switched(places: PlacesPart) -> list[Event]:
    """The nodes that are switched off or on, and of which that was not told yet."""
    return [
        NodeSwitched(node=node, active=node not in places.closed, nodes_version=places.version)
        for node in sorted({*places.closed} ^ {*places.told_closed})
    ]


def in_reach(sku: str, part: SkuPart, places: PlacesPart) -> tuple[list[Event], SkuPart]:
    """What has changed of the nodes whose units are out of what can be promised, and the SKU after it."""
    before = part.closed or ()
    if not places.closed and not before:
        return [], part
    coming = [node for _, node, _ in part.arrivals or ()]
    here = {*part.on_hand, *part.allocated, *coming, *before}
    closed = tuple(node for node in places.closed if node in here)[:CLOSED_MAX]
    if closed == before:
        return [], part
    change = QueueChange(sku=sku, number=part.queued + 1, up_to=part.position)
    told = ReachChanged(sku=sku, closed=closed, nodes_version=places.version, queue=(change,))
    return [told], evolve_sku(part, told)


def look(sku: str, part: SkuPart, places: PlacesPart) -> list[Event]:
    """A node of the SKU was switched, or units came back to one: what can be promised, and to whom."""
    told, part = in_reach(sku, part, places)
    return [*told, *peg(sku, part)]
