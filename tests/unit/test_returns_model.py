"""Any life of an order that comes back: units once, money to the cent, whatever is heard first.

hypothesis plays intake, fulfillment, support and a returns desk around one order. Three stages live it: one
hears the prices when they come, one before anything else, one at the very end. In the end they agree.
"""

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.changes import LinesCancelled
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentCompleted, ShipmentDelivered
from libs.events.order import LineQuantity, LineSerials, in_parts
from libs.events.returns import (
    AuthoriseReturn,
    Disposition,
    InspectedUnits,
    ReceiveReturn,
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnLine,
    ReturnReceived,
)
from tests.plays import plays
from tests.spec import NOON
from tests.unit.returns_orders import ORDER, Account, Bought, bought, counted, unsigned

DISPOSITIONS: tuple[Disposition, ...] = ("restock", "scrap", "quarantine")
CONDITIONS = st.sampled_from((None, "unopened", "damaged"))
GONE = ("lost", "cancelled", "unroutable")
Lines = tuple[LineQuantity, ...]


class ReturnsLife(RuleBasedStateMachine):
    """`open` are units of whose end nobody knows yet: lines as ordered, and of their parts once unpacked."""

    @initialize(
        what=bought(),
        stopped=st.sampled_from((False, False, False, True)),
        early=st.booleans(),
        data=st.data(),
    )
    def order(self, what: Bought, stopped: bool, early: bool, data: st.DataObject) -> None:
        self.stopped = stopped
        """In the end what is open is cancelled, where nobody has unpacked it; else it arrives."""
        self.what, self.now, self.first, self.last = what, Account(), Account(), Account()
        self.first.take(what.terms)
        self.priced = False
        self.open = Counter({line.line: line.quantity for line in what.terms.lines})
        self.skus = {line.line: line.sku for line in what.terms.lines}
        for bundle in what.bundles:
            self.skus |= {part.line: part.sku for part in bundle.parts}
        self.unpacked = False
        self.cut, self.delivered, self.came = Counter[int](), Counter[int](), Counter[int]()
        self.gone = {cause: Counter[int]() for cause in GONE}
        self.rmas: dict[str, Counter[int]] = {}
        """Units that may come and have not."""
        self.told: list[Event] = []
        """Facts that may be heard again."""
        self.serials: dict[int, list[str]] = {}
        self.numbers, self.ids = {sku: count(1) for sku in ("A", "B", "C")}, count(1)
        self.completed = False
        if early:
            self.cancel_some(data)
        if not stopped and data.draw(st.booleans()):
            self.unpack()
            self.end(self.lines(self.open), "delivered")

    # What the other stages say

    def hear(self, fact: Event) -> None:
        for account in (self.now, self.first, self.last):
            account.take(fact)
        self.told.append(fact)

    @precondition(lambda self: not self.priced)
    @rule()
    def prices_come(self) -> None:
        self.priced = True
        self.now.take(self.what.terms)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        before = [account.life.parts for account in (self.now, self.first, self.last)]
        fact = data.draw(st.sampled_from([*self.told, *[self.what.terms] * self.priced]))
        for account in (self.now, self.first):
            if fact is not self.what.terms or account is self.first or self.priced:
                assert account.take(fact) == [], "a fact that was heard again is answered again"
        if fact is not self.what.terms:
            assert self.last.take(fact) == []
        assert [account.life.parts for account in (self.now, self.first, self.last)] == before

    @precondition(lambda self: +self.open)
    @rule(data=st.data())
    def cancel_lines(self, data: st.DataObject) -> None:
        self.cancel_some(data)

    def cancel_some(self, data: st.DataObject) -> None:
        """Boxes leave whole, and only while nobody has unpacked them."""
        parts = {part.line for bundle in self.what.bundles for part in bundle.parts}
        lines = self.some(data, Counter({x: units for x, units in self.open.items() if x not in parts}))
        if lines:
            self.open -= counted(lines)
            self.cut += counted(lines)
            self.hear(
                LinesCancelled(order_id=ORDER, cancellation_id=f"{ORDER}-C{next(self.ids)}", lines=lines)
            )

    @precondition(lambda self: +self.open)
    @rule(data=st.data(), end=st.sampled_from(("delivered", "delivered", *GONE)))
    def units_end(self, data: st.DataObject, end: str) -> None:
        self.unpack()
        self.end(self.some(data, +self.open), end)

    def end(self, lines: Lines, end: str) -> None:
        if not lines:
            return
        self.open -= counted(lines)
        if end != "delivered":
            self.gone[end] += counted(lines)
            return
        self.delivered += counted(lines)
        serials = [self._numbered(units) for units in lines if units.sku in self.what.numbered]
        for one in serials:
            self.serials.setdefault(one.line, []).extend(one.serials)
        self.hear(
            ShipmentDelivered(
                order_id=ORDER,
                shipment_id=f"{ORDER}-S{next(self.ids)}",
                occurred_at=NOON,
                lines=lines,
                bundles=self.what.bundles or None,
                serials=tuple(serials) or None,
            )
        )

    def _numbered(self, units: LineQuantity) -> LineSerials:
        """Numbers of their SKU; another SKU has the same ones."""
        own = tuple(str(next(self.numbers[units.sku])) for _ in range(units.quantity))
        return LineSerials(line=units.line, sku=units.sku, serials=own)

    @precondition(lambda self: not +self.open and not self.completed)
    @rule()
    def complete(self) -> None:
        self.completed = True
        cancelled = self.gone["cancelled"] + self.cut
        self.hear(
            FulfillmentCompleted(
                order_id=ORDER,
                outcome="delivered",
                delivered=self.lines(self.delivered),
                lost=self.lines(self.gone["lost"]),
                cancelled=self.lines(cancelled),
                unroutable=self.lines(self.gone["unroutable"]),
                bundles=(self.what.bundles or None) if self.unpacked else None,
            )
        )

    def unpack(self) -> None:
        if not self.unpacked:
            self.unpacked = True
            cut = Counter({x.line: x.quantity for x in in_parts(self.what.bundles, self.lines(self.cut))})
            ordered = Counter({line.line: line.quantity for line in self.what.terms.lines})
            whole = self.lines(ordered)
            self.open = Counter({x.line: x.quantity for x in in_parts(self.what.bundles, whole)}) - cut

    # What support and the returns desk say

    @rule(data=st.data(), quantity=st.integers(1, 4), fits=st.sampled_from((True, True, False)))
    def authorise(self, data: st.DataObject, quantity: int, fits: bool) -> None:
        line = data.draw(st.sampled_from([*self.skus, 99]))
        if fits:
            some = self.some(data, self.returnable)
            asked = [ReturnLine(line=units.line, quantity=units.quantity) for units in some]
        else:
            asked = [ReturnLine(line=line, quantity=quantity)]
        if not asked:
            return
        wanted = self.in_parts(asked, self.returnable)
        events = self.say(AuthoriseReturn(order_id=ORDER, lines=tuple(asked)))
        allowed = bool(self.delivered) and wanted <= self.returnable
        assert isinstance(events[0], ReturnAuthorised) is allowed, events
        if isinstance(events[0], ReturnAuthorised):
            assert counted(events[0].lines) == wanted
            assert events[0].rma_id not in self.rmas
            self.rmas[events[0].rma_id] = wanted

    @precondition(lambda self: self.rmas)
    @rule(
        data=st.data(),
        quantity=st.integers(1, 4),
        fits=st.sampled_from((True, True, False)),
        disposition=st.sampled_from(DISPOSITIONS),
        condition=CONDITIONS,
    )
    def receive(
        self,
        data: st.DataObject,
        quantity: int,
        fits: bool,
        disposition: Disposition,
        condition: str | None,
    ) -> None:
        rma_id = data.draw(st.sampled_from([*self.rmas]))
        line = data.draw(st.sampled_from([*self.skus, 99]))
        if fits:
            units = [(x.line, x.quantity) for x in self.some(data, self.rmas[rma_id])]
        else:
            units = [(line, quantity)]
        if not units:
            return
        came = tuple(
            InspectedUnits(
                line=number,
                quantity=quantity,
                disposition=disposition,
                condition=condition,
                serials=self.scanned(data, number, quantity, disposition),
            )
            for number, quantity in units
        )
        self.bring(rma_id, came)

    def scanned(
        self, data: st.DataObject, line: int, quantity: int, disposition: Disposition
    ) -> tuple[str, ...] | None:
        """The numbers of as many of its units as come, or any; of what is thrown away perhaps none."""
        known = self.serials.get(line)
        if not known or (disposition == "scrap" and data.draw(st.booleans())):
            return None
        if data.draw(st.booleans()):
            return tuple(data.draw(st.lists(st.sampled_from(known), min_size=quantity, max_size=quantity)))
        return tuple(data.draw(st.permutations(known))[:quantity])

    def bring(self, rma_id: str, came: tuple[InspectedUnits, ...]) -> None:
        expected = self.rmas[rma_id]
        by_line = self.in_parts([(x.line, x.quantity) for x in came], expected)
        events = self.say(ReceiveReturn(order_id=ORDER, rma_id=rma_id, node="N1", units=came))
        bundled = {bundle.line for bundle in self.what.bundles}
        if any(x.line in bundled for x in came) and self.what.numbered:
            told = isinstance(events[0], ReturnReceived)  # whether each part's number is told is not reckoned
            assert by_line <= expected or not told
        else:
            assert isinstance(events[0], ReturnReceived) is (by_line <= expected and self.named(came)), events
        if not isinstance(events[0], ReturnReceived):
            return
        assert counted(events[0].units) == by_line, "other units were taken back than came"
        for unit in events[0].units:
            known = self.serials.get(unit.line, [])
            for serial in unit.serials or ():
                known.remove(serial)
        self.came += by_line
        self.rmas[rma_id] = expected - by_line
        assert any(isinstance(event, ReturnClosed) for event in events) is not any(self.rmas[rma_id].values())

    def named(self, came: tuple[InspectedUnits, ...]) -> bool:
        """Whether each unit that asks for one is named by a number that it was sent with."""
        for unit in came:
            if unit.line in self.serials:
                told = unit.serials or ()
                may = unit.disposition == "scrap" and not told
                fit = len(told) == len(set(told)) == unit.quantity
                if not may and not (fit and set(told) <= set(self.serials[unit.line])):
                    return False
            elif unit.serials:
                return False
        return True

    def say(self, command: AuthoriseReturn | ReceiveReturn) -> list[Event]:
        """The same to all; what they answer differs at most in refunds that wait for the prices."""
        answers = [account.take(command) for account in (self.now, self.first, self.last)]
        plain = [[e for e in answer if not isinstance(e, RefundRequested)] for answer in answers]
        assert unsigned(plain[0]) == unsigned(plain[1]) == unsigned(plain[2])
        return answers[0]

    # Words

    @property
    def returnable(self) -> Counter[int]:
        under = sum((rma for rma in self.rmas.values()), Counter[int]())
        return self.delivered - under - self.came

    def in_parts(self, asked: Iterable[ReturnLine | tuple[int, int]], left: Counter[int]) -> Counter[int]:
        """Units by line; of a bundle as many of each part as it has, from the first lines that have some."""
        total = Counter[int]()
        for one in asked:
            line, quantity = one if isinstance(one, tuple) else (one.line, one.quantity)
            bundle = next((x for x in self.what.bundles if x.line == line), None)
            if bundle is None or not self.delivered:
                total[line] += quantity
                continue
            for sku in {part.sku for part in bundle.parts}:
                lines = [part for part in bundle.parts if part.sku == sku]
                need = sum(part.quantity for part in lines) // bundle.quantity * quantity
                for part in lines:
                    taken = min(need, left[part.line]) if part is not lines[-1] else need
                    total[part.line] += taken
                    need -= taken
        return +total

    def lines(self, units: Counter[int]) -> Lines:
        return tuple(
            LineQuantity(line=line, sku=self.skus[line], quantity=quantity)
            for line, quantity in sorted(units.items())
            if quantity
        )

    def some(self, data: st.DataObject, of: Counter[int]) -> Lines:
        """Some of these units, often all, perhaps none."""
        if data.draw(st.booleans()):
            return self.lines(of)
        return self.lines(
            Counter({line: data.draw(st.integers(0, units)) for line, units in sorted(of.items())})
        )

    # What holds at any moment

    @invariant()
    def no_more_money_goes_back_than_came(self) -> None:
        for account in (self.now, self.first, self.last):
            assert 0 <= account.refunded_minor <= max(self.what.total_minor, 0)
            assert all(event.amount_minor > 0 for event in account.refunds.values())
            if self.what.terms.payment == "on_account":
                assert all(event.cause == "returned" for event in account.refunds.values())

    @invariant()
    def what_goes_back_is_what_the_units_are_worth(self) -> None:
        """But for what is capped, and less than a minor unit a line of a bundle."""
        for event in self.first.refunds.values():
            worth = sum((self.what.worth(x.line) * x.quantity for x in event.lines), Fraction(0))
            slack = len({x.line for x in event.lines} - self.what.prices.keys())
            if event.cause == "returned":
                assert event.amount_minor <= worth + slack
                capped = self.first.refunded_minor >= self.what.total_minor
                assert capped or event.amount_minor >= worth - slack

    @invariant()
    def no_unit_is_refunded_twice(self) -> None:
        for account in (self.now, self.first, self.last):
            back = Counter[int]()
            for event in account.refunds.values():
                back += counted(event.lines)
            assert back <= self.came + self.cut + sum(self.gone.values(), Counter[int]())

    def teardown(self) -> None:
        """Everything comes to its end, and all that arrived comes back."""
        if not hasattr(self, "what"):
            return
        if not self.stopped:
            self.unpack()
        self.end(self.lines(self.open), "delivered" if self.unpacked else "cancelled")
        if not self.completed:
            self.complete()
        if not self.priced:
            self.prices_come()
        self.last.take(self.what.terms)
        if lines := self.lines(self.returnable):
            asked = tuple(ReturnLine(line=units.line, quantity=units.quantity) for units in lines)
            [event] = self.say(AuthoriseReturn(order_id=ORDER, lines=asked))
            assert isinstance(event, ReturnAuthorised)
            self.rmas[event.rma_id] = counted(event.lines)
        for rma_id, left in list(self.rmas.items()):
            units = tuple(
                InspectedUnits(line=line, quantity=quantity, disposition="scrap")
                for line, quantity in left.items()
                if quantity
            )
            if units:
                self.bring(rma_id, units)
        assert self.came == self.delivered
        self.all_agree()
        self.the_money_is_right()

    def all_agree(self) -> None:
        """Whenever the prices came, the same refunds were asked for."""
        assert self.now.refunds == self.first.refunds == self.last.refunds
        assert self.now.state == self.first.state == self.last.state

    def the_money_is_right(self) -> None:
        """Who paid has paid nothing, in the end, but for the charges of what arrived."""
        if self.what.terms.payment == "on_account":
            return
        owed = min(self.what.total_minor, self.what.goods_minor) if self.delivered else self.what.total_minor
        assert self.first.refunded_minor == max(owed, 0)


ReturnsLife.TestCase.settings = plays(lives=100, steps=25)
TestReturnsLife = ReturnsLife.TestCase
