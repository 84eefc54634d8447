"""Any life of stock, orders and facts from outside, in any order of arrival, against a naive recount.

Everything that tests/unit/test_inventory_model.py does goes on around it. The recount knows nothing of the
code: it is told what was accepted, and keeps what is still to come of each document and is on each shelf.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from libs.events.conditions import Condition
from libs.events.contract import Contract, Event
from libs.events.refusal import CommandRefused
from libs.events.stocktaking import CountRecorded
from libs.events.supply import CancelSupply, CloseTransfer, SupplyReceived, TransferReceived
from services.inventory.proof import prove
from services.inventory.stock import EMPTY_SKU, SkuPart
from services.inventory.supplies import KEPT_BUCKETS, SupplyPart
from tests.unit.inventory_supply import (
    approve,
    arrive,
    count,
    expect,
    feed,
    land,
    move,
    rules,
    send,
    told,
)
from tests.unit.test_inventory_model import FEW, NODES, RARELY, SKUS, InventoryLife

NONE_OR_FEW = st.integers(0, 4)
DOCUMENTS = st.sampled_from(("D1", "D2", "D3"))
RECEIPTS = st.sampled_from(("R1", "R2", "R3", "R4"))
CONDITIONS = st.sampled_from(("on_hand", "quarantine", "damaged", "scrapped"))


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
        self.shelves: list[tuple[datetime, Counter[tuple[str, str]]]] = []
        """What was on the shelves (SKU, node) after each input."""
        self.receipts: set[tuple[str, str, str]] = set()
        self.stated = 0

    @initialize(picks=st.sampled_from((None, 1, 2)), units=st.sampled_from((None, 2)), ahead=st.booleans())
    def agree(self, picks: int | None, units: int | None, ahead: bool) -> None:
        self.take(rules(phantom_short_picks=picks, count_approval_units=units, unannounced=ahead))
        self.take(feed(feed="acme", node="N1", buffer_units=1, stale_minutes=1))

    def take(self, body: Contract) -> list[Event]:
        events = super().take(body)
        self._look()
        return events

    def _look(self) -> None:
        shelf: Counter[tuple[str, str]] = Counter()
        for (sku, node, bucket), units in self.world.balance.items():
            if bucket in ("on_hand", "allocated", "suspect"):
                shelf[sku, node] += units
        self.shelves.append((self.world.now, shelf))

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

    @rule(sku=SKUS, node=NODES, gone=st.integers(-3, 3), data=st.data())
    def count(self, sku: str, node: str, gone: int, data: st.DataObject) -> None:
        """As of any moment: what was there then, but for `gone`. What moved since stands."""
        at, then = data.draw(st.sampled_from(self.shelves[-5:]))
        book = then[sku, node]
        part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
        assert isinstance(part, SkuPart)
        counted = max(0, book - gone)
        now = self._shelf(sku, node)
        allocated = self.world.balance[sku, node, "allocated"]
        events = self.take(count(sku, f"C{next(self.numbers)}", counted, book, part.position, at, node))
        recorded = [event for event in events if isinstance(event, CountRecorded)]
        if recorded and recorded[0].outcome != "held":
            assert self._shelf(sku, node) == max(allocated, now + counted - book)

    def _shelf(self, sku: str, node: str) -> int:
        return sum(self.world.balance[sku, node, bucket] for bucket in ("on_hand", "allocated", "suspect"))

    @rule(data=st.data(), sku=SKUS, yes=st.booleans())
    def settle(self, data: st.DataObject, sku: str, yes: bool) -> None:
        part = self.world.parts.get(f"supply/{sku}")
        if isinstance(part, SupplyPart) and part.differences:
            id_ = data.draw(st.sampled_from(sorted(part.differences)))
            assert self.taken(approve(sku, id_, yes=yes))

    @rule(sku=SKUS, packs=st.integers(0, 9), stated=st.integers(0, 9))
    def tell(self, sku: str, packs: int, stated: int) -> None:
        if self.taken(told(sku, packs, stated=stated / 60)):
            allocated = self.world.balance[sku, "N1", "allocated"]
            there = self.world.balance[sku, "N1", "on_hand"] + self.world.balance[sku, "N1", "vendor"]
            assert there == max(0, packs - allocated)

    @precondition(lambda self: self.world.timers)
    @rule(data=st.data())
    def remind(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.timers)))
        self._asked(self.world.due(self.world.timers[key]))
        self._look()

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


SupplyLife.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestSupplyLife = SupplyLife.TestCase
