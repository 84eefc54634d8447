"""Words that inventory's contracts share about units of measure, lots and serial numbers.

Every quantity in the ledger is in the SKU's base unit, `each`. What people state in another unit is converted
when it is decided, by the SKU's own units, and the event keeps both.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from libs.events.contract import Quantity, Sku, Value

UnitName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
"""A unit of measure, such as `inner`, `case`, `pallet`."""

LotId = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f/]{1,64}$")]
"""A lot, as its maker prints it; of one SKU, and the same wherever its units are."""

LOTS_MAX = 1000
"""Lots of a SKU that one command or event names."""

SerialNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x20\x7f/]([^\x00-\x1f\x7f/]{0,126}[^\x00-\x20\x7f/])?$"),
]
"""Of one unit, as its maker prints it, without blanks around it; of one SKU, and the same wherever it is."""

SERIAL_LENGTH_MAX = 64
"""Characters of a serial number that are kept; the longest that GS1 prints (AI 21) has 20."""
SERIALS_MAX = 1000
"""Units whose serial numbers one command names."""

SerialNumbers = Annotated[tuple[SerialNumber, ...], Field(max_length=SERIALS_MAX)]

Bin = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
"""A place on a node's shelves, as the node writes it."""

BASE_UNIT = "each"
"""What a SKU is counted in; all other units come down to it."""


class Stated(Value):
    """A quantity as somebody stated it, before it was converted to base units."""

    unit: UnitName
    quantity: Annotated[int, Field(strict=True)]
    damaged: Annotated[int, Field(strict=True)] | None = None
    """Of a receipt that has both."""
    item_version: Annotated[int, Field(ge=1)] | None = None
    """Of the SKU's units (`oms.inventory.item_defined`), where the unit is none of the base."""


class Unnamed(Value):
    """Units of a SKU with serial numbers that moved, and nobody knows which."""

    sku: Sku
    quantity: Annotated[int, Field(strict=True, ge=1, le=10**15)]
    serials: tuple[SerialNumber, ...] = ()
    """Numbers that were told for them, of units that are elsewhere, or that nobody has heard of."""


class LotQuantity(Value):
    """Units of one lot."""

    lot: LotId
    quantity: Quantity


LotQuantities = Annotated[tuple[LotQuantity, ...], Field(min_length=1, max_length=LOTS_MAX)]
"""Units by lot; each lot once."""
