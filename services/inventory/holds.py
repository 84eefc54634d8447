"""Held promises: a basket's units set aside at checkout, for the order that will name them.

For shops, which would rather tell a customer "sold out" before the payment than after it. A held promise is
resolved once: its stream's part is locked by whoever confirms it (in the order's lane) and by whoever lets it
expire (in its own), and the first of them changes its status. What it holds stands in the SKU parts alone, as
with an order. It is all or nothing, takes no unit that others wait for, and waits for none itself where no
policy lets it (`basket_waits`).
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Literal, assert_never

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.inventory import NETWORK, QueueChange
from libs.events.places import Delivery
from libs.events.promise import (
    HoldsBroken,
    HoldsFilled,
    PromiseConfirmed,
    PromiseDated,
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
from services.inventory import basket_waits
from services.inventory.basket_waits import Waits
from services.inventory.posting import Posting
from services.inventory.queue import waiter
from services.inventory.queue_changes import counted
from services.inventory.serving import country_of
from services.inventory.stock import EMPTY_SKU, NO_CLAIM, AnyMovement, SkuPart, Skus, held

Status = Literal["new", "held", "confirmed", "expired", "released", "void"]
"""`void`: an order named it before it was held; it never will be."""
OfPromise = PromiseHeld | PromiseDated | PromiseExpired | PromiseReleased
"""Events of a promise's own stream."""
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
    """The date that was promised with it, or told since."""
    waits: Waits | None = None
    """Where it may wait for some of its units."""


NEW_PROMISE = PromisePart()


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
    posting, left = Posting(skus), any(n > wanted.get(sku, 0) for sku, n in part.units.items())
    waited, places, queue = None, None, None
    if part.waits is not None:
        found = basket_waits.taken_over(wanted, promise_id, part.units, part.waits, skus)
        posting, waited, places, queue = found
    else:
        for sku, quantity in wanted.items():
            there = skus[sku].baskets.get(promise_id, 0)
            posting.post(sku, NETWORK, "held", "reserved", min(quantity, there))
    return PromiseConfirmed(
        order_id=order_id,
        promise_id=promise_id,
        position=part.position + 1,
        left=left,
        delivery=part.delivery,
        waited=waited,
        places=places or None,
        queue=queue or None,
        movements=posting.hold_movements(),
    )


def expire(promise_id: str, part: PromisePart, skus: Skus) -> list[Event]:
    """Time is up: nothing when it was resolved before."""
    if part.status != "held":
        return []
    freed, waited, queue = _freed(promise_id, part, skus)
    return [
        PromiseExpired(
            promise_id=promise_id,
            position=part.position + 1,
            waited=waited,
            queue=queue,
            movements=freed.hold_movements(),
        )
    ]


def give_back(
    promise_id: str,
    part: PromisePart,
    skus: Skus,
    cause: Literal["asked", "not_ordered", "broken"],
    reason: str = "",
) -> PromiseReleased:
    """All that it still holds is free again."""
    freed, waited, queue = _freed(promise_id, part, skus)
    return PromiseReleased(
        promise_id=promise_id,
        position=part.position + 1,
        cause=cause,
        reason=reason,
        waited=waited,
        queue=queue,
        movements=freed.hold_movements(),
    )


def settle(promise_id: str, part: PromisePart, skus: Skus) -> list[Event]:
    """After an order confirmed it or a count broke it: give back what is held and no use any more."""
    if part.waits is None:
        there = {sku: skus[sku].baskets.get(promise_id, 0) for sku in part.units}
    else:
        there = {sku: skus[sku].claims.get(waiter(promise_id), NO_CLAIM).wanted for sku in part.units}
    if part.status == "confirmed" and any(there.values()):
        return [give_back(promise_id, part, skus, "not_ordered")]
    if part.status == "held" and there != part.units:
        return [give_back(promise_id, part, skus, "broken")]
    return []


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
            waits = basket_waits.evolve_waits(None, event)
            return PromisePart("held", event.position, units, event.delivery, waits)
        case PromiseDated():
            waits = basket_waits.evolve_waits(part.waits, event)
            delivery = event.delivery if event.skus else part.delivery
            return replace(part, position=event.position, delivery=delivery, waits=waits)
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
    after = dict(skus)
    by_sku: dict[str, list[AnyMovement]] = {}
    if isinstance(event, PromiseMissed | PromiseDated):
        return after
    if (event.short if isinstance(event, PromiseHeld) else event.waited) is not None:
        return basket_waits.evolve_claims(skus, event)
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


def timers(event: Event, at: datetime) -> list[Timer]:
    """Reminders of a held promise: its end, and what others have to look after when it changes."""
    match event:
        case PromiseHeld():
            ends = Timer(event.stream, "expire", _together(at + timedelta(seconds=event.ttl_seconds)))
            return [ends] if event.short is None else [ends, *basket_waits.timers(event, at)]
        case PromiseExpired() | PromiseReleased():
            freed = [Timer(f"sku/{move.sku}", "free", at) for move in event.movements]
            return freed if event.waited is None else [*freed, *basket_waits.timers(event, at)]
        case PromiseConfirmed():
            left = [Timer(promise_stream(event.promise_id), "settle", at)] if event.left else []
            return left if event.waited is None else [*left, *basket_waits.timers(event, at)]
        case HoldsFilled():
            return basket_waits.timers_of_units(event, at)
        case HoldsBroken() if event.queue is not None:
            return basket_waits.timers_of_units(event, at)
        case HoldsBroken():
            return [Timer(promise_stream(hold.promise_id), "settle", at) for hold in event.holds]
    return []


def _together(at: datetime) -> datetime:
    """The next of the moments at which baskets end: those of some time are one batch, and who waits for their
    units is looked for once."""
    return at + -(at - datetime.min.replace(tzinfo=at.tzinfo)) % ENDS_EVERY


def _freed(
    promise_id: str, part: PromisePart, skus: Skus
) -> tuple[Posting, tuple[Wanted, ...] | None, tuple[QueueChange, ...] | None]:
    """What it gives up: the movements; where it may wait, also what it lacked, and the queues it leaves."""
    if part.waits is not None:
        posting, waited, queue = basket_waits.given_up(promise_id, part.units, skus)
        return posting, waited, queue or None
    posting = Posting(skus)
    for sku in part.units:
        posting.post(sku, NETWORK, "held", "unreserved", skus[sku].baskets.get(promise_id, 0))
    return posting, None, None


def _signed(move: AnyMovement, bucket: SoftBucket) -> int:
    return move.quantity * ((move.target == bucket) - (move.source == bucket))
