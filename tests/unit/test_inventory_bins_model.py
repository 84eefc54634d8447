"""Any life of stock, orders and facts from outside, as test_inventory_supply_model.py has it, where units are
put away in bins, and what lies in each is added up by the events alone.
"""

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from libs.events.contract import Event
from libs.events.inventory import StockAllocated, StockReserved
from libs.events.items import BinsMoved, ItemPlaced, MoveBetweenBins, PlaceItem
from services.inventory.bins import of_sku
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.plays import plays
from tests.unit.inventory_trade import accepted, routed
from tests.unit.test_inventory_model import FEW, NODES, SKUS, planned
from tests.unit.test_inventory_supply_model import SupplyLife

BINS = st.sampled_from((None, "A-1", "B-2", "C-3"))
Shelf = tuple[str, str]


class BinsLife(SupplyLife):
    """`beside` is what lies in bins beside those in which nodes keep a SKU, by SKU and node, then by bin.
    Baskets and terms know nothing of them."""

    hold = order_a_basket = give_a_basket_up = define_terms = order_of_a_channel = None  # type: ignore[assignment]
    order_one_sku_on_five_lines = lose_all = expect = call_off = give_up = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.beside: dict[Shelf, Counter[str]] = {}
        self.kept_in: dict[Shelf, str | None] = {}

    @rule(sku=SKUS, node=NODES, bin_=BINS)
    def place(self, sku: str, node: str, bin_: str | None) -> None:
        self.taken(PlaceItem(sku=sku, node=node, bin=bin_))
        assert self.kept_in.get((sku, node)) == bin_

    @rule(sku=SKUS, node=NODES, units=FEW, taken_from=BINS, into=BINS)
    def put_away(self, sku: str, node: str, units: int, taken_from: str | None, into: str | None) -> None:
        home = self.kept_in.get((sku, node))
        source, target = (None if bin_ == home else bin_ for bin_ in (taken_from, into))
        there = self._lying(sku, node).get(source, 0)
        done = self.taken(MoveBetweenBins(sku=sku, node=node, quantity=units, source=taken_from, target=into))
        assert done == (units <= there and source != target)

    @rule(sku=SKUS, node=NODES, units=FEW, bin_=BINS)
    def stow(self, sku: str, node: str, units: int, bin_: str | None) -> None:
        """Units arrive, and are put away at once."""
        self.receive(sku, units, node)
        self.put_away(sku, node, units, None, bin_)

    @rule(sku=SKUS, units=st.integers(1, 6))
    def sell(self, sku: str, units: int) -> None:
        """An order that is planned at once, if it is promised its units."""
        order_id = f"o{next(self.numbers)}"
        self.orders.append(order_id)
        for promised in self.take(accepted(order_id, (sku, units))):
            if isinstance(promised, StockReserved):
                self.take(routed(order_id, promised.round, **planned(promised)))

    def _lying(self, sku: str, node: str) -> Counter[str | None]:
        """What lies in each bin, that in which the node keeps the SKU as None."""
        beside = self.beside.get((sku, node), Counter())
        found: Counter[str | None] = Counter(dict(beside))
        found[None] = self.world.balance[sku, node, "on_hand"] - beside.total()
        return +found

    def _asked(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, ItemPlaced):
                self.kept_in[event.sku, event.node] = event.bin
            elif isinstance(event, BinsMoved):
                for change in event.changes:
                    self._change((event.sku, event.node), change.bin, change.delta)
            elif isinstance(event, StockAllocated):
                self._pick(event)
        return super()._asked(events)

    def _pick(self, event: StockAllocated) -> None:
        """Each unit that is allocated where bins are known is of one of them."""
        wanted = Counter[Shelf]()
        for work in event.nodes:
            for line in work.lines:
                wanted[line.sku, work.node] += line.quantity
        for pick in event.picks or ():
            wanted[pick.sku, pick.node] -= pick.quantity
            if pick.put_away:
                assert pick.bin is not None
                self._change((pick.sku, pick.node), pick.bin, -pick.quantity)
            else:
                assert pick.bin == self.kept_in[pick.sku, pick.node]
        for shelf, left in wanted.items():
            assert left >= 0
            assert not left or self.kept_in.get(shelf) is None

    def _change(self, shelf: Shelf, bin_: str, delta: int) -> None:
        there = self.beside.setdefault(shelf, Counter())
        there[bin_] += delta
        assert there[bin_] >= 0, f"{bin_} at {shelf} holds {there[bin_]}"

    @invariant()
    def what_lies_in_bins_is_what_is_on_hand(self) -> None:
        for shelf in {*self.beside, *self.kept_in}:
            sku, node = shelf
            on_hand = self.world.balance[sku, node, "on_hand"]
            assert self.beside.get(shelf, Counter()).total() <= on_hand
            part: Any = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
            assert isinstance(part, SkuPart)
            places = of_sku(part, node)
            assert sum(one.units for one in places) == on_hand
            assert {one.bin if one.put_away else None: one.units for one in places} == self._lying(sku, node)


BinsLife.TestCase.settings = plays(lives=50, steps=50)
TestBinsLife = BinsLife.TestCase
