"""Any life of stock, orders and facts from outside, in any order of arrival, against a naive recount.

Everything that tests/unit/test_inventory_model.py does goes on around it. The recount knows nothing of the
code: it is told what was accepted, and keeps what is still to come of each document and is on each shelf.

Units also vanish and turn up without a word (`unseen`), and the books are put right for it (`put_right`): by
counts, snapshots, adjustments, feeds, and picks that found nothing. Both are sums by shelf, in which what
moves in the books and in the house does not show. Whoever looks at a shelf sees what has gone unseen until
then, and once that is booked, so much is put right, and no more: nothing is booked twice.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from libs.events.conditions import Condition
from libs.events.contract import Contract, Event
from libs.events.feeds import StockReported
from libs.events.inventory import StockAdjusted
from libs.events.refusal import CommandRefused
from libs.events.stocktaking import CountRecorded, DifferenceSettled
from libs.events.supply import CancelSupply, CloseTransfer, SupplyReceived, TransferReceived
from services.inventory.ledger import movements
from services.inventory.proof import prove
from services.inventory.stock import EMPTY_SKU, SkuPart
from services.inventory.supplies import KEPT_BUCKETS, SupplyPart
from tests.plays import plays
from tests.spec import NOON
from tests.unit.inventory_supply import (
    approve,
    arrive,
    count,
    expect,
    feed,
    land,
    move,
    propose,
    rules,
    send,
    told,
)
from tests.unit.inventory_trade import adjust
from tests.unit.test_inventory_model import FEW, NODES, RARELY, SKUS, InventoryLife

NONE_OR_FEW = st.integers(0, 4)
DOCUMENTS = st.sampled_from(("D1", "D2", "D3"))
RECEIPTS = st.sampled_from(("R1", "R2", "R3", "R4"))
Shelf = tuple[str, str]
"""SKU and node."""
SHELF = ("on_hand", "allocated", "suspect")
CORRECTS = (CountRecorded, DifferenceSettled, StockAdjusted, StockReported)
CONDITIONS = st.sampled_from(("on_hand", "quarantine", "damaged", "scrapped"))


class Look(NamedTuple):
    """What is on the shelves at a moment by the books, and what is amiss with them."""

    at: datetime
    books: Counter[Shelf]
    unseen: Counter[Shelf]
    put_right: Counter[Shelf]

    def there(self, shelf: Shelf) -> int:
        return self.books[shelf] + self.unseen[shelf] - self.put_right[shelf]


class SupplyLife(InventoryLife):
    """`ordered` and `came` are what was accepted of purchase orders, `sent` and `landed` of transfers."""

    def __init__(self) -> None:
        super().__init__()
        self.ordered: dict[tuple[str, str], int] = {}
        self.came: Counter[tuple[str, str]] = Counter()
        self.ended: set[tuple[str, str]] = set()
        self.sent: dict[tuple[str, str], int] = {}
        self.landed: Counter[tuple[str, str]] = Counter()
        self.arrived: set[tuple[str, str]] = set()
        self.unseen: Counter[Shelf] = Counter()
        self.put_right: Counter[Shelf] = Counter()
        self.shelves: list[Look] = []
        """After each input."""
        self.looks: dict[str, tuple[int, bool]] = {}
        """By the id of a count or proposal, what had gone unseen on its shelf when somebody looked, and
        whether nothing was put right between that and its being told."""
        self.receipts: set[tuple[str, str, str]] = set()
        self.stated = 0

    @initialize(picks=st.sampled_from((None, 1, 2)), units=st.sampled_from((None, 2)), ahead=st.booleans())
    def agree(self, picks: int | None, units: int | None, ahead: bool) -> None:
        self.take(rules(phantom_short_picks=picks, count_approval_units=units, unannounced=ahead))
        self.take(feed(feed="acme", node="N1", buffer_units=1, stale_minutes=1))

    def take(self, body: Contract) -> list[Event]:
        return self._seen(super().take(body))

    def _seen(self, events: list[Event]) -> list[Event]:
        for event in events:
            for one in movements(event):
                change = one.quantity * ((one.target in SHELF) - (one.source in SHELF))
                if isinstance(event, CORRECTS) or one.target == "missing":
                    self.put_right[one.sku, one.node] += change
            if isinstance(event, StockReported):  # what they tell is so
                place = (event.sku, event.node)
                self.unseen[place] = self.put_right[place]
        shelf: Counter[Shelf] = Counter()
        for (sku, node, bucket), units in self.world.balance.items():
            if bucket in SHELF:
                shelf[sku, node] += units
        self.shelves.append(Look(self.world.now, shelf, Counter(self.unseen), Counter(self.put_right)))
        return events

    def taken(self, body: Contract) -> bool:
        """Whether it was accepted; a refusal moves nothing."""
        before = Counter(self.world.balance)
        events = self.take(body)
        if events and isinstance(events[0], CommandRefused):
            assert self.world.balance == before
            return False
        return bool(events)

    # Purchase orders

    @rule(sku=SKUS, id_=DOCUMENTS, quantity=st.integers(1, 9), late=RARELY)
    def expect(self, sku: str, id_: str, quantity: int, late: bool) -> None:
        self.stated += 1
        stated = -self.stated if late else self.stated
        if self.taken(expect(sku, id_, quantity, f"N{id_[-1]}", stated=stated)):
            assert (sku, id_) not in self.ended
            self.ordered[sku, id_] = quantity

    @rule(sku=SKUS, id_=DOCUMENTS, receipt=RECEIPTS, good=NONE_OR_FEW, broken=NONE_OR_FEW, final=RARELY)
    def arrive(self, sku: str, id_: str, receipt: str, good: int, broken: int, final: bool) -> None:
        events = self.take(arrive(sku, id_, receipt, good, broken, f"N{id_[-1]}", final))
        again = (sku, id_, receipt) in self.receipts
        if not isinstance(events[0], SupplyReceived):
            return
        assert not again
        self.receipts.add((sku, id_, receipt))
        open_ = self._expected(sku, id_)
        self.came[sku, id_] += good + broken
        announced = (sku, id_) in self.ordered
        assert events[0].over == (max(0, good + broken - open_) if announced else 0)
        assert events[0].short == (max(0, open_ - good - broken) if final else 0)
        if events[0].short:
            self.ended.add((sku, id_))

    @rule(sku=SKUS, id_=DOCUMENTS)
    def call_off(self, sku: str, id_: str) -> None:
        if self.taken(CancelSupply(sku=sku, supply_id=id_)):
            self.ended.add((sku, id_))

    def _expected(self, sku: str, id_: str) -> int:
        if (sku, id_) in self.ended:
            return 0
        return max(0, self.ordered.get((sku, id_), 0) - self.came[sku, id_])

    # Transfers

    @rule(sku=SKUS, id_=DOCUMENTS, quantity=FEW, source=NODES)
    def send(self, sku: str, id_: str, quantity: int, source: str) -> None:
        target = "N2" if source == "N1" else "N1"
        events = self.take(send(sku, id_, quantity, source, target, self.world.now + timedelta(seconds=9)))
        if isinstance(events[0], CommandRefused):
            return
        self.sent[sku, id_] = quantity
        for event in events:
            self._landed(event)

    @rule(sku=SKUS, id_=DOCUMENTS, receipt=RECEIPTS, good=NONE_OR_FEW, broken=NONE_OR_FEW, final=RARELY)
    def land(self, sku: str, id_: str, receipt: str, good: int, broken: int, final: bool) -> None:
        for event in self.take(land(sku, id_, receipt, good, broken, final)):
            self._landed(event)

    @rule(sku=SKUS, id_=DOCUMENTS, outcome=st.sampled_from(("lost", "returned")))
    def give_up_transfer(self, sku: str, id_: str, outcome: str) -> None:
        if self.taken(CloseTransfer(sku=sku, transfer_id=id_, outcome=outcome)):
            self.arrived.add((sku, id_))

    def _landed(self, event: Event) -> None:
        if isinstance(event, TransferReceived):
            place = (event.sku, event.transfer_id)
            self.landed[place] += event.quantity + event.damaged
            if event.open == 0:
                self.arrived.add(place)

    def _in_transit(self, sku: str, id_: str) -> int:
        if (sku, id_) in self.arrived:
            return 0
        return max(0, self.sent.get((sku, id_), 0) - self.landed[sku, id_])

    # Shelves

    @rule(sku=SKUS, node=NODES, quantity=FEW, way=st.tuples(CONDITIONS, CONDITIONS))
    def change(self, sku: str, node: str, quantity: int, way: tuple[Condition, Condition]) -> None:
        source, target = way
        before = Counter(self.world.balance)
        if self.taken(move(sku, quantity, source, target, node)):
            assert self.world.balance[sku, node, target] == before[sku, node, target] + quantity

    @rule(sku=SKUS, node=NODES, units=st.integers(-3, 3))
    def vanish_or_turn_up(self, sku: str, node: str, units: int) -> None:
        self.unseen[sku, node] += units

    @rule(data=st.data(), sku=SKUS, node=NODES)
    def count(self, data: st.DataObject, sku: str, node: str) -> None:
        """As of any moment: what was there then. What moved since stands."""
        look = data.draw(st.sampled_from(self.shelves[-5:]))
        book, counted = look.books[sku, node], look.there((sku, node))
        part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
        assert isinstance(part, SkuPart)
        if counted < 0:
            return  # more has left than was there, by what nobody has seen
        id_ = self._looked("C", look, (sku, node))
        now, allocated = self._shelf(sku, node), self.world.balance[sku, node, "allocated"]
        events = self.take(count(sku, id_, counted, book, part.position, look.at, node))
        recorded = [event for event in events if isinstance(event, CountRecorded)]
        if recorded and recorded[0].outcome != "held":
            assert self._shelf(sku, node) == max(allocated, now + counted - book)
            if self.looks[id_][1]:
                self._must_be_right(id_, (sku, node), now, allocated)

    @rule(data=st.data(), sku=SKUS, node=NODES)
    def compare(self, data: st.DataObject, sku: str, node: str) -> None:
        """A snapshot of what was there at any moment, which is true; agreeing ones are told too."""
        look = data.draw(st.sampled_from(self.shelves[-5:]))
        id_ = self._looked("W", look, (sku, node))
        variance = look.there((sku, node)) - look.books[sku, node]
        self.take(propose(sku, id_, variance, (look.at - NOON) / timedelta(minutes=1), node))

    def _looked(self, kind: str, look: Look, shelf: Shelf) -> str:
        id_ = f"{kind}{next(self.numbers)}"
        self.looks[id_] = (look.unseen[shelf], look.put_right[shelf] == self.put_right[shelf])
        return id_

    def _must_be_right(self, id_: str, shelf: Shelf, before: int, allocated: int) -> None:
        """What was seen is booked: the books are as if nothing had gone unseen till then."""
        unseen, _ = self.looks[id_]
        right = before + unseen - (self.put_right[shelf] - self._shelf(*shelf) + before)
        assert self._shelf(*shelf) == max(allocated, right)

    def _shelf(self, sku: str, node: str) -> int:
        return sum(self.world.balance[sku, node, bucket] for bucket in SHELF)

    def _waiting(self) -> list[tuple[Shelf, str, int]]:
        """Shelf, id and variance of what waits for a person."""
        return [
            ((sku, one.node), id_, one.variance)
            for sku, part in self._supplies()
            for id_, one in part.differences.items()
        ]

    @precondition(lambda self: self._waiting())
    @rule(data=st.data(), yes=st.booleans(), corrected=st.booleans())
    def settle(self, data: st.DataObject, yes: bool, corrected: bool) -> None:
        """A person decides; with `corrected`, after somebody has put the books right by hand."""
        shelf, id_, variance = data.draw(st.sampled_from(self._waiting()))
        if corrected:
            self.take(adjust(shelf[0], variance, shelf[1]))
        before, allocated = self._shelf(*shelf), self.world.balance[(*shelf, "allocated")]
        settled = self.taken(approve(shelf[0], id_, yes=yes))
        assert settled or yes, "whatever was booked since, it may be rejected"
        if settled and yes and self.looks[id_][1]:
            self._must_be_right(id_, shelf, before, allocated)
        if settled and not yes:
            assert self._shelf(*shelf) == before

    @rule(sku=SKUS, packs=st.integers(0, 9), stated=st.integers(0, 9))
    def tell(self, sku: str, packs: int, stated: int) -> None:
        if self.taken(told(sku, packs, stated=stated / 60)):
            kept = sum(self.world.balance[sku, "N1", one] for one in ("allocated", "quarantine", "damaged"))
            there = sum(self.world.balance[sku, "N1", one] for one in ("on_hand", "suspect", "vendor"))
            assert there == max(0, packs - kept)

    @precondition(lambda self: self.world.timers)
    @rule(data=st.data())
    def remind(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.timers)))
        self._seen(self._asked(self.world.due(self.world.timers[key])))

    # What holds at any moment.

    def _supplies(self) -> Iterator[tuple[str, SupplyPart]]:
        for stream, part in self.world.parts.items():
            if isinstance(part, SupplyPart):
                yield stream.removeprefix("supply/"), part

    @invariant()
    def the_supplies_say_what_the_movements_say(self) -> None:
        for sku, part in self._supplies():
            for bucket in KEPT_BUCKETS:
                assert part.held.get(bucket, {}) == self._units(sku, bucket)

    @invariant()
    def a_shelf_has_at_most_one_difference_that_waits(self) -> None:
        for _, part in self._supplies():
            nodes = [one.node for one in part.differences.values()]
            assert len(nodes) == len(set(nodes))

    @invariant()
    def documents_are_what_a_naive_recount_says(self) -> None:
        for sku, part in self._supplies():
            expected = sum(self._expected(sku, id_) for id_ in ("D1", "D2", "D3"))
            assert sum(one.open for one in part.expected.values()) == expected
            assert sum(self._units(sku, "inbound").values()) == expected
            on_the_way = sum(self._in_transit(sku, id_) for id_ in ("D1", "D2", "D3"))
            assert sum(self._units(sku, "in_transit").values()) == on_the_way

    @invariant()
    def nothing_appears_or_vanishes(self) -> None:
        for sku in ("A", "B"):
            assert sum(units for (name, _, _), units in self.world.balance.items() if name == sku) == 0

    def teardown(self) -> None:
        assert prove(self.world.log).holds
        super().teardown()


SupplyLife.TestCase.settings = plays(lives=60, steps=50)
TestSupplyLife = SupplyLife.TestCase
