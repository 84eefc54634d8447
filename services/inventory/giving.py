"""Who is given free units of a SKU, and who loses promised ones: by class and age, as `queue` has them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal

from libs.events.contract import Event
from libs.events.inventory import NETWORK, Claim, QueueChange, ReservationBroken, StockPegged
from libs.events.policy import BackordersCalled
from libs.events.promise import HeldUnits, HoldsBroken, HoldsFilled
from services.inventory import queue
from services.inventory.posting import Posting
from services.inventory.queue import WAITER
from services.inventory.shelf_life import days_asked
from services.inventory.stock import SkuPart, evolve_sku, shares_now


def peg(sku: str, part: SkuPart) -> list[Event]:
    """Give the free units to those who wait, by class and age, each what the terms leave to its channel, and
    call those who want all or nothing; nothing when nobody waits or nothing is free. Then take for those who
    still lack units, and may have what others were promised, from who is behind them."""
    assert part.free >= 0, f"{sku}: {-part.free} units are promised that do not exist"
    if not part.turns and (not part.offered or part.wanted == part.reserved):
        return []
    found = shares_now(part)
    won = [(holder, units) for holder, units, called in found if not called]
    if not part.turns:
        return [*_pegged(sku, part, won)]
    events, after = _in_line(sku, part, won)
    if called := tuple(order_id for order_id, _, called in found if called):
        events.append(BackordersCalled(sku=sku, orders=called))
    return [*events, *_reallocated(sku, after)]


def _in_line(sku: str, part: SkuPart, won: Sequence[tuple[str, int]]) -> tuple[list[Event], SkuPart]:
    """Units that who waits is given, orders and baskets by events of their own, in the order in which they
    stand; and the SKU after them."""
    events = list[Event]()
    for baskets, run in groupby(won, key=lambda one: one[0].startswith(WAITER)):
        for event in (_filled if baskets else _pegged)(sku, part, [*run]):
            part = evolve_sku(part, event)
            events.append(event)
    return events, part


def waiting(part: SkuPart) -> list[tuple[str, int]]:
    """(order id, units that it lacks) of those who wait, in the order in which they are served."""
    return queue.lacking(part.claims, part.turns)


def grants(part: SkuPart) -> list[tuple[str, int]]:
    """(order id, units) of the free units that those who wait get now, by class and age."""
    return [(order_id, units) for order_id, units, called in shares_now(part) if not called]


def _pegged(
    sku: str, part: SkuPart, won: Sequence[tuple[str, int]], cause: Literal["reallocated"] | None = None
) -> list[StockPegged]:
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


def _filled(sku: str, part: SkuPart, won: Sequence[tuple[str, int]]) -> list[HoldsFilled]:
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "unreserved", "held", sum(units for _, units in won))
    return [
        HoldsFilled(
            sku=sku,
            holds=_holds(won),
            terms_version=None if part.terms is None else part.terms.version,
            supplied=True if part.supplied else None,
            queue=(QueueChange(sku=sku, number=part.queued + 1),),
            movements=posting.hold_movements(),
        )
    ]


def _holds(units: Iterable[tuple[str, int]]) -> tuple[HeldUnits, ...]:
    return tuple(
        HeldUnits(promise_id=holder.removeprefix(WAITER), quantity=quantity) for holder, quantity in units
    )


def _reallocated(sku: str, part: SkuPart) -> list[Event]:
    """Units that who is behind was promised, given to who may have them."""
    won, lost = queue.reallocated(part.claims, part.turns, {} if part.lots is None else days_asked(part.lots))
    if not won:
        return []
    claims = tuple(Claim(order_id=order_id, quantity=quantity) for order_id, quantity in lost)
    broken = _broken(sku, part, claims, "reallocated")
    return [broken, *_pegged(sku, evolve_sku(part, broken), won, "reallocated")]


def take_back_promises(
    sku: str, part: SkuPart, quantity: int, channels: frozenset[str] | None = None
) -> tuple[list[Event], SkuPart]:
    """Take `quantity` promised units back: from held baskets first, of these from those that may wait last,
    then from orders, the youngest first; of some channels alone, where only these cannot be kept. The events,
    and the SKU after them."""
    events: list[Event] = []
    baskets = part.baskets if channels is None else part.baskets_of(channels)
    if baskets:
        broken = _break_holds(sku, part, baskets, quantity)
        part = evolve_sku(part, broken)
        quantity -= sum(hold.quantity for hold in broken.holds)
        events.append(broken)
    if quantity and part.turns and (waits := _waits_broken(sku, part, quantity, channels)) is not None:
        part = evolve_sku(part, waits)
        quantity -= sum(hold.quantity for hold in waits.holds)
        events.append(waits)
    if quantity:
        taken = _break_youngest(sku, part, quantity, channels)
        part = evolve_sku(part, taken)
        events.append(taken)
    return events, part


def _break_holds(sku: str, part: SkuPart, baskets: Mapping[str, int], quantity: int) -> HoldsBroken:
    lost = _holds(_shares(quantity, reversed(tuple(baskets.items()))))
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "held", "unreserved", sum(hold.quantity for hold in lost))
    return HoldsBroken(sku=sku, holds=lost, movements=posting.hold_movements())


def _waits_broken(
    sku: str, part: SkuPart, quantity: int, channels: frozenset[str] | None
) -> HoldsBroken | None:
    """Units that baskets lose that may wait, and wait for again: the last in line first."""
    lost = _holds(_shares(quantity, _last_in_line(part, channels, baskets=True)))
    if not lost:
        return None
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "held", "unreserved", sum(hold.quantity for hold in lost))
    return HoldsBroken(
        sku=sku,
        holds=lost,
        supplied=True if part.supplied else None,
        queue=(QueueChange(sku=sku, number=part.queued + 1),),
        movements=posting.hold_movements(),
    )


def _last_in_line(part: SkuPart, channels: frozenset[str] | None, baskets: bool) -> Iterator[tuple[str, int]]:
    """Who was promised units, orders or baskets that may wait, and how many, the last in line first."""
    for holder, claim in reversed(queue.in_line(part.claims.items(), part.turns)):
        mine = holder.startswith(WAITER) is baskets and (channels is None or claim.channel in channels)
        if claim.held and mine:
            yield holder, claim.held


def _break_youngest(
    sku: str,
    part: SkuPart,
    quantity: int,
    channels: frozenset[str] | None,
) -> ReservationBroken:
    takers = _last_in_line(part, channels, baskets=False)
    lost = tuple(Claim(order_id=taker, quantity=units) for taker, units in _shares(quantity, takers))
    assert sum(claim.quantity for claim in lost) == quantity, f"{sku}: fewer units are promised than counted"
    return _broken(sku, part, lost, None if channels is None else "shelf_life")


def _broken(
    sku: str,
    part: SkuPart,
    lost: tuple[Claim, ...],
    cause: Literal["reallocated", "shelf_life"] | None = None,
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
