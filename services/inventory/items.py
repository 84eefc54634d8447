"""What a SKU is on the shelf, as somebody defines it: its units, whether it has lots, and its bins."""

from libs.events.contract import Event
from libs.events.items import (
    BinChange,
    BinsMoved,
    DefineItem,
    ItemDefined,
    ItemPlaced,
    MoveBetweenBins,
    PlaceItem,
)
from libs.events.record import changed
from services.inventory.bins import of_sku, put_away_at
from services.inventory.desk import Desk, unknown, unknown_nodes
from services.inventory.measure import not_to_define
from services.inventory.units import units_of

BINS_MAX = 200
"""Bins in which a SKU may lie, at all nodes, beside those in which they keep it: all of them are written down
with each change of it."""


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
    """Where a node keeps the SKU; nothing when it is there already. What was put away in that bin lies where
    the node keeps the SKU from now on."""
    if refusal := unknown_nodes(desk, command.node):
        return refusal
    if (desk.stock.bins or {}).get(command.node) == command.bin:
        return []
    placed = ItemPlaced(sku=desk.sku, node=command.node, bin=command.bin)
    there = put_away_at(desk.stock.put_away, command.node).get(command.bin or "")
    if command.bin is None or there is None:
        return [placed]
    changes = (BinChange(bin=command.bin, delta=-there),)
    up_to = desk.stock.position
    return [placed, BinsMoved(sku=desk.sku, node=command.node, cause="kept", changes=changes, up_to=up_to)]


def move(desk: Desk, command: MoveBetweenBins) -> list[Event]:
    """Units lie in another bin. Those that orders have are where their pick lists say."""
    node, sku, kept_in = command.node, desk.sku, (desk.stock.bins or {}).get(command.node)
    source, target = (None if bin_ == kept_in else bin_ for bin_ in (command.source, command.target))
    if refusal := unknown(desk, node) or _not_to_move(desk, node, source, target):
        return refusal
    units = {one.bin if one.put_away else None: one.units for one in of_sku(desk.stock, node)}
    there = units.get(source, 0)
    if command.quantity > there:
        place = source or kept_in or "where it is kept"
        look = f"`orderlog stock bin {sku} {node}` tells what lies where."
        return desk.refuse(
            "not_in_bin",
            f"{command.quantity} units of {sku} cannot be taken from {place} at {node}: "
            f"{there or 'none'} lie there that no order has.",
            f"Take at most {there}; {look}" if there else look,
        )
    pairs = ((source, -command.quantity), (target, command.quantity))
    changes = tuple([BinChange(bin=bin_, delta=delta) for bin_, delta in pairs if bin_ is not None])
    return [BinsMoved(sku=sku, node=node, cause="moved", changes=changes, up_to=desk.stock.position)]


def _not_to_move(desk: Desk, node: str, source: str | None, target: str | None) -> list[Event]:
    """A refusal of what cannot be moved, whatever lies there."""
    if source == target:
        return desk.refuse(
            "same_bin",
            f"Units of {desk.sku} are to be taken from a bin at {node} into the same one.",
            "Name another; leave one out where it is the bin in which the node keeps the SKU.",
        )
    if desk.stock.lots is not None:
        return desk.refuse(
            "bins_of_lots",
            f"{desk.sku} has lots: its units are picked by lot, not by bin.",
            "Say where the node keeps it with `orderlog stock bin`.",
        )
    known = desk.stock.put_away or {}
    if len(known) >= BINS_MAX and target is not None and f"{node}/{target}" not in known:
        return desk.refuse(
            "too_many_bins",
            f"{desk.sku} lies in {BINS_MAX} bins beside those in which nodes keep it; no more are counted.",
            f"Empty one first; `orderlog stock item {desk.sku}` lists them.",
        )
    return []
