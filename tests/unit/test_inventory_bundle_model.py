"""Any life of bundles and kits that share their parts: units are conserved, and none is promised twice.

hypothesis defines and redefines, sells, allocates, ships, cancels, assembles and takes apart, with reminders
that come late; a naive count of what went in and out is held against the ledger after each step.
"""

from collections import Counter
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.bundles import (
    AssembleKit,
    BundlesUnpacked,
    KitAssembled,
    KitTakenApart,
    RemoveBundle,
    TakeKitApart,
)
from libs.events.contract import Contract, Event
from libs.events.inventory import StockAllocated, StockReserved
from libs.events.items import MoveBetweenBins
from libs.events.order import LineQuantity
from libs.events.refusal import CommandRefused
from services.inventory.bins import put_away_at
from services.inventory.order import OrderPart, units
from services.inventory.proof import prove
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.unit.inventory_trade import accepted, adjust, cancelled, dispatched, receive, returned, routed
from tests.unit.inventory_world import World, fold, known
from tests.unit.test_inventory_bundles import define

LOOSE = ("MUG", "TEA")
SOLD = ("MUG", "TEA", "BOX", "DUO", "KIT")
FEW = st.integers(1, 4)
NODES = st.sampled_from(("N1", "N2"))
RECIPES = st.lists(
    st.tuples(st.sampled_from(LOOSE), st.integers(1, 3)), min_size=1, max_size=2, unique_by=lambda x: x[0]
)
Work = tuple[str, tuple[LineQuantity, ...]]


class BundleLife(RuleBasedStateMachine):
    """BOX and DUO are bundles, KIT is a kit; all are of mugs and teas."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.numbers = count(1)
        self.orders: dict[str, Counter[str]] = {}
        """Loose units that each order comes to."""
        self.asks: dict[str, StockReserved] = {}
        self.work: list[Work] = []
        self.gone: list[Work] = []
        self.kit: tuple[tuple[str, int], ...] = ()
        self.made: Counter[str] = Counter()
        """Net units of each SKU that kits used up (−) or became (+)."""
        self.came: Counter[str] = Counter()

    @initialize(mugs=st.integers(1, 20), teas=st.integers(1, 20), kit=RECIPES)
    def open(self, mugs: int, teas: int, kit: list[tuple[str, int]]) -> None:
        for sku, quantity in (("MUG", mugs), ("TEA", teas)):
            self.receive(sku, quantity, "N1")
        for name, kept, parts in (
            ("BOX", "parts", (("MUG", 2), ("TEA", 1))),
            ("DUO", "parts", (("MUG", 1), ("TEA", 1))),
            ("KIT", "assembled", tuple(kit)),
        ):
            [defined] = self.take(define(*parts, name=name, kept=kept))  # type: ignore[arg-type]
            assert not isinstance(defined, CommandRefused)
        self.kit = tuple(kit)

    def take(self, body: Contract) -> list[Event]:
        return self._noted(self.world.take(body))

    def _noted(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, StockReserved):
                self.asks[event.order_id] = event
            elif isinstance(event, BundlesUnpacked):
                self.orders[event.order_id] = Counter(
                    units([*event.others, *(part for line in event.bundles for part in line.parts)])
                )
        return events

    @rule(sku=st.sampled_from(LOOSE), quantity=FEW, node=NODES)
    def receive(self, sku: str, quantity: int, node: str) -> None:
        self.take(receive(sku, quantity, node))
        self.came[sku] += quantity

    @rule(sku=st.sampled_from((*LOOSE, "KIT")), quantity=FEW, node=NODES)
    def lose(self, sku: str, quantity: int, node: str) -> None:
        if self.world.balance[sku, node, "on_hand"] >= quantity:
            self.take(adjust(sku, -quantity, node))
            self.came[sku] -= quantity

    @rule(parts=RECIPES, name=st.sampled_from(("BOX", "DUO")))
    def redefine(self, parts: list[tuple[str, int]], name: str) -> None:
        self.take(define(*parts, name=name))

    @rule(name=st.sampled_from(("BOX", "DUO")))
    def remove(self, name: str) -> None:
        self.take(RemoveBundle(sku=name))

    @rule(wanted=st.lists(st.tuples(st.sampled_from(SOLD), st.integers(1, 3)), min_size=1, max_size=4))
    def order(self, wanted: list[tuple[str, int]]) -> None:
        order_id = f"o{next(self.numbers)}"
        self.orders[order_id] = Counter()
        for sku, quantity in wanted:
            self.orders[order_id][sku] += quantity
        self.take(accepted(order_id, *wanted))
        assert self.take(accepted(order_id, *wanted)) == []

    @precondition(lambda self: self.world.timers)
    @rule(data=st.data())
    def remind(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.timers)))
        self._noted(self.world.due(self.world.timers[name]))

    @precondition(lambda self: self.asks)
    @rule(data=st.data())
    def route(self, data: st.DataObject) -> None:
        """To the first node that has it; where none has, half of the plan is wrong."""
        ask = self.asks.pop(data.draw(st.sampled_from(sorted(self.asks))))
        left = {(one.node, one.sku): one.quantity for one in ask.availability}
        plan: dict[str, list[LineQuantity]] = {}
        for line in ask.lines:
            rest = line.quantity
            for node in ("N1", "N2"):
                taken = rest if node == "N2" else min(rest, left.get((node, line.sku), 0))
                if taken:
                    left[node, line.sku] = left.get((node, line.sku), 0) - taken
                    plan.setdefault(node, []).append(line.model_copy(update={"quantity": taken}))
                    rest -= taken
        plans = {node: tuple(lines) for node, lines in plan.items()}
        for event in self.take(routed(ask.order_id, ask.round, **plans)):
            if isinstance(event, StockAllocated):
                self.work += [(f"{ask.order_id}/{node}", lines) for node, lines in plans.items()]

    @precondition(lambda self: self.work)
    @rule(data=st.data())
    def ship(self, data: st.DataObject) -> None:
        place, lines = self.work.pop(data.draw(st.integers(0, len(self.work) - 1)))
        order_id, _, node = place.partition("/")
        self.take(dispatched(order_id, next(self.numbers), node, *lines))
        self.gone.append((place, lines))

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        place, lines = self.gone.pop(data.draw(st.integers(0, len(self.gone) - 1)))
        self.take(returned(place.partition("/")[0], "N1", *lines, rma=next(self.numbers)))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.orders)))
        self.asks.pop(order_id, None)
        self.work = [one for one in self.work if one[0].partition("/")[0] != order_id]
        self.take(cancelled(order_id))

    @rule(quantity=st.integers(1, 3), node=NODES, apart=st.booleans())
    def kits(self, quantity: int, node: str, apart: bool) -> None:
        command = TakeKitApart if apart else AssembleKit
        on_hand = {sku: self.world.balance[sku, node, "on_hand"] for sku in (*LOOSE, "KIT")}
        [done, *_] = self.take(command(sku="KIT", node=node, quantity=quantity))
        sign = -1 if apart else 1
        if isinstance(done, CommandRefused):
            return
        assert isinstance(done, KitTakenApart if apart else KitAssembled)
        changes = Counter({sku: -sign * each * quantity for sku, each in self.kit})
        changes["KIT"] = sign * quantity
        for sku, change in changes.items():
            assert self.world.balance[sku, node, "on_hand"] == on_hand[sku] + change
            self.made[sku] += change

    @rule(
        sku=st.sampled_from((*LOOSE, "KIT")), quantity=FEW, node=NODES, bin_=st.sampled_from(("A/1", "B-2"))
    )
    def put_away(self, sku: str, quantity: int, node: str, bin_: str) -> None:
        self.take(MoveBetweenBins(sku=sku, node=node, quantity=quantity, target=bin_))

    @invariant()
    def no_more_lies_in_bins_than_is_on_hand(self) -> None:
        """Or somebody is about to look: kits used units up."""
        for sku in SOLD:
            part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
            assert isinstance(part, SkuPart)
            if (f"sku/{sku}", "bins") not in self.world.timers:
                for node in ("N1", "N2"):
                    there = sum(put_away_at(part.put_away, node).values())
                    assert there <= part.on_hand.get(node, 0), f"{sku} at {node}"

    @invariant()
    def units_are_conserved(self) -> None:
        """What came in is somewhere; kits took as many parts as they have."""
        for sku in SOLD:
            there = sum(
                quantity
                for (name, _, bucket), quantity in self.world.balance.items()
                if name == sku and bucket in ("on_hand", "allocated", "issued")
            )
            assert there == self.came[sku] + self.made[sku], sku
            kitted = sum(
                quantity
                for (name, _, bucket), quantity in self.world.balance.items()
                if name == sku and bucket == "kitted"
            )
            assert kitted == -self.made[sku]

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        for sku in SOLD:
            part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
            assert isinstance(part, SkuPart)
            held = sum(claim.held for claim in part.claims.values())
            assert held == part.reserved <= sum(part.on_hand.values())
            if part.recipe is not None and part.recipe.unpacked:
                assert not part.on_hand

    @invariant()
    def an_order_holds_no_more_than_it_comes_to(self) -> None:
        for order_id, wanted in self.orders.items():
            order = self.world.parts.get(order_id)
            if isinstance(order, OrderPart):
                has = Counter(units(order.pending))
                for quantities in (*order.allocated.values(), *order.issued.values()):
                    has.update(quantities)
                assert all(quantity <= wanted[sku] for sku, quantity in has.items())

    def teardown(self) -> None:
        """At the end the log proves it, and any interleaving of lanes rebuilds it."""
        if not self.world.log:
            return
        for rows in (self.world.log, sorted(self.world.log, key=lambda row: (row.lane, row.seq))):
            proof = prove(rows)
            assert proof.holds, proof.violation
        in_order = fold(self.world.folded)
        assert fold(sorted(self.world.folded, key=lambda item: "/" in item[0])) == in_order
        assert fold(sorted(self.world.folded, key=lambda item: "/" not in item[0])) == in_order
        assert in_order == known(self.world.parts)


BundleLife.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestBundleLife = BundleLife.TestCase
