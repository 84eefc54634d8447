"""An order that wants fewer units than it did: what was promised or allocated to those is free again.

Fulfillment says which units it has no use for, and at which node it had them. Units that it knew no node of
are pending here, or were allocated meanwhile: of these it says `AllocationDeclined` once it hears of them.
"""

from collections.abc import Iterable

from libs.events.changes import AllocationDeclined, LinesCancelled, LinesReleased
from libs.events.inventory import NETWORK
from libs.events.order import LineQuantity, NodeLines, in_parts
from services.inventory.allocate import among, must_hold
from services.inventory.order import OrderPart, minus, plus, units
from services.inventory.posting import Posting
from services.inventory.stock import NO_CLAIM, Skus

Fewer = LinesCancelled | AllocationDeclined


def release_lines(order: OrderPart, skus: Skus, fewer: Fewer) -> LinesReleased | None:
    """What the order no longer holds; None where it holds nothing of it."""
    if order.status == "closed":
        return None
    if order.status == "new":
        lines = fewer.lines if isinstance(fewer, LinesCancelled) else ()
        return LinesReleased(order_id=fewer.order_id, lines=lines, movements=()) if lines else None
    given_up: tuple[LineQuantity, ...] = ()
    at_nodes = fewer.nodes if isinstance(fewer, AllocationDeclined) else ()
    if isinstance(fewer, LinesCancelled):
        at_nodes = tuple(NodeLines(node=work.node, lines=work.lines) for work in fewer.work)
        # Bundles as ordered: of those that were given up before, all is known as long as nothing has a node.
        there = None if order.allocated or order.issued else {x.line: x.quantity for x in order.pending}
        given_up = among(order.pending, in_parts(order.bundles, _without(fewer.lines, at_nodes), there))
    still_wanted = units(minus(order.pending, given_up))
    posting = Posting(skus, order.lots or {})
    for sku in units(given_up):
        held = skus[sku].claims.get(fewer.order_id, NO_CLAIM).held
        posting.post(sku, NETWORK, "reserved", "unreserved", max(0, held - still_wanted.get(sku, 0)))
    for at_node in at_nodes:
        for sku, quantity in units(at_node.lines).items():
            must_hold(order, fewer.order_id, at_node.node, sku, quantity)
            posting.post(sku, at_node.node, "allocated", "on_hand", quantity)
    movements = posting.movements()
    if not (given_up or movements):
        return None
    return LinesReleased(order_id=fewer.order_id, lines=given_up, movements=movements)


def _without(lines: Iterable[LineQuantity], at_nodes: Iterable[NodeLines]) -> tuple[LineQuantity, ...]:
    gone: tuple[LineQuantity, ...] = ()
    for at_node in at_nodes:
        gone = plus(gone, at_node.lines)
    return minus(lines, gone)
