"""What inventory decides: to whom stock is promised, where it is claimed, and when it is free again.

For routing, which chooses nodes from the figures of a promise; for fulfillment, which works on
allocations; and for everybody who asks what exists. An order's stream holds what the order needs, a stream
`sku/…` what exists of a SKU and who waits for it. An order's event moves the stock of its SKUs, whose parts
are locked with it; a SKU's event never meets an order, so it leaves a timer `claims` with each order that it
concerns, and an order's event that frees units leaves a timer `free` with each of its SKUs. Facts from
outside are told of a SKU (`outside`), and need its stream `supply/…` and the tenant's rules too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import cast

from pydantic import TypeAdapter

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.feeds import ApproveFeedRun, DefineFeed, OpenFeedRun
from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDispatched
from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    INVENTORY_EVENTS,
    AdjustStock,
    AllocationFailed,
    Movement,
    ReceiveStock,
    ReservationBroken,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockIssued,
    StockPegged,
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShorted,
)
from libs.events.order import LineQuantity
from libs.events.outside import OUTSIDE_EVENTS
from libs.events.record import record
from libs.events.returns import ReturnReceived
from libs.events.routing import OrderRouted
from libs.events.supply import RULES_STREAM, DefineSupplyRules, RulesEvent
from libs.events.timer import Timer, TimerDue
from services.inventory import outside, shelf
from services.inventory.allocate import allocate, covers, issue, release, take_back, write_short
from services.inventory.desk import Desk
from services.inventory.order import NEW_ORDER, Moving, OrderPart, evolve_order, units
from services.inventory.reserve import complete, promise
from services.inventory.rules import NO_RULES, RulesInput, RulesPart, decide_rules, evolve_rules
from services.inventory.stock import (
    EMPTY_SKU,
    SkuPart,
    Skus,
    asked,
    evolve_sku,
    moved,
    peg,
)
from services.inventory.supplies import NO_SUPPLY, SUPPLY_STREAM, SupplyPart, evolve_supply

HEARS: tuple[type[Event], ...] = (
    OrderAccepted,
    OrderRouted,
    FulfillmentCancelled,
    ShipmentDispatched,
    PickShorted,
    ReturnReceived,
)
PASSES_OVER: Mapping[type[Event], tuple[str, ...]] = {
    OrderAccepted: (
        "channel",
        "external_id",
        "placed_at",
        "currency",
        "charges",
        "total_minor",
        "payment",
        "customer_id",
        "fingerprint",
    ),
    OrderRouted: ("candidates", "rule_version", "nodes_version"),
}
"""What inventory has no use for in them."""
Heard = (
    ReceiveStock
    | AdjustStock
    | OrderAccepted
    | OrderRouted
    | FulfillmentCancelled
    | ShipmentDispatched
    | PickShorted
    | ReturnReceived
    | TimerDue
    | outside.Told
    | RulesInput
)
_FOLDED = frozenset({*INVENTORY_EVENTS, *OUTSIDE_EVENTS, ReturnReceived})
"""What `evolve` folds; most of what is heard tells nothing that is not in the event that answers it."""
_REMINDS = frozenset({StockPegged, ReservationBroken, StockReleased, StockReturned, *outside.REMINDS})
_LINES = TypeAdapter(tuple[LineQuantity, ...])
SKU_STREAM = "sku/"
_SKU_AT = len(SKU_STREAM)

Part = OrderPart | SkuPart | SupplyPart | RulesPart


@record
class State:
    """The parts that one input needs: its home stream's, and those of the SKUs it moves."""

    home: str = ""
    order: OrderPart = NEW_ORDER
    skus: dict[str, SkuPart] = field(default_factory=dict)
    supplies: dict[str, SupplyPart] = field(default_factory=dict)
    """Those of the SKUs, where the input is about them."""
    rules: RulesPart | None = None


INITIAL = State()


def empty(stream: str) -> Part:
    """What is known of a stream before its first event."""
    if stream.startswith(SKU_STREAM):
        return EMPTY_SKU
    if stream.startswith(SUPPLY_STREAM):
        return NO_SUPPLY
    return NO_RULES if stream == RULES_STREAM else NEW_ORDER


def more_streams(heard: Envelope[Contract], home: Part) -> tuple[str, ...]:
    """Streams of the SKUs that an order's input may move: those it names, and the order's own."""
    if not isinstance(home, OrderPart):
        return outside.streams(heard.body) if isinstance(home, SkuPart) else ()
    named = dict.fromkeys((*_named_skus(heard.body), *home.skus))
    streams = [SKU_STREAM + sku for sku in named]
    if isinstance(heard.body, PickShorted | StockShorted):
        streams += outside.streams_of_short_pick(heard.body)
    return tuple(streams)


def compose(home: str, parts: Mapping[str, Part]) -> State:
    order, skus, supplies, rules = NEW_ORDER, dict[str, SkuPart](), dict[str, SupplyPart](), None
    for stream, part in parts.items():
        if isinstance(part, SkuPart):
            skus[stream[_SKU_AT:]] = part
        elif isinstance(part, OrderPart):
            assert stream == home, f"a decision of {home} was given the order {stream}"
            order = part
        elif isinstance(part, SupplyPart):
            supplies[stream.removeprefix(SUPPLY_STREAM)] = part
        else:
            rules = part
    return State(home, order, skus, supplies, rules)


def decompose(state: State) -> Mapping[str, Part]:
    parts: dict[str, Part] = {SKU_STREAM + sku: part for sku, part in state.skus.items()}
    if state.supplies:
        parts |= {SUPPLY_STREAM + sku: part for sku, part in state.supplies.items()}
    if state.rules is not None:
        parts[RULES_STREAM] = state.rules
    if not state.home.startswith(SKU_STREAM) and state.home != RULES_STREAM:
        parts[state.home] = state.order
    return parts


def evolve(state: State, event: Event) -> State:
    """The state after one event, inventory's own or heard."""
    if type(event) not in _FOLDED:
        return state
    match event:
        case (
            StockReserved()
            | StockAllocated()
            | StockBackordered()
            | StockReleased()
            | StockIssued()
            | StockShorted()
            | StockReturned()
        ):
            order, supplies = evolve_order(state.order, event), state.supplies
            if supplies:
                supplies = {sku: evolve_supply(part, sku, event) for sku, part in supplies.items()}
            return State(state.home or event.stream, order, _moved_skus(state.skus, event, order), supplies)
        case StockReceived() | StockAdjusted() | StockPegged() | ReservationBroken():
            part = evolve_sku(state.skus.get(event.sku, EMPTY_SKU), event)
            return replace(state, home=state.home or event.stream, skus={**state.skus, event.sku: part})
        case AllocationFailed():
            return replace(state, order=evolve_order(state.order, event))
        case ReturnReceived():
            if not state.order.early_returns and covers(state.order, event):
                return state
            early = (*state.order.early_returns, event)
            return replace(state, order=replace(state.order, early_returns=early))
        case RulesEvent():
            return State(home=RULES_STREAM, rules=evolve_rules(state.rules or NO_RULES, event))
        case _:
            return _told(state, event)


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    """The events that answer one input."""
    body = cast(Heard, heard.body)
    match body:
        case OrderAccepted():
            return _accept(state, body, at)
        case OrderRouted():
            return _route(state, body)
        case ReceiveStock():
            return shelf.take_in(_desk(state, heard, at), body)
        case AdjustStock():
            return shelf.correct(_desk(state, heard, at), body)
        case FulfillmentCancelled():
            return _cancel(state, body)
        case ShipmentDispatched():
            return _dispatch(state, body)
        case PickShorted():
            if body.fulfillment_order_id in state.order.shorted:
                return []
            shorted = write_short(state.order, state.skus, body)
            return [shorted, _next_round(evolve(state, shorted), body.order_id)]
        case ReturnReceived():
            if state.order.early_returns:
                return []  # answered with the shipment that it returns
            return [take_back(state.order, state.skus, body)]
        case TimerDue():
            if body.name in outside.REMINDERS:
                return outside.look_again(_desk(state, heard, at), body.name)
            return _remember(state, body)
        case DefineSupplyRules() | DefineFeed() | OpenFeedRun() | ApproveFeedRun():
            return decide_rules(state.rules or NO_RULES, heard, body)
        case _:
            return outside.answer(_desk(state, heard, at), body)


def timers(event: Event, at: datetime) -> list[Timer]:
    """Reminders to other streams, due at once: orders whose claims changed, SKUs that have free units."""
    if type(event) not in _REMINDS:
        return []
    match event:
        case StockPegged() | ReservationBroken():
            return [Timer(claim.order_id, "claims", at) for claim in event.claims]
        case StockReleased() | StockReturned():
            skus = dict.fromkeys(movement.sku for movement in event.movements if _frees(movement))
            return [Timer(SKU_STREAM + sku, "free", at) for sku in skus]
    return list(outside.timers(event, at))


def _told(state: State, event: Event) -> State:
    """The state after an event about a SKU's supply."""
    sku = event.stream.removeprefix(SKU_STREAM)
    part = moved(state.skus.get(sku, EMPTY_SKU), getattr(event, "movements", ()))
    supply = evolve_supply(state.supplies.get(sku, NO_SUPPLY), sku, event)
    skus, supplies = {**state.skus, sku: part}, {**state.supplies, sku: supply}
    return State(state.home or event.stream, state.order, skus, supplies, state.rules)


def _desk(state: State, heard: Envelope[Contract], at: datetime) -> Desk:
    """What an input about a SKU's supply is decided on."""
    sku = heard.stream.removeprefix(SKU_STREAM)
    stock, supply = state.skus.get(sku, EMPTY_SKU), state.supplies.get(sku, NO_SUPPLY)
    return Desk(heard, at, sku, stock, supply, state.rules or NO_RULES)


def _accept(state: State, accepted: OrderAccepted, at: datetime) -> list[Event]:
    if state.order.status != "new":
        return []  # a repeat, or cancelled before it was heard of
    lines = _LINES.validate_python(
        [{"line": x.line, "sku": x.sku, "quantity": x.quantity} for x in accepted.lines]
    )
    order = OrderPart(pending=lines, since=at, destination=accepted.destination, contact=accepted.contact)
    return [promise(accepted.order_id, order, state.skus, 1)]


def _route(state: State, routed: OrderRouted) -> list[Event]:
    order = state.order
    if order.status != "reserved" or routed.round != order.round:
        return []  # a repeat, or a plan that something has overtaken
    if not complete(routed.order_id, order, state.skus):
        return [
            _next_round(state, routed.order_id)
        ]  # broken; its timer is on the way and will find it waiting
    return [allocate(routed.order_id, order, state.skus, routed)]


def _cancel(state: State, cancelled: FulfillmentCancelled) -> list[Event]:
    if state.order.status == "closed":
        return []
    released = release(cancelled.order_id, state.order, state.skus, cancelled)
    if cancelled.cause == "unroutable" and not (released.lines or released.movements):
        return []
    after = evolve(state, released)
    if not released.lines or not after.order.pending:
        return [released]
    return [released, _next_round(after, cancelled.order_id)]


def _dispatch(state: State, dispatched: ShipmentDispatched) -> list[Event]:
    if dispatched.shipment_id in state.order.shipments:
        return []
    events: list[Event] = [issue(state.order, state.skus, dispatched)]
    state = evolve(state, events[0])
    while state.order.early_returns and covers(state.order, state.order.early_returns[0]):
        returned = take_back(state.order, state.skus, state.order.early_returns[0])
        events.append(returned)
        state = evolve(state, returned)
    return events


def _remember(state: State, due: TimerDue) -> list[Event]:
    """Look after claims that changed in a SKU's lane, or units that became free in an order's."""
    if due.name == "free":
        sku = due.stream.removeprefix(SKU_STREAM)
        return peg(sku, state.skus.get(sku, EMPTY_SKU))
    assert due.name == "claims", f"nobody here asks for a timer {due.name!r}"
    order, order_id = state.order, due.stream
    if order.status == "waiting" and complete(order_id, order, state.skus):
        return [promise(order_id, order, state.skus, order.round)]
    if order.status == "reserved" and not complete(order_id, order, state.skus):
        return [_next_round(state, order_id)]
    return []


def _next_round(state: State, order_id: str) -> Event:
    """What is promised of the pending units now; plans for earlier rounds are void."""
    return promise(order_id, state.order, state.skus, state.order.round + 1)


def _moved_skus(skus: Skus, event: Moving, order: OrderPart) -> dict[str, SkuPart]:
    """The SKUs after an event of an order, `order` being the order after it."""
    by_sku: dict[str, list[Movement]] = {}
    for movement in event.movements:
        by_sku.setdefault(movement.sku, []).append(movement)
    since = None  # as the claims have it
    match event:
        case StockAllocated():
            pass
        case StockReserved() | StockBackordered():
            since = event.since.isoformat().replace("+00:00", "Z")
            for line in event.lines:
                by_sku.setdefault(line.sku, [])
        case StockReleased():
            for line in event.lines:
                by_sku.setdefault(line.sku, [])
        case _:  # at nodes alone: claims stay as they are
            return {**skus, **{sku: moved(skus.get(sku, EMPTY_SKU), by_sku[sku]) for sku in by_sku}}
    after, wanted, order_id = dict(skus), units(order.pending), event.order_id
    for sku, movements in by_sku.items():
        part = after.get(sku, EMPTY_SKU)
        after[sku] = asked(part, movements, order_id, wanted.get(sku, 0), since)
    return after


def _named_skus(body: Contract) -> Iterable[str]:
    """SKUs that an order's event names, heard or inventory's own."""
    match body:
        case OrderAccepted() | StockReserved():
            return [line.sku for line in body.lines]
        case OrderRouted() | StockAllocated():
            return [line.sku for node in body.nodes for line in node.lines]
        case ReturnReceived():
            return [unit.sku for unit in body.units]
        case StockIssued() | StockReturned():
            return [movement.sku for movement in body.movements]
        case StockReleased() | StockShorted():
            return [*(line.sku for line in body.lines), *(movement.sku for movement in body.movements)]
        case FulfillmentCancelled() | ShipmentDispatched() | PickShorted() | StockBackordered():
            return [line.sku for line in body.lines]
    return ()


def _frees(movement: Movement) -> bool:
    return movement.target == "on_hand" or movement.source == "reserved"
