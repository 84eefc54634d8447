"""Fulfillment's contracts: work released to a node, picked, packed, dispatched, delivered.

Fulfillment is the one authority on what has left the building, so it decides what a cancellation can still
stop, and it says when an order's last unit has been delivered, lost or cancelled.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from libs.events.contract import (
    Count,
    Currency,
    LineNumber,
    Name,
    NodeId,
    Note,
    OrderCommand,
    OrderEvent,
    Sku,
    Value,
)
from libs.events.intake import Outcome
from libs.events.measure import SerialNumber, SerialNumbers
from libs.events.order import Destination, LineQuantity, LineSerials, PickFrom, Sealed, Unpacked

ShortReason = Literal["not_found", "damaged"]
CarrierStatus = Literal["picked_up", "in_transit", "out_for_delivery", "exception", "delivered", "lost"]


class Pick(Value):
    """What the picker found of one line. `picked` + `short` is what was asked."""

    line: LineNumber
    picked: Count
    short: Count = 0
    short_reason: ShortReason = "not_found"
    serials: SerialNumbers | None = None
    """Of each unit that was picked, where its SKU has serial numbers."""
    short_serials: SerialNumbers | None = None
    """Of units that were found damaged."""


class ConfirmPick(OrderCommand):
    """A node picked its fulfillment order, perhaps short."""

    TYPE: ClassVar[str] = "oms.fulfillment.confirm_pick"

    fulfillment_order_id: Name
    picks: Annotated[tuple[Pick, ...], Field(min_length=1, max_length=1000)]


class Package(Value):
    """One parcel."""

    package_id: Name
    weight_grams: Annotated[int, Field(strict=True, ge=1, le=100_000_000)]


class ConfirmPack(OrderCommand):
    """What was picked is in parcels."""

    TYPE: ClassVar[str] = "oms.fulfillment.confirm_pack"

    fulfillment_order_id: Name
    packages: Annotated[tuple[Package, ...], Field(min_length=1, max_length=500)]


class ShippedPackage(Value):
    """One parcel under way."""

    package_id: Name
    tracking_number: Name


class LineNumbers(Value):
    """The serial numbers of a line's units that leave."""

    line: LineNumber
    serials: SerialNumbers


class CarrierCharge(Value):
    """What a carrier asks for a shipment, all its parcels together."""

    amount_minor: Annotated[int, Field(strict=True, ge=0, le=10**12)]
    currency: Currency


class DispatchShipment(OrderCommand):
    """The packed parcels were handed to a carrier: one tracking number a parcel."""

    TYPE: ClassVar[str] = "oms.fulfillment.dispatch_shipment"

    fulfillment_order_id: Name
    carrier: Name
    packages: Annotated[tuple[ShippedPackage, ...], Field(min_length=1, max_length=500)]
    serials: Annotated[tuple[LineNumbers, ...], Field(max_length=1000)] | None = None
    """Of SKUs with serial numbers, as far as the pick did not tell them."""
    charge: CarrierCharge | None = None
    """Where it is known."""


class RecordCarrierEvent(OrderCommand):
    """A scan of the carrier."""

    TYPE: ClassVar[str] = "oms.fulfillment.record_carrier_event"

    shipment_id: Name
    status: CarrierStatus
    occurred_at: AwareDatetime
    note: Note = ""


class FulfillmentEvent(OrderEvent):
    """An event of one fulfillment order."""

    fulfillment_order_id: Name
    node: NodeId


class FulfillmentReleased(FulfillmentEvent):
    """Work is with the node."""

    TYPE: ClassVar[str] = "oms.fulfillment.fulfillment_released"

    round: Annotated[int, Field(ge=1)]
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    destination: Destination
    contact: Sealed | None = None
    awaiting: Annotated[tuple[LineQuantity, ...], Field(min_length=1)] | None = None
    """Units of the order that wait for stock, where they were not named before."""
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""
    picks: tuple[PickFrom, ...] | None = None
    """The pick list's lots and bins, for SKUs that have some."""
    service: Name | None = None
    """By which service of the carriers it is to be sent, where the order names one."""


class PickConfirmed(FulfillmentEvent):
    """The node picked these units."""

    TYPE: ClassVar[str] = "oms.fulfillment.pick_confirmed"

    lines: tuple[LineQuantity, ...]
    serials: tuple[LineSerials, ...] | None = None
    """Of the units that were picked, where their SKU has serial numbers."""


class ShortLine(Value):
    """Units that were asked for and not found, or found broken."""

    line: LineNumber
    sku: Sku
    quantity: Annotated[int, Field(strict=True, ge=1)]
    reason: ShortReason
    serials: tuple[SerialNumber, ...] | None = None
    """Of units that were found damaged, as far as they were told."""


class PickShorted(FulfillmentEvent):
    """The node lacks these units; inventory and routing source them again."""

    TYPE: ClassVar[str] = "oms.fulfillment.pick_shorted"

    lines: Annotated[tuple[ShortLine, ...], Field(min_length=1)]


class PackConfirmed(FulfillmentEvent):
    """The picked units are in parcels."""

    TYPE: ClassVar[str] = "oms.fulfillment.pack_confirmed"

    packages: Annotated[tuple[Package, ...], Field(min_length=1)]


class ShipmentDispatched(FulfillmentEvent):
    """Goods left under one dispatch. Version 2 names each parcel; version 1 knew one tracking number."""

    TYPE: ClassVar[str] = "oms.fulfillment.shipment_dispatched"
    VERSION: ClassVar[int] = 2

    shipment_id: Name
    carrier: Name
    packages: Annotated[tuple[ShippedPackage, ...], Field(min_length=1)]
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    serials: tuple[LineSerials, ...] | None = None
    """Of the units that left, where their SKU has serial numbers."""
    service: Name | None = None
    """By which service of the carriers it was to be sent, where the order names one."""
    charge: CarrierCharge | None = None
    """What the carrier asks for it, where the node said so."""


class CarrierEventRecorded(OrderEvent):
    """Where the carrier says the shipment is."""

    TYPE: ClassVar[str] = "oms.fulfillment.carrier_event_recorded"

    shipment_id: Name
    status: CarrierStatus
    occurred_at: AwareDatetime
    note: Note = ""


class ShipmentDelivered(OrderEvent):
    """The customer has these units."""

    TYPE: ClassVar[str] = "oms.fulfillment.shipment_delivered"

    shipment_id: Name
    occurred_at: AwareDatetime
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""
    serials: tuple[LineSerials, ...] | None = None
    """Of these units, where their SKU has serial numbers."""


class ShipmentLost(OrderEvent):
    """The carrier lost these units."""

    TYPE: ClassVar[str] = "oms.fulfillment.shipment_lost"

    shipment_id: Name
    occurred_at: AwareDatetime
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]


class FulfillmentCancelled(OrderEvent):
    """These units will not be released or dispatched; inventory frees what it holds of them.

    With the cause `cancelled` they are everything that was not dispatched, and `fulfillment_order_ids` are
    those that the nodes must stop. With `unroutable` they are the units that were still to be sourced (all,
    those of short picks, or those that were waited for in vain); what else there is of the order goes on.
    """

    TYPE: ClassVar[str] = "oms.fulfillment.fulfillment_cancelled"

    fulfillment_order_ids: tuple[Name, ...] = ()
    lines: tuple[LineQuantity, ...]
    cause: Literal["cancelled", "unroutable"] = "cancelled"
    reason: Note = ""
    awaiting: Annotated[tuple[LineQuantity, ...], Field(min_length=1)] | None = None
    """Units of the order that go on all the same, where they were not named before."""
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where they were not named before."""


class CancellationDeclined(OrderEvent):
    """Too late: everything has been dispatched. A return is the way."""

    TYPE: ClassVar[str] = "oms.fulfillment.cancellation_declined"

    reason: Note


class FulfillmentCompleted(OrderEvent):
    """Each unit of the order was delivered, lost, cancelled or unroutable. Said once.

    `delivered`, `lost`, `cancelled` and `unroutable` add up to the order's lines, or to those that
    bundles were unpacked into; all that were cancelled before anything was released are lines as ordered.
    """

    TYPE: ClassVar[str] = "oms.fulfillment.fulfillment_completed"

    outcome: Outcome
    delivered: tuple[LineQuantity, ...] = ()
    lost: tuple[LineQuantity, ...] = ()
    cancelled: tuple[LineQuantity, ...] = ()
    unroutable: tuple[LineQuantity, ...] = ()
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""


FULFILLMENT_COMMANDS = (ConfirmPick, ConfirmPack, DispatchShipment, RecordCarrierEvent)
FULFILLMENT_EVENTS = (
    FulfillmentReleased,
    PickConfirmed,
    PickShorted,
    PackConfirmed,
    ShipmentDispatched,
    CarrierEventRecorded,
    ShipmentDelivered,
    ShipmentLost,
    FulfillmentCancelled,
    CancellationDeclined,
    FulfillmentCompleted,
)
