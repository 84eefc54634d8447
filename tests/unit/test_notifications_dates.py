"""What a customer who waits is told of the date: once it is known, when it is later, gone, or known again."""

from datetime import date, timedelta

from libs.events.changes import LinesCancelled
from libs.events.dates import BackorderDated, Due
from libs.events.notifications import MessageRequested
from libs.events.order import LineQuantity, Reason
from libs.events.places import Delivery
from services.notifications import domain
from services.notifications.messages import render
from tests.spec import NOON, Answer, given
from tests.unit.test_notifications_domain import ORDER, accepted, backordered, closed, known
from tests.unit.test_notifications_messages import ANNA

NINTH = date(2026, 3, 9)
SOME_CANCELLED = LinesCancelled(
    order_id=ORDER, cancellation_id="c1", lines=(LineQuantity(line=1, sku="cup", quantity=1),)
)


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
    for same in (NINTH, NINTH - timedelta(days=3)):
        waits.when(dated(same), at=tomorrow).then_nothing()
    later = dated(NINTH + timedelta(days=1))
    id_ = f"{ORDER}-backordered-{tomorrow.date()}"
    assert asked(waits.when(later, at=tomorrow)) == id_
    moved = waits.heard(later, at=tomorrow)
    mail = render(moved.parts[ORDER], id_, ANNA)
    assert mail.subject == "Your order 1001 will come later than we said"
    assert "deliver it by 10 March 2026; we had told you 9 March 2026." in mail.body
    moved.when(dated(NINTH + timedelta(days=1)), at=tomorrow + timedelta(days=2)).then_nothing()


def test_each_news_of_a_day_is_a_mail_of_its_own() -> None:
    waits = known().heard(backordered("cup"), dated(NINTH), at=NOON)
    later, latest = dated(NINTH + timedelta(days=5)), dated(NINTH + timedelta(days=6))
    tomorrow = NOON + timedelta(days=1)
    assert asked(waits.when(later, at=NOON)) == f"{ORDER}-backordered-{NOON.date()}-2"
    waits.when(later, at=NOON).then_nothing()
    assert asked(waits.when(latest, at=tomorrow)) == f"{ORDER}-backordered-{tomorrow.date()}"


def test_a_date_that_is_gone_is_told_at_once_and_once() -> None:
    waits = known().heard(backordered("cup"), dated(NINTH), at=NOON)
    hour = NOON + timedelta(hours=1)
    id_ = f"{ORDER}-backordered-{NOON.date()}-2"
    assert asked(waits.when(dated(None), at=hour)) == id_
    mail = render(waits.parts[ORDER], id_, ANNA)
    assert mail.subject == "We cannot say any more when your order 1001 will come"
    assert "does not come as we were told, so we cannot keep 9 March 2026. We do not know a new" in mail.body
    assert "We keep your place in the queue" in mail.body
    for later in (hour, hour + timedelta(days=30)):
        waits.when(dated(None), at=later).then_nothing()


def test_a_date_that_is_known_again_is_told_even_if_it_is_the_one_of_before() -> None:
    for by in (NINTH - timedelta(days=2), NINTH, NINTH + timedelta(days=9)):
        gone = known().heard(backordered("cup"), dated(NINTH), dated(None), at=NOON)
        id_ = asked(gone.when(dated(by), at=NOON))
        assert id_ == f"{ORDER}-backordered-{NOON.date()}-3"
        mail = render(gone.heard(dated(by), at=NOON).parts[ORDER], id_, ANNA)
        assert mail.subject == "When your order 1001 will come"
        assert f"deliver it by {by.day} March 2026" in mail.body


def test_a_date_that_is_gone_of_the_first_mail_is_told() -> None:
    """The mail that told it was asked for with the acceptance."""
    early = given(domain).heard(backordered("cup"), dated(NINTH), accepted(), at=NOON)
    assert asked(early.when(dated(None), at=NOON)) == f"{ORDER}-backordered-{NOON.date()}"
    unsaid = given(domain).heard(backordered("cup"), dated(NINTH), dated(None), accepted(), at=NOON)
    unsaid.when(dated(None), at=NOON).then_nothing()


def test_who_cancelled_is_not_told_of_dates() -> None:
    waits = known().heard(backordered("cup"), dated(NINTH), SOME_CANCELLED, at=NOON)
    assert asked(waits.when(dated(None), at=NOON))
    waits.heard(closed("cancelled"), at=NOON).when(dated(None), at=NOON).then_nothing()


def test_the_first_mail_has_the_date_where_it_is_known_by_then() -> None:
    """Inventory's news may come before intake's: the mail waits for the acceptance."""
    early = given(domain).heard(backordered("cup"), dated(NINTH), dated(NINTH + timedelta(days=2)))
    order = early.heard(accepted())
    mail = render(order.parts[ORDER], f"{ORDER}-backordered", ANNA)
    assert mail.subject == "Part of your order 1001 will take a little longer"
    assert "  - cup\n" in mail.body
    assert "We expect to deliver your order by 11 March 2026" in mail.body
    order.when(dated(NINTH + timedelta(days=2))).then_nothing()


def test_a_date_that_was_known_before_the_acceptance_is_told_with_it() -> None:
    """Of an order whose promise was broken inventory tells the date alone."""
    id_ = f"{ORDER}-backordered-{NOON.date()}"
    early = given(domain).heard(dated(NINTH), at=NOON)
    asked_for = early.when(accepted()).events
    assert [e.message_id for e in asked_for if isinstance(e, MessageRequested)][2:] == [id_]
    mail = render(early.parts[ORDER], id_, ANNA)
    assert mail.subject == "When your order 1001 will come"
    early.when(dated(NINTH), at=NOON).then_nothing()
    gone = given(domain).heard(dated(NINTH), dated(None), at=NOON)
    gone.when(accepted()).then_types(MessageRequested, MessageRequested)
    first = given(domain).heard(dated(NINTH), backordered("cup"), accepted(), at=NOON)
    assert "by 9 March 2026" in render(first.parts[ORDER], f"{ORDER}-backordered", ANNA).body
    assert id_ not in first.parts[ORDER].letters


def test_who_left_no_address_is_told_nothing() -> None:
    given(domain).heard(accepted(contact=None)).when(dated(NINTH)).then_nothing()
