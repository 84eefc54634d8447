"""Contracts of substitutes: a SKU that may be sent in place of another, unit for unit, when that one lacks.

What was bought and what is sent are both kept: the ordered line stays, with its price, and is fulfilled by a
line of the substitute, as a bundle is by lines of its parts (`BundlesUnpacked`, `substituted`).
"""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from libs.events.contract import Name, OrderEvent, Sku, SkuCommand, SkuEvent
from libs.events.order import Destination, LineQuantity, Sealed
from libs.events.policy import OrderPolicy

SUBSTITUTES_MAX = 10
Substitutes = Annotated[tuple[Sku, ...], Field(max_length=SUBSTITUTES_MAX)]
"""The one to try first in front."""


class DefineSubstitutes(SkuCommand):
    """Say by what a SKU may be replaced; the whole of it is replaced, and nothing is none."""

    TYPE: ClassVar[str] = "oms.inventory.define_substitutes"

    substitutes: Substitutes


class SubstitutesDefined(SkuEvent):
    """From now on orders whose policy allows it may be sent these in place of the SKU."""

    TYPE: ClassVar[str] = "oms.inventory.substitutes_defined"

    version: Annotated[int, Field(strict=True, ge=1)]
    substitutes: Substitutes


class SubstitutesSought(OrderEvent):
    """Something of a new order lacks that its policy lets be replaced. Whether a substitute is there is
    looked at next, with all of them before it, and before anything is promised."""

    TYPE: ClassVar[str] = "oms.inventory.substitutes_sought"

    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    """What was ordered."""
    candidates: Annotated[tuple[Sku, ...], Field(min_length=1)]
    since: AwareDatetime
    """When the order was accepted."""
    destination: Destination
    contact: Sealed | None = None
    channel: Name | None = None
    service: Name | None = None
    """By which service of the carriers, where the order names one."""
    policy: OrderPolicy


SUBSTITUTE_COMMANDS = (DefineSubstitutes,)
SUBSTITUTE_EVENTS = (SubstitutesDefined, SubstitutesSought)
