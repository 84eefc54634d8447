"""What an order that has a policy is promised, what it waits for, and how its wait ends.

Without a policy `reserve.promise` decides, which is `together` without an end.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from libs.events.contract import Event
from libs.events.inventory import NETWORK, Movement, Shortage, StockBackordered, StockReserved
from libs.events.order import LineQuantity
from libs.events.policy import BackorderLapsed, BackordersCalled, TermsUsed
from libs.events.record import changed
from libs.events.timer import Timer
from services.inventory.findings import availability, shortage, terms_used, too_many
from services.inventory.order import OrderPart, minus, units
from services.inventory.posting import Posting
from services.inventory.queue import Turn
from services.inventory.queue_changes import of_promise
from services.inventory.sendable import limits
from services.inventory.serving import served
from services.inventory.stock import NO_CLAIM, SkuPart, Skus

WHOLE = "all_or_nothing"
ASKS_AGAIN = timedelta(seconds=1)
"""After that a SKU looks whether those have answered that it asked where they go."""


def promise_by_policy(
    order_id: str, order: OrderPart, skus: Skus, round_: int
) -> StockReserved | StockBackordered:
    """As `reserve.promise`: what `order.pending` is promised now, and what of it routing is asked about."""
    policy = order.policy
    assert policy is not None, f"{order_id} has no policy"
    wanted, country = units(order.pending), order.country
    there: dict[str, int] = {}
    short: list[Shortage] = []
    for sku, quantity in wanted.items():
        held = skus[sku].claims.get(order_id, NO_CLAIM).held
        missing = quantity - held
        open_ = skus[sku].claimable(order.channel, policy.rank, order_id, policy.stands_at, country)
        taken = min(missing, open_)
        taken -= too_many(skus[sku], order_id, order.channel, held + taken, country)
        there[sku] = held + taken
        if missing > taken:
            part, back = skus[sku], max(0, -taken)
            short.append(shortage(sku, part, missing - taken, order.channel, policy.rank, country, back))
    kept = {} if short and policy.policy == WHOLE else there
    posting = Posting(skus)
    for sku in wanted:
        more = kept.get(sku, 0) - skus[sku].claims.get(order_id, NO_CLAIM).held
        posting.post(sku, NETWORK, "unreserved", "reserved", max(0, more))
        posting.post(sku, NETWORK, "reserved", "unreserved", max(0, -more))
    terms = terms_used(wanted, skus)
    ready = order.pending if not short else covered(order.pending, kept)
    if short and not (ready and policy.policy == "partial"):
        return backordered(order_id, order, round_, skus, short, terms, posting.movements())
    return reserved(order_id, order, round_, skus, ready, terms, posting.movements())


def reserved(
    order_id: str,
    order: OrderPart,
    round_: int,
    skus: Skus,
    ready: tuple[LineQuantity, ...],
    terms: Sequence[TermsUsed],
    movements: tuple[Movement, ...],
) -> StockReserved:
    """These of the order's pending lines are promised, and routing is asked about them; the others wait."""
    assert order.since is not None, f"{order_id} was never accepted"
    assert order.destination_now is not None, f"{order_id} has no destination"
    asked, later = units(ready), None if ready is order.pending else minus(order.pending, ready) or None
    waited_for = {} if later is None else units(later)
    named = {**asked, **waited_for}
    return StockReserved(
        order_id=order_id,
        round=round_,
        lines=ready,
        later=later,
        availability=availability(asked, skus, order.channel, limits(order_id, skus, asked, order.country)),
        since=order.since,
        destination=order.destination_now,
        contact=order.contact_now,
        channel=order.channel if terms else None,
        terms=tuple(terms) or None,
        policy=order.policy,
        bundles=order.bundles,
        service=order.service_now,
        served=served(order.country, skus, named),
        queue=of_promise(order_id, skus, named, waited_for, movements),
        places=order.places,
        movements=movements,
    )


def backordered(
    order_id: str,
    order: OrderPart,
    round_: int,
    skus: Skus,
    short: Sequence[Shortage],
    terms: Sequence[TermsUsed],
    movements: tuple[Movement, ...],
) -> StockBackordered:
    """The order waits: these units lack."""
    assert order.since is not None, f"{order_id} was never accepted"
    assert order.destination_now is not None, f"{order_id} has no destination"
    wanted = units(order.pending)
    whole = order.policy is not None and order.policy.policy == WHOLE
    lacks = wanted if whole else {one.sku: one.quantity for one in short}
    return StockBackordered(
        order_id=order_id,
        round=round_,
        lines=order.pending,
        short=tuple(short),
        since=order.since,
        destination=order.destination_now,
        contact=order.contact_now,
        channel=order.channel if terms else None,
        terms=tuple(terms) or None,
        policy=order.policy,
        service=order.service_now,
        served=served(order.country, skus, wanted),
        supplied=tuple([one.sku for one in short if skus[one.sku].supplied]) or None,
        queue=of_promise(order_id, skus, wanted, lacks, movements),
        places=order.places,
        movements=movements,
    )


def covered(pending: tuple[LineQuantity, ...], there: Mapping[str, int]) -> tuple[LineQuantity, ...]:
    """The units of these lines that are there (by SKU), the first lines first."""
    left, found = dict(there), list[LineQuantity]()
    for line in pending:
        quantity = min(line.quantity, left.get(line.sku, 0))
        if quantity:
            left[line.sku] -= quantity
            found.append(LineQuantity(line=line.line, sku=line.sku, quantity=quantity))
    return tuple(found)


def look(order_id: str, order: OrderPart, skus: Skus) -> list[Event]:
    """Units have come for an order that waits: what it is promised, if that is more than before. Who wants
    all or nothing and was called in vain says so, so that who is behind it gets what was kept for it."""
    assert order.policy is not None, f"{order_id} has no policy"
    found = promise_by_policy(order_id, order, skus, order.round)
    tells = order.policy.policy == WHOLE or untold(order_id, order, skus)
    return [found] if isinstance(found, StockReserved) or tells else []


def untold(order_id: str, order: OrderPart, skus: Skus) -> bool:
    """Whether a SKU asks where the order goes: it has waited since before that made a difference."""
    return any(_untold(order_id, skus[sku]) for sku in units(order.pending))


def _untold(order_id: str, part: SkuPart) -> bool:
    known = part.serving
    return known is not None and bool(known.bounds) and order_id not in known.orders


def lapse(order_id: str, order: OrderPart, skus: Skus) -> list[Event]:
    """The order has waited as long as it may: give up what lacks, or ship what is there."""
    policy = order.policy
    if order.status != "waiting" or policy is None or policy.wait_days is None:
        return []
    assert order.since is not None, f"{order_id} was never accepted"
    if policy.then == "ship":
        ships = policy.model_copy(update={"policy": "partial", "wait_days": None})
        return [promise_by_policy(order_id, changed(order, policy=ships), skus, order.round)]
    ready = covered(order.pending, {sku: _held(order_id, sku, skus) for sku in units(order.pending)})
    lacking = minus(order.pending, ready)
    if not lacking:
        return []  # its reminder is on the way, and will find it complete
    return [
        BackorderLapsed(
            order_id=order_id,
            lines=lacking,
            rest=ready,
            since=order.since,
            wait_days=policy.wait_days,
            bundles=order.bundles,
        )
    ]


def turn_of(order: OrderPart, quantity: int, passed: bool) -> Turn | None:
    """How the order, as it is now, stands in the queue of a SKU of which it wants `quantity` units."""
    policy = order.policy
    if policy is None or not quantity:
        return None
    whole = quantity if _waits_whole(order) else 0
    return Turn(policy.rank, whole, passed and bool(whole), policy.reallocates, policy.step_days or 0)


def waited(order_id: str, order: OrderPart, skus: Skus) -> tuple[str, ...] | None:
    """SKUs of which units may be kept for an order that wants all or nothing, or has to tell its country."""
    wanted = tuple(units(order.pending))
    if _waits_whole(order):
        return wanted
    return tuple(sku for sku in wanted if _untold(order_id, skus[sku])) or None


def timers(event: StockBackordered | BackordersCalled, at: datetime) -> list[Timer]:
    """Reminders that policies ask for: the end of a wait, units for who is behind, units of who is behind."""
    if isinstance(event, BackordersCalled):
        found = [Timer(order_id, "claims", at) for order_id in event.orders]
        # until they tell, units are kept from others: the SKU looks again, and asks who has not
        return [*found, Timer(event.stream, "free", at + ASKS_AGAIN)] if event.asks else found
    policy = event.policy
    # who says where it goes may be sent what is free, or gives back what it cannot be
    told = [] if event.served is None else [Timer(f"sku/{one.sku}", "free", at) for one in event.served.skus]
    if policy is None:
        return told
    found = told
    if policy.wait_days is not None:
        found.append(Timer(event.order_id, "lapse", event.since + timedelta(days=policy.wait_days)))
    look_at = dict[str, None]()
    if policy.policy == WHOLE or policy.then == "ship":
        look_at |= dict.fromkeys(line.sku for line in event.lines)
    if policy.reallocates:
        look_at |= dict.fromkeys(one.sku for one in event.short)
    return [*found, *(Timer(f"sku/{sku}", "free", at) for sku in look_at)]


def _waits_whole(order: OrderPart) -> bool:
    policy = order.policy
    return policy is not None and policy.policy == WHOLE and order.status in ("waiting", "lapsing")


def _held(order_id: str, sku: str, skus: Skus) -> int:
    return skus[sku].claims.get(order_id, NO_CLAIM).held
