"""From which nodes an order may be sent, so that what others were promised can still be sent to them.

For routing, which is told so much of each node, and for the allocation of its plan. A node that ships
everywhere is the nearest for many; if it gave its last unit to who could have had another, somebody whom no
other node serves would be left without.
"""

from collections.abc import Iterable, Mapping

from services.inventory.findings import Limit
from services.inventory.serving import Reach
from services.inventory.stock import SkuPart, Skus


def limits(order_id: str, skus: Skus, named: Iterable[str], country: str) -> dict[str, Limit] | None:
    """Of SKUs some of whose nodes do not ship everywhere: units that any one of their nodes may give the
    order; None where there are none."""
    found: dict[str, Limit] = {}
    for sku in named:
        if (reach := skus[sku].reach(but=order_id)) is not None:
            found[sku] = {node: reach.may_leave(node) for node in _sending(skus[sku], country)}
    return found or None


def together(
    order_id: str, skus: Skus, named: Iterable[str], country: str, first: Iterable[tuple[str, str]]
) -> dict[str, Limit] | None:
    """The same of all its nodes together: a plan within these can be allocated. Nodes of `first` (node, SKU)
    are asked before others, and those that serve few before those that serve many."""
    found: dict[str, Limit] = {}
    planned = list(first)
    for sku in named:
        if (reach := skus[sku].reach(but=order_id)) is not None:
            nodes = [node for node, of in planned if of == sku]
            found[sku] = _given(reach, skus[sku], country, nodes)
    return found or None


def lacking(order_id: str, skus: Skus, by_node: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Of a plan, by (node, SKU), the units that cannot be given without leaving others with less than they
    could be sent before."""
    found: dict[tuple[str, str], int] = {}
    reaches = {sku: skus[sku].reach(but=order_id) for _, sku in by_node}
    for (node, sku), quantity in by_node.items():
        reach = reaches[sku]
        if reach is not None and node not in (skus[sku].closed or ()):
            given = min(quantity, reach.may_leave(node))
            reach.put(node, -given)
            if given < quantity:
                found[node, sku] = quantity - given
    return found


def _sending(part: SkuPart, country: str) -> list[str]:
    known = part.serving
    assert known is not None, "all nodes of the SKU ship everywhere"
    closed = part.closed or ()
    return [node for node in part.on_hand if node not in closed and known.serves(node, country)]


def _given(reach: Reach, part: SkuPart, country: str, first: list[str]) -> Limit:
    known, found = part.serving, dict[str, int]()
    assert known is not None, "all nodes of the SKU ship everywhere"
    bound = {node for nodes, _ in known.bounds for node in nodes}
    rest = sorted(_sending(part, country), key=lambda node: (node not in bound, node))
    for node in dict.fromkeys([*(one for one in first if one in rest), *rest]):
        found[node] = min(part.on_hand[node], reach.may_leave(node))
        reach.put(node, -found[node])
    return found
