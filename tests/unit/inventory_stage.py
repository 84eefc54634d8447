"""Where inventory's sentences start, and how they look into its parts."""

from services.inventory import domain
from services.inventory.order import OrderPart
from services.inventory.stock import SkuPart
from tests.spec import Spec, given
from tests.unit.inventory_trade import receive


def stocked(**on_hand: int) -> Spec:
    """Inventory with these units by SKU at N1."""
    return given(domain).heard(*(receive(sku, quantity) for sku, quantity in on_hand.items()))


def sku(spec: Spec, name: str) -> SkuPart:
    part = spec.parts[f"sku/{name}"]
    assert isinstance(part, SkuPart)
    return part


def order(spec: Spec, order_id: str) -> OrderPart:
    part = spec.parts[order_id]
    assert isinstance(part, OrderPart)
    return part
