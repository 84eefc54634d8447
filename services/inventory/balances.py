"""Sums of a SKU's units by bucket and node, as movements change them."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from services.inventory.lots import AnyMove


class Sums(Protocol):
    """What a SKU's part has of them."""

    @property
    def position(self) -> int: ...
    @property
    def on_hand(self) -> dict[str, int]: ...
    @property
    def allocated(self) -> dict[str, int]: ...
    @property
    def reserved(self) -> int: ...


class Numbered(AnyMove, Protocol):
    """A movement with its place among those of its SKU."""

    @property
    def position(self) -> int: ...


def added(sums: Mapping[str, int], key: str, delta: int) -> dict[str, int]:
    """A copy of `sums` with `delta` added at `key`; a sum of zero is left out."""
    copy = dict(sums)
    total = copy.pop(key, 0) + delta
    if total:
        copy[key] = total
    return copy


def sums_after(part: Sums, movements: Iterable[Numbered]) -> tuple[int, dict[str, int], dict[str, int], int]:
    """Position, on hand, allocated and reserved after these movements of the SKU."""
    position, reserved = part.position, part.reserved
    on_hand, allocated = part.on_hand, part.allocated
    for movement in movements:
        source, target, quantity = movement.source, movement.target, movement.quantity
        if movement.position > position:
            position = movement.position
        if source == "on_hand":
            on_hand = added(on_hand, movement.node, -quantity)
        elif source == "allocated":
            allocated = added(allocated, movement.node, -quantity)
        elif source == "reserved" or source == "held":
            reserved -= quantity
        if target == "on_hand":
            on_hand = added(on_hand, movement.node, quantity)
        elif target == "allocated":
            allocated = added(allocated, movement.node, quantity)
        elif target == "reserved" or target == "held":
            reserved += quantity
    return position, on_hand, allocated, reserved
