"""Words for the tests of lots: milk that expires, in one line each."""

from datetime import date, timedelta
from typing import Any

from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.items import DefineItem
from libs.events.lots import QuarantineLot, ReleaseLot
from services.inventory import domain
from services.inventory.lots import Lots
from tests.spec import NOON, Spec, given
from tests.unit.inventory_stage import sku

TODAY = NOON.date()


def day(number: int) -> date:
    """So many days after today."""
    return TODAY + timedelta(days=number)


def milk(**more: Any) -> DefineItem:
    return DefineItem(**{"sku": "MILK", "lot_controlled": True, **more})


def delivered(lot: str, quantity: int, lasts: int, node: str = "N1", sku: str = "MILK") -> ReceiveStock:
    """Units of a lot whose last day is so many days from today."""
    return ReceiveStock(sku=sku, node=node, quantity=quantity, lot=lot, expires_on=day(lasts))


def corrected(lot: str | None, delta: int, node: str = "N1", sku: str = "MILK") -> AdjustStock:
    return AdjustStock(sku=sku, node=node, delta=delta, reason_code="count", lot=lot)


def recalled(lot: str, sku: str = "MILK") -> QuarantineLot:
    return QuarantineLot(sku=sku, lot=lot, reason="glass")


def cleared(lot: str, sku: str = "MILK") -> ReleaseLot:
    return ReleaseLot(sku=sku, lot=lot)


def dairy(*lots: tuple[str, int, int], **more: Any) -> Spec:
    """Milk, with these lots (name, units, days) at N1."""
    return given(domain).heard(milk(**more), *(delivered(*lot) for lot in lots))


def lots(spec: Spec, name: str = "MILK") -> Lots:
    found = sku(spec, name).lots
    assert found is not None
    return found
