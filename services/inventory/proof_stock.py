"""The part of the proof that is about a SKU's stock: what is in each bucket, and no more promised than that.

For `services.inventory.proof`, which walks the log.
"""

from dataclasses import dataclass, field

from libs.events.inventory import NETWORK, SOURCES
from services.inventory.proof_promises import soft
from services.inventory.stock import AnyMovement

SkuKey = tuple[str, str]
"""Tenant and SKU; or tenant and stream of a held promise, or of a queue."""


class Broken(Exception):
    """The log does not hold; `oversold_units` did not exist."""

    def __init__(self, message: str, oversold_units: int = 0) -> None:
        super().__init__(message)
        self.oversold_units = oversold_units


@dataclass(slots=True)
class StockSoFar:
    """What the log says of one SKU so far."""

    position: int = 0
    buckets: dict[tuple[str, str], int] = field(default_factory=dict)
    """Units by node and bucket; zero is left out."""
    on_hand: int = 0
    reserved: int = 0


def post(sku: StockSoFar, move: AnyMovement) -> None:
    """Both sides of one movement."""
    if soft(move) != (move.node == NETWORK):
        raise Broken(f"moves {move.source} to {move.target} of {move.sku} at {move.node}")
    if move.source == move.target:
        raise Broken(f"moves {move.source} of {move.sku} onto itself")
    for bucket, delta in ((move.source, -move.quantity), (move.target, move.quantity)):
        left = sku.buckets.pop((move.node, bucket), 0) + delta
        if left < 0 and bucket not in SOURCES:
            raise Broken(f"{bucket} of {move.sku} at {move.node} falls to {left}", -left)
        if left:
            sku.buckets[move.node, bucket] = left
        if bucket == "on_hand":
            sku.on_hand += delta
        elif bucket == "reserved" or bucket == "held":
            sku.reserved += delta


def must_hold(name: str, sku: StockSoFar) -> None:
    """Raises Broken where more is promised than there is, or units are between nodes."""
    if sku.reserved > sku.on_hand:
        over = sku.reserved - sku.on_hand
        raise Broken(f"{sku.reserved} units of {name} are promised and {sku.on_hand} are on hand", over)
    if lost := sum(units for (_, bucket), units in sku.buckets.items() if bucket == "transfer"):
        raise Broken(f"{lost} units of {name} are between nodes")
