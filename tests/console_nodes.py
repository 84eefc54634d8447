"""Nodes as routing tells them, for tests of the read side."""

from libs.events.contract import Event
from libs.events.routing import NodeDefined


def node(name: str, *ships_to: str, active: bool = True) -> NodeDefined:
    """A node as routing tells it; without countries it ships everywhere."""
    return NodeDefined(
        node=name,
        name=name.title(),
        country="GB",
        latitude=51.5,
        longitude=-0.1,
        ships_to=ships_to or None,
        active=active,
        nodes_version=1,
    )


NODES: list[Event] = [
    node("LON"),
    node("MAN", "GB", "IE"),
    node("LON", "GB", "FR"),
    node("DUB", active=False),
    node("PAR", "FR", "CH", active=False),
]
"""Great Britain, Ireland and France are served."""
