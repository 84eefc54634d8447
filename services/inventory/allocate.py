"""Units at nodes: a plan becomes hard claims, which then leave, prove missing, or are given back."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDispatched
from libs.events.inventory import (
    NETWORK,
    AllocationFailed,
    Bucket,
    Movement,
    Shortage,
    StockAllocated,
    StockIssued,
    StockReleased,
    StockShorted,
)
from libs.events.measure import Unnamed
from libs.events.order import LineQuantity, PickFrom
from libs.events.returns import ReturnReceived
from libs.events.routing import OrderRouted
from services.inventory import bins, shelf_life
from services.inventory.findings import availability
from services.inventory.order import ByNode, OrderPart, minus, plus, units
from services.inventory.posting import Posting
from services.inventory.sendable import lacking, together
from services.inventory.serials import Numbers, Sent
from services.inventory.stock import EMPTY_SKU, SkuPart, Skus
from services.inventory.waiting import waited


def allocate(
    order_id: str, order: OrderPart, skus: Skus, plan: OrderRouted, at: datetime
) -> StockAllocated | AllocationFailed:
    """All of the plan, or nothing of it: another order may have been first at a node since it was made, or
    units of a lot are sold no more.

    The order's promises must be complete and the plan of the current round.
    """
    assert order.destination_now is not None, f"{order_id} has no destination"
    by_node, planned = _plan(plan)
    assert planned == {(line.line, line.sku): line.quantity for line in order.asked}, (
        f"{order_id}: the plan of round {plan.round} is for other units"
    )
    wanted = units(order.asked)
    short: list[Shortage] = []
    for (node, sku), quantity in by_node.items():
        lots = skus[sku].lots
        there = skus[sku].on_hand.get(node, 0) if lots is None else lots.sellable(node, at)
        reason: Literal["shelf_life"] | None = None
        if lots is not None and lots.limits and quantity <= there:
            nodes = [planned_at for planned_at, of in by_node if of == sku]
            fit = shelf_life.by_node(lots, skus[sku].promised(), order.channel, at, nodes)
            there, reason = fit.get(node, 0), "shelf_life"
        if quantity > there:
            short.append(Shortage(sku=sku, quantity=quantity - there, node=node, reason=reason))
    needed = {} if short else lacking(order_id, skus, by_node)
    for (node, sku), quantity in needed.items():
        short.append(Shortage(sku=sku, quantity=quantity, node=node, reason="not_served"))
    if short:
        left = together(order_id, skus, wanted, order.country, by_node)
        return AllocationFailed(
            order_id=order_id,
            round=plan.round + 1,
            short=tuple(short),
            lines=order.asked,
            availability=availability(wanted, skus, order.channel, left),
            destination=order.destination_now,
            later=order.later or None,
            bundles=order.bundles,
            service=order.service_now,
        )
    posting = Posting(skus, order.lots or {}, at, order.channel)
    for sku, quantity in wanted.items():
        posting.post(sku, NETWORK, "reserved", "unreserved", quantity)
    for (node, sku), quantity in by_node.items():
        posting.post(sku, node, "on_hand", "allocated", quantity)
    moved = posting.movements()
    return StockAllocated(
        order_id=order_id,
        round=plan.round,
        nodes=plan.nodes,
        destination=order.destination_now,
        contact=order.contact_now,
        later=order.later or None,
        bundles=order.bundles,
        service=order.service_now,
        picks=_picks(skus, moved),
        frees=_frees(skus, wanted),
        movements=moved,
    )


def release(order_id: str, order: OrderPart, skus: Skus, cancelled: FulfillmentCancelled) -> StockReleased:
    """Give back what the order holds: all of it when it was cancelled, else the units of the lines that
    cannot be sourced and have no node; what was allocated meanwhile, fulfillment declines by node."""
    given_up, freed = order.pending, order.allocated
    if cancelled.cause == "unroutable":
        given_up, freed = among(order.pending, cancelled.lines), ByNode()
    still_wanted = units(minus(order.pending, given_up))
    posting = Posting(skus, order.lots or {})
    for sku in units(given_up):
        claim = skus[sku].claims.get(order_id)
        held = 0 if claim is None else claim.held
        posting.post(sku, NETWORK, "reserved", "unreserved", max(0, held - still_wanted.get(sku, 0)))
    for node, quantities in freed.items():
        for sku, quantity in quantities.items():
            posting.post(sku, node, "allocated", "on_hand", quantity)
    return StockReleased(
        order_id=order_id,
        cause=cancelled.cause,
        reason=cancelled.reason,
        lines=given_up,
        waited=waited(order_id, order, skus),
        movements=posting.movements(),
    )


def issue(order: OrderPart, skus: Skus, dispatched: ShipmentDispatched, numbers: Numbers) -> StockIssued:
    """The shipment's units left the building. Fulfillment ships only what was allocated to the node. A serial
    number that is not on the node's shelf is not believed: its unit leaves without one."""
    unnamed: list[Unnamed] = []
    posting = Posting(skus, order.lots or {})
    for sku, quantity in units(dispatched.lines).items():
        must_hold(order, dispatched.order_id, dispatched.node, sku, quantity)
        if skus.get(sku, EMPTY_SKU).astray is not None:
            told = [one for line in dispatched.serials or () if line.sku == sku for one in line.serials]
            known = Sent(numbers).on_shelf(sku, dispatched.node, told, quantity)
            if known:
                posting.post(sku, dispatched.node, "allocated", "issued", len(known), serials=known)
            quantity -= len(known)
            if quantity:
                amiss = tuple([one for one in dict.fromkeys(told) if one not in known][:quantity])
                unnamed.append(Unnamed(sku=sku, quantity=quantity, serials=amiss))
        posting.post(sku, dispatched.node, "allocated", "issued", quantity)
    return StockIssued(
        order_id=dispatched.order_id,
        shipment_id=dispatched.shipment_id,
        movements=posting.movements(),
        unnamed=tuple(unnamed) or None,
    )


def write_short(order: OrderPart, skus: Skus, shorted: PickShorted, numbers: Numbers) -> StockShorted:
    """The node does not have these units after all: they are no stock any more, and pending again."""
    posting = Posting(skus, order.lots or {})
    lines = tuple(LineQuantity(line=x.line, sku=x.sku, quantity=x.quantity) for x in shorted.lines)
    for sku, quantity in units(lines).items():
        must_hold(order, shorted.order_id, shorted.node, sku, quantity)
    for short in shorted.lines:
        target: Bucket = "damaged" if short.reason == "damaged" else "missing"
        known = Sent(numbers).on_shelf(short.sku, shorted.node, short.serials or (), short.quantity)
        posting.post(short.sku, shorted.node, "allocated", target, len(known), serials=known)
        posting.post(short.sku, shorted.node, "allocated", target, short.quantity - len(known))
    return StockShorted(
        order_id=shorted.order_id,
        fulfillment_order_id=shorted.fulfillment_order_id,
        lines=plus((), lines),
        movements=posting.movements(),
    )


def covers(order: OrderPart, received: ReturnReceived) -> bool:
    """Whether inventory knows by now that all these units had left."""
    came: dict[str, int] = {}
    for unit in received.units:
        came[unit.sku] = came.get(unit.sku, 0) + unit.quantity
    left: dict[str, int] = {}
    for quantities in order.issued.values():
        for sku, quantity in quantities.items():
            left[sku] = left.get(sku, 0) + quantity
    return all(quantity <= left.get(sku, 0) for sku, quantity in came.items())


def _frees(skus: Skus, allocated: Iterable[str]) -> tuple[str, ...] | None:
    """SKUs that somebody waits for and of which a node is closed to promises: what was promised was taken to
    be of the others, and may be allocated there."""
    return tuple([sku for sku in allocated if skus[sku].closed and _somebody_waits(skus[sku])]) or None


def _somebody_waits(part: SkuPart) -> bool:
    """Who wants all or nothing has no claim to any as long as it waits."""
    return part.wanted > part.reserved or any(turn.whole for turn in part.turns.values())


def _picks(skus: Skus, moves: Iterable[Movement]) -> tuple[PickFrom, ...] | None:
    """Of which lots and bins the units are picked; None where no SKU has any."""
    found: list[PickFrom] = []
    for move in moves:
        if move.target != "allocated":
            continue
        sku = skus[move.sku]
        serialised = sku.astray is not None or None
        for place in bins.shared(sku, move.node, move.quantity):
            if move.lot is not None or place.bin is not None or serialised:
                at = {"node": move.node, "sku": move.sku, "quantity": place.units}
                more = {"lot": move.lot, "bin": place.bin, "put_away": place.put_away or None}
                found.append(PickFrom.model_validate({**at, **more, "serialised": serialised}))
    return tuple(found) or None


def _plan(plan: OrderRouted) -> tuple[dict[tuple[str, str], int], dict[tuple[int, str], int]]:
    """Units by node and SKU, and by line and SKU."""
    by_node: dict[tuple[str, str], int] = {}
    by_line: dict[tuple[int, str], int] = {}
    for at in plan.nodes:
        node = at.node
        for line in at.lines:
            sku, quantity = line.sku, line.quantity
            by_node[node, sku] = by_node.get((node, sku), 0) + quantity
            by_line[line.line, sku] = by_line.get((line.line, sku), 0) + quantity
    return by_node, by_line


def among(pending: tuple[LineQuantity, ...], lines: tuple[LineQuantity, ...]) -> tuple[LineQuantity, ...]:
    """The units of `lines` that are pending."""
    asked = {line.line: line.quantity for line in lines}
    return tuple(
        LineQuantity(line=line.line, sku=line.sku, quantity=min(line.quantity, asked[line.line]))
        for line in pending
        if line.line in asked
    )


def must_hold(order: OrderPart, order_id: str, node: str, sku: str, quantity: int) -> None:
    """Raises AssertionError unless so many units of the SKU are allocated to the order there."""
    held = order.allocated.get(node, {}).get(sku, 0)
    assert quantity <= held, (
        f"{order_id}: {quantity} units of {sku} at {node}, where {held} are allocated to it"
    )
