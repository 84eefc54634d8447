"""What inventory decides: to whom stock is promised, where it is claimed, and when it is free again.

For routing, which chooses nodes from the figures of a promise; for fulfillment, which works on
allocations; and for everybody who asks what exists. An order's stream holds what the order needs, a stream
`sku/…` what exists of a SKU and who waits for it. An order's event moves the stock of its SKUs, whose parts
are locked with it; a SKU's event never meets an order, so it leaves a timer `claims` with each order that it
concerns, and an order's event that frees units leaves a timer `free` with each of its SKUs.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import assert_never, cast

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
from libs.events.refusal import CommandRefused
from libs.events.returns import ReturnReceived
from libs.events.routing import OrderRouted
from libs.events.timer import Timer, TimerDue
from services.inventory import holds
from services.inventory.allocate import allocate, covers, issue, release, take_back, write_short
from services.inventory.holds import NEW_PROMISE, PromisePart
from services.inventory.ledger import Placed
from services.inventory.order import NEW_ORDER, OrderPart, as_ordered, evolve_order, units
from services.inventory.refuse import refused
from services.inventory.reserve import complete, define_terms, promise
from services.inventory.stock import (
    EMPTY_SKU,
    HOLDER,
    MOST_UNITS,
    SkuPart,
    adjust,
    evolve_sku,
    peg,
    receive,
    take_back_promises,
)
from services.inventory.touched import frees, moved_skus, named_skus

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
)
_FOLDED = frozenset({*INVENTORY_EVENTS, *PROMISE_EVENTS, ReturnReceived})
"""What `evolve` folds; most of what is heard tells nothing that is not in the event that answers it."""
_REMINDS = frozenset({StockPegged, ReservationBroken, StockReleased, StockReturned, *PROMISE_EVENTS})
_MAY_NAME_A_PROMISE = frozenset({OrderAccepted, PromiseConfirmed, PromiseMissed})
SKU_STREAM, _SKU_AT = "sku/", len("sku/")

Part = OrderPart | SkuPart | PromisePart


@record
class State:
    """The parts that one input needs: its home stream's, and those of the SKUs it moves."""

    home: str = ""
    order: OrderPart = NEW_ORDER
    skus: dict[str, SkuPart] = field(default_factory=dict)
    promise: tuple[str, PromisePart] | None = None
    """The held promise that the input is about, or that its order names, and its stream."""


INITIAL = State()


def empty(stream: str) -> Part:
    """What is known of a stream before its first event."""
    if stream.startswith(SKU_STREAM):
        return EMPTY_SKU
    return NEW_PROMISE if stream.startswith(HOLDER) else NEW_ORDER


def more_streams(heard: Envelope[Contract], home: Part) -> tuple[str, ...]:
    """Streams of the SKUs that an order's input may move: those it names, and the order's own."""
    if isinstance(home, SkuPart):
        return ()
    body = heard.body
    more = home.units if isinstance(home, PromisePart) else home.skus
    named = tuple([SKU_STREAM + sku for sku in dict.fromkeys((*named_skus(body), *more))])
    if type(body) in _MAY_NAME_A_PROMISE:
        promise_id = cast(OrderAccepted, body).promise_id
        return named if promise_id is None else (*named, promise_stream(promise_id))
    return named


def compose(home: str, parts: Mapping[str, Part]) -> State:
    order, skus, promised = NEW_ORDER, dict[str, SkuPart](), None
    for stream, part in parts.items():
        if isinstance(part, SkuPart):
            skus[stream[_SKU_AT:]] = part
        elif isinstance(part, PromisePart):
            promised = (stream, part)
        else:
            assert stream == home, f"a decision of {home} was given the order {stream}"
            order = part
    return State(home, order, skus, promised)


def decompose(state: State) -> Mapping[str, Part]:
    parts: dict[str, Part] = {SKU_STREAM + sku: part for sku, part in state.skus.items()}
    if "/" not in state.home:
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
            skus = moved_skus(state.skus, event, order)
            return State(state.home or event.stream, order, skus, state.promise)
        case (
            StockReceived()
            | StockAdjusted()
            | StockPegged()
            | ReservationBroken()
            | HoldsBroken()
            | PromiseTermsDefined()
        ):
            part = evolve_sku(state.skus.get(event.sku, EMPTY_SKU), event)
            return State(state.home or event.stream, state.order, {**state.skus, event.sku: part})
        case AllocationFailed():
            return replace(state, order=evolve_order(state.order, event))
        case ReturnReceived():
            if not state.order.early_returns and covers(state.order, event):
                return state
            early = (*state.order.early_returns, event)
            return replace(state, order=replace(state.order, early_returns=early))
        case _ if isinstance(event, Placed):
            held = holds.evolve_promise(_held(state), event)
            skus = holds.evolve_skus(state.skus, event)
            return replace(state, skus=skus, promise=(promise_stream(event.promise_id), held))
        case _:
            return state


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    """The events that answer one input."""
    body = cast(Heard, heard.body)
    match body:
        case OrderAccepted():
            return _accept(state, body, at)
        case OrderRouted():
            return _route(state, body)
        case ReceiveStock():
            return _receive(state, heard, body)
        case AdjustStock():
            return _adjust(state, heard, body)
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
            return _remember(state, body)
        case HoldStock():
            return holds.answer_hold(_held(state), state.skus, heard, body, at)
        case DefinePromiseTerms():
            return define_terms(state.skus.get(body.sku, EMPTY_SKU), heard, body)
        case ReleasePromise():
            return holds.answer_release(_held(state), state.skus, heard, body)
        case _:
            assert_never(body)


def timers(event: Event, at: datetime) -> list[Timer]:
    """Reminders to other streams, due at once: orders whose claims changed, SKUs that have free units."""
    if type(event) not in _REMINDS:
        return []
    match event:
        case StockPegged() | ReservationBroken():
            return [Timer(claim.order_id, "claims", at) for claim in event.claims]
        case StockReleased() | StockReturned():
            skus = dict.fromkeys(movement.sku for movement in event.movements if frees(movement))
            return [Timer(SKU_STREAM + sku, "free", at) for sku in skus]
        case _:
            return holds.timers(event, at)


def _receive(state: State, heard: Envelope[Contract], command: ReceiveStock) -> list[Event]:
    part = state.skus.get(command.sku, EMPTY_SKU)
    if too_many := _too_many(part, heard, command, command.quantity):
        return [too_many]
    received = receive(part, command)
    return [received, *peg(command.sku, evolve_sku(part, received))]


def _adjust(state: State, heard: Envelope[Contract], command: AdjustStock) -> list[Event]:
    sku, part = command.sku, state.skus.get(command.sku, EMPTY_SKU)
    there = part.on_hand.get(command.node, 0)
    if not command.delta:
        return [
            refused(
                heard,
                "no_change",
                f"An adjustment of {sku} at {command.node} by 0 units changes nothing.",
                "Send how many units were found (+) or are gone (-).",
            )
        ]
    if too_many := _too_many(part, heard, command, command.delta):
        return [too_many]
    if there + command.delta < 0:
        return [
            refused(
                heard,
                "not_on_hand",
                f"{-command.delta} units of {sku} cannot be taken out at {command.node}: {there} are on hand "
                f"there without an order, {part.allocated.get(command.node, 0)} are allocated to orders.",
                f"Take out at most {there} units. Let the pick of an allocated unit come up short, "
                "or cancel its order.",
            )
        ]
    before = list[Event]()
    if command.delta + part.free < 0:
        before, part = take_back_promises(sku, part, -(command.delta + part.free))
    adjusted = adjust(part, command)
    return [*before, adjusted, *peg(sku, evolve_sku(part, adjusted))]


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


def _held(state: State) -> PromisePart:
    """The held promise that the input is about."""
    assert state.promise is not None, f"{state.home} was given no promise"
    return state.promise[1]


def _remember(state: State, due: TimerDue) -> list[Event]:
    """Look after claims that changed in a SKU's lane, or units that became free in an order's."""
    if due.name == "free":
        sku = due.stream.removeprefix(SKU_STREAM)
        return peg(sku, state.skus.get(sku, EMPTY_SKU))
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


def _too_many(
    part: SkuPart, heard: Envelope[Contract], command: ReceiveStock | AdjustStock, more: int
) -> CommandRefused | None:
    """A refusal when the house would hold more units of the SKU than anybody has."""
    held = sum(part.on_hand.values()) + sum(part.allocated.values())
    if more <= 0 or held + more <= MOST_UNITS:
        return None
    return refused(
        heard,
        "too_many_units",
        f"{more} more units of {command.sku} at {command.node} would make {held + more} in all; "
        f"at most {MOST_UNITS} are kept of a SKU.",
        "Check the quantity and its unit.",
    )
