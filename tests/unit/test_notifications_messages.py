"""The mails' texts: every milestone reads well, and nothing that a customer wrote gets where it must not."""

from typing import get_args

import pytest

from libs.events.amendments import OrderAmended
from libs.events.notifications import Milestone
from libs.events.order import Destination, Sealed
from services.notifications import domain
from services.notifications.domain import State
from services.notifications.messages import BODY_LENGTH_MAX, Unsendable, clean, money, render
from tests.spec import Spec, given
from tests.unit import test_notifications_domain as lives

ORDER = lives.ORDER
ANNA = {"name": "Anna Keller", "email": "anna@example.org"}


def told() -> State:
    """An order that met everything that can happen to one."""
    life: Spec = lives.known().heard(
        lives.backordered("cup", "saucer"),
        lives.routed(),
        lives.released(),
        lives.shipped(1, "T1", "T2"),
        lives.scanned(),
        lives.delivered(),
        lives.lost(),
        lives.closed("unroutable"),
        lives.authorised(),
        lives.refunded(),
    )
    state = life.parts[ORDER]
    assert isinstance(state, State)
    return state


EXPECTED: dict[Milestone, tuple[str, str]] = {
    "confirmed": ("We have your order 1001", "of 2 March 2026: 3 items, £13.50 in all"),
    "paid": ("Payment received for order 1001", "your payment of £13.50"),
    "backordered": ("Part of your order 1001 will take a little longer", "  - cup\n  - saucer\n"),
    "routed": ("Your order 1001 has found its warehouse", "picked from the shelves"),
    "picking": ("Your order 1001 is being prepared", "begun to pick"),
    "shipped": ("Your order 1001 is on its way", "tracking number T1\n  - tracking number T2\n"),
    "picked_up": ("The carrier has your order 1001", "on 2 March 2026"),
    "delivered": ("Your order 1001 was delivered", "was delivered on 4 March 2026"),
    "lost": ("We are sorry: a shipment of order 1001 was lost", "on 2 March 2026"),
    "cancelled": ("Your order 1001 could not be shipped", "none of our warehouses"),
    "return_authorised": ("Your return for order 1001", "return number on the parcel: order-1-R1"),
    "refunded": (
        "Refund for order 1001",
        "£9.00 to be paid back to you for order 1001 (items you sent back)",
    ),
}


def test_every_milestone_has_a_text() -> None:
    assert set(EXPECTED) == set(get_args(Milestone))


@pytest.mark.parametrize("milestone", get_args(Milestone))
def test_a_mail_says_what_happened(milestone: Milestone) -> None:
    state = told()
    [message_id] = [id_ for id_, letter in state.letters.items() if letter.milestone == milestone]
    mail = render(state, message_id, ANNA)
    subject, words = EXPECTED[milestone]
    assert mail.subject == subject
    assert words in mail.body
    assert mail.body.startswith("Hello Anna Keller,\n\n")
    assert mail.body.endswith("\nOrder 1001, placed on 2 March 2026.\n")
    assert mail.to == "anna@example.org"


def test_a_mail_names_what_is_sent_in_place_of_what_was_ordered() -> None:
    life = lives.known().heard(lives.replacing(lives.released(), mug="cup", tray="plate"))
    state = life.heard(lives.parcel(1, 101)).parts[ORDER]
    picking = render(state, f"{ORDER}-picking", ANNA).body
    assert "replaced:\n  - mug in place of cup\n  - tray in place of plate\nYou pay what" in picking
    shipped = render(state, f"{ORDER}-shipped-S1", ANNA).body
    assert "tracking number T1\n\nWhat we did not have" in shipped
    assert "mug in place of cup" in shipped
    assert "tray" not in shipped
    assert "in place of" not in render(told(), f"{ORDER}-picking", ANNA).body


def test_many_substitutes_are_counted() -> None:
    many = {f"s{n}": f"o{n}" for n in range(23)}
    state = lives.known().heard(lives.replacing(lives.released(), **many)).parts[ORDER]
    assert "s19 in place of o19\n  and 3 more\n" in render(state, f"{ORDER}-picking", ANNA).body


def test_who_cancels_a_held_order_is_written_to_with_its_own_terms() -> None:
    from_held = given(domain).heard(lives.withdrawn(), lives.refunded()).parts[ORDER]
    mail = render(from_held, f"{ORDER}-cancelled", ANNA)
    assert mail.subject == "Your order 1001 was cancelled"
    assert "Nothing of it will be shipped." in mail.body
    assert mail.body.endswith("\nOrder 1001, placed on 2 March 2026.\n")
    assert "£9.00" in render(from_held, f"{ORDER}-refunded-R1-refund-1", ANNA).body


def test_an_amendment_is_confirmed_where_the_customer_reads_it_now() -> None:
    moved = Sealed(subject="c:7", nonce="B" * 16, ciphertext="B" * 24)
    terms = {"order_id": ORDER, "destination": Destination(country="IE"), "contact": moved}
    first = OrderAmended.model_validate({**terms, "amendment_id": f"{ORDER}-A1", "mail": True})
    other = OrderAmended(order_id=ORDER, amendment_id=f"{ORDER}-A2", service="express")
    for life in (lives.known().heard(first, other), given(domain).heard(first, other, lives.accepted())):
        state = life.parts[ORDER]
        assert state.contact == moved
        mail = render(state, f"{ORDER}-confirmed-A1", ANNA)
        assert mail.subject == "Your order 1001 was changed"
        assert "It goes to the new address that you gave us." in mail.body
        assert "sent by" not in mail.body
        assert "It is sent by express." in render(state, f"{ORDER}-confirmed-A2", ANNA).body
        assert "thank you for your order 1001" in render(state, f"{ORDER}-confirmed", ANNA).body
    elsewhere = lives.known().heard(first.model_copy(update={"mail": None})).parts[ORDER]
    assert elsewhere.contact == lives.CONTACT


def test_a_guest_without_a_name_is_greeted() -> None:
    assert render(told(), f"{ORDER}-paid", {"email": "a@example.org"}).body.startswith("Hello,\n")


@pytest.mark.parametrize(
    "name",
    [
        "Eve\r\nBcc: all@example.org",
        "Eve\nSubject: x",
        "Eve\x00\x0b\x85\u2028Bcc: x",
        "Eve\ud800",
        "{{ 7*7 }}",
    ],
)
def test_a_name_cannot_leave_its_line(name: str) -> None:
    mail = render(told(), f"{ORDER}-paid", {"name": name, "email": "eve@example.org"})
    for line in (mail.to_name, mail.subject):
        assert line.isprintable()
    assert mail.body.splitlines()[0].startswith(f"Hello {name[:3]}")
    assert mail.body.splitlines()[1] == ""
    assert "49" not in mail.body
    assert "\x00" not in mail.body
    mail.body.encode()


@pytest.mark.parametrize(
    "email",
    [None, "", 7, "nobody", "a@b@c", "a@example.org\nBcc: b@example.org", "a b@example.org", "<a@b.c>"],
)
def test_an_address_that_is_none_is_not_written_to(email: object) -> None:
    with pytest.raises(Unsendable) as refused:
        render(told(), f"{ORDER}-paid", {"name": "Anna", "email": email})
    assert "example.org" not in str(refused.value)


def test_a_body_is_bounded_and_a_name_too() -> None:
    mail = render(told(), f"{ORDER}-paid", {"name": "x" * 100_000, "email": "a@example.org"})
    assert len(mail.body) < 1000 < BODY_LENGTH_MAX
    assert clean("a" * 500, 100) == "a" * 100


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [(1250, "GBP", "£12.50"), (-5, "EUR", "-€0.05"), (1250, "JPY", "JP¥1,250"), (1250, "KWD", "KWD1.250")],
)
def test_money_in_the_currencys_own_minor_unit(amount: int, currency: str, words: str) -> None:
    assert money(amount, currency).replace("\xa0", "") == words
