"""Units that came back: on the shelf again, scrapped, or set aside until somebody has looked at them.

Returned units leave `issued` of the node that shipped them. Where another node received them, they pass
through the contra bucket `transfer`: from `issued` to `transfer` at the shipping node, from `transfer` to
where they go at the receiving one. So each movement stays at one node, `issued` never falls below zero, and
`transfer` is zero over the nodes of a SKU after each event.

Those that are set aside have an event of their own: their bucket is one of the SKU's supply, from where
people put units back on the shelf, or take them out.
"""

from pydantic import TypeAdapter

from libs.events.inventory import StockReturned
from libs.events.measure import Unnamed
from libs.events.returns import ReturnedUnits, ReturnReceived
from libs.events.set_aside import ReturnMovement, ReturnQuarantined
from services.inventory.order import OrderPart, evolve_order
from services.inventory.posting import Posting
from services.inventory.serials import Numbers, Sent, evolve_serials
from services.inventory.stock import EMPTY_SKU, AnyBucket, Skus
from services.inventory.touched import moved_skus

_MOVEMENTS = TypeAdapter(tuple[ReturnMovement, ...])
_TARGETS: dict[str, AnyBucket] = {"restock": "on_hand", "scrap": "scrapped", "quarantine": "quarantine"}


class _Aside(Posting):
    """The movements of units that are set aside."""

    def booked(self) -> tuple[ReturnMovement, ...]:
        """What was posted, validated."""
        return _MOVEMENTS.validate_python(self._posted)


TakenBack = StockReturned | ReturnQuarantined


def take_back(order: OrderPart, skus: Skus, received: ReturnReceived, numbers: Numbers) -> list[TakenBack]:
    """Put returned units on hand at the node that received them, scrap them there, or set them aside. A unit
    comes back with its serial number where the order was sent it, as far as anybody knows."""
    posting = Posting(skus, order.lots or {})
    good = [unit for unit in received.units if unit.disposition != "quarantine"]
    unnamed = _post(posting, skus, order, received, numbers, good)
    back = StockReturned(
        order_id=received.order_id,
        rma_id=received.rma_id,
        movements=posting.movements(),
        unnamed=unnamed,
    )
    doubted = [unit for unit in received.units if unit.disposition == "quarantine"]
    if not doubted:
        return [back]
    order = evolve_order(order, back)
    aside = _Aside(moved_skus(skus, back, order), order.lots or {})
    unnamed = _post(aside, skus, order, received, evolve_serials(numbers, back), doubted)
    set_aside = ReturnQuarantined(
        order_id=received.order_id, rma_id=received.rma_id, movements=aside.booked(), unnamed=unnamed
    )
    return [back, set_aside]


def _post(
    posting: Posting,
    skus: Skus,
    order: OrderPart,
    received: ReturnReceived,
    numbers: Numbers,
    came: list[ReturnedUnits],
) -> tuple[Unnamed, ...] | None:
    """The movements; which units came without a number that the order was sent."""
    issued = {node: dict(quantities) for node, quantities in order.issued.items()}
    nodes = sorted(issued, key=lambda node: (node != received.node, node))
    sent, unnamed = Sent(numbers), list[Unnamed]()
    for unit in came:
        sku, left, told = unit.sku, unit.quantity, unit.serials or ()
        target = _TARGETS[unit.disposition]
        serialised = skus.get(sku, EMPTY_SKU).astray is not None
        for node in nodes if serialised else ():
            own = sent.issued(sku, node, received.order_id, told)
            issued[node][sku] = issued[node].get(sku, 0) - len(own)
            left -= len(own)
            _back(posting, sku, node, received.node, target, len(own), own)
        for node in nodes:
            quantity = min(left, issued[node].get(sku, 0))
            if not quantity:
                continue
            issued[node][sku] -= quantity
            left -= quantity
            named = sent.new(sku, node, order.unbelieved, told)[:quantity] if serialised else ()
            _back(posting, sku, node, received.node, target, len(named), named)
            _back(posting, sku, node, received.node, target, quantity - len(named))
            if serialised and quantity > len(named):
                unnamed.append(Unnamed(sku=sku, quantity=quantity - len(named), serials=told))
        assert not left, f"{received.order_id}: {left} units of {sku} came back that never left"
    return tuple(unnamed) or None


def _back(
    posting: Posting,
    sku: str,
    node: str,
    received_at: str,
    target: AnyBucket,
    quantity: int,
    serials: tuple[str, ...] | None = None,
) -> None:
    """Units that a node had shipped are back, there or at another."""
    if node == received_at:
        posting.post(sku, node, "issued", target, quantity, serials=serials)
    else:
        posting.post(sku, node, "issued", "transfer", quantity, serials=serials)
        posting.post(sku, received_at, "transfer", target, quantity, serials=serials)
