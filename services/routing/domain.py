"""Routing decides, for every order that inventory has promised, which nodes ship it.

It answers each sourcing round of an order once, with a plan by node or with what stands in the way, from what
the round's event carries and the nodes as it knows them; both are recorded, so that the decision can be
explained and replayed. Where nodes are, whom they serve and when they work is data: operations define it,
and which plans a person sees first. Such a plan is held until it is approved, or something overtakes it.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date, datetime
from typing import assert_never, cast

from libs.events.changes import LinesReleased
from libs.events.contract import Contract, Event, terms_alone
from libs.events.dates import NodeDaysFull
from libs.events.envelope import Envelope
from libs.events.inventory import AllocationFailed, StockBackordered, StockReleased, StockReserved
from libs.events.places import TransitTerms
from libs.events.record import record
from libs.events.routing import (
    NODES_STREAM,
    ApproveRouting,
    DefineNode,
    DefineReview,
    DefineTransit,
    NodeDefined,
    NodeTerms,
    OrderRouted,
    OrderUnroutable,
    ReviewDefined,
    ReviewTerms,
    RoutingHeld,
    TransitDefined,
)
from services.routing import candidates, dates, review, sourcing

# --- what it hears ---------------------------------------------------------------------------------------

HEARS: tuple[type[Event], ...] = (
    StockReserved,
    AllocationFailed,
    NodeDaysFull,
    StockBackordered,
    StockReleased,
    LinesReleased,
)
"""The last three make a plan void that is held for review, and say nothing else here."""
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    StockReserved: (
        "since",
        "contact",
        "channel",
        "terms",
        "policy",
        "served",
        "queue",
        "places",
        "movements",
    ),
    AllocationFailed: ("short",),
    StockBackordered: (
        "since",
        "contact",
        "channel",
        "terms",
        "policy",
        "supplied",
        "service",
        "served",
        "queue",
        "places",
        "movements",
    ),
    StockReleased: ("reason", "waited", "loads", "queue", "movements"),
    LinesReleased: ("loads", "queue", "movements"),
}
"""What routing has no use for in them."""
Heard = (
    StockReserved
    | AllocationFailed
    | NodeDaysFull
    | StockBackordered
    | StockReleased
    | LinesReleased
    | DefineNode
    | DefineTransit
    | DefineReview
    | ApproveRouting
)

RULE_VERSION = 1
"""Which rules sourcing decides by. A change of `sourcing` that may change a plan is a new one."""

# --- state -----------------------------------------------------------------------------------------------


SHARED = frozenset({NODES_STREAM})
"""Every order reads the nodes; only their own lane changes them."""


@record
class OrderPart:
    """One order, as routing knows it."""

    answered: int = 0
    """The latest sourcing round that was answered."""
    held: RoutingHeld | None = None
    """The plan of that round, while a person has to see it first."""
    void: review.Void | None = None
    """Why a plan that was held is held no more, where it was not approved."""


@record
class NodesPart:
    """All nodes of the tenant, how long carriers travel from them, and how often any of it has changed."""

    version: int = 0
    nodes: Mapping[str, NodeTerms] = field(default_factory=dict)
    transit: Mapping[str, TransitTerms] = field(default_factory=dict)
    """By service."""
    full: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    """Days on which a node can ship no more, by node, as inventory told."""
    review: ReviewTerms | None = None
    """Which plans a person sees first; None, nobody has ever said."""


Part = OrderPart | NodesPart


@record
class State:
    """What a decision sees: the nodes, and the order it is about, if it is about one."""

    home: str = NODES_STREAM
    order: OrderPart = OrderPart()
    nodes: NodesPart = field(default_factory=NodesPart)


INITIAL = State()


def empty(stream: str) -> Part:
    """The part of a stream of which nothing is known."""
    return NodesPart() if stream == NODES_STREAM else OrderPart()


def more_streams(heard: Envelope[Contract], home: Part) -> tuple[str, ...]:
    """An order's decision needs the nodes; a node's definition needs nothing else."""
    return (NODES_STREAM,) if isinstance(home, OrderPart) else ()


def compose(home: str, parts: Mapping[str, Part]) -> State:
    """The state from the parts of the home stream and of `more_streams`."""
    nodes = parts[NODES_STREAM]
    assert isinstance(nodes, NodesPart)
    if home == NODES_STREAM:
        return State(nodes=nodes)
    order = parts[home]
    assert isinstance(order, OrderPart)
    return State(home, order, nodes)


def decompose(state: State) -> Mapping[str, Part]:
    """The parts by stream again."""
    if state.home == NODES_STREAM:
        return {NODES_STREAM: state.nodes}
    return {state.home: state.order, NODES_STREAM: state.nodes}


# --- evolve ----------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    """The state after one of routing's own events; inventory's say which days are full, and that a plan which
    is held is void."""
    match event:
        case OrderRouted() | OrderUnroutable():
            return State(state.home, OrderPart(answered=event.round), state.nodes)
        case RoutingHeld():
            return State(state.home, OrderPart(event.round, held=event), state.nodes)
        case StockBackordered() | StockReleased() | LinesReleased():
            why = None if state.order.held is None else review.void_by(state.order.held, event)
            if why is None:
                return state
            return State(state.home, OrderPart(state.order.answered, void=why), state.nodes)
        case ReviewDefined():
            terms = terms_alone(ReviewTerms, event)
            return replace(state, nodes=replace(state.nodes, version=event.nodes_version, review=terms))
        case NodeDefined():
            nodes = {**state.nodes.nodes, event.node: terms_alone(NodeTerms, event)}
            return replace(state, nodes=replace(state.nodes, version=event.nodes_version, nodes=nodes))
        case TransitDefined():
            transit = {**state.nodes.transit, event.service: terms_alone(TransitTerms, event)}
            return replace(state, nodes=replace(state.nodes, version=event.nodes_version, transit=transit))
        case NodeDaysFull():
            full = {**state.nodes.full, event.node: event.full}
            return replace(state, nodes=replace(state.nodes, full=full))
        case _:
            return state


# --- decide ----------------------------------------------------------------------------------------------


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    """A plan for a new round, or the one that was held; a node's new definition; [] to a repeat and to a past
    round."""
    body = cast(Heard, heard.body)
    match body:
        case StockReserved() | AllocationFailed():
            return [] if body.round <= state.order.answered else [_route(state.nodes, body, at)]
        case DefineNode():
            refusal = dates.unknown_zone(heard, body)
            return [refusal] if refusal else _define(state.nodes, body)
        case NodeDaysFull() | StockBackordered() | StockReleased() | LinesReleased():
            return []
        case DefineTransit():
            return dates.define(state.nodes.version, state.nodes.transit, body)
        case DefineReview():
            return review.define(state.nodes.version, state.nodes.review, body)
        case ApproveRouting():
            return review.approve(state.order, state.nodes, heard, body, at)
        case _:
            assert_never(body)


def _route(known: NodesPart, asked: StockReserved | AllocationFailed, at: datetime) -> Event:
    need = sourcing.needs(asked.lines)
    found = sourcing.offers(need, asked.availability, asked.destination, known.nodes)
    usable = [offer for offer in found if offer.barred is None and offer.total]
    choice = sourcing.choose(need, usable)
    if choice is None:
        short = sourcing.lacking(need, usable)
        return OrderUnroutable(
            order_id=asked.order_id,
            round=asked.round,
            lines=asked.lines,
            reasons=candidates.uncovered(need, short, found, asked.destination.country),
            later=asked.later,
            candidates=candidates.unroutable(need, found),
            rule_version=RULE_VERSION,
            nodes_version=known.version,
            bundles=asked.bundles,
            destination=asked.destination,
        )
    nodes, weighed = sourcing.plan(asked.lines, choice.offers), candidates.routed(need, found, choice)
    promised, capacity = (None, None)
    if known.transit:
        promised, capacity = dates.promised(known, choice.offers, asked, at)
    if known.review and (reasons := review.reasons(known.review, choice, usable)):
        return RoutingHeld(
            order_id=asked.order_id,
            round=asked.round,
            nodes=nodes,
            reasons=reasons,
            candidates=weighed,
            rule_version=RULE_VERSION,
            nodes_version=known.version,
            lines=asked.lines,
            availability=asked.availability,
            destination=asked.destination,
            promised=promised,
            capacity=capacity,
            service=asked.service,
        )
    return OrderRouted(
        order_id=asked.order_id,
        round=asked.round,
        nodes=nodes,
        candidates=weighed,
        rule_version=RULE_VERSION,
        nodes_version=known.version,
        promised=promised,
        capacity=capacity,
        service=asked.service,
    )


def _define(known: NodesPart, command: DefineNode) -> list[Event]:
    terms = terms_alone(NodeTerms, command)
    if known.nodes.get(command.node) == terms:
        return []
    return [NodeDefined.model_validate({**dict(terms), "nodes_version": known.version + 1})]
