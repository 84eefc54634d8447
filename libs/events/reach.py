"""Inventory's contracts about nodes that are switched off, or do not ship everywhere."""

from typing import Annotated, ClassVar

from pydantic import Field

from libs.events.contract import Country, Event, NodeId, SkuEvent
from libs.events.inventory import QueueChange
from libs.events.routing import NODES_STREAM
from libs.events.serving import Bound


class NodeSwitched(Event):
    """Inventory has heard that a node ships from now on, or ships nothing any more, or where it ships to.
    Each SKU with units there is looked at next (`ReachChanged`)."""

    TYPE: ClassVar[str] = "oms.inventory.node_switched"

    node: NodeId
    active: bool
    ships_to: Annotated[tuple[Country, ...], Field(max_length=300)] | None = None
    """Countries that it serves; None means all."""
    nodes_version: Annotated[int, Field(ge=0)]

    @property
    def stream(self) -> str:
        return NODES_STREAM


class ReachChanged(SkuEvent):
    """Units of the SKU at nodes that are switched off, or whose feed is silent or retired, are not promised
    from now on, and those at nodes that do not ship everywhere are only for where these ship to. Promises
    that were made before stand, but those that no node with units ships to any more, as one ships elsewhere
    by now: they are broken next."""

    TYPE: ClassVar[str] = "oms.inventory.reach_changed"

    closed: Annotated[tuple[NodeId, ...], Field(max_length=1000)] = ()
    """Nodes that are switched off, or of which nobody tells any more, of those at which the SKU has or had
    units; they replace those before."""
    bound: Annotated[tuple[Bound, ...], Field(max_length=1000)] | None = None
    """Those that do not ship everywhere; None, all do. They replace those before."""
    serves: Annotated[tuple[Country, ...], Field(max_length=300)] | None = None
    """Countries that any node of the tenant ships to, where there are such; None, some node ships everywhere.
    Units for others are promised as for any country: routing says that no node ships there."""
    nodes_version: Annotated[int, Field(ge=0)]
    queue: tuple[QueueChange, ...] | None = None
    """Who waits may be given units now, or may not any more."""


REACH_EVENTS = (NodeSwitched, ReachChanged)
