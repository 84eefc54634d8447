"""Examples of what a SKU is on the shelf."""

from libs.events import items as i
from tests.contract.example_parts import HEART, Pairs

UNITS = (
    i.UnitOfMeasure(unit="inner", holds=6),
    i.UnitOfMeasure(unit="case", holds=4, of="inner"),
    i.UnitOfMeasure(unit="piece", holds=1, per=12),
)

ITEMS: Pairs = (
    (i.DefineItem(sku=HEART, units=UNITS), i.DefineItem(sku=HEART)),
    (i.ItemDefined(sku=HEART, item_version=2, units=UNITS), i.ItemDefined(sku=HEART, item_version=1)),
)
