"""Deliveries and corrections without a document: units that are there, and units that are not."""

from libs.events.contract import Event
from libs.events.inventory import AdjustStock, ReceiveStock, StockAdjusted, StockReceived
from services.inventory.desk import Desk, in_bins, served, spared, too_many, unknown
from services.inventory.lot_control import arrived, miscorrected
from services.inventory.measure import measured
from services.inventory.posting import Posting
from services.inventory.serial_control import arriving, leaving
from services.inventory.stock import SkuPart


def take_in(desk: Desk, command: ReceiveStock) -> list[Event]:
    """Units arrived at a node."""
    return measured(desk, command, lambda desk, command: arrived(desk, command, _take_in))


def correct(desk: Desk, command: AdjustStock) -> list[Event]:
    """What is on hand at a node is more or less than was believed."""
    return in_bins(desk, measured(desk, command, _correct))


def _take_in(desk: Desk, command: ReceiveStock) -> list[Event]:
    refusal = (
        unknown(desk, command.node)
        or too_many(desk, command.quantity)
        or arriving(desk, command.serials, command.quantity)
    )
    return refusal or served(desk, received(desk.stock, command))


def _correct(desk: Desk, command: AdjustStock) -> list[Event]:
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
    if refusal := miscorrected(desk, command):
        return refusal
    if delta > 0 and (refusal := arriving(desk, command.serials, delta)):
        return refusal
    if delta < 0 and (refusal := leaving(desk, command.serials, -delta, "on_hand", node)):
        return refusal
    broken, spare = spared(desk, {node: -delta})
    return [*broken, *served(spare, adjusted(spare.stock, command))]


def received(part: SkuPart, command: ReceiveStock) -> StockReceived:
    posting = Posting({command.sku: part})
    posting.post(command.sku, command.node, "supplier", "on_hand", command.quantity, *_of(command))
    return StockReceived(
        sku=command.sku,
        node=command.node,
        quantity=command.quantity,
        reference=command.reference,
        movements=posting.movements(),
        effective_at=command.effective_at,
    )


def adjusted(part: SkuPart, command: AdjustStock) -> StockAdjusted:
    assert command.delta >= -part.on_hand.get(command.node, 0), "more is written off than is on hand"
    posting = Posting({command.sku: part})
    posting.post(command.sku, command.node, "adjustment", "on_hand", max(command.delta, 0), *_of(command))
    posting.post(command.sku, command.node, "on_hand", "written_off", max(-command.delta, 0), *_of(command))
    return StockAdjusted(
        sku=command.sku,
        node=command.node,
        delta=command.delta,
        reason_code=command.reason_code,
        reference=command.reference,
        movements=posting.movements(),
        effective_at=command.effective_at,
    )


def _of(command: ReceiveStock | AdjustStock) -> tuple[str | None, tuple[str, ...] | None]:
    """The lot of the units, or their serial numbers."""
    return command.lot, command.serials or None
