"""Inventory's word to the channels: what of each SKU they can sell now, and when one runs low.

`SkuAvailability` is a state, not a fact: it lies on a compacted topic of its own, where the last record of a
key is all that counts. The facts that it follows from are on `oms.inventory.events`.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from libs.events.backorders import OpenBackorders
from libs.events.contract import Contract, Count, Name, Sku, SkuEvent, Value

AVAILABILITY_TOPIC = "oms.inventory.availability"
"""Compacted; its records have the key `tenant/sku/<sku>`."""


class ChannelAvailability(Value):
    """What one channel can sell of a SKU."""

    channel: Name
    available: Count
    """Units that an order of this channel would be promised now."""
    shown: Count
    """What the channel may show; 0 is sold out."""
    backorders: OpenBackorders | None = None
    """What an order of this channel may still wait for, where the terms limit it."""


class SkuAvailability(Contract):
    """What each channel can sell of a SKU. Of the records of a key the one of the highest `version`."""

    TYPE: ClassVar[str] = "oms.inventory.availability"

    sku: Sku
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of the SKU's stock, claims and terms; a reader drops what is below its own."""
    position: Annotated[int, Field(ge=0)]
    """The SKU's last movement that it counts."""
    terms_version: Annotated[int, Field(ge=1)] | None = None
    """The terms that it was made by, where the SKU has any."""
    available: Count
    """Units that a channel which the terms do not name would be promised now."""
    channels: tuple[ChannelAvailability, ...] = ()
    """The channels that the terms name, each with its own figure."""
    low: bool = False
    """The SKU was told to be low (`oms.inventory.stock_low`), and not to have recovered since."""
    backorders: OpenBackorders | None = None
    """What a channel without a figure of its own may still wait for, where the terms limit it."""
    bundle_version: Annotated[int, Field(ge=1)] | None = None
    """It is a bundle, of this definition: it has no units, and can be sold as often as its parts allow."""

    @property
    def stream(self) -> str:
        return f"sku/{self.sku}"


class StockLow(SkuEvent):
    """Units that nobody was promised fell to the SKU's `low_at` or below. Told once until it recovers."""

    TYPE: ClassVar[str] = "oms.inventory.stock_low"

    free: Count
    """Units on hand in all nodes that nobody was promised, safety stock among them."""
    low_at: Count
    terms_version: Annotated[int, Field(ge=1)]


class StockRecovered(SkuEvent):
    """A SKU that was low has `recovered_at` free units again or more, or no such level any longer."""

    TYPE: ClassVar[str] = "oms.inventory.stock_recovered"

    free: Count
    """Units on hand in all nodes that nobody was promised, safety stock among them."""
    terms_version: Annotated[int, Field(ge=1)]


AVAILABILITY_EVENTS = (StockLow, StockRecovered)
