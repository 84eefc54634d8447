"""Held promises: a basket's units set aside at checkout, for the order that will name them.

For shops, which would rather tell a customer "sold out" before the payment than after it. A held promise is
resolved once: its stream's part is locked by whoever confirms it (in the order's lane) and by whoever lets it
expire (in its own), and the first of them changes its status. What it holds stands in the SKU parts alone, as
with an order. It is all or nothing, takes no unit that others wait for, and never waits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Literal, assert_never

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.inventory import NETWORK, TermsUsed
from libs.events.places import STANDARD, Delivery
from libs.events.policy import OrderPolicy
from libs.events.promise import (
    HoldsBroken,
    HoldStock,
    PromiseConfirmed,
    PromiseExpired,
    PromiseHeld,
    PromiseMissed,
    PromiseReleased,
    ReleasePromise,
    SoftBucket,
    Wanted,
    promise_stream,
)
from libs.events.record import record
from libs.events.refusal import refused
from libs.events.timer import Timer
from services.inventory import dates
from services.inventory.places import NO_PLACES, PlacesPart
from services.inventory.policies import PoliciesPart, could_have, policy_of
from services.inventory.posting import Posting
from services.inventory.queue_changes import counted, of_promise
from services.inventory.serving import country_of, served
from services.inventory.stock import EMPTY_SKU, AnyMovement, SkuPart, Skus, held

Status = Literal["new", "held", "confirmed", "expired", "released", "void"]
"""`void`: an order named it before it was held; it never will be."""
OfPromise = PromiseHeld | PromiseExpired | PromiseReleased
"""Events of a promise's own stream."""
SHORT_NAMED_MAX = 5
ENDS_EVERY = timedelta(milliseconds=200)
"""How far apart moments are at which baskets end."""


@record
class PromisePart:
    """State of a stream `promise/…`."""

    status: Status = "new"
    position: int = 0
    """How often it has changed."""
    units: dict[str, int] = field(default_factory=dict)
    """What was held, by SKU."""
    delivery: Delivery | None = None
    """The date that was promised with it."""


NEW_PROMISE = PromisePart()


def hold(
    command: HoldStock, skus: Skus, at: datetime, places: PlacesPart, policy: OrderPolicy | None = None
) -> PromiseHeld | tuple[str, ...]:
    """The basket, set aside; or what stands in the way, SKU by SKU."""
    wanted, country = summed(command.lines), _country(command)
    short = [
        f"{sku}: {quantity} wanted, {there} can be promised"
        for sku, quantity in wanted.items()
        if quantity > (there := could_have(skus[sku], command.channel, policy, country))
    ]
    if short:
        return tuple(short)
    posting, used = Posting(skus), list[TermsUsed]()
    for sku, quantity in wanted.items():
        posting.post(sku, NETWORK, "unreserved", "held", quantity)
        terms = skus[sku].terms
        if terms is not None:
            used.append(TermsUsed(sku=sku, version=terms.version))
    movements = posting.hold_movements()
    return PromiseHeld(
        promise_id=command.promise_id,
        position=1,
        lines=tuple(Wanted(sku=sku, quantity=quantity) for sku, quantity in wanted.items()),
        ttl_seconds=command.ttl_seconds,
        expires_at=at + timedelta(seconds=command.ttl_seconds),
        channel=command.channel,
        terms=tuple(used) or None,
        delivery=_delivery(command, wanted, skus, at, places, policy),
        policy=policy,
        served=served(country, skus, wanted),
        queue=of_promise(promise_stream(command.promise_id), skus, wanted, {}, movements),
        movements=movements,
    )


def _not_served(
    command: HoldStock, skus: Skus, places: PlacesPart, policy: OrderPolicy | None
) -> tuple[str, ...]:
    """The country that the basket is for, and the SKUs of which fewer units than it wants are at nodes that
    ship there and not promised to others, though all of them could be promised elsewhere; nothing where
    there are none. Where a SKU was not told yet of a node, `places` tell."""
    country, found = _country(command), list[str]()
    if country is None:
        return ()
    for sku, quantity in summed(command.lines).items():
        part = skus[sku]
        if part.reach() is None and not (places.ships_to or places.closed):
            continue
        units = part.on_hand_for(command.channel, country)
        there = sum(n for node, n in units.items() if places.serves(node, country))
        there = min(there, could_have(part, command.channel, policy, country))
        if there < quantity <= could_have(part, command.channel, policy):
            found.append(f"{there} of {quantity} units of {sku} can be promised from nodes that ship there")
    return (country, *found) if found else ()


def _country(command: HoldStock) -> str | None:
    return None if command.destination is None else command.destination.country


def _delivery(
    command: HoldStock,
    wanted: Mapping[str, int],
    skus: Skus,
    at: datetime,
    places: PlacesPart,
    policy: OrderPolicy | None,
) -> Delivery | None:
    """When the basket can be there, where somebody said where that is."""
    if command.destination is None:
        return None
    question = dates.Question(command.destination, command.service or STANDARD, at, places, policy)
    return dates.last(dates.promised(wanted, command.channel, skus, {}, question).values())


def confirm(
    order_id: str, wanted: Mapping[str, int], promise_id: str, part: PromisePart, skus: Skus
) -> PromiseConfirmed | PromiseMissed:
    """The order takes over what is held of the units that it wants; or why nothing is."""
    match part.status:
        case "held":
            pass
        case "new":
            return PromiseMissed(order_id=order_id, promise_id=promise_id, cause="unknown", position=1)
        case "expired" | "released":
            return PromiseMissed(order_id=order_id, promise_id=promise_id, cause=part.status)
        case "confirmed" | "void":
            return PromiseMissed(order_id=order_id, promise_id=promise_id, cause="used")
        case _:
            assert_never(part.status)
    posting = Posting(skus)
    left = any(quantity > wanted.get(sku, 0) for sku, quantity in part.units.items())
    for sku, quantity in wanted.items():
        there = skus[sku].baskets.get(promise_id, 0)
        posting.post(sku, NETWORK, "held", "reserved", min(quantity, there))
    return PromiseConfirmed(
        order_id=order_id,
        promise_id=promise_id,
        position=part.position + 1,
        left=left,
        delivery=part.delivery,
        movements=posting.hold_movements(),
    )


def expire(promise_id: str, part: PromisePart, skus: Skus) -> list[Event]:
    """Time is up: nothing when it was resolved before."""
    if part.status != "held":
        return []
    freed = _freed(promise_id, part, skus).hold_movements()
    return [PromiseExpired(promise_id=promise_id, position=part.position + 1, movements=freed)]


def give_back(
    promise_id: str,
    part: PromisePart,
    skus: Skus,
    cause: Literal["asked", "not_ordered", "broken"],
    reason: str = "",
) -> PromiseReleased:
    """All that it still holds is free again."""
    return PromiseReleased(
        promise_id=promise_id,
        position=part.position + 1,
        cause=cause,
        reason=reason,
        movements=_freed(promise_id, part, skus).hold_movements(),
    )


def settle(promise_id: str, part: PromisePart, skus: Skus) -> list[Event]:
    """After an order confirmed it or a count broke it: give back what is held and no use any more."""
    there = {sku: skus[sku].baskets.get(promise_id, 0) for sku in part.units}
    if part.status == "confirmed" and any(there.values()):
        return [give_back(promise_id, part, skus, "not_ordered")]
    if part.status == "held" and there != part.units:
        return [give_back(promise_id, part, skus, "broken")]
    return []


def answer_hold(
    part: PromisePart,
    skus: Skus,
    heard: Envelope[Contract],
    command: HoldStock,
    at: datetime,
    places: PlacesPart = NO_PLACES,
    policies: PoliciesPart | None = None,
) -> list[Event]:
    status = part.status
    if status != "new":
        return [
            refused(
                heard,
                "promise_exists",
                f"The promise {command.promise_id} exists: it is {status}.",
                "Hold another basket under another promise_id; to change this one, release it first.",
            )
        ]
    if bundled := [sku for sku, known in skus.items() if known.recipe is not None and known.recipe.unpacked]:
        return [
            refused(
                heard,
                "bundle_in_basket",
                f"{', '.join(bundled[:SHORT_NAMED_MAX])} is held as its parts.",
                "Name its parts, or hold the basket by POST /v1/promises, which does that.",
            )
        ]
    policy = None if policies is None else policy_of(policies, command)
    if astray := _not_served(command, skus, places, policy):
        return [
            refused(
                heard,
                "not_served",
                f"The basket cannot be sent to {astray[0]}: {told(astray[1:])}.",
                "Hold what is there, or for another destination, or stock a node that ships there.",
            )
        ]
    found = hold(command, skus, at, places, policy)
    if isinstance(found, PromiseHeld):
        return [found]
    return [
        refused(
            heard,
            "not_available",
            f"The basket cannot be held as a whole: {told(found)}.",
            "Hold fewer units, or order without a promise: what is short is then backordered.",
        )
    ]


def answer_release(
    part: PromisePart, skus: Skus, heard: Envelope[Contract], command: ReleasePromise
) -> list[Event]:
    match part.status:
        case "held":
            return [give_back(command.promise_id, part, skus, "asked", command.reason)]
        case "expired" | "released":
            return []  # free already
        case "confirmed":
            what, next_ = "was confirmed by an order", "Cancel the order to free its units."
        case "new" | "void":
            what, next_ = "was never held", "Check the promise_id; it is in the answer to the held basket."
        case _:
            assert_never(part.status)
    code = "promise_confirmed" if part.status == "confirmed" else "unknown_promise"
    return [refused(heard, code, f"The promise {command.promise_id} {what}.", next_)]


def evolve_promise(part: PromisePart, event: OfPromise | PromiseConfirmed | PromiseMissed) -> PromisePart:
    """The promise after an event of its own stream, or of an order that names it."""
    match event:
        case PromiseHeld():
            units = {line.sku: line.quantity for line in event.lines}
            return PromisePart("held", event.position, units, event.delivery)
        case PromiseConfirmed():
            return replace(part, status="confirmed", position=event.position)
        case PromiseMissed():
            return part if event.position is None else PromisePart("void", event.position)
        case PromiseExpired():
            return PromisePart("expired", event.position)
        case PromiseReleased():
            status: Status = "confirmed" if part.status == "confirmed" else "released"
            return PromisePart(status, event.position)
        case _:
            assert_never(event)


def evolve_skus(skus: Skus, event: OfPromise | PromiseConfirmed | PromiseMissed) -> dict[str, SkuPart]:
    """The SKUs after units were held, handed to an order, or freed."""
    after, by_sku = dict(skus), dict[str, list[AnyMovement]]()
    if isinstance(event, PromiseMissed):
        return after
    for move in event.movements:
        by_sku.setdefault(move.sku, []).append(move)
    order_id = event.order_id if isinstance(event, PromiseConfirmed) else None
    served_ = event.served if isinstance(event, PromiseHeld) else None
    for sku, moves in by_sku.items():
        order = None if order_id is None else (order_id, sum(_signed(move, "reserved") for move in moves))
        baskets = [(event.promise_id, sum(_signed(move, "held") for move in moves))]
        part = after.get(sku, EMPTY_SKU)
        channel = event.channel if isinstance(event, PromiseHeld) and part.lots is not None else None
        goes = None if (to := country_of(served_, sku)) is None else (event.promise_id, to)
        after[sku] = held(part, moves, baskets, order, channel, goes)
    return counted(after, event.queue) if isinstance(event, PromiseHeld) else after


def summed(lines: Iterable[Wanted]) -> dict[str, int]:
    """Units by SKU; several lines may share one."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.sku] = sums.get(line.sku, 0) + line.quantity
    return sums


def told(short: tuple[str, ...]) -> str:
    """What is short, in a sentence of bounded length."""
    more = f"; and {len(short) - SHORT_NAMED_MAX} more SKUs" if len(short) > SHORT_NAMED_MAX else ""
    return "; ".join(short[:SHORT_NAMED_MAX]) + more


def timers(event: Event, at: datetime) -> list[Timer]:
    """Reminders of a held promise: its end, and what others have to look after when it changes."""
    match event:
        case PromiseHeld():
            return [Timer(event.stream, "expire", _together(at + timedelta(seconds=event.ttl_seconds)))]
        case PromiseExpired() | PromiseReleased():
            return [Timer(f"sku/{move.sku}", "free", at) for move in event.movements]
        case PromiseConfirmed() if event.left:
            return [Timer(promise_stream(event.promise_id), "settle", at)]
        case HoldsBroken():
            return [Timer(promise_stream(hold.promise_id), "settle", at) for hold in event.holds]
    return []


def _together(at: datetime) -> datetime:
    """The next of the moments at which baskets end: those of some time are one batch, and who waits for their
    units is looked for once."""
    return at + -(at - datetime.min.replace(tzinfo=at.tzinfo)) % ENDS_EVERY


def _freed(promise_id: str, part: PromisePart, skus: Skus) -> Posting:
    posting = Posting(skus)
    for sku in part.units:
        posting.post(sku, NETWORK, "held", "unreserved", skus[sku].baskets.get(promise_id, 0))
    return posting


def _signed(move: AnyMovement, bucket: SoftBucket) -> int:
    return move.quantity * ((move.target == bucket) - (move.source == bucket))
