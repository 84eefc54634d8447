"""Where a node picks its lines: the bins and lots that inventory named, as far as it named any."""

from collections.abc import Iterable

from libs.events.order import LineQuantity, PickFrom


def picks_of(
    picks: tuple[PickFrom, ...] | None, node: str, lines: Iterable[LineQuantity]
) -> tuple[PickFrom, ...] | None:
    """Those of a node's lines, cut to the units that are still wanted; None where nothing is known."""
    if picks is None:
        return None
    wanted: dict[str, int] = {}
    for line in lines:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    found: list[PickFrom] = []
    for pick in picks:
        quantity = min(pick.quantity, wanted.get(pick.sku, 0)) if pick.node == node else 0
        if quantity:
            wanted[pick.sku] -= quantity
            found.append(pick.model_copy(update={"quantity": quantity}))
    return tuple(found) or None
