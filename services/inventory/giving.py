"""Who is given free units of a SKU, and who loses promised ones: by class and age, as `queue` has them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal

from libs.events.contract import Event
from libs.events.inventory import NETWORK, Claim, QueueChange, ReservationBroken, StockPegged
from libs.events.policy import BackordersCalled
from libs.events.promise import HeldUnits, HoldsBroken
from services.inventory import queue
from services.inventory.posting import Posting
from services.inventory.serving import UNTOLD, Serving
from services.inventory.shelf_life import days_asked
from services.inventory.stock import SkuPart, evolve_sku, shares_now

CALLED_MAX = 500
"""Orders that are asked at once where they go."""


def peg(sku: str, part: SkuPart) -> list[Event]:
    """Give the free units to those who wait, by class and age, each what the terms leave to its channel, and
    call those who want all or nothing; nothing when nobody waits or nothing is free. Then take for those who
    still lack units, and may have what others were promised, from who is behind them."""
    assert part.free >= 0, f"{sku}: {-part.free} units are promised that do not exist"
    if not part.turns and (not part.offered or part.wanted == part.reserved):
        return [] if part.serving is None else _called(sku, (), _untold(part))
    found = shares_now(part)
    events = _pegged(sku, part, [(order_id, units) for order_id, units, called in found if not called])
    if not part.turns and part.serving is None:
        return events
    after = evolve_sku(part, events[0]) if events and isinstance(events[0], StockPegged) else part
    called = [order_id for order_id, _, called in found if called]
    if called or part.serving is not None:
        events += _called(sku, called, _untold(part))
    return [*events, *_reallocated(sku, after)]


def _called(sku: str, called: Sequence[str], asked: Sequence[str]) -> list[Event]:
    """Who is called to look whether all is there, and who is asked where it goes; nothing where nobody is."""
    orders = tuple(dict.fromkeys([*called, *asked]))
    return [BackordersCalled(sku=sku, orders=orders, asks=True if asked else None)] if orders else []


def _untold(part: SkuPart) -> list[str]:
    """Orders that are to tell where they go, where that makes a difference."""
    serving = part.serving
    if serving is None or not serving.bounds:
        return []
    return list(islice((one for one in part.claims if one not in serving.orders), CALLED_MAX))


def waiting(part: SkuPart) -> list[tuple[str, int]]:
    """(order id, units that it lacks) of those who wait, in the order in which they are served."""
    return queue.lacking(part.claims, part.turns)


def grants(part: SkuPart) -> list[tuple[str, int]]:
    """(order id, units) of the free units that those who wait get now, by class and age."""
    return [(order_id, units) for order_id, units, called in shares_now(part) if not called]


def _pegged(
    sku: str, part: SkuPart, won: Sequence[tuple[str, int]], cause: Literal["reallocated"] | None = None
) -> list[Event]:
    claims = tuple(Claim(order_id=order_id, quantity=quantity) for order_id, quantity in won)
    if not claims:
        return []
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "unreserved", "reserved", sum(claim.quantity for claim in claims))
    version = None if part.terms is None else part.terms.version
    return [
        StockPegged(
            sku=sku,
            claims=claims,
            terms_version=version,
            cause=cause,
            supplied=True if part.supplied else None,
            queue=(QueueChange(sku=sku, number=part.queued + 1),),
            movements=posting.movements(),
        )
    ]


def _reallocated(sku: str, part: SkuPart) -> list[Event]:
    """Units that who is behind was promised, given to who may have them."""
    towards = None if (reach := part.reach()) is None else (reach, part.serving or Serving())
    days = {} if part.lots is None else days_asked(part.lots)
    won, lost = queue.reallocated(part.claims, part.turns, days, towards)
    if not won:
        return []
    claims = tuple(Claim(order_id=order_id, quantity=quantity) for order_id, quantity in lost)
    broken = _broken(sku, part, claims, "reallocated")
    return [broken, *_pegged(sku, evolve_sku(part, broken), won, "reallocated")]


def take_back_promises(
    sku: str, part: SkuPart, quantity: int, channels: frozenset[str] | None = None
) -> tuple[list[Event], SkuPart]:
    """Take `quantity` promised units back: from held baskets first, then from orders, the youngest first; of
    some channels alone, where only these cannot be kept. The events, and the SKU after them."""
    events: list[Event] = []
    baskets = part.baskets if channels is None else part.baskets_of(channels)
    if baskets:
        broken = _break_holds(sku, part, baskets, quantity)
        part = evolve_sku(part, broken)
        quantity -= sum(hold.quantity for hold in broken.holds)
        events.append(broken)
    if quantity:
        taken = _break_youngest(sku, part, quantity, channels)
        part = evolve_sku(part, taken)
        events.append(taken)
    return events, part


def take_back_unsendable(sku: str, part: SkuPart, leaving: Mapping[str, int]) -> tuple[list[Event], SkuPart]:
    """Take promised units back that could be kept until so many leave these nodes: from baskets and orders to
    whose countries too few are left, the youngest first. The events, and the SKU after them."""
    reach = part.reach()
    if reach is None:
        return [], part
    kept, serving = reach.kept, part.serving or Serving()
    for node, units in leaving.items():
        if node not in (part.closed or ()):
            reach.put(node, -units)
    lacking, holds, claims = kept - reach.kept, list[HeldUnits](), list[Claim]()
    for promise_id, units in reversed(tuple(part.baskets.items())):
        if taken := min(lacking, units, reach.too_many(serving.baskets.get(promise_id), units)):
            holds.append(HeldUnits(promise_id=promise_id, quantity=taken))
            reach.give(serving.baskets.get(promise_id), -taken)
            lacking -= taken
    for order_id, claim in reversed(queue.in_line(part.claims.items(), part.turns)):
        goes = serving.orders.get(order_id, UNTOLD)
        if claim.held and (taken := min(lacking, claim.held, reach.too_many(goes, claim.held))):
            claims.append(Claim(order_id=order_id, quantity=taken))
            reach.give(goes, -taken)
            lacking -= taken
    events: list[Event] = []
    if holds:
        lost = _holds_broken(sku, part, tuple(holds))
        part = evolve_sku(part, lost)
        events.append(lost)
    if claims:
        broken = _broken(sku, part, tuple(claims), "not_served")
        part = evolve_sku(part, broken)
        events.append(broken)
    return events, part


def _break_holds(sku: str, part: SkuPart, baskets: Mapping[str, int], quantity: int) -> HoldsBroken:
    lost = tuple(
        HeldUnits(promise_id=promise_id, quantity=units)
        for promise_id, units in _shares(quantity, reversed(tuple(baskets.items())))
    )
    return _holds_broken(sku, part, lost)


def _holds_broken(sku: str, part: SkuPart, lost: tuple[HeldUnits, ...]) -> HoldsBroken:
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "held", "unreserved", sum(hold.quantity for hold in lost))
    return HoldsBroken(sku=sku, holds=lost, movements=posting.hold_movements())


def _break_youngest(
    sku: str,
    part: SkuPart,
    quantity: int,
    channels: frozenset[str] | None,
) -> ReservationBroken:
    takers = (
        (holder, claim.held)
        for holder, claim in reversed(queue.in_line(part.claims.items(), part.turns))
        if claim.held and (channels is None or claim.channel in channels)
    )
    lost = tuple(Claim(order_id=taker, quantity=units) for taker, units in _shares(quantity, takers))
    assert sum(claim.quantity for claim in lost) == quantity, f"{sku}: fewer units are promised than counted"
    return _broken(sku, part, lost, None if channels is None else "shelf_life")


def _broken(
    sku: str,
    part: SkuPart,
    lost: tuple[Claim, ...],
    cause: Literal["reallocated", "shelf_life", "not_served"] | None = None,
) -> ReservationBroken:
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "reserved", "unreserved", sum(claim.quantity for claim in lost))
    return ReservationBroken(
        sku=sku,
        claims=lost,
        cause=cause,
        supplied=True if part.supplied else None,
        queue=(QueueChange(sku=sku, number=part.queued + 1),),
        movements=posting.movements(),
    )


def _shares(units: int, takers: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    for taker, most in takers:
        if not units:
            return
        quantity = min(units, most)
        yield taker, quantity
        units -= quantity
