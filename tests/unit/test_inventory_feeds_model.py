"""Any life of a feed in its own words, and of orders on what it tells, against a naive recount.

The recount knows what each SKU of theirs told last, and of which shelves nobody has told since the feed went
silent. Rows are taken up at once, or when their reminder rings, in any order.
"""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.contract import Contract, Event
from libs.events.feed_maps import StockTold
from libs.events.feeds import FeedStale, RetireFeed, StockReported
from libs.events.inventory import StockAllocated, StockReserved
from libs.events.order import LineQuantity
from libs.events.refusal import CommandRefused
from libs.events.stocktaking import CountRecorded
from libs.events.timer import Timer
from services.inventory.ledger import movements
from services.inventory.proof import prove
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.plays import plays
from tests.spec import NOON
from tests.unit.inventory_supply import count, feed, maps, move, tells
from tests.unit.inventory_trade import accepted, cancelled, due, line, receive, routed
from tests.unit.inventory_world import World, fold, known

SKUS = st.sampled_from(("A", "B"))
THEIRS = st.sampled_from(("t1", "t2", "t3"))
NODES = st.sampled_from(("V1", "N1"))
FEW = st.integers(1, 4)
RARELY = st.integers(0, 4).map(lambda number: number == 0)
AGES = st.integers(0, 50)
"""Seconds that a row is old when it is told; it is fresh for a minute."""
BUFFER = 1


class FeedLife(RuleBasedStateMachine):
    """`told` is what each of theirs told last, and of which SKU of ours; `silent` are shelves at V1."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.map: dict[str, tuple[str | None, int]] = {}
        self.told: dict[str, tuple[str, int]] = {}
        self.silent: set[tuple[str, str]] = set()
        self.retired = False
        self.orders = 0
        self.asked: dict[str, tuple[int, LineQuantity]] = {}
        self.allocated: list[tuple[str, LineQuantity]] = []

    @initialize()
    def begin(self) -> None:
        self.define()
        for theirs, sku, pack_size in (("t1", "A", 1), ("t2", "A", 3), ("t3", "B", 1)):
            self.enter(theirs, sku, pack_size)

    def take(self, body: Contract) -> list[Event]:
        return self._noted(self.world.take(body))

    def ring(self, timer: Timer) -> None:
        events = self._noted(self.world.due(timer))
        if timer.name == "told" and any(isinstance(event, StockReported) for event in events):
            self._is_all_there(timer.stream.removeprefix("sku/"))

    def _noted(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, FeedStale):
                self.silent.add((event.sku, event.node))
            elif isinstance(event, StockReported | CountRecorded):
                self.silent.discard((event.sku, event.node))
            elif event.stream.startswith("sku/"):
                self.silent -= {(one.sku, one.node) for one in movements(event) if one.target == "on_hand"}
            if isinstance(event, StockReserved):
                self.asked[event.order_id] = (event.round, event.lines[0])
        return events

    def _is_all_there(self, sku: str) -> None:
        """What all of theirs told of it, less what orders have or was set aside; what was told in time is
        promised, but for the buffer."""
        units = sum(units for ours, units in self.told.values() if ours == sku)
        balance = self.world.balance
        kept = balance[sku, "V1", "allocated"] + balance[sku, "V1", "quarantine"]
        on_hand = balance[sku, "V1", "on_hand"]
        assert on_hand + balance[sku, "V1", "vendor"] == max(0, units - kept)
        part = self.world.parts[f"supply/{sku}"]
        stale_at = part.feeds["acme"].stale_at  # type: ignore[union-attr]
        if stale_at > self.world.now:
            assert on_hand == max(0, max(0, units - kept) - BUFFER)

    # The feed

    @precondition(lambda self: self.retired)
    @rule()
    def define(self) -> None:
        self.take(feed(mapped=True, buffer_units=BUFFER, stale_minutes=1))
        self.retired = False

    @rule(theirs=THEIRS, sku=st.sampled_from((None, "A", "B")), pack_size=st.integers(1, 3))
    def enter(self, theirs: str, sku: str | None, pack_size: int) -> None:
        events = self.take(maps(theirs, sku, pack_size))
        if self.retired:
            assert isinstance(events[0], CommandRefused)
            return
        self.map[theirs] = (sku, pack_size)
        if theirs in self.told and self.told[theirs][0] != sku:
            del self.told[theirs]

    @rule(theirs=THEIRS, packs=st.integers(0, 5), age=AGES, delta=RARELY, at_once=st.booleans())
    def tell(self, theirs: str, packs: int, age: int, delta: bool, at_once: bool) -> None:
        stated_at = self.world.now - timedelta(seconds=age)
        mode, packs = ("delta", packs - 2) if delta else ("full", packs)
        row = tells(theirs, packs, (stated_at - NOON) / timedelta(minutes=1), mode=mode)
        before = dict(self.world.balance)
        [event] = self.take(row)
        assert self.world.balance == before, "a row alone moves nothing"
        sku, pack_size = self.map[theirs]
        if isinstance(event, CommandRefused):
            return
        assert isinstance(event, StockTold)
        assert sku is not None
        assert not self.retired
        units = packs * pack_size + (self.told[theirs][1] if delta else 0)
        assert event.told == units >= 0
        self.told[theirs] = (sku, units)
        if at_once:
            self.ring(self.world.timers[f"sku/{sku}", "told"])

    @precondition(lambda self: self.world.timers)
    @rule(data=st.data())
    def remind(self, data: st.DataObject) -> None:
        self.ring(self.world.timers[data.draw(st.sampled_from(sorted(self.world.timers)))])

    @rule(seconds=st.integers(5, 70))
    def wait(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @precondition(lambda self: not self.retired)
    @rule(truly=RARELY)
    def retire(self, truly: bool) -> None:
        if not truly:
            return
        self.take(RetireFeed(feed="acme"))
        self.retired = True
        for sku in ("A", "B"):
            self.take(due(f"sku/{sku}", "feed_retired"))

    # Orders, and whoever looks at the shelf

    @rule(sku=SKUS, quantity=FEW)
    def order(self, sku: str, quantity: int) -> None:
        self.orders += 1
        self.take(accepted(f"o{self.orders}", (sku, quantity)))

    @rule(theirs=THEIRS, packs=FEW, quantity=FEW)
    def promise_and_fall_silent(self, theirs: str, packs: int, quantity: int) -> None:
        self.tell(theirs, packs, age=0, delta=False, at_once=True)
        sku = self.map[theirs][0] or "A"
        self.order(sku, quantity)
        self.wait(70)
        if (stream := f"sku/{sku}", "feeds") in self.world.timers:
            self.ring(self.world.timers[stream, "feeds"])

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), node=NODES)
    def route(self, data: st.DataObject, node: str) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.asked)))
        round_, wanted = self.asked.pop(order_id)
        for event in self.take(routed(order_id, round_, **{node: (wanted,)})):
            if isinstance(event, StockAllocated):
                self.allocated.append((order_id, wanted))

    @precondition(lambda self: self.allocated or self.asked)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        found = [*self.allocated, *((order_id, wanted) for order_id, (_, wanted) in self.asked.items())]
        order_id, wanted = data.draw(st.sampled_from(found))
        self.take(cancelled(order_id, line(1, wanted.sku, wanted.quantity)))
        self.allocated = [one for one in self.allocated if one[0] != order_id]
        self.asked.pop(order_id, None)

    @rule(sku=SKUS, quantity=FEW, there=RARELY)
    def receive(self, sku: str, quantity: int, there: bool) -> None:
        self.take(receive(sku, quantity, "V1" if there else "N1"))

    @rule(sku=SKUS, quantity=FEW, back=st.booleans())
    def set_aside(self, sku: str, quantity: int, back: bool) -> None:
        way = ("quarantine", "on_hand") if back else ("on_hand", "quarantine")
        self.take(move(sku, quantity, *way, node="V1"))  # type: ignore[arg-type]

    @rule(sku=SKUS, truly=RARELY)
    def count(self, sku: str, truly: bool) -> None:
        """Somebody finds what the books say."""
        if not truly:
            return
        part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
        assert isinstance(part, SkuPart)
        units = sum(self.world.balance[sku, "V1", one] for one in ("on_hand", "allocated", "suspect"))
        self.take(count(sku, f"C{self.world.now}", units, units, part.position, self.world.now, "V1"))

    # What holds at any moment

    @invariant()
    def nothing_is_offered_of_which_nobody_tells_any_more(self) -> None:
        for sku in ("A", "B"):
            part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
            assert isinstance(part, SkuPart)
            open_ = [units for node, units in part.on_hand.items() if (sku, node) not in self.silent]
            assert part.offered == max(0, sum(open_) - part.reserved)

    def teardown(self) -> None:
        for _ in range(500):
            if self.world.timers:
                self.ring(next(iter(self.world.timers.values())))
        assert not self.world.timers, "reminders remind of each other for ever"
        proof = prove(self.world.log)
        assert proof.holds, proof.violation
        skus_first = sorted(self.world.folded, key=lambda item: not item[0].startswith("sku/"))
        theirs_first = sorted(self.world.folded, key=lambda item: not item[0].startswith("feed/"))
        assert fold(skus_first) == fold(theirs_first) == known(self.world.parts)


FeedLife.TestCase.settings = plays(lives=40, steps=40)
TestFeedLife = FeedLife.TestCase
