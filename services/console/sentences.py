"""What an order's timeline says: one sentence an event, with numbers, for a person who knows no code."""

from collections.abc import Iterable
from functools import cache

from babel.numbers import get_currency_precision

from libs.events.backorders import BackorderRefused, why_refused
from libs.events.bundles import BundlesUnpacked
from libs.events.contract import Event
from libs.events.dates import BackorderDated
from libs.events.fulfillment import (
    CancellationDeclined,
    CarrierEventRecorded,
    FulfillmentCancelled,
    FulfillmentCompleted,
    FulfillmentReleased,
    PackConfirmed,
    PickConfirmed,
    PickShorted,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
    ShortLine,
)
from libs.events.intake import (
    ExceptionAssigned,
    ExceptionResolved,
    ExceptionSnoozed,
    HeldOrderCancelled,
    HoldReleased,
    OrderAccepted,
    OrderCancellationRequested,
    OrderClosed,
    OrderHeld,
    OrderRejected,
)
from libs.events.inventory import (
    AllocationFailed,
    ReservationBroken,
    Shortage,
    StockAllocated,
    StockBackordered,
    StockIssued,
    StockPegged,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShorted,
)
from libs.events.notifications import MessageFailed, MessageRequested, MessageSent, MessageSkipped
from libs.events.order import LineQuantity, OrderLine
from libs.events.places import Delivery
from libs.events.policy import BackorderLapsed
from libs.events.promise import PromiseConfirmed, PromiseMissed
from libs.events.refusal import CommandRefused
from libs.events.returns import (
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnedUnits,
    ReturnReceived,
    ReturnWindowOpened,
    VoidRequested,
)
from libs.events.routing import OrderRouted, OrderUnroutable, RoutingHeld
from libs.events.set_aside import ReturnQuarantined
from libs.events.substitutes import SubstitutesSought
from services.console.change_sentences import change_sentence
from services.console.origin import STAGE_OF

Counted = LineQuantity | OrderLine | ShortLine | Shortage | ReturnedUnits


def sentence(event: Event) -> str:
    """What happened. Total: an event that is no part of an order's life gets its type in words."""
    told = _TELLERS[STAGE_OF.get(event.TYPE, "")](event) or change_sentence(event)
    return told or f"{_words(event.TYPE.rpartition('.')[2]).capitalize()}: {event.stream}."


def claim_sentence(event: StockPegged | ReservationBroken, order_id: str) -> str:
    """What a SKU's event means for one order that it names."""
    quantity = sum(claim.quantity for claim in event.claims if claim.order_id == order_id)
    if event.cause == "reallocated":
        way = (
            "to the order, from who is behind it" if isinstance(event, StockPegged) else "to who is before it"
        )
        return f"{_count(quantity, 'promised unit')} of {event.sku} given {way} in the queue."
    if isinstance(event, StockPegged):
        return f"{_count(quantity, 'unit')} of {event.sku} that arrived set aside for the order."
    why = "the units do not exist"
    if event.cause == "not_served":
        why = "no node that ships to where it goes has them any more"
    return f"The promise of {_count(quantity, 'unit')} of {event.sku} was broken: {why}."


def _of_intake(event: Event) -> str:
    match event:
        case OrderAccepted():
            return f"Accepted: {_order(event)}."
        case OrderHeld():
            holds = "; ".join(f"{hold.name} ({hold.message})" for hold in event.holds)
            return f"Held: {_order(event)}. {_count(len(event.holds), 'hold')}: {holds}"
        case OrderRejected():
            reasons = "; ".join(reason.message for reason in event.reasons)
            return f"Rejected order {event.external_id} from channel {event.channel}: {reasons}"
        case HoldReleased():
            left = f" {', '.join(event.remaining)} still block." if event.remaining else " None is left."
            return f"Hold {event.hold} released{_because(event.note)}.{left}"
        case OrderCancellationRequested():
            return f"Cancellation requested{_because(event.reason)}."
        case HeldOrderCancelled():
            return "Cancelled before it was accepted: nothing of it had been promised."
        case OrderClosed():
            return f"Closed as {_words(event.outcome)}{_because(event.reason)}."
        case ExceptionAssigned():
            return f"{_item(event.item)} {f'taken by {event.assignee}' if event.assignee else 'given back'}."
        case ExceptionSnoozed():
            return f"{_item(event.item)} put off until {event.until:%Y-%m-%d %H:%M %Z}: {event.why}"
        case ExceptionResolved():
            return f"{_item(event.item)} resolved: {event.note}"
        case _:
            return ""


def _item(name: str) -> str:
    kind, _, which = name.partition("/")
    return f"Exception {_words(kind)}{f' ({which})' if which else ''}"


def _of_refusal(event: Event) -> str:
    assert isinstance(event, CommandRefused), f"{event.TYPE} is no stage's event"
    name = _words(event.command_type.rpartition(".")[2])
    return f"Refused to {name}: {event.message} {event.next_step}".rstrip()


def _of_inventory(event: Event) -> str:
    match event:
        case SubstitutesSought():
            return f"Not all is there; looks for {', '.join(event.candidates[:5])} in place of it."
        case BundlesUnpacked() if event.bundles[0].substituted:
            pairs = ", ".join(
                f"{line.quantity} of {line.sku} by {line.parts[0].sku}" for line in event.bundles[:5]
            )
            more = f" and {len(event.bundles) - 5} more lines" if len(event.bundles) > 5 else ""
            return f"Replaced {pairs}{more}: not all of it was there."
        case BundlesUnpacked():
            bundles = ", ".join(f"{line.quantity} of {line.sku}" for line in event.bundles[:5])
            more = f" and {len(event.bundles) - 5} more lines" if len(event.bundles) > 5 else ""
            return f"Unpacked {bundles}{more} into {_units(p for line in event.bundles for p in line.parts)}."
        case StockReserved():
            later = f"; {_units(event.later)} wait for stock" if event.later else ""
            return f"Reserved {_units(event.lines)}{_round(event.round)}{later}."
        case StockBackordered():
            short = ", ".join(f"{item.quantity} of {item.sku}" for item in event.short[:5])
            more = f" and {len(event.short) - 5} more SKUs" if len(event.short) > 5 else ""
            return f"Backordered{_round(event.round)}: waits for {short}{more}."
        case BackorderRefused():
            return f"Refused {_units(event.lines)}. {why_refused(event)}"
        case BackorderLapsed():
            return f"Waited {_count(event.wait_days, 'day')} in vain: gives up {_units(event.lines)}."
        case StockAllocated():
            places = ", ".join(f"{_units(plan.lines)} at {plan.node}" for plan in event.nodes)
            return f"Allocated {places}."
        case AllocationFailed():
            return f"Allocation failed: {_units(event.short)} taken by others; routing decides again."
        case StockReleased():
            freed = sum(m.quantity for m in event.movements if m.source in ("reserved", "allocated"))
            return f"Released {_count(freed, 'unit')} of stock{_because(event.reason)}."
        case StockIssued():
            issued = sum(move.quantity for move in event.movements)
            return f"Issued {_count(issued, 'unit')} of stock with shipment {event.shipment_id}."
        case StockShorted():
            return f"Took {_units(event.lines)} that the pick lacks out of stock; they are sourced again."
        case StockReturned():
            back = sum(move.quantity for move in event.movements if move.target == "on_hand")
            scrapped = sum(move.quantity for move in event.movements if move.target == "scrapped")
            told = f"Booked {_count(back, 'returned unit')} of {event.rma_id} into stock"
            return f"{told}, {scrapped:,} scrapped." if scrapped else f"{told}."
        case ReturnQuarantined():
            back = sum(move.quantity for move in event.movements if move.target == "quarantine")
            return f"Set {_count(back, 'returned unit')} of {event.rma_id} aside, to be looked at."
        case PromiseConfirmed():
            taken = sum(move.quantity for move in event.movements)
            what = f"Took over {_count(taken, 'unit')} that were held as promise {event.promise_id}."
            if event.waited:
                more_units = sum(one.quantity for one in event.waited)
                what += f" It waits in the basket's place for {_count(more_units, 'unit')} more."
            return what + _promised(event.delivery)
        case BackorderDated():
            lacking = ", ".join(f"{item.quantity} of {item.sku}" for item in event.skus[:5])
            more = f" and {len(event.skus) - 5} more SKUs" if len(event.skus) > 5 else ""
            if event.usable_at is None:
                before = f" ({event.told_before:%Y-%m-%d} was told before)" if event.told_before else ""
                return f"Nobody knows any more when {lacking}{more} will be there{before}."
            return f"{lacking}{more} will be there on {event.usable_at:%Y-%m-%d}.{_promised(event.promised)}"
        case PromiseMissed():
            why = _MISSED[event.cause]
            return f"The promise {event.promise_id} holds nothing for it: {why}; promised as any order is."
        case _:
            return ""


def _of_routing(event: Event) -> str:
    match event:
        case OrderRouted():
            nodes = ", ".join(f"{plan.node} ({_units(plan.lines)})" for plan in event.nodes)
            weighed = _count(len(event.candidates), "candidate")
            if (passed := event.reviewed) is not None:
                how = ("named" if passed.instead else "approved") + f" in review{_because(passed.reason)}"
                return f"Routed to {nodes}{_round(event.round)}, {how}.{_promised(event.promised)}"
            return f"Routed to {nodes}, of {weighed}{_round(event.round)}.{_promised(event.promised)}"
        case RoutingHeld():
            nodes = ", ".join(f"{plan.node} ({_units(plan.lines)})" for plan in event.nodes)
            why = " ".join(reason.message for reason in event.reasons)
            return f"Plan held for review{_round(event.round)}: {nodes}. {why}"
        case OrderUnroutable():
            reasons = "; ".join(reason.message for reason in event.reasons)
            return f"No node can ship {_units(event.lines)}: {reasons}"
        case _:
            return ""


def _of_fulfillment(event: Event) -> str:
    match event:
        case FulfillmentReleased():
            return f"Released {_units(event.lines)} to {event.node} as {event.fulfillment_order_id}."
        case PickConfirmed():
            return f"Picked {_units(event.lines)} at {event.node} for {event.fulfillment_order_id}."
        case PickShorted():
            why = ", ".join(sorted({_words(line.reason) for line in event.lines}))
            return f"Short pick at {event.node}: {_units(event.lines)} {why}."
        case PackConfirmed():
            grams = sum(package.weight_grams for package in event.packages)
            return f"Packed {_count(len(event.packages), 'parcel')} of {grams} g at {event.node}."
        case ShipmentDispatched():
            numbers = ", ".join(package.tracking_number for package in event.packages[:5])
            more = f" and {len(event.packages) - 5} more" if len(event.packages) > 5 else ""
            return f"Dispatched {_units(event.lines)} from {event.node} by {event.carrier}: {numbers}{more}."
        case CarrierEventRecorded():
            return f"Carrier: {event.shipment_id} {_words(event.status)}{_because(event.note)}."
        case ShipmentDelivered():
            return f"Delivered {_units(event.lines)} of {event.shipment_id}."
        case ShipmentLost():
            return f"Lost by the carrier: {_units(event.lines)} of {event.shipment_id}."
        case FulfillmentCancelled():
            why = "no node can ship them" if event.cause == "unroutable" else event.reason
            return f"Cancelled {_units(event.lines)} before dispatch{_because(why)}."
        case CancellationDeclined():
            return f"Cancellation declined{_because(event.reason)}."
        case FulfillmentCompleted():
            ended = {
                "delivered": event.delivered,
                "lost": event.lost,
                "unroutable": event.unroutable,
                "cancelled": event.cancelled,
            }
            parts = ", ".join(f"{_units(lines)} {name}" for name, lines in ended.items() if lines)
            return f"Nothing more is to come: {parts or 'no units'}."
        case _:
            return ""


def _of_message(event: Event) -> str:
    match event:
        case MessageRequested():
            return f"Message owed to the customer: {_words(event.milestone)}."
        case MessageSkipped():
            return f"No message about {_words(event.milestone)}: {event.reason}"
        case MessageSent():
            return f"Told the customer: {_words(event.milestone)}."
        case MessageFailed():
            return f"Could not tell the customer about {_words(event.milestone)}: {event.detail}"
        case _:
            return ""


def _of_return(event: Event) -> str:
    match event:
        case ReturnWindowOpened():
            return f"{_units(event.lines)} of {event.shipment_id} may be returned."
        case ReturnAuthorised():
            return f"Return {event.rma_id} authorised for {_units(event.lines)}."
        case ReturnReceived():
            became: dict[str, int] = {"restock": 0, "scrap": 0}
            for unit in event.units:
                became[unit.disposition] = became.get(unit.disposition, 0) + unit.quantity
            aside = f", {became['quarantine']} set aside" if "quarantine" in became else ""
            return (
                f"{_units(event.units)} of return {event.rma_id} received at {event.node}: "
                f"{became['restock']} restocked, {became['scrap']} scrapped{aside}."
            )
        case RefundRequested():
            return f"Refund of {money(event.amount_minor, event.currency)} requested: {event.cause}."
        case VoidRequested():
            return f"Void of {money(event.amount_minor, event.currency)} requested, which was never paid."
        case ReturnClosed():
            return f"Return {event.rma_id} closed."
        case _:
            return ""


def money(amount_minor: int, currency: str) -> str:
    """An amount for people, e.g. `-12.30 GBP`; as many decimals as ISO 4217 gives the currency."""
    digits = _precision(currency)
    whole, part = divmod(abs(amount_minor), 10**digits)
    decimals = f".{part:0{digits}d}" if digits else ""
    return f"{'-' if amount_minor < 0 else ''}{whole}{decimals} {currency}"


@cache
def _precision(currency: str) -> int:
    return get_currency_precision(currency)


def _order(event: OrderAccepted | OrderHeld) -> str:
    goods = sum(line.quantity * line.unit_price_minor for line in event.lines)
    total = money(goods + sum(charge.amount_minor for charge in event.charges), event.currency)
    lines = _count(len(event.lines), "line")
    return f"{lines}, {_units(event.lines)}, {total}, order {event.external_id} from channel {event.channel}"


def _promised(delivery: Delivery | None) -> str:
    """The date, where one was promised."""
    if delivery is None or delivery.deliver_by is None:
        return ""
    return f" Leaves by {delivery.ship_by}, delivered by {delivery.deliver_by}."


def _units(lines: Iterable[Counted]) -> str:
    return _count(sum(line.quantity for line in lines), "unit")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _round(number: int) -> str:
    return f" (round {number})" if number > 1 else ""


def _because(why: str) -> str:
    return f": {why.rstrip('.')}" if why else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


_MISSED = {
    "unknown": "no basket was held under this id",
    "expired": "it had expired",
    "released": "it had been given up",
    "used": "it was another order's",
}
_TELLERS = {
    "intake": _of_intake,
    "inventory": _of_inventory,
    "routing": _of_routing,
    "fulfillment": _of_fulfillment,
    "notifications": _of_message,
    "returns": _of_return,
    "": _of_refusal,
}
