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

from libs.events.amendments import AllocationOutdated, OrderAmended
from libs.events.availability import StockLow, StockRecovered
from libs.events.backorders import BackorderRefused
from libs.events.bundles import BundleCommand, BundleEvent, BundlesUnpacked
from libs.events.changes import AllocationDeclined, LinesCancelled
from libs.events.contract import Contract, Event
from libs.events.dates import BackorderDated, NodeDaysFull
from libs.events.envelope import Envelope
from libs.events.feed_maps import FeedSkuEvent, MapFeedSku, TellStock
from libs.events.fulfillment import FulfillmentCancelled, PickShorted, ShipmentDispatched
from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    AdjustStock,
    AllocationFailed,
    ReceiveStock,
    ReservationBroken,
    StockPegged,
    StockReceived,
)
from libs.events.lots import LotsLimited
from libs.events.policy import (
    POLICIES_STREAM,
    BackorderLapsed,
    BackordersCalled,
    DefineReservationPolicies,
    ReservationPoliciesDefined,
)
from libs.events.promise import (
    DefinePromiseTerms,
    HoldsBroken,
    HoldsFilled,
    HoldStock,
    PromiseTermsDefined,
    ReleasePromise,
    promise_stream,
)
from libs.events.reach import NodeSwitched, ReachChanged
from libs.events.record import record
from libs.events.returns import ReturnReceived
from libs.events.routing import NODES_STREAM, NodeDefined, OrderRouted, TransitDefined
from libs.events.substitutes import (
    DefineSubstitutes,
    SubstitutesDefined,
    SubstitutesSought,
)
from libs.events.supply import RULES_STREAM, RulesCommand, RulesEvent
from libs.events.timer import Timer, TimerDue
from services.inventory import (
    anew,
    bundle_plans,
    bundles,
    capacity,
    feed_maps,
    holding,
    holds,
    kits,
    outside,
    pegging,
    progress,
    reach,
    remembering,
    reminders,
    serials,
    shelf,
    substitutes,
)
from services.inventory.acceptance import accept
from services.inventory.allocate import covers
from services.inventory.desk import Desk
from services.inventory.feed_skus import FEED_STREAM, NO_FEED_SKU, FeedSku
from services.inventory.hears import FOLDED, Heard
from services.inventory.holds import NEW_PROMISE, PromisePart
from services.inventory.ledger import Placed
from services.inventory.loads import LOAD_STREAM, NO_LOAD, LoadPart, loaded
from services.inventory.order import NEW_ORDER, Moving, OrderPart, evolve_order
from services.inventory.places import CONFIGURED, NO_PLACES, PlacesPart, evolve_places
from services.inventory.policies import (
    NO_POLICIES,
    POLICIES,
    PoliciesPart,
    decide_policies,
    evolve_policies,
)
from services.inventory.reads import streams
from services.inventory.reserve import define_terms
from services.inventory.returned import take_back
from services.inventory.rules import NO_RULES, RulesPart, decide_rules, evolve_rules
from services.inventory.serials import NAMES, NO_SERIAL, SERIAL_STREAM, SerialPart, evolve_serials
from services.inventory.stock import EMPTY_SKU, HOLDER, SkuPart, evolve_sku
from services.inventory.supplies import NO_SUPPLY, SUPPLY_STREAM, SupplyPart, evolve_supply, evolve_told
from services.inventory.touched import SKU_STREAM, moved_skus
from services.inventory.trust import trust_after

_CONFIGURED = CONFIGURED | POLICIES
_SKU_AT = len(SKU_STREAM)

Part = (
    OrderPart
    | SkuPart
    | PromisePart
    | SupplyPart
    | RulesPart
    | PoliciesPart
    | PlacesPart
    | SerialPart
    | LoadPart
    | FeedSku
)


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
    policies: PoliciesPart | None = None
    """Where the input is an accepted order, or about them."""
    places: PlacesPart | None = None
    numbers: dict[str, SerialPart] = field(default_factory=dict)
    """By SKU/number, of the units whose serial numbers the input names."""
    loads: Mapping[str, LoadPart] = field(default_factory=dict)
    """Of nodes that state a capacity, by node."""
    feed_sku: FeedSku | None = None
    """The SKU of theirs that the input is about."""


INITIAL = State()


def empty(stream: str) -> Part:
    """What is known of a stream before its first event."""
    if stream.startswith(SKU_STREAM):
        return EMPTY_SKU
    if stream.startswith(SUPPLY_STREAM):
        return NO_SUPPLY
    if stream.startswith(SERIAL_STREAM):
        return NO_SERIAL
    if stream.startswith(FEED_STREAM):
        return NO_FEED_SKU
    if stream == RULES_STREAM:
        return NO_RULES
    if stream.startswith(LOAD_STREAM):
        return NO_LOAD
    if stream == POLICIES_STREAM:
        return NO_POLICIES
    if stream == NODES_STREAM:
        return NO_PLACES
    return NEW_PROMISE if stream.startswith(HOLDER) else NEW_ORDER


def more_streams(heard: Envelope[Contract], home: Part) -> tuple[str, ...]:
    """Streams of the SKUs that an order's input may move: those it names, and the order's own."""
    body = heard.body
    if type(body) in NAMES:
        early = home.early_returns if isinstance(home, OrderPart) else ()
        return (*streams(body, home), *serials.streams(body, early))
    return streams(body, home)


def compose(home: str, parts: Mapping[str, Part]) -> State:
    order, promised, rules, policies, places, feed_sku = NEW_ORDER, None, None, None, None, None
    skus: dict[str, SkuPart] = {}
    supplies: dict[str, SupplyPart] = {}
    numbers, loads = cast(dict[str, SerialPart], {}), cast(dict[str, LoadPart], {})
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
        elif isinstance(part, PoliciesPart):
            policies = part
        elif isinstance(part, RulesPart):
            rules = part
        elif isinstance(part, SerialPart):
            numbers[stream.removeprefix(SERIAL_STREAM)] = part
        elif isinstance(part, LoadPart):
            loads[stream.removeprefix(LOAD_STREAM)] = part
        elif isinstance(part, FeedSku):
            feed_sku = part
        else:
            places = part
    return State(home, order, skus, promised, supplies, rules, policies, places, numbers, loads, feed_sku)


def decompose(state: State) -> Mapping[str, Part]:
    parts: dict[str, Part] = {SKU_STREAM + sku: part for sku, part in state.skus.items()}
    if state.supplies:
        parts |= {SUPPLY_STREAM + sku: part for sku, part in state.supplies.items()}
    if state.numbers:
        parts |= {SERIAL_STREAM + key: part for key, part in state.numbers.items()}
    if state.loads:
        parts |= {LOAD_STREAM + node: part for node, part in state.loads.items()}
    if state.feed_sku is not None:
        parts[state.home] = state.feed_sku
    if state.rules is not None:
        parts[RULES_STREAM] = state.rules
    if state.policies is not None:
        parts[POLICIES_STREAM] = state.policies
    if state.places is not None:
        parts[NODES_STREAM] = state.places
    if "/" not in state.home and state.home not in _CONFIGURED:
        parts[state.home] = state.order
    if state.promise is not None:
        parts[state.promise[0]] = state.promise[1]
    return parts


def evolve(state: State, event: Event) -> State:
    """The state after one event, inventory's own or heard."""
    if type(event) not in FOLDED:
        return state
    after = _evolve(state, event)
    if after is state or not state.numbers:
        return after
    return replace(after, numbers=evolve_serials(state.numbers, event))


def _evolve(state: State, event: Event) -> State:
    match event:
        case _ if isinstance(event, Moving):
            order = evolve_order(state.order, event)
            skus, supplies = moved_skus(state.skus, event, order), state.supplies
            if supplies:
                supplies = {sku: evolve_supply(part, sku, event) for sku, part in supplies.items()}
            loads = state.loads
            if type(event) in capacity.TELLS:
                loads = loaded(loads, cast(capacity.Loading, event).loads)
            home = state.home or event.stream
            numbers, policies, places = state.numbers, state.policies, state.places
            return State(home, order, skus, state.promise, supplies, None, policies, places, numbers, loads)
        case (
            StockReceived()
            | StockPegged()
            | ReservationBroken()
            | HoldsBroken()
            | HoldsFilled()
            | PromiseTermsDefined()
            | StockLow()
            | StockRecovered()
            | LotsLimited()
            | ReachChanged()
        ):
            part = trust_after(evolve_sku(state.skus.get(event.sku, EMPTY_SKU), event), event)
            return replace(state, home=state.home or event.stream, skus={**state.skus, event.sku: part})
        case (
            AllocationFailed() | BackorderRefused() | BackorderLapsed() | BundlesUnpacked() | BackorderDated()
        ):
            order = evolve_order(state.order, event)
            return replace(state, home=state.home or event.stream, order=order)
        case BundleEvent():
            return replace(state, home=event.stream, skus=bundles.evolve_skus(state.skus, event))
        case ReturnReceived():
            if not state.order.early_returns and covers(state.order, event):
                return state
            early = (*state.order.early_returns, event)
            return replace(state, order=replace(state.order, early_returns=early))
        case OrderAmended():
            order = anew.amend(state.order, event)
            return state if order is state.order else replace(state, home=event.stream, order=order)
        case NodeDefined() | TransitDefined() | NodeDaysFull() | NodeSwitched():
            known = state.places or NO_PLACES
            places = evolve_places(known, event)
            return state if places is known else State(home=NODES_STREAM, places=places, loads=state.loads)
        case RulesEvent():
            return State(home=RULES_STREAM, rules=evolve_rules(state.rules or NO_RULES, event))
        case FeedSkuEvent():
            feed_sku, supplies = feed_maps.evolve(state.feed_sku, state.supplies, event)
            return replace(state, home=event.stream, feed_sku=feed_sku, supplies=supplies)
        case SubstitutesDefined():
            part = substitutes.evolve(state.skus.get(event.sku, EMPTY_SKU), event)
            return replace(state, home=state.home or event.stream, skus={**state.skus, event.sku: part})
        case SubstitutesSought():
            order = substitutes.evolve_order(event, state.order)
            return replace(state, home=state.home or event.stream, order=order)
        case BackordersCalled():
            return replace(state, home=state.home or event.stream)
        case ReservationPoliciesDefined():
            return State(home=POLICIES_STREAM, policies=evolve_policies(event))
        case _ if isinstance(event, Placed):
            held = holds.evolve_promise(_held(state), event)
            skus = holds.evolve_skus(state.skus, event)
            return replace(state, skus=skus, promise=(promise_stream(event.promise_id), held))
        case _:
            skus, supplies = evolve_told(state.skus, state.supplies, event)
            return replace(state, home=event.stream, skus=skus, supplies=supplies)


def decide(state: State, heard: Envelope[Contract], at: datetime) -> list[Event]:
    """The events that answer one input."""
    body = cast(Heard, heard.body)
    match body:
        case OrderAccepted():
            policies = state.policies or NO_POLICIES
            return accept(state.order, state.skus, _basket(state), policies, body, at)
        case OrderRouted():
            return capacity.booked(progress.route(state.order, state.skus, body, at), body, state.loads)
        case ReceiveStock():
            return shelf.take_in(_desk(state, heard, at), body)
        case AdjustStock():
            return shelf.correct(_desk(state, heard, at), body)
        case FulfillmentCancelled():
            return capacity.given_back(progress.cancel(state.order, state.skus, body), state.order)
        case LinesCancelled() | AllocationDeclined():
            return capacity.given_back(progress.give_back(state.order, state.skus, body), state.order)
        case OrderAmended() | AllocationOutdated():
            return capacity.given_back(anew.answer(state, body, at), state.order)
        case ShipmentDispatched():
            return progress.dispatch(state.order, state.skus, body, state.numbers)
        case PickShorted():
            return progress.short(state.order, state.skus, body, state.numbers)
        case ReturnReceived():
            if state.order.early_returns:
                return []  # answered with the shipment that it returns
            return [*take_back(state.order, state.skus, body, state.numbers)]
        case TimerDue():
            if body.name in pegging.REMINDERS:
                places = state.places or NO_PLACES
                waits = _basket(state) or state.order
                return pegging.look_again(body, waits, state.skus, state.supplies, places, at)
            if body.name == bundles.PLANNED:
                return bundle_plans.take_effect(_desk(state, heard, at), state.skus)
            if body.name == capacity.LOOK:
                return capacity.look(state.places or NO_PLACES, state.loads, at)
            if body.name in outside.REMINDERS:
                return outside.look_again(_desk(state, heard, at), body.name)
            return remembering.remember(body, state.order, state.skus, state.places, _basket(state))
        case HoldStock():
            places = state.places or NO_PLACES
            return holding.answer_hold(_held(state), state.skus, heard, body, at, places, state.policies)
        case DefinePromiseTerms():
            return define_terms(state.skus.get(body.sku, EMPTY_SKU), heard, body, at, state.rules)
        case ReleasePromise():
            return holds.answer_release(_held(state), state.skus, heard, body)
        case DefineReservationPolicies():
            return decide_policies(state.policies or NO_POLICIES, heard, body)
        case DefineSubstitutes():
            return substitutes.define(state.skus.get(body.sku, EMPTY_SKU), heard, body)
        case BundleCommand():
            return kits.answer(_desk(state, heard, at), state.skus, body)
        case NodeDefined():
            places = state.places or NO_PLACES
            return [*reach.switched(places), *capacity.look(places, state.loads, at)]
        case TransitDefined():
            return []
        case RulesCommand():
            return decide_rules(state.rules or NO_RULES, heard, body)
        case MapFeedSku() | TellStock():
            return feed_maps.answer(state.feed_sku, heard, at, state.skus, state.supplies, state.rules)
        case _:
            return outside.answer(_desk(state, heard, at), body)


def timers(event: Event, at: datetime) -> list[Timer]:
    """Reminders to other streams, and to look again later."""
    return reminders.timers(event, at)


def _desk(state: State, heard: Envelope[Contract], at: datetime) -> Desk:
    """What an input about a SKU's supply is decided on."""
    sku = heard.stream.removeprefix(SKU_STREAM)
    stock, supply = state.skus.get(sku, EMPTY_SKU), state.supplies.get(sku, NO_SUPPLY)
    return Desk(heard, at, sku, stock, supply, state.rules or NO_RULES, state.numbers, state.places)


def _basket(state: State) -> PromisePart | None:
    """The held promise that an order's input names, if it names one."""
    return None if state.promise is None else state.promise[1]


def _held(state: State) -> PromisePart:
    """The held promise that the input is about."""
    assert state.promise is not None, f"{state.home} was given no promise"
    return state.promise[1]
