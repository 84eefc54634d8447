"""Inventory's contracts about nodes that are switched off: their units are not promised."""

from typing import Annotated, ClassVar

from pydantic import Field

from libs.events.contract import Event, NodeId, SkuEvent
from libs.events.inventory import QueueChange
from libs.events.routing import NODES_STREAM


class NodeSwitched(Event):
    """Inventory has heard that a node ships from now on, or ships nothing any more. Each SKU with units there
    is looked at next (`ReachChanged`)."""

    TYPE: ClassVar[str] = "oms.inventory.node_switched"

    node: NodeId
    active: bool
    nodes_version: Annotated[int, Field(ge=0)]

    @property
    def stream(self) -> str:
        return NODES_STREAM


class ReachChanged(SkuEvent):
    """Units of the SKU at these nodes are not promised from now on, as the nodes are switched off; those at
    all others are. Promises that were made before stand."""

    TYPE: ClassVar[str] = "oms.inventory.reach_changed"

    closed: Annotated[tuple[NodeId, ...], Field(max_length=1000)] = ()
    """Nodes that are switched off, of those at which the SKU has or had units; they replace those before."""
    nodes_version: Annotated[int, Field(ge=0)]
    queue: tuple[QueueChange, ...] | None = None
    """Who waits may be given units now, or may not any more."""


REACH_EVENTS = (NodeSwitched, ReachChanged)
