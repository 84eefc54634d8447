"""Routing's contracts: which nodes ship an order, and why these."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from libs.events.contract import (
    Command,
    Country,
    Event,
    Name,
    NodeId,
    Note,
    OrderCommand,
    OrderEvent,
    Value,
)
from libs.events.inventory import Availability
from libs.events.order import Destination, LineQuantity, NodeLines, Reason, Unpacked
from libs.events.places import Delivery, NodeOperations, ShipDay, TransitTerms

NODES_STREAM = "nodes"
"""Stream of a tenant's nodes, of how long carriers travel from them, and of which plans are reviewed."""

Kilometres = Annotated[int, Field(strict=True, ge=0, le=100_000)]
"""Whole ones, as the crow flies."""


class NodeTerms(Value):
    """A fulfilling place, as routing sees it."""

    node: NodeId
    name: Name
    country: Country
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    ships_to: tuple[Country, ...] | None = None
    """Countries that it serves; none means all."""
    active: bool = True
    operations: NodeOperations | None = None
    """When it works; None, nobody has said, and no date can be promised from it."""


class DefineNode(NodeTerms, Command):
    """Add a node, or change one. Configuration is data."""

    TYPE: ClassVar[str] = "oms.routing.define_node"

    @property
    def stream(self) -> str:
        return NODES_STREAM


class NodeDefined(NodeTerms, Event):
    """The node is known to routing as of `nodes_version`."""

    TYPE: ClassVar[str] = "oms.routing.node_defined"

    nodes_version: Annotated[int, Field(ge=1)]

    @property
    def stream(self) -> str:
        return NODES_STREAM


class DefineTransit(TransitTerms, Command):
    """Say how long a service of the carriers takes: the whole of it is replaced."""

    TYPE: ClassVar[str] = "oms.routing.define_transit"

    @property
    def stream(self) -> str:
        return NODES_STREAM


class TransitDefined(TransitTerms, Event):
    """How long the service takes as of `nodes_version`."""

    TYPE: ClassVar[str] = "oms.routing.transit_defined"

    nodes_version: Annotated[int, Field(ge=1)]

    @property
    def stream(self) -> str:
        return NODES_STREAM


class ReviewTerms(Value):
    """Which plans a person sees before they are carried out: those above one of these limits. None is no
    limit; without any, no plan is held."""

    nodes_max: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    """Nodes that a plan may have."""
    distance_km_max: Kilometres | None = None
    """From its nodes to the destination, added up, as a candidate's `distance_km`."""
    farther_km_max: Kilometres | None = None
    """How much more that may be than the way from the nearest node that may ship it and has some of it."""


class DefineReview(ReviewTerms, Command):
    """Say which plans are held for review: the whole of it is replaced."""

    TYPE: ClassVar[str] = "oms.routing.define_review"

    @property
    def stream(self) -> str:
        return NODES_STREAM


class ReviewDefined(ReviewTerms, Event):
    """Which plans are held for review as of `nodes_version`."""

    TYPE: ClassVar[str] = "oms.routing.review_defined"

    nodes_version: Annotated[int, Field(ge=1)]

    @property
    def stream(self) -> str:
        return NODES_STREAM


class Candidate(Value):
    """A set of nodes that was weighed; an empty one stands for all that are not listed.

    `distance_km` is the sum over its nodes, none where the destination has no coordinates.
    """

    nodes: tuple[NodeId, ...]
    chosen: bool
    distance_km: float | None = None
    units: Annotated[int, Field(ge=0)]
    """Units of the order that are there, whether or not they may be shipped."""
    reason: Annotated[str, StringConstraints(max_length=300)]


class Reviewed(Value):
    """A person let a plan pass that was held; the actor of its event says who."""

    reason: Note = ""
    instead: Literal[True] | None = None
    """It is from other nodes than those that were held: the person named them."""


class OrderRouted(OrderEvent):
    """The plan by node, every candidate with its reason, and the versions it was decided by."""

    TYPE: ClassVar[str] = "oms.routing.order_routed"

    round: Annotated[int, Field(ge=1)]
    nodes: Annotated[tuple[NodeLines, ...], Field(min_length=1)]
    candidates: tuple[Candidate, ...]
    rule_version: Annotated[int, Field(ge=1)]
    nodes_version: Annotated[int, Field(ge=0)]
    promised: Delivery | None = None
    """When the last of it is delivered, where every node of the plan has a calendar; None, nobody can say."""
    capacity: tuple[ShipDay, ...] | None = None
    """Of those of its nodes that state one: the day on which each is to ship."""
    service: Name | None = None
    """By which service of the carriers, where the order names one."""
    reviewed: Reviewed | None = None
    """Where the plan was held for review: how it passed. Its dates are those of that moment."""


class RoutingHeld(OrderEvent):
    """A plan that a person has to see first. Its stock stays promised to the order meanwhile.

    It ends with the `OrderRouted` of the same round, once it is approved; or a later round, a cancellation,
    or that the order has no use for its units any more, makes it void. It carries what another choice of
    nodes would be made from.
    """

    TYPE: ClassVar[str] = "oms.routing.routing_held"

    round: Annotated[int, Field(ge=1)]
    nodes: Annotated[tuple[NodeLines, ...], Field(min_length=1)]
    """The plan."""
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    """Each limit that it is above, with the figures."""
    candidates: tuple[Candidate, ...]
    rule_version: Annotated[int, Field(ge=1)]
    nodes_version: Annotated[int, Field(ge=0)]
    """Of the nodes, the services and the limits."""
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    availability: tuple[Availability, ...]
    destination: Destination
    promised: Delivery | None = None
    """When the last of it would be delivered, were it let pass at once; reckoned anew when it is."""
    capacity: tuple[ShipDay, ...] | None = None
    """As of that moment too."""
    service: Name | None = None
    """By which service of the carriers, where the order names one."""


class ApproveRouting(OrderCommand):
    """Let the plan pass that is held for review in this round, or one from the nodes that are named."""

    TYPE: ClassVar[str] = "oms.routing.approve_routing"

    round: Annotated[int, Field(strict=True, ge=1)]
    nodes: Annotated[tuple[NodeId, ...], Field(min_length=1, max_length=50)] | None = None
    """In place of those of the plan; the fewest of them that have everything ship it."""
    reason: Note = ""


class OrderUnroutable(OrderEvent):
    """No set of nodes may ship these lines to this destination."""

    TYPE: ClassVar[str] = "oms.routing.order_unroutable"

    round: Annotated[int, Field(ge=1)]
    lines: tuple[LineQuantity, ...]
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    later: Annotated[tuple[LineQuantity, ...], Field(min_length=1)] | None = None
    """Units of the order that were not asked about: they wait for stock."""
    candidates: tuple[Candidate, ...]
    rule_version: Annotated[int, Field(ge=1)]
    nodes_version: Annotated[int, Field(ge=0)]
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""
    destination: Destination | None = None
    """Where nobody may ship them: an order may have been given another one since."""


ROUTING_COMMANDS = (DefineNode, DefineTransit, DefineReview, ApproveRouting)
ROUTING_EVENTS = (NodeDefined, TransitDefined, ReviewDefined, OrderRouted, RoutingHeld, OrderUnroutable)
