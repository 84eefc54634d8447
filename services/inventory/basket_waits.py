"""Baskets that wait: held at checkout against what is to come, where a policy lets them.

For shops that sell pre-orders, and would hold what they showed. Such a basket takes what is there of it and
stands in the queue of each of its SKUs as an order does, by its class and the moment it was held; units that
arrive are given to it in its turn. In a SKU's part it is a claim, by `waiter`. Its order takes over what it
holds and where it stands. It is held only where what is to come in time covers it behind everybody who
waits already, by the arithmetic of `dates`; so it has a date, which is told again when supply moves it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from libs.events.dates import Due
from libs.events.inventory import NETWORK, QueueChange, Shortage
from libs.events.order import Destination
from libs.events.places import STANDARD, Delivery
from libs.events.policy import KeptPlace, OrderPolicy
from libs.events.promise import (
    HoldMovement,
    HoldsBroken,
    HoldsFilled,
    HoldStock,
    PromiseConfirmed,
    PromiseDated,
    PromiseExpired,
    PromiseHeld,
    PromiseReleased,
    Wanted,
    promise_stream,
)
from libs.events.record import record
from libs.events.timer import Timer
from services.inventory import caps, dates
from services.inventory.dates import Coming, Question
from services.inventory.findings import shortage, terms_used
from services.inventory.places import PlacesPart
from services.inventory.policies import could_have
from services.inventory.posting import Posting
from services.inventory.queue import Turn, as_text, waiter
from services.inventory.queue_changes import counted, of_promise
from services.inventory.serving import claims_go, served
from services.inventory.stock import EMPTY_SKU, NO_CLAIM, OrderClaim, SkuPart, Skus, moved

_WHY = {
    "backorder_full": "and no more than {open} may still be waited for",
    "backorder_not_open": "and it cannot be waited for yet",
    "backorder_closed": "and it cannot be waited for any more",
}

ONCE_WALKED = timedelta(seconds=5)
"""By then who stands in a queue was given a date there, as a rule."""


@record
class Waits:
    """What is known of a held basket that may wait: where it stands, and what it was told."""

    since: datetime
    destination: Destination
    service: str | None = None
    usable_at: datetime | None = None
    """When the last of its units can be sold, as it was told last."""
    lacks: bool = True
    """Whether it was told so last."""


def hold_waiting(
    command: HoldStock,
    wanted: Mapping[str, int],
    skus: Skus,
    at: datetime,
    places: PlacesPart,
    policy: OrderPolicy,
) -> PromiseHeld | tuple[str, ...]:
    """The basket, holding what is there and waiting for the rest; or what stands in the way, SKU by SKU.
    `wanted`: units by SKU."""
    assert command.destination is not None, f"{command.promise_id} waits, and nobody knows where to send it"
    question = Question(command.destination, command.service or STANDARD, at, places, policy)
    country = command.destination.country
    amiss, lacks, last = list[str](), dict[str, int](), list[Coming]()
    deliveries, posting = list[Delivery](), Posting(skus)
    for sku, quantity in wanted.items():
        part = skus[sku]
        there = min(quantity, could_have(part, command.channel, policy, country))
        posting.post(sku, NETWORK, "unreserved", "held", there)
        to_come = dates.arriving(part, places, at)
        if there == quantity:
            deliveries.append(dates.of_sku(sku, quantity, command.channel, part, (), question))
            continue
        lacks[sku] = quantity - there
        found = _covered(sku, quantity, command.channel, part, to_come, question, lacks[sku])
        if isinstance(found, Coming):
            last.append(found)
            deliveries.append(dates.of_sku(sku, quantity, command.channel, part, to_come, question))
        else:
            amiss.append(f"{sku}: {quantity} wanted, {there} can be promised now, {found}")
    if amiss:
        return tuple(amiss)
    waits = {
        "short": _short(lacks, skus, command.channel, policy, country),
        "usable_at": max(one.usable_at for one in last),
        "destination": command.destination,
        "service": command.service,
    }
    movements, delivery = posting.hold_movements(), dates.last(deliveries)
    held = promise_held(command, wanted, lacks, skus, at, places, policy, delivery, movements)
    return held.model_copy(update=waits)


def promise_held(
    command: HoldStock,
    wanted: Mapping[str, int],
    lacks: Mapping[str, int],
    skus: Skus,
    at: datetime,
    places: PlacesPart,
    policy: OrderPolicy | None,
    delivery: Delivery | None,
    movements: tuple[HoldMovement, ...],
) -> PromiseHeld:
    """The basket of so many units by SKU, set aside by these movements. What it `lacks` it waits for in a
    queue; how, the caller adds."""
    country = None if command.destination is None else command.destination.country
    holder = waiter(command.promise_id) if lacks else promise_stream(command.promise_id)
    return PromiseHeld(
        promise_id=command.promise_id,
        position=1,
        lines=tuple(Wanted(sku=sku, quantity=quantity) for sku, quantity in wanted.items()),
        ttl_seconds=command.ttl_seconds,
        expires_at=at + timedelta(seconds=command.ttl_seconds),
        channel=command.channel,
        terms=tuple(terms_used(wanted, skus)) or None,
        delivery=delivery,
        policy=policy,
        served=served(country, skus, wanted, bool(places.ships_to)),
        queue=of_promise(holder, skus, wanted, lacks, movements),
        movements=movements,
    )


def _covered(
    sku: str,
    quantity: int,
    channel: str | None,
    part: SkuPart,
    to_come: Sequence[Coming],
    question: Question,
    lacking: int,
) -> Coming | str:
    """The supply that brings the last of so many units, everybody who waits already being before them; or
    why they cannot be waited for."""
    room = caps.open_to(part, channel, question.at)
    if lacking > room.open:
        return _WHY[room.reason].format(open=room.open)
    country = question.destination.country
    there = sum(part.on_hand_for(channel, country).values()) - dates.ahead(part, channel, question)
    for one in to_come:
        if not question.places.serves(one.node, country):
            continue
        there += one.units
        if there >= quantity:
            return one
    return "and what is to come in time does not cover the rest"


def _short(
    lacks: Mapping[str, int], skus: Skus, channel: str | None, policy: OrderPolicy, country: str
) -> tuple[Shortage, ...]:
    return tuple(
        shortage(sku, skus[sku], units, channel, policy.rank, country) for sku, units in lacks.items()
    )


def taken_over(
    wanted: Mapping[str, int], promise_id: str, held: Mapping[str, int], waits: Waits, skus: Skus
) -> tuple[Posting, tuple[Wanted, ...], tuple[KeptPlace, ...], tuple[QueueChange, ...]]:
    """What an order that wants so many units takes over of a basket, which was held for so many: the
    movements, what it waits for in place of it, where it keeps the basket's place, and the queues changed."""
    posting, waited, places = Posting(skus), list[Wanted](), list[KeptPlace]()
    holder = waiter(promise_id)
    for sku, quantity in wanted.items():
        claim = skus[sku].claims.get(holder, NO_CLAIM)
        there = min(quantity, claim.held)
        posting.post(sku, NETWORK, "held", "reserved", there)
        if lacking := min(quantity, claim.wanted) - there:
            waited.append(Wanted(sku=sku, quantity=lacking))
        if quantity <= held.get(sku, 0):
            places.append(KeptPlace(sku=sku, since=waits.since))
    return posting, tuple(waited), tuple(places), _left(skus, waited, posting.hold_movements())


def given_up(
    promise_id: str, units: Iterable[str], skus: Skus
) -> tuple[Posting, tuple[Wanted, ...], tuple[QueueChange, ...]]:
    """What a basket of these SKUs gives up: the movements, what it lacked, and the queues that it leaves."""
    posting, waited, holder = Posting(skus), list[Wanted](), waiter(promise_id)
    for sku in units:
        claim = skus[sku].claims.get(holder, NO_CLAIM)
        posting.post(sku, NETWORK, "held", "unreserved", claim.held)
        if claim.wanted > claim.held:
            waited.append(Wanted(sku=sku, quantity=claim.wanted - claim.held))
    return posting, tuple(waited), _left(skus, waited, posting.hold_movements())


def _left(skus: Skus, waited: Iterable[Wanted], movements: Iterable[HoldMovement]) -> tuple[QueueChange, ...]:
    moves = {move.sku for move in movements}
    return tuple(
        QueueChange(
            sku=one.sku,
            number=skus[one.sku].queued + 1,
            up_to=None if one.sku in moves else skus[one.sku].position,
        )
        for one in waited
    )


def evolve_claims(
    skus: Skus, event: PromiseHeld | PromiseConfirmed | PromiseExpired | PromiseReleased
) -> dict[str, SkuPart]:
    """The SKUs after a basket that may wait was held, taken over by an order, or given up. Sums, as ever:
    lanes may be folded in any order."""
    after, by_sku = dict(skus), dict[str, list[HoldMovement]]()
    lines = event.lines if isinstance(event, PromiseHeld) else event.waited or ()
    for one in lines:
        by_sku.setdefault(one.sku, [])
    for move in event.movements:
        by_sku.setdefault(move.sku, []).append(move)
    named = {one.sku: one.quantity for one in lines}
    for sku, moves in by_sku.items():
        part, units = after.get(sku, EMPTY_SKU), sum(move.quantity for move in moves)
        if isinstance(event, PromiseHeld):
            after[sku] = _stands(part, moves, event, named[sku], units)
        else:
            after[sku] = _leaves(part, moves, event, named.get(sku, 0) + units, units)
    return counted(after, event.queue)


def _stands(
    part: SkuPart, moves: Sequence[HoldMovement], event: PromiseHeld, wanted: int, units: int
) -> SkuPart:
    """The SKU, of which a basket wants so many units and holds some."""
    holder, policy = waiter(event.promise_id), event.policy or OrderPolicy(version=1)
    before, turns = part.claims.get(holder, NO_CLAIM), part.turns
    since = event.expires_at - timedelta(seconds=event.ttl_seconds)
    claim = OrderClaim(before.wanted + wanted, before.held + units, as_text(since), event.channel)
    claims = _put(part.claims, holder, claim)
    if holder in claims:
        turns = {**turns, holder: Turn(policy.rank, step_days=policy.step_days or 0)}
    assert event.destination is not None, f"{event.promise_id} waits, and nobody knows where to send it"
    country = event.destination.country if holder in claims else None
    serving, total = claims_go(part.serving, (holder,), {holder: country}), part.wanted + wanted
    return replace(moved(part, moves), claims=claims, turns=turns, wanted=total, serving=serving)


def _leaves(
    part: SkuPart,
    moves: Sequence[HoldMovement],
    event: PromiseConfirmed | PromiseExpired | PromiseReleased,
    wanted: int,
    units: int,
) -> SkuPart:
    """The SKU, of which a basket wants so many units less and holds some less; an order that took it over
    has them. At what rank it stands, its own promise says, which comes next."""
    holder, turns, total = waiter(event.promise_id), part.turns, part.wanted - wanted
    before, goes = part.claims.get(holder, NO_CLAIM), dict[str, str | None]()
    claims = _put(
        part.claims, holder, replace(before, wanted=before.wanted - wanted, held=before.held - units)
    )
    if isinstance(event, PromiseConfirmed):
        mine = claims.get(event.order_id, NO_CLAIM)
        claim = OrderClaim(
            mine.wanted + wanted, mine.held + units, before.since, mine.channel or before.channel
        )
        claims, total = _put(claims, event.order_id, claim), total + wanted
        goes[event.order_id] = None if part.serving is None else part.serving.orders.get(holder)
    if holder not in claims:
        turns = {name: turn for name, turn in turns.items() if name != holder}
    serving = claims_go(part.serving, {holder} - claims.keys(), goes)
    return replace(moved(part, moves), claims=claims, turns=turns, wanted=total, serving=serving)


def _put(claims: Mapping[str, OrderClaim], holder: str, claim: OrderClaim) -> dict[str, OrderClaim]:
    kept = {name: one for name, one in claims.items() if name != holder}
    return {**kept, holder: claim} if claim.wanted or claim.held else kept


def evolve_waits(waits: Waits | None, event: PromiseHeld | PromiseDated) -> Waits | None:
    """What is known of the basket after it was held, or told a date."""
    if isinstance(event, PromiseDated):
        assert waits is not None, f"{event.promise_id} was told a date and never waited"
        return replace(waits, usable_at=event.usable_at, lacks=bool(event.skus))
    if event.short is None:
        return None
    assert event.destination is not None, f"{event.promise_id} waits, and nobody knows where to send it"
    since = event.expires_at - timedelta(seconds=event.ttl_seconds)
    return Waits(since, event.destination, event.service, event.usable_at)


def timers(
    event: PromiseHeld | PromiseConfirmed | PromiseExpired | PromiseReleased, at: datetime
) -> list[Timer]:
    """Where a queue has moved, dates of who stands in it may have; and the date that a basket was held with
    may be gone before its queue was ever walked."""
    if isinstance(event, PromiseHeld):
        pegs = [Timer(f"sku/{one.sku}", "pegs", at) for one in event.short or ()]
        return [*pegs, Timer(event.stream, "date", at + ONCE_WALKED)]
    return [Timer(f"sku/{one.sku}", "pegs", at) for one in event.waited or ()]


def timers_of_units(event: HoldsFilled | HoldsBroken, at: datetime) -> list[Timer]:
    """Baskets that were given units, or lost some and wait again, may have another date."""
    look_at = at + timedelta(seconds=1) if event.supplied else at  # once the queue was walked
    told = [Timer(promise_stream(hold.promise_id), "date", look_at) for hold in event.holds]
    return [*told, Timer(event.stream, "pegs", at)] if event.supplied else told


def due_of(promise_id: str, units: Iterable[str], skus: Skus) -> list[Due]:
    """What the basket lacks now."""
    claims = {sku: skus[sku].claims.get(waiter(promise_id), NO_CLAIM) for sku in units}
    return [
        Due(sku=sku, quantity=claim.wanted - claim.held)
        for sku, claim in claims.items()
        if claim.wanted > claim.held
    ]
