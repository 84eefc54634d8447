"""Deliveries and corrections without a document: units that are there, and units that are not."""

from libs.events.contract import Event
from libs.events.inventory import AdjustStock, ReceiveStock
from services.inventory.desk import Desk, served, spared, too_many, unknown
from services.inventory.stock import adjust, receive


def take_in(desk: Desk, command: ReceiveStock) -> list[Event]:
    """Units arrived at a node."""
    refusal = unknown(desk, command.node) or too_many(desk, command.quantity)
    return refusal or served(desk, receive(desk.stock, command))


def correct(desk: Desk, command: AdjustStock) -> list[Event]:
    """What is on hand at a node is more or less than was believed."""
    sku, node, delta = desk.sku, command.node, command.delta
    if not delta:
        return desk.refuse(
            "no_change",
            f"An adjustment of {sku} at {node} by 0 units changes nothing.",
            "Send how many units were found (+) or are gone (-).",
        )
    if refusal := unknown(desk, node) or too_many(desk, delta):
        return refusal
    there = desk.stock.on_hand.get(node, 0)
    if there + delta < 0:
        return desk.refuse(
            "not_on_hand",
            f"{-delta} units of {sku} cannot be taken out at {node}: {there} are on hand "
            f"there without an order, {desk.stock.allocated.get(node, 0)} are allocated to orders.",
            f"Take out at most {there} units. Let the pick of an allocated unit come up short, "
            "or cancel its order.",
        )
    broken, spare = spared(desk, -delta)
    return [*broken, *served(spare, adjust(spare.stock, command))]
