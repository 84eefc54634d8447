"""Inventory's contracts of lots: units of a SKU that were made together, expire together, and are recalled
together.

Every movement of a SKU that has lots names the lot whose units it moves, as soon as they are in the house. A
promise is of the SKU, not of a lot; an allocation takes the lot that expires first.
"""

from datetime import date
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from libs.events.contract import Count, Name, Note, SkuCommand, SkuEvent, Value
from libs.events.measure import LotId
from libs.events.supply import Movements


class QuarantineLot(SkuCommand):
    """Sell nothing more of a lot, wherever its units are: a recall."""

    TYPE: ClassVar[str] = "oms.inventory.quarantine_lot"

    lot: LotId
    reason: Note = ""


class ReleaseLot(SkuCommand):
    """A lot that was quarantined is good after all: its units in quarantine are sellable again."""

    TYPE: ClassVar[str] = "oms.inventory.release_lot"

    lot: LotId
    reason: Note = ""


class LotDefined(SkuEvent):
    """Units of a lot are in the house for the first time."""

    TYPE: ClassVar[str] = "oms.inventory.lot_defined"

    lot: LotId
    expires_on: date
    """The last day on which it may be sold, in UTC."""
    check_at: AwareDatetime | None = None
    """When the next lot of the SKU is sold no more."""


class LotEvent(SkuEvent):
    """What becomes of a lot as a whole."""

    lot: LotId
    up_to: Annotated[int, Field(ge=0)]
    """The SKU's position that it stands behind: no later movement allocates units of a stopped lot."""
    movements: Movements


class LotExpired(LotEvent):
    """A lot is sold no more, for its time is up; what was on hand of it is in quarantine. Said again when
    more of it comes back on hand."""

    TYPE: ClassVar[str] = "oms.inventory.lot_expired"

    expires_on: date
    allocated: Count = 0
    """Units of it that are allocated to orders and have not left: let their picks come up short."""
    check_at: AwareDatetime | None = None
    """When the next lot of the SKU is sold no more."""


class LotQuarantined(LotEvent):
    """A lot is sold no more, for somebody said so; what was on hand of it is in quarantine. Said again when
    more of it comes back on hand."""

    TYPE: ClassVar[str] = "oms.inventory.lot_quarantined"

    reason: Note = ""
    allocated: Count = 0
    """Units of it that are allocated to orders and have not left: let their picks come up short."""
    check_at: AwareDatetime | None = None
    """When the next lot of the SKU is sold no more."""


class LotReleased(LotEvent):
    """A lot is sold again; its units that were in quarantine are on hand."""

    TYPE: ClassVar[str] = "oms.inventory.lot_released"

    reason: Note = ""
    check_at: AwareDatetime | None = None
    """When the next lot of the SKU is sold no more."""


class LotLimit(Value):
    """What a channel asks of the lots that it is given."""

    channel: Name
    shelf_days_min: Annotated[int, Field(strict=True, ge=1, le=3650)]
    """So many days before its last day a lot is not given to the channel any more."""
    expires_from: date
    """Lots that expire before are too old for the channel by now."""


class LotsLimited(SkuEvent):
    """Which of its lots channels are given that ask for days left, from now on: told when a lot has become
    too old for one, or the terms ask for other days. What was allocated before stays so."""

    TYPE: ClassVar[str] = "oms.inventory.lots_limited"

    limits: Annotated[tuple[LotLimit, ...], Field(max_length=100)] = ()
    """Of each channel that asks for days left; others are given any lot that is sold."""
    up_to: Annotated[int, Field(ge=0)]
    """The SKU's position that it stands behind: no later movement allocates other lots to these channels."""
    check_at: AwareDatetime | None = None
    """When the next lot of the SKU is too old for one of them, or sold no more."""


LOT_COMMANDS = (QuarantineLot, ReleaseLot)
LOT_EVENTS = (LotDefined, LotExpired, LotQuarantined, LotReleased, LotsLimited)
