"""Notifications: one message a milestone, once, whichever topic is faster."""

from datetime import timedelta
from itertools import permutations
from typing import Any

from libs.events.amendments import HeldOrderAmended, OrderAmended
from libs.events.contract import Event
from libs.events.fulfillment import (
    CarrierEventRecorded,
    CarrierStatus,
    FulfillmentReleased,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
    ShippedPackage,
)
from libs.events.intake import (
    HeldOrderCancelled,
    Hold,
    OrderAccepted,
    OrderClosed,
    OrderHeld,
    Outcome,
    PaymentState,
)
from libs.events.inventory import Shortage, StockBackordered
from libs.events.notifications import (
    Fact,
    MessageFailed,
    MessageRequested,
    MessageSent,
    MessageSkipped,
    RecordMessageOutcome,
)
from libs.events.order import (
    Destination,
    LineQuantity,
    NodeLines,
    OrderLine,
    PartLine,
    Sealed,
    UnpackedLine,
)
from libs.events.returns import AuthorisedLine, RefundRequested, ReturnAuthorised
from libs.events.routing import OrderRouted
from services.notifications import domain
from services.notifications.letters import LISTED_MAX
from tests.spec import NOON, Spec, given

ORDER = "order-1"
TO = Destination(country="GB")
CONTACT = Sealed(subject="c:17", nonce="A" * 16, ciphertext="A" * 24)
LINES = (LineQuantity(line=1, sku="cup", quantity=3),)


def accepted(payment: PaymentState = "paid", *, contact: Sealed | None = CONTACT) -> OrderAccepted:
    return OrderAccepted(
        order_id=ORDER,
        channel="web",
        external_id="1001",
        placed_at=NOON,
        currency="GBP",
        lines=(OrderLine(line=1, sku="cup", quantity=3, unit_price_minor=450),),
        payment=payment,
        destination=TO,
        contact=contact,
    )


def backordered(*skus: str, round_: int = 1) -> StockBackordered:
    short = tuple(Shortage(sku=sku, quantity=1) for sku in skus or ("cup",))
    return StockBackordered(
        order_id=ORDER, round=round_, lines=LINES, short=short, since=NOON, destination=TO, movements=()
    )


def routed(round_: int = 1) -> OrderRouted:
    return OrderRouted(
        order_id=ORDER,
        round=round_,
        nodes=(NodeLines(node="north", lines=LINES),),
        candidates=(),
        rule_version=1,
        nodes_version=1,
    )


def released(number: int = 1) -> FulfillmentReleased:
    return FulfillmentReleased(
        order_id=ORDER,
        fulfillment_order_id=f"{ORDER}-F{number}",
        node="north",
        round=1,
        lines=LINES,
        destination=TO,
    )


def shipped(number: int = 1, *tracking: str) -> ShipmentDispatched:
    return ShipmentDispatched(
        order_id=ORDER,
        fulfillment_order_id=f"{ORDER}-F{number}",
        node="north",
        shipment_id=f"{ORDER}-S{number}",
        carrier="royal-mail",
        packages=tuple(
            ShippedPackage(package_id=f"P{n}", tracking_number=id_)
            for n, id_ in enumerate(tracking or ("T1",))
        ),
        lines=LINES,
    )


def scanned(status: CarrierStatus = "picked_up", number: int = 1) -> CarrierEventRecorded:
    return CarrierEventRecorded(
        order_id=ORDER, shipment_id=f"{ORDER}-S{number}", status=status, occurred_at=NOON
    )


def delivered(number: int = 1) -> ShipmentDelivered:
    return ShipmentDelivered(
        order_id=ORDER, shipment_id=f"{ORDER}-S{number}", occurred_at=NOON + timedelta(days=2), lines=LINES
    )


def lost() -> ShipmentLost:
    return ShipmentLost(order_id=ORDER, shipment_id=f"{ORDER}-S1", occurred_at=NOON, lines=LINES)


def closed(outcome: Outcome) -> OrderClosed:
    return OrderClosed(order_id=ORDER, outcome=outcome)


def authorised() -> ReturnAuthorised:
    lines = (AuthorisedLine(line=1, sku="cup", quantity=2),)
    return ReturnAuthorised(order_id=ORDER, rma_id=f"{ORDER}-R1", lines=lines)


def refunded() -> RefundRequested:
    return RefundRequested(
        order_id=ORDER,
        refund_id=f"{ORDER}-R1-refund-1",
        rma_id=f"{ORDER}-R1",
        amount_minor=900,
        currency="GBP",
        cause="returned",
        lines=LINES,
    )


def message(milestone: str, subject: str | None = None, contact: Sealed | None = None, **facts: Any) -> Event:
    return MessageRequested.model_validate(
        {
            "order_id": ORDER,
            "message_id": f"{ORDER}-{milestone}" + (f"-{subject}" if subject else ""),
            "milestone": milestone,
            "subject_id": f"{ORDER}-{subject}" if subject else None,
            "facts": tuple(Fact(name=name, value=str(value)) for name, value in facts.items()),
            "contact": contact,
        }
    )


CONFIRMED = message(
    "confirmed",
    contact=CONTACT,
    order="1001",
    channel="web",
    placed_at=NOON.isoformat(),
    currency="GBP",
    total_minor=1350,
    units=3,
)


def outcome(message_id: str, how: str, detail: str = "") -> RecordMessageOutcome:
    return RecordMessageOutcome.model_validate(
        {"order_id": ORDER, "message_id": message_id, "outcome": how, "detail": detail}
    )


def known() -> Spec:
    return given(domain).heard(accepted())


def test_an_accepted_order_is_confirmed_and_its_payment_too() -> None:
    given(domain).when(accepted()).then(CONFIRMED, message("paid"))
    given(domain).when(accepted("pending")).then(CONFIRMED, message("paid"))
    given(domain).when(accepted("on_account")).then(CONFIRMED)
    known().when(accepted()).then_nothing()


def test_every_milestone_has_its_message() -> None:
    life = known()
    life.when(backordered("cup", "saucer")).then_one(MessageRequested, message_id=f"{ORDER}-backordered")
    life.when(routed()).then(message("routed"))
    life.when(released()).then(message("picking"))
    life.when(shipped()).then(message("shipped", "S1", carrier="royal-mail", tracking="T1", tracking_count=1))
    life.when(scanned()).then(message("picked_up", "S1", occurred_at=NOON.isoformat()))
    life.when(delivered()).then(
        message("delivered", "S1", occurred_at=(NOON + timedelta(days=2)).isoformat())
    )
    life.when(authorised()).then(message("return_authorised", "R1", units=2))
    life.when(refunded()).then(
        message("refunded", "R1-refund-1", amount_minor=900, currency="GBP", cause="returned")
    )
    known().when(lost()).then(message("lost", "S1", occurred_at=NOON.isoformat()))
    known().when(closed("cancelled")).then(message("cancelled", cause="cancelled"))
    known().when(closed("unroutable")).then(message("cancelled", cause="unroutable"))


def test_no_milestone_is_told_twice() -> None:
    life = known().heard(backordered(), routed(), released(), shipped(), scanned(), delivered(), refunded())
    for again in (
        backordered(round_=2),
        routed(2),
        released(2),
        shipped(),
        scanned(),
        delivered(),
        refunded(),
    ):
        life.when(again).then_nothing()


def test_each_shipment_has_its_own_messages() -> None:
    life = known().heard(shipped(), scanned(), delivered())
    life.when(shipped(2)).then_one(MessageRequested, message_id=f"{ORDER}-shipped-S2")
    life.when(scanned(number=2)).then_one(MessageRequested, message_id=f"{ORDER}-picked_up-S2")
    life.when(delivered(2)).then_one(MessageRequested, message_id=f"{ORDER}-delivered-S2")


def test_what_is_no_milestone_is_not_told() -> None:
    life = known().heard(shipped())
    for status in ("in_transit", "out_for_delivery", "exception", "delivered", "lost"):
        life.when(scanned(status)).then_nothing()
    life.heard(delivered()).when(scanned()).then_nothing()
    life.when(closed("delivered")).then_nothing()


def test_a_shipment_of_many_parcels_names_the_first_and_counts_all() -> None:
    answer = known().when(shipped(1, *(f"T{n}" for n in range(30))))
    answer.then_types(MessageRequested)
    [requested] = answer.events
    assert isinstance(requested, MessageRequested)
    assert [fact.name for fact in requested.facts].count("tracking") == LISTED_MAX
    assert requested.facts[-1] == Fact(name="tracking_count", value="30")


def test_an_order_without_a_contact_skips_its_messages() -> None:
    life = given(domain).heard(routed())
    life.when(accepted(contact=None)).then_one(MessageSkipped, milestone="confirmed")
    life.when(shipped()).then_nothing()
    life.when(shipped()).then_nothing()
    life.when(outcome(f"{ORDER}-confirmed", "sent")).then_refused("already_settled")


def under_way(contact: Sealed | None = None, **terms: Any) -> OrderAmended:
    """The order, accepted before, goes elsewhere; with a contact, that names a mail address."""
    mail = {"destination": TO, "contact": contact, "mail": True} if contact else {}
    return OrderAmended.model_validate({"order_id": ORDER, "amendment_id": f"{ORDER}-A1", **mail, **terms})


def test_an_order_without_a_contact_is_told_of_from_when_it_is_amended_with_one() -> None:
    life = given(domain).heard(accepted(contact=None), backordered())
    life.when(under_way(service="express")).then_nothing()
    life.when(under_way(ELSEWHERE)).then(
        message("confirmed", "A1", contact=ELSEWHERE, cause="amended", address="new")
    )
    life.when(under_way(ELSEWHERE)).then_nothing()
    life.when(released()).then(message("picking"))
    state = life.parts[ORDER]
    assert (state.contact, {fact.name: fact.value for fact in state.facts}["order"]) == (ELSEWHERE, "1001")


def test_an_order_without_a_contact_that_was_amended_by_the_time_it_is_known_is_told_of_all() -> None:
    there = CONFIRMED.model_copy(update={"contact": ELSEWHERE})
    changed = message("confirmed", "A1", cause="amended", address="new")
    life = given(domain).heard(under_way(ELSEWHERE), released())
    life.when(accepted(contact=None)).then(there, message("paid"), changed, message("picking"))


def test_an_order_that_was_skipped_before_its_facts_were_kept_stays_so() -> None:
    skipped = MessageSkipped(
        order_id=ORDER, message_id=f"{ORDER}-confirmed", milestone="confirmed", reason="No contact."
    )
    life = given(domain, skipped)
    life.when(under_way(ELSEWHERE)).then_nothing()
    life.when(shipped()).then_nothing()


def withdrawn(contact: Sealed | None = CONTACT) -> HeldOrderCancelled:
    """Cancelled while it was held."""
    terms = {name: value for name, value in accepted().model_dump().items() if name != "contact"}
    return HeldOrderCancelled.model_validate({**terms, "contact": contact})


WITHDRAWN = message(
    "cancelled",
    contact=CONTACT,
    **{fact.name: fact.value for fact in CONFIRMED.facts},  # type: ignore[attr-defined]
    cause="cancelled",
)


def test_an_order_cancelled_while_held_is_told_so_once() -> None:
    life = given(domain).when(withdrawn()).then(WITHDRAWN)
    life.when(withdrawn()).then_nothing()
    life.when(closed("cancelled")).then_nothing()
    life.when(refunded()).then_one(MessageRequested, milestone="refunded", contact=None)
    assert life.parts[ORDER].letters[f"{ORDER}-cancelled"].outcome == "owed"


ELSEWHERE = Sealed(subject="c:17", nonce="B" * 16, ciphertext="B" * 24)


def held() -> OrderHeld:
    hold = Hold(name="address", message="ZZ is no country.")
    return OrderHeld.model_validate({**vars(accepted()), "holds": (hold,)})


def amended(contact: Sealed | None, *, mail: bool) -> HeldOrderAmended:
    """A held order goes elsewhere; `mail`, the new address names a mail address."""
    terms = {"destination": TO, "contact": contact, "mail": True if mail else None}
    return HeldOrderAmended.model_validate({"order_id": ORDER, "amendment_id": f"{ORDER}-A1", **terms})


def test_an_order_amended_while_it_is_held_is_written_to_where_its_mail_address_is() -> None:
    """Intake accepts it with the new contact, for the parcel; without a mail address nobody could be told."""
    there = CONFIRMED.model_copy(update={"contact": ELSEWHERE})
    for mail, first in ((False, CONFIRMED), (True, there)):
        life = given(domain).heard(held(), amended(ELSEWHERE, mail=mail))
        life.when(accepted(contact=ELSEWHERE)).then(first, message("paid"))
        life = given(domain).heard(held(), amended(ELSEWHERE, mail=mail))
        [told] = life.when(withdrawn(ELSEWHERE)).events
        assert isinstance(told, MessageRequested)
        assert told.contact == (ELSEWHERE if mail else CONTACT)
    given(domain).heard(held(), amended(None, mail=False)).when(accepted()).then(CONFIRMED, message("paid"))


def test_its_refund_may_be_heard_first() -> None:
    life = given(domain).when(refunded()).then_nothing()
    life.when(withdrawn()).then_types(MessageRequested, MessageRequested)
    assert life.parts[ORDER].early == {}


def test_without_a_contact_or_terms_nobody_can_be_told() -> None:
    life = given(domain).when(withdrawn(None)).then_one(MessageSkipped, milestone="cancelled")
    life.when(refunded()).then_nothing()
    before = withdrawn().model_copy(update={"external_id": None, "placed_at": None, "contact": None})
    assert given(domain).when(before).then_nothing().parts[ORDER] is domain.INITIAL


def test_an_order_closed_while_held_is_told_of_by_its_cancellation_alone() -> None:
    life = given(domain).when(closed("cancelled")).then_nothing()
    assert life.parts[ORDER] is domain.INITIAL


def test_of_a_cancelled_order_nothing_is_told_that_says_it_goes_on() -> None:
    """Another topic was slower than the one that tells of its end."""
    life = known().heard(closed("cancelled"))
    for late in (backordered(), routed(), released()):
        life.when(late).then_nothing()
    for stands in (shipped(), delivered(), refunded()):
        life.when(stands).then_types(MessageRequested)
    life = given(domain).heard(backordered(), released())
    life.when(withdrawn()).then(WITHDRAWN)


def replacing(released_: FulfillmentReleased, **lines: str) -> FulfillmentReleased:
    """The same, of an order of which other SKUs are sent: what was ordered, by what is sent."""
    bundles = tuple(
        UnpackedLine(
            line=number,
            sku=ordered,
            quantity=3,
            bundle_version=1,
            parts=(PartLine(line=number + 100, sku=sent, quantity=3),),
            substituted="lacks",
        )
        for number, (sent, ordered) in enumerate(lines.items(), 1)
    )
    return released_.model_copy(update={"bundles": bundles})


def parcel(number: int, *lines: int) -> ShipmentDispatched:
    """A shipment of these lines."""
    units = tuple(LineQuantity(line=line, sku="sent", quantity=1) for line in lines)
    return shipped(number).model_copy(update={"lines": units})


def named(answer: list[Event]) -> list[tuple[str, str]]:
    """What the message says of substitutes."""
    [asked] = answer
    assert isinstance(asked, MessageRequested)
    return [(f.name, f.value) for f in asked.facts if f.name.startswith(("substitute", "ordered"))]


def test_what_is_sent_in_place_of_what_was_ordered_is_named() -> None:
    life = known()
    both = [("substitute", "mug"), ("substitute", "tray"), ("substitute_count", "2")]
    assert named(life.when(replacing(released(), mug="cup", tray="plate")).events) == [
        *both,
        ("ordered", "cup"),
        ("ordered", "plate"),
    ]
    life.when(replacing(released(2), mug="cup", tray="plate")).then_nothing()
    one = [("substitute", "tray"), ("substitute_count", "1"), ("ordered", "plate")]
    assert named(life.when(parcel(1, 102)).events) == one
    assert named(life.when(parcel(2, 1)).events) == [], "nothing in it is a substitute"


def test_a_bundle_is_no_substitute() -> None:
    life, box = known(), replacing(released(), mug="box")
    assert box.bundles is not None
    [line] = box.bundles
    unpacked = box.model_copy(update={"bundles": (line.model_copy(update={"substituted": None}),)})
    life.when(unpacked).then(message("picking"))
    assert life.parts[ORDER].instead is None


def test_substitutes_are_named_also_where_the_acceptance_comes_last() -> None:
    life = given(domain).heard(replacing(released(), mug="cup"), parcel(1, 101))
    asked = [e for e in life.when(accepted()).events if isinstance(e, MessageRequested)]
    told = {e.milestone: [f.value for f in e.facts if f.name == "substitute"] for e in asked}
    assert told == {"confirmed": [], "paid": [], "picking": ["mug"], "shipped": ["mug"]}


def test_the_same_messages_whichever_topic_is_faster() -> None:
    """But for a milestone that was overtaken by the time that it was heard of."""
    heard: tuple[Event, ...] = (accepted(), routed(), released(), shipped(), refunded())
    told = []
    for order in permutations(heard):
        life, requested = given(domain), list[str]()
        for event in order:
            requested += [e.model_dump_json() for e in life.when(event).events]
        routed_, released_, shipped_ = (order.index(one) for one in heard[1:4])
        left = {"routed": routed_ > shipped_, "picking": released_ > shipped_}
        whole = [message(milestone).model_dump_json() for milestone, late in left.items() if late]
        told.append((sorted(requested + whole), life.parts[ORDER].early))
    assert told[0][0]
    assert all(one == told[0] for one in told)


def test_nobody_is_told_of_a_milestone_that_is_overtaken() -> None:
    """Nothing is to be picked any more, of which a parcel is on its way; a rest of it may have to wait."""
    for parcel_ in (shipped(), scanned(), delivered(), lost()):
        life = known().heard(parcel_)
        life.when(routed()).then_nothing()
        life.when(released()).then_nothing()
        life.when(backordered()).then_types(MessageRequested)
        known().heard(routed(), released()).when(parcel_).then_types(MessageRequested)
    known().heard(released()).when(routed()).then(message("routed"))
    life = given(domain).heard(shipped(), routed())
    life.when(accepted()).then_types(*[MessageRequested] * 3)


def test_a_rebuild_that_hears_the_slow_topic_first_keeps_nothing_of_what_was_overtaken() -> None:
    life = known()
    told = [event for one in (shipped(), routed()) for event in life.when(one).events]
    state = domain.INITIAL
    for event in (routed(), shipped(), accepted(), CONFIRMED, message("paid"), *told):
        state = domain.evolve(state, event)
    assert state.early == {} == life.parts[ORDER].early


def test_early_milestones_wait_for_the_acceptance() -> None:
    life = given(domain)
    life.when(routed()).then_nothing()
    life.when(released()).then_nothing()
    life.when(released(2)).then_nothing()
    life.when(accepted()).then(CONFIRMED, message("paid"), message("routed"), message("picking"))


def test_an_outcome_is_recorded_once() -> None:
    life = known()
    life.when(outcome(f"{ORDER}-confirmed", "sent")).then(
        MessageSent(order_id=ORDER, message_id=f"{ORDER}-confirmed", milestone="confirmed")
    )
    life.when(outcome(f"{ORDER}-confirmed", "sent")).then_nothing()
    life.when(outcome(f"{ORDER}-confirmed", "failed")).then_refused("already_settled")
    life.when(outcome(f"{ORDER}-paid", "failed", "550 no such mailbox")).then(
        MessageFailed(
            order_id=ORDER, message_id=f"{ORDER}-paid", milestone="paid", detail="550 no such mailbox"
        )
    )
    life.when(outcome(f"{ORDER}-paid", "failed", "again")).then_nothing()
    life.when(outcome(f"{ORDER}-shipped-S1", "sent")).then_refused("unknown_message")


def test_a_mail_is_owed_until_its_outcome() -> None:
    sent = MessageSent(order_id=ORDER, message_id=f"{ORDER}-confirmed", milestone="confirmed")
    assert domain.owes(CONFIRMED) == domain.settles(sent) == f"{ORDER}-confirmed"
    assert domain.owes(sent) is None
    assert domain.settles(CONFIRMED) is None
    [skipped, *_] = given(domain).when(accepted(contact=None)).events
    assert domain.owes(skipped) is None
