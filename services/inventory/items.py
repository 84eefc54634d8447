"""What a SKU is on the shelf: its units of measure, as somebody defines them."""

from libs.events.contract import Event
from libs.events.items import DefineItem, ItemDefined
from services.inventory.desk import Desk
from services.inventory.measure import not_to_define
from services.inventory.units import units_of


def define(desk: Desk, command: DefineItem) -> list[Event]:
    """The SKU's new definition; nothing when it is so already."""
    if refusal := not_to_define(desk, command):
        return refusal
    known = desk.supply.units_of_measure
    defined = ItemDefined(
        sku=desk.sku, item_version=1 if known is None else known.version + 1, units=command.units
    )
    if known is not None and known.ratios == units_of(defined).ratios:
        return []
    return [defined]
