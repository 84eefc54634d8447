"""Inventory's contracts of SKUs that are made of others: bundles, whose parts are promised together; kits.

`kept` says which of the two a SKU is. One kept as `parts` never has units of its own: an order's line of it
is unpacked into lines of its parts before anything is promised. One kept `assembled` is stock like any other:
its parts are what it is put together from at a node, and what it becomes when it is taken apart.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from libs.events.contract import (
    Name,
    NodeId,
    Note,
    OrderEvent,
    PromiseId,
    Quantity,
    Sku,
    SkuCommand,
    SkuEvent,
    Value,
)
from libs.events.inventory import Units
from libs.events.measure import LotId
from libs.events.order import Destination, LineQuantity, Reason, Sealed, UnpackedLine
from libs.events.policy import OrderPolicy

Kept = Literal["parts", "assembled"]
KitBucket = Literal[
    "on_hand",
    "kitted",  # contra: what became part of a kit, and of the kit's own SKU what was made of its parts
]
Version = Annotated[int, Field(strict=True, ge=1)]


class BundleCommand(SkuCommand):
    """A command about a SKU that is made of others."""


class BundleEvent(SkuEvent):
    """An event of a SKU that is made of others."""


class BundlePart(Value):
    """Units of a SKU in one unit of a bundle or kit."""

    sku: Sku
    quantity: Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]
    price_weight: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 1
    """Of one unit: its share of the bundle's price against the other parts', where it comes back alone."""


class DefineBundle(BundleCommand):
    """Say of what a SKU is made: the whole of it is replaced."""

    TYPE: ClassVar[str] = "oms.inventory.define_bundle"

    parts: Annotated[tuple[BundlePart, ...], Field(max_length=1000)]
    kept: Kept = "parts"
    effective_at: AwareDatetime | None = None
    """From when it holds; None, or a time that has passed: from now on."""


class RemoveBundle(BundleCommand):
    """The SKU is made of nothing any more: it is one like any other."""

    TYPE: ClassVar[str] = "oms.inventory.remove_bundle"

    reason: Note = ""


class AssembleKit(BundleCommand):
    """Units of a kit were put together at a node, of parts that were on hand there."""

    TYPE: ClassVar[str] = "oms.inventory.assemble_kit"

    node: NodeId
    quantity: Quantity
    reference: Name | None = None


class TakeKitApart(BundleCommand):
    """Units of a kit were taken apart at a node: their parts are on hand there."""

    TYPE: ClassVar[str] = "oms.inventory.take_kit_apart"

    node: NodeId
    quantity: Quantity
    reference: Name | None = None


class BundleDefined(BundleEvent):
    """From now on the SKU is made of these parts. Orders that were unpacked before stay as they were."""

    TYPE: ClassVar[str] = "oms.inventory.bundle_defined"

    bundle_version: Version
    kept: Kept
    parts: Annotated[tuple[BundlePart, ...], Field(min_length=1)]
    effective_at: AwareDatetime | None = None
    """As it was planned, where it was (`oms.inventory.bundle_planned`)."""
    check_at: AwareDatetime | None = None
    """When the next that is planned is due."""


class BundlePlanned(BundleEvent):
    """From a moment to come the SKU is to be made of these parts, whatever was planned for it before."""

    TYPE: ClassVar[str] = "oms.inventory.bundle_planned"

    effective_at: AwareDatetime
    kept: Kept
    parts: Annotated[tuple[BundlePart, ...], Field(min_length=1)]
    check_at: AwareDatetime | None = None
    """When the first that is planned is due."""


class BundlePlanDropped(BundleEvent):
    """What was planned for that moment does not come: it could not be by then, or somebody removed it."""

    TYPE: ClassVar[str] = "oms.inventory.bundle_plan_dropped"

    effective_at: AwareDatetime
    reason: Reason
    check_at: AwareDatetime | None = None
    """When the next that is planned is due."""


class BundleRemoved(BundleEvent):
    """The SKU is one like any other from now on."""

    TYPE: ClassVar[str] = "oms.inventory.bundle_removed"

    bundle_version: Version
    """The last that there was; the next is one more."""
    reason: Note = ""


class BundlesUnpacked(OrderEvent):
    """Lines of an accepted order name bundles. In their place it is promised, shipped and returned by lines
    of their parts, which have numbers of their own; `others` are its other lines, as ordered."""

    TYPE: ClassVar[str] = "oms.inventory.bundles_unpacked"

    bundles: Annotated[tuple[UnpackedLine, ...], Field(min_length=1)]
    others: tuple[LineQuantity, ...] = ()
    since: AwareDatetime
    """When the order was accepted."""
    destination: Destination
    contact: Sealed | None = None
    channel: Name | None = None
    service: Name | None = None
    """By which service of the carriers, where the order names one."""
    promise_id: PromiseId | None = None
    policy: OrderPolicy | None = None
    """Of the order, where the tenant has one for it."""


class KitMovement(Value):
    """Units from one bucket to another, as `libs.events.inventory.Movement`: one ledger holds all."""

    sku: Sku
    node: NodeId
    source: KitBucket
    target: KitBucket
    quantity: Units
    position: Annotated[int, Field(strict=True, ge=1)]
    lot: LotId | None = None
    """None: neither kits nor their parts have lots."""
    serials: ClassVar[None] = None


class KitEvent(BundleEvent):
    """An event of a kit at a node. Of each part as many units moved as the kits have of it."""

    node: NodeId
    quantity: Quantity
    bundle_version: Version
    """By which definition."""
    reference: Name | None = None
    movements: tuple[KitMovement, ...]


class KitAssembled(KitEvent):
    """Parts on hand became kits on hand."""

    TYPE: ClassVar[str] = "oms.inventory.kit_assembled"


class KitTakenApart(KitEvent):
    """Kits on hand became parts on hand."""

    TYPE: ClassVar[str] = "oms.inventory.kit_taken_apart"


BUNDLE_COMMANDS = (DefineBundle, RemoveBundle, AssembleKit, TakeKitApart)
BUNDLE_EVENTS = (
    BundleDefined,
    BundlePlanned,
    BundlePlanDropped,
    BundleRemoved,
    BundlesUnpacked,
    KitAssembled,
    KitTakenApart,
)
