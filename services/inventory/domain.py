"""What inventory decides: to whom stock is promised, where it is claimed, and when it is free again.

For routing, which chooses nodes from the figures of a promise; for fulfillment, which works on
allocations; and for everybody who asks what exists. An order's stream holds what the order needs, a stream
`sku/…` what exists of a SKU and who waits for it. An order's event moves the stock of its SKUs, whose parts
are locked with it; a SKU's event never meets an order, so it leaves a timer `claims` with each order that it
concerns, and an order's event that frees units leaves a timer `free` with each of its SKUs. Facts from
outside are told of a SKU (`outside`), and need its stream `supply/…` and the tenant's rules too.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import cast

from libs.events.availability import StockLow, StockRecovered
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDispatched
from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    INVENTORY_EVENTS,
    AdjustStock,
    AllocationFailed,
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
from libs.events.outside import OUTSIDE_EVENTS
from libs.events.promise import (
    PROMISE_EVENTS,
    DefinePromiseTerms,
    HoldsBroken,
    HoldStock,
    PromiseConfirmed,
    PromiseMissed,
    PromiseTermsDefined,
    ReleasePromise,
    promise_stream,
)
from libs.events.record import record
from libs.events.returns import ReturnReceived
from libs.events.routing import OrderRouted
from libs.events.supply import RULES_STREAM, RulesCommand, RulesEvent
from libs.events.timer import Timer, TimerDue
from services.inventory import holds, outside, shelf
from services.inventory.allocate import allocate, covers, issue, release, take_back, write_short
from services.inventory.desk import Desk
from services.inventory.holds import NEW_PROMISE, PromisePart
from services.inventory.ledger import Placed
from services.inventory.lot_states import evolve_lots
from services.inventory.order import NEW_ORDER, OrderPart, as_ordered, evolve_order, units
from services.inventory.reserve import complete, define_terms, promise
from services.inventory.rules import NO_RULES, RulesInput, RulesPart, decide_rules, evolve_rules
from services.inventory.stock import (
    EMPTY_SKU,
    HOLDER,
    SkuPart,
    evolve_sku,
    moved,
    peg,
)
from services.inventory.supplies import NO_SUPPLY, SUPPLY_STREAM, SupplyPart, evolve_supply
from services.inventory.terms import LEVEL, look_at_level
from services.inventory.touched import freed, moved_skus, named_skus

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
    | HoldStock
    | ReleasePromise
    | DefinePromiseTerms
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
_FOLDED = frozenset(
    {*INVENTORY_EVENTS, *PROMISE_EVENTS, *OUTSIDE_EVENTS, StockLow, StockRecovered, ReturnReceived}
)
"""What `evolve` folds; most of what is heard tells nothing that is not in the event that answers it."""
_REMINDS: frozenset[type[Event]] = frozenset(
    {StockPegged, ReservationBroken, StockReleased, StockReturned, *PROMISE_EVENTS, *outside.REMINDS}
)
_MAY_NAME_A_PROMISE = frozenset({OrderAccepted, PromiseConfirmed, PromiseMissed})
SKU_STREAM, _SKU_AT = "sku/", len("sku/")

Part = OrderPart | SkuPart | PromisePart | SupplyPart | RulesPart


@record
class State:
    """The parts that one input needs: its home stream's, and those of the SKUs it moves."""

    home: str = ""
    order: OrderPart = NEW_ORDER
    skus: dict[str, SkuPart] = field(default_factory=dict)
    promise: tuple[str, PromisePart] | None = None
    """The held promise that the input is about, or that its order names, and its stream."""
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
    if stream == RULES_STREAM:
        return NO_RULES
    return NEW_PROMISE if stream.startswith(HOLDER) else NEW_ORDER


def more_streams(heard: Envelope[Contract], home: Part) -> tuple[str, ...]:
    """Streams of the SKUs that an order's input may move: those it names, and the order's own."""
    body = heard.body
    if isinstance(home, SkuPart | RulesPart | SupplyPart):
        return outside.streams(body) if isinstance(home, SkuPart) else ()
    more = home.units if isinstance(home, PromisePart) else home.skus
    named = tuple([SKU_STREAM + sku for sku in dict.fromkeys((*named_skus(body), *more))])
    if type(body) in _MAY_NAME_A_PROMISE:
        promise_id = cast(OrderAccepted, body).promise_id
        return named if promise_id is None else (*named, promise_stream(promise_id))
    if isinstance(body, PickShorted | StockShorted):
        return (*named, *outside.streams_of_short_pick(body))
    return named


def compose(home: str, parts: Mapping[str, Part]) -> State:
    order, skus, promised = NEW_ORDER, dict[str, SkuPart](), None
    supplies, rules = dict[str, SupplyPart](), None
    for stream, part in parts.items():
        if isinstance(part, SkuPart):
            skus[stream[_SKU_AT:]] = part
        elif isinstance(part, PromisePart):
            promised = (stream, part)
        elif isinstance(part, OrderPart):
            assert stream == home, f"a decision of {home} was given the order {stream}"
            order = part
        elif isinstance(part, SupplyPart):
            supplies[stream.removeprefix(SUPPLY_STREAM)] = part
        else:
            rules = part
    return State(home, order, skus, promised, supplies, rules)


def decompose(state: State) -> Mapping[str, Part]:
    parts: dict[str, Part] = {SKU_STREAM + sku: part for sku, part in state.skus.items()}
    if state.supplies:
        parts |= {SUPPLY_STREAM + sku: part for sku, part in state.supplies.items()}
    if state.rules is not None:
        parts[RULES_STREAM] = state.rules
    if "/" not in state.home and state.home != RULES_STREAM:
        parts[state.home] = state.order
    if state.promise is not None:
        parts[state.promise[0]] = state.promise[1]
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
            order = evolve_order(state.order, event)
            skus, supplies = moved_skus(state.skus, event, order), state.supplies
            if supplies:
                supplies = {sku: evolve_supply(part, sku, event) for sku, part in supplies.items()}
            return State(state.home or event.stream, order, skus, state.promise, supplies)
        case (
            StockReceived()
            | StockAdjusted()
            | StockPegged()
            | ReservationBroken()
            | HoldsBroken()
            | PromiseTermsDefined()
            | StockLow()
            | StockRecovered()
        ):
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
        case _ if isinstance(event, Placed):
            held = holds.evolve_promise(_held(state), event)
            skus = holds.evolve_skus(state.skus, event)
            return replace(state, skus=skus, promise=(promise_stream(event.promise_id), held))
        case _:
            return _told(state, event)


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    """The events that answer one input."""
    body = cast(Heard, heard.body)
    match body:
        case OrderAccepted():
            return _accept(state, body, at)
        case OrderRouted():
            return _route(state, body, at)
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
        case HoldStock():
            return holds.answer_hold(_held(state), state.skus, heard, body, at)
        case DefinePromiseTerms():
            return define_terms(state.skus.get(body.sku, EMPTY_SKU), heard, body)
        case ReleasePromise():
            return holds.answer_release(_held(state), state.skus, heard, body)
        case RulesCommand():
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
            return [Timer(SKU_STREAM + sku, name, at) for sku, name in freed(event.movements).items()]
        case _ if type(event) in outside.REMINDS:
            return list(outside.timers(event, at))
        case _:
            return holds.timers(event, at)


def _told(state: State, event: Event) -> State:
    """The state after an event about a SKU's supply."""
    sku = event.stream.removeprefix(SKU_STREAM)
    part = evolve_lots(moved(state.skus.get(sku, EMPTY_SKU), getattr(event, "movements", ())), event)
    supply = evolve_supply(state.supplies.get(sku, NO_SUPPLY), sku, event)
    skus, supplies = {**state.skus, sku: part}, {**state.supplies, sku: supply}
    return replace(state, home=state.home or event.stream, skus=skus, supplies=supplies)


def _desk(state: State, heard: Envelope[Contract], at: datetime) -> Desk:
    """What an input about a SKU's supply is decided on."""
    sku = heard.stream.removeprefix(SKU_STREAM)
    stock, supply = state.skus.get(sku, EMPTY_SKU), state.supplies.get(sku, NO_SUPPLY)
    return Desk(heard, at, sku, stock, supply, state.rules or NO_RULES)


def _accept(state: State, accepted: OrderAccepted, at: datetime) -> list[Event]:
    if state.order.status != "new":
        return []  # a repeat, or cancelled before it was heard of
    lines = as_ordered(accepted)
    order = OrderPart(
        pending=lines,
        since=at,
        destination=accepted.destination,
        contact=accepted.contact,
        channel=accepted.channel,
    )
    if accepted.promise_id is None:
        return [promise(accepted.order_id, order, state.skus, 1)]
    wanted = units(lines)
    found = holds.confirm(accepted.order_id, wanted, accepted.promise_id, _held(state), state.skus)
    return [found, promise(accepted.order_id, order, evolve(state, found).skus, 1)]


def _route(state: State, routed: OrderRouted, at: datetime) -> list[Event]:
    order = state.order
    if order.status != "reserved" or routed.round != order.round:
        return []  # a repeat, or a plan that something has overtaken
    if not complete(routed.order_id, order, state.skus):
        return [
            _next_round(state, routed.order_id)
        ]  # broken; its timer is on the way and will find it waiting
    return [allocate(routed.order_id, order, state.skus, routed, at)]


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


def _held(state: State) -> PromisePart:
    """The held promise that the input is about."""
    assert state.promise is not None, f"{state.home} was given no promise"
    return state.promise[1]


def _remember(state: State, due: TimerDue) -> list[Event]:
    """Look after claims that changed in a SKU's lane, or units that became free in an order's."""
    if due.name in ("free", LEVEL):
        sku = due.stream.removeprefix(SKU_STREAM)
        part = state.skus.get(sku, EMPTY_SKU)
        return peg(sku, part) if due.name == "free" else look_at_level(sku, part.terms, part.free)
    if due.stream.startswith(HOLDER):
        answer = holds.expire if due.name == "expire" else holds.settle
        return answer(due.stream.removeprefix(HOLDER), _held(state), state.skus)
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
