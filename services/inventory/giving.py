"""Who is given free units of a SKU, and who loses promised ones: by class and age, as `queue` has them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Literal

from libs.events.contract import Event
from libs.events.inventory import NETWORK, Claim, QueueChange, ReservationBroken, StockPegged
from libs.events.policy import BackordersCalled
from libs.events.promise import HeldUnits, HoldsBroken, HoldsFilled
from services.inventory import queue
from services.inventory.posting import Posting
from services.inventory.queue import WAITER
from services.inventory.serving import UNTOLD, Reach, Serving, going
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
    won = [(holder, units) for holder, units, called in found if not called]
    if not part.turns and part.serving is None:
        return [*_pegged(sku, part, won)]
    events, after = _in_line(sku, part, won)
    called = [order_id for order_id, _, called in found if called and not order_id.startswith(WAITER)]
    if called or part.serving is not None:
        events += _called(sku, called, _untold(part))
    return [*events, *_reallocated(sku, after)]


def _called(sku: str, called: Sequence[str], asked: Sequence[str]) -> list[Event]:
    """Who is called to look whether all is there, and who is asked where it goes; nothing where nobody is."""
    orders = tuple(dict.fromkeys([*called, *asked]))
    return [BackordersCalled(sku=sku, orders=orders, asks=True if asked else None)] if orders else []


def _untold(part: SkuPart) -> list[str]:
    """Orders that are to tell where they go, where that makes a difference; baskets that wait have."""
    serving = part.serving
    if serving is None or not serving.bounds:
        return []
    untold = (one for one in part.claims if one not in serving.orders and not one.startswith(WAITER))
    return list(islice(untold, CALLED_MAX))


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
    in_line = _last_in_line(part, channels, baskets=True) if quantity and part.turns else ()
    if lost := _holds(_shares(quantity, in_line)):
        waits = _waits_broken(sku, part, lost)
        part = evolve_sku(part, waits)
        quantity -= sum(hold.quantity for hold in waits.holds)
        events.append(waits)
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
    kept = reach.kept
    for node, units in leaving.items():
        if node not in (part.closed or ()):
            reach.put(node, -units)
    return _take_back_astray(sku, part, reach, kept - reach.kept)


def take_back_astray(sku: str, part: SkuPart) -> tuple[list[Event], SkuPart]:
    """Take promised units back that no node which has them ships to where they go, were all switched on. The
    events, and the SKU after them."""
    known = part.serving
    if known is None or not known.bounds:
        return [], part
    goes = [*going(known, part.claims, part.baskets, None)]
    reach = Reach(known, part.on_hand, goes)
    return _take_back_astray(sku, part, reach, sum(units for _, units in goes) - reach.kept)


def _take_back_astray(sku: str, part: SkuPart, reach: Reach, lacking: int) -> tuple[list[Event], SkuPart]:
    """Take so many promised units back that cannot be kept by the nodes as `reach` has them: from baskets and
    orders to whose countries too few are left, the youngest first."""
    if lacking <= 0:
        return [], part
    serving, events = part.serving or Serving(), list[Event]()
    baskets = [(id_, units, serving.baskets.get(id_)) for id_, units in reversed(part.baskets.items())]
    if holds := _cannot_be_sent(reach, lacking, baskets):
        lacking -= sum(units for _, units in holds)
        taken = _holds_broken(sku, part, _holds(holds))
        part = evolve_sku(part, taken)
        events.append(taken)
    for waits in (True, False):
        line = [
            (holder, units, serving.orders.get(holder, UNTOLD))
            for holder, units in _last_in_line(part, None, baskets=waits)
        ]
        if lost := _cannot_be_sent(reach, lacking, line):
            lacking -= sum(units for _, units in lost)
            claims = () if waits else tuple(Claim(order_id=id_, quantity=units) for id_, units in lost)
            broken = (
                _waits_broken(sku, part, _holds(lost)) if waits else _broken(sku, part, claims, "not_served")
            )
            part = evolve_sku(part, broken)
            events.append(broken)
    return events, part


def _cannot_be_sent(
    reach: Reach, lacking: int, promised: Iterable[tuple[str, int, str | None]]
) -> list[tuple[str, int]]:
    """Of units that are promised (holder, units, country), so many that lack, of the first of them; `reach`
    is without these then."""
    lost = list[tuple[str, int]]()
    for holder, units, country in promised:
        if taken := min(lacking, units, reach.too_many(country, units)):
            lost.append((holder, taken))
            reach.give(country, -taken)
            lacking -= taken
    return lost


def _break_holds(sku: str, part: SkuPart, baskets: Mapping[str, int], quantity: int) -> HoldsBroken:
    return _holds_broken(sku, part, _holds(_shares(quantity, reversed(tuple(baskets.items())))))


def _holds_broken(sku: str, part: SkuPart, lost: tuple[HeldUnits, ...]) -> HoldsBroken:
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "held", "unreserved", sum(hold.quantity for hold in lost))
    return HoldsBroken(sku=sku, holds=lost, movements=posting.hold_movements())


def _waits_broken(sku: str, part: SkuPart, lost: tuple[HeldUnits, ...]) -> HoldsBroken:
    """Units that baskets lose that may wait, and wait for again."""
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
