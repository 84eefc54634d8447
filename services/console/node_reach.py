"""To which countries nodes ship, as routing told last: for who is about to send an order to another.

Pure. All of a tenant's nodes are told by one lane, in order, so the last that was told of a node counts.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from libs.events.envelope import Envelope
from libs.events.routing import NodeDefined
from libs.events.serving import serves

NODE_REACH_EVENT = NodeDefined.TYPE


class NodeKey(NamedTuple):
    """A node of a tenant."""

    tenant: str
    node: str


class NodeReach(NamedTuple):
    """`ships_to`: countries with commas between; None, all; of a node that is switched off, none."""

    ships_to: str | None


def node_reach(envelope: Envelope[Any]) -> tuple[NodeKey, NodeReach]:
    """What the event tells."""
    event = envelope.body
    countries = event.ships_to if event.active else ()
    return NodeKey(envelope.tenant, event.node), NodeReach(None if countries is None else ",".join(countries))


def served_by_none(country: str, nodes: Iterable[str | None]) -> bool:
    """Whether no node ships there; `nodes`: `ships_to` of all. Where nothing is known of any, it is not."""
    told = list(nodes)
    return bool(told) and not any(serves(None if one is None else one.split(","), country) for one in told)
