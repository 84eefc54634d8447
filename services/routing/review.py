"""Which plans a person sees first, and what an approval of one comes to.

Routing knows no costs: a plan is judged by how many nodes it takes, how far away they are, and how much
farther than the nearest. A destination without coordinates is judged by the number of nodes alone.

An approval is decided by what is known when it comes. Stock stays promised to the order meanwhile, but its
day of shipment passes, and a node may be switched off: dates are reckoned anew, and a node that may not ship
it any more is refused.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from libs.events.changes import LinesReleased
from libs.events.contract import Contract, Event, terms_alone
from libs.events.envelope import Envelope
from libs.events.inventory import StockBackordered, StockReleased
from libs.events.order import Reason
from libs.events.refusal import refuse
from libs.events.routing import (
    ApproveRouting,
    DefineReview,
    OrderRouted,
    ReviewDefined,
    Reviewed,
    ReviewTerms,
    RoutingHeld,
)
from services.routing import candidates, dates, sourcing
from services.routing.sourcing import Choice, Offer

Void = Literal["cancelled", "overtaken"]
"""Why a plan is held no more: nobody wants the order, or its units are looked for anew, or given up."""
NAMED_MAX = 10
_CANCEL = "or cancel the order: orderlog orders cancel"


class Order(Protocol):
    """One order, as routing knows it."""

    @property
    def answered(self) -> int: ...
    @property
    def held(self) -> RoutingHeld | None: ...
    @property
    def void(self) -> Void | None: ...


def define(version: int, known: ReviewTerms | None, command: DefineReview) -> list[Event]:
    """The new limits; nothing where they are these already."""
    terms = terms_alone(ReviewTerms, command)
    if terms == (known or ReviewTerms()):
        return []
    return [ReviewDefined.model_validate({**dict(terms), "nodes_version": version + 1})]


def reasons(terms: ReviewTerms, choice: Choice, usable: Sequence[Offer]) -> tuple[Reason, ...]:
    """Each limit that the plan is above. `usable`: nodes that may ship and have some of it, nearest first."""
    found: list[Reason] = []
    nodes, tenths = choice.offers, sourcing.tenths_of_way(choice.offers)
    names = _names([offer.node for offer in nodes])
    if terms.nodes_max is not None and len(nodes) > terms.nodes_max:
        message = f"{len(nodes)} nodes ship it ({names}); more than {terms.nodes_max} are reviewed."
        found.append(Reason(code="too_many_nodes", message=message))
    if tenths is None:
        return tuple(found)
    limit = terms.distance_km_max
    if limit is not None and tenths > limit * 10:
        message = f"{names}: {tenths / 10:.1f} km in all; more than {limit} km are reviewed."
        found.append(Reason(code="too_far", message=message))
    nearest, limit = usable[0], terms.farther_km_max
    if limit is not None and (farther := tenths - nearest.cost) > limit * 10:
        message = (
            f"{names}: {farther / 10:.1f} km farther than {nearest.node} ({nearest.cost / 10:.1f} km), the"
            f" nearest that has some of it; more than {limit} km are reviewed."
        )
        found.append(Reason(code="farther_than_nearest", message=message))
    return tuple(found)


def void_by(held: RoutingHeld, heard: StockBackordered | StockReleased | LinesReleased) -> Void | None:
    """Whether inventory's news makes a plan void; None where it stands.

    What gives up units without a node gives up some of these: others are asked for in a round of their own.
    """
    match heard:
        case StockBackordered():
            return "overtaken" if heard.round > held.round else None
        case StockReleased(cause="cancelled"):
            return "cancelled"
        case _:
            return "overtaken" if heard.lines else None


def approve(
    order: Order,
    known: dates.Known,
    heard: Envelope[Contract],
    command: ApproveRouting,
    at: datetime,
) -> list[Event]:
    """The plan that was held, or one from the nodes named, with the dates of now; or why it cannot pass."""
    held = order.held
    if held is None or held.round != command.round:
        return _not_held(order, heard, command)
    need = sourcing.needs(held.lines)
    found = sourcing.offers(need, held.availability, held.destination, known.nodes)
    by_node = {offer.node: offer for offer in found}
    planned = tuple(at_node.node for at_node in held.nodes)
    asked = planned if command.nodes is None else tuple(dict.fromkeys(command.nodes))
    may = [offer.node for offer in found if offer.barred is None and offer.total]
    for node in asked:
        if node not in by_node:
            return _nodes_refused(heard, "unknown_node", f"Routing knows no node {node}.", may)
        if (barred := by_node[node].barred) is not None:
            return _nodes_refused(heard, "node_barred", f"{node} may not ship it now: {barred}.", may)
    choice = Choice(tuple([by_node[node] for node in planned]))
    if command.nodes is not None:
        named = sourcing.choose(need, [offer for offer in found if offer.node in asked and offer.total])
        if named is None:
            return _not_covered(heard, need, [by_node[node] for node in asked], may)
        choice = named
    chosen, plan, weighed = choice.offers, held.nodes, held.candidates
    if {offer.node for offer in chosen} != set(planned):
        plan = sourcing.plan(held.lines, chosen)
        weighed = candidates.reviewed(held.candidates, chosen, sum(need.values()))
    promised, capacity = dates.promised(known, chosen, held, at) if known.transit else (None, None)
    routed = OrderRouted(
        order_id=command.order_id,
        round=held.round,
        nodes=plan,
        candidates=weighed,
        rule_version=held.rule_version,
        nodes_version=known.version,
        promised=promised,
        capacity=capacity,
        service=held.service,
        reviewed=Reviewed(reason=command.reason, instead=None if plan is held.nodes else True),
    )
    return [routed]


def _not_held(order: Order, heard: Envelope[Contract], command: ApproveRouting) -> list[Event]:
    """Nothing waits for this approval; why, as far as routing can know."""
    name, round_, look = command.order_id, command.round, f"orderlog orders show {command.order_id}"
    if order.answered == 0:
        message = f"Routing was never asked about an order {name}."
        return refuse(heard, "unknown_order", message, f"Check its id, or wait for its stock: {look}")
    if order.void == "cancelled":
        message = f"Order {name} was cancelled while its plan was held."
        return refuse(heard, "order_cancelled", message, "Nothing to do: its stock is free again.")
    if round_ < order.answered:
        message = f"Round {round_} of order {name} is past: it is in round {order.answered} by now."
        step = f"Look at it as it is now, and approve that round if it is held: {look}"
        return refuse(heard, "round_past", message, step)
    if order.void == "overtaken" and round_ == order.answered:
        message = (
            f"The plan of round {round_} of order {name} is void: its units are sought anew or given up."
        )
        step = f"Nothing to do: once there is another plan that needs a person, it is held again: {look}"
        return refuse(heard, "round_past", message, step)
    if order.held is not None:
        message = f"Order {name} is held in round {order.held.round}, not in round {round_}."
        return refuse(heard, "unknown_round", message, f"Look at that plan, and approve that round: {look}")
    if round_ > order.answered:
        message = f"Order {name} has no round {round_} yet; the latest is {order.answered}."
        return refuse(heard, "unknown_round", message, f"Look which round is held: {look}")
    message = f"Round {round_} of order {name} is not held for review: it has its answer."
    return refuse(heard, "not_held", message, f"Nothing to do. What became of it: {look}")


def _nodes_refused(heard: Envelope[Contract], code: str, message: str, may: Sequence[str]) -> list[Event]:
    others = f"Name nodes that may ship it, of {_names(may)};" if may else "No node that has any of it may;"
    return refuse(heard, code, message, f"{others} define or activate one; {_CANCEL} {heard.stream}")


def _not_covered(
    heard: Envelope[Contract], need: Mapping[str, int], named: Sequence[Offer], may: Sequence[str]
) -> list[Event]:
    lacking = sourcing.lacking(need, named)
    short = ", ".join([f"{units} of {sku}" for sku, units in list(lacking.items())[:NAMED_MAX]])
    names = _names([offer.node for offer in named])
    message = f"{names} did not have everything when it was held: they lack {short}."
    return _nodes_refused(heard, "not_covered", message[:1000], may)


def _names(nodes: Sequence[str]) -> str:
    more = f" and {len(nodes) - NAMED_MAX} more" if len(nodes) > NAMED_MAX else ""
    return ", ".join(nodes[:NAMED_MAX]) + more
