"""What a customer who waits is told of the date: once it is known, and later ones, once a day at most."""

from datetime import date, timedelta

from libs.events.dates import BackorderDated, Due
from libs.events.notifications import MessageRequested
from libs.events.order import Reason
from libs.events.places import Delivery
from services.notifications import domain
from services.notifications.messages import render
from tests.spec import NOON, Answer, given
from tests.unit.test_notifications_domain import ORDER, accepted, backordered, known
from tests.unit.test_notifications_messages import ANNA

NINTH = date(2026, 3, 9)


def dated(by: date | None) -> BackorderDated:
    promised = Delivery(
        service="standard",
        node="north",
        ship_by=by and by - timedelta(days=2),
        deliver_by=by,
        time_zone="Europe/London",
        nodes_version=1,
        why=(Reason(code="inbound", message="It comes with PO-1."),),
    )
    return BackorderDated(order_id=ORDER, skus=(Due(sku="cup", quantity=1),), promised=promised)


def asked(answer: Answer) -> str:
    [one] = answer.events
    assert isinstance(one, MessageRequested)
    return one.message_id


def test_a_date_that_becomes_known_is_told() -> None:
    waits = known().heard(backordered("cup"), at=NOON)
    waits.when(dated(None), at=NOON).then_nothing()
    assert asked(waits.when(dated(NINTH), at=NOON)) == f"{ORDER}-backordered-{NOON.date()}"
    mail = render(waits.heard(dated(NINTH), at=NOON).parts[ORDER], f"{ORDER}-backordered-{NOON.date()}", ANNA)
    assert mail.subject == "When your order 1001 will come"
    assert "We expect to deliver it by 9 March 2026, and tell you" in mail.body
    first = render(waits.parts[ORDER], f"{ORDER}-backordered", ANNA)
    assert "deliver" not in first.body


def test_it_is_told_when_it_moves_later_and_not_for_each_recomputation() -> None:
    waits = known().heard(backordered("cup"), dated(NINTH), at=NOON)
    tomorrow = NOON + timedelta(days=1)
    for same in (NINTH, NINTH - timedelta(days=3), None):
        waits.when(dated(same), at=tomorrow).then_nothing()
    later = dated(NINTH + timedelta(days=1))
    id_ = f"{ORDER}-backordered-{tomorrow.date()}"
    assert asked(waits.when(later, at=tomorrow)) == id_
    moved = waits.heard(later, at=tomorrow)
    mail = render(moved.parts[ORDER], id_, ANNA)
    assert mail.subject == "Your order 1001 will come later than we said"
    assert "deliver it by 10 March 2026; we had told you 9 March 2026." in mail.body
    moved.when(dated(NINTH + timedelta(days=1)), at=tomorrow + timedelta(days=2)).then_nothing()


def test_one_mail_a_day_at_most() -> None:
    waits = known().heard(backordered("cup"), dated(NINTH), at=NOON)
    waits.when(dated(NINTH + timedelta(days=5)), at=NOON + timedelta(hours=1)).then_nothing()
    asked(waits.when(dated(NINTH + timedelta(days=5)), at=NOON + timedelta(days=1)))


def test_the_first_mail_has_the_date_where_it_is_known_by_then() -> None:
    """Inventory's news may come before intake's: the mail waits for the acceptance."""
    early = given(domain).heard(backordered("cup"), dated(NINTH), dated(NINTH + timedelta(days=2)))
    order = early.heard(accepted())
    mail = render(order.parts[ORDER], f"{ORDER}-backordered", ANNA)
    assert mail.subject == "Part of your order 1001 will take a little longer"
    assert "  - cup\n" in mail.body
    assert "We expect to deliver your order by 11 March 2026" in mail.body
    order.when(dated(NINTH + timedelta(days=2))).then_nothing()


def test_who_left_no_address_is_told_nothing() -> None:
    given(domain).heard(accepted(contact=None)).when(dated(NINTH)).then_nothing()
