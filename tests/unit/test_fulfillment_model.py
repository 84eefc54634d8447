"""Any life of an order at its nodes: each unit is in one place, leaves once, and every order finds its end.

hypothesis plays intake, inventory, routing, warehouses, a carrier and support around one order; each may hear
of the others late, and reports come twice, late, contradictory and after the end.
"""

from collections import Counter, deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.amendments import OrderAmended
from libs.events.changes import (
    HoldDeclined,
    HoldPlaced,
    LineCancellationRequested,
    LinesCancelled,
    OrderResumed,
)
from libs.events.contract import Contract, Event
from libs.events.fulfillment import (
    CarrierStatus,
    ConfirmPack,
    FulfillmentCompleted,
    FulfillmentReleased,
    Package,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from libs.events.intake import OrderCancellationRequested
from libs.events.inventory import StockAllocated
from libs.events.order import Destination, in_parts
from libs.events.refusal import CommandRefused
from services.fulfillment import domain
from services.fulfillment.state import INITIAL, State, withheld
from tests.plays import plays
from tests.spec import given
from tests.unit.fulfillment_shop import (
    ORDER,
    PLACES,
    Bought,
    Intake,
    Inventory,
    Report,
    Topic,
    amendment,
    bought,
    counted,
    dispatched,
    line_request,
    picked,
    scanned,
    tells_no_more,
    units_at_nodes,
)

NODES = st.sampled_from(("N1", "N2"))
EARLY = ("", "", "hold", "amend", "unroutable")
"""What happens to it before anything else, so that lives with it are no rarer than others."""
STATUSES: tuple[CarrierStatus, ...] = ("picked_up", "exception", "delivered", "delivered", "lost")


class FulfillmentLife(RuleBasedStateMachine):
    """`topics` are what others said and fulfillment has not heard; `heard_by`, the other way round."""

    @initialize(what=bought(), known=st.sampled_from((1, 2, 0)), early=st.sampled_from(EARLY))
    def order(self, what: Bought, known: int, early: str) -> None:
        self.what, self.life = what, given(domain)
        self.intake = Intake(counted(what.lines))
        self.inventory = Inventory(what)
        self.topics: dict[str, Topic] = {"intake": deque(), "inventory": deque(), "routing": deque()}
        self.heard_by: dict[str, Topic] = {"intake": deque(), "inventory": deque()}
        self.work: dict[str, tuple[str, Counter[int]]] = {}
        """By fulfillment order: its node, and what it is asked for."""
        self.recorded: list[Report] = []
        """Reports that were taken."""
        self.told: list[Event] = []
        """Of what was heard, what may be heard again at any time."""
        self.out, self.ended = Counter[int](), Counter[int]()
        self.shipments: list[str] = []
        self.completed: list[FulfillmentCompleted] = []
        self.held = self.amended = False
        self.place = PLACES[0]
        if known:
            self.accept()
        match early:
            case "hold":
                self.hold("wait")
            case "amend":
                self.amend(PLACES[1])
            case "unroutable" if known:
                first = Counter(dict(sorted(self.inventory.pending.items())[:1]))
                self.topics["routing"].append(self.inventory.unroutable(first))
            case _ if known == 2:
                allocated = self.inventory.allocate(+self.inventory.pending, lambda line, _: f"N{line % 2}")
                self.topics["inventory"].append(allocated)
            case _:
                pass
        self.everybody_hears()

    # One turn

    def turn(self, body: Contract) -> list[Event]:
        events = self.life.when(body).events
        for event in events:
            for topic in self.heard_by.values():
                topic.append(event)
            self.booked(event)
        return events

    def booked(self, event: Event) -> None:
        match event:
            case FulfillmentReleased():
                assert not self.held, "released while it is held"
                assert not self.amended or event.destination == self.place, "it goes where it went before"
                assert event.fulfillment_order_id not in self.work
                self.work[event.fulfillment_order_id] = (event.node, counted(event.lines))
            case LinesCancelled():
                for work in event.work:
                    node, asked = self.work[work.fulfillment_order_id]
                    assert node == work.node
                    self.work[work.fulfillment_order_id] = (node, asked - counted(work.lines))
            case ShipmentDispatched():
                assert event.shipment_id not in self.shipments
                self.shipments.append(event.shipment_id)
                self.out += counted(event.lines)
            case ShipmentDelivered() | ShipmentLost():
                self.ended += counted(event.lines)
                assert self.ended <= self.out, "more arrived than left"
            case OrderAmended():
                self.amended, self.place = True, event.destination or self.place
            case FulfillmentCompleted():
                self.completed.append(event)
            case _:
                pass

    @property
    def state(self) -> State:
        state = self.life.parts.get(ORDER, INITIAL)
        assert isinstance(state, State)
        return state

    # Topics

    @precondition(lambda self: any(self.topics.values()))
    @rule(data=st.data())
    def fulfillment_hears(self, data: st.DataObject) -> None:
        self.hear_next(data.draw(st.sampled_from([name for name, topic in self.topics.items() if topic])))

    def hear_next(self, name: str) -> None:
        fact = self.topics[name].popleft()
        before = self.state
        at_node = [id_ for id_, one in before.work.items() if one.step not in ("stopped", "nothing_picked")]
        self.held = self.held and not isinstance(fact, OrderResumed)
        events = self.turn(fact)
        if isinstance(fact, HoldPlaced):
            late = bool(at_node) or bool(self.completed) or before.cancelled
            assert any(isinstance(event, HoldDeclined) for event in events) is late, "held, or too late?"
            self.held = self.held or not late
        self.held = self.held and not self.state.cancelled
        released = isinstance(fact, StockAllocated) and not self.held
        if released or isinstance(fact, OrderCancellationRequested | LineCancellationRequested):
            self.told.append(fact)

    @precondition(lambda self: any(self.heard_by.values()))
    @rule(data=st.data())
    def another_hears(self, data: st.DataObject) -> None:
        self.other(data.draw(st.sampled_from([name for name, topic in self.heard_by.items() if topic])))

    @precondition(lambda self: any((*self.heard_by.values(), *self.topics.values())))
    @rule()
    def everybody_hears(self) -> None:
        for name in self.topics:
            while self.topics[name]:
                self.hear_next(name)
        for name in self.heard_by:
            while self.heard_by[name]:
                self.other(name)

    def other(self, name: str) -> None:
        stage = self.intake if name == "intake" else self.inventory
        stage.hear(self.heard_by[name].popleft())

    @precondition(lambda self: not self.inventory.known)
    @rule()
    def accept(self) -> None:
        self.inventory.accept()

    # Inventory and routing

    @precondition(lambda self: self.inventory.asks)
    @rule(data=st.data(), end=st.sampled_from(("allocate",) * 8 + ("unroutable", "lapse", "refuse")))
    def round_ends(self, data: st.DataObject, end: str) -> None:
        inventory = self.inventory
        now = +inventory.pending
        if data.draw(st.integers(0, 2)):
            now = +Counter({line: data.draw(st.integers(0, units)) for line, units in now.items()}) or now
        match end:
            case "allocate":
                self.topics["inventory"].append(inventory.allocate(now, lambda *_: data.draw(NODES)))
            case "unroutable":
                self.topics["routing"].append(inventory.unroutable(now))
            case "lapse":
                self.topics["inventory"].append(inventory.lapse(now))
            case _ if inventory.round == 1 and not self.inventory.cut:
                line = data.draw(st.sampled_from(sorted(inventory.pending)))
                self.topics["inventory"].append(inventory.refuse(Counter({line: inventory.pending[line]})))

    # Support

    @precondition(lambda self: self.intake.open)
    @rule(data=st.data())
    def cancel_lines(self, data: st.DataObject) -> None:
        left = self.intake.ordered - self.intake.cancelled
        line = data.draw(st.sampled_from(sorted(left)))
        units = Counter({line: data.draw(st.integers(1, left[line]))})
        if units != left:
            self.topics["intake"].append(line_request(self.intake, self.what, units))

    @precondition(lambda self: self.intake.open)
    @rule(sure=st.sampled_from((False, False, False, False, True)))
    def cancel(self, sure: bool) -> None:
        if not sure:
            return
        self.intake.cancelling = True
        self.topics["intake"].append(OrderCancellationRequested(order_id=ORDER, lines=self.what.lines))

    @precondition(lambda self: self.intake.open)
    @rule(hold=st.sampled_from(("fraud", "wait")))
    def hold(self, hold: str) -> None:
        if hold not in self.intake.holds:
            self.intake.holds.add(hold)
            self.intake.paused = True
            self.topics["intake"].append(HoldPlaced(order_id=ORDER, hold=hold, message="Ask."))

    @precondition(lambda self: self.intake.holds)
    @rule()
    def resume(self) -> None:
        self.intake.holds.pop()
        if not self.intake.holds and self.intake.paused:
            self.intake.paused = False
            self.topics["intake"].append(OrderResumed(order_id=ORDER))

    @precondition(lambda self: self.intake.open)
    @rule(place=st.sampled_from((None, None, *PLACES)))
    def amend(self, place: Destination | None) -> None:
        if place is None:
            return
        self.topics["intake"].append(amendment(self.intake, place))

    # Warehouses and carriers

    @precondition(lambda self: self.work)
    @rule(data=st.data(), short=st.sampled_from((1, 1, 9)), wrong=st.sampled_from((0, 0, 0, 1)))
    def pick(self, data: st.DataObject, short: int, wrong: int) -> None:
        of = data.draw(st.sampled_from([*self.work]))
        self.report(picked(of, self.work[of][1], short, wrong))

    @precondition(lambda self: self.work)
    @rule(data=st.data(), parcels=st.integers(1, 2))
    def pack(self, data: st.DataObject, parcels: int) -> None:
        of = data.draw(st.sampled_from([*self.work]))
        packages = tuple(Package(package_id=f"{of}-{n}", weight_grams=1) for n in range(parcels))
        self.report(ConfirmPack(order_id=ORDER, fulfillment_order_id=of, packages=packages))

    @precondition(lambda self: self.work)
    @rule(data=st.data(), parcels=st.integers(1, 2), asks=st.sampled_from((None, 1, 2)))
    def dispatch(self, data: st.DataObject, parcels: int, asks: int | None) -> None:
        of = data.draw(st.sampled_from([*self.work]))
        self.report(dispatched(of, [f"{of}-{n}" for n in range(parcels)], asks))

    @precondition(lambda self: self.shipments)
    @rule(data=st.data(), status=st.sampled_from(STATUSES), hours=st.integers(0, 2))
    def scan(self, data: st.DataObject, status: CarrierStatus, hours: int) -> None:
        self.report(scanned(data.draw(st.sampled_from([*self.shipments, f"{ORDER}-S9"])), status, hours))

    def report(self, report: Report | None) -> None:
        if report is None:
            return
        before, events = self.state, self.turn(report)
        if any(isinstance(event, CommandRefused) for event in events):
            assert len(events) == 1, "refused, and done all the same"
            assert self.state == before
        else:
            assert events or any(tells_no_more(report, one) for one in self.recorded), (
                "unheard of, and silent"
            )
            self.recorded.append(report)

    @precondition(lambda self: self.recorded)
    @rule(data=st.data())
    def report_again(self, data: st.DataObject) -> None:
        before = self.state
        assert self.turn(data.draw(st.sampled_from(self.recorded))) == [], "a repeat is answered otherwise"
        assert self.state == before

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        before, fact = self.state, data.draw(st.sampled_from(self.told))
        if not isinstance(fact, OrderCancellationRequested) or before.cancelled:
            assert self.turn(fact) == [], "a fact that is heard again is answered again"
            assert self.state == before

    # What holds at any moment

    @invariant()
    def invariant_each_unit_is_in_one_place(self) -> None:
        state = self.state
        for account in state.accounts.values():
            places = account.in_work + account.awaiting + account.delivered + account.lost
            assert account.ordered == places + account.cancelled + account.unroutable
        in_work = Counter({line: account.in_work for line, account in state.accounts.items()})
        at_nodes = Counter[int]()
        for (_, line), units in units_at_nodes(state).items():
            at_nodes[line] += units
        assert +in_work == at_nodes + (self.out - self.ended)
        assert self.out <= counted(self.what.parts), "a unit left twice"
        assert len(self.completed) <= 1

    @invariant()
    def invariant_all_that_was_ordered_is_known_at_once(self) -> None:
        if self.state.accounts:
            ordered = {line: account.ordered for line, account in self.state.accounts.items()}
            named = self.inventory.lines(Counter(ordered))
            assert counted(in_parts(self.what.bundles, named)) == counted(self.what.parts)

    def teardown(self) -> None:
        """All is heard, every hold ends, there is plenty of everything, and the warehouses finish."""
        if not hasattr(self, "what"):
            return
        if not self.inventory.known:
            self.accept()
        for _ in range(60):
            self.everybody_hears()
            while self.intake.holds:
                self.resume()
            if self.inventory.asks:
                self.topics["inventory"].append(
                    self.inventory.allocate(+self.inventory.pending, lambda *_: "N1")
                )
            elif not any(self.topics.values()):
                self.nothing_is_forgotten()
                if not self.step_on():
                    break
        self.it_ended()

    def nothing_is_forgotten(self) -> None:
        """At rest, inventory and fulfillment know the same of each unit."""
        waiting = counted(*(node.lines for one in withheld(self.state) for node in one.nodes))
        awaiting = Counter({line: account.awaiting for line, account in self.state.accounts.items()})
        assert +self.inventory.pending == +awaiting - waiting, "units that nobody looks for"
        at_nodes = units_at_nodes(self.state)
        for allocated in withheld(self.state):
            for node in allocated.nodes:
                for units in node.lines:
                    at_nodes[node.node, units.line] += units.quantity
        assert +self.inventory.allocated == +at_nodes, "units are kept that nobody ships"

    @rule()
    def go_on(self) -> None:
        self.step_on()

    def step_on(self) -> bool:
        """Each fulfillment order a step on; False where none can go on."""
        for of, work in self.state.work.items():
            match work.step:
                case "released":
                    self.report(picked(of, self.work[of][1]))
                case "picked":
                    packages = (Package(package_id=f"{of}-0", weight_grams=1),)
                    self.report(ConfirmPack(order_id=ORDER, fulfillment_order_id=of, packages=packages))
                case "packed":
                    self.report(dispatched(of, [one.package_id for one in work.packages]))
                case "dispatched":
                    self.report(scanned(work.shipment_id, "delivered"))
                case _:
                    continue
            return True
        return False

    def it_ended(self) -> None:
        [end] = self.completed
        assert self.intake.ends == [end.outcome]
        groups = (end.delivered, end.lost, end.cancelled, end.unroutable)
        everything = self.inventory.lines(counted(*groups))
        assert counted(in_parts(self.what.bundles, everything)) == counted(self.what.parts)
        assert counted(end.delivered, end.lost) == self.ended == self.out
        parts = {part.line for bundle in self.what.bundles for part in bundle.parts}
        assert end.bundles or not parts & counted(*groups).keys(), "lines that nobody can name the price of"


FulfillmentLife.TestCase.settings = plays(lives=100, steps=40)
TestFulfillmentLife = FulfillmentLife.TestCase
