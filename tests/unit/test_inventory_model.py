"""Any life of stock and orders, in any order of arrival: units are conserved and promises kept.

hypothesis plays shop, routing, warehouse and customer around inventory, with plans that are stale or wrong
about a node, reminders that come late, and facts that come before their causes.
"""

from collections import Counter
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.contract import Contract, Event
from libs.events.inventory import (
    NETWORK,
    AllocationFailed,
    StockAllocated,
    StockReserved,
)
from libs.events.order import LineQuantity
from libs.events.promise import (
    DefinePromiseTerms,
    PromiseConfirmed,
    PromiseHeld,
    ReleasePromise,
    Share,
    promise_stream,
)
from libs.events.refusal import CommandRefused
from libs.events.returns import Disposition
from services.inventory.giving import grants
from services.inventory.holds import NEW_PROMISE, PromisePart
from services.inventory.ledger import movements
from services.inventory.order import OrderPart, minus, plus, units
from services.inventory.proof import prove
from services.inventory.queue import WAITER
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.plays import plays
from tests.unit.inventory_trade import (
    accepted,
    adjust,
    cancelled,
    dispatched,
    hold,
    line,
    of_basket,
    receive,
    returned,
    routed,
    shorted,
    unroutable,
)
from tests.unit.inventory_world import World, fold, known

SKUS = st.sampled_from(("A", "B"))
CHANNELS = st.sampled_from(("web", "pos"))
NODES = st.sampled_from(("N1", "N2"))
FEW = st.integers(1, 4)
RARELY = st.sampled_from((False, False, False, True))
Lines = tuple[LineQuantity, ...]
Work = tuple[str, int, str, Lines]
"""Order, number of the fulfillment order, node, lines."""


class InventoryLife(RuleBasedStateMachine):
    """`asks` are promises that routing may still plan for, also when they are stale."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.asks: list[StockReserved | AllocationFailed] = []
        self.work: list[Work] = []
        self.shipments: list[tuple[str, Lines]] = []
        self.orders: list[str] = []
        self.stopped: set[str] = set()
        self.numbers = count(1)
        self.baskets: list[str] = []

    @initialize(a=st.integers(0, 25), b=st.integers(0, 25))
    def open(self, a: int, b: int) -> None:
        for sku, node, quantity in (("A", "N1", a), ("B", "N2", b)):
            if quantity:
                self.take(receive(sku, quantity, node))

    def take(self, body: Contract) -> list[Event]:
        return self._asked(self.world.take(body))

    def _asked(self, events: list[Event]) -> list[Event]:
        self.asks += [event for event in events if isinstance(event, StockReserved | AllocationFailed)]
        return events

    def order_part(self, order_id: str) -> OrderPart:
        part = self.world.parts[order_id]
        assert isinstance(part, OrderPart)
        return part

    # Stock

    @rule(sku=SKUS, quantity=FEW, node=NODES)
    def receive(self, sku: str, quantity: int, node: str) -> None:
        self.take(receive(sku, quantity, node))

    @rule(sku=SKUS, delta=st.integers(-4, 2), node=NODES)
    def adjust(self, sku: str, delta: int, node: str) -> None:
        self.take(adjust(sku, delta, node))

    @rule(sku=SKUS, node=NODES)
    def lose_all(self, sku: str, node: str) -> None:
        there = self.world.balance[sku, node, "on_hand"]
        if there:
            assert self.take(adjust(sku, -there, node))

    # Orders

    @rule(wanted=st.lists(st.tuples(SKUS, st.integers(1, 3)), min_size=1, max_size=3), early=RARELY)
    def order(self, wanted: list[tuple[str, int]], early: bool) -> None:
        """Comes twice; `early`, its cancellation comes before both."""
        order_id = f"o{next(self.numbers)}"
        if early:
            self.stopped.add(order_id)
            assert len(self.take(cancelled(order_id, line(1, *wanted[0])))) == 1
        self.orders.append(order_id)
        assert bool(self.take(accepted(order_id, *wanted))) is not early
        assert self.take(accepted(order_id, *wanted)) == []

    # Baskets. Their reminders come due at any moment, so each end races each order.

    @rule(wanted=st.lists(st.tuples(SKUS, st.integers(1, 3)), min_size=1, max_size=3))
    def hold(self, wanted: list[tuple[str, int]]) -> None:
        """All of it, or nothing; never a unit that somebody waits for."""
        self.baskets.append(f"b{next(self.numbers)}")
        basket = hold(self.baskets[-1], *wanted)
        sums = Counter[str]()
        for sku, quantity in wanted:
            sums[sku] += quantity
        fits = all(quantity <= self.claimable(sku) for sku, quantity in sums.items())
        [answer] = self.take(basket)
        assert isinstance(answer, PromiseHeld) is fits
        if fits:
            assert [type(event) for event in self.take(basket)] == [CommandRefused]

    @precondition(lambda self: self.baskets)
    @rule(data=st.data(), wanted=st.lists(st.tuples(SKUS, st.integers(1, 3)), min_size=1, max_size=3))
    def order_a_basket(self, data: st.DataObject, wanted: list[tuple[str, int]]) -> None:
        """Any basket: held, lost, another's, or refused; and not always for the same units."""
        order_id, basket = f"o{next(self.numbers)}", data.draw(st.sampled_from(self.baskets))
        self.orders.append(order_id)
        before = {sku: self.world.promise[sku, "reserved"] for sku in ("A", "B")}
        held = self.world.parts.get(f"promise/{basket}", NEW_PROMISE)
        assert isinstance(held, PromisePart)
        answer, promised = self.take(of_basket(basket, accepted(order_id, *wanted)))
        assert isinstance(answer, PromiseConfirmed) is (held.status == "held")
        for sku in before:
            new = sum(
                move.quantity * (1 if move.target == "reserved" else -1)
                for move in movements(promised)
                if move.sku == sku
            )
            assert self.world.promise[sku, "reserved"] == before[sku] + new, "units were claimed twice"
        assert self.take(of_basket(basket, accepted(order_id, *wanted))) == []

    # Terms. Whatever they are, a promise is never broken for them, and they bind each new one.

    @rule(sku=SKUS, safety=st.integers(0, 4), shares=st.dictionaries(CHANNELS, FEW, max_size=2), lends=RARELY)
    def define_terms(self, sku: str, safety: int, shares: dict[str, int], lends: bool) -> None:
        before = self.world.promise[sku, "reserved"]
        lends_to = ("pos",) if lends else ()
        kept = tuple(Share(channel=name, units=units, lends_to=lends_to) for name, units in shares.items())
        self.take(DefinePromiseTerms(sku=sku, safety_stock=safety, shares=kept))
        assert self.world.promise[sku, "reserved"] >= before

    @rule(units=FEW, channel=CHANNELS, sku=SKUS)
    def order_of_a_channel(self, units: int, channel: str, sku: str) -> None:
        """It is promised nothing that is kept from its channel, by a count of our own."""
        order_id = f"o{next(self.numbers)}"
        self.orders.append(order_id)
        part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
        assert isinstance(part, SkuPart)
        self.take(accepted(order_id, (sku, units)).model_copy(update={"channel": channel}))
        after = self.world.parts[f"sku/{sku}"]
        assert isinstance(after, SkuPart)
        if part.terms is not None and after.claims[order_id].held:
            shares, lends = part.terms.shares, part.terms.lends_to
            kept = sum(
                n for name, n in shares.items() if name != channel and channel not in lends.get(name, ())
            )
            free = self.world.promise[sku, "on_hand"] - self.world.promise[sku, "reserved"]
            assert free >= part.terms.safety_stock + kept

    @precondition(lambda self: self.baskets)
    @rule(data=st.data())
    def give_a_basket_up(self, data: st.DataObject) -> None:
        self.take(ReleasePromise(promise_id=data.draw(st.sampled_from(self.baskets))))

    def claimable(self, sku: str) -> int:
        part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
        assert isinstance(part, SkuPart)
        return part.claimable(None)

    @rule()
    def order_one_sku_on_five_lines(self) -> None:
        self.orders.append(f"o{next(self.numbers)}")
        self.take(accepted(self.orders[-1], *[("A", 1)] * 5))

    @precondition(lambda self: self.world.timers)
    @rule(data=st.data())
    def remind(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.timers)))
        self._asked(self.world.due(self.world.timers[key]))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order_id = data.draw(st.sampled_from(self.orders))
        again = order_id in self.stopped
        self.stopped.add(order_id)
        assert bool(self.take(cancelled(order_id, line(1, "A", 1)))) is not again

    @precondition(lambda self: self.asks)
    @rule(data=st.data(), whole=st.booleans())
    def give_up(self, data: st.DataObject, whole: bool) -> None:
        """Routing found no node, and fulfillment gives up what it still counts as waiting for one."""
        order_id = data.draw(st.sampled_from(self.asks)).order_id
        pending = self.order_part(order_id).pending
        if pending:
            given_up = pending if whole else pending[:1]
            assert self.take(unroutable(order_id, *given_up))

    @precondition(lambda self: self.asks)
    @rule(data=st.data(), node=NODES, rashly=RARELY)
    def route(self, data: st.DataObject, node: str, rashly: bool) -> None:
        """Plan by the figures that the ask carries, however old; `rashly`, all at one node."""
        ask = self.asks.pop(data.draw(st.integers(0, len(self.asks) - 1)))
        plan = {node: ask.lines} if rashly else planned(ask)
        for event in self.take(routed(ask.order_id, ask.round, **plan)):
            if isinstance(event, StockAllocated):
                self.work += [(ask.order_id, next(self.numbers), at.node, at.lines) for at in event.nodes]

    # Warehouse

    @precondition(lambda self: self.work)
    @rule(data=st.data(), short=RARELY)
    def ship(self, data: st.DataObject, short: bool) -> None:
        """Ship an allocation; with `short`, its first line lacks a unit."""
        order_id, number, node, planned = self._take_up(data)
        if order_id in self.stopped:
            return
        if short:
            lacking = (line(planned[0].line, planned[0].sku, 1),)
            assert self.take(shorted(order_id, number, node, *lacking))
            assert self.take(shorted(order_id, number, node, *lacking)) == []
            planned = minus(planned, lacking)
        if planned:
            shipment = dispatched(order_id, number, node, *planned)
            assert self.take(shipment)
            assert self.take(shipment) == []
            self.shipments.append((order_id, planned))

    @precondition(lambda self: self.work)
    @rule(data=st.data(), node=NODES, disposition=st.sampled_from(("restock", "scrap")))
    def ship_and_hear_of_the_return_first(
        self, data: st.DataObject, node: str, disposition: Disposition
    ) -> None:
        order_id, number, at, planned = self._take_up(data)
        if order_id in self.stopped:
            return
        came = returned(order_id, node, *planned, disposition=disposition, rma=next(self.numbers))
        self.take(came)
        self.take(dispatched(order_id, number, at, *planned))
        assert self.order_part(order_id).early_returns == ()

    @precondition(lambda self: self.shipments)
    @rule(data=st.data(), node=NODES)
    def bring_back(self, data: st.DataObject, node: str) -> None:
        order_id, shipped = self.shipments.pop(data.draw(st.integers(0, len(self.shipments) - 1)))
        self.take(returned(order_id, node, *shipped[:1], rma=next(self.numbers)))

    def _take_up(self, data: st.DataObject) -> Work:
        return self.work.pop(data.draw(st.integers(0, len(self.work) - 1)))

    # What holds at any moment. Buckets below zero and promises without units fail in World already.

    @invariant()
    def the_parts_say_what_the_movements_say(self) -> None:
        for stream, part in self.world.parts.items():
            if not isinstance(part, SkuPart):
                continue
            sku = stream.removeprefix("sku/")
            for bucket, sums in (("on_hand", part.on_hand), ("allocated", part.allocated)):
                assert sums == self._units(sku, bucket)
            soft = {bucket: self.world.balance[sku, NETWORK, bucket] for bucket in ("reserved", "held")}
            assert part.reserved == sum(soft.values())
            held = sum(part.baskets.values())
            waits = [claim.held for holder, claim in part.claims.items() if holder.startswith(WAITER)]
            assert held + sum(waits) == soft["held"]
            assert all(units > 0 for units in part.baskets.values())
            assert part.reserved == held + sum(claim.held for claim in part.claims.values())
            assert part.wanted == held + sum(claim.wanted for claim in part.claims.values())
            assert all(0 <= claim.held <= claim.wanted for claim in part.claims.values())
            assert sum(self._units(sku, "transfer").values()) == 0

    @invariant()
    def no_unit_lies_idle_unnoticed_while_somebody_waits(self) -> None:
        for stream, part in self.world.parts.items():
            if isinstance(part, SkuPart) and part.wanted > part.reserved and grants(part):
                assert self.is_looked_after(stream)

    def is_looked_after(self, stream: str) -> bool:
        """Whether a SKU is about to give its free units to who waits, or those that came in reach."""
        return not {(stream, "free"), (stream, "reach")}.isdisjoint(self.world.timers)

    @invariant()
    def every_claim_is_what_its_order_waits_for(self) -> None:
        claims: dict[str, dict[str, int]] = {}
        for stream, part in self.world.parts.items():
            if isinstance(part, SkuPart):
                wants = {_stream_of(holder): claim.wanted for holder, claim in part.claims.items()}
                wants |= {promise_stream(promise_id): units for promise_id, units in part.baskets.items()}
                for holder, wanted in wants.items():
                    claims.setdefault(holder, {})[stream.removeprefix("sku/")] = wanted
        for stream, part in self.world.parts.items():
            if isinstance(part, PromisePart) and part.status != "held":
                late = (stream, "settle") in self.world.timers
                assert late or stream not in claims, f"{stream} is {part.status} and holds units"
            if isinstance(part, OrderPart):
                assert units(part.pending) == claims.get(stream, {})
                if stream in self.stopped and part.status != "new":
                    assert (part.pending, part.allocated) == ((), {})

    def teardown(self) -> None:
        """At the end: reminders settle, the log proves it, and any interleaving of lanes rebuilds it."""
        for _ in range(1000):
            if not self.world.timers:
                break
            self.world.due(next(iter(self.world.timers.values())))
        assert not self.world.timers, "reminders remind of each other for ever"
        assert not any(self.world.balance[sku, NETWORK, "held"] for sku in ("A", "B")), "held for ever"
        self.nobody_is_forgotten()
        by_lane = sorted(self.world.log, key=lambda row: (row.lane, row.seq))
        backwards = sorted(self.world.log, key=lambda row: (-row.lane, row.seq))
        for rows in (self.world.log, by_lane, backwards):
            proof = prove(rows)
            assert proof.holds, proof.violation
            assert proof.events == len(self.world.log)
        self.the_log_rebuilds_it()

    def the_log_rebuilds_it(self) -> None:
        skus_first = sorted(self.world.folded, key=lambda item: not item[0].startswith("sku/"))
        orders_first = sorted(self.world.folded, key=lambda item: item[0].startswith("sku/"))
        assert fold(skus_first) == fold(orders_first) == known(self.world.parts)

    def nobody_is_forgotten(self) -> None:
        """Each order with pending units either waits for units that do not exist, or routing is asked."""
        for stream, part in self.world.parts.items():
            if isinstance(part, OrderPart) and part.pending:
                skus = {sku: self.world.parts[f"sku/{sku}"] for sku in units(part.pending)}
                short = [s for s, p in skus.items() if isinstance(p, SkuPart) and _waits(p, stream)]
                assert (part.status == "waiting") == bool(short), f"{stream} is {part.status}, short {short}"

    def _units(self, sku: str, bucket: str) -> dict[str, int]:
        return {
            node: quantity
            for (name, node, kind), quantity in self.world.balance.items()
            if (name, kind) == (sku, bucket) and quantity
        }


def planned(ask: StockReserved | AllocationFailed) -> dict[str, Lines]:
    """Each line from the nodes that had it, as far as they had; what nobody had, from N1."""
    left = {(found.node, found.sku): found.quantity for found in ask.availability}
    plan: dict[str, list[LineQuantity]] = {}
    for wanted in ask.lines:
        missing = wanted.quantity
        for node, sku in left:
            taken = min(missing, left[node, sku]) if sku == wanted.sku else 0
            if taken:
                left[node, sku] -= taken
                missing -= taken
                plan.setdefault(node, []).append(line(wanted.line, sku, taken))
        if missing:
            plan.setdefault("N1", []).append(line(wanted.line, wanted.sku, missing))
    return {node: plus((), lines) for node, lines in plan.items()}


def _stream_of(holder: str) -> str:
    """Of an order, or of a basket that waits."""
    return promise_stream(holder.removeprefix(WAITER)) if holder.startswith(WAITER) else holder


def _waits(part: SkuPart, order_id: str) -> bool:
    claim = part.claims.get(order_id)
    return claim is not None and claim.held < claim.wanted


InventoryLife.TestCase.settings = plays(lives=60, steps=60)
TestInventoryLife = InventoryLife.TestCase
