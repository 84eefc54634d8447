"""Any life of an order as its customer hears of it, in any order of arrival: each milestone once, none before
it happened or after what follows on it, and of an order that was cancelled nothing that says it goes on.

hypothesis tells what the stages did, repeated, late, contradictory and after the end, and lets a mail server
answer. What is owed is reckoned beside it from what was told alone.
"""

from datetime import date, timedelta
from typing import get_args

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.amendments import OrderAmended
from libs.events.changes import LinesCancelled
from libs.events.contract import Contract, Event
from libs.events.fulfillment import CarrierStatus
from libs.events.intake import Outcome, PaymentState
from libs.events.notifications import MessageFailed, MessageRequested, MessageSent, MessageSkipped
from libs.events.order import Destination, LineQuantity, Sealed
from libs.events.refusal import CommandRefused
from services.notifications import domain
from services.notifications.messages import render
from tests.plays import plays
from tests.spec import NOON, given
from tests.unit import test_notifications_domain as lives
from tests.unit.test_notifications_dates import NINTH, dated
from tests.unit.test_notifications_domain import CONTACT, ORDER
from tests.unit.test_notifications_messages import ANNA

NUMBERS = st.integers(1, 2)
PAYMENTS: st.SearchStrategy[PaymentState] = st.sampled_from(("paid", "on_account"))
STATUSES: st.SearchStrategy[CarrierStatus] = st.sampled_from(("picked_up", "in_transit", "exception"))
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(get_args(Outcome))
Told = tuple[str, str | None]
"""A milestone, and what it is about."""
GOES_ON = frozenset({"routed", "picking", "backordered", "confirmed", "paid"})
"""What nobody is told of an order that was cancelled as a whole; nor of single lines of it."""
PARCELS = frozenset({"shipped", "picked_up", "delivered", "lost"})
FOLLOWS = {"routed": PARCELS, "picking": PARCELS}
"""Who was told of these is not told of that."""


def amended(number: int, *, mail: bool) -> OrderAmended:
    to = Sealed(subject="c:17", generation=1 + number, nonce="A" * 16, ciphertext="A" * 24)
    terms = {"destination": Destination(country="GB"), "contact": to} if mail else {"service": "express"}
    return OrderAmended.model_validate(
        {"order_id": ORDER, "amendment_id": f"{ORDER}-A{number}", "mail": True if mail else None, **terms}
    )


def some_cancelled(number: int) -> LinesCancelled:
    lines = (LineQuantity(line=1, sku="cup", quantity=1),)
    return LinesCancelled(order_id=ORDER, cancellation_id=f"{ORDER}-C{number}", lines=lines)


class MailLife(RuleBasedStateMachine):
    """`waiting` and `told` are of the naive reckoning; `asked` is what the stage asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.life = given(domain)
        self.asked: dict[str, MessageRequested] = {}
        self.outcomes: dict[str, str] = {}
        self.happened: set[Told] = set()
        self.waiting: list[Told] = []
        self.told: set[Told] = set()
        self.known = self.silent = self.withdrawn = False
        self.contact = self.delivered_to = CONTACT
        self.held: Sealed | None = None
        self.moved: Sealed | None = None
        self.date: date | None = None
        """The last that inventory told, of which the customer was told or will be with the acceptance."""
        self.days = 0
        self.heard: list[Event] = []
        self.own: list[Event] = []

    @initialize(silent=st.sampled_from((False, False, False, True)), held=st.booleans())
    def open(self, silent: bool, held: bool) -> None:
        self.silent, self.withdrawn = silent, held

    def hear(self, body: Event, *about: Told) -> None:
        """Take a fact and hold the answer to what the customer is owed for it."""
        self.happened.update(about)
        events = self.take(body)
        due = [one for one in about if self.is_due(one)]
        if not self.known:
            self.waiting += due
        self.told.update(due if self.known and not self.silent else ())
        assert [_about(event) for event in events] == (due if self.known and not self.silent else [])

    def is_due(self, one: Told) -> bool:
        milestone, subject = one
        if one in self.told or one in self.waiting:
            return False
        if any(other in FOLLOWS.get(milestone, ()) for other, _ in (*self.told, *self.waiting)):
            return False
        ends = {("delivered", subject), ("lost", subject)}
        if milestone == "picked_up" and ends & {*self.told, *self.waiting}:
            return False
        return ("cancelled", None) not in self.told or not _goes_on(one)

    def take(self, body: Contract) -> list[Event]:
        events = self.life.when(body, at=NOON + timedelta(days=self.days)).events
        self.own += events
        if isinstance(body, Event):
            self.heard.append(body)
        for event in events:
            if isinstance(event, MessageRequested):
                assert event.message_id not in self.asked, "no message is asked for twice"
                assert domain.owes(event) == event.message_id
                self.asked[event.message_id] = event
                render(self.life.parts[ORDER], event.message_id, ANNA)
        assert self.life.when(body, at=NOON + timedelta(days=self.days)).events == [], "told twice"
        return events

    # The order's beginning: one way, and always the same.

    @rule(payment=PAYMENTS)
    def begin(self, payment: PaymentState) -> None:
        """It is accepted, or cancelled while it is held; intake tells the one or the other."""
        contact = None if self.silent else self.delivered_to
        first: list[Told]
        if self.withdrawn:
            events, first = self.take(lives.withdrawn(contact)), [("cancelled", None)]
        else:
            events = self.take(lives.accepted(payment, contact=contact))
            first = [("confirmed", None), *([("paid", None)] if payment == "paid" else [])]
        if self.known:
            assert events == []
            return
        self.known = True
        self.silent = self.silent and (self.withdrawn or self.moved is None)
        self.contact = (None if self.withdrawn else self.moved) or self.held or CONTACT
        if self.silent:
            assert [type(event) for event in events] == [MessageSkipped]
            self.told.add(first[0])
            self.waiting, self.date = [], None
            return
        owed = first + [one for one in self.waiting if not (self.withdrawn and _goes_on(one))]
        self.told.update(owed)
        found = [_about(event) for event in events]
        if self.date is not None and not self.withdrawn and ("backordered", None) not in owed:
            owed.append(("backordered", str((NOON + timedelta(days=self.days)).date())))
        assert found == owed
        carries = [event.contact for event in events if isinstance(event, MessageRequested)]
        assert carries == [self.contact, *[None] * (len(events) - 1)]

    @rule(outcome=OUTCOMES)
    def close(self, outcome: Outcome) -> None:
        """Intake closes what it accepted before, or what it told of as cancelled."""
        if self.known:
            told: list[Told] = [("cancelled", None)] if outcome in ("cancelled", "unroutable") else []
            self.hear(lives.closed(outcome), *told)

    @precondition(lambda self: not self.known and not self.silent and self.held is None)
    @rule()
    def hold(self) -> None:
        assert self.take(lives.held()) == []
        self.held = CONTACT

    @precondition(lambda self: not self.known and self.held is not None)
    @rule(number=NUMBERS, mail=st.booleans())
    def amend_while_held(self, number: int, mail: bool) -> None:
        """Intake accepts it with the new contact, whether that names a mail address or not."""
        contact = Sealed(subject="c:17", generation=9 + number, nonce="A" * 16, ciphertext="A" * 24)
        assert self.take(lives.amended(contact, mail=mail)) == []
        self.delivered_to = contact
        if mail:
            self.held = contact

    # What the others did, whoever is heard first

    @rule()
    def backorder(self) -> None:
        self.hear(lives.backordered(), ("backordered", None))

    @rule(number=NUMBERS)
    def route(self, number: int) -> None:
        self.hear(lives.routed(number), ("routed", None))

    @rule(number=NUMBERS)
    def release(self, number: int) -> None:
        self.hear(lives.released(number), ("picking", None))

    @rule(number=NUMBERS)
    def ship(self, number: int) -> None:
        self.hear(lives.shipped(number), ("shipped", f"{ORDER}-S{number}"))

    @rule(number=NUMBERS, status=STATUSES)
    def scan(self, number: int, status: CarrierStatus) -> None:
        subject: str | None = f"{ORDER}-S{number}"
        about = [("picked_up", subject)] if status == "picked_up" else []
        self.hear(lives.scanned(status, number), *about)

    @rule(number=NUMBERS)
    def deliver(self, number: int) -> None:
        self.hear(lives.delivered(number), ("delivered", f"{ORDER}-S{number}"))

    @rule()
    def lose(self) -> None:
        self.hear(lives.lost(), ("lost", f"{ORDER}-S1"))

    @rule()
    def authorise(self) -> None:
        self.hear(lives.authorised(), ("return_authorised", f"{ORDER}-R1"))

    @rule()
    def refund(self) -> None:
        self.hear(lives.refunded(), ("refunded", f"{ORDER}-R1-refund-1"))

    @rule(number=NUMBERS)
    def cancel_lines(self, number: int) -> None:
        self.hear(some_cancelled(number), ("cancelled", f"{ORDER}-C{number}"))

    @rule(number=NUMBERS, mail=st.booleans())
    def amend(self, number: int, mail: bool) -> None:
        one, event = ("confirmed", f"{ORDER}-A{number}"), amended(number, mail=mail)
        due = self.is_due(one)
        if self.known and due and mail:
            self.silent = False  # from now on there is somebody to tell
        self.hear(event, one)
        if due and mail and event.contact is not None:
            self.contact = self.moved = event.contact

    @rule(later=st.integers(-3, 6), known=st.sampled_from((True, True, False)))
    def date_it(self, later: int, known: bool) -> None:
        """News of the date are told once, unless nobody was promised less."""
        by = NINTH + timedelta(days=later) if known else None
        before, over = self.date, ("cancelled", None) in self.told
        events = self.take(dated(by))
        news = before is not None if by is None else before is None or by > before
        if over or (self.known and self.silent):
            assert events == []
        elif not self.known:
            assert events == []
            self.date = by
        else:
            assert bool(events) == news
            self.date = by if news else before

    @rule(passed=st.integers(1, 2))
    def sleep(self, passed: int) -> None:
        self.days += passed

    # The mail server, and who settles by hand

    @rule(data=st.data(), how=st.sampled_from(("sent", "failed")))
    def report(self, data: st.DataObject, how: str) -> None:
        """The first report stands."""
        id_ = data.draw(st.sampled_from([*self.asked, f"{ORDER}-nothing"]))
        events = self.life.when(lives.outcome(id_, how, "why")).events
        self.own += events
        if id_ not in self.asked:
            assert [type(event) for event in events] == [CommandRefused]
        elif id_ not in self.outcomes:
            assert [type(event) for event in events] == [MessageSent if how == "sent" else MessageFailed]
            assert domain.settles(events[0]) == id_
            self.outcomes[id_] = how
        else:
            refused = self.outcomes[id_] != how
            assert [type(event) for event in events] == ([CommandRefused] if refused else [])

    # What holds at any moment

    @invariant()
    def what_is_told_has_happened_and_is_told_where_the_customer_reads(self) -> None:
        state = self.life.parts.get(ORDER, domain.INITIAL)
        if self.silent or not self.known:
            assert self.asked == {}
            return
        milestones = {_about(message) for message in self.asked.values()}
        first = {("confirmed", None), ("paid", None), ("cancelled", None)}
        about = {one for one in milestones - first if one[0] != "backordered" or one[1] is None}
        assert about <= self.happened
        assert state.contact == self.contact
        owed = {id_ for id_, letter in state.letters.items() if letter.outcome == "owed"}
        assert owed == self.asked.keys() - self.outcomes.keys()
        assert state.early == {}, "waits for ever"

    def teardown(self) -> None:
        """A rebuild does not know in which order topics were heard: what was told decides."""
        state = domain.INITIAL
        for event in (*self.heard, *self.own):
            state = domain.evolve(state, event)
        assert state == self.life.parts.get(ORDER, domain.INITIAL)


def _about(event: Event) -> Told:
    assert isinstance(event, MessageRequested)
    return event.milestone, event.subject_id


def _goes_on(one: Told) -> bool:
    milestone, subject = one
    return milestone in GOES_ON or (milestone == "cancelled" and subject is not None)


MailLife.TestCase.settings = plays(lives=60, steps=40)
TestMailLife = MailLife.TestCase
