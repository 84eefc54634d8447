"""Any life of an order in intake, in any order of commands and facts: accepted or refused once, ended once,
held as long as something holds it and no longer, and changed by no more than was asked.

hypothesis plays channels, support, operations and fulfillment, whose answers are late. The reckoning beside
it knows the contracts alone.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.events.amendments import AmendOrder, HeldOrderAmended, OrderAmendmentRequested
from libs.events.changes import (
    AddNote,
    CancelLines,
    HoldDeclined,
    HoldPlaced,
    KeptUnits,
    LineCancellationDeclined,
    LineCancellationRequested,
    LineUnits,
    NoteAdded,
    OrderResumed,
    PlaceHold,
)
from libs.events.contract import Contract, Event
from libs.events.fulfillment import CancellationDeclined, FulfillmentCompleted
from libs.events.ids import order_id
from libs.events.intake import (
    CancelOrder,
    HeldOrderCancelled,
    HoldReleased,
    OrderAccepted,
    OrderCancellationRequested,
    OrderClosed,
    OrderHeld,
    OrderRejected,
    Outcome,
    ReleaseHold,
)
from libs.events.order import Destination, Sealed
from services.intake import domain
from tests.plays import plays
from tests.spec import TENANT, given, refused
from tests.unit.test_intake_domain import LINES, UNMAPPED, submit

GERMANY = Destination(country="DE", postcode_area="10", latitude=52.5, longitude=13.4)
SEALED = Sealed(subject="c:17", nonce="A" * 16, ciphertext="A" * 24)
UNITS = {line.line: line.quantity for line in LINES}
VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...] | None]] = {
    "good": ({}, ()),
    "pending": ({"payment": "pending"}, ("payment",)),
    "nowhere": ({"destination": UNMAPPED}, ("address",)),
    "mismatch": ({"total_minor": 1}, ("total_mismatch",)),
    "everything": (
        {"payment": "pending", "destination": UNMAPPED, "total_minor": 1},
        ("payment", "address", "total_mismatch"),
    ),
    "impossible": ({"currency": "XXX"}, None),
}
"""What is sent, and the holds that it is captured with; None, it is rejected."""
CHANNELS = st.sampled_from(("web", "web", "web", "pos"))
FIRST = st.sampled_from(("good", "good", "pending", "nowhere", "everything", "everything"))
HOLDS = st.sampled_from(("payment", "address", "total_mismatch", "fraud", "vip"))
PLACED = st.sampled_from(("fraud", "vip", "payment"))
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(get_args(Outcome))


class Reckoned:
    """One order, as anybody would reckon it from what was asked and answered."""

    def __init__(self, channel: str) -> None:
        self.id = order_id(TENANT, channel, "1001")
        self.channel = channel
        self.sent = ""
        self.status = "unknown"
        self.captured: list[str] = []
        self.released: list[str] = []
        self.placed: dict[str, str] = {}
        self.asked = Counter[int]()
        self.destination = submit().destination
        self.service: str | None = None
        self.names = set[str]()
        """Of cancellations and amendments: each once."""
        self.requests: list[LineCancellationRequested] = []
        # Fulfillment, which hears of the order by intake's events alone
        self.at_node = self.keeps = False
        self.on_the_way: list[Event] = []
        self.gone: set[str] = set()
        """Holds that were released, and not placed anew."""
        self.ever_gone: set[str] = set()

    @property
    def open(self) -> list[str]:
        return [*self.captured, *self.placed]


class OrderLife(RuleBasedStateMachine):
    """Two orders, of two channels that number theirs alike."""

    def __init__(self) -> None:
        super().__init__()
        self.life = given(domain)
        self.orders = {channel: Reckoned(channel) for channel in ("web", "pos")}
        self.said: dict[str, Counter[type[Event]]] = {channel: Counter() for channel in self.orders}

    def ask(self, order: Reckoned, body: Contract) -> list[Event]:
        events = self.life.when(body).events
        self.said[order.channel].update(type(event) for event in events)
        for event in events:
            self.tell_fulfillment(order, event)
        return events

    @staticmethod
    def tell_fulfillment(order: Reckoned, event: Event) -> None:
        """It keeps an order that is held before it has work, and else says that it is too late."""
        if isinstance(event, HoldPlaced):
            if order.at_node:
                order.on_the_way.append(HoldDeclined(order_id=order.id, hold=event.hold, reason="late"))
            else:
                order.keeps = True
        elif isinstance(event, OrderResumed):
            order.keeps = False

    # Channels

    @initialize(variant=FIRST)
    def begin(self, variant: str) -> None:
        """Of the one much happens, of the other little, and most before it is sent."""
        self.submit("web", variant)

    @rule(channel=CHANNELS, variant=st.sampled_from(sorted(VARIANTS)))
    def submit(self, channel: str, variant: str) -> None:
        order, (changes, holds) = self.orders[channel], VARIANTS[variant]
        body = submit(order_id=order.id, channel=channel, **changes)
        events = self.ask(order, body)
        if order.sent:
            refused(events, "conflict") if variant != order.sent else nothing(events)
            return
        order.sent = variant
        [answer] = events
        if holds is None:
            assert isinstance(answer, OrderRejected)
            order.status = "rejected"
        elif holds:
            assert isinstance(answer, OrderHeld)
            assert tuple(hold.name for hold in answer.holds) == holds
            order.status, order.captured = "held", list(holds)
            order.destination = body.destination
        else:
            assert isinstance(answer, OrderAccepted)
            order.status = "accepted"

    @rule(channel=CHANNELS)
    def submit_under_anothers_id(self, channel: str) -> None:
        other = self.orders["pos" if channel == "web" else "web"]
        refused(self.ask(other, submit(order_id=other.id, channel=channel)), "wrong_order_id")

    # Support and operations

    @rule(channel=CHANNELS)
    def cancel(self, channel: str) -> None:
        order = self.orders[channel]
        self.cancelled(order, self.ask(order, CancelOrder(order_id=order.id)))

    def cancelled(self, order: Reckoned, events: Sequence[Event]) -> None:
        if order.status == "held":
            withdrawn, ended = events
            assert isinstance(withdrawn, HeldOrderCancelled)
            assert isinstance(ended, OrderClosed)
            pays = order.sent in ("pending", "everything") and "payment" not in order.released
            assert withdrawn.payment == ("pending" if pays else "paid")
            assert withdrawn.lines == LINES
            order.status, order.captured, order.placed = "closed", [], {}
        elif order.status == "accepted":
            [wish] = events
            assert isinstance(wish, OrderCancellationRequested)
            assert {line.line: line.quantity for line in wish.lines} == UNITS
            order.status = "cancelling"
        elif order.status == "cancelling":
            nothing(events)
        else:
            refused(events)

    @rule(data=st.data(), channel=CHANNELS, known=st.booleans())
    def release(self, data: st.DataObject, channel: str, known: bool) -> None:
        order = self.orders[channel]
        hold = data.draw(st.sampled_from(order.open) if known and order.open else HOLDS)
        events = self.ask(order, ReleaseHold(order_id=order.id, hold=hold))
        if hold not in order.open:
            code = refused(events).code
            under_way = order.status in ("held", "accepted", "cancelling")
            assert code == "already_released" or not (under_way and hold in order.gone)
            assert code != "already_released" or hold in order.ever_gone
            return
        self.released(order, hold, events)

    def released(self, order: Reckoned, hold: str, events: Sequence[Event]) -> None:
        """Accepted with the last one, and nodes may have it once fulfillment is told."""
        order.gone.add(hold)
        order.ever_gone.add(hold)
        if hold in order.placed:
            del order.placed[hold]
        else:
            order.captured.remove(hold)
            order.released.append(hold)
        [first, *rest] = events
        assert isinstance(first, HoldReleased)
        assert (first.hold, sorted(first.remaining)) == (hold, sorted(order.open))
        accepted = [event for event in rest if isinstance(event, OrderAccepted)]
        assert len(accepted) == (order.status == "held" and not order.open)
        if accepted:
            order.status = "accepted"
            assert accepted[0].destination.country == order.destination.country
            assert accepted[0].service == order.service
        assert len(rest) == len(accepted) or isinstance(rest[-1], OrderResumed)

    @rule(channel=CHANNELS, hold=PLACED, message=st.sampled_from(("Ask the bank.", "Ask Ann.")))
    def place_hold(self, channel: str, hold: str, message: str) -> None:
        order = self.orders[channel]
        events = self.ask(order, PlaceHold(order_id=order.id, hold=hold, message=message))
        if order.status not in ("held", "accepted"):
            refused(events)
        elif order.placed.get(hold) == message:
            nothing(events)
        elif hold in order.open:
            refused(events, "already_held")
        else:
            assert [type(event) for event in events] == [HoldPlaced]
            order.placed[hold] = message
            order.gone.discard(hold)

    @rule(channel=CHANNELS, line=st.integers(1, 3), quantity=st.integers(1, 6), twice=st.booleans())
    def cancel_lines(self, channel: str, line: int, quantity: int, twice: bool) -> None:
        """`twice`, in two rows of the command."""
        order = self.orders[channel]
        rows = (LineUnits(line=line, quantity=quantity),) * (2 if twice else 1)
        total = quantity * len(rows)
        events = self.ask(order, CancelLines(order_id=order.id, lines=rows))
        left = {number: units - order.asked[number] for number, units in UNITS.items()}
        if order.status not in ("held", "accepted") or total > left.get(line, 0):
            refused(events)
        elif total == sum(left.values()):
            self.cancelled(order, events)
        else:
            [wish] = events
            assert isinstance(wish, LineCancellationRequested)
            assert [(one.line, one.quantity) for one in wish.lines] == [(line, total)]
            assert {one.line: one.quantity for one in wish.ordered} == UNITS
            self.named(order, wish.cancellation_id)
            order.asked[line] += total
            order.requests.append(wish)

    @staticmethod
    def named(order: Reckoned, name: str) -> None:
        assert name not in order.names
        order.names.add(name)

    @rule(
        channel=CHANNELS,
        to=st.sampled_from((None, GERMANY, UNMAPPED)),
        service=st.sampled_from((None, "express")),
    )
    def amend(self, channel: str, to: Destination | None, service: str | None) -> None:
        order = self.orders[channel]
        contact = None if to is None else SEALED
        command = AmendOrder(order_id=order.id, destination=to, contact=contact, service=service)
        events = self.ask(order, command)
        known = order.status in ("held", "accepted")
        if not known or to is UNMAPPED or (to is None and service is None):
            refused(events)
            return
        [first, *rest] = events
        held = order.status == "held"
        assert type(first) is (HeldOrderAmended if held else OrderAmendmentRequested)
        self.named(order, first.amendment_id)
        if held:
            order.destination, order.service = to or order.destination, service or order.service
        if held and to is not None and "address" in order.captured:
            self.released(order, "address", rest)
        else:
            assert rest == []

    @rule(channel=CHANNELS)
    def write_a_note(self, channel: str) -> None:
        order = self.orders[channel]
        events = self.ask(order, AddNote(order_id=order.id, note=SEALED))
        if order.status == "unknown":
            refused(events, "unknown_order")
        else:
            assert [type(event) for event in events] == [NoteAdded]

    # Fulfillment

    @rule(channel=CHANNELS)
    def work_begins(self, channel: str) -> None:
        order = self.orders[channel]
        if order.status in ("accepted", "cancelling") and not order.keeps:
            order.at_node = True

    @rule(channel=CHANNELS)
    def what_it_said_arrives(self, channel: str) -> None:
        order = self.orders[channel]
        if order.on_the_way:
            said = order.on_the_way.pop(0)
            nothing(self.ask(order, said))
            if isinstance(said, HoldDeclined):
                order.placed.pop(said.hold, None)

    @rule(channel=CHANNELS)
    def decline_the_cancellation(self, channel: str) -> None:
        order = self.orders[channel]
        nothing(self.ask(order, CancellationDeclined(order_id=order.id, reason="late")))
        if order.status == "cancelling":
            order.status = "accepted"

    @precondition(lambda self: any(order.requests for order in self.orders.values()))
    @rule(data=st.data())
    def decline_lines(self, data: st.DataObject) -> None:
        """All or a part of what was asked for, once."""
        order = data.draw(st.sampled_from([one for one in self.orders.values() if one.requests]))
        wish = order.requests.pop(data.draw(st.integers(0, len(order.requests) - 1)))
        [asked] = wish.lines
        kept = data.draw(st.integers(1, asked.quantity))
        units = KeptUnits(line=asked.line, sku=asked.sku, quantity=kept, code="picked")
        declined = LineCancellationDeclined(
            order_id=order.id, cancellation_id=wish.cancellation_id, lines=(units,), reason="late"
        )
        nothing(self.ask(order, declined))
        order.asked[asked.line] -= kept

    @rule(channel=CHANNELS, outcome=OUTCOMES)
    def complete(self, channel: str, outcome: Outcome) -> None:
        order = self.orders[channel]
        events = self.ask(order, FulfillmentCompleted(order_id=order.id, outcome=outcome))
        if order.status in ("accepted", "cancelling"):
            assert events == [OrderClosed(order_id=order.id, outcome=outcome)]
            order.status, order.placed = "closed", {}
        else:
            nothing(events)

    # What holds at any moment

    @invariant()
    def each_is_answered_once_and_ends_once(self) -> None:
        for channel, said in self.said.items():
            order = self.orders[channel]
            assert said[OrderRejected] + max(said[OrderHeld], said[OrderAccepted]) <= 1
            assert max(said[OrderHeld], said[OrderAccepted], said[OrderClosed]) <= 1
            assert said[OrderClosed] == (order.status == "closed")
            state = self.life.parts.get(order.id, domain.INITIAL)
            assert state.status == order.status

    @invariant()
    def what_nothing_holds_goes_on_and_what_is_held_does_not(self) -> None:
        for order in self.orders.values():
            assert not order.captured or order.status == "held"
            assert order.open or order.status != "held"
            if order.status in ("accepted", "cancelling"):
                declining = any(isinstance(said, HoldDeclined) for said in order.on_the_way)
                assert order.keeps == bool(order.placed) or declining or order.at_node


def nothing(events: Sequence[Event]) -> None:
    assert list(events) == []


OrderLife.TestCase.settings = plays(lives=50, steps=40)
TestOrderLife = OrderLife.TestCase
