"""The part of the proof that is about queues: who waits for a SKU is served by class, then by age.

For `services.inventory.proof`, which walks the log in the order of what happened to each SKU and each queue.
Who waits it knows from the numbered changes (`QueueChange`) alone; what an older log says without a number is
not held against it. Of each queue it holds that

- units that are given to those who wait, or that somebody takes for himself, are none that an order before
  him in the queue lacks and could have had: by the SKU's terms that the event names, and where it wants all
  or nothing, unless it has looked, and others lacked; and none that cannot be sent where it goes;
- who waits is given no more than it lacks;
- nobody takes units as though nobody waited, while somebody does;
- promised units that do not exist are lost by the last in the queue; those that go to others (`reallocated`)
  go to whose policy lets it have them, and from who stands behind it.

The queue's order is reckoned here from the class, age and policy that events tell, and not by `queue`, which
inventory decides with.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from libs.events.bundles import BundlesUnpacked
from libs.events.changes import LinesReleased
from libs.events.contract import Event
from libs.events.inventory import (
    ReservationBroken,
    StockAllocated,
    StockBackordered,
    StockPegged,
    StockReleased,
    StockReserved,
)
from libs.events.policy import STANDARD_RANK
from libs.events.promise import (
    HoldsBroken,
    HoldsFilled,
    PromiseConfirmed,
    PromiseExpired,
    PromiseHeld,
    PromiseReleased,
    PromiseTermsDefined,
    promise_stream,
)
from libs.events.reach import ReachChanged
from libs.events.record import changed
from libs.events.substitutes import SubstitutesSought
from services.inventory.proof_rows import LogRow
from services.inventory.proof_serving import Destinations
from services.inventory.proof_stock import SkuKey, StockSoFar
from services.inventory.proof_waiters import (
    STANDARD,
    Place,
    Promise,
    Wait,
    Waiter,
    basket,
    lacks,
    met,
    misallotted,
    position_of,
    units_of,
)
from services.inventory.stock import AnyMovement
from services.inventory.terms import Terms, terms_of

_BEHIND_ITS_CLASS = datetime.max.replace(tzinfo=UTC)
_Told = tuple[LogRow, str]
"""The event that is wrong, and what is."""
_Stock = Mapping[SkuKey, StockSoFar]
_Promised = Mapping[SkuKey, Mapping[str, int]]
"""Units promised to each order or basket, by SKU."""


class Queues:
    """Who waits for each SKU, as far as the log numbers it."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._promised: _Promised = {}
        self._orders: dict[tuple[str, str], Waiter] = {}
        """Those with promised units or a wait, by tenant and order."""
        self._waits: dict[SkuKey, dict[str, Wait]] = {}
        self._terms: dict[SkuKey, dict[int, Terms]] = {}
        """By their version."""
        self._taken: dict[SkuKey, tuple[int, LogRow]] = {}
        """The last event by which units were taken as though nobody waited, and its position."""
        self._closed: dict[SkuKey, tuple[str, ...]] = {}
        """Nodes whose units are not promised."""
        self._losers: dict[SkuKey, list[Place]] = {}
        """Of units that are to go to others next."""

    def take(
        self, row: LogRow, event: Event, moves: Iterable[AnyMovement], stock: _Stock, promised: _Promised
    ) -> _Told | None:
        """Apply an event whose movements were counted; what is wrong, if anything is."""
        self._promised = promised
        match event:
            case StockReserved() | StockBackordered():
                return self._of_order(row, event, moves, stock)
            case StockAllocated() if not event.later:
                self._orders.pop((row.tenant, event.order_id), None)
            case BundlesUnpacked() | SubstitutesSought():
                policy = event.policy or STANDARD
                met = Waiter(event.since, policy, event.channel, channel_known=True)
                self._orders[row.tenant, event.order_id] = met
            case StockPegged() if event.queue:
                return self._given(row, event, units_of(event), event.cause is None, stock)
            case HoldsFilled():
                return self._given(row, event, units_of(event), True, stock)
            case ReservationBroken() | HoldsBroken() if event.queue:
                return self._broken(row, event, promised)
            case PromiseHeld():
                return self._of_basket(row, event, moves, stock)
            case PromiseConfirmed() | PromiseExpired() | PromiseReleased() if event.waited is not None:
                return self._basket_left(row, event)
            case StockReleased() | LinesReleased():
                return self._released(row, event)
            case ReachChanged():
                self._closed[row.tenant, event.sku] = event.closed
            case PromiseTermsDefined():
                known = self._terms.setdefault((row.tenant, event.sku), {})
                known[event.terms_version] = terms_of(event, None)
        return None

    def amiss(self) -> Iterator[_Told]:
        """At the end: units that were taken as though nobody waited, while somebody did who waits still."""
        for key, waits in self._waits.items():
            for order_id, wait in waits.items():
                if key in self._taken and self._taken[key][0] > wait.seen:
                    yield self._unseen(key, order_id, wait)

    # What events tell

    def _of_order(
        self, row: LogRow, event: Promise, moves: Iterable[AnyMovement], stock: _Stock
    ) -> _Told | None:
        tenant, order_id = row.tenant, event.order_id
        before = self._orders.get((tenant, order_id))
        order = met(event, before)
        if before is not None and before.places != order.places:
            return row, f"tells another place of order {order_id} than it took over"
        self._orders[tenant, order_id] = order
        numbered = {change.sku: change.up_to for change in event.queue or ()}
        won = dict[str, int]()
        for move in moves:
            takes = move.source == "unreserved"
            if move.sku in numbered:
                numbered[move.sku] = move.position
                won[move.sku] = move.quantity if takes else 0
            elif takes:
                self._taken[tenant, move.sku] = (move.position, row)
        if not numbered:
            return None
        versions = {used.sku: used.version for used in event.terms or ()}
        for sku, position in numbered.items():
            key, quantity = (tenant, sku), won.get(sku, 0)
            if position is None:
                return row, f"changes the queue of {sku} at no position of it"
            if told := self._look(key, order_id, position):
                return told
            place, version = order.place(order_id, sku), versions.get(sku)
            taker = (order_id, quantity)
            if quantity and (says := self._overtaken(key, taker, place, version, stock)):
                return row, f"promises {quantity} units of {sku} to order {order_id} {says}"
            self._wait(key, order_id, lacks(event, sku, position))
        return None

    def _of_basket(
        self, row: LogRow, event: PromiseHeld, moves: Iterable[AnyMovement], stock: _Stock
    ) -> _Told | None:
        numbered = {change.sku for change in event.queue or ()}
        versions = {used.sku: used.version for used in event.terms or ()}
        for move in moves:
            stands_at = STANDARD_RANK if event.policy is None else event.policy.stands_at
            key, version = (row.tenant, move.sku), versions.get(move.sku)
            place = (stands_at, _BEHIND_ITS_CLASS, "")
            if move.sku not in numbered:
                self._taken[key] = (move.position, row)
            elif says := self._overtaken(key, (event.stream, move.quantity), place, version, stock):
                return row, f"holds {move.quantity} units of {move.sku} for a basket {says}"
        if event.short is None:
            return None
        holder, short = promise_stream(event.promise_id), {one.sku: one.quantity for one in event.short}
        self._orders[row.tenant, holder] = basket(event)
        for change in event.queue or ():
            if change.sku in short:
                wait = Wait(short[change.sku], position_of(change, event.movements))
                self._wait((row.tenant, change.sku), holder, wait)
        return None

    def _basket_left(
        self, row: LogRow, event: PromiseConfirmed | PromiseExpired | PromiseReleased
    ) -> _Told | None:
        """A basket waits no more, or for less; an order that took it over waits instead."""
        holder, left = promise_stream(event.promise_id), {one.sku: one.quantity for one in event.waited or ()}
        known = self._orders.get((row.tenant, holder))
        if isinstance(event, PromiseConfirmed) and known is not None:
            places = {place.sku: place.since for place in event.places or ()}
            if any(since != known.since for since in places.values()):
                return row, f"takes over another place than {holder} has, which waits since {known.since}"
            self._orders[row.tenant, event.order_id] = changed(known, places=places)
        elif known is not None:
            del self._orders[row.tenant, holder]
        for change in event.queue or ():
            key, position = (row.tenant, change.sku), position_of(change, event.movements)
            if told := self._look(key, holder, position):
                return told
            before, units = self._waits.get(key, {}).get(holder), left.get(change.sku, 0)
            lacked = 0 if before is None else before.units
            if units > lacked:
                says = f"leaves the queue of {change.sku} with {units} units, and {holder} lacked {lacked}"
                return row, says
            rest = None if before is None or units == lacked else changed(before, units=lacked - units)
            self._wait(key, holder, rest)
            if isinstance(event, PromiseConfirmed):
                self._wait(key, event.order_id, Wait(units, position))
        return None

    def _released(self, row: LogRow, event: StockReleased | LinesReleased) -> _Told | None:
        """What is left of its wait, the next event of the order says."""
        for change in event.queue or ():
            key, position = (row.tenant, change.sku), position_of(change, event.movements)
            if told := self._look(key, event.order_id, position):
                return told
            self._wait(key, event.order_id, None)
        if isinstance(event, StockReleased) and event.cause == "cancelled":
            self._orders.pop((row.tenant, event.order_id), None)
        return None

    def _given(
        self,
        row: LogRow,
        event: StockPegged | HoldsFilled,
        given: Mapping[str, int],
        free: bool,
        stock: _Stock,
    ) -> _Told | None:
        """Units by who is given them, `free` ones, or those that others have just lost."""
        key, line = (row.tenant, event.sku), self._line((row.tenant, event.sku))
        if given.keys() <= {order_id for order_id, _, _ in line}:  # else somebody's wait is of an older log
            if self._open(key) or (not free and self._destinations.bound(key)):
                says = ""
            elif free:
                says = self._misgiven(key, line, given, event.terms_version, stock)
            else:
                says = misallotted(key[1], line, given, self._losers.pop(key, []))
            if says:
                return row, says
        waits, position = self._waits.get(key, {}), event.movements[-1].position
        for order_id in given.keys() & waits.keys():
            if told := self._look(key, order_id, position):
                return told
            left = waits[order_id].units - given[order_id]
            self._wait(key, order_id, changed(waits[order_id], units=left) if left else None)
        return None

    def _broken(
        self, row: LogRow, event: ReservationBroken | HoldsBroken, promised: _Promised
    ) -> _Told | None:
        key, position = (row.tenant, event.sku), event.movements[-1].position
        lost, keepers, cause = units_of(event), set(promised.get(key, ())), None
        if isinstance(event, HoldsBroken):
            keepers = {holder for holder in keepers if "/" in holder}
        elif event.cause is not None:
            cause, keepers = event.cause, {holder for holder in keepers if "/" not in holder}
        losers = sorted(self._places(key, lost))
        keeps = max(self._places(key, keepers), default=None)
        # what others keep may be too old for those who lose theirs, or lie where nobody can send it to them
        bound = (isinstance(event, HoldsBroken) or cause is not None) and self._destinations.bound(key)
        shelf_days = any(one.shelf_days for one in self._terms.get(key, {}).values())
        aged = cause in ("shelf_life", "not_served") or bound or shelf_days
        if losers and keeps is not None and keeps > losers[0] and not aged:
            return row, (
                f"takes units of {event.sku} from order {losers[0][2]}; order {keeps[2]}, behind it in the "
                "queue, keeps its own"
            )
        if cause == "reallocated":
            self._losers[key] = losers
        for holder, quantity in lost.items():
            before = self._waits.get(key, {}).get(holder) or Wait(0, position)
            self._wait(key, holder, changed(before, units=before.units + quantity))
        return None

    # The laws

    def _misgiven(
        self,
        key: SkuKey,
        line: Iterable[tuple[str, Waiter, Wait]],
        given: Mapping[str, int],
        version: int | None,
        stock: _Stock,
    ) -> str:
        """Free units that were given, held against the queue from its front."""
        left = self._offered(key, stock) + sum(given.values())
        reach = self._destinations.before(key, stock[key], self._promised.get(key, {}), given)
        passed_over = kept_for = ""
        for order_id, order, wait in line:
            got, due = given.get(order_id, 0), self._due(key, order, wait, left, version)
            kept = wait.whole or (reach is not None and not reach.told(order_id))
            if reach is not None:
                due = reach.due(order_id, due, whole=wait.whole)
                reach.give(order_id, due if kept else got)
            gives = f"gives {got} units of {key[1]} to order {order_id}"
            if got > wait.units:
                return f"{gives}, which lacks {wait.units}"
            if got and passed_over:
                return f"{gives} before order {passed_over}"
            if got > left:
                return f"{gives}, which are kept for order {kept_for}"
            if kept:
                left, kept_for = left - due, order_id if due else kept_for
                continue
            left -= got
            if got < due:
                passed_over = f"{order_id}, which lacks {wait.units - got} and could have had {due - got}"
        return ""

    def _overtaken(
        self, key: SkuKey, taker: tuple[str, int], place: Place, version: int | None, stock: _Stock
    ) -> str:
        """Units that somebody takes for himself, held against those who stand before him."""
        holder, quantity = taker
        if self._open(key, but=holder):
            return ""
        left = self._offered(key, stock) + quantity
        reach = self._destinations.before(key, stock[key], self._promised.get(key, {}), dict([taker]))
        for order_id, order, wait in self._line(key):
            if order.place(order_id, key[1]) >= place:
                break
            due = self._due(key, order, wait, left, version)
            if reach is not None:
                due = reach.due(order_id, due, whole=wait.whole)
                reach.give(order_id, due)
            left -= due
            if due and (quantity > left or (reach is not None and quantity > reach.spare(holder))):
                return f"before order {order_id}, which lacks {wait.units} and could have had {due}"
        return ""

    def _offered(self, key: SkuKey, stock: _Stock) -> int:
        """Units that can be promised: none of those at nodes that are switched off."""
        there = stock[key]
        apart = sum(there.buckets.get((node, "on_hand"), 0) for node in self._closed.get(key, ()))
        return there.on_hand - apart - there.reserved

    def _due(self, key: SkuKey, order: Waiter, wait: Wait, left: int, version: int | None) -> int:
        """Of so many units, those that an order could have; none where the log does not tell."""
        if version is not None:
            terms = self._terms.get(key, {}).get(version)
            if terms is None or not order.channel_known or order.channel in terms.shelf_days:
                return 0  # units may be too old for it, which no queue knows
            left -= terms.withheld(order.channel, order.policy.rank)
        if wait.whole:
            return 0 if wait.passed or left < wait.units else wait.units
        return max(0, min(wait.units, left))

    def _open(self, key: SkuKey, but: str = "") -> bool:
        """Whether inventory may have known less of where units go, held or waited for, than the log says."""
        held, waits = self._promised.get(key, {}), self._waits.get(key, {})
        return any(one != but and (one in held or one in waits) for one in self._destinations.unsure(key))

    # Who waits

    def _line(self, key: SkuKey) -> list[tuple[str, Waiter, Wait]]:
        """Those who wait, who is to be served first in front."""
        known = [
            (order_id, order, wait)
            for order_id, wait in self._waits.get(key, {}).items()
            if (order := self._orders.get((key[0], order_id))) is not None
        ]
        return sorted(known, key=lambda one: one[1].place(one[0], key[1]))

    def _places(self, key: SkuKey, orders: Iterable[str]) -> Iterator[Place]:
        for order_id in orders:
            if (order := self._orders.get((key[0], order_id))) is not None:
                yield order.place(order_id, key[1])

    def _wait(self, key: SkuKey, order_id: str, wait: Wait | None) -> None:
        waits = self._waits.setdefault(key, {})
        if wait is not None:
            waits[order_id] = wait
        else:
            waits.pop(order_id, None)
        if not waits:
            del self._waits[key]

    def _look(self, key: SkuKey, order_id: str, position: int) -> _Told | None:
        """Up to this position of the SKU nobody may have taken units as though the order did not wait. Where
        events behind it were read already, what they hide is left out."""
        wait = self._waits.get(key, {}).get(order_id)
        if wait is None:
            return None
        if wait.seen < self._taken.get(key, (0,))[0] <= position:
            return self._unseen(key, order_id, wait)
        self._waits[key][order_id] = changed(wait, seen=position)
        return None

    def _unseen(self, key: SkuKey, order_id: str, wait: Wait) -> _Told:
        _, row = self._taken[key]
        return row, f"takes units of {key[1]} as though nobody waited; order {order_id} lacks {wait.units}"
