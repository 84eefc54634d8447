"""The part of the proof that is about where units go: what is promised can be sent there, with all else.

For `services.inventory.proof`, which walks the log. Where events say for which country units of a SKU were
promised (`Served`), it holds that nodes which ship there have these units, beside what all others were
promised by then, each for where it goes. Promises that name no country are taken to be such that any node can
keep them. A promise is held against the nodes as its event names their version: what was promised before
they changed stands.
"""

from collections.abc import Iterable, Iterator, Mapping, Set

from libs.events.contract import Event
from libs.events.inventory import StockAllocated, StockBackordered, StockReserved
from libs.events.promise import PromiseConfirmed, PromiseDated, PromiseHeld, PromiseMissed
from libs.events.reach import ReachChanged
from libs.events.serving import Served
from services.inventory.ledger import Placed
from services.inventory.proof_promises import holder_of
from services.inventory.proof_rows import LogRow
from services.inventory.proof_stock import SkuKey, StockSoFar
from services.inventory.serving import ANYWHERE, UNTOLD, Reach, Serving
from services.inventory.stock import AnyMovement

_Promised = Mapping[SkuKey, Mapping[str, int]]


class Destinations:
    """Which nodes of each SKU do not ship everywhere, and where orders and baskets go."""

    def __init__(self) -> None:
        self._bounds: dict[SkuKey, Serving] = {}
        self._closed: dict[SkuKey, tuple[str, ...]] = {}
        self._goes: dict[SkuKey, dict[str, str]] = {}
        """Country by order, or stream of a held promise."""
        self._taking: set[tuple[str, str]] = set()
        """Orders that took over baskets, and have not said yet where they go: their own event, which may move
        nothing, can be read behind others of the SKU."""
        self._unplaced: dict[SkuKey, set[str]] = {}
        """Holders that said where they go by an event without a place among those of the SKU, as they do when
        they are asked: it can be read before events at which inventory did not know it."""

    def take(
        self,
        row: LogRow,
        event: Event,
        moves: Iterable[AnyMovement],
        stock: Mapping[SkuKey, StockSoFar],
        promised: _Promised,
    ) -> str | None:
        """Note where an event's units go, whose movements were counted; what is wrong, if anything is."""
        if isinstance(event, ReachChanged):
            key = (row.tenant, event.sku)
            bounds = tuple((one.nodes, one.ships_to) for one in event.bound or ())
            self._bounds[key] = Serving(event.nodes_version, bounds, countries=event.serves)
            self._closed[key] = event.closed
        if isinstance(event, StockAllocated | Placed) and not isinstance(event, PromiseHeld):
            self._forget(row.tenant, event)
        if isinstance(event, PromiseConfirmed):
            self._taking.add((row.tenant, event.order_id))
        if not isinstance(event, StockReserved | StockBackordered | PromiseHeld):
            return None
        self._taking.discard((row.tenant, event.stream))
        holder = holder_of(event) or event.stream
        told = event.served
        for move in moves:
            if told is None or all(one.sku != move.sku for one in told.skus):
                self._goes.get((row.tenant, move.sku), {}).pop(holder, None)
        if isinstance(event, PromiseHeld) and event.destination is not None:
            for line in event.lines:  # it waits, and says so once: SKUs may get such nodes later
                self._goes.setdefault((row.tenant, line.sku), {})[holder] = event.destination.country
        if told is None:
            return None
        self._note(row.tenant, told, holder, {*(move.sku for move in moves), *_queued(event)})
        return self._beyond(row, told, moves, stock, promised)

    def _forget(self, tenant: str, event: StockAllocated | Placed) -> None:
        """What holds nothing any more, and waits for nothing, goes nowhere."""
        if isinstance(event, PromiseMissed | PromiseDated):
            return
        if isinstance(event, StockAllocated) and event.later:
            return
        if isinstance(event, PromiseConfirmed) and event.left:
            return  # what its order leaves of it is given back next, and goes where it went
        holder = holder_of(event) or event.stream
        for key in ((tenant, move.sku) for move in event.movements):
            self._goes.get(key, {}).pop(holder, None)
            self._unplaced.get(key, set()).discard(holder)

    def _reach(
        self, key: SkuKey, stock: StockSoFar, promised: Mapping[str, int], *, known: bool
    ) -> Reach | None:
        """What can be sent where, by the log so far; None where all nodes ship everywhere. `known`: an
        order that does not say where it goes has a destination; else, any node can serve it, as a basket."""
        serving = self._bounds.get(key)
        if serving is None or not serving.bounds:
            return None
        there = {node: units for (node, bucket), units in stock.buckets.items() if bucket == "on_hand"}
        goes, unsaid = self._goes.get(key, {}), UNTOLD if known else ANYWHERE
        to = (
            (goes.get(holder, ANYWHERE if "/" in holder else unsaid), units)
            for holder, units in promised.items()
        )
        return Reach(serving, there, to, self._closed.get(key, ()))

    def before(
        self, key: SkuKey, stock: StockSoFar, promised: Mapping[str, int], given: Mapping[str, int]
    ) -> "Sendable | None":
        """The same before these units were given, by holder, for who is served first."""
        without = {holder: units - given.get(holder, 0) for holder, units in promised.items()}
        reach = self._reach(key, stock, without, known=True)
        return None if reach is None else Sendable(reach, self._goes.get(key, {}))

    def bound(self, key: SkuKey) -> bool:
        """Whether some node of the SKU does not ship everywhere."""
        serving = self._bounds.get(key)
        return serving is not None and bool(serving.bounds)

    def unsure(self, key: SkuKey) -> Iterator[str]:
        """Those of whom it is not known where they went as far as inventory knew by now; none where all nodes
        of the SKU ship everywhere. They may hold and want nothing of it."""
        if self.bound(key):
            yield from self._unplaced.get(key, ())
            yield from (holder for tenant, holder in self._taking if tenant == key[0])

    def _note(self, tenant: str, told: Served, holder: str, placed: Set[str]) -> None:
        """Where a holder goes; `placed`: SKUs among whose events this one has its place."""
        for key in ((tenant, one.sku) for one in told.skus):
            goes, unplaced = self._goes.setdefault(key, {}), self._unplaced.setdefault(key, set())
            if key[1] in placed:
                unplaced.discard(holder)
            elif goes.get(holder) != told.country:
                unplaced.add(holder)
            goes[holder] = told.country

    def _beyond(
        self,
        row: LogRow,
        told: Served,
        moves: Iterable[AnyMovement],
        stock: Mapping[SkuKey, StockSoFar],
        promised: _Promised,
    ) -> str | None:
        """What is promised beyond what nodes that ship there have, if anything is."""
        won = {move.sku: move.quantity for move in moves if move.source == "unreserved"}
        for one in told.skus:
            key = (row.tenant, one.sku)
            taken, serving = won.get(one.sku, 0), self._bounds.get(key)
            if not taken or serving is None or serving.version != one.nodes_version:
                continue
            reach = self._reach(key, stock[key], promised.get(key, {}), known=False)
            if reach is not None and (over := reach.too_many(told.country, taken)):
                return (
                    f"promises {taken} units of {one.sku} for {told.country}; nodes that ship there have "
                    f"{taken - over} beside what others were promised"
                )
        return None


def _queued(event: StockReserved | StockBackordered | PromiseHeld) -> Iterable[str]:
    """SKUs whose queue the event changes."""
    return (change.sku for change in event.queue or ())


class Sendable:
    """What of a SKU can be sent to holders of promises, as they are served one by one."""

    def __init__(self, reach: Reach, goes: Mapping[str, str]) -> None:
        self._reach, self._goes = reach, goes

    def spare(self, holder: str) -> int:
        """Units that can be sent where it goes; anywhere, where it did not say."""
        return self._reach.spare(self._goes.get(holder, ANYWHERE))

    def due(self, holder: str, units: int, *, whole: bool) -> int:
        """Of units that it could have, those that can be sent, or all or none; where it did not say where to,
        they are kept for it."""
        there = min(units, self.spare(holder)) if holder in self._goes else units
        return 0 if whole and there < units else there

    def told(self, holder: str) -> bool:
        """Whether it said where it goes."""
        return holder in self._goes

    def give(self, holder: str, units: int) -> None:
        """It is given so many."""
        self._reach.give(self._goes.get(holder, UNTOLD), units)
