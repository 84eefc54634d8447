"""One batch of events into changes of the read models. Pure: the store loads before and writes after it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from operator import add
from typing import NamedTuple
from uuid import UUID

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.exception_rules import RULE_EVENTS
from libs.events.intake import OrderAccepted, OrderHeld
from libs.events.inventory import ReservationBroken, StockPegged
from libs.events.places import STANDARD
from services.console.amend_view import service_now
from services.console.costs import carriage
from services.console.facts import INITIAL, State
from services.console.full_days import FULL_DAYS_EVENT, FullDays, FullDaysKey, full_days
from services.console.node_reach import NODE_REACH_EVENT, NodeKey, NodeReach, node_reach
from services.console.orders import evolve
from services.console.origin import order_of, stage_of
from services.console.parked_items import (
    PARKED_CARE_EVENTS,
    PARKED_ITEM_EVENTS,
    ParkedCareKey,
    ParkedChange,
    ParkedKey,
    parked_care,
    parked_change,
)
from services.console.picks import picks
from services.console.promises import days_to_ship, due
from services.console.rules import RuleChange, rule_change
from services.console.segments import broken, delays, waiting
from services.console.sentences import claim_sentence, sentence
from services.console.serials import (
    SERIAL_EVENTS,
    SerialKey,
    SerialMove,
    SerialUnit,
    later,
    serial_moves,
    unnamed_changes,
)
from services.console.standing import line_standings, milestones, nodes, status_of
from services.console.stock import (
    BalanceKey,
    ReservationKey,
    ReservationUnits,
    balance_changes,
    reservation_changes,
)
from services.console.stock_care import STOCK_CARE_EVENTS, StockCare, StockCareKey, stock_care, with_more
from services.console.stock_checks import CHECK_EVENTS, StockCheck, StockCheckKey, stock_check
from services.console.stock_checks import joined as with_later
from services.console.stock_items import (
    STOCK_ITEM_EVENTS,
    StockItemChange,
    StockItemKey,
    joined,
    stock_item_changes,
)
from services.console.storable import storable
from services.console.stored import Written
from services.console.supply_items import SUPPLY_ITEM_EVENTS, supply_item_changes

_WITH_TERMS = (OrderAccepted.TYPE, OrderHeld.TYPE)
_OF_RULES = frozenset(event.TYPE for event in RULE_EVENTS)


class OrderKey(NamedTuple):
    """An order of a tenant."""

    tenant: str
    order_id: str


class SkuOfOrder(NamedTuple):
    """An order has a line of this SKU."""

    tenant: str
    sku: str
    order_id: str


class LaneKey(NamedTuple):
    """A sender's lane."""

    source: str
    lane: int


class Heard(NamedTuple):
    """How far a sender's lane has been heard, and when that event was."""

    sequence: int
    at: datetime


class TimelineRow(NamedTuple):
    """One event in an order's life, as the table has it."""

    tenant: str
    order_id: str
    stage: str
    lane: int
    sequence: int
    at: datetime
    type: str
    sentence: str
    actor: str
    reason: str
    event_id: UUID
    causation_id: UUID


class OrderRow(NamedTuple):
    """One order, as the table has it. `facts` is the whole `State` as JSON."""

    tenant: str
    order_id: str
    status: str
    channel: str | None
    external_id: str | None
    customer_id: str | None
    ordered_at: datetime | None
    currency: str | None
    total_minor: int | None
    line_count: int
    units: int
    confirmed_at: datetime | None
    paid_at: datetime | None
    routed_at: datetime | None
    picking_at: datetime | None
    shipped_at: datetime | None
    picked_up_at: datetime | None
    delivered_at: datetime | None
    events: int
    last_at: datetime | None
    nodes: str
    waiting_in: str
    waiting_since_at: datetime | None
    segments: str | None
    last_node: str | None
    last_carrier: str | None
    broken: str
    promised_on: date | None
    promise_ends_at: datetime | None
    risk_at: datetime | None
    carriage_minor: int | None
    carriage_currency: str | None
    service: str | None
    ship_days: int | None
    picks: str | None
    facts: str


@dataclass(slots=True)
class Changes:
    """What a batch does to the read models. Sums that come to nothing are kept: that a bucket was ever
    touched must not depend on how events were batched."""

    states: dict[OrderKey, State] = field(default_factory=dict)
    timeline: list[TimelineRow] = field(default_factory=list)
    skus: set[SkuOfOrder] = field(default_factory=set)
    balances: dict[BalanceKey, int] = field(default_factory=dict)
    reservations: dict[ReservationKey, ReservationUnits] = field(default_factory=dict)
    stock_items: dict[StockItemKey, StockItemChange] = field(default_factory=dict)
    stock_care: dict[StockCareKey, StockCare] = field(default_factory=dict)
    parked_keys: dict[ParkedKey, ParkedChange] = field(default_factory=dict)
    parked_care: dict[ParkedCareKey, StockCare] = field(default_factory=dict)
    rules: list[RuleChange] = field(default_factory=list)
    full_days: dict[FullDaysKey, FullDays] = field(default_factory=dict)
    node_reach: dict[NodeKey, NodeReach] = field(default_factory=dict)
    serial_units: dict[SerialKey, SerialUnit] = field(default_factory=dict)
    serial_moves: list[SerialMove] = field(default_factory=list)
    checks: dict[StockCheckKey, StockCheck] = field(default_factory=dict)


def unheard(
    envelopes: Iterable[Envelope[Event]], heard: Mapping[LaneKey, Heard]
) -> tuple[list[Envelope[Event]], dict[LaneKey, Heard]]:
    """Events that are no repeats, in order, and how far each lane that moved has been heard with them."""
    new: list[Envelope[Event]] = []
    moved: dict[LaneKey, Heard] = {}
    for envelope in envelopes:
        lane = LaneKey(envelope.source, envelope.lane)
        last = moved.get(lane) or heard.get(lane)
        if last is None or envelope.sequence > last.sequence:
            moved[lane] = Heard(envelope.sequence, envelope.at)
            new.append(envelope)
    return new, moved


def touched(envelopes: Iterable[Envelope[Event]]) -> dict[OrderKey, int]:
    """Orders whose state the batch needs, and the lane of each."""
    places = {(envelope.tenant, order_of(envelope), envelope.lane) for envelope in envelopes}
    return {OrderKey(tenant, order_id): lane for tenant, order_id, lane in places if order_id is not None}


def fold(
    envelopes: Sequence[Envelope[Event]], states: Mapping[OrderKey, State], onto: Changes | None = None
) -> Changes:
    """All changes of a batch without repeats, `onto` those of the batches before, if there are any;
    `states` holds the touched orders that are known and not among those."""
    changes = Changes() if onto is None else onto
    balances, reservations = changes.balances, changes.reservations
    for envelope in envelopes:
        tenant, event = envelope.tenant, envelope.body
        order_id = order_of(envelope)
        if order_id is not None:
            key = OrderKey(tenant, order_id)
            before = changes.states.get(key) or states.get(key, INITIAL)
            after = evolve(before, envelope)
            if after is not before:
                changes.states[key] = after
            changes.timeline.append(_timeline_row(envelope, order_id, sentence(event)))
            if event.TYPE in _WITH_TERMS:
                assert isinstance(event, OrderAccepted | OrderHeld)
                changes.skus.update(SkuOfOrder(tenant, line.sku, order_id) for line in event.lines)
        elif isinstance(event, StockPegged | ReservationBroken):
            for named in sorted({claim.order_id for claim in event.claims}):
                changes.timeline.append(_timeline_row(envelope, named, claim_sentence(event, named)))
        elif event.TYPE in _OF_RULES:
            changes.rules.append(rule_change(envelope))
        elif event.TYPE == FULL_DAYS_EVENT:
            node, days = full_days(envelope)
            changes.full_days[node] = days
        elif event.TYPE == NODE_REACH_EVENT:
            place, reach = node_reach(envelope)
            changes.node_reach[place] = reach
        elif event.TYPE in STOCK_CARE_EVENTS:
            cared, care = stock_care(envelope)
            changes.stock_care[cared] = with_more(changes.stock_care.get(cared), care)
        elif event.TYPE in CHECK_EVENTS:
            about, check = stock_check(envelope)
            changes.checks[about] = with_later(changes.checks.get(about), check)
        elif event.TYPE in PARKED_ITEM_EVENTS:
            parked, told = parked_change(envelope)
            changes.parked_keys[parked] = with_more(changes.parked_keys.get(parked), told)
        elif event.TYPE in PARKED_CARE_EVENTS:
            seen_to, care = parked_care(envelope)
            changes.parked_care[seen_to] = with_more(changes.parked_care.get(seen_to), care)
        for balance, units in balance_changes(envelope):
            balances[balance] = balances.get(balance, 0) + units
        if event.TYPE in STOCK_ITEM_EVENTS:
            for item, change in stock_item_changes(envelope):
                changes.stock_items[item] = joined(changes.stock_items.get(item), change)
        if event.TYPE in SUPPLY_ITEM_EVENTS:
            for item, change in supply_item_changes(envelope):
                changes.stock_items[item] = joined(changes.stock_items.get(item), change)
        if event.TYPE in SERIAL_EVENTS:
            _fold_serials(changes, envelope)
        for claim, delta in reservation_changes(envelope):
            known = reservations.get(claim)
            reservations[claim] = delta if known is None else _added(known, delta)
    return changes


def _fold_serials(changes: Changes, envelope: Envelope[Event]) -> None:
    for move, unit in serial_moves(envelope):
        changes.serial_moves.append(move)
        key = SerialKey(*move[:3])
        changes.serial_units[key] = later(changes.serial_units.get(key), unit)
    for item, change in unnamed_changes(envelope):
        changes.stock_items[item] = joined(changes.stock_items.get(item), change)


def order_row(key: OrderKey, order: Written) -> OrderRow:
    """The row of an order's state."""
    state = order.state
    intake, moments = state.intake, milestones(state)
    lines = line_standings(state)
    goods = sum([line.quantity * line.unit_price_minor for line in intake.lines])
    total = goods + sum([charge.amount_minor for charge in intake.charges])
    status = status_of(state, lines)
    waits_in, since = waiting(state, status)
    spent, promise, asked = delays(state), due(state, status), carriage(state)
    service = service_now(state)
    # By place, in the order of the fields: by name it takes twice as long.
    return OrderRow(
        key.tenant,
        key.order_id,
        status,
        intake.channel,
        intake.external_id,
        intake.customer_id,
        ordered_at(state),
        intake.currency,
        total if intake.lines else None,
        len(lines),
        sum([line.ordered for line in lines]),
        moments.confirmed,
        moments.paid,
        moments.routed,
        moments.picking,
        moments.shipped,
        moments.picked_up,
        moments.delivered,
        state.events,
        state.last_at,
        ",".join(nodes(state)),
        waits_in,
        since,
        spent.text() if spent else None,
        spent.node if spent else None,
        spent.carrier if spent else None,
        broken(state),
        promise.promised_on if promise else None,
        promise.ends_at if promise else None,
        promise.risk_at if promise else None,
        asked.amount_minor if asked else None,
        asked.currency if asked else None,
        None if service == STANDARD else service,
        days_to_ship(state, moments.confirmed, moments.shipped),
        picks(state),
        order.facts(),
    )


def ordered_at(state: State) -> datetime | None:
    """When it was placed, as far as anybody said so, or else captured."""
    return state.intake.placed_at or state.intake.captured_at


def _timeline_row(envelope: Envelope[Event], order_id: str, text: str) -> TimelineRow:
    return TimelineRow(
        envelope.tenant,
        order_id,
        stage_of(envelope),
        envelope.lane,
        envelope.sequence,
        envelope.at,
        envelope.body.TYPE,
        storable(text),
        storable(envelope.actor),
        storable(envelope.reason),
        envelope.id,
        envelope.causation_id,
    )


def _added(known: ReservationUnits, delta: ReservationUnits) -> ReservationUnits:
    return ReservationUnits._make(map(add, known, delta))
