"""Pegging: which supply serves whom of those who wait for a SKU, and the date that each of them is told.

The queue of a SKU is served in its order from what is to come, as it will be on receipt. That is a plan: it
claims nothing, and is made anew whenever the queue or the supply moves. Only what changes is an event, and
only whom it concerns is told. Units that are late serve nobody: whose date stood on them is told so.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from libs.events.amendments import OrderAmended
from libs.events.changes import LinesReleased
from libs.events.contract import Event
from libs.events.dates import PEGS_MAX, BackorderDated, Due, Pegged, PeggedBasket, SupplyPegged
from libs.events.delivery import delivery, unknown
from libs.events.inventory import ReservationBroken, StockBackordered, StockPegged, StockReleased
from libs.events.order import Reason
from libs.events.places import STANDARD, Delivery
from libs.events.promise import PromiseDated, promise_stream
from libs.events.reach import ReachChanged
from libs.events.routing import NODES_STREAM
from libs.events.supply import (
    SupplyCancelled,
    SupplyExpected,
    SupplyReceived,
    TransferClosed,
    TransferDispatched,
    TransferOverdue,
    TransferReceived,
)
from libs.events.timer import Timer, TimerDue
from services.inventory import basket_waits, dates
from services.inventory.dates import Coming, Question
from services.inventory.giving import waiting
from services.inventory.holds import PromisePart
from services.inventory.order import OrderPart, units
from services.inventory.places import PlacesPart
from services.inventory.queue import NO_TURN, WAITER, waiter
from services.inventory.stock import EMPTY_SKU, HOLDER, NO_CLAIM, SkuPart, Skus
from services.inventory.supplies import NO_SUPPLY, SUPPLY_STREAM, Peg, SupplyPart
from services.inventory.waiting import WHOLE

QUEUE_MAX = 2000
"""Who stands farther back in a queue is told a date once it has moved up."""
SKU_STREAM = "sku/"
REMINDERS = frozenset({"pegs", "late", "date"})
"""Timers that are decided here: of a SKU, that queue or supply moved, or is late; of an order, its date."""
_MOVES_SUPPLY: frozenset[type[Event]] = frozenset(
    {
        SupplyExpected,
        SupplyReceived,
        SupplyCancelled,
        TransferDispatched,
        TransferReceived,
        TransferOverdue,
        TransferClosed,
    }
)
_MOVES_QUEUE: frozenset[type[Event]] = frozenset(
    {
        StockBackordered,
        StockPegged,
        ReservationBroken,
        StockReleased,
        LinesReleased,
        SupplyPegged,
        ReachChanged,
    }
)
REMINDS = _MOVES_SUPPLY | _MOVES_QUEUE


def streams(due: TimerDue | OrderAmended, order_skus: Iterable[str]) -> tuple[str, ...]:
    """What a reminder needs beside its own stream: the SKUs (of an order or a basket), their supplies, and
    the places."""
    if due.stream.startswith(SKU_STREAM):
        return SUPPLY_STREAM + due.stream.removeprefix(SKU_STREAM), NODES_STREAM
    of_order = [prefix + sku for sku in order_skus for prefix in (SKU_STREAM, SUPPLY_STREAM)]
    return (*of_order, NODES_STREAM)


def timers(event: Event, at: datetime) -> list[Timer]:
    """Who has to look again after one of `REMINDS`."""
    match event:
        case StockBackordered():
            return [Timer(SKU_STREAM + sku, "pegs", at) for sku in event.supplied or ()]
        case StockPegged():
            return [Timer(event.stream, "pegs", at)] if event.supplied else []
        case ReservationBroken():
            # who waits for other units already says nothing of these: its date may be gone, or a later one
            look_at = at + timedelta(seconds=1) if event.supplied else at  # once the queue was walked
            told = [Timer(claim.order_id, "date", look_at) for claim in event.claims]
            return [*told, Timer(event.stream, "pegs", at)] if event.supplied else told
        case StockReleased() | LinesReleased():
            return [Timer(SKU_STREAM + sku, "pegs", at) for sku in _given_up(event)]
        case SupplyPegged():
            told = [Timer(one.order_id, "date", at) for one in event.pegs]
            told += [Timer(order_id, "date", at) for order_id in event.lost]
            told += [Timer(promise_stream(one.promise_id), "date", at) for one in event.baskets or ()]
            told += [Timer(promise_stream(promise_id), "date", at) for promise_id in event.baskets_lost or ()]
            return told if event.check_at is None else [*told, Timer(event.stream, "late", event.check_at)]
    moves = type(event) in _MOVES_SUPPLY or isinstance(event, ReachChanged)  # what comes there serves others
    return [Timer(event.stream, "pegs", at)] if moves else []


def _given_up(event: StockReleased | LinesReleased) -> list[str]:
    """SKUs that the order waited for: it gave up more of them than it was promised."""
    lacking = units(event.lines)
    for move in event.movements:
        if move.source == "reserved":
            lacking[move.sku] = lacking.get(move.sku, 0) - move.quantity
    return [sku for sku, quantity in lacking.items() if quantity > 0]


def look_again(
    due: TimerDue,
    order: OrderPart | PromisePart,
    skus: Skus,
    supplies: Mapping[str, SupplyPart],
    places: PlacesPart,
    at: datetime,
) -> list[Event]:
    """One of `REMINDERS` is due, of an order or a basket that waits, or of a SKU."""
    if isinstance(order, PromisePart):
        return tell_basket(due.stream.removeprefix(HOLDER), order, skus, supplies, places, at)
    if due.name == "date":
        return tell_date(due.stream, order, skus, supplies, places, at)
    sku = due.stream.removeprefix(SKU_STREAM)
    return peg_supply(sku, skus.get(sku, EMPTY_SKU), supplies.get(sku, NO_SUPPLY), places, at)


def peg_supply(sku: str, part: SkuPart, supply: SupplyPart, places: PlacesPart, at: datetime) -> list[Event]:
    """What has changed of who is served from what; nothing when nothing has."""
    to_come = dates.coming(supply, places, at)
    if not to_come and not supply.pegged:
        return []  # before the queue is walked: a flash sale's is long
    all_waiting = waiting(part) if part.wanted > part.reserved or part.turns else []
    queue = all_waiting[:QUEUE_MAX]
    served = _served(part, queue, to_come)
    new = [
        (holder, missing, one)
        for holder, (missing, one) in served.items()
        if supply.pegged.get(holder) != Peg(one.supply_id, one.node, one.usable_at)
    ]
    gone = [holder for holder in supply.pegged if holder not in served]
    waits = {holder for holder, _ in all_waiting}
    lost = [holder for holder in gone if holder in waits]
    done = [holder for holder in gone if holder not in waits]
    check_at = min((one.arrives_at for _, one in served.values()), default=None)
    cuts = (
        slice(start, start + PEGS_MAX) for start in range(0, max(len(new), len(lost), len(done)), PEGS_MAX)
    )
    return [_told(sku, new[cut], lost[cut], done[cut], check_at) for cut in cuts]


def _told(
    sku: str,
    new: Sequence[tuple[str, int, Coming]],
    lost: Sequence[str],
    done: Sequence[str],
    check_at: datetime | None,
) -> SupplyPegged:
    """What has changed for these who wait, orders and baskets by their own names."""
    pegs, baskets = list[Pegged](), list[PeggedBasket]()
    for holder, missing, one in new:
        by = {"supply_id": one.supply_id, "node": one.node, "usable_at": one.usable_at, "quantity": missing}
        if holder.startswith(WAITER):
            baskets.append(PeggedBasket.model_validate({"promise_id": holder.removeprefix(WAITER), **by}))
        else:
            pegs.append(Pegged.model_validate({"order_id": holder, **by}))
    return SupplyPegged(
        sku=sku,
        pegs=tuple(pegs),
        lost=_orders(lost),
        done=_orders(done),
        check_at=check_at,
        baskets=tuple(baskets) or None,
        baskets_lost=_baskets(lost) or None,
        baskets_done=_baskets(done) or None,
    )


def _orders(holders: Iterable[str]) -> tuple[str, ...]:
    return tuple(holder for holder in holders if not holder.startswith(WAITER))


def _baskets(holders: Iterable[str]) -> tuple[str, ...]:
    return tuple(holder.removeprefix(WAITER) for holder in holders if holder.startswith(WAITER))


def _served(
    part: SkuPart, queue: Sequence[tuple[str, int]], supply: Sequence[Coming]
) -> dict[str, tuple[int, Coming]]:
    """The supply that brings the last of each order's missing units; without those who get theirs of what is
    free, or never. After each arrival free units are given as `peg` gives them."""
    found, lacks, left = dict[str, tuple[int, Coming]](), dict(queue), part.offered
    wanted, room, reach = dict(queue), part.room(), part.reach()
    orders = {} if part.serving is None else part.serving.orders
    for one in (None, *supply):
        left += 0 if one is None else one.units
        if one is not None and reach is not None:
            reach.put(one.node, one.units)
        for order_id, missing in list(lacks.items()):
            if not left:
                break
            turn = part.turns.get(order_id, NO_TURN)
            kept = 0
            if part.terms is not None:
                kept = part.terms.kept(part.offered, room, part.claims[order_id].channel, turn.rank)
            given = min(missing, max(0, left - kept))
            if reach is not None:
                given = min(given, reach.spare(orders[order_id])) if order_id in orders else 0
            if turn.whole > given or (turn.passed and one is None):
                continue  # all or nothing: those behind it are served
            left -= given
            if reach is not None and given:
                reach.give(orders[order_id], given)
            lacks[order_id] -= given
            if not lacks[order_id]:
                del lacks[order_id]
                if one is not None:
                    found[order_id] = (wanted[order_id], one)
    return found


def tell_date(
    order_id: str,
    order: OrderPart,
    skus: Skus,
    supplies: Mapping[str, SupplyPart],
    places: PlacesPart,
    at: datetime,
    anew: bool = False,
) -> list[Event]:
    """When an order that waits is served; nothing when it does not wait, or was told so before and it still
    goes there (not `anew`)."""
    if order.status != "waiting":
        return []
    assert order.destination_now is not None, f"{order_id} waits, and nobody knows where to send it"
    due, pegs = list[Due](), dict[str, Peg]()
    for sku, quantity in units(order.pending).items():
        missing = quantity - skus[sku].claims.get(order_id, NO_CLAIM).held
        if missing and not _only_looks(order_id, order, skus[sku], missing):
            peg = supplies.get(sku, NO_SUPPLY).pegged.get(order_id)
            if peg is not None:
                pegs[sku] = peg
            named = (None, None) if peg is None else (peg.supply_id, peg.usable_at)
            due.append(Due(sku=sku, quantity=missing, supply_id=named[0], usable_at=named[1]))
    if not due:
        return []  # it is served: its claims tell so
    known = len(pegs) == len(due)
    usable = max(peg.usable_at for peg in pegs.values()) if known else None
    if usable == order.dated and (usable is None or not anew):
        return []
    question = Question(order.destination_now, order.service_now or STANDARD, at, places)
    return [
        BackorderDated(
            order_id=order_id,
            skus=tuple(due),
            usable_at=usable,
            told_before=order.dated,
            promised=dates.last(_delivery(sku, peg, question) for sku, peg in pegs.items())
            if known
            else None,
        )
    ]


def tell_basket(
    promise_id: str,
    held: PromisePart,
    skus: Skus,
    supplies: Mapping[str, SupplyPart],
    places: PlacesPart,
    at: datetime,
) -> list[Event]:
    """When a basket that waits has all of its units; nothing when it is resolved, or was told so before."""
    waits = held.waits
    if held.status != "held" or waits is None:
        return []
    lacking = basket_waits.due_of(promise_id, held.units, skus)
    pegs = {
        one.sku: peg
        for one in lacking
        if (peg := supplies.get(one.sku, NO_SUPPLY).pegged.get(waiter(promise_id))) is not None
    }
    known = lacking and len(pegs) == len(lacking)
    usable = max(peg.usable_at for peg in pegs.values()) if known else None
    if (usable, bool(lacking)) == (waits.usable_at, waits.lacks):
        return []
    named = {sku: {"supply_id": peg.supply_id, "usable_at": peg.usable_at} for sku, peg in pegs.items()}
    question = Question(waits.destination, waits.service or STANDARD, at, places)
    return [
        PromiseDated(
            promise_id=promise_id,
            position=held.position + 1,
            skus=tuple(one.model_copy(update=named.get(one.sku, {})) for one in lacking),
            usable_at=usable,
            told_before=waits.usable_at,
            delivery=dates.last(_delivery(sku, peg, question) for sku, peg in pegs.items())
            if known
            else None,
        )
    ]


def _only_looks(order_id: str, order: OrderPart, part: SkuPart, missing: int) -> bool:
    """Whether an order that wants all or nothing would find all of a SKU now: others keep it waiting."""
    policy = order.policy
    if policy is None or policy.policy != WHOLE:
        return False
    return part.claimable(order.channel, policy.rank, order_id, policy.stands_at, order.country) >= missing


def _delivery(sku: str, peg: Peg, question: Question) -> Delivery:
    by, version = question.way(peg.node), question.places.version
    if isinstance(by, Reason):
        return unknown(question.service, version, by)
    text = f"{sku} comes to {peg.node} with {peg.supply_id}, and can be sold from {peg.usable_at:%Y-%m-%d}."
    return delivery(by, by.dates(peg.usable_at), version, Reason(code="inbound", message=text[:1000]))
