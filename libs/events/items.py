"""Inventory's contracts of what a SKU is on the shelf: how it is counted, its lots, where it lies."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from libs.events.contract import NodeId, Quantity, SkuCommand, SkuEvent, Value
from libs.events.measure import BASE_UNIT, Bin, UnitName

HOLDS_MAX = 1_000_000


class UnitOfMeasure(Value):
    """`per` of this unit are `holds` of the unit `of`: a case holds 4 inner, 12 pieces are 1 each."""

    unit: UnitName
    holds: Annotated[int, Field(strict=True, ge=1, le=HOLDS_MAX)]
    of: UnitName = BASE_UNIT
    """`each`, or a unit that stands before it in the list."""
    per: Annotated[int, Field(strict=True, ge=1, le=HOLDS_MAX)] = 1


class Item(Value):
    """What a SKU is on the shelf."""

    units: Annotated[tuple[UnitOfMeasure, ...], Field(max_length=20)] = ()
    """Beside `each`."""
    lot_controlled: bool = False
    """Each unit is of a lot that expires. Not to be changed once a unit has moved."""
    serialised: bool = False
    """Each unit has a serial number of its own. Not to be changed once a unit has moved, nor with lots."""
    shelf_days_min: Annotated[int, Field(strict=True, ge=0, le=3650)] = 0
    """So many days before its last day a lot is sold no more; of a SKU that has lots."""


class DefineItem(Item, SkuCommand):
    """Say what a SKU is on the shelf: the whole of it is replaced."""

    TYPE: ClassVar[str] = "oms.inventory.define_item"


class ItemDefined(Item, SkuEvent):
    """From now on the SKU is so. What was recorded before stays as it is."""

    TYPE: ClassVar[str] = "oms.inventory.item_defined"

    item_version: Annotated[int, Field(ge=1)]
    check_at: AwareDatetime | None = None
    """When the next lot is sold no more."""


class PlaceItem(SkuCommand):
    """Say where on its shelves a node keeps a SKU; None, nowhere in particular."""

    TYPE: ClassVar[str] = "oms.inventory.place_item"

    node: NodeId
    bin: Bin | None = None


class ItemPlaced(SkuEvent):
    """A node keeps the SKU there from now on; no units move by it, and no promise."""

    TYPE: ClassVar[str] = "oms.inventory.item_placed"

    node: NodeId
    bin: Bin | None = None


class MoveBetweenBins(SkuCommand):
    """Units of a node lie in another bin: they were put away, or fetched. None is where it keeps the SKU."""

    TYPE: ClassVar[str] = "oms.inventory.move_between_bins"

    node: NodeId
    quantity: Quantity
    source: Bin | None = None
    target: Bin | None = None


class BinChange(Value):
    """So many units more, or less, lie in a bin beside the one in which the node keeps the SKU."""

    bin: Bin
    delta: Annotated[int, Field(strict=True)]


class BinsMoved(SkuEvent):
    """What lies in a node's bins is other than it was; no units move by it in the ledger, and no promise."""

    TYPE: ClassVar[str] = "oms.inventory.bins_moved"

    node: NodeId
    cause: Literal["moved", "kept", "gone"]
    """Somebody moved units; the node keeps the SKU in that bin from now on; or units left the shelf for
    another reason than an order, and so many of them were not where the node keeps the SKU."""
    changes: Annotated[tuple[BinChange, ...], Field(min_length=1)]
    up_to: Annotated[int, Field(ge=0)]
    """The SKU's last movement by then."""


ITEM_COMMANDS = (DefineItem, PlaceItem, MoveBetweenBins)
ITEM_EVENTS = (ItemDefined, ItemPlaced, BinsMoved)
