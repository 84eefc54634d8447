"""Units of a node that are put into quarantine or found broken, released, mended or scrapped."""

from libs.events.conditions import Condition, MoveStock, StockMoved
from libs.events.contract import Event
from services.inventory import lot_control, serial_control
from services.inventory.desk import Desk, SupplyPosting, gone, not_yet, served, spared, unknown
from services.inventory.lots import NO_LOT

WAYS: dict[Condition, frozenset[Condition]] = {
    "on_hand": frozenset({"quarantine", "damaged"}),
    "quarantine": frozenset({"on_hand", "damaged", "scrapped"}),
    "damaged": frozenset({"on_hand", "quarantine", "scrapped"}),
    "scrapped": frozenset(),
}
"""From where units may go whither; what is sellable is not scrapped unseen."""


def move(desk: Desk, command: MoveStock) -> list[Event]:
    """Units are in another state; what leaves the shelf breaks the youngest promises if it must."""
    node, source, target, sku = command.node, command.source, command.target, desk.sku
    if refusal := unknown(desk, node) or not_yet(desk, command.effective_at):
        return refusal
    if target not in WAYS[source]:
        ways = ", ".join(sorted(WAYS[source])) or "nowhere"
        return desk.refuse(
            "no_such_move",
            f"Units do not go from {source} to {target}; from {source} they go to: {ways}.",
            "Put them into quarantine or damaged first.",
        )
    shelf = source == "on_hand"
    there = desk.stock.on_hand.get(node, 0) if shelf else desk.supply.units(source, node)
    if command.quantity > there:
        without = " without an order" if shelf else ""
        return desk.refuse(
            "not_there",
            f"{command.quantity} units of {sku} cannot leave {source} at {node}: {there} are there{without}.",
            f"Move at most {there}.",
        )
    serials = command.serials or None
    if refusal := lot_control.mismoved(desk, command) or serial_control.mismoved(desk, command):
        return refusal
    broken, spare = spared(desk, {node: command.quantity}) if shelf else ([], desk)
    posting = SupplyPosting(spare)
    posting.move(node, source, target, command.quantity, command.lot or NO_LOT, serials)
    moved = StockMoved(
        sku=sku,
        node=node,
        source=source,
        target=target,
        quantity=command.quantity,
        reason_code=command.reason_code,
        reference=command.reference,
        effective_at=command.effective_at,
        movements=posting.booked(),
    )
    return [*broken, *served(spare, moved)] if target == "on_hand" else [*broken, *gone(spare, moved)]
