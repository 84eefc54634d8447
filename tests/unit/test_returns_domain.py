"""Returns: what may come back, and what money is owed, whatever is heard first."""

from itertools import permutations

import pytest

from libs.events.changes import LinesCancelled
from libs.events.contract import Contract, Event
from libs.events.fulfillment import FulfillmentCompleted, ShipmentDelivered
from libs.events.intake import HeldOrderCancelled, OrderAccepted, PaymentState
from libs.events.order import Charge, Destination, LineQuantity, OrderLine, PartLine, UnpackedLine
from libs.events.refusal import CommandRefused
from libs.events.returns import (
    AuthorisedLine,
    AuthoriseReturn,
    Disposition,
    InspectedUnits,
    ReceiveReturn,
    RefundRequested,
    ReturnAuthorised,
    ReturnClosed,
    ReturnedUnits,
    ReturnLine,
    ReturnReceived,
    ReturnWindowOpened,
    VoidRequested,
)
from services.returns import domain
from tests.spec import NOON, Spec, given

ORDER = "order-1"
R1 = f"{ORDER}-R1"
WHOLE = ((1, 3), (2, 2))


def units(line: int, quantity: int) -> LineQuantity:
    return LineQuantity(line=line, sku=f"sku-{line}", quantity=quantity)


def accepted(
    payment: PaymentState = "paid", *, price: int = 500, charges: tuple[int, ...] = ()
) -> OrderAccepted:
    """Line 1: 3 units at `price`; line 2: 2 units at twice that."""
    lines = tuple(
        OrderLine(line=line, sku=f"sku-{line}", quantity=quantity, unit_price_minor=price * line)
        for line, quantity in WHOLE
    )
    return OrderAccepted(
        order_id=ORDER,
        channel="web",
        external_id="1001",
        placed_at=NOON,
        currency="GBP",
        lines=lines,
        charges=tuple(Charge(kind="postage", amount_minor=amount) for amount in charges),
        payment=payment,
        destination=Destination(country="GB"),
    )


def never_accepted(
    payment: PaymentState, *, charges: tuple[int, ...] = (), total: int | None = None
) -> HeldOrderCancelled:
    terms = accepted(charges=charges)
    return HeldOrderCancelled(
        order_id=ORDER,
        currency=terms.currency,
        lines=terms.lines,
        charges=terms.charges,
        total_minor=total,
        payment=payment,
    )


def cut(number: int, *lines: tuple[int, int]) -> LinesCancelled:
    gone = tuple(units(*line) for line in lines)
    return LinesCancelled(order_id=ORDER, cancellation_id=f"{ORDER}-C{number}", lines=gone)


def delivered(*lines: tuple[int, int], shipment: str = f"{ORDER}-S1") -> ShipmentDelivered:
    quantities = tuple(units(*line) for line in lines or WHOLE)
    return ShipmentDelivered(order_id=ORDER, shipment_id=shipment, occurred_at=NOON, lines=quantities)


def completed(outcome: str, **lines: tuple[LineQuantity, ...]) -> FulfillmentCompleted:
    return FulfillmentCompleted.model_validate({"order_id": ORDER, "outcome": outcome, **lines})


def authorise(*lines: tuple[int, int]) -> AuthoriseReturn:
    return AuthoriseReturn(
        order_id=ORDER, lines=tuple(ReturnLine(line=line, quantity=quantity) for line, quantity in lines)
    )


def receive(*came: tuple[int, int, Disposition], rma_id: str = R1) -> ReceiveReturn:
    inspected = tuple(
        InspectedUnits(line=line, quantity=quantity, disposition=disposition)
        for line, quantity, disposition in came
    )
    return ReceiveReturn(order_id=ORDER, rma_id=rma_id, node="north", units=inspected)


def refund(
    refund_id: str, amount: int, cause: str, *lines: LineQuantity, rma_id: str | None = None
) -> RefundRequested:
    return RefundRequested.model_validate(
        {
            "order_id": ORDER,
            "refund_id": f"{ORDER}-{refund_id}",
            "rma_id": rma_id,
            "amount_minor": amount,
            "currency": "GBP",
            "cause": cause,
            "lines": lines,
        }
    )


def refunds(*inputs: Contract) -> dict[str, int]:
    """Every refund requested in a life, and that each was requested once."""
    life, found = given(domain), list[tuple[str, int]]()
    for body in inputs:
        events = life.when(body).events
        found += [(e.refund_id, e.amount_minor) for e in events if isinstance(e, RefundRequested)]
    assert len(dict(found)) == len(found)
    return {refund_id.removeprefix(f"{ORDER}-"): amount for refund_id, amount in found}


def bought() -> Spec:
    return given(domain).heard(accepted(), delivered())


# What may come back


def test_a_delivery_opens_the_return_window_once() -> None:
    life = given(domain).heard(accepted())
    life.when(delivered()).then(
        ReturnWindowOpened(order_id=ORDER, shipment_id=f"{ORDER}-S1", lines=(units(1, 3), units(2, 2)))
    )
    life.when(delivered()).then_nothing()


def test_delivered_units_are_authorised_each_once() -> None:
    reason = ReturnLine(line=1, quantity=2, reason="too small")
    life = (
        bought()
        .when(AuthoriseReturn(order_id=ORDER, lines=(reason,)))
        .then(
            ReturnAuthorised(
                order_id=ORDER,
                rma_id=R1,
                lines=(AuthorisedLine(line=1, sku="sku-1", quantity=2, reason="too small"),),
            )
        )
    )
    life.when(authorise((1, 2))).then_refused("not_returnable")
    assert life.answer is not None
    refused = life.answer.events[0]
    assert isinstance(refused, CommandRefused)
    assert "1 can still be returned (3 delivered, 2 under a return already)" in refused.message
    life.when(authorise((1, 1), (2, 2))).then_one(ReturnAuthorised, rma_id=f"{ORDER}-R2")


@pytest.mark.parametrize("wanted", [((1, 4),), ((1, 2), (1, 2)), ((3, 1),), ((2, 1), (1, 4))])
def test_what_was_not_delivered_cannot_come_back(wanted: tuple[tuple[int, int], ...]) -> None:
    bought().when(authorise(*wanted)).then_refused("not_returnable")


def test_nothing_comes_back_before_a_delivery() -> None:
    given(domain).heard(accepted()).when(authorise((1, 1))).then_refused("nothing_delivered")


# What came


def test_a_receipt_is_disposed_refunded_and_closes_the_return() -> None:
    came = receive((1, 1, "restock"), (1, 1, "scrap"), (2, 1, "restock"))
    life = bought().heard(authorise((1, 2), (2, 1)))
    life.when(came).then(
        ReturnReceived(
            order_id=ORDER,
            rma_id=R1,
            node="north",
            units=(
                ReturnedUnits(line=1, sku="sku-1", quantity=1, disposition="restock"),
                ReturnedUnits(line=1, sku="sku-1", quantity=1, disposition="scrap"),
                ReturnedUnits(line=2, sku="sku-2", quantity=1, disposition="restock"),
            ),
        ),
        refund("R1-refund-1", 2000, "returned", units(1, 2), units(2, 1), rma_id=R1),
        ReturnClosed(order_id=ORDER, rma_id=R1),
    )
    life.when(came).then_refused("not_expected")


def test_a_return_in_two_parcels_is_refunded_parcel_by_parcel() -> None:
    life = bought().heard(authorise((1, 2)))
    life.when(receive((1, 1, "restock"))).then_types(ReturnReceived, RefundRequested)
    life.when(receive((1, 2, "restock"))).then_refused("not_expected")
    life.when(receive((2, 1, "restock"))).then_refused("not_expected")
    life.when(receive((1, 1, "scrap"))).then_types(ReturnReceived, RefundRequested, ReturnClosed)
    assert life.answer is not None
    assert life.answer.events[1] == refund("R1-refund-2", 500, "returned", units(1, 1), rma_id=R1)


def test_a_receipt_needs_its_authorisation() -> None:
    bought().when(receive((1, 1, "restock"))).then_refused("unknown_rma")


# Refunds


def test_a_paid_order_is_refunded_by_cause() -> None:
    end = completed(
        "partly_delivered",
        delivered=(units(1, 1),),
        lost=(units(1, 2),),
        cancelled=(units(2, 1),),
        unroutable=(units(2, 1),),
    )
    life = given(domain).heard(accepted(charges=(250,)))
    life.when(end).then(
        refund("refund-lost", 1000, "lost", units(1, 2)),
        refund("refund-cancelled", 1000, "cancelled", units(2, 1)),
        refund("refund-unroutable", 1000, "unroutable", units(2, 1)),
    )
    life.when(end).then_nothing()


def test_an_order_of_which_nothing_came_gets_its_postage_back() -> None:
    end = completed("lost", lost=(units(1, 3),), cancelled=(units(2, 2),))
    assert refunds(accepted(charges=(250,)), end) == {"refund-lost": 1750, "refund-cancelled": 2000}


def test_a_discount_is_kept_once_when_nothing_came() -> None:
    end = completed("lost", lost=(units(1, 3),), cancelled=(units(2, 2),))
    assert refunds(accepted(charges=(-1000,)), end) == {"refund-lost": 500, "refund-cancelled": 2000}


def test_no_more_is_refunded_than_was_charged() -> None:
    life = (accepted(charges=(-3000,)), delivered(), authorise((1, 3), (2, 2)))
    parcels = (receive((1, 3, "restock")), receive((2, 2, "restock")))
    assert refunds(*life, *parcels) == {"R1-refund-1": 500}


def test_an_order_on_account_owes_for_returns_only() -> None:
    end = completed("partly_delivered", delivered=(units(1, 3),), lost=(units(2, 2),))
    life = (accepted("on_account"), delivered((1, 3)), end)
    assert refunds(*life) == {}
    assert refunds(*life, authorise((1, 1)), receive((1, 1, "scrap"))) == {"R1-refund-1": 500}


def test_a_payment_released_from_its_hold_counts_as_paid() -> None:
    end = completed("cancelled", cancelled=(units(1, 3), units(2, 2)))
    assert refunds(accepted("pending"), end) == {"refund-cancelled": 3500}


def test_all_that_was_paid_for_an_order_that_was_never_accepted_goes_back_once() -> None:
    life = given(domain).when(never_accepted("paid", charges=(250,)))
    life.then(refund("refund-cancelled", 3750, "cancelled", units(1, 3), units(2, 2)))
    life.spec.when(never_accepted("paid", charges=(250,))).then_nothing()


@pytest.mark.parametrize("total", [3000, 4000])
def test_what_the_customer_paid_goes_back_whether_lines_and_charges_make_it_or_not(total: int) -> None:
    assert refunds(never_accepted("paid", total=total)) == {"refund-cancelled": total}


def test_what_was_only_authorised_is_voided_once_and_never_refunded() -> None:
    life = given(domain).heard(cut(1, (1, 1))).when(never_accepted("pending", charges=(250,)))
    life.then(VoidRequested(order_id=ORDER, void_id=f"{ORDER}-void", amount_minor=3750, currency="GBP"))
    life.spec.when(never_accepted("pending", charges=(250,))).then_nothing()
    life.spec.when(cut(2, (1, 1))).then_nothing()


def test_on_account_there_is_nothing_to_give_back() -> None:
    given(domain).when(never_accepted("on_account")).then_nothing()
    given(domain).when(never_accepted("pending", total=0)).then_nothing()


def test_lines_cancelled_while_it_was_held_are_given_back_once_whatever_is_heard_first() -> None:
    early = refunds(cut(1, (1, 2)), never_accepted("paid", charges=(250,)), cut(1, (1, 2)))
    assert early == {"refund-C1": 1000, "refund-cancelled": 2750}
    late = refunds(never_accepted("paid", charges=(250,)), cut(1, (1, 2)))
    assert late == {"refund-cancelled": 3750}


def test_nothing_is_refunded_for_what_cost_nothing_or_arrived() -> None:
    assert refunds(accepted(price=0), completed("lost", lost=(units(1, 3),))) == {}
    assert refunds(accepted(), completed("delivered", delivered=(units(1, 3), units(2, 2)))) == {}


def test_the_same_is_owed_whenever_the_prices_are_heard() -> None:
    end = completed("partly_delivered", delivered=(units(1, 3),), lost=(units(2, 2),))
    others: tuple[Contract, ...] = (delivered((1, 3)), authorise((1, 2)), receive((1, 2, "restock")), end)
    expected = {"R1-refund-1": 1000, "refund-lost": 2000}
    for place in range(len(others) + 1):
        assert refunds(*others[:place], accepted(), *others[place:], accepted(), end) == expected


def test_heard_events_in_any_order_give_the_same_state_and_events() -> None:
    heard: tuple[Event, ...] = (
        accepted(),
        delivered((1, 3)),
        completed("partly_delivered", delivered=(units(1, 3),), lost=(units(2, 2),)),
    )
    ends = []
    for order in permutations(heard):
        life, told = given(domain), list[str]()
        for event in order:
            told += [e.model_dump_json() for e in life.when(event).events]
        ends.append((life.parts[ORDER], sorted(told)))
    assert all(end == ends[0] for end in ends)


@pytest.mark.parametrize("total", [3000, 4000])
def test_when_nothing_arrived_all_goes_back_that_was_paid_whatever_the_channel_said(total: int) -> None:
    order = accepted(charges=(250,)).model_copy(update={"total_minor": total})
    end = completed("lost", lost=(units(1, 3),), cancelled=(units(2, 2),))
    assert refunds(order, end) == {"refund-lost": 1750, "refund-cancelled": total - 1750}
    assert refunds(cut(1, (2, 2)), end, order) == {"refund-C1": 2000, "refund-lost": total - 2000}


def test_parts_of_the_bundles_that_are_left_are_worth_what_these_cost() -> None:
    """Two boxes of two parts at 1.01; one is cancelled before it is unpacked, the other comes back."""
    parts = tuple(PartLine(line=line, sku=f"sku-{line}", quantity=2) for line in (100, 101))
    boxes = (UnpackedLine(line=1, sku="sku-1", quantity=2, bundle_version=1, parts=parts),)
    arrived = delivered((100, 1), (101, 1)).model_copy(update={"bundles": boxes})
    life = (cut(1, (1, 1)), arrived, authorise((1, 1)), receive((1, 1, "restock")))
    order = accepted(price=101)
    for place in range(len(life) + 1):
        back = refunds(*life[:place], order, *life[place:])
        assert back == {"refund-C1": 101, "R1-refund-1": 101}


def test_units_that_are_worth_less_than_a_cent_are_not_lost_one_by_one() -> None:
    """A box at 2 cents of two parts, three units each: the first unit of a part is worth nothing, the third
    one cent; and so it is whether the others came back or never arrived."""
    parts = tuple(PartLine(line=line, sku=f"sku-{line}", quantity=3) for line in (100, 101))
    boxes = (UnpackedLine(line=1, sku="sku-1", quantity=1, bundle_version=1, parts=parts),)
    order = accepted(price=2)
    order = order.model_copy(update={"lines": (order.lines[0].model_copy(update={"quantity": 1}),)})
    arrived = delivered((100, 3), (101, 2)).model_copy(update={"bundles": boxes})
    end = completed("partly_delivered", delivered=(units(100, 3), units(101, 2)), lost=(units(101, 1),))
    end = end.model_copy(update={"bundles": boxes})
    one_by_one = [receive((100, 1, "scrap")) for _ in range(3)] + [
        receive((101, 1, "scrap")) for _ in range(2)
    ]
    life = (arrived, authorise((100, 3), (101, 2)), *one_by_one, end)
    for place in range(len(life) + 1):
        back = refunds(*life[:place], order, *life[place:])
        assert back == {"R1-refund-3": 1, "refund-lost": 1}
