"""What the read side knows of one order: each stage's facts apart, so that no stage disturbs another's.

Plain records that pydantic stores as JSON. Every `_at` is UTC; mappings are never changed in
place. Line numbers and ids are the keys under which a stage reports. Personal data is never here: of a sealed
contact only the data subject's pseudonym is kept.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime
from typing import Literal

from libs.events.record import record
from services.console.amended import Amendments, Asked
from services.console.parts import PartOf
from services.console.pick_places import PickPlace

Units = Mapping[int, int]
"""Units by line number."""

Sourced = Literal["backordered", "short_picked", "reserved", "allocated", "freed"]


@record
class OrderedLine:
    """One line as ordered."""

    line: int
    sku: str
    quantity: int
    unit_price_minor: int
    description: str | None = None


@record
class ChargedAmount:
    """Money that is no goods."""

    kind: str
    amount_minor: int


@record
class PlacedHold:
    """A named release-blocker; open while `released_at` is none."""

    name: str
    message: str
    placed_at: datetime
    released_at: datetime | None = None
    note: str = ""


@record
class StatedReason:
    """Why something was refused."""

    code: str
    message: str


@record
class Care:
    """What people have done about one exception of the order (`services.console.items`)."""

    assignee: str | None = None
    snoozed_until: datetime | None = None
    snoozed_why: str = ""
    resolved_at: datetime | None = None
    note: str = ""


@record
class IntakeFacts:
    """The order as captured, and how it began and ended."""

    channel: str | None = None
    external_id: str | None = None
    placed_at: datetime | None = None
    currency: str | None = None
    payment: str | None = None
    customer_id: str | None = None
    subject: str | None = None
    country: str | None = None
    postcode_area: str | None = None
    declared_total_minor: int | None = None
    lines: tuple[OrderedLine, ...] = ()
    charges: tuple[ChargedAmount, ...] = ()
    holds: tuple[PlacedHold, ...] = ()
    captured_at: datetime | None = None
    accepted_at: datetime | None = None
    rejected_at: datetime | None = None
    reasons: tuple[StatedReason, ...] = ()
    cancellation_requested_at: datetime | None = None
    cancellation_reason: str = ""
    closed_at: datetime | None = None
    outcome: str | None = None
    close_reason: str = ""
    care: Mapping[str, Care] = field(default_factory=dict)
    """By item."""
    line_cancellations: Mapping[str, datetime] = field(default_factory=dict)
    """When each was asked for, by its id."""
    service: str | None = None
    """What was promised to the customer about speed, as the channel named it."""
    amendments: Mapping[str, Asked] | None = None
    """By id; None, it was never amended."""


@record
class SourcedLine:
    """Where the sourcing of a line stands in its latest round."""

    sku: str
    round: int
    state: Sourced
    quantity: int


@record
class WaitedFor:
    """Units of a SKU that a backordered order lacks."""

    sku: str
    quantity: int


@record
class Backorder:
    """A round that found too little: units missing at first, and when it had them or gave up."""

    round: int
    units: int
    since: datetime
    ended_at: datetime | None = None


@record
class PromisedDate:
    """By when it is delivered, and why then."""

    service: str
    deliver_by: date
    ship_by: date
    node: str
    time_zone: str
    why: tuple[StatedReason, ...]


@record
class InventoryFacts:
    """What is promised to the order. Quantities by bucket are in the reservations table, not here."""

    lines: Mapping[int, SourcedLine] = field(default_factory=dict)
    waits_for: tuple[WaitedFor, ...] = ()
    shorted: Units = field(default_factory=dict)
    reserved_at: datetime | None = None
    backordered_at: datetime | None = None
    allocated_at: datetime | None = None
    freed_at: datetime | None = None
    backorders: tuple[Backorder, ...] = ()
    reserved_again: Mapping[int, datetime] = field(default_factory=dict)
    """When each later round was reserved; the first's is `reserved_at`."""
    parts: Mapping[int, PartOf] = field(default_factory=dict)
    """By line: those that the order has in place of its lines of bundles."""
    promised: PromisedDate | None = None
    """With the basket that the order took over, or else the first that it was told while it waited."""
    awaited: PromisedDate | None = None
    """While it waits: when it is delivered, as was told last."""
    given_up: Mapping[int, datetime] = field(default_factory=dict)
    """When units that had no node were, by the round that they were in: a plan for it is void."""


@record
class WeighedCandidate:
    """A set of nodes that routing weighed, and why it was taken or not."""

    nodes: tuple[str, ...]
    chosen: bool
    reason: str
    units: int
    distance_km: float | None = None


@record
class RoutingDecision:
    """One round's plan: units by line at each node, or why there is none. A plan that a person has to see
    first is not `routable` until it is approved, which is then its moment."""

    round: int
    at: datetime
    routable: bool
    nodes: Mapping[str, Units]
    lines: Units
    candidates: tuple[WeighedCandidate, ...]
    rule_version: int
    nodes_version: int
    reasons: tuple[StatedReason, ...] = ()
    promised: PromisedDate | None = None
    held_at: datetime | None = None
    review: tuple[StatedReason, ...] = ()
    """Why it was held for review, if it was."""

    @property
    def held(self) -> bool:
        """Whether it waits for a person, as far as routing has said."""
        return self.held_at is not None and not self.routable


@record
class RoutingFacts:
    """Every decision, in order of its round."""

    decisions: tuple[RoutingDecision, ...] = ()


@record
class Parcel:
    """One parcel, packed or under way."""

    package_id: str
    weight_grams: int | None = None
    tracking_number: str | None = None


@record
class NodeWork:
    """A fulfillment order: work requested of one node."""

    node: str
    round: int
    released_at: datetime
    lines: Units
    picked: Units = field(default_factory=dict)
    short: Units = field(default_factory=dict)
    packages: tuple[Parcel, ...] = ()
    picked_at: datetime | None = None
    packed_at: datetime | None = None
    dispatched_at: datetime | None = None
    cancelled_at: datetime | None = None
    """The whole of it; units that were taken off before the pick are not in `lines`."""
    places: tuple[PickPlace, ...] = ()


@record
class ChargedBy:
    """What a carrier asks for a shipment."""

    amount_minor: int
    currency: str


@record
class Dispatch:
    """A shipment: goods under one dispatch, and how far the carrier says they are."""

    fulfillment_order_id: str
    node: str
    carrier: str
    packages: tuple[Parcel, ...]
    lines: Units
    dispatched_at: datetime
    charge: ChargedBy | None = None
    carrier_status: str | None = None
    carrier_status_at: datetime | None = None
    carrier_note: str = ""
    exception_at: datetime | None = None
    """When the carrier first reported that something is the matter."""
    picked_up_at: datetime | None = None
    delivered: Units = field(default_factory=dict)
    delivered_at: datetime | None = None
    lost: Units = field(default_factory=dict)
    lost_at: datetime | None = None


@record
class LineCancellation:
    """What came of a cancellation of lines."""

    at: datetime
    cancelled: Units = field(default_factory=dict)
    kept: Units = field(default_factory=dict)
    why_kept: str = ""


@record
class FulfillmentFacts:
    """What is with the nodes, what has left, and what has come to its end."""

    work: Mapping[str, NodeWork] = field(default_factory=dict)
    shipments: Mapping[str, Dispatch] = field(default_factory=dict)
    cancelled: Units = field(default_factory=dict)
    cancelled_at: datetime | None = None
    unroutable: Units = field(default_factory=dict)
    cancellation_declined_at: datetime | None = None
    cancellation_declined_reason: str = ""
    completed_at: datetime | None = None
    outcome: str | None = None
    line_cancellations: Mapping[str, LineCancellation] = field(default_factory=dict)
    """By id."""
    holds_declined: Mapping[str, datetime] = field(default_factory=dict)
    """Holds that came too late, by name."""
    amendments: Amendments | None = None


@record
class OwedMessage:
    """One message to the customer. `state` is requested, sent, failed or skipped."""

    milestone: str
    state: str
    subject_id: str | None = None
    requested_at: datetime | None = None
    settled_at: datetime | None = None
    detail: str = ""
    failed_at: datetime | None = None


@record
class NotificationsFacts:
    """Every message, by its id."""

    messages: Mapping[str, OwedMessage] = field(default_factory=dict)


@record
class ReceivedUnits:
    """Units that came back at a node, and what became of them."""

    line: int
    sku: str
    quantity: int
    disposition: str
    node: str
    received_at: datetime


@record
class Rma:
    """A return authorisation and what came back under it."""

    authorised_at: datetime
    lines: Units
    received: tuple[ReceivedUnits, ...] = ()
    closed_at: datetime | None = None


@record
class OwedRefund:
    """Money that the customer is owed."""

    amount_minor: int
    currency: str
    cause: str
    requested_at: datetime
    lines: Units
    rma_id: str | None = None


@record
class LetGo:
    """A payment that was only authorised, and is not to be charged."""

    amount_minor: int
    currency: str
    requested_at: datetime


@record
class ReturnsFacts:
    """What may be returned, what was, and what is owed for it."""

    returnable: Units = field(default_factory=dict)
    rmas: Mapping[str, Rma] = field(default_factory=dict)
    refunds: Mapping[str, OwedRefund] = field(default_factory=dict)
    voids: Mapping[str, LetGo] = field(default_factory=dict)
    """By id."""


@record
class State:
    """One order as the read side knows it."""

    intake: IntakeFacts = field(default_factory=IntakeFacts)
    inventory: InventoryFacts = field(default_factory=InventoryFacts)
    routing: RoutingFacts = field(default_factory=RoutingFacts)
    fulfillment: FulfillmentFacts = field(default_factory=FulfillmentFacts)
    notifications: NotificationsFacts = field(default_factory=NotificationsFacts)
    returns: ReturnsFacts = field(default_factory=ReturnsFacts)
    events: int = 0
    """Events folded."""
    last_at: datetime | None = None
    """Time of the latest of them."""


INITIAL = State()
