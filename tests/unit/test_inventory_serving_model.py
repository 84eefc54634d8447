"""Any life of orders and baskets for several countries: what is promised can be sent, and routing agrees.

hypothesis plays shops, warehouses and routing, whose decider makes the plans, around two or three nodes that
ship to some countries each. The oracle matches promises with nodes in its own way: for any set of countries,
the nodes that ship to any of these must have the units that were promised to all of them.
"""

from collections import Counter
from datetime import timedelta
from itertools import chain, combinations, count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.inventory import AllocationFailed, StockAllocated, StockReserved
from libs.events.order import Destination
from libs.events.policy import DefineReservationPolicies, PolicyRule
from libs.events.promise import HoldStock, PromiseHeld, ReleasePromise, Wanted
from libs.events.routing import NodeDefined, OrderRouted
from services.inventory.order import OrderPart, units
from services.inventory.proof import prove
from services.inventory.queue import WAITER
from services.inventory.stock import EMPTY_SKU, SkuPart
from services.routing import domain as routing
from tests.plays import plays
from tests.spec import NOON
from tests.unit.inventory_supply import arrive, expect
from tests.unit.inventory_trade import accepted, adjust, cancelled, due, line, of_basket, receive
from tests.unit.inventory_world import NOBODY, TENANT, World, fold, known
from tests.unit.test_inventory_reach import node

COUNTRIES = ("GB", "IE", "FR")
ANY = "*"
TO = st.sampled_from(COUNTRIES)
NODES = st.sampled_from(("N1", "N2", "N3"))
SHIPS = st.one_of(st.none(), st.sets(TO).map(lambda found: tuple(sorted(found))))
FEW = st.integers(1, 4)
SKUS = ("A", "B")
Ships = tuple[str, ...] | None
Ask = StockReserved | AllocationFailed


class ServedLife(RuleBasedStateMachine):
    """`goes`: the country of each order and basket, as they said it themselves; anywhere, for a basket that
    was held, and need not wait, while all nodes shipped everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.world, self.numbers = World(), count(1)
        self.nodes = routing.NodesPart()
        self.ships: dict[str, Ships] = {}
        self.goes: dict[str, str] = {}
        self.asks: list[Ask] = []
        self.orders: list[str] = []
        self.baskets: list[str] = []
        self.coming: dict[str, tuple[str, int]] = {}
        """Node and units by document, of A, as they were stated."""

    @initialize(there=st.lists(st.tuples(NODES, FEW), max_size=3), early=st.booleans(), to=TO)
    def open(self, there: list[tuple[str, int]], early: bool, to: str) -> None:
        """Perhaps somebody waits since before there was any node."""
        self.take(DefineReservationPolicies(rules=(PolicyRule(order_type="ahead", baskets_wait=True),)))
        self.buy("N1", 4)
        if early:
            self.hold_ahead(to, 2)
            self.order(to, 2, False)
        for name, ships in (("N1", None), ("N2", ("GB",)), ("N3", ("GB", "IE"))):
            self.define(name, ships)
        for name, quantity in there:
            self.take(receive("A", quantity, name))

    def take(self, body: Contract) -> list[Event]:
        return self.asked(self.world.take(body))

    def asked(self, events: list[Event]) -> list[Event]:
        self.asks += [event for event in events if isinstance(event, Ask)]
        return events

    def define(self, name: str, ships: Ships) -> None:
        defined: NodeDefined = node(name, self.nodes.version + 1, ships_to=ships)
        self.ships[name] = ships
        self.take(defined)
        self.nodes = routing.evolve(routing.State(nodes=self.nodes), defined).nodes
        for sku in SKUS:
            if f"sku/{sku}" in self.world.parts:
                self.take(due(f"sku/{sku}", "reach"))

    @rule(name=NODES, ships=SHIPS)
    def redefine(self, name: str, ships: Ships) -> None:
        """What was promised before, and cannot be sent there any more, is taken back."""
        self.define(name, ships)

    @rule(sku=st.sampled_from(SKUS), name=NODES, quantity=FEW)
    def receive(self, sku: str, name: str, quantity: int) -> None:
        self.take(receive(sku, quantity, name))

    @rule(sku=st.sampled_from(SKUS), name=NODES, quantity=FEW)
    def lose(self, sku: str, name: str, quantity: int) -> None:
        gone = min(quantity, self.world.balance[sku, name, "on_hand"])
        if gone:
            self.take(adjust(sku, -gone, name))

    @rule(to=TO, quantity=FEW, both=st.booleans())
    def order(self, to: str, quantity: int, both: bool) -> None:
        """Who comes while nobody waits is promised all that can be sent there, and no more."""
        order_id = f"o{next(self.numbers)}"
        self.orders.append(order_id)
        self.goes[order_id] = to
        wanted = dict.fromkeys(SKUS[: 1 + both], quantity)
        fits = {sku: self.most(sku, to) for sku in wanted}
        waited = {sku: self.waited_for(sku) or self.untold(sku) for sku in wanted}
        body = accepted(order_id, *wanted.items())
        self.take(body.model_copy(update={"destination": Destination(country=to)}))
        for sku in wanted:
            held = self.sku(sku).claims[order_id].held
            assert held <= max(0, min(quantity, fits[sku]))
            assert waited[sku] or held == min(quantity, fits[sku]), f"{fits} fit, and {held} are promised"

    @rule(to=st.one_of(TO, st.none()), quantity=FEW)
    def hold(self, to: str | None, quantity: int) -> None:
        promise_id = f"b{next(self.numbers)}"
        fits, waited = self.most("A", to or ANY), self.waited_for("A") or self.untold("A")
        fits = fits if to is None or self.way(to) == to else 0
        where = None if to is None else Destination(country=to)
        lines = (Wanted(sku="A", quantity=quantity),)
        [answer] = self.take(HoldStock(promise_id=promise_id, lines=lines, destination=where))
        held = isinstance(answer, PromiseHeld)
        assert not held or quantity <= fits
        assert waited or held == (quantity <= fits)
        self.baskets.append(promise_id)
        said = isinstance(answer, PromiseHeld) and answer.served is not None
        self.goes[f"promise/{promise_id}"] = to if to is not None and said else ANY

    @rule(name=NODES, quantity=FEW)
    def buy(self, name: str, quantity: int) -> None:
        document = f"D{next(self.numbers)}"
        self.coming[document] = name, quantity
        due_at = self.world.now + timedelta(days=3)
        self.take(expect("A", document, quantity, name, expected_at=due_at))

    @precondition(lambda self: self.coming)
    @rule(data=st.data(), quantity=FEW)
    def arrive(self, data: st.DataObject, quantity: int) -> None:
        document = data.draw(st.sampled_from(sorted(self.coming)))
        name, _ = self.coming[document]
        self.take(arrive("A", document, f"R{next(self.numbers)}", quantity, node=name))

    @rule(to=TO, quantity=FEW)
    def hold_ahead(self, to: str, quantity: int) -> None:
        """It holds what can be sent there, and waits for what comes to nodes that ship there."""
        promise_id = f"b{next(self.numbers)}"
        fits, waited = max(0, self.most("A", to)), self.waited_for("A") or self.untold("A")
        fits = fits if self.way(to) == to else 0
        lines, where = (Wanted(sku="A", quantity=quantity),), Destination(country=to)
        body = HoldStock(promise_id=promise_id, lines=lines, destination=where, order_type="ahead")
        [answer] = self.take(body)
        if not isinstance(answer, PromiseHeld):
            assert waited or fits < quantity
            return
        self.baskets.append(promise_id)
        self.goes[WAITER + promise_id] = to
        self.goes[f"promise/{promise_id}"] = ANY if answer.served is None else to
        held = sum(move.quantity for move in answer.movements)
        assert held <= min(quantity, fits)
        assert waited or held == min(quantity, fits), f"{fits} fit, and {held} are held"
        sending = [name for name, ships in self.ships.items() if ships is None or to in ships]
        to_come = sum(units for name, units in self.coming.values() if name in sending or not self.ships)
        assert quantity - held <= to_come, f"{quantity - held} wait for {to_come}"

    @precondition(lambda self: self.baskets)
    @rule(data=st.data(), to=TO, quantity=FEW)
    def order_a_basket(self, data: st.DataObject, to: str, quantity: int) -> None:
        """Not always for the country that the basket named."""
        order_id, basket = f"o{next(self.numbers)}", data.draw(st.sampled_from(self.baskets))
        self.orders.append(order_id)
        self.goes[order_id] = to
        body = accepted(order_id, ("A", quantity))
        self.take(of_basket(basket, body.model_copy(update={"destination": Destination(country=to)})))

    @precondition(lambda self: self.baskets)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.take(ReleasePromise(promise_id=data.draw(st.sampled_from(self.baskets))))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.take(cancelled(data.draw(st.sampled_from(self.orders)), line(1, "A", 1)))

    @precondition(lambda self: self.world.timers)
    @rule(data=st.data())
    def remind(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.timers)))
        self.asked(self.world.due(self.world.timers[key]))

    @precondition(lambda self: self.asks)
    @rule(data=st.data())
    def route(self, data: st.DataObject) -> None:
        """By the figures that the ask carries, however old. An ask as it is now is always planned, and its
        plan is allocated at once or, made again, the second time."""
        ask = self.asks.pop(data.draw(st.integers(0, len(self.asks) - 1)))
        part = self.world.parts[ask.order_id]
        assert isinstance(part, OrderPart)
        fresh = ask.round == part.round and ask is self.last_of(ask.order_id)
        plan = self.plan(ask)
        events = self.take(plan) if isinstance(plan, OrderRouted) else []
        again = [event for event in events if isinstance(event, AllocationFailed)]
        if again:
            self.asks.remove(again[0])
            second = self.plan(again[0])
            assert isinstance(second, OrderRouted), "what is promised cannot be routed"
            assert any(isinstance(event, StockAllocated) for event in self.take(second))
        elif fresh and not isinstance(plan, OrderRouted):
            nowhere = self.way(self.goes[ask.order_id]) == ANY
            assert nowhere or self.moved_since(ask), "what is promised cannot be routed"

    def last_of(self, order_id: str) -> Ask | None:
        said = [event for _, event in self.world.folded if isinstance(event, Ask)]
        return next((event for event in reversed(said) if event.order_id == order_id), None)

    def moved_since(self, ask: Ask) -> bool:
        """Whether anything else was recorded since."""
        return self.world.folded[-1][1] is not ask

    def plan(self, ask: Ask) -> Event:
        heard = Envelope(NOBODY, TENANT, ask.stream, ask, NOON, "", "", NOBODY, NOBODY, "world")
        state = routing.State(ask.order_id, routing.OrderPart(), self.nodes)
        [found] = routing.decide(state, heard, NOON)
        return found

    # The oracle

    def sku(self, name: str) -> SkuPart:
        part = self.world.parts.get(f"sku/{name}", EMPTY_SKU)
        assert isinstance(part, SkuPart)
        return part

    def promised(self, sku: str) -> Counter[str]:
        """Units by country, as orders and baskets said it themselves."""
        part, found = self.sku(sku), Counter[str]()
        for order_id, claim in part.claims.items():
            found[self.way(self.goes[order_id])] += claim.held
        for promise_id, quantity in part.baskets.items():
            found[self.way(self.goes[f"promise/{promise_id}"])] += quantity
        return found

    def way(self, to: str) -> str:
        """The country; anywhere, where no node at all ships there: routing is to say so of the order."""
        served = to == ANY or any(ships is None or to in ships for ships in self.ships.values())
        return to if served else ANY

    def left(self, sku: str, promised: Counter[str], to: str) -> int:
        """Units that no set of countries with this one would lack, if they were promised there."""
        there = {name: self.world.balance[sku, name, "on_hand"] for name in self.ships}
        found = [sum(there.values()) - promised.total()]
        for some in chain(*(combinations(COUNTRIES, size) for size in (1, 2, 3))):
            if to == ANY or to not in some:
                continue
            serving = [n for n, ships in self.ships.items() if ships is None or {*ships} & {*some}]
            found.append(sum(there[n] for n in serving) - sum(promised[one] for one in some))
        return min(found)

    def most(self, sku: str, to: str) -> int:
        return self.left(sku, self.promised(sku), self.way(to))

    def waited_for(self, sku: str) -> bool:
        return self.sku(sku).wanted > self.sku(sku).reserved

    def untold(self, sku: str) -> bool:
        """Whether an order is to tell its country: until then units are kept for it wherever it may go."""
        serving, claims = self.sku(sku).serving, self.sku(sku).claims
        return serving is not None and bool(serving.bounds) and not claims.keys() <= serving.orders.keys()

    @invariant()
    def all_that_is_promised_can_be_sent(self) -> None:
        for sku in SKUS:
            for to in (*COUNTRIES, ANY) if not self.untold(sku) else (ANY,):
                assert self.most(sku, to) >= 0, f"{self.promised(sku)} of {sku} are promised"

    @invariant()
    def no_unit_lies_idle_that_somebody_waits_for_and_could_be_sent(self) -> None:
        for sku in SKUS:
            waits = [id_ for id_, claim in self.sku(sku).claims.items() if claim.held < claim.wanted]
            if any(self.most(sku, self.goes[order_id]) for order_id in waits):
                asked = {(f"sku/{sku}", "free"), *((order_id, "claims") for order_id in waits)}
                assert asked & self.world.timers.keys(), f"{sku} is forgotten, {waits} wait"

    def teardown(self) -> None:
        """Reminders settle, the log proves it, and any interleaving of lanes rebuilds it."""
        for _ in range(500):
            if not self.world.timers:
                break
            self.world.due(next(iter(self.world.timers.values())))
        assert not self.world.timers, "reminders remind of each other for ever"
        self.all_that_is_promised_can_be_sent()
        self.no_unit_lies_idle_that_somebody_waits_for_and_could_be_sent()
        for rows in (
            self.world.log,
            sorted(self.world.log, key=lambda row: (row.lane, row.seq)),
            sorted(self.world.log, key=lambda row: (-row.lane, row.seq)),
        ):
            proof = prove(rows)
            assert proof.holds, proof.violation
        skus_first = sorted(self.world.folded, key=lambda item: not item[0].startswith("sku/"))
        orders_first = sorted(self.world.folded, key=lambda item: item[0].startswith("sku/"))
        assert fold(skus_first) == fold(orders_first) == known(self.world.parts)
        for stream, part in self.world.parts.items():
            if isinstance(part, OrderPart) and part.status == "reserved":
                for sku, quantity in units(part.asked).items():
                    assert self.sku(sku).claims[stream].held >= quantity


ServedLife.TestCase.settings = plays(lives=60, steps=50)
TestServedLife = ServedLife.TestCase
