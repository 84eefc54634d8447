"""What inventory heard from routing about nodes and carriers: as much as a date needs.

Read without a lock by whoever promises a date, from memory; nobody else is asked. Nodes whose working days
nobody has told are left out, so that a tenant who wants no dates costs nothing.
"""

from dataclasses import field
from datetime import date

from libs.events.contract import terms_alone
from libs.events.dates import NodeDaysFull
from libs.events.places import TransitTerms
from libs.events.record import record
from libs.events.routing import NODES_STREAM, NodeDefined, NodeTerms, TransitDefined
from libs.events.supply import RULES_STREAM

CONFIGURED = frozenset({NODES_STREAM, RULES_STREAM})
"""Streams that only their own lane changes, and every other one reads."""


@record
class PlacesPart:
    """State of the stream `nodes`: nodes with a calendar, and services."""

    version: int = 0
    nodes: dict[str, NodeTerms] = field(default_factory=dict)
    transit: dict[str, TransitTerms] = field(default_factory=dict)
    full: dict[str, tuple[date, ...]] = field(default_factory=dict)
    """Days on which a node can ship no more, by node."""


NO_PLACES = PlacesPart()


def evolve_places(part: PlacesPart, event: NodeDefined | TransitDefined | NodeDaysFull) -> PlacesPart:
    """The part after what routing said, or which days are full; the same where it is of no use for a date."""
    if isinstance(event, NodeDaysFull):
        full = {name: days for name, days in part.full.items() if name != event.node}
        return PlacesPart(
            part.version, part.nodes, part.transit, full | ({event.node: event.full} if event.full else {})
        )
    if isinstance(event, TransitDefined):
        transit = {**part.transit, event.service: terms_alone(TransitTerms, event)}
        return PlacesPart(event.nodes_version, part.nodes, transit, part.full)
    nodes = {name: node for name, node in part.nodes.items() if name != event.node}
    if event.operations is not None:
        nodes[event.node] = terms_alone(NodeTerms, event)
    elif len(nodes) == len(part.nodes):
        return part
    return PlacesPart(event.nodes_version, nodes, part.transit, part.full)
