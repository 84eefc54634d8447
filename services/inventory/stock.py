"""One SKU's stock: where its units are, who was promised some of them, and who waits for more.

For inventory's decisions, which lock a SKU's part before they read it. The queue of a SKU is its claims that
hold less than they want, served by class, then strictly by age (`queue`). Units become free only by what
pegs them at once (a receipt, an adjustment) or leaves a `free` timer on the SKU (a release, a return), so
whenever the queue is not empty and units are free, such a timer is due; until then nobody else takes them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace

from libs.events.availability import StockLow, StockRecovered
from libs.events.bundles import KitBucket, KitMovement
from libs.events.inventory import (
    Bucket,
    Movement,
    QueueChange,
    ReservationBroken,
    StockPegged,
    StockReceived,
)
from libs.events.lots import LotsLimited
from libs.events.policy import STANDARD_RANK
from libs.events.promise import HoldMovement, HoldsBroken, HoldsFilled, PromiseTermsDefined, SoftBucket
from libs.events.reach import ReachChanged
from libs.events.record import changed, record
from libs.events.serving import Served
from libs.events.set_aside import ReturnMovement
from libs.events.supply import SupplyBucket, SupplyMovement
from services.inventory import queue
from services.inventory.balances import sums_after
from services.inventory.lots import Lots, limited, moved_lots, of_baskets
from services.inventory.queue import Turn, waiter
from services.inventory.recipes import Recipe
from services.inventory.serials import astray_after
from services.inventory.serving import Reach, Serving, baskets_go, bound_again, claims_go, going, order_goes
from services.inventory.shelf_life import Room, by_node
from services.inventory.terms import Terms, terms_of

MOST_UNITS = 1_000_000_000
"""Units of one SKU that may be in the house, on hand and allocated; more is a typing error."""


@record
class OrderClaim:
    """What an order wants of a SKU and has no node for yet, and how much of it is promised."""

    wanted: int = 0
    held: int = 0
    since: str | None = None
    """ISO 8601: each change of a SKU writes all of its claims down, and a datetime takes twice as long."""
    channel: str | None = None
    """Where the SKU has terms."""


NO_CLAIM = OrderClaim()
Arrival = tuple[str, str, int]
"""When units are to arrive (ISO 8601), where, and how many: text, as with a claim."""


@record
class SubstitutesOf:
    """By what a SKU may be replaced, the first to try in front, and the version of that."""

    version: int
    skus: tuple[str, ...] = ()


@record
class SkuPart:
    """State of a stream `sku/…`: the sum of the SKU's movements, from whatever lane they came.

    Nothing at zero is kept. Folding is a sum, so the order in which lanes are folded does not matter.
    """

    position: int = 0
    """Movements so far; the next one is `position` + 1."""
    on_hand: dict[str, int] = field(default_factory=dict)
    """Units by node."""
    allocated: dict[str, int] = field(default_factory=dict)
    """Units by node."""
    reserved: int = 0
    """Sum of what the claims and the baskets hold: the buckets `reserved` and `held`."""
    wanted: int = 0
    """Sum of what the claims want, and the baskets hold."""
    claims: dict[str, OrderClaim] = field(default_factory=dict)
    """By order id; of baskets that wait, by `queue.waiter`."""

    terms: Terms | None = None
    turns: dict[str, Turn] = field(default_factory=dict)
    """Of claims of orders that have policies, and of baskets that wait."""
    recipe: Recipe | None = None
    """Where it is made of other SKUs, or others are made of it."""
    supplied: int = 0
    """Units of it that are to come: who waits can be told a date, and may have to be no more than these."""
    lots: Lots | None = None
    """Where it has some."""
    bins: dict[str, str] | None = None
    """By node, where somebody said so."""
    astray: dict[str, int] | None = None
    """Where each unit has a serial number: units that left a place without it, by place/node."""
    substitutes: SubstitutesOf | None = None
    """Where somebody ever named some."""
    queued: int = 0
    """How often its queue has changed, as its events number it (`queue_changes`)."""
    baskets: dict[str, int] = field(default_factory=dict)
    """Units that held baskets hold, all that they want, by promise id, the youngest last. Each change of the
    SKU writes all of them down, so nothing else is said of them."""
    closed: tuple[str, ...] | None = None
    """Of its nodes, those that are switched off or untrusted: their units are not promised (`reach`)."""
    arrivals: tuple[Arrival, ...] | None = None
    """What of `supplied` has a day, the first in front."""
    serving: Serving | None = None
    """Where not all of its nodes ship everywhere."""
    untrusted: tuple[str, ...] | None = None
    """Of its nodes, those of which nobody tells any more (`trust`)."""
    put_away: dict[str, int] | None = None
    """Units that lie in other bins than those in which nodes keep it, by node/bin (`bins`)."""

    @property
    def free(self) -> int:
        """Units on hand that no order was promised."""
        return sum(self.on_hand.values()) - self.reserved

    @property
    def offered(self) -> int:
        """Of these, those that can be promised: what was promised is taken to be of the nodes that ship."""
        if not self.closed:
            return sum(self.on_hand.values()) - self.reserved
        there = sum(units for node, units in self.on_hand.items() if node not in self.closed)
        return max(0, there - self.reserved)

    def spare(self, node: str) -> int:
        """Units that may leave a node for another reason than an order, so that no promise lacks them."""
        free = self.free if node in (self.closed or ()) else self.offered
        if (reach := self.reach()) is not None and node not in (self.closed or ()):
            free = min(free, reach.may_leave(node))
        return max(0, min(self.on_hand.get(node, 0), free))

    def reach(self, but: str | None = None) -> Reach | None:
        """What can be promised to which countries, beside all promises but that of one order; None where all
        nodes ship everywhere."""
        known = self.serving
        if known is None or not known.bounds:
            return None
        return Reach(known, self.on_hand, going(known, self.claims, self.baskets, but), self.closed or ())

    def claimable(
        self,
        channel: str | None,
        rank: int = STANDARD_RANK,
        order_id: str | None = None,
        stands_at: int | None = None,
        country: str | None = None,
    ) -> int:
        """Units that a new claim of a channel may take, or one of an order that waits: none that others of
        its class or a higher one wait for, who are served first, and where there are terms, none that are
        kept from it. `stands_at` is the rank at which it is served, where that is not its own. They can be
        sent to `country`, if one is named, and so can what else is promised be to where it goes."""
        place = rank if stands_at is None else stands_at
        waiting, reach = self.wanted > self.reserved, self.reach()
        if self.terms is None and not self.turns and place >= STANDARD_RANK and reach is None:
            return 0 if waiting else self.offered
        free = self.offered
        if waiting or self.turns:
            before = queue.before(shares_now(self), self.claims, self.turns, place, order_id)
            free -= sum(units for _, units, _ in before)
            if reach is not None:
                reach = queue.after(before, reach, self.serving or Serving())
        if self.terms is not None:
            free -= self.kept(channel, rank)
        return max(0, free if reach is None else min(free, reach.spare(country)))

    def kept(self, channel: str | None, rank: int = STANDARD_RANK) -> int:
        """Free units that a channel and class may not have, by the terms or for their age."""
        if self.terms is None:
            return 0
        return self.terms.kept(self.offered, self.room(), channel, rank)

    def room(self) -> Room | None:
        """What may be promised of units that last; None where no channel asks how long they do."""
        if self.lots is None or not self.lots.limits:
            return None
        return Room(self.lots, self.promised(), self.closed or ())

    def promised(self, but: str | None = None) -> Iterator[tuple[str | None, int]]:
        """(channel, units) that are promised, to orders but for one, and to baskets."""
        for order_id, claim in self.claims.items():
            if claim.held and order_id != but:
                yield claim.channel, claim.held
        channels = {} if self.lots is None else self.lots.baskets
        for promise_id, units in self.baskets.items():
            yield channels.get(promise_id), units

    def baskets_of(self, channels: frozenset[str]) -> dict[str, int]:
        """Held baskets of these channels."""
        known = {} if self.lots is None else self.lots.baskets
        return {id_: units for id_, units in self.baskets.items() if known.get(id_) in channels}

    def on_hand_for(self, channel: str | None, country: str | None = None) -> dict[str, int]:
        """Units by node that an order of a channel may be allocated, at nodes that ship to `country`."""
        known, there = self.serving, self.on_hand
        if self.lots is not None and self.lots.limits:
            there = by_node(self.lots, self.promised(), channel, closed=self.closed or ())
        elif self.closed:
            out = {*self.closed}.difference(self.untrusted or ())  # what was promised of these is allocated
            there = {node: units for node, units in there.items() if node not in out}
        if known is None or country is None:
            return there
        return {node: units for node, units in there.items() if known.serves(node, country)}


EMPTY_SKU = SkuPart()
Skus = Mapping[str, SkuPart]
"""The SKU parts that a decision has before it, by SKU."""


AnyMovement = Movement | HoldMovement | SupplyMovement | KitMovement | ReturnMovement
AnyBucket = Bucket | SoftBucket | SupplyBucket | KitBucket
HOLDER = "promise/"
"""Streams of held baskets."""


def _lots(part: SkuPart, movements: Iterable[AnyMovement]) -> Lots | None:
    return None if part.lots is None else moved_lots(part.lots, movements)


def _astray(part: SkuPart, movements: Iterable[AnyMovement]) -> dict[str, int] | None:
    return None if part.astray is None else astray_after(part.astray, movements)


def _again(
    part: SkuPart,
    sums: tuple[int, dict[str, int], dict[str, int], int],
    wanted: int,
    claims: dict[str, OrderClaim],
    turns: dict[str, Turn],
    lots: Lots | None,
    astray: dict[str, int] | None,
    baskets: dict[str, int],
) -> SkuPart:
    """The SKU with other figures: spelt out, as each line of each order comes here, and `changed` takes twice
    as long."""
    return SkuPart(
        *sums,
        wanted,
        claims,
        part.terms,
        turns,
        part.recipe,
        part.supplied,
        lots=lots,
        bins=part.bins,
        astray=astray,
        substitutes=part.substitutes,
        queued=part.queued,
        baskets=baskets,
        closed=part.closed,
        arrivals=part.arrivals,
        serving=part.serving,
        untrusted=part.untrusted,
        put_away=part.put_away,
    )


def _serving(part: SkuPart, serving: Serving | None) -> SkuPart:
    return part if serving is part.serving else changed(part, serving=serving)


def moved(part: SkuPart, movements: Iterable[AnyMovement]) -> SkuPart:
    """The SKU after these movements of it; who holds `reserved` is for `claimed` to say."""
    sums, lots = sums_after(part, movements), _lots(part, movements)
    astray = _astray(part, movements)
    return _again(part, sums, part.wanted, part.claims, part.turns, lots, astray, part.baskets)


def claimed(part: SkuPart, changes: Iterable[tuple[str, int]]) -> SkuPart:
    """The SKU after claims won (+) or lost (−) units, each as (order id, units)."""
    claims = dict(part.claims)
    for order_id, won in changes:
        before = claims.pop(order_id, NO_CLAIM)
        wanted, held = before.wanted, before.held + won
        if wanted or held or order_id in part.turns:
            claims[order_id] = OrderClaim(wanted, held, before.since, before.channel)
    sums = (part.position, part.on_hand, part.allocated, part.reserved)
    return _again(part, sums, part.wanted, claims, part.turns, part.lots, part.astray, part.baskets)


def held(
    part: SkuPart,
    movements: Iterable[AnyMovement],
    baskets: Iterable[tuple[str, int]],
    order: tuple[str, int] | None = None,
    channel: str | None = None,
    goes: tuple[str, str] | None = None,
) -> SkuPart:
    """The SKU after these movements of it by which each basket (promise id, units) holds so many more, or
    less, and an order wants and holds so many more; `channel` is that of new baskets, and one of them `goes`
    (promise id, country). Sums again: lanes may be folded in any order."""
    holding, wanted, claims = dict(part.baskets), part.wanted, part.claims
    for promise_id, won in baskets:
        wanted += won
        holding[promise_id] = holding.get(promise_id, 0) + won  # in its place: it becomes no younger
        if not holding[promise_id]:
            del holding[promise_id]
    if order is not None:
        order_id, won = order
        before = claims.get(order_id, NO_CLAIM)
        after = OrderClaim(before.wanted + won, before.held + won, before.since, before.channel)
        claims = {**claims, order_id: after}
        wanted += won
    sums, lots = sums_after(part, movements), part.lots
    if lots is not None:
        lots = of_baskets(lots, holding, part.baskets, channel)
    after_ = _again(part, sums, wanted, claims, part.turns, lots, part.astray, holding)
    return _serving(after_, baskets_go(part.serving, holding, goes))


def asked(
    part: SkuPart,
    movements: Iterable[AnyMovement],
    order_id: str,
    wanted: int,
    since: str | None,
    channel: str | None,
    turn: Turn | None = None,
    served: Served | None = None,
    sku: str | None = None,
) -> SkuPart:
    """The SKU after these movements of it for an order of a channel, which wants `wanted` units of it from
    now on, and has waited `since`; None, as long as its claim says. Its turn is `turn`, where it has one.
    `served` is where it goes, `sku` being the SKU where its event says that, or would."""
    serving = order_goes(part.serving, order_id, wanted, served, sku)
    sums, claims = sums_after(part, movements), dict(part.claims)
    before = claims.pop(order_id, NO_CLAIM)
    held = before.held + sums[3] - part.reserved
    turns = part.turns
    if turn is not None:
        turns = {**turns, order_id: turn}
        wanted -= turn.whole
    elif order_id in turns:
        turns = {holder: one for holder, one in turns.items() if holder != order_id}
    if wanted or held or turn is not None:
        claims[order_id] = OrderClaim(wanted, held, since or before.since, channel or before.channel)
    total = part.wanted + wanted - before.wanted
    lots, astray = _lots(part, movements), _astray(part, movements)
    return _serving(_again(part, sums, total, claims, turns, lots, astray, part.baskets), serving)


def evolve_sku(
    part: SkuPart,
    event: StockReceived
    | StockPegged
    | ReservationBroken
    | HoldsBroken
    | HoldsFilled
    | PromiseTermsDefined
    | StockLow
    | StockRecovered
    | LotsLimited
    | ReachChanged,
) -> SkuPart:
    """The SKU after an event of its own stream."""
    if isinstance(event, LotsLimited):
        return replace(part, lots=limited(part.lots or Lots(), event))
    if isinstance(event, ReachChanged):
        bounds = tuple([(one.nodes, one.ships_to) for one in event.bound or ()])
        serving = bound_again(part.serving, event.nodes_version, bounds, event.serves)
        queued = _queued(part, event.queue)
        return replace(part, closed=event.closed or None, queued=queued, serving=serving)
    if isinstance(event, PromiseTermsDefined):
        return replace(part, terms=terms_of(event, part.terms), queued=_queued(part, event.queue))
    if isinstance(event, StockLow | StockRecovered):
        assert part.terms is not None, f"{event.sku} has no terms by which it is low"
        return replace(part, terms=replace(part.terms, low=isinstance(event, StockLow)))
    if isinstance(event, HoldsBroken) and event.queue is None:
        return held(part, event.movements, [(hold.promise_id, -hold.quantity) for hold in event.holds])
    after = moved(part, event.movements)
    if isinstance(event, HoldsFilled | HoldsBroken):
        sign = 1 if isinstance(event, HoldsFilled) else -1
        after = claimed(after, [(waiter(hold.promise_id), sign * hold.quantity) for hold in event.holds])
        claims, turns = queue.without_empty(after.claims, after.turns)
        serving = claims_go(part.serving, after.claims.keys() - claims.keys())
        return replace(after, claims=claims, turns=turns, serving=serving, queued=_queued(part, event.queue))
    if isinstance(event, StockPegged | ReservationBroken):
        sign = 1 if isinstance(event, StockPegged) else -1
        after = claimed(after, [(claim.order_id, sign * claim.quantity) for claim in event.claims])
        return replace(after, queued=_queued(part, event.queue))
    return after


def _queued(part: SkuPart, changes: tuple[QueueChange, ...] | None) -> int:
    return part.queued if changes is None else max(part.queued, changes[0].number)


def shares_now(part: SkuPart) -> list[queue.Share]:
    """What those who wait get of the free units now."""
    towards = None if (reach := part.reach()) is None else (reach, part.serving or Serving())
    return queue.shares(part.offered, part.claims, part.turns, part.terms, part.room(), towards)
