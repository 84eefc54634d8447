"""Inventory's contracts with the world that supplies it: what is bought, moved, counted and told by others.

Everything is told of one SKU, in the SKU's stream, so that its facts are decided in one order. `supply_id`,
`transfer_id` and the like are the partner's own documents; a document of many SKUs is one command for each.
`effective_at` is when a thing happened, where that is not when it was told.
"""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from libs.events.contract import (
    Command,
    Count,
    Event,
    Name,
    NodeId,
    Note,
    Quantity,
    Sku,
    SkuCommand,
    SkuEvent,
    Value,
)
from libs.events.inventory import Units
from libs.events.measure import LotId, LotQuantities, SerialNumber, SerialNumbers, Stated, UnitName

RULES_STREAM = "supply.rules"
"""Stream of a tenant's rules for what comes from outside."""

SupplyBucket = Literal[
    "supplier",
    "adjustment",
    "transfer",
    "on_hand",
    "damaged",  # broken, at a node
    "missing",  # never arrived
    "written_off",
    "scrapped",
    "inbound",  # bought and expected at a node
    "in_transit",  # on its way from another node, at the node that awaits it
    "quarantine",  # at a node, not to be sold before somebody has looked
    "suspect",  # on the books of a node and doubted: not promised until counted
    "vendor",  # told by a feed and not to be promised: its buffer, or a feed that is too old to trust
]
"""Buckets that supply moves units between; the others are of `libs.events.inventory`."""


class SupplyMovement(Value):
    """Units from one bucket to another, as `libs.events.inventory.Movement`: one ledger holds both."""

    sku: Sku
    node: NodeId
    source: SupplyBucket
    target: SupplyBucket
    quantity: Units
    position: Annotated[int, Field(strict=True, ge=1)]
    lot: LotId | None = None
    """Whose units they are, where the SKU has lots."""
    serials: tuple[SerialNumber, ...] | None = None
    """Of each unit that comes, leaves or changes its place, where the SKU has serial numbers."""


Movements = tuple[SupplyMovement, ...]


class RulesCommand(Command):
    """A command to a tenant's rules."""

    @property
    def stream(self) -> str:
        return RULES_STREAM


class RulesEvent(Event):
    """An event of a tenant's rules."""

    @property
    def stream(self) -> str:
        return RULES_STREAM


class SupplyRules(Value):
    """What is asked of facts from outside. As long as nothing is defined, nothing is asked."""

    model_config = ConfigDict(defer_build=False)  # a request's body, too, which FastAPI needs whole

    new_skus: bool
    """Whether a SKU may come that inventory has never had a unit of."""
    nodes: Annotated[tuple[NodeId, ...], Field(max_length=10_000)] | None = None
    """Nodes that may be named; None, any."""
    over_receipt_percent_max: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """How much more than was expected may arrive before it is taken for an error; None, any."""
    unannounced: bool = True
    """Whether a receipt may come before the purchase order that it is for."""
    count_approval_units: Count | None = None
    """A count that differs by more than so many units waits for a person; None, none does."""
    phantom_short_picks: Annotated[int, Field(ge=1, le=1000)] | None = None
    """After so many picks in vain since its last count, what a node has on hand is suspect; None, never."""
    feed_shrink_percent: Annotated[int, Field(ge=0, le=99)] = 10
    """A full feed with at most this share of the units that the one before told waits for a person."""


class DefineSupplyRules(RulesCommand):
    """Replace the rules, the whole of them."""

    TYPE: ClassVar[str] = "oms.inventory.define_supply_rules"

    rules: SupplyRules


class SupplyRulesDefined(RulesEvent):
    """These rules hold from now on."""

    TYPE: ClassVar[str] = "oms.inventory.supply_rules_defined"

    version: Annotated[int, Field(ge=1)]
    rules: SupplyRules


# Purchase orders and advance ship notices ------------------------------------------------------------------

SupplyDocument = Literal["purchase_order", "asn"]


class ExpectSupply(SkuCommand):
    """So many units are bought, and expected at a node by then. Said again, it replaces what was said before.

    An advance ship notice says of a purchase order what is really on its way: it has the same `supply_id`.
    """

    TYPE: ClassVar[str] = "oms.inventory.expect_supply"

    supply_id: Name
    node: NodeId
    quantity: Quantity
    """All of it, what has arrived by now included."""
    expected_at: AwareDatetime
    stated_at: AwareDatetime
    """Of two statements the later one counts, whichever arrives first."""
    document: SupplyDocument = "purchase_order"
    supplier: Name | None = None
    unit: UnitName | None = None
    """What the quantity is stated in; None, base units."""


class CancelSupply(SkuCommand):
    """What has not arrived yet will not."""

    TYPE: ClassVar[str] = "oms.inventory.cancel_supply"

    supply_id: Name
    reason: Note = ""


class ReceiveSupply(SkuCommand):
    """Units of a purchase order arrived: `quantity` good ones, `damaged` broken ones."""

    TYPE: ClassVar[str] = "oms.inventory.receive_supply"

    supply_id: Name
    receipt_id: Name
    node: NodeId
    quantity: Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
    damaged: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 0
    final: bool = False
    """Nothing more is to come: what lacks is short."""
    effective_at: AwareDatetime | None = None
    unit: UnitName | None = None
    """What the quantity is stated in; None, base units."""
    lot: LotId | None = None
    """Where the SKU has lots: which one, and the last day on which it may be sold."""
    expires_on: date | None = None
    serials: SerialNumbers | None = None
    """Of each unit, where the SKU has serial numbers."""
    damaged_serials: SerialNumbers | None = None
    """Of the broken ones; `serials` are of the good ones."""


class SupplyExpected(SkuEvent):
    """Units are expected at a node; `open` of them have not arrived."""

    TYPE: ClassVar[str] = "oms.inventory.supply_expected"

    supply_id: Name
    node: NodeId
    quantity: Quantity
    open: Count
    expected_at: AwareDatetime
    stated_at: AwareDatetime
    document: SupplyDocument
    supplier: Name | None = None
    movements: Movements
    stated: Stated | None = None
    """The quantity as it was stated, where that was in a unit."""


ReceiptOutcome = Literal[
    "partial",  # more is to come
    "complete",  # all of it, and no more
    "short",  # less than expected, and nothing more is to come
    "over",  # more than expected
    "unannounced",  # nobody had said that it would come
]


class SupplyReceived(SkuEvent):
    """Units of a purchase order arrived."""

    TYPE: ClassVar[str] = "oms.inventory.supply_received"

    supply_id: Name
    receipt_id: Name
    node: NodeId
    quantity: Count
    damaged: Count = 0
    outcome: ReceiptOutcome
    over: Count = 0
    """Units more than were expected."""
    short: Count = 0
    """Units that lack for good."""
    open: Count
    """Units that are still to come."""
    effective_at: AwareDatetime | None = None
    movements: Movements
    stated: Stated | None = None
    """The quantity as it was stated, where that was in a unit."""


class SupplyCancelled(SkuEvent):
    """What had not arrived is not expected any more."""

    TYPE: ClassVar[str] = "oms.inventory.supply_cancelled"

    supply_id: Name
    node: NodeId
    quantity: Count
    reason: Note = ""
    movements: Movements


# Transfers -------------------------------------------------------------------------------------------------


class DispatchTransfer(SkuCommand):
    """Units left a node for another."""

    TYPE: ClassVar[str] = "oms.inventory.dispatch_transfer"

    transfer_id: Name
    source_node: NodeId
    target_node: NodeId
    quantity: Quantity
    due_at: AwareDatetime
    """When it is overdue."""
    effective_at: AwareDatetime | None = None
    serials: SerialNumbers | None = None
    """Of each unit, where the SKU has serial numbers."""
    lots: LotQuantities | None = None
    """Where the SKU has lots: which ones leave, all of `quantity`. None: those that expire first."""


class ReceiveTransfer(SkuCommand):
    """Units of a transfer arrived: `quantity` good ones, `damaged` broken ones."""

    TYPE: ClassVar[str] = "oms.inventory.receive_transfer"

    transfer_id: Name
    receipt_id: Name
    quantity: Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
    damaged: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 0
    final: bool = False
    """Nothing more is to come: what lacks is missing."""
    effective_at: AwareDatetime | None = None
    serials: SerialNumbers | None = None
    """Of each unit, where the SKU has serial numbers."""
    damaged_serials: SerialNumbers | None = None
    """Of the broken ones; `serials` are of the good ones."""
    lots: LotQuantities | None = None
    """Where the SKU has lots: which ones came, all of `quantity`. None: of the transfer's, those that expire
    first."""
    damaged_lots: LotQuantities | None = None
    """Of the broken ones; `lots` are of the good ones."""


class CloseTransfer(SkuCommand):
    """Say what became of units that never arrived: lost, or back where they came from."""

    TYPE: ClassVar[str] = "oms.inventory.close_transfer"

    transfer_id: Name
    outcome: Literal["lost", "returned"]
    reason: Note = ""
    serials: SerialNumbers | None = None
    """Of each unit, where the SKU has serial numbers."""


class TransferDispatched(SkuEvent):
    """Units are on their way between nodes."""

    TYPE: ClassVar[str] = "oms.inventory.transfer_dispatched"

    transfer_id: Name
    source_node: NodeId
    target_node: NodeId
    quantity: Quantity
    due_at: AwareDatetime
    effective_at: AwareDatetime | None = None
    check_at: AwareDatetime | None = None
    """When the next transfer of the SKU is overdue."""
    movements: Movements
    lots: LotQuantities | None = None
    """Which lots are on their way, where the SKU has some: those that were named, or that expire first."""


class TransferReceiptHeld(SkuEvent):
    """The receipt of a transfer that nobody has dispatched yet: it is booked once somebody has."""

    TYPE: ClassVar[str] = "oms.inventory.transfer_receipt_held"

    transfer_id: Name
    receipt_id: Name
    quantity: Count
    damaged: Count = 0
    final: bool = False
    effective_at: AwareDatetime | None = None
    lots: LotQuantities | None = None
    """Which lots came, all of `quantity`, where somebody named them."""
    damaged_lots: LotQuantities | None = None
    """Of the broken ones; `lots` are of the good ones."""


class TransferReceived(SkuEvent):
    """Units of a transfer arrived. Those above what was dispatched wait in quarantine for a person."""

    TYPE: ClassVar[str] = "oms.inventory.transfer_received"

    transfer_id: Name
    receipt_id: Name
    node: NodeId
    quantity: Count
    damaged: Count = 0
    outcome: Literal["partial", "complete", "short", "over"]
    over: Count = 0
    short: Count = 0
    open: Count
    effective_at: AwareDatetime | None = None
    check_at: AwareDatetime | None = None
    movements: Movements


class TransferOverdue(SkuEvent):
    """An exception for a person: a transfer should have arrived by now."""

    TYPE: ClassVar[str] = "oms.inventory.transfer_overdue"

    transfer_id: Name
    source_node: NodeId
    target_node: NodeId
    open: Count
    due_at: AwareDatetime
    check_at: AwareDatetime | None = None


class TransferClosed(SkuEvent):
    """What had not arrived was found to be lost, or to be back."""

    TYPE: ClassVar[str] = "oms.inventory.transfer_closed"

    transfer_id: Name
    outcome: Literal["lost", "returned"]
    quantity: Count
    reason: Note = ""
    check_at: AwareDatetime | None = None
    movements: Movements


SUPPLY_COMMANDS = (
    DefineSupplyRules,
    ExpectSupply,
    CancelSupply,
    ReceiveSupply,
    DispatchTransfer,
    ReceiveTransfer,
    CloseTransfer,
)
SUPPLY_EVENTS = (
    SupplyRulesDefined,
    SupplyExpected,
    SupplyReceived,
    SupplyCancelled,
    TransferDispatched,
    TransferReceiptHeld,
    TransferReceived,
    TransferOverdue,
    TransferClosed,
)
