"""What a SKU is on the shelf, as somebody defines it: its units, whether it has lots, and its bins."""

from libs.events.contract import Event
from libs.events.items import DefineItem, ItemDefined, ItemPlaced, PlaceItem
from libs.events.record import changed
from services.inventory.desk import Desk, unknown_nodes
from services.inventory.measure import not_to_define
from services.inventory.units import units_of


def define(desk: Desk, command: DefineItem) -> list[Event]:
    """The SKU's new definition; nothing when it is so already."""
    if refusal := not_to_define(desk, command) or _too_late(desk, command):
        return refusal
    known, lots = desk.supply.units_of_measure, desk.stock.lots
    defined = ItemDefined(
        sku=desk.sku,
        item_version=1 if known is None else known.version + 1,
        units=command.units,
        lot_controlled=command.lot_controlled,
        shelf_days_min=command.shelf_days_min,
        serialised=command.serialised,
        check_at=None if lots is None else changed(lots, days_min=command.shelf_days_min).next_check(),
    )
    days_min = 0 if lots is None else lots.days_min
    same = known is not None and known.ratios == units_of(defined).ratios
    kept = (lots is not None, days_min, desk.stock.astray is not None)
    if same and kept == (command.lot_controlled, command.shelf_days_min, command.serialised):
        return []
    return [defined]


def _too_late(desk: Desk, command: DefineItem) -> list[Event]:
    """A refusal of lots for a SKU whose units have moved without them, or of none for one that has some."""
    if command.shelf_days_min and not command.lot_controlled:
        return desk.refuse(
            "no_lots",
            f"{desk.sku} is to be sold {command.shelf_days_min} days before its last, and has no lots.",
            "Make it lot controlled too, or leave the days out.",
        )
    if command.lot_controlled and command.serialised:
        return desk.refuse(
            "lots_or_serials",
            f"{desk.sku} is to have lots and serial numbers.",
            "Choose one: the serial number of a unit tells which batch it is of.",
        )
    if not desk.stock.position:
        return []
    if command.lot_controlled != (desk.stock.lots is not None):
        said = "without lots" if command.lot_controlled else "by their lots"
    elif command.serialised != (desk.stock.astray is not None):
        said = "without serial numbers" if command.serialised else "by their serial numbers"
    else:
        return []
    return desk.refuse(
        "has_moved",
        f"{desk.stock.position} movements of {desk.sku} were recorded {said}.",
        "Define a SKU before its first unit; to change it, give the goods a SKU of their own.",
    )


def place(desk: Desk, command: PlaceItem) -> list[Event]:
    """Where a node keeps the SKU; nothing when it is there already."""
    if refusal := unknown_nodes(desk, command.node):
        return refusal
    if (desk.stock.bins or {}).get(command.node) == command.bin:
        return []
    return [ItemPlaced(sku=desk.sku, node=command.node, bin=command.bin)]
