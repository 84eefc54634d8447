"""Lives of orders in intake: captured once, held, released, cancelled, closed."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from libs.events.changes import OrderResumed, PlaceHold
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
    SubmitOrder,
)
from libs.events.order import Charge, Destination, LineQuantity, OrderLine, Sealed
from services.intake import domain
from services.intake.fingerprints import fingerprint
from tests.spec import NOON, TENANT, given

ORDER = order_id(TENANT, "web", "1001")
LINES = (
    OrderLine(line=1, sku="85123A", quantity=6, unit_price_minor=255),
    OrderLine(line=2, sku="71053", quantity=2, unit_price_minor=339),
)
ALL_UNITS = (
    LineQuantity(line=1, sku="85123A", quantity=6),
    LineQuantity(line=2, sku="71053", quantity=2),
)


def submit(**changes: Any) -> SubmitOrder:
    """A good order over 2,208 pence of goods, with some of it changed."""
    terms: dict[str, Any] = {
        "order_id": ORDER,
        "channel": "web",
        "external_id": "1001",
        "placed_at": NOON,
        "currency": "GBP",
        "lines": LINES,
        "destination": Destination(country="GB", postcode_area="SW1A", latitude=51.5, longitude=-0.1),
    }
    return SubmitOrder(**(terms | changes))


POSTAGE = Charge(kind="postage", amount_minor=395)
VOUCHER = Charge(kind="voucher", amount_minor=-100)
UNMAPPED = Destination(country="ZZ")
accepted = submit()
held = submit(payment="pending", destination=UNMAPPED, total_minor=1)


def test_a_good_order_is_accepted_with_its_terms_and_digest() -> None:
    given(domain).when(accepted).then_one(
        OrderAccepted,
        order_id=ORDER,
        lines=LINES,
        currency="GBP",
        destination=accepted.destination,
        fingerprint=fingerprint(accepted),
    )


def test_the_sealed_contact_goes_along_unopened() -> None:
    contact = Sealed(subject="c:7", nonce="A" * 16, ciphertext="B" * 32)
    given(domain).when(submit(contact=contact)).then_one(OrderAccepted, contact=contact)


def test_a_destination_without_coordinates_gets_its_country_s_centre() -> None:
    answer = given(domain).when(submit(destination=Destination(country="FR", postcode_area="75")))
    [event] = answer.events
    assert isinstance(event, OrderAccepted)
    assert event.destination.postcode_area == "75"
    assert 42 < (event.destination.latitude or 0) < 51
    assert -5 < (event.destination.longitude or 0) < 8


def test_every_hold_that_applies_is_named_at_once() -> None:
    [event] = given(domain).when(held).events
    assert isinstance(event, OrderHeld)
    assert [hold.name for hold in event.holds] == ["payment", "address", "total_mismatch"]


@pytest.mark.parametrize(
    ("changes", "hold"),
    [
        ({"payment": "pending"}, "payment"),
        ({"destination": UNMAPPED}, "address"),
        ({"destination": Destination(country="EU")}, "address"),
        ({"destination": Destination(country="XA")}, "address"),
        ({"total_minor": 2207}, "total_mismatch"),
        ({"total_minor": 2208, "charges": (POSTAGE,)}, "total_mismatch"),
    ],
)
def test_one_hold(changes: dict[str, Any], hold: str) -> None:
    [event] = given(domain).when(submit(**changes)).events
    assert isinstance(event, OrderHeld)
    assert [found.name for found in event.holds] == [hold]


@pytest.mark.parametrize(
    "changes",
    [
        {"total_minor": 2208},
        {"total_minor": 2503, "charges": (POSTAGE, VOUCHER)},
        {"payment": "on_account"},
        {"placed_at": NOON + timedelta(days=1)},
        {"placed_at": NOON - timedelta(days=5000)},
        {"currency": "EEK", "placed_at": NOON.replace(year=2010)},
        {"lines": (OrderLine(line=1, sku="GIFT", quantity=1_000_000, unit_price_minor=0),)},
    ],
)
def test_no_reason_to_stop_it(changes: dict[str, Any]) -> None:
    given(domain).when(submit(**changes)).then_types(OrderAccepted)


def _line(number: int, quantity: int = 1, price: int = 100, sku: str = "A") -> OrderLine:
    return OrderLine(line=number, sku=sku, quantity=quantity, unit_price_minor=price)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"currency": "XXX"}, "unknown_currency"),
        ({"currency": "ABC"}, "unknown_currency"),
        ({"currency": "EEK"}, "unknown_currency"),
        ({"lines": (_line(1), _line(1, sku="B"))}, "duplicate_line"),
        ({"lines": (_line(1, price=-1),)}, "negative_price"),
        ({"lines": (_line(1, quantity=1_000_000), _line(2))}, "quantity_too_large"),
        ({"lines": (_line(1, quantity=1_000_000, price=10**6 + 1),)}, "total_too_large"),
        ({"placed_at": NOON + timedelta(days=1, seconds=1)}, "placed_in_future"),
        ({"placed_at": NOON.replace(year=1)}, "placed_too_early"),
    ],
)
def test_an_impossible_order_is_rejected_for_its_reason(changes: dict[str, Any], code: str) -> None:
    [event] = given(domain).when(submit(**changes)).events
    assert isinstance(event, OrderRejected)
    assert [reason.code for reason in event.reasons] == [code]


def test_all_reasons_come_at_once_and_many_are_counted() -> None:
    lines = tuple(_line(1, price=-1) for _ in range(500))
    [event] = given(domain).when(submit(currency="XXX", lines=lines, payment="pending")).events
    assert isinstance(event, OrderRejected)
    assert event.reasons[0].code == "unknown_currency"
    assert event.reasons[-1].message.startswith("980 further")  # 1 + 499 + 500, 20 of them listed


def test_the_same_sku_on_five_lines_is_no_reason() -> None:
    lines = tuple(_line(number, quantity=200_000) for number in range(1, 6))
    given(domain).when(submit(lines=lines)).then_types(OrderAccepted)


def test_an_order_id_must_be_the_derived_one() -> None:
    wrong = submit(order_id=order_id("other-tenant", "web", "1001"))
    given(domain).when(wrong).then_refused("wrong_order_id")


@pytest.mark.parametrize("first", [accepted, held, submit(currency="XXX")])
def test_the_same_again_is_the_same_order_and_other_terms_are_a_conflict(first: SubmitOrder) -> None:
    life = given(domain).heard(first).when(first).then_nothing()
    life.when(submit(lines=LINES[:1])).then_refused("conflict").when(first).then_nothing()


def test_the_same_again_after_its_end_is_still_the_same_order() -> None:
    life = given(domain).heard(held, CancelOrder(order_id=ORDER)).when(held).then_nothing()
    life.when(accepted).then_refused("conflict")


def test_a_digest_is_pinned_as_it_is_kept_for_ever() -> None:
    assert fingerprint(accepted) == "cbd6f8ac42ba3c619a70666c37ecae19ffbce3ba4e694408f446ddd2bfa719da"


def test_the_order_is_accepted_with_its_last_hold() -> None:
    life = given(domain).heard(held)
    life = life.when(ReleaseHold(order_id=ORDER, hold="address", note="asked the customer")).then(
        HoldReleased(
            order_id=ORDER,
            hold="address",
            note="asked the customer",
            remaining=("payment", "total_mismatch"),
        )
    )
    life = life.when(ReleaseHold(order_id=ORDER, hold="address")).then_refused("already_released")
    life = life.when(ReleaseHold(order_id=ORDER, hold="fraud")).then_refused("unknown_hold")
    life = life.when(ReleaseHold(order_id=ORDER, hold="total_mismatch")).then_types(HoldReleased)
    last = life.when(ReleaseHold(order_id=ORDER, hold="payment"))
    last.then_types(HoldReleased, OrderAccepted)
    assert last.events[1] == OrderAccepted(**dict(held), fingerprint=fingerprint(held))
    life.when(ReleaseHold(order_id=ORDER, hold="payment")).then_refused("already_released")
    life.when(ReleaseHold(order_id=ORDER, hold="fraud")).then_refused("not_held")
    life.when(held).then_nothing()


def test_a_hold_placed_by_hand_that_was_released_is_told_so() -> None:
    """With others open, and with none; not once it is placed anew."""
    life = given(domain).heard(accepted)
    place = PlaceHold(order_id=ORDER, hold="fraud", message="Ask the bank.")
    life.heard(place, place.model_copy(update={"hold": "wait"}), ReleaseHold(order_id=ORDER, hold="fraud"))
    answer = life.when(ReleaseHold(order_id=ORDER, hold="fraud"))
    answer.then_refused("already_released")
    told = answer.events[0].model_dump()
    assert f"orderlog orders show {ORDER}" in told["message"]
    assert told["next_step"] == "Still to be released: wait."
    life.when(ReleaseHold(order_id=ORDER, hold="nothing")).then_refused("unknown_hold")
    life.heard(ReleaseHold(order_id=ORDER, hold="wait"))
    life.when(ReleaseHold(order_id=ORDER, hold="fraud")).then_refused("already_released")
    life.heard(place).when(ReleaseHold(order_id=ORDER, hold="fraud")).then_types(HoldReleased, OrderResumed)


def test_a_held_order_is_cancelled_on_the_spot() -> None:
    life = given(domain).heard(held).when(CancelOrder(order_id=ORDER, reason="changed my mind"))
    life.then(
        HeldOrderCancelled(
            order_id=ORDER,
            currency=held.currency,
            lines=held.lines,
            charges=held.charges,
            total_minor=held.total_minor,
            payment="pending",
            channel=held.channel,
            external_id=held.external_id,
            placed_at=held.placed_at,
            contact=held.contact,
        ),
        OrderClosed(order_id=ORDER, outcome="cancelled", reason="changed my mind"),
    )
    life.spec.when(ReleaseHold(order_id=ORDER, hold="payment")).then_refused("not_held")


def test_a_payment_that_was_confirmed_before_the_cancellation_is_told_as_paid() -> None:
    life = given(domain).heard(held, ReleaseHold(order_id=ORDER, hold="payment"))
    life.when(CancelOrder(order_id=ORDER)).then_types(HeldOrderCancelled, OrderClosed)
    assert life.answer is not None
    assert life.answer.events[0].model_dump()["payment"] == "paid"


def test_an_accepted_order_is_asked_to_be_cancelled_once_and_closes_once() -> None:
    life = given(domain).heard(accepted)
    life = life.when(CancelOrder(order_id=ORDER, reason="twice ordered")).then(
        OrderCancellationRequested(order_id=ORDER, reason="twice ordered", lines=ALL_UNITS)
    )
    life = life.when(CancelOrder(order_id=ORDER)).then_nothing()
    done = FulfillmentCompleted(order_id=ORDER, outcome="cancelled", cancelled=ALL_UNITS)
    life = life.when(done).then(OrderClosed(order_id=ORDER, outcome="cancelled"))
    life.when(done).then_nothing()


def test_lines_of_a_released_order_are_known_to_its_cancellation() -> None:
    life = given(domain).heard(submit(payment="pending"), ReleaseHold(order_id=ORDER, hold="payment"))
    life.when(CancelOrder(order_id=ORDER)).then_one(OrderCancellationRequested, lines=ALL_UNITS)


def test_after_a_declined_cancellation_one_may_ask_again() -> None:
    life = given(domain).heard(accepted, CancelOrder(order_id=ORDER))
    life = life.when(CancellationDeclined(order_id=ORDER, reason="all dispatched")).then_nothing()
    life = life.when(CancelOrder(order_id=ORDER)).then_types(OrderCancellationRequested)
    life.when(FulfillmentCompleted(order_id=ORDER, outcome="delivered", delivered=ALL_UNITS)).then(
        OrderClosed(order_id=ORDER, outcome="delivered")
    )


def test_a_declined_cancellation_that_nobody_waits_for_changes_nothing() -> None:
    declined = CancellationDeclined(order_id=ORDER, reason="all dispatched")
    life = given(domain).heard(declined, accepted, declined).when(CancelOrder(order_id=ORDER))
    life.then_types(OrderCancellationRequested)


@pytest.mark.parametrize(
    ("outcome", "next_step"),
    [("delivered", "return"), ("partly_delivered", "return"), ("lost", "Nothing"), ("cancelled", "Nothing")],
)
def test_what_is_over_cannot_be_cancelled_and_the_way_on_is_named(outcome: Outcome, next_step: str) -> None:
    life = given(domain).heard(accepted, FulfillmentCompleted(order_id=ORDER, outcome=outcome))
    answer = life.when(CancelOrder(order_id=ORDER))
    answer.then_refused("already_closed")
    [refusal] = answer.events
    assert outcome in refusal.model_dump()["message"]
    assert next_step in refusal.model_dump()["next_step"]


def test_commands_to_nobody_s_order_are_refused() -> None:
    given(domain).when(CancelOrder(order_id=ORDER)).then_refused("unknown_order")
    given(domain).when(ReleaseHold(order_id=ORDER, hold="payment")).then_refused("unknown_order")


def test_a_rejected_order_takes_no_command() -> None:
    life = given(domain).heard(submit(currency="XXX"))
    life.when(CancelOrder(order_id=ORDER)).then_refused("already_rejected")
    life.when(ReleaseHold(order_id=ORDER, hold="payment")).then_refused("not_held")


@pytest.mark.parametrize("first", [None, held, submit(currency="XXX")])
def test_a_completion_of_what_was_never_accepted_closes_nothing(first: SubmitOrder | None) -> None:
    life = given(domain).heard(*([first] if first else []))
    life.when(FulfillmentCompleted(order_id=ORDER, outcome="delivered")).then_nothing()


_INPUTS = st.sampled_from(
    [
        accepted,
        held,
        submit(currency="XXX"),
        CancelOrder(order_id=ORDER),
        ReleaseHold(order_id=ORDER, hold="payment"),
        ReleaseHold(order_id=ORDER, hold="address"),
        ReleaseHold(order_id=ORDER, hold="total_mismatch"),
        CancellationDeclined(order_id=ORDER, reason="late"),
        FulfillmentCompleted(order_id=ORDER, outcome="delivered"),
        FulfillmentCompleted(order_id=ORDER, outcome="cancelled"),
    ]
)


@forall(st.lists(_INPUTS, max_size=14))
def test_whatever_happens_an_order_is_answered_once_and_closed_at_most_once(inputs: list[Any]) -> None:
    life = given(domain)
    said = [event for body in inputs for event in life.when(body).events]
    counts = {
        kind: sum(isinstance(event, kind) for event in said)
        for kind in (OrderAccepted, OrderHeld, OrderRejected, OrderClosed)
    }
    assert all(count <= 1 for count in counts.values())
    assert counts[OrderRejected] + max(counts[OrderHeld], counts[OrderAccepted]) <= 1
    kinds = [type(event) for event in said]
    if OrderClosed in kinds:
        after = said[kinds.index(OrderClosed) + 1 :]
        assert not any(isinstance(event, OrderAccepted | OrderCancellationRequested) for event in after)
