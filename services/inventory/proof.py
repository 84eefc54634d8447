"""The proof that nothing was oversold, from inventory's log alone: no table, no snapshot, no counter.

For `orderlog prove no-oversell`. It takes the published log rows of every lane and recomputes all stock from
their movements. After each event it holds that

- each lane's sequence and each SKU's positions count from 1, without a gap or a repeat;
- no bucket but a source falls below zero at any movement, and `transfer` is zero over the nodes of a SKU;
- no more units of a SKU are promised than are on hand;
- what arrives of a purchase order or a transfer was on its way under it, and what is on its way adds up;
- where not all nodes of a SKU ship everywhere, what is promised can be sent to its country (`proof_serving`);
- an order resolves, by giving back or by allocation, only what it was promised, and ships, misses or gives
  back only what was allocated to it: so each reserved unit is resolved once, or still open, and what the
  orders have open adds up to what is reserved and allocated;
- a bundle is unpacked, and a kit made or taken apart, by the parts that its definition says; an order that
  was unpacked is promised the very lines that it was unpacked into;
- no more units of a lot leave a bucket than came into it, a SKU that has lots moves none without, an order
  ships its lots, and nothing is allocated of a lot that was stopped, or to a channel for which it was too
  old; a unit with a serial number is in one place at a time, and is issued again only once it came back;
- no order is sent to a bin for more units than were put away there;
- a held promise is held once and resolved once (confirmed by an order, released, or expired), with all of its
  units, and what the promises have open adds up to what is held;
- who waits for a SKU is served by class, then by age, as `proof_queue` says.

Movements of one SKU stand in several lanes; `position` says in which order they became known, and a number
what changed of its queue before what. Rows may come
lane by lane or mixed: an event waits until its SKUs have reached its positions. What holds after each holds
for every answer about a past moment as was known by then. Memory is what is open (SKUs, orders), and rows
that came ahead of their turn: few, when they come in the order of recording.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from libs.events.catalogue import Unreadable, decode
from libs.events.contract import Event, OrderEvent
from libs.events.inventory import ReservationBroken, StockPegged
from libs.events.promise import HoldsBroken, HoldsFilled, promise_stream
from services.inventory.hindsight import Finding
from services.inventory.ledger import movements, positions, stated
from services.inventory.proof_bins import BinsSoFar
from services.inventory.proof_bundles import Bundles
from services.inventory.proof_documents import OnTheWay
from services.inventory.proof_lots import LotsSoFar
from services.inventory.proof_promises import HeldPromises, holder_of
from services.inventory.proof_queue import Queues
from services.inventory.proof_rows import LogRow
from services.inventory.proof_serials import SerialsSoFar
from services.inventory.proof_serving import Destinations
from services.inventory.proof_stock import Broken, SkuKey, StockSoFar, must_hold, post
from services.inventory.stock import AnyMovement

AHEAD_MAX = 1_000_000
"""Rows that may wait for a predecessor before the walk gives up; about a kilobyte each."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The first event at which the log stops to hold."""

    lane: int
    seq: int
    event_id: str
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How far the log holds. `held_up_to` is the last good sequence of each lane."""

    holds: bool
    events: int
    movements: int
    skus: int
    open_units: int
    """Units promised or allocated to orders that are not resolved yet."""
    oversold_units: int
    """Units promised, or taken from a bucket, that did not exist, at the violation."""
    held_up_to: dict[int, int]
    violation: Violation | None = None
    backdated: int = 0
    """Movements that say that they were true before they were told."""
    told_late: frozenset[tuple[str, str]] = frozenset()
    """(tenant, SKU) of those."""
    hindsight: tuple[Finding, ...] = ()
    """What `hindsight.look` found of them, where somebody had it look."""


class RowsTooFarApart(Exception):
    """The rows came so unlike their order of recording that the walk would need too much memory."""


_SKU = "sku/"
_Changes = StockPegged | ReservationBroken | HoldsBroken | HoldsFilled
"""Events of a SKU by which those who are named win or lose units."""


def prove(rows: Iterable[LogRow], ahead_max: int = AHEAD_MAX) -> Proof:
    """Walk a log. Each lane's rows come in their order; lanes may be mixed in any way.

    Raises RowsTooFarApart when more than `ahead_max` rows wait for their predecessors.
    """
    walk = _Walk(ahead_max)
    violation, oversold = None, 0
    try:
        for row in rows:
            walk.take(row)
        walk.finish()
    except Broken as broken:
        at = walk.at
        assert at is not None, "nothing was read, so nothing can be wrong"
        violation = Violation(at.lane, at.seq, str(at.event_id), at.type, str(broken))
        oversold = broken.oversold_units
    return Proof(
        holds=violation is None,
        events=walk.events,
        movements=walk.movements,
        skus=sum("/" not in name for _, name in walk.skus),
        open_units=sum(sum(held.values()) for held in walk.promised.values()) + sum(walk.allocated.values()),
        oversold_units=oversold,
        held_up_to=dict(sorted(walk.held_up_to.items())),
        violation=violation,
        backdated=walk.backdated,
        told_late=frozenset(walk.told_late),
    )


class _Walk:
    """The rows read, as far as they hold; `at` is the row that is being looked at."""

    def __init__(self, ahead_max: int) -> None:
        self._ahead_max, self._ahead = ahead_max, 0
        self._lanes: dict[int, deque[tuple[LogRow, Event]]] = {}
        self._read_up_to: dict[int, int] = {}
        self._waits_for: dict[tuple[SkuKey, int], int] = {}
        self.held_up_to: dict[int, int] = {}
        self.events = self.movements = self.backdated = 0
        self.skus: dict[SkuKey, StockSoFar] = {}
        """What was read of each SKU, and by its stream of each held promise, which has a position alone."""
        self.promised: dict[SkuKey, dict[str, int]] = {}
        """Open promised units by SKU, then by order, or stream of a held promise."""
        self.allocated: dict[tuple[SkuKey, str, str], int] = {}
        """Open allocated units by SKU, order and node."""
        self._held = HeldPromises()
        self._on_the_way = OnTheWay()
        self._bundles = Bundles()
        self._lots = LotsSoFar()
        self._bins = BinsSoFar()
        self._serials = SerialsSoFar()
        self._destinations = Destinations()
        self._queues = Queues(self._destinations)
        self.told_late: set[SkuKey] = set()
        self.at: LogRow | None = None

    def take(self, row: LogRow) -> None:
        """Queue a row behind its lane, and walk on as far as that allows."""
        self.at = row
        expected = self._read_up_to.get(row.lane, 0) + 1
        if row.seq != expected:
            raise Broken(f"lane {row.lane} goes on with sequence {row.seq} instead of {expected}")
        self._read_up_to[row.lane] = row.seq
        try:
            event = decode(row.type, row.version, row.payload)
        except Unreadable as error:
            raise Broken(f"cannot be read: {error}") from None
        if not isinstance(event, Event):
            raise Broken(f"{row.type} is no event")
        queue = self._lanes.setdefault(row.lane, deque())
        queue.append((row, event))
        self._ahead += 1
        if len(queue) == 1:
            self._advance(row.lane)
        if self._ahead > self._ahead_max:
            raise RowsTooFarApart(
                f"{self._ahead} rows wait for predecessors; read the rows in the order of their recording"
            )

    def finish(self) -> None:
        """Everything was read: nothing may wait any more, and what is open must add up."""
        waiting = [queue for queue in self._lanes.values() if queue]
        to_come = {
            (key, move.position)
            for queue in waiting
            for row, event in queue
            for move in movements(event)
            for key in ((row.tenant, move.sku),)
        }
        blamed = list[tuple[bool, LogRow, str]]()
        for queue in waiting:
            row, event = queue[0]
            missing = self._missing(row, event)
            assert missing is not None, "a lane waits for nothing"
            key, position = missing
            before = self.skus[key].position + 1 if key in self.skus else 1
            says = f"starts at position {position} of {key[1]}; position {before} never comes"
            blamed.append(((key, before) in to_come, row, says))
        if blamed:
            _, self.at, says = min(blamed, key=lambda item: item[0])
            raise Broken(says)
        self._must_add_up()
        for row, says in (*self._lots.amiss(), *self._bins.amiss(), *self._queues.amiss()):
            self.at = row
            raise Broken(says)

    def _advance(self, lane: int) -> None:
        """Walk a lane, and every lane that waited for it, until each waits or is read."""
        ready = [lane]
        while ready:
            lane = ready.pop()
            queue = self._lanes[lane]
            while queue:
                row, event = queue[0]
                self.at = row
                missing = self._missing(row, event)
                if missing is not None:
                    self._wait(missing, lane)
                    break
                self._hold(row, event)
                queue.popleft()
                self._ahead -= 1
                self.held_up_to[row.lane] = row.seq
                for key, _ in _first_positions(row, event):
                    woken = self._waits_for.pop((key, self.skus[key].position + 1), None)
                    if woken is not None:
                        ready.append(woken)

    def _wait(self, missing: tuple[SkuKey, int], lane: int) -> None:
        other = self._waits_for.setdefault(missing, lane)
        if other != lane:
            (_, sku), position = missing
            raise Broken(f"takes position {position} of {sku}, which another event of lane {other} takes too")

    def _missing(self, row: LogRow, event: Event) -> tuple[SkuKey, int] | None:
        """The position that has to come first: (SKU, the event's own position of it)."""
        for key, position in _first_positions(row, event):
            there = self.skus.get(key, StockSoFar()).position
            if position <= there:
                raise Broken(f"takes position {position} of {key[1]}, which an earlier event took")
            if position > there + 1:
                return key, position
        return None

    def _hold(self, row: LogRow, event: Event) -> None:
        """Apply an event whose turn it is, and hold it to everything that the module promises."""
        moves = movements(event)
        touched: dict[SkuKey, StockSoFar] = {}
        for move in moves:
            key = (row.tenant, move.sku)
            touched[key] = sku = self.skus.setdefault(key, StockSoFar())
            if move.position != sku.position + 1:
                raise Broken(f"jumps from position {sku.position} to {move.position} of {move.sku}")
            sku.position = move.position
            post(sku, move)
        for (_, name), sku in touched.items():
            must_hold(name, sku)
        for stream, position in positions(event):
            if stream.startswith(_SKU):
                continue
            self.skus.setdefault((row.tenant, stream), StockSoFar()).position = position
        self._resolve(row.tenant, event, moves)
        if isinstance(event, StockPegged | ReservationBroken | HoldsBroken | HoldsFilled):
            self._peg(row.tenant, event)
        if wrong := self._held.take(row.tenant, event) or self._on_the_way.take(row.tenant, event, moves):
            raise Broken(wrong)
        if wrong := self._bundles.take(row, event, moves) or self._lots.take(row, event, moves):
            raise Broken(wrong)
        if wrong := self._bins.take(row, event, moves) or self._serials.take(row, event, moves):
            raise Broken(wrong)
        if amiss := self._destinations.take(row, event, moves, self.skus, self.promised):
            raise Broken(amiss)
        if told := self._queues.take(row, event, moves, self.skus, self.promised):
            self.at, wrong = told
            raise Broken(wrong)
        if stated(event) is not None:
            self.backdated += len(moves)
            self.told_late.update(touched)
        self.events += 1
        self.movements += len(moves)

    def _resolve(self, tenant: str, event: Event, moves: Sequence[AnyMovement]) -> None:
        """Movements of an order, or of a held promise, change what it was promised and allocated."""
        order_id, holder = event.stream if isinstance(event, OrderEvent) else "", holder_of(event)
        for move in moves if order_id or holder else ():
            key = (tenant, move.sku)
            for bucket, delta in ((move.source, -move.quantity), (move.target, move.quantity)):
                if bucket == "reserved":
                    self._promise(key, order_id, delta)
                elif bucket == "held":
                    self._promise(key, holder, delta)
                    self._held.move(tenant, holder, delta)
                elif bucket == "allocated":
                    place = (key, order_id, move.node)
                    left = self.allocated.pop(place, 0) + delta
                    if left < 0:
                        raise Broken(
                            f"order {order_id} uses {-left} units of {move.sku} at {move.node} that were not "
                            "allocated to it",
                            -left,
                        )
                    if left:
                        self.allocated[place] = left

    def _peg(self, tenant: str, event: _Changes) -> None:
        sign = 1 if isinstance(event, StockPegged | HoldsFilled) else -1
        changes = _changes(event)
        named = sum(quantity for _, quantity in changes)
        moved = sum(move.quantity for move in event.movements)
        if named != moved:
            raise Broken(f"names {named} units of {event.sku} and moves {moved}")
        for holder, quantity in changes:
            self._promise((tenant, event.sku), holder, sign * quantity)
            if isinstance(event, HoldsBroken | HoldsFilled):
                self._held.move(tenant, holder, sign * quantity)

    def _promise(self, key: SkuKey, order_id: str, delta: int) -> None:
        holders = self.promised.setdefault(key, {})
        left = holders.pop(order_id, 0) + delta
        if left < 0:
            raise Broken(
                f"{_whose(order_id)} resolves {-left} units of {key[1]} that were not promised to it", -left
            )
        if left:
            holders[order_id] = left

    def _must_add_up(self) -> None:
        """What orders and documents have open is what the SKUs' buckets hold for them."""
        buckets = {key: sku.buckets for key, sku in self.skus.items()}
        if nowhere := self._bundles.amiss():
            self.at, says = nowhere
            raise Broken(says)
        if amiss := self._held.left() or self._on_the_way.amiss(buckets):
            raise Broken(amiss)
        promised = {key: sum(holders.values()) for key, holders in self.promised.items()}
        allocated: dict[tuple[SkuKey, str], int] = {}
        for (key, _, node), quantity in self.allocated.items():
            allocated[key, node] = allocated.get((key, node), 0) + quantity
        for key, sku in self.skus.items():
            if promised.get(key, 0) != sku.reserved:
                raise Broken(
                    f"{sku.reserved} units of {key[1]} are promised and {promised.get(key, 0)} have an order "
                    "or a held basket"
                )
            for (node, bucket), quantity in sku.buckets.items():
                if bucket == "allocated" and quantity != allocated.get((key, node), 0):
                    raise Broken(
                        f"{quantity} units of {key[1]} are allocated at {node}, of which "
                        f"{allocated.get((key, node), 0)} have an order"
                    )


def _first_positions(row: LogRow, event: Event) -> Iterator[tuple[SkuKey, int]]:
    """Where the event begins in each of its SKUs, and in the held promise that it changes."""
    seen: set[str] = set()
    for stream, position in positions(event):
        name = stream.removeprefix(_SKU)
        if name not in seen:
            seen.add(name)
            yield (row.tenant, name), position


def _changes(event: _Changes) -> list[tuple[str, int]]:
    """Units by who wins or loses them."""
    if isinstance(event, HoldsBroken | HoldsFilled):
        return [(promise_stream(hold.promise_id), hold.quantity) for hold in event.holds]
    return [(claim.order_id, claim.quantity) for claim in event.claims]


def _whose(holder: str) -> str:
    return f"promise {holder}" if "/" in holder else f"order {holder}"
