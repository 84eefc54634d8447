"""Any life of stock and orders under policies that change: the laws of who gets what.

The life of `test_inventory_model`, with classes, policies, ends of waits and reallocation. What the decisions
do is held against a naive reading of the log: who waited for how much, from its events alone.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from libs.events.contract import Event
from libs.events.inventory import (
    NETWORK,
    ReservationBroken,
    StockAllocated,
    StockBackordered,
    StockPegged,
    StockReleased,
    StockReserved,
    StockShorted,
)
from libs.events.policy import (
    STANDARD_RANK,
    BackorderLapsed,
    DefineReservationPolicies,
    OrderPolicy,
    PolicyRule,
    PriorityClass,
)
from libs.events.promise import DefinePromiseTerms, PromiseConfirmed, ReorderHold
from services.inventory.giving import grants
from services.inventory.order import OrderPart, minus, plus, units
from services.inventory.queue import shares
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.plays import plays
from tests.unit.inventory_trade import accepted, unroutable
from tests.unit.test_inventory_model import FEW, SKUS, InventoryLife

CLASSES = (
    PriorityClass(name="high", rank=10),
    PriorityClass(name="low", rank=70),
    PriorityClass(name="aging", rank=60, step_days=1),
    PriorityClass(name="older", rank=49, step_days=2),
)
RULES = st.builds(
    PolicyRule,
    order_type=st.none() | st.sampled_from(("a", "b")),
    priority=st.none() | st.sampled_from(("high", "low", "aging", "older")),
    policy=st.sampled_from(("together", "all_or_nothing", "partial")),
    wait_days=st.none() | st.integers(1, 3),
    then=st.sampled_from(("cancel", "ship")),
    reallocates=st.booleans(),
)


class PolicyLife(InventoryLife):
    """`lapsed` are waits that ended, and fulfillment has not cancelled yet what they give up."""

    def __init__(self) -> None:
        super().__init__()
        self.lapsed: list[BackorderLapsed] = []
        self.pending: dict[str, tuple[Any, ...]] = {}
        """By order: units without a node, by line, as its events tell."""
        self.claims: Counter[tuple[str, str]] = Counter()
        """Units promised by SKU and order, as all events tell."""
        self.served: dict[str, tuple[OrderPolicy, datetime]] = {}
        self.losers: list[str] = []
        """Of the last units that were given to others."""
        self.aloof: set[str] = set()
        """Orders that wait for all or nothing."""

    @initialize(rules=st.lists(RULES, min_size=1, max_size=3))
    def define(self, rules: list[PolicyRule]) -> None:
        self.redefine(rules)

    @rule(rules=st.lists(RULES, max_size=3))
    def redefine(self, rules: list[PolicyRule]) -> None:
        fit = [
            one.model_copy(update={"reallocates": one.reallocates and one.policy != "all_or_nothing"})
            for one in rules
        ]
        self.take(DefineReservationPolicies(classes=CLASSES, rules=tuple(fit)))

    @rule(
        wanted=st.lists(st.tuples(SKUS, st.integers(1, 3)), min_size=1, max_size=3),
        kind=st.sampled_from(("a", "b")),
    )
    def order_of_a_type(self, wanted: list[tuple[str, int]], kind: str) -> None:
        self.orders.append(f"o{next(self.numbers)}")
        order = accepted(self.orders[-1], *wanted).model_copy(update={"order_type": kind})
        self.take(order)

    @rule(units=FEW, sku=SKUS)
    def order_much(self, units: int, sku: str) -> None:
        """So that somebody waits, mostly."""
        self.orders.append(f"o{next(self.numbers)}")
        self.take(accepted(self.orders[-1], (sku, 2 * units), ("A", 1)))

    @rule(sku=SKUS, point=FEW, rank_max=st.sampled_from((10, 50)))
    def keep_below_a_reorder_point(self, sku: str, point: int, rank_max: int) -> None:
        self.take(DefinePromiseTerms(sku=sku, reorder=ReorderHold(point=point, rank_max=rank_max)))

    @precondition(lambda self: self.lapsed)
    @rule(data=st.data())
    def give_up_what_lapsed(self, data: st.DataObject) -> None:
        lapsed = self.lapsed.pop(data.draw(st.integers(0, len(self.lapsed) - 1)))
        self.take(unroutable(lapsed.order_id, *lapsed.lines))

    # The naive reading. Each event is held to the laws as it comes, before it is counted.

    def _asked(self, events: list[Event]) -> list[Event]:
        """What `take` and due reminders bring alike."""
        return self._read(super()._asked(events))

    def _read(self, events: list[Event]) -> list[Event]:
        for event in events:
            match event:
                case BackorderLapsed():
                    self.lapsed.append(event)
                case StockPegged() if event.cause is None:
                    self._must_be_next(event)
                case StockPegged():
                    first = min(self.place(claim.order_id) for claim in event.claims)
                    assert all(self.place(loser) > first for loser in self.losers), "taken from who is before"
                case ReservationBroken() if event.cause is not None:
                    assert {move.node for move in event.movements} == {NETWORK}, "no unit at a node moves"
                    self.losers = [claim.order_id for claim in event.claims]
                case _:
                    pass
            self._count(event)
            if isinstance(event, StockBackordered) and event.order_id in self.aloof:
                for sku in ("A", "B"):
                    assert self.claims[sku, event.order_id] == 0, f"{event.order_id} holds a part of it"
        return events

    def _must_be_next(self, pegged: StockPegged) -> None:
        """Nobody of a smaller rank, or older in the same, lacks units when one behind is given some."""
        part = self.world.parts[f"sku/{pegged.sku}"]
        assert isinstance(part, SkuPart)
        if part.terms is not None:
            return  # what terms keep from one they may leave to another
        after = Counter(self.claims)
        for claim in pegged.claims:
            after[pegged.sku, claim.order_id] += claim.quantity
        for claim in pegged.claims:
            for order_id, pending in self.pending.items():
                lacks = units(pending).get(pegged.sku, 0) - after[pegged.sku, order_id]
                if lacks > 0 and order_id not in self.aloof:
                    assert self.place(order_id) >= self.place(claim.order_id), f"{order_id} was passed over"

    def place(self, order_id: str) -> tuple[int, datetime, int]:
        """Class and age; who moves up is as old as the days of its ranks make it. Numbers count up."""
        policy, since = self.served[order_id]
        if policy.step_days is None:
            return policy.rank, since, int(order_id[1:])
        older = (STANDARD_RANK - policy.rank) * policy.step_days
        return STANDARD_RANK, since - timedelta(days=older), int(order_id[1:])

    def _count(self, event: Event) -> None:
        if isinstance(event, StockPegged | ReservationBroken):
            sign = 1 if isinstance(event, StockPegged) else -1
            for claim in event.claims:
                self.claims[event.sku, claim.order_id] += sign * claim.quantity
                assert self.claims[event.sku, claim.order_id] >= 0
            return
        if isinstance(event, StockReserved | StockBackordered | StockAllocated | StockReleased):
            for move in event.movements:
                self.claims[move.sku, event.order_id] += move.quantity * (
                    (move.target == "reserved") - (move.source == "reserved")
                )
        match event:
            case PromiseConfirmed():
                for held in event.movements:
                    self.claims[held.sku, event.order_id] += held.quantity
            case StockReserved() | StockBackordered():
                later = event.later if isinstance(event, StockReserved) else None
                self.pending[event.order_id] = plus(event.lines, later or ())
                self.served[event.order_id] = event.policy or OrderPolicy(version=1), event.since
                if event.policy is not None:
                    whole = event.policy.policy == "all_or_nothing" and isinstance(event, StockBackordered)
                    (self.aloof.add if whole else self.aloof.discard)(event.order_id)
            case StockAllocated():
                self.pending[event.order_id] = event.later or ()
            case StockReleased():
                self.pending[event.order_id] = minus(self.pending.get(event.order_id, ()), event.lines)
            case StockShorted():
                self.pending[event.order_id] = plus(self.pending[event.order_id], event.lines)

    # What holds at any moment

    @invariant()
    def every_claim_is_what_its_order_waits_for(self) -> None:
        for stream, part in self.world.parts.items():
            if isinstance(part, OrderPart):
                assert part.pending == tuple(self.pending.get(stream, ()))
                for sku in ("A", "B"):
                    known = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
                    assert isinstance(known, SkuPart)
                    claim, turn = known.claims.get(stream), known.turns.get(stream)
                    wants = 0 if claim is None else claim.wanted + (turn.whole if turn else 0)
                    assert wants == units(part.pending).get(sku, 0)
                    assert (0 if claim is None else claim.held) == self.claims[sku, stream]
                    assert turn is None or wants, "a turn outlives its claim"

    @invariant()
    def no_unit_lies_idle_unnoticed_while_somebody_waits(self) -> None:
        """Units may be left that were kept for who was called: when it has looked, they are given on."""
        for stream, part in self.world.parts.items():
            if isinstance(part, SkuPart) and grants(part) and not self.is_looked_after(stream):
                called = [order_id for order_id, turn in part.turns.items() if turn.whole]
                late = {stream for stream, name in self.world.timers if name == "claims"}
                late |= {lapsed.order_id for lapsed in self.lapsed}
                assert late.intersection(called), f"nobody looks after {stream}"

    @invariant()
    def who_may_have_free_units_is_about_to_look(self) -> None:
        """Or somebody before it is, for whom units were kept that others took since: then it is next."""
        for stream, part in self.world.parts.items():
            if isinstance(part, SkuPart) and not self.is_looked_after(stream):
                called = [
                    order_id
                    for order_id, _, looks in shares(part.free, part.claims, part.turns, part.terms)
                    if looks
                ]
                late = {stream for stream, name in self.world.timers if name == "claims"}
                late |= {lapsed.order_id for lapsed in self.lapsed}
                whole = {order_id for order_id, turn in part.turns.items() if turn.whole}
                assert late & whole or not called, f"{called} are not called"

    def nobody_is_forgotten(self) -> None:
        """At the end: who waits, waits for units that are not there for it."""
        for stream, part in self.world.parts.items():
            if not isinstance(part, OrderPart) or not part.pending:
                continue
            lacks = {sku for sku, n in units(part.pending).items() if self.claims[sku, stream] < n}
            if part.status == "reserved":
                assert not lacks or part.later, f"{stream} lacks {lacks} and routing is asked for it"
            else:
                assert part.status == "waiting", f"{stream} is {part.status}"
                assert lacks
            if stream in self.aloof:
                found = [self.world.parts[f"sku/{sku}"] for sku in lacks]
                free = [sku.free for sku in found if isinstance(sku, SkuPart) and sku.terms is None]
                wanted = [units(part.pending)[sku] for sku in lacks]
                whole = len(free) == len(wanted) and all(f >= w for f, w in zip(free, wanted, strict=True))
                assert not whole, f"{stream} could have all of it"

    def teardown(self) -> None:
        for _ in range(100):
            while self.lapsed:
                lapsed = self.lapsed.pop()
                self.take(unroutable(lapsed.order_id, *lapsed.lines))
            if not self.world.timers:
                break
            for _ in range(1000):
                if not self.world.timers:
                    break
                self._asked(self.world.due(next(iter(self.world.timers.values()))))
        super().teardown()


PolicyLife.TestCase.settings = plays(lives=60, steps=60)
TestPolicyLife = PolicyLife.TestCase
