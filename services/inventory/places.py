"""What inventory heard from routing about nodes and carriers: as much as a date needs.

Read without a lock by whoever promises a date, from memory; nobody else is asked. Nodes whose working days
nobody has told, that ship everywhere and are switched on, are kept by name alone.
"""

from dataclasses import field
from datetime import date

from libs.events.contract import terms_alone
from libs.events.dates import NodeDaysFull
from libs.events.places import TransitTerms
from libs.events.reach import NodeSwitched
from libs.events.record import changed, record
from libs.events.routing import NODES_STREAM, NodeDefined, NodeTerms, TransitDefined
from libs.events.serving import serves
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
    closed: tuple[str, ...] = ()
    """Nodes that are switched off, in order."""
    told_closed: tuple[str, ...] = ()
    """Those of which inventory has told so."""
    ships_to: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Countries by node, of nodes that do not ship everywhere."""
    told_ships_to: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Those of which inventory has told so."""

    everywhere: tuple[str, ...] = ()
    """Nodes that ship everywhere and are switched on, in order."""

    def served(self) -> tuple[str, ...] | None:
        """Countries that any node ships to; None where some node ships everywhere."""
        if self.everywhere or any(one.ships_to is None and one.active for one in self.nodes.values()):
            return None
        bound = (countries for node, countries in self.ships_to.items() if node not in self.closed)
        return tuple(sorted({country for countries in bound for country in countries}))

    def serves(self, node: str, country: str) -> bool:
        """Whether the node may ship there, as far as anybody said."""
        return node not in self.closed and serves(self.ships_to.get(node), country)


NO_PLACES = PlacesPart()


def evolve_places(
    part: PlacesPart, event: NodeDefined | TransitDefined | NodeDaysFull | NodeSwitched
) -> PlacesPart:
    """The part after what routing said, or which days are full; the same where it is of no use."""
    if isinstance(event, NodeSwitched):
        told = {*part.told_closed} - {event.node} if event.active else {*part.told_closed, event.node}
        bound = {name: countries for name, countries in part.told_ships_to.items() if name != event.node}
        if event.ships_to is not None:
            bound[event.node] = event.ships_to
        return changed(part, told_closed=tuple(sorted(told)), told_ships_to=bound)
    if isinstance(event, NodeDaysFull):
        full = {name: days for name, days in part.full.items() if name != event.node}
        return changed(part, full=full | ({event.node: event.full} if event.full else {}))
    if isinstance(event, TransitDefined):
        transit = {**part.transit, event.service: terms_alone(TransitTerms, event)}
        return changed(part, version=event.nodes_version, transit=transit)
    nodes = {name: node for name, node in part.nodes.items() if name != event.node}
    if event.operations is not None:
        nodes[event.node] = terms_alone(NodeTerms, event)
    closed = {*part.closed} - {event.node} if event.active else {*part.closed, event.node}
    ships_to = {name: countries for name, countries in part.ships_to.items() if name != event.node}
    if event.ships_to is not None:
        ships_to[event.node] = event.ships_to
    everywhere = {*part.everywhere} - {event.node}
    if event.active and event.ships_to is None:
        everywhere.add(event.node)
    after = changed(
        part,
        nodes=nodes,
        closed=tuple(sorted(closed)),
        ships_to=ships_to,
        everywhere=tuple(sorted(everywhere)),
    )
    return part if after == part else changed(after, version=event.nodes_version)
